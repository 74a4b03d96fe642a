//! Invitations as they lie in rows.

use klatsch_protocol::features::invitation::Invitation;
use klatsch_protocol::time::Timestamp;

use super::bare;
use crate::error::Result;

/// Domain, inviter, reserved name, whether it makes contacts, when it was made and ends.
pub(crate) type Row = (String, Option<String>, Option<String>, bool, i64, i64);

pub(crate) fn invitation(
    (domain, inviter, reserved, is_contact, created, expiry): Row,
) -> Result<Invitation> {
    Ok(Invitation {
        domain: bare(&domain)?,
        inviter: inviter.as_deref().map(bare).transpose()?,
        reserved: reserved.as_deref().map(bare).transpose()?,
        is_contact,
        created: Timestamp(created),
        expiry: Timestamp(expiry),
    })
}
