-- Sessions that wait for their clients while the server is away (XEP-0198).

CREATE TABLE waiting_session (
    account INTEGER NOT NULL REFERENCES account (id),
    -- What the actors make the session of again.
    value BLOB NOT NULL,
    -- Nobody waits longer.
    until INTEGER NOT NULL
) STRICT;
