//! Blocking Command: XEP-0191 version 1.3.

use super::{Feature, Spec};
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::effect::Effect;
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::{Stanza, StanzaError};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "blocking",
    spec: Spec::Xep { number: 191, version: "1.3" },
    ..Feature::NONE
};

/// Whom an account blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocklist {
    /// Raised by every change.
    pub version: u64,
    /// Full JIDs, accounts, domains with a resource, domains.
    pub jids: BTreeSet<Jid>,
}

/// Addresses added to and removed from a block list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlocklistChange {
    /// Blocked from now on.
    pub add: Vec<Jid>,
    /// No longer blocked.
    pub remove: Vec<Jid>,
}

/// Refuses what the user sends to somebody they block (§3.2 of the XEP, `<blocked/>`).
pub fn refuse_outgoing(_stanza: &Stanza, _facts: &Facts<'_>) -> Option<StanzaError> {
    None
}

/// What happens to a stanza from somebody the account blocks; `None`: it is not blocked.
pub fn refuse_incoming(_stanza: &Stanza, _facts: &Facts<'_>) -> Option<Vec<Effect>> {
    None
}
