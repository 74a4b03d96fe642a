//! Devices that are told, as they lie in rows.

use klatsch_protocol::features::push::Registration;

use super::jid;
use crate::error::Result;

/// Service, node, resource and options.
pub(crate) type Row = (String, String, String, Option<Vec<u8>>);

pub(crate) fn registration((service, node, resource, options): Row) -> Result<Registration> {
    Ok(Registration {
        service: jid(&service)?,
        node,
        resource,
        options: options.map(Into::into),
    })
}
