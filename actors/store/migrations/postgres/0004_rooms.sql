-- Rooms. A room's number is that of its log: a later room of the same name has a larger one and
-- sees nothing of the earlier.

CREATE TABLE room (
    id bigint PRIMARY KEY,
    jid text COLLATE "C" NOT NULL,
    -- The domain, so that the rooms of one service lie together.
    service text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    creator text COLLATE "C" NOT NULL,
    created bigint NOT NULL,
    -- Copied from the configuration, for the list of rooms.
    public boolean NOT NULL,
    -- The row is a tombstone: the next room of the name goes on from its version.
    removed boolean NOT NULL DEFAULT false,
    -- The tombstone's log is empty.
    swept boolean NOT NULL DEFAULT false,
    secret bytea NOT NULL,
    -- JSON: read and written as a whole, and new settings come often.
    config text NOT NULL,
    -- The message that set it, and the stamp of its entry.
    subject bytea,
    subject_stamp bigint,
    vcard bytea
);
CREATE UNIQUE INDEX room_jid ON room (jid) WHERE NOT removed;
CREATE INDEX room_service ON room (service, jid) WHERE NOT removed;
CREATE INDEX room_public ON room (service, jid) WHERE NOT removed AND public;
CREATE INDEX room_creator ON room (creator) WHERE NOT removed;
CREATE INDEX room_past ON room (jid) WHERE removed;
CREATE INDEX room_unswept ON room (id) WHERE removed AND NOT swept;

CREATE TABLE room_affiliate (
    room bigint NOT NULL REFERENCES room (id),
    -- An account, or a whole domain.
    jid text COLLATE "C" NOT NULL,
    -- 0 outcast, 1 none, 2 member, 3 admin, 4 owner.
    affiliation bigint NOT NULL,
    nick text,
    reason text,
    PRIMARY KEY (room, jid)
);
CREATE INDEX room_affiliate_owner ON room_affiliate (room) WHERE affiliation = 4;
CREATE INDEX room_affiliate_jid ON room_affiliate (jid);

CREATE TABLE room_hat (
    room bigint NOT NULL REFERENCES room (id),
    uri text COLLATE "C" NOT NULL,
    title text NOT NULL,
    hue text,
    lang text,
    PRIMARY KEY (room, uri)
);

CREATE TABLE room_hat_worn (
    room bigint NOT NULL REFERENCES room (id),
    jid text COLLATE "C" NOT NULL,
    uri text COLLATE "C" NOT NULL,
    PRIMARY KEY (room, jid, uri)
);
CREATE INDEX room_hat_worn_uri ON room_hat_worn (room, uri);
CREATE INDEX room_hat_worn_jid ON room_hat_worn (jid);
