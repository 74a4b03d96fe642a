-- What accounts want kept in their archives (XEP-0441), and what the index of words, a database
-- of its own, is still to forget (XEP-0431).

-- 0 everything, without exception; 1 everything, 2 nothing, 3 contacts, each but for the
-- exceptions.
ALTER TABLE account ADD COLUMN archiving INTEGER NOT NULL DEFAULT 0;

CREATE TABLE archive_exception (
    account INTEGER NOT NULL REFERENCES account (id),
    jid TEXT NOT NULL,
    archived INTEGER NOT NULL,
    PRIMARY KEY (account, jid)
) STRICT, WITHOUT ROWID;

-- Entries that queries do not show, there for delivery alone: few, and purged soon.
CREATE INDEX entry_hidden ON entry (place) WHERE flags & 1;

-- Places of entries that have been retracted and may still stand in the index of words.
CREATE TABLE unsearchable (
    place INTEGER PRIMARY KEY
) STRICT;
