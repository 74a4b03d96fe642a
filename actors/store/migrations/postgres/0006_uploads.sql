-- Files that accounts have uploaded (XEP-0363). The content lies in files called by its hash.

CREATE TABLE upload (
    id bytea PRIMARY KEY,
    -- The account; files of a removed one have no owner and are expired.
    owner bigint REFERENCES account (id),
    name text NOT NULL,
    content_type text,
    size bigint NOT NULL,
    -- When it goes: the slot while there is no content, then the file; NULL: with its account.
    ends bigint,
    -- When the file goes once its content is there; NULL: with its account.
    expires bigint,
    -- SHA-256; NULL until it is there.
    content bytea,
    stamp bigint NOT NULL
);
CREATE INDEX upload_owner ON upload (owner) WHERE owner IS NOT NULL;
CREATE INDEX upload_ends ON upload (ends) WHERE ends IS NOT NULL;
CREATE INDEX upload_content ON upload (content) WHERE content IS NOT NULL;
