//! Message Carbons: XEP-0280 version 1.0.1,
//! <https://xmpp.org/extensions/xep-0280.html>
//!
//! Copies messages to the account's other resources. For what is kept this is the log seen
//! by another session ([`crate::routing::share`]); for what is not, copies are routed.

use super::blocking::is_blocked;
use super::{Feature, Scope, Spec, chat, jingle, set};
use crate::effect::{Effect, Flag};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::{Iq, Message, MessageKind, Stanza};
use crate::xml::{Child, Element, Payloads};

/// The namespace.
pub const NS: &str = "urn:xmpp:carbons:2";
/// The rules of §6.1 are followed to the letter.
pub const NS_RULES: &str = "urn:xmpp:carbons:rules:0";
/// Stanza Forwarding (XEP-0297).
pub const NS_FORWARD: &str = "urn:xmpp:forward:0";
const NS_HINTS: &str = super::hints::NS;
const NS_MUC_USER: &str = "http://jabber.org/protocol/muc#user";
const NS_CONFERENCE: &str = "jabber:x:conference";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "carbons",
    title: "Message Carbons",
    spec: Spec::Xep {
        number: 280,
        version: "1.0.1",
    },
    disco: &[NS, NS_RULES],
    iq: &[
        set(Scope::Own, NS, "enable", enable),
        set(Scope::Own, NS, "disable", disable),
    ],
    ..Feature::NONE
};

/// §4: enabling twice is no error (§10.1).
fn enable(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    vec![
        Effect::Flag(Flag::Carbons(true)),
        Effect::Reply(Stanza::Iq(iq.result(None))),
    ]
}

/// §5.
fn disable(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    vec![
        Effect::Flag(Flag::Carbons(false)),
        Effect::Reply(Stanza::Iq(iq.result(None))),
    ]
}

/// Tells whether a message is copied (§6.1).
pub fn is_eligible(message: &Message) -> bool {
    let payloads = &message.payloads;
    if is_private(message) {
        return false;
    }
    // MUC rules: a private message of an occupant reaches every joined device by itself; an
    // invitation is for the person, not for a device.
    if payloads.has("x", NS_MUC_USER) {
        return is_invitation(message);
    }
    match message.kind {
        MessageKind::Chat => true,
        MessageKind::Groupchat | MessageKind::Headline => false,
        MessageKind::Normal => message.has_body() || is_instant_messaging(message),
        // An error is a copy's business when the message it answers was.
        MessageKind::Error => message.has_body() || is_instant_messaging(message),
    }
}

/// The sender wants no copies (§9, XEP-0334 §4.2).
pub(crate) fn is_private(message: &Message) -> bool {
    let payloads = &message.payloads;
    payloads.has("private", NS) || payloads.has("no-copy", NS_HINTS)
}

fn is_instant_messaging(message: &Message) -> bool {
    chat::is_instant_messaging(message)
        || jingle::is_signalling(message)
        || message.payloads.has("x", NS_CONFERENCE)
}

fn is_invitation(message: &Message) -> bool {
    let invites = |x: Element| x.find("invite", NS_MUC_USER).is_some();
    message
        .payloads
        .element("x", NS_MUC_USER)
        .is_some_and(invites)
}

/// Takes carbon wrappers out of what a client sends (row R03): copies come from the server
/// alone, and a recipient's client cannot be fooled by what never reaches it.
pub fn strip_forged(message: Message) -> Message {
    let is_wrapper =
        |child: &Child<'_>| child.namespace() == NS && matches!(child.name(), "sent" | "received");
    if !message.payloads.iter().any(|child| is_wrapper(&child)) {
        return message;
    }
    let payloads = message.payloads.without(is_wrapper);
    Message {
        payloads,
        ..message
    }
}

/// The copies of a message that is eligible and kept in no log (§7, §8): to the sender's
/// other resources; those of the recipient are its own account's.
pub fn copy_unkept(message: &Message, facts: &Facts<'_>) -> Vec<Effect> {
    if !is_eligible(message) || message.kind == MessageKind::Error {
        return Vec::new();
    }
    let mut copies = copies(
        message,
        "sent",
        facts.account,
        message.head.from.as_ref(),
        facts,
    );
    let recipient = message
        .head
        .to
        .as_ref()
        .filter(|to| facts.host.serves(to.domain()));
    if let Some(to) = recipient.filter(|to| to.resource().is_some()) {
        copies.extend(copies_received(message, to, facts));
    }
    copies
}

/// The copies of a message from elsewhere that is eligible and kept in no log (§7): to the other
/// resources of the account that decides, unless it blocks the sender (row R16).
pub fn copy_arrived(message: &Message, facts: &Facts<'_>) -> Vec<Effect> {
    let head = &message.head;
    let is_blocked = head.from.as_ref().is_some_and(|it| is_blocked(it, facts));
    if !is_eligible(message) || message.kind == MessageKind::Error || is_blocked {
        return Vec::new();
    }
    let to = head.to.as_ref().and_then(|to| to.to_full());
    let bound = to.filter(|to| facts.resources().resource(to).is_some());
    match bound {
        Some(to) => copies(message, "received", facts.account, Some(&to.into()), facts),
        // All of its resources get the message itself.
        None => Vec::new(),
    }
}

fn copies_received(message: &Message, to: &Jid, facts: &Facts<'_>) -> Vec<Effect> {
    let account = to.bare();
    let is_bound = to
        .to_full()
        .is_some_and(|full| facts.views.view(&account).resource(&full).is_some());
    // A missing resource counts as the account: all of its resources get the message itself.
    if !is_bound || account == *facts.account {
        return Vec::new();
    }
    copies(message, "received", &account, Some(to), facts)
}

/// A copy for each resource with carbons but the one the message came from or went to.
fn copies(
    message: &Message,
    direction: &'static str,
    account: &crate::jid::BareJid,
    but: Option<&Jid>,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let view = facts.views.view(account);
    let others = view.resources.iter().filter(|resource| {
        resource.carbons && but.is_none_or(|but| but.as_str() != resource.jid.as_str())
    });
    let copy = |resource: &crate::facts::Resource| {
        let mut copy = wrap(message.clone(), direction);
        copy.head.from = Some(account.clone().into());
        copy.head.to = Some(resource.jid.clone().into());
        Effect::Route(Stanza::Message(copy))
    };
    others.map(copy).collect()
}

/// The copy of what another resource has sent (§8).
pub fn wrap_sent(message: Message, facts: &Facts<'_>) -> Message {
    addressed(wrap(message, "sent"), facts)
}

/// The copy of what another resource has received (§7).
pub fn wrap_received(message: Message, facts: &Facts<'_>) -> Message {
    addressed(wrap(message, "received"), facts)
}

/// From the account, to the resource (§7, §8).
fn addressed(mut copy: Message, facts: &Facts<'_>) -> Message {
    copy.head.from = Some(facts.account.clone().into());
    copy.head.to = facts.session.map(|session| session.jid.clone().into());
    copy
}

fn wrap(message: Message, direction: &'static str) -> Message {
    let kind = message.kind;
    let mut original = Vec::new();
    Stanza::Message(message).write_framed(&mut original);
    let forwarded = Element::new("forwarded", NS_FORWARD).raw_child(original.into());
    let mut payloads = Payloads::default();
    payloads.push(&Element::new(direction, NS).child(forwarded));
    Message {
        head: Default::default(),
        kind,
        payloads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::message;

    fn eligible(text: &str) -> bool {
        is_eligible(&message(text))
    }

    #[test]
    fn the_rules_of_section_six_one_hold() {
        assert!(eligible("<message type='chat'/>"));
        assert!(eligible("<message><body>hi</body></message>"));
        assert!(!eligible("<message><x xmlns='any'/></message>"));
        assert!(eligible(
            "<message><received xmlns='urn:xmpp:receipts' id='1'/></message>"
        ));
        assert!(!eligible(
            "<message type='groupchat'><body>hi</body></message>"
        ));
        assert!(!eligible(
            "<message type='headline'><body>hi</body></message>"
        ));
        assert!(eligible(
            "<message><x xmlns='jabber:x:conference' jid='r@c.x'/></message>"
        ));
    }

    #[test]
    fn a_private_message_is_not_copied() {
        let private = "<private xmlns='urn:xmpp:carbons:2'/>";
        assert!(!eligible(&format!(
            "<message type='chat'><body>hi</body>{private}</message>"
        )));
        let no_copy = "<no-copy xmlns='urn:xmpp:hints'/>";
        assert!(!eligible(&format!(
            "<message type='chat'><body>hi</body>{no_copy}</message>"
        )));
    }

    #[test]
    fn an_occupants_private_message_is_not_copied_and_an_invitation_is() {
        let muc = |inner: &str| {
            format!(
                "<message type='chat'><body>hi</body><x xmlns='{NS_MUC_USER}'>{inner}</x></message>"
            )
        };
        assert!(!eligible(&muc("")));
        assert!(eligible(&muc("<invite to='a@x'/>")));
    }

    #[test]
    fn r03_a_clients_own_carbon_is_taken_out() {
        let forged = "<message type='chat'><body>hi</body><sent xmlns='urn:xmpp:carbons:2'>\
            <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@x'/></forwarded>\
            </sent></message>";
        let clean = strip_forged(message(forged));
        assert!(!clean.payloads.has("sent", NS) && clean.has_body());
    }
}
