-- Sessions that went on without the node that had them, as word for that node.

CREATE TABLE revival (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    node INTEGER NOT NULL,
    session TEXT NOT NULL,
    -- SHA-256 of the id by which it is resumed (XEP-0198).
    resumption BLOB NOT NULL,
    noted INTEGER NOT NULL
) STRICT;
CREATE INDEX revival_node ON revival (node);
