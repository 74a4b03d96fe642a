//! Blocking Command: XEP-0191 version 1.3,
//! <https://xmpp.org/extensions/xep-0191.html>
//!
//! Here: whom an account blocks, and what that refuses. How the list is read and changed by
//! its user: [`command`].
//! Left out: privacy lists (XEP-0016), which are deprecated. After unblocking (§2.4) the
//! contact's own presence is not asked for; it shows at its next change.

pub mod command;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Feature, Scope, Spec, get, set};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::jid::{BareJid, Jid};
use crate::pipeline::is_answerable;
use crate::routing::{Routed, route};
use crate::stanza::{IqKind, Stanza, StanzaError};
use crate::xml::Element;

/// Namespace of the commands.
pub const NS: &str = "urn:xmpp:blocking";
/// Namespace of the error that tells the user whom they block (§2.3).
pub const NS_ERRORS: &str = "urn:xmpp:blocking:errors";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "blocking",
    spec: Spec::Xep { number: 191, version: "1.3" },
    // §2.1: the server announces it.
    disco: &[NS],
    iq: &[
        get(Scope::Own, NS, "blocklist", command::get),
        set(Scope::Own, NS, "block", command::block),
        set(Scope::Own, NS, "unblock", command::unblock),
    ],
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

impl Blocklist {
    /// Tells whether an address is on the list (§5): itself, its account, or its domain.
    pub fn covers(&self, jid: &Jid) -> bool {
        if self.jids.is_empty() {
            return false;
        }
        let bare = jid.bare();
        self.jids.contains(jid)
            // §5 rule 2; a domain's own resource is covered by the domain, rule 4.
            || self.jids.contains(&Jid::from(bare.clone()))
            || self.jids.contains(&Jid::from(bare.domain_jid()))
    }
}

/// Addresses added to and removed from a block list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlocklistChange {
    /// Blocked from now on.
    pub add: Vec<Jid>,
    /// No longer blocked.
    pub remove: Vec<Jid>,
}

/// Tells whether the account blocks this address.
pub fn is_blocked(jid: &Jid, facts: &Facts<'_>) -> bool {
    !is_exempt(jid, facts) && facts.data.blocklist.covers(jid)
}

/// Tells whether a resource of this account, though not the account, may be blocked.
pub(crate) fn has_blocked_resource(contact: &BareJid, facts: &Facts<'_>) -> bool {
    let jids = &facts.data.blocklist.jids;
    jids.iter().any(|jid| jid.resource().is_some() && jid.bare_str() == contact.as_str())
}

/// §4, note: a user's resources never block each other. Nor is the account's own server
/// blocked with a domain: it answers for the account.
fn is_exempt(jid: &Jid, facts: &Facts<'_>) -> bool {
    let is_server = jid.localpart().is_none() && facts.host.serves(jid.domain());
    is_server || jid.bare_str() == facts.account.as_str()
}

/// Refuses what the user sends to somebody they block (§2.3, `<blocked/>`).
pub fn refuse_outgoing(stanza: &Stanza, facts: &Facts<'_>) -> Option<StanzaError> {
    if !is_blocked(stanza.to()?, facts) {
        return None;
    }
    let mut error = StanzaError::not_acceptable();
    // §2.3, example 8: trying again is of no use before unblocking.
    error.kind = crate::stanza::ErrorKind::Cancel;
    error.application = Some(Element::new("blocked", NS_ERRORS));
    Some(error)
}

/// What happens to a stanza from somebody the account blocks; `None`: it is not blocked.
///
/// Row R16: every way to a session or an account leads through here, so this is the one
/// place where it is decided.
pub fn refuse_incoming(stanza: &Stanza, facts: &Facts<'_>) -> Option<Vec<Effect>> {
    if !is_blocked(stanza.from()?, facts) {
        return None;
    }
    Some(answer_blocked(stanza, facts))
}

/// §2.3: to the one who is blocked the user appears to be offline.
fn answer_blocked(stanza: &Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    const DROPPED: Effect = Effect::Trace("blocked", "dropped");
    let is_answered = match stanza {
        Stanza::Message(message) => is_answerable(message) && answers_for_account(stanza, facts),
        // No answer and no error to presence of any kind.
        Stanza::Presence(_) => false,
        Stanza::Iq(iq) => matches!(iq.kind, IqKind::Get | IqKind::Set),
    };
    let error = is_answered.then(|| stanza.error_reply(&StanzaError::service_unavailable()));
    // Routed, not replied: the answer is for the sender, not for this session's client.
    vec![error.flatten().map_or(DROPPED, Effect::Route)]
}

/// A message for the account may come to many of its sessions, but one refusal is enough: the
/// first of them speaks.
fn answers_for_account(stanza: &Stanza, facts: &Facts<'_>) -> bool {
    let Some(session) = facts.session else { return true };
    match route(stanza, &facts.resources()) {
        Routed::Sessions(sessions) => sessions.first().is_none_or(|first| *first == session.jid),
        _ => true,
    }
}
