-- Invitations (XEP-0401): what is used or over goes.

CREATE TABLE invitation (
    -- SHA-256 of the token, which the store does not have.
    hash BLOB PRIMARY KEY,
    domain TEXT NOT NULL,
    -- Who invites; an operator: nobody.
    inviter INTEGER REFERENCES account (id),
    -- The address that is kept for who is invited.
    reserved TEXT,
    is_contact INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expiry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX invitation_inviter ON invitation (inviter);
CREATE INDEX invitation_reserved ON invitation (reserved) WHERE reserved IS NOT NULL;
CREATE INDEX invitation_expiry ON invitation (expiry);
