-- Invitations (XEP-0401): what is used or over goes.

CREATE TABLE invitation (
    -- SHA-256 of the token, which the store does not have.
    hash bytea PRIMARY KEY,
    domain text COLLATE "C" NOT NULL,
    -- Who invites; an operator: nobody.
    inviter bigint REFERENCES account (id),
    -- The address that is kept for who is invited.
    reserved text COLLATE "C",
    is_contact boolean NOT NULL,
    created bigint NOT NULL,
    expiry bigint NOT NULL
);
CREATE INDEX invitation_inviter ON invitation (inviter);
CREATE INDEX invitation_reserved ON invitation (reserved) WHERE reserved IS NOT NULL;
CREATE INDEX invitation_expiry ON invitation (expiry);
