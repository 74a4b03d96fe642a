//! Claims to sessions, from rows.

use klatsch_protocol::jid::FullJid;

use crate::claims::Claim;
use crate::error::{Result, StoreError};

/// The node that has it, the session, the id it is resumed by.
pub(crate) type Row = (i64, String, String);

/// A claim from its row.
pub(crate) fn claim((node, session, previd): Row) -> Result<Claim> {
    let corrupt = || StoreError::Corrupt(format!("a claim to session {session:?}"));
    Ok(Claim {
        node: u16::try_from(node).map_err(|_| corrupt())?,
        session: FullJid::parse(&session).map_err(|_| corrupt())?,
        previd,
    })
}
