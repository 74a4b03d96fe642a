//! Directed presence: RFC 6121 §4.6.
//!
//! A session remembers to whom it has shown itself beyond its contacts, so that they too
//! learn when it goes: a room must not keep an occupant who has left.

use crate::effect::{Effect, Flag};
use crate::facts::{Facts, SessionFacts};
use crate::features::blocking;
use crate::features::presence::announce::route;
use crate::jid::Jid;
use crate::pipeline::reply_error;
use crate::stanza::{Presence, PresenceKind, Stanza, StanzaError};

/// Addresses a session may show itself to. More than the rooms a person is in, and few enough
/// that the end of a session is no flood (row R18).
pub const DIRECTED_MAX: usize = 1000;

/// Decides presence sent to an address.
pub(super) fn decide(
    presence: &Presence,
    to: &Jid,
    session: &SessionFacts,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let pass = Effect::Route(Stanza::Presence(presence.clone()));
    let is_noted = session.directed.contains(to);
    match presence.kind {
        PresenceKind::Unavailable if is_noted => {
            vec![pass, Effect::Flag(Flag::Directed(to.clone(), false))]
        }
        PresenceKind::Unavailable => vec![pass],
        _ if is_noted || is_told_anyway(to, session, facts) => vec![pass],
        _ if session.directed.len() >= DIRECTED_MAX => {
            let error = StanzaError::policy_violation().with_text("too many directed presences");
            reply_error(&Stanza::Presence(presence.clone()), &error)
        }
        // Noted first: if the session ended in between, it would be one goodbye too many
        // rather than one too few.
        _ => vec![Effect::Flag(Flag::Directed(to.clone(), true)), pass],
    }
}

/// §4.6.3 rule 1: who is subscribed learns of the end by the broadcast, once there is one.
/// The own account is, in effect (§4.2.2).
fn is_told_anyway(to: &Jid, session: &SessionFacts, facts: &Facts<'_>) -> bool {
    let sees = to.bare_str() == facts.account.as_str() || facts.shows(to.bare_str());
    session.presence.is_some() && sees
}

/// §4.6.3 rule 2, at the end: the unavailable presence for all who were shown directed one.
pub(super) fn take_back(
    presence: &Presence,
    session: &SessionFacts,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    for to in &session.directed {
        // Row R16: who was blocked since has been told then.
        if !is_told_anyway(to, session, facts) && !blocking::is_blocked(to, facts) {
            effects.push(route(presence.clone(), to.clone()));
        }
        effects.push(Effect::Flag(Flag::Directed(to.clone(), false)));
    }
    effects
}
