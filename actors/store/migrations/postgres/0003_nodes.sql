-- Nodes of accounts and of services with their items (XEP-0060), and what accounts keep under
-- names (XEP-0049, XEP-0054).

CREATE TABLE pubsub_node (
    -- Never used again; the version of a new node begins with it, so that no version of a node
    -- that was deleted is ever one of its successor.
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    -- The account or the host; NULL: the node is deleted and its items are to be swept.
    service text COLLATE "C",
    name text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    creator text COLLATE "C" NOT NULL,
    created bigint NOT NULL,
    -- A data form, canonical.
    config bytea NOT NULL,
    -- Seconds an item of this node lives, as its configuration says; NULL: for good.
    item_expire bigint,
    -- How many items there are, and their bytes.
    items bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX pubsub_node_name ON pubsub_node (service, name) WHERE service IS NOT NULL;
CREATE INDEX pubsub_node_creator ON pubsub_node (creator, service) WHERE service IS NOT NULL;
CREATE INDEX pubsub_node_gone ON pubsub_node (id) WHERE service IS NULL;

CREATE TABLE pubsub_affiliation (
    node bigint NOT NULL REFERENCES pubsub_node (id),
    jid text COLLATE "C" NOT NULL,
    -- 0 owner, 1 publisher, 2 publish-only, 3 member, 5 outcast.
    affiliation bigint NOT NULL,
    PRIMARY KEY (node, jid)
);
CREATE INDEX pubsub_affiliation_jid ON pubsub_affiliation (jid);

CREATE TABLE pubsub_subscription (
    node bigint NOT NULL REFERENCES pubsub_node (id),
    jid text COLLATE "C" NOT NULL,
    -- The address without its resource.
    account text COLLATE "C" NOT NULL,
    pending boolean NOT NULL,
    options text NOT NULL,
    PRIMARY KEY (node, jid)
);
CREATE INDEX pubsub_subscription_account ON pubsub_subscription (account);

-- Places grow, and a node's items get theirs while its row is locked: they lie in the order in
-- which they were published. One that is published again gets a new place.
CREATE TABLE pubsub_item (
    place bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    node bigint NOT NULL REFERENCES pubsub_node (id),
    id text COLLATE "C" NOT NULL,
    publisher text COLLATE "C" NOT NULL,
    stamp bigint NOT NULL,
    payload bytea NOT NULL,
    -- When it goes; NULL: not by itself.
    expires bigint
);
CREATE UNIQUE INDEX pubsub_item_id ON pubsub_item (node, id);
CREATE INDEX pubsub_item_node ON pubsub_item (node, place);
CREATE INDEX pubsub_item_expires ON pubsub_item (expires) WHERE expires IS NOT NULL;

CREATE TABLE kept (
    account bigint NOT NULL REFERENCES account (id),
    name text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (account, name)
);
