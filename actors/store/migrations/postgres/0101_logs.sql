-- Logs and their entries.
--
-- A log's number is never used again, so it is at once its account's or room's key and epoch.

CREATE TABLE log (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    -- The id and the stamp of its last entry, also of one that has been purged. Whoever raises
    -- them has the row locked until the commit.
    head bigint NOT NULL DEFAULT 0,
    stamp bigint NOT NULL DEFAULT -9223372036854775808
)
-- The row changes with every append and nothing but the key is indexed: with room on its page
-- the next version lies beside the last.
WITH (fillfactor = 50);

-- Up to which id some client has taken delivery; none: nothing. Apart from the head, so that
-- nobody who reads holds up who writes.
CREATE TABLE log_cursor (
    log bigint PRIMARY KEY,
    id bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE entry (
    log bigint NOT NULL,
    id bigint NOT NULL,
    stamp bigint NOT NULL,
    -- The other side, and its resource.
    other text COLLATE "C" NOT NULL,
    resource text COLLATE "C",
    -- 0 sent, 1 received, 2 own.
    direction smallint NOT NULL,
    flags smallint NOT NULL,
    stanza bytea NOT NULL,
    PRIMARY KEY (log, id)
);
-- Stamps need no index: they grow with the ids of a log, so a time is found by halving.
CREATE INDEX entry_other ON entry (log, other, id);
-- Entries that queries do not show, there for delivery alone: few, and purged soon.
CREATE INDEX entry_hidden ON entry (log, id) WHERE flags & 1 = 1;

-- What has been said already (D2). The key is the sender's log, four bytes big endian, and the
-- dedup key; a table of its own keeps it from standing in the entry and in an index.
CREATE TABLE replay (
    key bytea PRIMARY KEY,
    payload bigint NOT NULL,
    id bigint NOT NULL,
    stamp bigint NOT NULL,
    -- The recipient's entry.
    twin bigint,
    twin_stamp bigint
);
