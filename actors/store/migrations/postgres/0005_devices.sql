-- What accounts' devices have here: tokens to log in by (XEP-0484), where they are told while
-- they are away (XEP-0357), and sessions that wait for their clients (XEP-0198).

CREATE TABLE token (
    account bigint NOT NULL REFERENCES account (id),
    -- The installation of the client.
    agent text COLLATE "C" NOT NULL,
    -- Each has two at most: the one it uses, and one it was given and has not used yet.
    is_new boolean NOT NULL,
    mechanism text NOT NULL,
    -- With the server's key it makes the token; alone it is worth nothing.
    seed bytea NOT NULL,
    issued bigint NOT NULL,
    expiry bigint NOT NULL,
    -- The highest the client has counted its logins to.
    count bigint NOT NULL,
    PRIMARY KEY (account, agent, is_new)
);

CREATE TABLE push (
    -- Grows, so the devices of an account lie in the order in which they asked.
    place bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account bigint NOT NULL REFERENCES account (id),
    service text COLLATE "C" NOT NULL,
    node text COLLATE "C" NOT NULL,
    resource text NOT NULL,
    options bytea
);
CREATE UNIQUE INDEX push_node ON push (account, service, node);

CREATE TABLE waiting_session (
    place bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    account bigint NOT NULL REFERENCES account (id),
    -- What the actors make the session of again.
    value bytea NOT NULL,
    -- Nobody waits longer.
    until bigint NOT NULL
);
CREATE INDEX waiting_session_account ON waiting_session (account);
