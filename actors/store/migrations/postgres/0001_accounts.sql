-- Accounts. Addresses and other keys compare byte by byte (COLLATE "C"), as everywhere else.
--
-- An account's number is that of its log and is never used again, so it is at once its key and
-- its epoch: whoever registers a removed name gets a larger number and sees nothing of the old
-- life.

CREATE TABLE account (
    id bigint PRIMARY KEY,
    jid text COLLATE "C" NOT NULL,
    domain text COLLATE "C" NOT NULL,
    admin boolean NOT NULL DEFAULT false,
    disabled boolean NOT NULL DEFAULT false,
    created bigint NOT NULL,
    -- Set: the row is a tombstone.
    removed bigint,
    -- The tombstone's log is empty.
    swept boolean NOT NULL DEFAULT false,
    roster_version bigint NOT NULL DEFAULT 0,
    blocklist_version bigint NOT NULL DEFAULT 0,
    -- How many addresses are blocked: most often none, and then nobody asks which.
    blocks bigint NOT NULL DEFAULT 0,
    -- What is wanted in the archive: 0 everything, without exception; 1 everything, 2 nothing,
    -- 3 contacts, each but for the exceptions.
    archiving bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX account_jid ON account (jid) WHERE removed IS NULL;
CREATE INDEX account_domain ON account (domain, jid) WHERE removed IS NULL;
CREATE INDEX account_admin ON account (id) WHERE removed IS NULL AND admin;
CREATE INDEX account_past ON account (jid) WHERE removed IS NOT NULL;
CREATE INDEX account_unswept ON account (id) WHERE removed IS NOT NULL AND NOT swept;

CREATE TABLE scram (
    account bigint NOT NULL REFERENCES account (id),
    hash text COLLATE "C" NOT NULL,
    salt bytea NOT NULL,
    iterations bigint NOT NULL,
    stored_key bytea NOT NULL,
    server_key bytea NOT NULL,
    PRIMARY KEY (account, hash)
);

CREATE TABLE archive_exception (
    account bigint NOT NULL REFERENCES account (id),
    jid text COLLATE "C" NOT NULL,
    archived boolean NOT NULL,
    PRIMARY KEY (account, jid)
);
