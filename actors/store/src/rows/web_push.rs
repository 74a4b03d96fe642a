//! Browsers that are told, as they lie in rows.

use klatsch_protocol::features::web_push::Registration;
use klatsch_protocol::jid::BareJid;

use crate::error::{Result, StoreError};

/// Node, hash of the secret, endpoint, key and auth.
pub(crate) type Row = (String, Vec<u8>, String, Vec<u8>, Vec<u8>);

pub(crate) fn registration(
    owner: &BareJid,
    (node, secret, endpoint, key, auth): Row,
) -> Result<Registration> {
    let secret = secret.try_into();
    let secret = secret.map_err(|_| StoreError::Corrupt("a browser's secret".into()))?;
    Ok(Registration {
        owner: owner.clone(),
        node,
        secret,
        endpoint,
        key,
        auth,
    })
}
