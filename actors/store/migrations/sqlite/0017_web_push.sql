-- Browsers that are told while nobody looks (RFC 8030).

CREATE TABLE web_push (
    -- Grows, so the browsers of an account lie in the order in which they registered.
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES account (id),
    node TEXT NOT NULL,
    -- SHA-256 of what has to come with each notification.
    secret BLOB NOT NULL,
    endpoint TEXT NOT NULL UNIQUE,
    -- RFC 8291: the browser's public key, and what only it and we know.
    key BLOB NOT NULL,
    auth BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX web_push_node ON web_push (account, node);
