-- Sessions of nodes that are not heard, which others go on with.

CREATE TABLE claim (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The id by which the session is resumed (XEP-0198).
    previd TEXT NOT NULL UNIQUE,
    -- The node that has it.
    node INTEGER NOT NULL,
    session TEXT NOT NULL,
    made INTEGER NOT NULL,
    -- Whoever claims it has gone on without waiting.
    is_pressed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX claim_node ON claim (node);
