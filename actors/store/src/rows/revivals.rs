//! Sessions that went on without their node, from rows.

use klatsch_protocol::jid::FullJid;

use crate::error::{Result, StoreError};
use crate::revivals::Revival;

/// The node that had it, the session, the hash of the id it is resumed by.
pub(crate) type Row = (i64, String, Vec<u8>);

/// A revival from its row.
pub(crate) fn revival((node, session, resumption): Row) -> Result<Revival> {
    let corrupt = || StoreError::Corrupt(format!("a session {session:?} that went on"));
    Ok(Revival {
        node: u16::try_from(node).map_err(|_| corrupt())?,
        session: FullJid::parse(&session).map_err(|_| corrupt())?,
        resumption: resumption.try_into().map_err(|_| corrupt())?,
    })
}
