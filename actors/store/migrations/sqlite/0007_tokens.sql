-- Tokens by which clients log in (XEP-0484).

CREATE TABLE token (
    account INTEGER NOT NULL REFERENCES account (id),
    -- The installation of the client.
    agent TEXT NOT NULL,
    -- Each has two at most: the one it uses, and one it was given and has not used yet.
    is_new INTEGER NOT NULL,
    mechanism TEXT NOT NULL,
    -- With the server's key it makes the token; alone it is worth nothing.
    seed BLOB NOT NULL,
    issued INTEGER NOT NULL,
    expiry INTEGER NOT NULL,
    -- The highest the client has counted its logins to.
    count INTEGER NOT NULL,
    PRIMARY KEY (account, agent, is_new)
) STRICT, WITHOUT ROWID;
