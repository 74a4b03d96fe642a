//! How hats are managed: the ad-hoc commands of XEP-0317 §4.2 to §4.7.
//!
//! Each command is one form and carries nothing from step to step, so the session id is only
//! repeated.

use super::effect::{RoomEffect, Save, Then};
use super::facts::RoomFacts;
use super::form::value_field;
use super::hats::{Hat, HatsChange, NS_COMMANDS};
use super::record::RoomChange;
use super::role::Role;
use super::room::{Room, answer};
use crate::features::data_forms::{self, Submitted};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

const NS_FORM: &str = "urn:xmpp:hats:commands";
const TITLE: &str = "hats#title";
const URI: &str = "hats#uri";
const HUE: &str = "hats#hue";
const JID: &str = "hats#jid";

/// The commands: node, what people read.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    ("urn:xmpp:hats:commands:create", "Create or change a hat"),
    ("urn:xmpp:hats:commands:destroy", "Destroy a hat"),
    ("urn:xmpp:hats:commands:list", "List hats"),
    ("urn:xmpp:hats:commands:assign", "Assign a hat"),
    ("urn:xmpp:hats:commands:unassign", "Remove a hat"),
    ("urn:xmpp:hats:commands:list-assigned", "List assigned hats"),
];

impl Room {
    /// Carries out a command, or offers its form.
    pub(super) fn command_hats(
        &self,
        iq: &Iq,
        sender: &Jid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let command = iq.payloads.element("command", NS_COMMANDS);
        let command = command.ok_or_else(StanzaError::bad_request)?;
        let node = command.get("node").unwrap_or_default();
        let session = match command.get("sessionid") {
            Some(session) => session.to_owned(),
            None => facts.fresh_id(),
        };
        let manages = self.record.affiliation(&sender.bare()).manages();
        let is_inside = self.role_of(sender) > Role::None;
        // Who wears what is seen inside anyway, but for those who are elsewhere.
        let may = manages || is_inside && node == "urn:xmpp:hats:commands:list";
        if !may {
            return Err(StanzaError::forbidden());
        }
        if command.get("action") == Some("cancel") {
            return Ok(vec![answer(
                iq,
                Some(reply(node, &session, "canceled", None)),
            )]);
        }
        let submitted = command.find("x", data_forms::NS).and_then(Submitted::read);
        let shown = |status, form| {
            Ok(vec![answer(
                iq,
                Some(reply(node, &session, status, Some(form))),
            )])
        };
        match (node, submitted) {
            ("urn:xmpp:hats:commands:list", _) => shown("completed", self.list_hats()),
            ("urn:xmpp:hats:commands:list-assigned", _) => shown("completed", self.list_worn()),
            (_, Some(form)) => {
                let change = self.read_hats_change(node, &form, facts)?;
                let done = reply(node, &session, "completed", None);
                let answer = Stanza::Iq(iq.result(Some(done)));
                Ok(vec![RoomEffect::Save(Box::new(Save {
                    origin: iq.clone().into(),
                    changes: vec![RoomChange::Hats(change)],
                    then: Then::Hats(answer),
                }))])
            }
            (_, None) => {
                let form = self.offer_hats_form(node);
                shown("executing", form.ok_or_else(StanzaError::item_not_found)?)
            }
        }
    }

    fn read_hats_change(
        &self,
        node: &str,
        form: &Submitted,
        facts: &RoomFacts<'_>,
    ) -> Result<HatsChange, StanzaError> {
        // COMPAT: the specification's own form to destroy a hat calls the field `hat`.
        let uri = form.value(URI).or_else(|| form.value("hat"));
        let uri = uri.ok_or_else(StanzaError::bad_request)?;
        let most = facts.settings.text_bytes_max;
        if uri.len() > most || uri.chars().any(char::is_control) {
            return Err(StanzaError::policy_violation().with_text("not a URI of a hat"));
        }
        let is_known = self.record.hats.defined.contains_key(uri);
        let known = || match is_known {
            true => Ok(()),
            false => Err(StanzaError::item_not_found()),
        };
        let jid = || {
            let jid = form.value(JID).ok_or_else(StanzaError::bad_request)?;
            let jid = Jid::parse(jid).map_err(|_| StanzaError::jid_malformed())?;
            Ok::<BareJid, StanzaError>(jid.bare())
        };
        let uri: Box<str> = uri.into();
        match node {
            "urn:xmpp:hats:commands:create" => {
                self.check_room_for_hat(is_known, facts)?;
                Ok(HatsChange::Define(uri, read_hat(form, most)?))
            }
            "urn:xmpp:hats:commands:destroy" => known().map(|()| HatsChange::Destroy(uri)),
            "urn:xmpp:hats:commands:assign" => {
                known()?;
                let jid = jid()?;
                self.check_head(&jid, facts)?;
                Ok(HatsChange::Assign(jid, uri))
            }
            "urn:xmpp:hats:commands:unassign" => Ok(HatsChange::Unassign(jid()?, uri)),
            _ => Err(StanzaError::item_not_found()),
        }
    }

    fn check_room_for_hat(&self, is_known: bool, facts: &RoomFacts<'_>) -> Result<(), StanzaError> {
        let is_full = self.record.hats.defined.len() >= facts.settings.hats_max;
        match is_full && !is_known {
            true => Err(StanzaError::resource_constraint().with_text("the room has too many hats")),
            false => Ok(()),
        }
    }

    fn check_head(&self, jid: &BareJid, facts: &RoomFacts<'_>) -> Result<(), StanzaError> {
        let worn = &self.record.hats.worn;
        let is_new = !worn.contains_key(jid);
        let on_head = worn.get(jid).map_or(0, |worn| worn.len());
        let is_full = is_new && worn.len() >= facts.settings.affiliations_max;
        match is_full || on_head >= facts.settings.hats_max {
            true => Err(StanzaError::resource_constraint().with_text("too many hats are worn")),
            false => Ok(()),
        }
    }

    /// The forms of §4.2, §4.3, §4.5, §4.6.
    fn offer_hats_form(&self, node: &str) -> Option<Element> {
        let title = COMMANDS.iter().find(|(known, _)| *known == node)?.1;
        let title = Element::new("title", data_forms::NS).text(title);
        let form = data_forms::form(NS_FORM).child(title);
        let required = || Element::new("required", data_forms::NS);
        let text = |name, label| value_field(name, "text-single", label, []);
        let jid = || value_field(JID, "jid-single", "User address", []).child(required());
        Some(match node {
            "urn:xmpp:hats:commands:create" => form
                .child(text(TITLE, "Hat title").child(required()))
                .child(text(URI, "Hat URI").child(required()))
                .child(text(HUE, "Hat hue")),
            "urn:xmpp:hats:commands:destroy" => form.child(self.hat_choice()),
            "urn:xmpp:hats:commands:assign" | "urn:xmpp:hats:commands:unassign" => {
                form.child(jid()).child(self.hat_choice())
            }
            _ => return None,
        })
    }

    fn hat_choice(&self) -> Element {
        let option = |(uri, hat): (&str, &Hat)| {
            let value = Element::new("value", data_forms::NS).text(uri);
            Element::new("option", data_forms::NS)
                .attr("label", &*hat.title)
                .child(value)
        };
        let options = self.record.hats.defined.iter();
        let options = options.map(|(uri, hat)| option((uri, hat)));
        value_field(URI, "list-single", "Hat", []).children_from(options)
    }

    /// §4.4.
    fn list_hats(&self) -> Element {
        let hats = self.record.hats.defined.iter();
        let rows = hats.map(|(uri, hat)| {
            let hue = hat.hue.as_deref().unwrap_or_default();
            vec![(TITLE, &*hat.title), (URI, &**uri), (HUE, hue)]
        });
        table(&[TITLE, URI, HUE], rows)
    }

    /// §4.7.
    fn list_worn(&self) -> Element {
        let hats = &self.record.hats;
        let rows = hats.worn.keys().flat_map(|jid| {
            hats.of(jid).map(move |(uri, hat)| {
                let hue = hat.hue.as_deref().unwrap_or_default();
                vec![
                    (JID, jid.as_str()),
                    (URI, uri),
                    (TITLE, &hat.title),
                    (HUE, hue),
                ]
            })
        });
        table(&[JID, URI, TITLE, HUE], rows)
    }

    /// §4.2 and on: whoever wears a hat is shown anew, and the list is said to have changed.
    pub(super) fn tell_hats(&mut self, answer: Stanza) -> Vec<RoomEffect> {
        let before: Vec<_> = self
            .occupants
            .iter()
            .map(|it| (it.nick.clone(), it.shown.clone()))
            .collect();
        self.refresh_all();
        let mut effects = vec![RoomEffect::Send(answer)];
        for (nick, shown) in before {
            let is_other = self
                .occupants
                .get(&nick)
                .is_some_and(|it| it.shown != shown);
            if is_other {
                effects.extend(self.announce(&nick, Default::default()));
            }
        }
        effects.extend(self.tell_codes(&[104]));
        effects
    }
}

fn read_hat(form: &Submitted, bytes_max: usize) -> Result<Hat, StanzaError> {
    let title = form.value(TITLE).ok_or_else(StanzaError::bad_request)?;
    let hue = form.value(HUE);
    let is_long = title.len() > bytes_max || title.chars().any(char::is_control);
    if is_long {
        return Err(StanzaError::policy_violation().with_text("not a title of a hat"));
    }
    // XEP-0392 §4: an angle.
    let is_angle = |text: &str| {
        let angle = text.parse::<f64>();
        text.len() <= 32 && angle.is_ok_and(|angle| (0.0..=360.0).contains(&angle))
    };
    if hue.is_some_and(|hue| !is_angle(hue)) {
        return Err(StanzaError::bad_request().with_text("a hue is an angle"));
    }
    Ok(Hat {
        title: title.into(),
        hue: hue.map(Into::into),
        lang: None,
    })
}

fn reply(node: &str, session: &str, status: &'static str, form: Option<Element>) -> Element {
    Element::new("command", NS_COMMANDS)
        .attr("node", node)
        .attr("sessionid", session)
        .attr("status", status)
        .children_from(form)
}

/// A form with rows (XEP-0004 §3.4).
fn table<'a>(
    names: &[&'static str],
    rows: impl Iterator<Item = Vec<(&'static str, &'a str)>>,
) -> Element {
    let column = |name: &&'static str| Element::new("field", data_forms::NS).attr("var", *name);
    let reported = Element::new("reported", data_forms::NS).children_from(names.iter().map(column));
    let cell = |(name, value): (&'static str, &str)| {
        let value = Element::new("value", data_forms::NS).text(value);
        Element::new("field", data_forms::NS)
            .attr("var", name)
            .child(value)
    };
    let row = |cells: Vec<(&'static str, &'a str)>| {
        Element::new("item", data_forms::NS).children_from(cells.into_iter().map(cell))
    };
    Element::new("x", data_forms::NS)
        .attr("type", "result")
        .child(reported)
        .children_from(rows.map(row))
}

#[cfg(test)]
mod tests;
