//! Nodes of the cluster, from rows.

use klatsch_protocol::time::Timestamp;

use super::unsigned;
use crate::error::{Result, StoreError};
use crate::lives::{KnownNode, Life};

/// A node: its number, its name, its incarnation, and when that began.
pub(crate) type Row = (i64, String, i64, i64);

/// A node from its row.
pub(crate) fn known((number, name, incarnation, joined): Row) -> Result<KnownNode> {
    Ok(KnownNode {
        name,
        life: life(number, incarnation)?,
        joined: Timestamp(joined),
    })
}

/// A life from its numbers.
pub(crate) fn life(number: i64, incarnation: i64) -> Result<Life> {
    let node = u16::try_from(number);
    Ok(Life {
        node: node.map_err(|_| StoreError::Corrupt(format!("number {number} of a node")))?,
        incarnation: unsigned(incarnation)?,
    })
}
