-- Rooms. A room's log is a log like an account's, and its number the room's key: a later room
-- of the same name has a larger one and sees nothing of the earlier.

CREATE TABLE room (
    id INTEGER PRIMARY KEY REFERENCES log (id),
    jid TEXT NOT NULL,
    -- The domain, so that the rooms of one service lie together.
    service TEXT NOT NULL,
    version INTEGER NOT NULL,
    creator TEXT NOT NULL,
    created INTEGER NOT NULL,
    -- Copied from the configuration, for the list of rooms.
    public INTEGER NOT NULL,
    -- The row is a tombstone: the next room of the name goes on from its version.
    removed INTEGER NOT NULL DEFAULT 0,
    -- The tombstone's log is empty.
    swept INTEGER NOT NULL DEFAULT 0,
    secret BLOB NOT NULL,
    -- JSON: read and written as a whole, and new settings come often.
    config TEXT NOT NULL,
    -- The message that set it, and the stamp of its entry.
    subject BLOB,
    subject_stamp INTEGER,
    vcard BLOB
) STRICT;
CREATE UNIQUE INDEX room_jid ON room (jid) WHERE NOT removed;
CREATE INDEX room_service ON room (service, jid) WHERE NOT removed;
CREATE INDEX room_public ON room (service, jid) WHERE NOT removed AND public;
CREATE INDEX room_creator ON room (creator) WHERE NOT removed;
CREATE INDEX room_past ON room (jid) WHERE removed;
CREATE INDEX room_unswept ON room (id) WHERE removed AND NOT swept;

CREATE TABLE room_affiliate (
    room INTEGER NOT NULL REFERENCES room (id),
    -- An account, or a whole domain.
    jid TEXT NOT NULL,
    -- 0 outcast, 1 none, 2 member, 3 admin, 4 owner.
    affiliation INTEGER NOT NULL,
    nick TEXT,
    reason TEXT,
    PRIMARY KEY (room, jid)
) STRICT, WITHOUT ROWID;
CREATE INDEX room_affiliate_owner ON room_affiliate (room) WHERE affiliation = 4;

CREATE TABLE room_hat (
    room INTEGER NOT NULL REFERENCES room (id),
    uri TEXT NOT NULL,
    title TEXT NOT NULL,
    hue TEXT,
    lang TEXT,
    PRIMARY KEY (room, uri)
) STRICT, WITHOUT ROWID;

CREATE TABLE room_hat_worn (
    room INTEGER NOT NULL REFERENCES room (id),
    jid TEXT NOT NULL,
    uri TEXT NOT NULL,
    PRIMARY KEY (room, jid, uri)
) STRICT, WITHOUT ROWID;
CREATE INDEX room_hat_worn_uri ON room_hat_worn (room, uri);
