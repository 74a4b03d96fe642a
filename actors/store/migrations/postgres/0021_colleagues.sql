-- The people and groups of an organisation's directory.

-- One line: the version of all of it. Whoever changes it has it locked until the commit.
CREATE TABLE colleague_version (
    version bigint NOT NULL
);
INSERT INTO colleague_version VALUES (0);

CREATE TABLE colleague (
    id text COLLATE "C" PRIMARY KEY,
    -- The one that changed it last.
    version bigint NOT NULL,
    -- JSON; NULL: it is gone.
    record bytea,
    -- The hash of the picture it mentions.
    photo text COLLATE "C"
);
CREATE INDEX colleague_by_version ON colleague (version);
CREATE INDEX colleague_by_photo ON colleague (photo) WHERE photo IS NOT NULL;

CREATE TABLE colleague_photo (
    -- SHA-1 of the bytes, hexadecimal.
    hash text COLLATE "C" PRIMARY KEY,
    -- When it was kept last, in microseconds.
    kept bigint NOT NULL,
    bytes bytea NOT NULL
);

-- Accounts get other addresses and stay the same. NULL: it has the address it began with, and
-- its number is its epoch.
ALTER TABLE account ADD COLUMN epoch bigint;
-- Of the tombstone that stands at an address it had: its number.
ALTER TABLE account ADD COLUMN became bigint;
CREATE INDEX account_became ON account (became) WHERE became IS NOT NULL;
-- Who else has an address among their contacts, or blocks it.
CREATE INDEX roster_item_hidden ON roster_item (jid) WHERE subscription < 2;
CREATE INDEX block_jid ON block (jid);
