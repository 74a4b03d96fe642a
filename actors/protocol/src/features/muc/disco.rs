//! What a room says of itself: XEP-0045 §6.4 to §6.6, §7.12, §16.5.4.

use super::config::Config;
use super::effect::RoomEffect;
use super::facts::RoomFacts;
use super::hat_commands;
use super::hats;
use super::role::Role;
use super::room::{Room, answer};
use crate::features::{ALL, data_forms, fulltext, mam};
use crate::jid::BareJid;
use crate::stanza::{Iq, StanzaError};
use crate::xml::Element;

pub(super) use crate::features::disco::{NS_INFO, NS_ITEMS};

/// The node that tells somebody their reserved nick (§7.12).
const NODE_NICK: &str = "x-roomuser-item";
/// The node that tells what may be sent through a room (§18.1.1): everything, here.
const NODE_TRAFFIC: &str = "http://jabber.org/protocol/muc#traffic";
/// The form about a room (§16.5.4).
const NS_ROOMINFO: &str = "http://jabber.org/protocol/muc#roominfo";

/// The node a query asks about.
pub(super) fn node(iq: &Iq) -> Option<String> {
    let query = iq.payload()?.element()?;
    let node = query.get("node").filter(|node| !node.is_empty());
    node.map(str::to_owned)
}

/// An answer of disco#info.
pub(super) fn info<'a>(name: &str, features: impl Iterator<Item = &'a str>) -> Element {
    let identity = Element::new("identity", NS_INFO)
        .attr("category", "conference")
        .attr("name", name)
        .attr("type", "text");
    let mut features: Vec<&str> = features.collect();
    features.sort_unstable();
    features.dedup();
    let feature = |var: &str| Element::new("feature", NS_INFO).attr("var", var);
    Element::new("query", NS_INFO)
        .child(identity)
        .children_from(features.into_iter().map(feature))
}

/// What kind of room it is (§16.3).
fn kinds(config: &Config) -> [&'static str; 6] {
    let either = |is, yes, no| if is { yes } else { no };
    [
        either(config.members_only, "muc_membersonly", "muc_open"),
        either(config.moderated, "muc_moderated", "muc_unmoderated"),
        either(
            config.non_anonymous,
            "muc_nonanonymous",
            "muc_semianonymous",
        ),
        either(
            config.password.is_some(),
            "muc_passwordprotected",
            "muc_unsecured",
        ),
        either(config.persistent, "muc_persistent", "muc_temporary"),
        either(config.public, "muc_public", "muc_hidden"),
    ]
}

impl Room {
    /// §6.4.
    pub(super) fn answer_info(
        &self,
        iq: &Iq,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let query = match node(iq).as_deref() {
            None => self.describe(facts),
            Some(NODE_NICK) => self.tell_nick(by),
            // §18.1.1: nothing is discarded.
            Some(NODE_TRAFFIC) => return Err(StanzaError::service_unavailable()),
            Some(node)
                if hat_commands::COMMANDS
                    .iter()
                    .any(|(known, _)| *known == node) =>
            {
                describe_command(node)
            }
            Some(_) => return Err(StanzaError::item_not_found()),
        };
        Ok(vec![answer(iq, Some(query))])
    }

    fn describe(&self, facts: &RoomFacts<'_>) -> Element {
        let is_kept = self.record.config.archived && facts.archive;
        let archive = [mam::NS, mam::NS_EXTENDED, fulltext::NS];
        let features = ALL.iter().flat_map(|feature| feature.disco_room).copied();
        let features = features.chain(kinds(&self.record.config));
        let features = features.chain(archive.into_iter().filter(|_| is_kept));
        info(self.title(), features).child(self.roominfo(facts))
    }

    /// §6.4: what there is to know of it, for everybody who knows its address.
    fn roominfo(&self, facts: &RoomFacts<'_>) -> Element {
        let config = &self.record.config;
        let subject = self.record.subject.as_ref();
        let subject =
            subject.and_then(|it| it.message.payloads.text_of("subject", crate::ns::CLIENT));
        let occupants = self.occupants.len().to_string();
        let history = config
            .history_max
            .min(facts.settings.history_max)
            .to_string();
        let flag = |is: bool| if is { "1" } else { "0" }.to_owned();
        let hashes = self.avatar_hashes();
        let fields = [
            (
                "muc#roominfo_description",
                vec![config.description.to_string()],
            ),
            (
                "muc#roominfo_subject",
                vec![subject.unwrap_or_default().into_owned()],
            ),
            ("muc#roominfo_occupants", vec![occupants]),
            ("muc#roominfo_lang", vec![config.lang.to_string()]),
            ("muc#maxhistoryfetch", vec![history]),
            ("muc#roominfo_subjectmod", vec![flag(config.change_subject)]),
            (
                "muc#roomconfig_changesubject",
                vec![flag(config.change_subject)],
            ),
            ("muc#roomconfig_roomname", vec![config.name.to_string()]),
            (
                "muc#roomconfig_allowinvites",
                vec![flag(config.allow_invites)],
            ),
            ("muc#roominfo_avatarhash", hashes),
            ("hats#hash", self.record.hats.hash().into_iter().collect()),
        ];
        let fields = fields
            .into_iter()
            .filter(|(_, values)| values.iter().any(|it| !it.is_empty()));
        let purpose = data_forms::form(NS_ROOMINFO).attr("type", "result");
        purpose.children_from(fields.map(|(name, values)| {
            let value = |text: String| Element::new("value", data_forms::NS).text(text);
            Element::new("field", data_forms::NS)
                .attr("var", name)
                .children_from(values.into_iter().map(value))
        }))
    }

    /// §7.12: the nick reserved for whoever asks; an empty answer when there is none.
    fn tell_nick(&self, by: &BareJid) -> Element {
        let identity = |nick: &str| {
            Element::new("identity", NS_INFO)
                .attr("category", "conference")
                .attr("name", nick)
                .attr("type", "text")
        };
        let nick = self.record.reserved_nick(by);
        Element::new("query", NS_INFO)
            .attr("node", NODE_NICK)
            .children_from(nick.map(identity))
    }

    /// §6.5, row M03: who is inside is seen inside, and outside where the room is public and
    /// open.
    pub(super) fn answer_items(
        &self,
        iq: &Iq,
        by: &BareJid,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let query = Element::new("query", NS_ITEMS);
        let query = match node(iq).as_deref() {
            None => query.children_from(self.items(by)),
            Some(hats::NS_COMMANDS) => query
                .attr("node", hats::NS_COMMANDS)
                .children_from(self.commands(by)),
            Some(_) => return Err(StanzaError::item_not_found()),
        };
        Ok(vec![answer(iq, Some(query))])
    }

    fn items(&self, by: &BareJid) -> Vec<Element> {
        let config = &self.record.config;
        let is_public = config.public && !config.members_only && config.password.is_none();
        let is_inside = self.role_of_account(by) > Role::None;
        let is_barred = self.record.affiliation(by) == super::affiliation::Affiliation::Outcast;
        if !is_inside && !is_public || is_barred {
            return Vec::new();
        }
        let shown = self.occupants.iter().filter(|it| self.is_shown(it.role));
        let item =
            |nick: &str| Element::new("item", NS_ITEMS).attr("jid", self.address_of(nick).as_str());
        shown.map(|it| item(&it.nick)).collect()
    }

    fn commands(&self, by: &BareJid) -> Vec<Element> {
        if !self.record.affiliation(by).manages() {
            return Vec::new();
        }
        let item = |(node, name): &(&str, &str)| {
            Element::new("item", NS_ITEMS)
                .attr("jid", self.jid.as_str())
                .attr("node", *node)
                .attr("name", *name)
        };
        hat_commands::COMMANDS.iter().map(item).collect()
    }
}

/// XEP-0050 §2.3.
fn describe_command(node: &str) -> Element {
    let name = hat_commands::COMMANDS
        .iter()
        .find(|(known, _)| *known == node);
    let identity = Element::new("identity", NS_INFO)
        .attr("category", "automation")
        .attr("type", "command-node")
        .attr_opt("name", name.map(|(_, name)| *name));
    let feature = |var: &str| Element::new("feature", NS_INFO).attr("var", var);
    Element::new("query", NS_INFO)
        .attr("node", node)
        .child(identity)
        .children_from([hats::NS_COMMANDS, data_forms::NS].map(feature))
}

#[cfg(test)]
mod tests;
