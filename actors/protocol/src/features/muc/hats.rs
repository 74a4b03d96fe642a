//! Hats: XEP-0317 version 0.3.1, <https://xmpp.org/extensions/xep-0317.html>
//!
//! What people are in an organisation beside what they may do in a room: teacher, presenter.
//! Admins define hats and put them on people; everybody sees them on their presence. How
//! they are managed: `hat_commands.rs`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::features::{Feature, Spec};
use crate::jid::BareJid;
use crate::sasl::Hash;
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:hats:0";
/// Ad-hoc commands (XEP-0050).
pub const NS_COMMANDS: &str = "http://jabber.org/protocol/commands";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "muc::hats",
    title: "Hats",
    spec: Spec::Xep {
        number: 317,
        version: "0.3.1",
    },
    disco_room: &[NS, NS_COMMANDS],
    ..Feature::NONE
};

/// A room's hats, by their URI, and who wears which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hats {
    /// The hats there are.
    pub defined: BTreeMap<Box<str>, Hat>,
    /// Who wears them.
    pub worn: BTreeMap<BareJid, BTreeSet<Box<str>>>,
}

/// A hat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hat {
    /// What people read.
    pub title: Box<str>,
    /// Its colour, as an angle on the wheel.
    pub hue: Option<Box<str>>,
    /// The language of the title.
    pub lang: Option<Box<str>>,
}

/// A change of a room's hats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HatsChange {
    /// There is this hat from now on, or it looks like this.
    Define(Box<str>, Hat),
    /// There is this hat no more, on nobody (§4.3).
    Destroy(Box<str>),
    /// Somebody wears it.
    Assign(BareJid, Box<str>),
    /// Somebody does not.
    Unassign(BareJid, Box<str>),
}

impl Hats {
    /// Makes a change that has been saved.
    pub fn apply(&mut self, change: &HatsChange) {
        match change {
            HatsChange::Define(uri, hat) => {
                self.defined.insert(uri.clone(), hat.clone());
            }
            HatsChange::Destroy(uri) => {
                self.defined.remove(uri);
                for worn in self.worn.values_mut() {
                    worn.remove(uri);
                }
            }
            HatsChange::Assign(jid, uri) => {
                self.worn
                    .entry(jid.clone())
                    .or_default()
                    .insert(uri.clone());
            }
            HatsChange::Unassign(jid, uri) => {
                if let Some(worn) = self.worn.get_mut(jid) {
                    worn.remove(uri);
                }
            }
        }
        self.worn.retain(|_, worn| !worn.is_empty());
    }

    /// What somebody wears.
    pub fn of(&self, account: &BareJid) -> impl Iterator<Item = (&str, &Hat)> {
        let worn = self.worn.get(account).into_iter().flatten();
        worn.filter_map(|uri| Some((&**uri, self.defined.get(uri)?)))
    }

    /// §3: by this a client sees that its list is old.
    pub fn hash(&self) -> Option<String> {
        if self.defined.is_empty() {
            return None;
        }
        let mut text = String::new();
        for (uri, hat) in &self.defined {
            let hue = hat.hue.as_deref().unwrap_or_default();
            // No part has a line's end in it, so the text tells them apart.
            text.extend([uri, "\n", &hat.title, "\n", hue, "\n"]);
        }
        let hash = Hash::Sha1.digest(text.as_bytes());
        Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// §4.1: the hats on somebody's presence; none without hats.
pub(super) fn element(hats: &Hats, account: &BareJid) -> Option<Element> {
    let worn: Vec<Element> = hats.of(account).map(|(uri, hat)| one(uri, hat)).collect();
    (!worn.is_empty()).then(|| Element::new("hats", NS).children_from(worn))
}

fn one(uri: &str, hat: &Hat) -> Element {
    Element::new("hat", NS)
        .attr("title", &*hat.title)
        .attr("uri", uri)
        .attr_opt("hue", hat.hue.as_deref())
        .attr_opt("xml:lang", hat.lang.as_deref())
}
