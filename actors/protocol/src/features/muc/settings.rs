//! What an operator may tune about rooms. Every bound has a named error beyond it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::config::Config;

/// Limits and habits of rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Sessions in a room at most, whatever its owner says: `service-unavailable`, type
    /// `wait`. Each entry is told to all, so a room's joins cost its square: 5,000 means 25
    /// million presences while a whole organisation comes in.
    pub occupants_max: usize,
    /// Admins and owners get in beyond that (XEP-0045 §7.2.9): `service-unavailable`.
    pub occupants_reserve: usize,
    /// Sessions under one nick: `resource-constraint`. More devices than anybody has.
    pub sessions_per_nick_max: usize,
    /// Affiliations a room remembers: `resource-constraint`. A large organisation's members.
    pub affiliations_max: usize,
    /// Items of one request for changes: `policy-violation`. Each is told to the whole room.
    pub items_max: usize,
    /// Bytes of a nick: `policy-violation`. It stands before every line a person writes.
    pub nick_bytes_max: usize,
    /// Bytes of a subject: `policy-violation`. Everybody who enters gets it.
    pub subject_bytes_max: usize,
    /// Bytes of a name, a password, a reason, a hat's title: `policy-violation`.
    pub text_bytes_max: usize,
    /// Bytes of a description: `policy-violation`.
    pub description_bytes_max: usize,
    /// Rooms one account may own by having created them: `resource-constraint` (row M09).
    pub rooms_per_account_max: usize,
    /// Only admins of the server create rooms: `not-allowed`.
    pub restrict_creation: bool,
    /// Messages of history on entry at most; a room's owner may say less (§7.2.13). Clients
    /// that want more ask the archive.
    pub history_max: u32,
    /// Invitations in one message: `policy-violation` (row R18).
    pub invites_max: usize,
    /// Hats a room has, and hats on one head: `resource-constraint`.
    pub hats_max: usize,
    /// Bytes of a room's vCard: `policy-violation`. Avatars of clients are far smaller.
    pub vcard_bytes_max: usize,
    /// Requests between occupants that wait for an answer; the oldest is given up.
    pub relayed_max: usize,
    /// Seconds a new room waits for its owner's form; then the default configuration counts
    /// as accepted (§10.1.1 step 5). Clients that know no forms get a room that way.
    pub lock_seconds: u32,
    /// What new rooms are like, until their owners say something else.
    pub new_rooms: Config,
    /// Names of rooms in one page of the service's list (row R18).
    pub page_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            occupants_max: 5_000,
            occupants_reserve: 50,
            sessions_per_nick_max: 20,
            affiliations_max: 20_000,
            items_max: 500,
            nick_bytes_max: 128,
            subject_bytes_max: 4_096,
            text_bytes_max: 1_024,
            description_bytes_max: 4_096,
            rooms_per_account_max: 500,
            restrict_creation: false,
            history_max: 100,
            invites_max: 20,
            hats_max: 64,
            vcard_bytes_max: 64 * 1024,
            relayed_max: 256,
            lock_seconds: 300,
            new_rooms: Config::default(),
            page_max: 250,
        }
    }
}

impl Settings {
    /// How long a new room waits for its owner's form.
    pub fn lock_time(&self) -> Duration {
        Duration::from_secs(u64::from(self.lock_seconds))
    }
}
