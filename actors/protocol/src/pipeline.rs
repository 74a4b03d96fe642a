//! The order in which features see a stanza.
//!
//! Five entrances, one for each place a stanza can come from. The order of the lines is the
//! order of the decisions; each says why it stands where it stands.

use crate::colleagues::rooms;
use crate::effect::{Effect, Keep};
use crate::facts::Facts;
use crate::features::{
    Scope, Service, avatar, blocking, caps, carbons, csi, decide_request, disco, hints, mam, mds,
    muc, offline, ping, presence, pubsub, refuse, roster, stanza_id, subscription, time, version,
};
use crate::jid::Jid;
use crate::routing::Share;
use crate::stanza::{
    Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Stanza, StanzaError,
};
use crate::tenancy;
use crate::time::Timestamp;

/// Decides a stanza that the client of this session has sent. Its `from` has been set to
/// the session's full JID (RFC 6120 §8.1.2.1).
pub fn decide_sent(stanza: &Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    // XEP-0191 §3.2: nothing goes to an address one blocks, whatever its kind.
    if let Some(error) = blocking::refuse_outgoing(stanza, facts) {
        return reply_error(stanza, &error);
    }
    // Nobody has the address of a group, so nobody else would answer for it.
    if let Some(error) = rooms::redirect(stanza, facts) {
        return reply_error(stanza, &error);
    }
    if let Some(stanza) = to_owner(stanza, facts) {
        return decide_sent(&stanza, facts);
    }
    match stanza {
        Stanza::Message(message) => decide_sent_message(message, facts),
        Stanza::Presence(presence) => decide_sent_presence(presence, facts),
        Stanza::Iq(iq) => decide_sent_iq(iq, facts),
    }
}

/// What is for an alias is for whose alias it is: logs, rosters and clients know the one address.
/// A request keeps its address, which the answer has to come from, and is led there on its way.
fn to_owner(stanza: &Stanza, facts: &Facts<'_>) -> Option<Stanza> {
    if matches!(stanza, Stanza::Iq(_)) {
        return None;
    }
    // Row R14: whose an alias is that is kept apart is not told.
    let to = stanza.to().filter(|to| !facts.is_apart(to))?;
    let owner = facts.views.book().readdressed(to)?;
    let mut stanza = stanza.clone();
    stanza.head_mut().to = Some(owner);
    Some(stanza)
}

fn decide_sent_message(message: &Message, facts: &Facts<'_>) -> Vec<Effect> {
    let mut message = message.clone();
    // RFC 6120 §10.3.1: without an address a message is for the sender's own account.
    if message.head.to.is_none() {
        message.head.to = Some(Jid::from(facts.account.clone()));
    }
    // XEP-0359 §5: ids in our name are ours to give, so forged ones go before anything is kept.
    message = stanza_id::strip_forged(message, facts);
    // XEP-0280 §11 and row R03: carbons come from the server alone.
    message = carbons::strip_forged(message);
    // Row M08: what rooms say comes from rooms.
    message = muc::strip_forged(message, facts);
    // XEP-0045 §7.8.2: whoever is invited by an alias.
    message = muc::invite::to_owners(message, facts);
    // XEP-0313 §11 and row R05: results come from archives, and no client is one.
    message = mam::strip_forged(message);
    // XEP-0060 §8.6: an answer to what the account itself has asked is no message to anybody.
    if message.head.to.as_ref().map(Jid::as_str) == Some(facts.account.as_str())
        && let Some(effects) = pubsub::decide_message(&message, facts)
    {
        return effects;
    }
    // XEP-0490 §5.2: what the account's own devices are told is taken out before anything is
    // kept or copied.
    let assist = mds::assist(&mut message, facts);
    // What stands in the log is decided last, when the message is what it will be.
    if facts.host.archive
        && hints::is_kept(&message)
        && let Some(keep) = keep(message.clone(), facts)
    {
        return assist.into_iter().chain([Effect::Keep(keep)]).collect();
    }
    // What the room keeps for both sides is copied out of the logs.
    let mut effects = match muc::is_kept_private(&message, facts) {
        true => Vec::new(),
        false => carbons::copy_unkept(&message, facts),
    };
    effects.insert(0, Effect::Route(Stanza::Message(message)));
    effects.splice(0..0, assist);
    effects
}

/// What goes to the logs; `None` when the recipient is neither an account of this server nor
/// a component's.
fn keep(message: Message, facts: &Facts<'_>) -> Option<Keep> {
    let to = message.head.to.as_ref()?;
    let is_account = is_account(to, facts);
    // Row R14: what does not get there is kept nowhere either.
    if facts.is_apart(to) {
        return None;
    }
    if !is_account && facts.host.component(to.domain()).is_none() {
        return None;
    }
    let is_own = to.bare_str() == facts.account.as_str();
    let recipient = (is_account && !is_own).then(|| to.bare());
    // XEP-0441 §2.1: colleagues are contacts, for preferences as for the client that shows them.
    let are_colleagues = recipient.is_some() && facts.is_colleague(to.bare_str());
    let dedup = stanza_id::dedup_key(&message);
    Some(Keep {
        message,
        recipient,
        are_colleagues,
        dedup,
    })
}

fn is_account(to: &Jid, facts: &Facts<'_>) -> bool {
    facts.host.serves(to.domain()) && to.localpart().is_some()
}

/// Decides a stanza from elsewhere: from a component, whose addresses have been checked.
/// `facts.account` is the address it is for, with the account's data when it is connected;
/// `facts.session` is `None`.
pub fn decide_arrived(stanza: &Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    if let Some(stanza) = to_owner(stanza, facts) {
        return decide_arrived(&stanza, facts);
    }
    match stanza {
        Stanza::Message(message) => decide_arrived_message(message, facts),
        Stanza::Iq(iq) if is_for_server(stanza, facts) => decide_foreign_request(iq, facts),
        _ => vec![Effect::Route(stanza.clone())],
    }
}

fn decide_arrived_message(message: &Message, facts: &Facts<'_>) -> Vec<Effect> {
    // As of what clients send: rows R06, R03, R05.
    let message = stanza_id::strip_forged(message.clone(), facts);
    let message = carbons::strip_forged(message);
    let message = mam::strip_forged(message);
    let to = message.head.to.as_ref();
    // Row R14: what does not get there is not kept there; the router refuses it.
    let from = message.head.from.as_ref();
    let reaches = |to: &&Jid| {
        let is_apart = |from| tenancy::are_apart(from, to, facts.host, &facts.book());
        is_account(to, facts) && !from.is_some_and(is_apart)
    };
    let recipient = to.filter(reaches).map(Jid::bare);
    if let Some(recipient) = recipient.filter(|_| facts.host.archive && hints::is_kept(&message)) {
        let dedup = stanza_id::dedup_key(&message);
        return vec![Effect::Keep(Keep {
            message,
            recipient: Some(recipient),
            // A component is nobody's colleague.
            are_colleagues: false,
            dedup,
        })];
    }
    let mut effects = carbons::copy_arrived(&message, facts);
    effects.insert(0, Effect::Route(Stanza::Message(message)));
    effects
}

fn is_for_server(stanza: &Stanza, facts: &Facts<'_>) -> bool {
    let is_apart = || tenancy::keeps_back(stanza, facts.host, &facts.book());
    stanza.to().is_some_and(|to| {
        let is_host = to.localpart().is_none() && to.resource().is_none();
        is_host && facts.host.serves(to.domain()) && !is_apart()
    })
}

/// What the server tells anybody. The rest is for its own accounts: what others would ask for,
/// such as credentials for calls, is not theirs.
const TOLD_TO_ANYBODY: &[&str] = &[
    disco::NS_INFO,
    disco::NS_ITEMS,
    ping::NS,
    time::NS,
    version::NS,
];

fn decide_foreign_request(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let is_told = iq
        .payload()
        .is_some_and(|payload| TOLD_TO_ANYBODY.contains(&payload.namespace()));
    match iq.kind {
        IqKind::Get | IqKind::Set if is_told => decide_request(iq, Scope::Server, facts),
        IqKind::Get | IqKind::Set => refuse(iq, StanzaError::service_unavailable()),
        IqKind::Result | IqKind::Error => vec![Effect::Trace("iq answer", "to nothing")],
    }
}

fn decide_sent_presence(presence: &Presence, facts: &Facts<'_>) -> Vec<Effect> {
    match presence.kind {
        PresenceKind::Subscribe
        | PresenceKind::Subscribed
        | PresenceKind::Unsubscribe
        | PresenceKind::Unsubscribed => subscription::decide_outbound(presence, facts),
        // XEP-0398 §4: with the hash of the avatar, before anybody sees it.
        _ => presence::decide_sent(&avatar::inject(presence, facts), facts),
    }
}

fn decide_sent_iq(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(scope) = scope_of(iq, facts) else {
        return vec![Effect::Route(Stanza::Iq(iq.clone()))];
    };
    match iq.kind {
        IqKind::Get | IqKind::Set => decide_request(iq, scope, facts),
        // Answers to what the server itself has asked: pushes, and what a client can do.
        IqKind::Result | IqKind::Error => caps::take_answer(iq, facts)
            .unwrap_or_else(|| vec![Effect::Trace("iq answer", "to the server: taken")]),
    }
}

/// Tells whether the server answers this request, and as whom (RFC 6120 §10.3, §10.5).
fn scope_of(iq: &Iq, facts: &Facts<'_>) -> Option<Scope> {
    let Some(to) = &iq.head.to else {
        return Some(Scope::Own);
    };
    if to.as_str() == facts.account.as_str() {
        return Some(Scope::Own);
    }
    let is_host = to.localpart().is_none() && to.resource().is_none();
    // Row R14: what it is told by a domain that is kept apart from it the router says.
    let is_ours = facts.host.serves(to.domain()) && !facts.is_apart(to);
    (is_host && is_ours).then_some(Scope::Server)
}

/// Decides a stanza addressed to this account's bare JID that the server answers for it:
/// requests, subscriptions and probes. `facts.session` is `None`.
pub fn decide_account(stanza: &Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    // Row R16: what is blocked does not reach the account on any way.
    if let Some(effects) = blocking::refuse_incoming(stanza, facts) {
        return effects;
    }
    match stanza {
        Stanza::Iq(iq) if matches!(iq.kind, IqKind::Get | IqKind::Set) => {
            decide_request(iq, Scope::Account, facts)
        }
        Stanza::Presence(presence) if presence.kind == PresenceKind::Probe => {
            presence::answer_probe(presence, facts)
        }
        Stanza::Presence(presence) => subscription::decide_inbound(presence, facts),
        _ => vec![Effect::Trace("account", "nothing to do for the server")],
    }
}

/// Decides a stanza addressed to a service of a domain. `facts.account` is the service.
pub fn decide_service(stanza: &Stanza, service: Service, facts: &Facts<'_>) -> Vec<Effect> {
    match stanza {
        Stanza::Iq(iq) if matches!(iq.kind, IqKind::Get | IqKind::Set) => {
            decide_request(iq, Scope::Service(service), facts)
        }
        Stanza::Message(message) => {
            let decided = match service {
                Service::Pubsub => pubsub::decide_message(message, facts),
                // Rooms have actors, which decide for themselves; the others are asked.
                Service::Rooms | Service::Upload | Service::Push | Service::People => None,
            };
            decided.unwrap_or_else(|| vec![Effect::Trace("service", "a message it cannot read")])
        }
        _ => vec![Effect::Trace("service", "nothing to do")],
    }
}

/// Decides a stanza that arrives for this session and stands in no log.
pub fn decide_delivered(stanza: &Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    if let Some(effects) = blocking::refuse_incoming(stanza, facts) {
        return effects;
    }
    // Row R04: roster and block list pushes come from the server alone.
    if roster::is_forged_push(stanza, facts) {
        return refuse_forged(stanza);
    }
    // XEP-0352: an inactive client is woken for what matters only; last, because only what
    // is delivered can be held back.
    csi::hold_or_reply(stanza.clone(), facts)
}

/// Tells whether what is decided of this stanza, be it delivered or an entry of a room's log,
/// is that the client gets it as it is. What many get need not be copied for each then.
pub fn is_passed_on(stanza: &Stanza, facts: &Facts<'_>) -> bool {
    let is_active = facts.session.is_some_and(|session| !session.inactive);
    is_active && facts.data.blocklist.jids.is_empty() && !matches!(stanza, Stanza::Iq(_))
}

/// Decides an entry of a room's log that this session has taken. Whether it may wait there
/// for the client (XEP-0352) was asked before.
pub fn decide_room_entry(stanza: &Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    if let Some(effects) = blocking::refuse_incoming(stanza, facts) {
        return effects;
    }
    csi::reply(stanza.clone(), facts)
}

/// RFC 6120 §8.4: as a client would that does not understand the request.
fn refuse_forged(stanza: &Stanza) -> Vec<Effect> {
    let error = stanza.error_reply(&StanzaError::service_unavailable());
    vec![error.map_or(Effect::Trace("push", "forged"), Effect::Route)]
}

/// Decides an entry of the account's log, as this session's share of it.
pub fn decide_entry(
    id: u64,
    stamp: Timestamp,
    message: &Message,
    share: Share,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    // XEP-0359 §3: the id this account's archive gave it.
    let message = stanza_id::stamp(message.clone(), facts.account, id);
    let message = match share {
        Share::Nothing => return vec![Effect::Trace("entry", "not for this session")],
        Share::Addressed => muc::addressed(message, facts),
        // XEP-0203: what was missed says when it was sent.
        Share::Late => offline::delayed(message, facts, stamp),
        Share::CarbonSent => carbons::wrap_sent(message, facts),
        Share::CarbonReceived => carbons::wrap_received(message, facts),
    };
    csi::reply(Stanza::Message(message), facts)
}

/// The answer to a stanza that is refused; none to one that must not be answered.
pub fn reply_error(stanza: &Stanza, error: &StanzaError) -> Vec<Effect> {
    if let Stanza::Iq(iq) = stanza {
        return refuse(iq, error.clone());
    }
    stanza
        .error_reply(error)
        .map(Effect::Reply)
        .into_iter()
        .collect()
}

/// Messages of these kinds have an addressee who can do something with a refusal.
pub fn is_answerable(message: &Message) -> bool {
    message.kind != MessageKind::Error
}
