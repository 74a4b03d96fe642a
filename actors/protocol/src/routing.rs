//! Who gets a stanza: RFC 6121 §8, as a pure function of the stanza and the account's resources.
//!
//! Three questions are answered here. For a stanza that is kept nowhere: which resources get
//! it, or what the sender is told ([`route`]). For an entry of an account's log: what each
//! session's share of it is ([`share`]); every session answers that for itself, wherever it is.
//! For a message on its way: whether its recipient knows the sender ([`stranger`]).

use crate::archive::Direction;
use crate::facts::{AccountView, Facts, Resource};
use crate::features::carbons;
use crate::jid::{BareJid, FullJid, Jid};
use crate::stanza::{IqKind, Message, MessageKind, PresenceKind, Stanza, StanzaError};

/// Where a stanza goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Routed {
    /// To these sessions.
    Sessions(Vec<FullJid>),
    /// The server answers for the account.
    Account,
    /// Nowhere, and the sender is told so.
    Refused(StanzaError),
    /// Nowhere, silently, for this reason.
    Dropped(&'static str),
}

/// What a session gets of an entry in its account's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Share {
    /// Nothing.
    Nothing,
    /// The message.
    Addressed,
    /// The message, with the time at which it was sent: it has been waiting (XEP-0160, XEP-0203).
    Late,
    /// A copy of what another resource has sent (XEP-0280 §6).
    CarbonSent,
    /// A copy of what another resource has received (XEP-0280 §7).
    CarbonReceived,
}

/// Finds the way of a stanza that is kept nowhere and whose address is an account of ours,
/// known to exist when `view` has resources.
pub fn route(stanza: &Stanza, view: &AccountView) -> Routed {
    let Some(to) = stanza.to() else {
        return Routed::Account;
    };
    match to.to_full() {
        Some(full) if view.resource(&full).is_some() => Routed::Sessions(vec![full]),
        Some(_) => route_to_missing_resource(stanza, view),
        None => route_to_account(stanza, view),
    }
}

/// Row R17: whom a message goes to, if that is an account of this server and a stranger to the
/// sender: neither sees the other's presence, and the other has not asked for it. The sender's
/// roster says so, which is at hand, and which the sender cannot change so without the other; or
/// the organisation's directory does.
///
/// `None` of rooms, services and components, which have limits of their own, and of oneself.
pub fn stranger(stanza: &Stanza, facts: &Facts<'_>) -> Option<BareJid> {
    let Stanza::Message(message) = stanza else {
        return None;
    };
    let to = message.head.to.as_ref()?;
    let is_account = to.localpart().is_some() && facts.host.serves(to.domain());
    if !is_account || to.bare_str() == facts.account.as_str() {
        return None;
    }
    let contact = facts.data.roster.items.get(to.bare_str());
    let has_asked = contact.is_some_and(|contact| contact.pending_in.is_some());
    (!has_asked && !facts.is_acquainted(to.bare_str())).then(|| to.bare())
}

/// RFC 6121 §8.5.3.2: no such resource.
fn route_to_missing_resource(stanza: &Stanza, view: &AccountView) -> Routed {
    match stanza {
        // §8.5.3.2.1: a chat message goes on as if sent to the account; others do not.
        Stanza::Message(message) => match message.kind {
            MessageKind::Chat | MessageKind::Normal => message_to_account(message, view),
            MessageKind::Groupchat => Routed::Refused(StanzaError::service_unavailable()),
            MessageKind::Headline | MessageKind::Error => Routed::Dropped("no such resource"),
        },
        // §8.5.3.2.2.
        Stanza::Presence(presence) => match presence.kind {
            PresenceKind::Probe
            | PresenceKind::Subscribe
            | PresenceKind::Subscribed
            | PresenceKind::Unsubscribe
            | PresenceKind::Unsubscribed => Routed::Account,
            _ => Routed::Dropped("no such resource"),
        },
        // §8.5.3.2.3.
        Stanza::Iq(iq) => match iq.kind {
            IqKind::Get | IqKind::Set => Routed::Refused(StanzaError::service_unavailable()),
            IqKind::Result | IqKind::Error => Routed::Dropped("no such resource"),
        },
    }
}

/// RFC 6121 §8.5.1 and §8.5.2: the account itself is addressed.
fn route_to_account(stanza: &Stanza, view: &AccountView) -> Routed {
    match stanza {
        Stanza::Message(message) => message_to_account(message, view),
        // §8.5.2.1.2: presence goes to all available resources; the rest is the server's.
        Stanza::Presence(presence) => match presence.kind {
            PresenceKind::Available | PresenceKind::Unavailable | PresenceKind::Error => {
                sessions(view.available())
            }
            _ => Routed::Account,
        },
        // §8.5.2.1.3: the server answers on behalf of the account.
        Stanza::Iq(_) => Routed::Account,
    }
}

/// RFC 6121 §8.5.2.1.1, for messages that are not kept.
fn message_to_account(message: &Message, view: &AccountView) -> Routed {
    let takers = || {
        let takes = |resource: &&Resource| resource.takes_messages();
        match sessions(view.resources.iter().filter(takes)) {
            // §8.5.2.2.1: text that nobody takes and nothing keeps is not lost in silence.
            Routed::Dropped(_) if message.has_body() && message.kind != MessageKind::Headline => {
                Routed::Refused(StanzaError::service_unavailable())
            }
            routed => routed,
        }
    };
    match message.kind {
        // All non-negative resources, which is one of the two ways the RFC allows: the user
        // answers from the device at hand, not from the one that was touched last.
        MessageKind::Normal | MessageKind::Chat | MessageKind::Headline => takers(),
        // An account is no room.
        MessageKind::Groupchat => Routed::Refused(StanzaError::service_unavailable()),
        MessageKind::Error => Routed::Dropped("an error for the account itself"),
    }
}

fn sessions<'a>(resources: impl Iterator<Item = &'a Resource>) -> Routed {
    let sessions: Vec<FullJid> = resources.map(|resource| resource.jid.clone()).collect();
    if sessions.is_empty() {
        return Routed::Dropped("nobody is there");
    }
    Routed::Sessions(sessions)
}

/// What this resource gets of an entry that has just been committed to its account's log.
///
/// `sender` is the full JID that sent it; the session it came from gets nothing back.
pub fn share(message: &Message, direction: Direction, me: &Resource, view: &AccountView) -> Share {
    match direction {
        Direction::Sent => share_of_sent(message, me),
        Direction::Received => share_of_received(message, me, view),
        // To oneself: delivered as received; the sending session takes part (RFC 6121 §8.5.2).
        Direction::Own => share_of_received(message, me, view),
    }
}

fn share_of_sent(message: &Message, me: &Resource) -> Share {
    let is_mine = message
        .head
        .from
        .as_ref()
        .is_some_and(|from| from.as_str() == me.jid.as_str());
    if me.carbons && !is_mine && carbons::is_eligible(message) {
        return Share::CarbonSent;
    }
    Share::Nothing
}

fn share_of_received(message: &Message, me: &Resource, view: &AccountView) -> Share {
    match addressed_resource(message.head.to.as_ref(), view) {
        Some(full) if full == me.jid => Share::Addressed,
        Some(_) if me.carbons && carbons::is_eligible(message) => Share::CarbonReceived,
        Some(_) => Share::Nothing,
        None if me.takes_messages() => Share::Addressed,
        // XEP-0280 §7.1: a resource with negative priority still gets its copy.
        None if me.carbons && me.presence.is_some() && carbons::is_eligible(message) => {
            Share::CarbonReceived
        }
        None => Share::Nothing,
    }
}

/// The resource a message is for, if it is connected; a missing one counts as the account
/// (RFC 6121 §8.5.3.2.1).
fn addressed_resource(to: Option<&Jid>, view: &AccountView) -> Option<FullJid> {
    let full = to?.to_full()?;
    view.resource(&full)?;
    Some(full)
}

/// What a session that becomes available gets of an entry that has been waiting in the log.
pub fn share_of_waiting(message: &Message, direction: Direction) -> Share {
    match direction {
        Direction::Sent => Share::Nothing,
        Direction::Own | Direction::Received if message.kind == MessageKind::Headline => {
            Share::Nothing
        }
        Direction::Own | Direction::Received => Share::Late,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::roster::Subscription;
    use crate::testkit::{Given, facts, item, stanza};
    use bytes::Bytes;

    const TO_JULIET: &str = "<message to='juliet@example.org/chamber'><body>hi</body></message>";

    fn stranger_of(given: &Given, xml: &str) -> Option<String> {
        let stranger = stranger(&stanza(xml), &given.facts());
        stranger.map(|jid| jid.to_string())
    }

    #[test]
    fn r17_a_stranger_is_who_has_no_subscription_in_either_direction() {
        let juliet = Some("juliet@example.org".to_owned());
        assert_eq!(stranger_of(&facts(), TO_JULIET), juliet);
        let put = facts().contact("juliet@example.org", Subscription::None);
        assert_eq!(stranger_of(&put, TO_JULIET), juliet);
        for subscription in [Subscription::To, Subscription::From, Subscription::Both] {
            let given = facts().contact("juliet@example.org", subscription);
            assert_eq!(stranger_of(&given, TO_JULIET), None);
        }
        let mut asking = item("juliet@example.org", Subscription::None);
        asking.pending_in = Some(Bytes::from_static(b"<presence/>"));
        assert_eq!(stranger_of(&facts().item(asking), TO_JULIET), None);
        // To have asked makes nobody known.
        let mut asked = item("juliet@example.org", Subscription::None);
        asked.ask = true;
        assert_eq!(stranger_of(&facts().item(asked), TO_JULIET), juliet);
    }

    #[test]
    fn r17_oneself_rooms_services_and_components_are_no_strangers() {
        for to in [
            "romeo@example.org/orchard",
            "example.org",
            "room@conference.example.org",
            "room@conference.example.org/Juliet",
            "pubsub.example.org",
            "somebody@bot.example.org",
        ] {
            let message = format!("<message to='{to}'><body>hi</body></message>");
            assert_eq!(stranger_of(&facts(), &message), None, "{to}");
        }
        assert_eq!(stranger_of(&facts(), "<message/>"), None);
        let request = "<iq type='get' id='1' to='juliet@example.org'><x xmlns='urn:x'/></iq>";
        assert_eq!(stranger_of(&facts(), request), None);
    }

    #[test]
    fn r17_colleague_is_no_stranger() {
        let given = facts().group("Office", &["romeo", "juliet"]);
        assert_eq!(stranger_of(&given, TO_JULIET), None);
        let given = facts().group("Office", &["romeo", "paris"]);
        assert!(stranger_of(&given, TO_JULIET).is_some());
    }
}
