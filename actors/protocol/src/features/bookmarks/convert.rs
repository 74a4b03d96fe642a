//! Bookmarks of old from those of today and back: XEP-0402 §3.3.

use super::{NS, NS_LEGACY};
use crate::facts::Facts;
use crate::features::pubsub::node::{FoundNode, Item};
use crate::features::pubsub::request::to_payload;
use crate::jid::{BareJid, Jid};
use crate::time::Timestamp;
use crate::xml::Element;

/// The old form of all bookmarks (§3.3.1 of XEP-0402).
pub(super) fn to_legacy(found: &FoundNode, rest: Option<&Element>) -> Element {
    let rooms = found.items.iter().filter_map(item_to_legacy);
    let rest = rest.into_iter().flat_map(|rest| rest.children().cloned());
    Element::new("storage", NS_LEGACY)
        .children_from(rooms)
        .children_from(rest)
}

fn item_to_legacy(item: &Item) -> Option<Element> {
    let conference = Element::parse(&item.payload).ok()?;
    let text = |name: &'static str| {
        let child = conference.find(name, NS)?;
        Some(Element::new(name, NS_LEGACY).text(child.text_content()))
    };
    let autojoin = conference
        .get("autojoin")
        .filter(|it| matches!(*it, "1" | "true"));
    Some(
        Element::new("conference", NS_LEGACY)
            .attr("jid", item.id.clone())
            .attr_opt("name", conference.get("name"))
            .attr_opt("autojoin", autojoin.map(|_| "true"))
            .children_from(text("nick"))
            .children_from(text("password")),
    )
}

/// A room of the old form, in the new one, for an account that has no such bookmark; `None`: it
/// is no room.
pub fn of_legacy(room: &Element, account: &BareJid, now: Timestamp) -> Option<Item> {
    match room.is("conference", NS_LEGACY) {
        true => to_item(room, None, account, now),
        false => None,
    }
}

/// A room of the old form, in the new one. What the new form has beside it stays (XEP-0402
/// §3: extensions must be preserved).
fn to_item(
    room: &Element,
    before: Option<&Item>,
    account: &BareJid,
    now: Timestamp,
) -> Option<Item> {
    let jid = Jid::parse(room.get("jid")?).ok()?.bare();
    let text = |name: &'static str| {
        let child = room.find(name, NS_LEGACY)?;
        Some(Element::new(name, NS).text(child.text_content()))
    };
    let autojoin = room
        .get("autojoin")
        .filter(|it| matches!(*it, "1" | "true"));
    let before = before.and_then(|item| Element::parse(&item.payload).ok());
    let extensions = before.and_then(|before| before.find("extensions", NS).cloned());
    let conference = Element::new("conference", NS)
        .attr_opt("name", room.get("name"))
        .attr_opt("autojoin", autojoin.map(|_| "true"))
        .children_from(text("nick"))
        .children_from(text("password"))
        .children_from(extensions);
    Some(Item {
        id: jid.to_string(),
        publisher: account.clone().into(),
        stamp: now,
        payload: to_payload(&conference),
    })
}

/// What has to be published and retracted so that the bookmarks are what an old client says.
pub(super) fn differences(
    legacy: &Element,
    found: &FoundNode,
    facts: &Facts<'_>,
) -> (Vec<Item>, Vec<String>) {
    let rooms: Vec<&Element> = legacy
        .children()
        .filter(|room| room.is("conference", NS_LEGACY))
        .collect();
    let mut put: Vec<Item> = Vec::new();
    let mut named: Vec<String> = Vec::new();
    for room in rooms {
        let jid = room.get("jid").and_then(|jid| Jid::parse(jid).ok());
        let before = jid.and_then(|jid| {
            let mut items = found.items.iter();
            items.find(|item| item.id == jid.bare_str())
        });
        let Some(item) = to_item(room, before, facts.account, facts.now) else {
            continue;
        };
        if named.contains(&item.id) {
            continue;
        }
        named.push(item.id.clone());
        // §3.3.2: nothing is said of what is as it was.
        let is_same = before.is_some_and(|before| item_to_legacy(before) == item_to_legacy(&item));
        if !is_same {
            put.push(item);
        }
    }
    let gone = found.items.iter().map(|item| item.id.clone());
    (put, gone.filter(|id| !named.contains(id)).collect())
}
