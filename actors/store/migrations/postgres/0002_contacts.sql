-- Rosters and block lists.

CREATE TABLE roster_item (
    account bigint NOT NULL REFERENCES account (id),
    jid text COLLATE "C" NOT NULL,
    name text,
    -- Each group's name followed by U+001F, which XML 1.0 does not allow in any name.
    groups text NOT NULL,
    -- 0 none, 1 to, 2 from, 3 both.
    subscription bigint NOT NULL,
    ask boolean NOT NULL,
    pending_in bytea,
    approved boolean NOT NULL,
    listed boolean NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (account, jid)
);
-- Who lets an address see their presence.
CREATE INDEX roster_item_shown ON roster_item (jid) WHERE subscription >= 2;

CREATE TABLE roster_removed (
    account bigint NOT NULL REFERENCES account (id),
    jid text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (account, jid)
);

CREATE TABLE block (
    account bigint NOT NULL REFERENCES account (id),
    jid text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, jid)
);
