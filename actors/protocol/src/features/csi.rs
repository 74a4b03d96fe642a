//! Client State Indication: XEP-0352 version 1.0.0,
//! <https://xmpp.org/extensions/xep-0352.html>
//!
//! While the client is in the background, presence and chat states wait, the last one of
//! each sender; anything else wakes it, and then everything that waited goes with it, so
//! that the radio is woken once. `<active/>` and `<inactive/>` themselves are the session's.

use super::{Feature, Spec, chat};
use crate::effect::{Effect, HoldKey};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::{PresenceKind, Stanza};

/// The namespace, and the stream feature that announces it (§3).
pub const NS: &str = "urn:xmpp:csi:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "csi",
    title: "Client State Indication",
    spec: Spec::Xep {
        number: 352,
        version: "1.0.0",
    },
    ..Feature::NONE
};

/// Writes a stanza, or holds it back while the client is inactive.
pub fn hold_or_reply(stanza: Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    if !facts.session.is_some_and(|session| session.inactive) {
        return vec![Effect::Reply(stanza)];
    }
    match hold_key(&stanza) {
        Some(key) => vec![Effect::Hold(key, stanza)],
        None => vec![Effect::Release, Effect::Reply(stanza)],
    }
}

/// What may wait, and what it replaces.
fn hold_key(stanza: &Stanza) -> Option<HoldKey> {
    let from = || stanza.from().cloned();
    match stanza {
        Stanza::Presence(presence) => {
            let is_state = matches!(
                presence.kind,
                PresenceKind::Available | PresenceKind::Unavailable
            );
            if is_state {
                from().map(HoldKey::Presence)
            } else {
                None
            }
        }
        Stanza::Message(message) if chat::is_chat_state_alone(message) => {
            from().map(|from| HoldKey::ChatState(Jid::from(from.bare())))
        }
        Stanza::Message(_) | Stanza::Iq(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{facts, stanza};

    const PRESENCE: &str = "<presence from='bob@example.org/x'/>";
    const TYPING: &str = "<message from='bob@example.org/x' type='chat'>\
        <composing xmlns='http://jabber.org/protocol/chatstates'/></message>";
    const CHAT: &str = "<message from='bob@example.org/x' type='chat'><body>hi</body></message>";
    const ASKS: &str = "<presence from='bob@example.org' type='subscribe'/>";

    #[test]
    fn an_active_client_gets_everything_at_once() {
        for text in [PRESENCE, TYPING, CHAT, ASKS] {
            let effects = hold_or_reply(stanza(text), &facts().facts());
            assert!(matches!(effects.as_slice(), [Effect::Reply(_)]));
        }
    }

    #[test]
    fn an_inactive_client_is_not_woken_for_presence_and_typing() {
        for text in [PRESENCE, TYPING] {
            let effects = hold_or_reply(stanza(text), &facts().inactive().facts());
            assert!(matches!(effects.as_slice(), [Effect::Hold(..)]), "{text}");
        }
    }

    #[test]
    fn what_matters_wakes_an_inactive_client_and_takes_along_what_waited() {
        for text in [CHAT, ASKS] {
            let effects = hold_or_reply(stanza(text), &facts().inactive().facts());
            assert!(
                matches!(effects.as_slice(), [Effect::Release, Effect::Reply(_)]),
                "{text}"
            );
        }
    }
}
