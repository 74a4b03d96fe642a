//! Message Processing Hints: XEP-0334 version 0.4.0,
//! <https://xmpp.org/extensions/xep-0334.html>
//!
//! Decides which messages are kept in the logs. Carried, not looked at: `<no-permanent-store/>`
//! speaks of archives that are not this log alone; a message with it is kept until every
//! cursor has passed it, like all others, so it counts as `<no-store/>` here.

use super::{Feature, Spec, chat, jingle};
use crate::stanza::{Message, MessageKind};

/// The namespace.
pub const NS: &str = "urn:xmpp:hints";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "hints",
    title: "Message Processing Hints",
    spec: Spec::Xep {
        number: 334,
        version: "0.4.0",
    },
    disco: &[NS],
    ..Feature::NONE
};

/// Tells whether a message is kept in the logs.
///
/// Kept is what a person would miss on another device (XEP-0313 §6.1.1: messages that hold
/// meaningful content): text, encrypted content, and what refers to a message.
pub fn is_kept(message: &Message) -> bool {
    if !matches!(message.kind, MessageKind::Chat | MessageKind::Normal) {
        return false;
    }
    // §4.4: the sender's word counts, whatever the message holds.
    if message.payloads.has("store", NS) {
        return true;
    }
    if message.payloads.has("no-store", NS) || message.payloads.has("no-permanent-store", NS) {
        return false;
    }
    message.has_body() || chat::is_lasting(message) || jingle::is_lasting(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::message;

    #[test]
    fn what_has_text_is_kept_and_what_only_passes_is_not() {
        assert!(is_kept(&message(
            "<message type='chat'><body>hi</body></message>"
        )));
        assert!(is_kept(&message("<message><body>hi</body></message>")));
        let state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
        assert!(!is_kept(&message(&format!(
            "<message type='chat'>{state}</message>"
        ))));
        assert!(!is_kept(&message(
            "<message type='headline'><body>hi</body></message>"
        )));
        assert!(!is_kept(&message(
            "<message type='error'><body>hi</body></message>"
        )));
    }

    #[test]
    fn the_senders_hint_counts_more_than_the_content() {
        let no = "<message type='chat'><body>hi</body><no-store xmlns='urn:xmpp:hints'/></message>";
        assert!(!is_kept(&message(no)));
        let yes = "<message type='chat'><x xmlns='any'/><store xmlns='urn:xmpp:hints'/></message>";
        assert!(is_kept(&message(yes)));
    }

    #[test]
    fn receipts_markers_reactions_and_encrypted_content_are_kept() {
        for payload in [
            "<received xmlns='urn:xmpp:receipts' id='1'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>x</reaction></reactions>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "<encrypted xmlns='urn:xmpp:omemo:2'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
        ] {
            let text = format!("<message type='chat'>{payload}</message>");
            assert!(is_kept(&message(&text)), "{payload}");
        }
    }
}
