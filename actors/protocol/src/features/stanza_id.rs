//! Unique and Stable Stanza IDs: XEP-0359 version 0.7.0,
//! <https://xmpp.org/extensions/xep-0359.html>
//!
//! Ids in our name are given by our archives alone.
//!
//! DEVIATION: XEP-0313 §3 wants archive ids to be unpredictable. Ours are the consecutive ids
//! of the log: order and gaps can be seen from them, which is what makes a client's catching
//! up provable; nobody but the account itself sees them, and knowing one opens nothing.

use super::{Feature, Spec};
use crate::effect::DedupKey;
use crate::facts::Facts;
use crate::jid::{BareJid, Jid};
use crate::stanza::Message;
use crate::xml::{Child, Element};

/// The namespace.
pub const NS: &str = "urn:xmpp:sid:0";

/// An id shorter than this is taken for a count, which starts again with every run of the
/// client: it tells no message from another.
const ID_BYTES_MIN: usize = 8;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "stanza_id",
    title: "Unique and Stable Stanza IDs",
    spec: Spec::Xep {
        number: 359,
        version: "0.7.0",
    },
    disco: &[NS],
    disco_account: &[NS],
    ..Feature::NONE
};

/// Takes every `<stanza-id/>` out that claims to be of an archive of ours (§5, row R06):
/// all of them, and in every spelling of the address.
pub fn strip_forged(message: Message, facts: &Facts<'_>) -> Message {
    let is_forged = |child: &Child<'_>| is_forged(child, &message, facts);
    if !message.payloads.iter().any(|child| is_forged(&child)) {
        return message;
    }
    let payloads = message.payloads.without(is_forged);
    Message {
        payloads,
        ..message
    }
}

fn is_forged(child: &Child<'_>, message: &Message, facts: &Facts<'_>) -> bool {
    if child.name() != "stanza-id" || child.namespace() != NS {
        return false;
    }
    let Some(by) = Element::parse(child.bytes())
        .ok()
        .and_then(|id| id.get("by").map(str::to_owned))
    else {
        // An id without an archive means nothing to anybody.
        return true;
    };
    let Ok(by) = Jid::parse(&by) else { return true };
    let to = message.head.to.as_ref();
    facts.host.serves(by.domain()) || to.is_some_and(|to| to.bare_str() == by.bare_str())
}

/// Adds the id the account's archive gave the message (§3).
pub fn stamp(message: Message, account: &BareJid, id: u64) -> Message {
    let id = Element::new("stanza-id", NS)
        .attr("id", id.to_string())
        .attr("by", account.as_str());
    let payloads = message.payloads.with(&id);
    Message {
        payloads,
        ..message
    }
}

/// What makes a replay of the message recognisable (D2).
pub fn dedup_key(message: &Message) -> DedupKey {
    let origin = message.payloads.element("origin-id", NS);
    if let Some(id) = origin
        .as_ref()
        .and_then(|origin| origin.get("id"))
        .filter(|id| !id.is_empty())
    {
        return DedupKey::Origin(id.into());
    }
    match &message.head.id {
        Some(id) if id.len() >= ID_BYTES_MIN => DedupKey::Stanza(id.clone()),
        _ => DedupKey::Counted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{facts, message};

    #[test]
    fn r06_every_forged_id_goes_and_a_foreign_one_stays() {
        let given = facts();
        let text = "<message to='bob@example.org' type='chat'><body>hi</body>\
            <stanza-id xmlns='urn:xmpp:sid:0' id='1' by='romeo@example.org'/>\
            <stanza-id xmlns='urn:xmpp:sid:0' id='2' by='BOB@Example.org'/>\
            <stanza-id xmlns='urn:xmpp:sid:0' id='3' by='romeo@example.org/phone'/>\
            <stanza-id xmlns='urn:xmpp:sid:0' id='4'/>\
            <stanza-id xmlns='urn:xmpp:sid:0' id='5' by='room@elsewhere.net'/></message>";
        let clean = strip_forged(message(text), &given.facts());
        let left: Vec<_> = clean
            .payloads
            .elements()
            .filter(|e| e.name() == "stanza-id")
            .collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].get("id"), Some("5"));
    }

    #[test]
    fn a_replay_is_told_by_its_origin_id_then_by_its_id_then_by_its_place() {
        let key = |text: &str| dedup_key(&message(text));
        let origin = "<origin-id xmlns='urn:xmpp:sid:0' id='o1'/>";
        assert_eq!(
            key(&format!("<message id='m1'>{origin}</message>")),
            DedupKey::Origin("o1".into())
        );
        assert_eq!(
            key("<message id='5f2c9a10'/>"),
            DedupKey::Stanza("5f2c9a10".into())
        );
        assert_eq!(key("<message id='12'/>"), DedupKey::Counted);
        assert_eq!(key("<message/>"), DedupKey::Counted);
    }
}
