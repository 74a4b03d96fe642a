//! Sessions that wait for their clients, from rows.

use bytes::Bytes;

use super::bare;
use crate::error::Result;
use crate::waiting::WaitingSession;

/// The account, the id it is resumed by, what the session is made of.
pub(crate) type Row = (String, Option<String>, Vec<u8>);

/// A session from its row.
pub(crate) fn session((account, previd, value): Row) -> Result<WaitingSession> {
    Ok(WaitingSession {
        account: bare(&account)?,
        previd: previd.unwrap_or_default(),
        value: Bytes::from(value),
    })
}
