-- Sessions of nodes that are not heard, which others go on with.

CREATE TABLE claim (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The id by which the session is resumed (XEP-0198).
    previd text COLLATE "C" NOT NULL UNIQUE,
    -- The node that has it.
    node bigint NOT NULL,
    session text COLLATE "C" NOT NULL,
    made bigint NOT NULL,
    -- Whoever claims it has gone on without waiting.
    is_pressed boolean NOT NULL DEFAULT false
);
CREATE INDEX claim_node ON claim (node);
