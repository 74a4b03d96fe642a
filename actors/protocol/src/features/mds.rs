//! Message Displayed Synchronization: XEP-0490 version 1.0.1,
//! <https://xmpp.org/extensions/xep-0490.html>
//!
//! The state itself is a node like any other. Here: server assist (§4.5.1), by which one
//! message tells the other side and the account's own devices.

use super::pubsub::node::{Ask, Found, Item, Wanted};
use super::pubsub::request::to_payload;
use super::pubsub::{load, pep, publish_own};
use super::{Feature, Spec};
use crate::effect::{Answer, Effect};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::{Message, Stanza};

/// The namespace of the element, and the node.
pub const NS: &str = "urn:xmpp:mds:displayed:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "mds",
    title: "Message Displayed Synchronization",
    spec: Spec::Xep {
        number: 490,
        version: "1.0.1",
    },
    disco_account: &["urn:xmpp:mds:server-assist:0"],
    ..Feature::NONE
};

/// Bytes of the element: an address and an id, with room to spare.
const DISPLAYED_BYTES_MAX: usize = 8192;

/// Takes the element out of a message, for it is the account's own, and publishes it; nothing
/// when there is none.
pub(crate) fn assist(message: &mut Message, facts: &Facts<'_>) -> Option<Effect> {
    if !message.payloads.has("displayed", NS) {
        return None;
    }
    message.payloads = message.payloads.without(|child| child.is("displayed", NS));
    let id = message.head.to.as_ref()?.to_string();
    let ask = Ask::Node {
        node: NS.to_owned(),
        items: Wanted::Ids(vec![id]),
        creator: facts.account.clone(),
    };
    Some(load(ask, facts, publish))
}

/// Goes on when the node is known. The message is on its way whatever becomes of this: what
/// is displayed where is nothing to lose a message for.
fn publish(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let (Stanza::Message(message), Answer::Pubsub(found)) = (stanza, answer) else {
        return vec![Effect::Trace("displayed", "the store does not answer")];
    };
    let (Found::Node(found), Some(displayed)) = (*found, message.payloads.element("displayed", NS))
    else {
        return Vec::new();
    };
    let payload = to_payload(&displayed);
    // §4.5.3: the address as it is written.
    let id = message
        .head
        .to
        .as_ref()
        .map_or_else(|| facts.account.to_string(), Jid::to_string);
    let is_known = found.items.iter().any(|item| item.payload == payload);
    if is_known || payload.len() > DISPLAYED_BYTES_MAX {
        return vec![Effect::Trace("displayed", "nothing new, or too large")];
    }
    let item = Item {
        id,
        publisher: facts.account.clone().into(),
        stamp: facts.now,
        payload,
    };
    publish_own(NS, found.node.as_ref(), pep::private_config(), item, facts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Query;
    use crate::testkit::*;

    const DISPLAYED: &str = "<displayed xmlns='urn:xmpp:mds:displayed:0'>\
        <stanza-id xmlns='urn:xmpp:sid:0' by='romeo@example.org' id='7'/></displayed>";
    const MARKER: &str = "<displayed xmlns='urn:xmpp:chat-markers:0' id='the-msg-1'/>";

    #[test]
    fn displayed_is_published_first_and_never_leaves_the_server() {
        let message = format!("<message to='juliet@example.org'>{MARKER}{DISPLAYED}</message>");
        let effects = facts().sends(&message);
        let [
            Effect::Load(Query::Pubsub(service, _), go_on),
            Effect::Keep(keep),
        ] = &effects[..]
        else {
            panic!("{effects:?}")
        };
        assert_eq!(service.as_str(), ACCOUNT);
        let kept = String::from_utf8_lossy(keep.message.payloads.bytes()).into_owned();
        assert_eq!(kept, MARKER);
        let found = Answer::Pubsub(Box::new(Found::Node(Default::default())));
        let published = go_on(&stanza(&message), found, &facts().facts());
        let text = format!("{published:?}");
        for wanted in ["Create", "Whitelist", "juliet@example.org", "id='7'"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }

    #[test]
    fn other_messages_are_as_before() {
        let message = format!("<message to='juliet@example.org'>{MARKER}</message>");
        assert!(matches!(facts().sends(&message)[..], [Effect::Keep(_)]));
    }
}
