-- Files uploaded over HTTP (XEP-0363). A row is a slot from the moment it is given, so that its
-- size counts against the quota; with a hash it is a file. Content lies outside, by its hash.

CREATE TABLE upload (
    id BLOB PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id),
    -- The domain whose service gave the slot.
    domain TEXT NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT,
    size INTEGER NOT NULL,
    -- 0 message, 1 profile, 2 ephemeral.
    purpose INTEGER NOT NULL,
    -- SHA-256 of the content; none: nothing has arrived yet.
    hash BLOB,
    stored INTEGER,
    -- Until when it counts: as a slot, then as a file.
    expires INTEGER NOT NULL,
    -- Until when the file is kept once it is there.
    keep_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_account ON upload (account, purpose, expires, size);
CREATE INDEX upload_expires ON upload (expires);
CREATE INDEX upload_hash ON upload (hash) WHERE hash IS NOT NULL;
