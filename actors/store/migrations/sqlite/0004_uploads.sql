-- Files that accounts have uploaded (XEP-0363). The content lies in files called by its hash.

CREATE TABLE upload (
    id BLOB PRIMARY KEY,
    -- The account; files of a removed one have no owner and are expired.
    owner INTEGER REFERENCES account (id),
    name TEXT NOT NULL,
    content_type TEXT,
    size INTEGER NOT NULL,
    -- When it goes: the slot while there is no content, then the file; NULL: with its account.
    ends INTEGER,
    -- When the file goes once its content is there; NULL: with its account.
    expires INTEGER,
    -- SHA-256; NULL until it is there.
    content BLOB,
    stamp INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_owner ON upload (owner) WHERE owner IS NOT NULL;
CREATE INDEX upload_ends ON upload (ends) WHERE ends IS NOT NULL;
CREATE INDEX upload_content ON upload (content) WHERE content IS NOT NULL;
