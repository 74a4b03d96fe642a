//! What the directory puts into nodes of people who have not put anything there themselves: their
//! picture (XEP-0084) and their card (XEP-0292).
//!
//! Nothing of it is kept in their accounts: the nodes are there when somebody asks. A picture is
//! shown until its owner has published one, or that there is none; a card is laid over what they
//! have published ([`crate::features::vcard`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{NS_DATA, NS_METADATA, config_of_image, config_of_photo};
use crate::colleagues::{Person, Photo};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::features::pubsub::config::Config;
use crate::features::pubsub::node::{Ask, Found, FoundNode, Item, LastItem, Node, Wanted};
use crate::features::pubsub::notify;
use crate::features::pubsub::request::to_payload;
use crate::features::vcard::person::{NODE_4, card_4};
use crate::jid::BareJid;
use crate::time::Timestamp;
use crate::xml::Element;

/// The nodes of a person that may have something of the directory's.
const NODES: [&str; 3] = [NS_METADATA, NS_DATA, NODE_4];

/// The item of a card: one, whatever it says.
const CARD: &str = "current";

/// What the directory shows of somebody, to be put into what has been found of their nodes.
pub struct Shown<'a> {
    /// Who.
    pub person: &'a Person,
    /// The bytes of their picture, if they have been asked for ([`wants_image`]).
    pub image: Option<Vec<u8>>,
    /// They have an avatar of their own, or show that they have none, as far as that is known
    /// besides what has been found.
    pub has_own_avatar: bool,
    /// The time.
    pub now: Timestamp,
}

/// Tells whether a question is about the bytes of pictures.
#[must_use]
pub fn wants_image(ask: &Ask) -> bool {
    match ask {
        Ask::Node { node, .. } => node == NS_DATA,
        Ask::LastItems { nodes, .. } => nodes.iter().any(|node| node == NS_DATA),
        _ => false,
    }
}

impl Shown<'_> {
    /// Puts it in. What the owner has put there themselves stays; their avatar is theirs whole,
    /// also when it is none.
    pub fn add_to(&self, ask: &Ask, found: &mut Found) {
        match (ask, found) {
            (Ask::Node { node, items, .. }, Found::Node(found)) => {
                self.add_to_node(node, items, found);
            }
            (
                Ask::LastItems {
                    nodes, bytes_max, ..
                },
                Found::LastItems(found),
            ) => self.add_last_items(nodes, *bytes_max, found),
            _ => {}
        }
    }

    fn add_to_node(&self, name: &str, wanted: &Wanted, found: &mut FoundNode) {
        if name == NODE_4 && found.count > 0 {
            if let Some(own) = found.items.last_mut() {
                own.payload = self.card(Some(&*own));
            }
            return;
        }
        let Some(item) = self.item(name, self.has_own_avatar) else {
            return;
        };
        found.node.get_or_insert_with(|| self.node(name));
        let is_wanted = match wanted {
            Wanted::Ids(ids) => ids.contains(&item.id),
            Wanted::After(after, max) => after.is_none() && *max > 0,
            Wanted::Before(before, max) => before.is_none() && *max > 0,
            Wanted::Nothing | Wanted::Replaced(_) => false,
        };
        found.items = is_wanted.then_some(item).into_iter().collect();
        found.count = 1;
    }

    fn add_last_items(&self, nodes: &[String], bytes_max: usize, found: &mut Vec<LastItem>) {
        let account = &self.person.account;
        let size = |last: &LastItem| last.item.as_ref().map_or(0, |item| item.payload.len());
        let mut bytes: usize = found.iter().map(size).sum();
        let is_own = |last: &LastItem| last.service == *account && last.item.is_some();
        let is_avatar = |last: &LastItem| [NS_METADATA, NS_DATA].contains(&&*last.node.name);
        let avatars = found.iter().filter(|last| is_own(last));
        let has_own_avatar = self.has_own_avatar || avatars.into_iter().any(is_avatar);
        for name in nodes.iter().filter(|node| NODES.contains(&node.as_str())) {
            let is_it = |last: &&mut LastItem| last.service == *account && last.node.name == *name;
            let known = found.iter_mut().find(is_it);
            if let Some(own) = known
                .filter(|_| name == NODE_4)
                .and_then(|it| it.item.as_mut())
            {
                own.payload = self.card(Some(&*own));
                continue;
            }
            let Some(item) = self.item(name, has_own_avatar) else {
                continue;
            };
            bytes = bytes.saturating_add(item.payload.len());
            if bytes > bytes_max {
                return;
            }
            match found.iter_mut().find(is_it) {
                Some(last) => last.item = Some(item),
                None => found.push(LastItem {
                    service: account.clone(),
                    node: self.node(name),
                    item: Some(item),
                    groups: Vec::new(),
                }),
            }
        }
    }

    fn card(&self, own: Option<&Item>) -> Bytes {
        let published = own.and_then(|own| Element::parse(&own.payload).ok());
        to_payload(&card_4(self.person, published.as_ref()))
    }

    /// What the directory has for a node.
    fn item(&self, node: &str, has_own_avatar: bool) -> Option<Item> {
        let account = &self.person.account;
        let photo = self.person.photo.as_ref().filter(|_| !has_own_avatar);
        match node {
            NS_METADATA => Some(metadata_item(account, photo?, self.now)),
            NS_DATA => {
                let data = STANDARD.encode(self.image.as_deref()?);
                let data = Element::new("data", NS_DATA).text(data);
                Some(item(account, &photo?.hash, to_payload(&data), self.now))
            }
            NODE_4 => Some(item(account, CARD, self.card(None), self.now)),
            _ => None,
        }
    }

    fn node(&self, name: &str) -> Node {
        node(name, &self.person.account, self.now)
    }
}

/// A node that is not kept; as public as a vCard is.
fn node(name: &str, account: &BareJid, now: Timestamp) -> Node {
    let config: Config = match name {
        NS_DATA => config_of_image(),
        _ => config_of_photo(),
    };
    Node {
        name: name.to_owned(),
        version: 0,
        creator: account.clone(),
        created: now,
        config,
        affiliations: Default::default(),
        subscriptions: Vec::new(),
    }
}

fn item(account: &BareJid, id: &str, payload: Bytes, now: Timestamp) -> Item {
    Item {
        id: id.to_owned(),
        publisher: account.clone().into(),
        stamp: now,
        payload,
    }
}

fn metadata_item(account: &BareJid, photo: &Photo, now: Timestamp) -> Item {
    item(account, &photo.hash, to_payload(&metadata(photo)), now)
}

/// XEP-0084 §4.2.2.
fn metadata(photo: &Photo) -> Element {
    let info = Element::new("info", NS_METADATA)
        .attr("bytes", photo.bytes.to_string())
        .attr("id", &*photo.hash)
        .attr("type", &*photo.media_type)
        .attr("width", photo.width.to_string())
        .attr("height", photo.height.to_string());
    Element::new("metadata", NS_METADATA).child(info)
}

/// The directory has another picture of the deciding account, or none any more: whoever wants to
/// hear of avatars is told, as of one that somebody has published.
pub fn decide_changed(photo: Option<&Photo>, facts: &Facts<'_>) -> Vec<Effect> {
    if facts.data.avatar.is_some() {
        return vec![Effect::Trace("directory", "the avatar is its owner's")];
    }
    let (account, now) = (facts.account, facts.now);
    let shown = match photo {
        Some(photo) => metadata_item(account, photo, now),
        None => item(account, "none", to_payload(&super::metadata(None)), now),
    };
    let node = node(NS_METADATA, account, now);
    let items = notify::items(NS_METADATA, [notify::item(&shown, &node.config)]);
    let mut effects = notify::tell(&node, items, facts);
    let hash = photo.map_or_else(Box::default, |photo| photo.hash.clone());
    effects.push(Effect::ShowAvatar(hash));
    effects
}

#[cfg(test)]
mod tests;
