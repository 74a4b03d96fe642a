-- The people and groups of an organisation's directory.

-- One line: the version of all of it.
CREATE TABLE colleague_version (
    version INTEGER NOT NULL
) STRICT;
INSERT INTO colleague_version VALUES (0);

CREATE TABLE colleague (
    id TEXT PRIMARY KEY,
    -- The one that changed it last.
    version INTEGER NOT NULL,
    -- JSON; NULL: it is gone.
    record BLOB,
    -- The hash of the picture it mentions.
    photo TEXT
) STRICT;
CREATE INDEX colleague_by_version ON colleague (version);
CREATE INDEX colleague_by_photo ON colleague (photo) WHERE photo IS NOT NULL;

CREATE TABLE colleague_photo (
    -- SHA-1 of the bytes, hexadecimal.
    hash TEXT PRIMARY KEY,
    -- When it was kept last, in microseconds.
    kept INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- Accounts get other addresses and stay the same. NULL: it has the address it began with, and
-- its number is its epoch.
ALTER TABLE account ADD COLUMN epoch INTEGER;
-- Of the tombstone that stands at an address it had: its number.
ALTER TABLE account ADD COLUMN became INTEGER;
CREATE INDEX account_became ON account (became) WHERE became IS NOT NULL;
-- Who else has an address among their contacts, or blocks it.
CREATE INDEX roster_item_hidden ON roster_item (jid) WHERE subscription < 2;
CREATE INDEX block_jid ON block (jid);
