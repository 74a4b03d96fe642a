//! What deserves a person's attention, which is what wakes a client in the background
//! ([`super::csi`]) and what a device that is away is told of ([`super::push`]): text,
//! encrypted content, calls, invitations; in rooms, being mentioned.
//!
//! A mention is the nick as a word in the text, a reference to the account or the occupant
//! (XEP-0372 version 0.6.0 §3.2), or content that cannot be read here: whoever encrypts must
//! not lose the notification by it.

use super::{Feature, Spec, chat, jingle, muc};
use crate::stanza::{Message, MessageKind};
use crate::xml::{Child, Element};

/// Direct invitations (XEP-0249).
const NS_CONFERENCE: &str = "jabber:x:conference";
/// References (XEP-0372).
pub const NS_REFERENCE: &str = "urn:xmpp:reference:0";

/// The feature: read by the server, announced by nobody.
pub const FEATURE: Feature = Feature {
    name: "attention",
    title: "References, read for mentions",
    spec: Spec::Xep {
        number: 372,
        version: "0.6.0",
    },
    ..Feature::NONE
};

/// Namespaces of encrypted content.
const ENCRYPTED: &[&str] = &[
    chat::NS_OMEMO,
    "urn:xmpp:omemo:2",
    "urn:xmpp:openpgp:0",
    "jabber:x:encrypted",
];

/// Tells whether a message carries content that only its recipient can read.
pub fn is_encrypted(message: &Message) -> bool {
    let mut children = message.payloads.iter();
    children.any(|child| ENCRYPTED.contains(&child.namespace()))
}

/// Tells whether a message is something a person is told of at once.
pub fn is_called_for(message: &Message) -> bool {
    if matches!(message.kind, MessageKind::Error | MessageKind::Headline) {
        return false;
    }
    message.has_body() && !is_retraction(message)
        || is_encrypted(message) && has_content(message)
        || is_call(message)
        || is_invitation(message)
}

/// XEP-0424 §5.1: the text of a retraction is for clients that do not know what it is.
fn is_retraction(message: &Message) -> bool {
    let is_it = |child: Child<'_>| {
        child.name() == "retract" && child.namespace().starts_with("urn:xmpp:message-retract:")
    };
    message.payloads.iter().any(is_it)
}

/// XEP-0384 version 0.3 §4.6: a message that transports nothing but keys is no message to a
/// person.
fn has_content(message: &Message) -> bool {
    match message.payloads.element("encrypted", chat::NS_OMEMO) {
        Some(encrypted) => encrypted.find("payload", chat::NS_OMEMO).is_some(),
        None => true,
    }
}

/// XEP-0353 §3: somebody calls, or the call is over before anybody took it.
pub fn is_call(message: &Message) -> bool {
    ["propose", "retract"]
        .iter()
        .any(|name| message.payloads.has(name, jingle::NS))
}

/// XEP-0045 §7.8 and XEP-0249.
pub fn is_invitation(message: &Message) -> bool {
    let mediated = message.payloads.element("x", muc::NS_USER);
    mediated.is_some_and(|x| x.find("invite", muc::NS_USER).is_some())
        || message.payloads.has("x", NS_CONFERENCE)
}

/// Tells whether what is said in a room calls for the account with this nick there.
pub fn is_mention(message: &Message, nick: Option<&str>, account: &str) -> bool {
    if is_encrypted(message) {
        return has_content(message);
    }
    let body = message.body();
    let by_nick = nick
        .zip(body.as_ref())
        .is_some_and(|(nick, body)| has_word(body, nick));
    by_nick
        || message
            .payloads
            .elements()
            .any(|element| refers(&element, nick, account))
}

fn refers(element: &Element, nick: Option<&str>, account: &str) -> bool {
    if !element.is("reference", NS_REFERENCE) || element.get("type") != Some("mention") {
        return false;
    }
    let Some(address) = element.get("uri").and_then(|uri| uri.strip_prefix("xmpp:")) else {
        return false;
    };
    let occupant = address.split_once('/').map(|(_, occupant)| occupant);
    address == account || occupant.is_some() && occupant == nick
}

/// Tells whether a text has this word, whatever the case, and not as a part of another word.
fn has_word(text: &str, word: &str) -> bool {
    let (text, word) = (text.to_lowercase(), word.to_lowercase());
    if word.is_empty() {
        return false;
    }
    let joins = |side: Option<char>| side.is_some_and(char::is_alphanumeric);
    text.match_indices(&word).any(|(at, found)| {
        let (before, after) = (&text[..at], &text[at + found.len()..]);
        !joins(before.chars().next_back()) && !joins(after.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::message;

    fn said(inner: &str) -> Message {
        message(&format!(
            "<message from='r@conference.x/n' type='groupchat'>{inner}</message>"
        ))
    }

    fn mentions(inner: &str) -> bool {
        is_mention(&said(inner), Some("Al"), "alice@example.org")
    }

    #[test]
    fn a_nick_is_a_mention_as_a_word_of_its_own_in_any_case() {
        for text in ["Al: hi", "hey al!", "thanks, AL", "al"] {
            assert!(mentions(&format!("<body>{text}</body>")), "{text}");
        }
        for text in ["also", "final", "hi all"] {
            assert!(!mentions(&format!("<body>{text}</body>")), "{text}");
        }
    }

    #[test]
    fn a_reference_to_the_account_or_the_occupant_is_a_mention() {
        let reference = |kind: &str, uri: &str| {
            mentions(&format!(
                "<body>x</body><reference xmlns='urn:xmpp:reference:0' type='{kind}' uri='{uri}'/>"
            ))
        };
        assert!(reference("mention", "xmpp:alice@example.org"));
        assert!(reference("mention", "xmpp:r@conference.x/Al"));
        assert!(!reference("mention", "xmpp:bob@example.org"));
        assert!(!reference("data", "xmpp:alice@example.org"));
    }

    #[test]
    fn what_is_encrypted_counts_as_a_mention_unless_it_is_keys_alone() {
        let omemo = |inner: &str| {
            format!("<encrypted xmlns='eu.siacs.conversations.axolotl'>{inner}</encrypted>")
        };
        assert!(mentions(&omemo("<payload>x</payload>")));
        assert!(!mentions(&omemo("<header sid='1'/>")));
    }

    #[test]
    fn text_calls_and_invitations_call_for_a_person_and_receipts_do_not() {
        for inner in [
            "<body>hi</body>",
            "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
            "<x xmlns='jabber:x:conference' jid='r@conference.x'/>",
            "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@x'/></x>",
            "<encrypted xmlns='urn:xmpp:omemo:2'/>",
        ] {
            let text = format!("<message type='chat'>{inner}</message>");
            assert!(is_called_for(&message(&text)), "{inner}");
        }
        for inner in [
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<proceed xmlns='urn:xmpp:jingle-message:0' id='1'/>",
            "<body>/me retracted</body><retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
        ] {
            let text = format!("<message type='chat'>{inner}</message>");
            assert!(!is_called_for(&message(&text)), "{inner}");
        }
    }
}
