-- Accounts, rosters, block lists and logs.
--
-- A log's number is never used again, so it is at once its account's key and epoch: whoever
-- registers a removed name gets a larger number and sees nothing of the old life.

CREATE TABLE log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Ids and stamps go on from here where the entries that carried them have been purged.
    head INTEGER NOT NULL DEFAULT 0,
    stamp INTEGER NOT NULL DEFAULT -9223372036854775807,
    -- Up to this id some client has taken delivery.
    cursor INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE account (
    id INTEGER PRIMARY KEY REFERENCES log (id),
    jid TEXT NOT NULL,
    domain TEXT NOT NULL,
    admin INTEGER NOT NULL DEFAULT 0,
    disabled INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    -- Set: the row is a tombstone.
    removed INTEGER,
    -- The tombstone's log is empty.
    swept INTEGER NOT NULL DEFAULT 0,
    roster_version INTEGER NOT NULL DEFAULT 0,
    blocklist_version INTEGER NOT NULL DEFAULT 0,
    -- How many addresses are blocked: most often none, and then nobody asks which.
    blocks INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX account_jid ON account (jid) WHERE removed IS NULL;
CREATE INDEX account_domain ON account (domain, jid) WHERE removed IS NULL;
CREATE INDEX account_admin ON account (id) WHERE removed IS NULL AND admin;
CREATE INDEX account_past ON account (jid) WHERE removed IS NOT NULL;
CREATE INDEX account_unswept ON account (id) WHERE removed IS NOT NULL AND NOT swept;

CREATE TABLE scram (
    account INTEGER NOT NULL REFERENCES account (id),
    hash TEXT NOT NULL,
    salt BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    PRIMARY KEY (account, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_item (
    account INTEGER NOT NULL REFERENCES account (id),
    jid TEXT NOT NULL,
    name TEXT,
    -- Each group's name followed by U+001F, which XML 1.0 does not allow in any name.
    groups TEXT NOT NULL,
    -- 0 none, 1 to, 2 from, 3 both.
    subscription INTEGER NOT NULL,
    ask INTEGER NOT NULL,
    pending_in BLOB,
    approved INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;
-- Who lets an address see their presence.
CREATE INDEX roster_item_shown ON roster_item (jid) WHERE subscription >= 2;

CREATE TABLE roster_removed (
    account INTEGER NOT NULL REFERENCES account (id),
    jid TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;

CREATE TABLE block (
    account INTEGER NOT NULL REFERENCES account (id),
    jid TEXT NOT NULL,
    PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;

-- The other side of entries of one log.
CREATE TABLE conversation (
    id INTEGER PRIMARY KEY,
    log INTEGER NOT NULL,
    jid TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX conversation_jid ON conversation (log, jid);

-- An entry's place is its log's number times 2^32 plus its id. So a log lies together and in
-- order in a table whose inner pages hold nothing but keys; a composite primary key without
-- rowid would put whole stanzas there and make the tree twice as deep.
CREATE TABLE entry (
    place INTEGER PRIMARY KEY,
    stamp INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    -- 0 sent, 1 received, 2 own.
    direction INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    -- The other side's resource.
    resource TEXT,
    stanza BLOB NOT NULL
) STRICT;
-- Ends with the place like every index, so it is in order of ids too. Stamps need no index:
-- they grow with the ids of a log, so a time is found by halving.
CREATE INDEX entry_conversation ON entry (conversation);

-- What has been said already (D2). The key is the sender's log, big endian, and the dedup
-- key; a table of its own keeps it from standing in the entry and in an index.
CREATE TABLE replay (
    key BLOB PRIMARY KEY,
    payload INTEGER NOT NULL,
    id INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    -- The recipient's entry.
    twin INTEGER,
    twin_stamp INTEGER
) STRICT, WITHOUT ROWID;

-- Messages that have been committed and not yet put into entry, conversation and replay: a
-- commit appends here, page after page, whatever logs it touches.
CREATE TABLE recent (
    number INTEGER PRIMARY KEY,
    key BLOB,
    payload INTEGER,
    flags INTEGER NOT NULL,
    stanza BLOB NOT NULL,
    -- The line in the sender's log.
    place INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    other TEXT NOT NULL,
    resource TEXT,
    -- The line in the recipient's log.
    twin_place INTEGER,
    twin_stamp INTEGER,
    twin_other TEXT,
    twin_resource TEXT
) STRICT;
