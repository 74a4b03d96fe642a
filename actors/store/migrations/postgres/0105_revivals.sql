-- Sessions that went on without the node that had them, as word for that node.

CREATE TABLE revival (
    place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node bigint NOT NULL,
    session text COLLATE "C" NOT NULL,
    -- SHA-256 of the id by which it is resumed (XEP-0198).
    resumption bytea NOT NULL,
    noted bigint NOT NULL
);
CREATE INDEX revival_node ON revival (node);
