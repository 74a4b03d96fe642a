-- Marks of what is good once and has been used.

CREATE TABLE spent (
    -- SHA-256 of it.
    hash BLOB PRIMARY KEY,
    -- Until when it would have been good, in microseconds.
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_until ON spent (until);
