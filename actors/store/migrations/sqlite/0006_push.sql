-- Devices that are told while they are away (XEP-0357).

CREATE TABLE push (
    -- Grows, so the devices of an account lie in the order in which they asked.
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account (id),
    service TEXT NOT NULL,
    node TEXT NOT NULL,
    resource TEXT NOT NULL,
    options BLOB
) STRICT;
CREATE UNIQUE INDEX push_node ON push (account, service, node);
