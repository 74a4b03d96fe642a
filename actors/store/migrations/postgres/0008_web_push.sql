-- Browsers that are told while nobody looks (RFC 8030).

CREATE TABLE web_push (
    -- Grows, so the browsers of an account lie in the order in which they registered.
    place bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account bigint NOT NULL REFERENCES account (id),
    node text COLLATE "C" NOT NULL,
    -- SHA-256 of what has to come with each notification.
    secret bytea NOT NULL,
    endpoint text COLLATE "C" NOT NULL UNIQUE,
    -- RFC 8291: the browser's public key, and what only it and we know.
    key bytea NOT NULL,
    auth bytea NOT NULL
);
CREATE UNIQUE INDEX web_push_node ON web_push (account, node);
