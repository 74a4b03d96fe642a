//! Everything a room's decision may know beyond the room. Borrowed for one decision.

use super::settings::Settings;
use crate::time::Timestamp;

/// What one decision of a room may know.
#[derive(Debug, Clone, Copy)]
pub struct RoomFacts<'a> {
    /// The time of the decision.
    pub now: Timestamp,
    /// What the operator has set.
    pub settings: &'a Settings,
    /// False: the server keeps nothing, messages are only reflected.
    pub archive: bool,
    /// The sender administers the domain that the room belongs to. Looked up where
    /// [`Room::wants_steward`](super::room::Room::wants_steward) says so, false elsewhere.
    pub is_steward: bool,
    /// Fresh random bytes for this decision alone.
    pub random: [u8; 32],
}

impl RoomFacts<'_> {
    /// An id nobody can guess. A decision needs at most one.
    pub fn fresh_id(&self) -> String {
        let hex = |byte: &u8| format!("{byte:02x}");
        self.random[..16].iter().map(hex).collect()
    }
}

/// What the one who wants a new room may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Creator {
    /// How many rooms the account has created that still are.
    pub rooms: usize,
    /// They administer the server.
    pub is_operator: bool,
}
