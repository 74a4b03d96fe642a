-- Nodes of accounts and of services with their items (XEP-0060), and what accounts keep under
-- names (XEP-0049, XEP-0054).

CREATE TABLE pubsub_node (
    -- Never used again; the version of a new node begins with it, so that no version of a node
    -- that was deleted is ever one of its successor.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The account or the host; NULL: the node is deleted and its items are to be swept.
    service TEXT,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    creator TEXT NOT NULL,
    created INTEGER NOT NULL,
    -- A data form, canonical.
    config BLOB NOT NULL,
    -- How many items there are, and their bytes.
    items INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX pubsub_node_name ON pubsub_node (service, name) WHERE service IS NOT NULL;
CREATE INDEX pubsub_node_creator ON pubsub_node (creator, service) WHERE service IS NOT NULL;
CREATE INDEX pubsub_node_gone ON pubsub_node (id) WHERE service IS NULL;

CREATE TABLE pubsub_affiliation (
    node INTEGER NOT NULL REFERENCES pubsub_node (id),
    jid TEXT NOT NULL,
    -- 0 owner, 1 publisher, 2 publish-only, 3 member, 5 outcast.
    affiliation INTEGER NOT NULL,
    PRIMARY KEY (node, jid)
) STRICT, WITHOUT ROWID;
CREATE INDEX pubsub_affiliation_jid ON pubsub_affiliation (jid);

CREATE TABLE pubsub_subscription (
    node INTEGER NOT NULL REFERENCES pubsub_node (id),
    jid TEXT NOT NULL,
    -- The address without its resource.
    account TEXT NOT NULL,
    pending INTEGER NOT NULL,
    options TEXT NOT NULL,
    PRIMARY KEY (node, jid)
) STRICT, WITHOUT ROWID;
CREATE INDEX pubsub_subscription_account ON pubsub_subscription (account);

-- Places grow, so items lie in the order in which they were published; one that is published
-- again gets a new place.
CREATE TABLE pubsub_item (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    node INTEGER NOT NULL REFERENCES pubsub_node (id),
    id TEXT NOT NULL,
    publisher TEXT NOT NULL,
    stamp INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX pubsub_item_id ON pubsub_item (node, id);
-- Ends with the place like every index: a node's items in order.
CREATE INDEX pubsub_item_node ON pubsub_item (node);

CREATE TABLE kept (
    account INTEGER NOT NULL REFERENCES account (id),
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (account, name)
) STRICT;
