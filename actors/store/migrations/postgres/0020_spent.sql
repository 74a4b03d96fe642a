-- Marks of what is good once and has been used.

CREATE TABLE spent (
    -- SHA-256 of it.
    hash bytea PRIMARY KEY,
    -- Until when it would have been good, in microseconds.
    until bigint NOT NULL
);
CREATE INDEX spent_until ON spent (until);
