//! Service Administration: XEP-0133 version 1.3.1, <https://xmpp.org/extensions/xep-0133.html>
//!
//! What an administrator of a domain does to its accounts from a client: the same as the
//! command line does. Leaves out: black and white lists, which are for federation (§4.10, §4.11).

mod accounts;
mod census;
pub mod notices;
mod reports;
mod stop;

use super::adhoc::{Command, Request, bad};
use super::data_forms::{self, field};
use super::{Feature, Spec, Status};
use crate::facts::Facts;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Head, Message, MessageKind, StanzaError};
use crate::xml::Element;

pub use census::{Census, Group, Person};
pub use stop::Stop;

/// The purpose of every form here.
pub const FORM_TYPE: &str = "http://jabber.org/protocol/admin";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "admin",
    title: "Service Administration",
    spec: Spec::Xep {
        number: 133,
        version: "1.3.1",
    },
    status: Status::Partial("no black and white lists, until federation"),
    ..Feature::NONE
};

/// The commands.
pub(super) const COMMANDS: &[&[Command]] = &[
    accounts::COMMANDS,
    census::COMMANDS,
    notices::COMMANDS,
    reports::COMMANDS,
    stop::COMMANDS,
];

/// Accounts in one request at most: each costs a change of the store.
const ACCOUNTS_MAX: usize = 100;

/// An announcement has so many bytes at most: a page.
const ANNOUNCEMENT_BYTES_MAX: usize = 8 * 1024;

/// The lines of a field, which are too many when they are more than a page.
fn lines(request: &Request<'_>, name: &str) -> Result<String, StanzaError> {
    let text = request.values(name).join("\n");
    match text.len() <= ANNOUNCEMENT_BYTES_MAX {
        true => Ok(text),
        false => Err(StanzaError::policy_violation().with_text("too long for an announcement")),
    }
}

/// What a domain tells people, without an address.
fn announcement(domain: &BareJid, subject: Option<&str>, text: &str) -> Message {
    let subject = subject.map(|subject| Element::new("subject", ns::CLIENT).text(subject));
    let body = Element::new("body", ns::CLIENT).text(text);
    Message {
        head: Head {
            from: Some(domain.clone().into()),
            ..Head::default()
        },
        kind: MessageKind::Headline,
        payloads: subject.into_iter().chain([body]).collect(),
    }
}

fn form(fields: impl IntoIterator<Item = Element>) -> Element {
    data_forms::form(FORM_TYPE).children_from(fields)
}

fn result(fields: impl IntoIterator<Item = Element>) -> Element {
    data_forms::form(FORM_TYPE)
        .attr("type", "result")
        .children_from(fields)
}

fn required(name: &str, kind: &str, label: &str) -> Element {
    field(name, kind)
        .attr("label", label)
        .child(Element::new("required", data_forms::NS))
}

/// A field of a result.
fn shown(name: &str, label: &str, values: impl IntoIterator<Item = String>) -> Element {
    let value = |value: String| Element::new("value", data_forms::NS).text(value);
    Element::new("field", data_forms::NS)
        .attr("var", name)
        .attr("label", label)
        .children_from(values.into_iter().map(value))
}

/// The one account of a request.
fn account(request: &Request<'_>, facts: &Facts<'_>) -> Result<BareJid, StanzaError> {
    ours(request.value("accountjid")?, facts).map(|jid| jid.bare())
}

/// The accounts of a request, or some of their sessions.
fn addresses(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Jid>, StanzaError> {
    let values = request.values("accountjids");
    if values.is_empty() || values.len() > ACCOUNTS_MAX {
        let text = format!("accountjids has between 1 and {ACCOUNTS_MAX} addresses");
        return Err(bad("bad-payload").with_text(text));
    }
    values.iter().map(|text| ours(text, facts)).collect()
}

/// Row R14: an administrator administers one domain.
fn ours(text: &str, facts: &Facts<'_>) -> Result<Jid, StanzaError> {
    let jid = Jid::parse(text).map_err(|_| StanzaError::jid_malformed())?;
    match jid.localpart().is_some() && jid.domain() == facts.account.domain() {
        true => Ok(jid),
        false => Err(StanzaError::item_not_found().with_text("no account of this domain")),
    }
}

#[cfg(test)]
mod tests;
