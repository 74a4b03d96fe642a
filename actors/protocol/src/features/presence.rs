//! Presence: RFC 6121 §4.
//!
//! Who is told of it: [`announce`]. Presence with an address: [`directed`]. What an account shows
//! whatever its clients say: [`wish`]. One word
//! about all of its resources: [`summary`].
//! Left out: remembering who was shown directed presence beyond the session's life, so a
//! probe from such an address (§4.3.2) is answered by the roster alone.

pub mod announce;
pub mod directed;
pub mod summary;
pub mod wish;

pub(crate) use announce::{show_current, show_unavailable};

use super::{Feature, Spec, Status};
use crate::colleagues::Shift;
use crate::effect::{Answer, Effect, Query};
use crate::facts::{Facts, SessionFacts};
use crate::features::roster::set::tell;
use crate::features::roster::sight::Showing;
use crate::features::subscription::State;
use crate::features::{blocking, caps, last_activity, subscription};
use crate::jid::Jid;
use crate::ns;
use crate::pipeline::reply_error;
use crate::stanza::{Head, Presence, PresenceKind, Stanza, StanzaError};
use crate::xml::Payloads;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "presence",
    title: "Presence",
    spec: Spec::Rfc {
        number: 6121,
        section: "4",
    },
    status: Status::Partial(
        "a probe of one who was shown directed presence is answered by the roster alone",
    ),
    ..Feature::NONE
};

/// Decides presence the client has sent: available, unavailable, directed, probe.
pub fn decide_sent(presence: &Presence, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(session) = facts.session else {
        return vec![Effect::Trace("presence", "no session has sent it")];
    };
    // §4.7.2.3: an integer between -128 and +127.
    if presence.kind == PresenceKind::Available && !has_good_priority(presence) {
        let error =
            StanzaError::bad_request().with_text("the priority is no number from -128 to 127");
        return reply_error(&Stanza::Presence(presence.clone()), &error);
    }
    match (presence.kind, &presence.head.to) {
        (PresenceKind::Available, None) => decide_available(presence, session, facts),
        (PresenceKind::Unavailable, None) => decide_unavailable(presence, session, facts),
        (PresenceKind::Available | PresenceKind::Unavailable, Some(to)) => {
            directed::decide(presence, to, session, facts)
        }
        (PresenceKind::Probe, Some(to)) => vec![probe(to, session)],
        (PresenceKind::Probe, None) => reply_error(
            &Stanza::Presence(presence.clone()),
            &StanzaError::bad_request(),
        ),
        (PresenceKind::Error, Some(_)) => vec![Effect::Route(Stanza::Presence(presence.clone()))],
        _ => vec![Effect::Trace("presence", "for nobody")],
    }
}

fn has_good_priority(presence: &Presence) -> bool {
    let text = presence.payloads.text_of("priority", ns::CLIENT);
    text.is_none_or(|text| text.trim().parse::<i8>().is_ok())
}

/// Initial presence (§4.2.2) and presence updates (§4.4.2).
fn decide_available(presence: &Presence, session: &SessionFacts, facts: &Facts<'_>) -> Vec<Effect> {
    let mut effects = vec![Effect::Publish(Some(Box::new(presence.clone())))];
    effects.extend(announce::tell_everybody(presence, facts));
    if session.presence.is_none() {
        effects.extend(welcome(session, facts));
    }
    // XEP-0115: what the client can do, and with that what it wants to hear.
    effects.extend(caps::greet(presence, session, facts));
    // XEP-0160 §3: what has waited is due at the first presence that takes messages.
    let took_messages = session
        .presence
        .as_ref()
        .is_some_and(|before| before.priority() >= 0);
    if presence.priority() >= 0 && !took_messages {
        effects.push(Effect::DeliverOffline);
    }
    effects
}

/// What a resource that has just become available is shown.
fn welcome(session: &SessionFacts, facts: &Facts<'_>) -> Vec<Effect> {
    // §4.3.1: contacts elsewhere are asked, those of this server are looked up.
    let mut effects: Vec<Effect> = facts
        .seen_elsewhere()
        .map(|contact| Jid::from(contact.clone()))
        .filter(|contact| !blocking::is_blocked(contact, facts))
        .map(|contact| probe(&contact, session))
        .collect();
    effects.push(Effect::Load(Query::Viewers, show_contacts));
    // §3.1.3: requests nobody has answered come up again.
    effects.extend(subscription::waiting(facts));
    effects
}

/// Goes on with an initial presence when it is known whose presence the account may see.
///
/// By now the presence is published: whoever comes later finds it, and whoever came before is
/// found here.
pub fn show_contacts(_stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(session) = facts.session else {
        return vec![Effect::Trace("presence", "the session is gone")];
    };
    // §4.2.2: the account's other available resources.
    let mut effects = announce::own_others(session, facts);
    match answer {
        Answer::Viewers(showing) => effects.extend(contacts_shown(&showing, session, facts)),
        _ => effects.push(Effect::Trace("presence", "it is not known who may be seen")),
    }
    effects
}

fn contacts_shown(showing: &Showing, session: &SessionFacts, facts: &Facts<'_>) -> Vec<Effect> {
    // Row R15: both have to agree, ours that we see them and theirs that they let us.
    let agreed = facts.seen_by_both(showing, |colleague| facts.views.is_there(colleague));
    agreed
        .iter()
        .flat_map(|contact| announce::presences_of(&facts.views.view(contact)))
        // Row R16: the contact may be blocked, or one of its resources.
        .filter(|presence| {
            let from = presence.head.from.as_ref();
            !from.is_some_and(|from| blocking::is_blocked(from, facts))
        })
        .map(|presence| announce::reply_to(presence, session))
        .collect()
}

/// §4.5.2: the client says that it goes.
fn decide_unavailable(
    presence: &Presence,
    session: &SessionFacts,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let mut effects = say_goodbye(presence, session, facts);
    if effects.is_empty() {
        return vec![Effect::Trace("presence", "was unavailable before")];
    }
    // §4.5.2: also to the resource that goes.
    effects.push(announce::reply_to(presence.clone(), session));
    if session.presence.is_some() {
        effects.push(last_activity::goes());
    }
    effects
}

fn say_goodbye(presence: &Presence, session: &SessionFacts, facts: &Facts<'_>) -> Vec<Effect> {
    let mut effects = Vec::new();
    if session.presence.is_some() {
        effects.push(Effect::Publish(None));
        effects.extend(announce::tell_everybody(presence, facts));
    }
    effects.extend(directed::take_back(presence, session, facts));
    effects
}

/// What a session does when the directory shows its account otherwise to others: whoever has become
/// a colleague sees it, whoever is none any more sees it go. Those it concerns say the same for
/// themselves, each behind whatever they have said before.
pub fn decide_shifts(shifts: &[Shift], facts: &Facts<'_>) -> Vec<Effect> {
    let Some(session) = facts.session else {
        return Vec::new();
    };
    let Some(presence) = session.presence.as_deref() else {
        return Vec::new();
    };
    announce::tell_shifted(presence, shifts, session, facts)
}

/// What everybody is told when a session is there again that had been given up for lost.
pub fn decide_back(facts: &Facts<'_>) -> Vec<Effect> {
    let presence = facts.session.and_then(|session| session.presence.as_ref());
    presence.map_or_else(Vec::new, |presence| {
        announce::tell_everybody(presence, facts)
    })
}

/// What everybody is told when a session ends without having said so (RFC 6121 §4.5).
pub fn decide_gone(facts: &Facts<'_>) -> Vec<Effect> {
    let Some(session) = facts.session else {
        return Vec::new();
    };
    let head = Head {
        to: None,
        from: Some(session.jid.clone().into()),
        id: None,
        lang: None,
    };
    let presence = Presence {
        head,
        kind: PresenceKind::Unavailable,
        payloads: Payloads::default(),
    };
    say_goodbye(&presence, session, facts)
}

/// Asks for the presence of an account in this session's name, so that the answer comes to
/// it alone. §4.3.2: it is the account that answers, whichever resource was asked for.
pub(crate) fn probe(to: &Jid, session: &SessionFacts) -> Effect {
    let head = Head {
        to: Some(to.bare().into()),
        from: Some(session.jid.clone().into()),
        id: None,
        lang: None,
    };
    let kind = PresenceKind::Probe;
    Effect::Route(Stanza::Presence(Presence {
        head,
        kind,
        payloads: Payloads::default(),
    }))
}

/// Answers a probe for this account (RFC 6121 §4.3.2).
pub fn answer_probe(presence: &Presence, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(from) = &presence.head.from else {
        return vec![Effect::Trace("probe", "from nobody")];
    };
    let is_own = from.bare() == *facts.account;
    let state = State::of(facts.data.roster.items.get(&from.bare()));
    if !is_own && !facts.shows(from.bare_str()) {
        return refuse_probe(from, state, facts);
    }
    let shown = show_current(from, facts);
    if !shown.is_empty() {
        return shown;
    }
    // §4.3.2: nobody is there, said in the account's name.
    vec![tell(PresenceKind::Unavailable, from, facts)]
}

/// §4.3.2: whoever may not see the account is told that there is no subscription, and nothing
/// about the account that one without such an account would not be told.
fn refuse_probe(from: &Jid, state: State, facts: &Facts<'_>) -> Vec<Effect> {
    // DEVIATION: while their request waits for the user, they are told nothing: `unsubscribed`
    // would end the request on their side while it still stands on ours.
    if state.is_pending_in() {
        return vec![Effect::Trace("probe", "their request is not answered yet")];
    }
    vec![tell(PresenceKind::Unsubscribed, &from.bare().into(), facts)]
}

#[cfg(test)]
mod tests;
