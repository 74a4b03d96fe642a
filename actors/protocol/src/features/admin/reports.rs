//! What users have reported (XEP-0377): the reports that an administrator got, as a table.
//!
//! XEP-0133 has no such command, so its node is ours.

use super::{FORM_TYPE, data_forms};
use crate::archive::{ArchiveQuery, Page, PageFrom};
use crate::effect::{Answer, Effect, Query};
use crate::facts::Facts;
use crate::features::adhoc::{Command, Request, Who};
use crate::features::refuse;
use crate::features::reporting::Received;
use crate::jid::Jid;
use crate::stanza::{Stanza, StanzaError};
use crate::xml::Element;

/// So many messages of the domain are looked at, the newest ones: the others are in the
/// administrator's archive as well.
const LOOKED_AT: u32 = 100;

pub(super) const COMMANDS: &[Command] = &[Command {
    node: "urn:klatsch:admin#reports",
    name: "Reports of spam and abuse",
    who: Who::Administrators,
    form: None,
    execute: ask,
}];

fn ask(_request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let query = ArchiveQuery {
        with: Some(Jid::from(facts.account.domain_jid())),
        page: PageFrom::End,
        max: LOOKED_AT,
        ..ArchiveQuery::default()
    };
    Ok(vec![Effect::Load(Query::Archive(query), show)])
}

fn show(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(request) = Request::again(stanza, facts) else {
        return Vec::new();
    };
    match answer {
        Answer::Page(page) => vec![request.completed(Some(table(&page)))],
        Answer::Failed(error) => refuse(request.iq(), error),
        _ => refuse(request.iq(), StanzaError::internal_server_error()),
    }
}

/// XEP-0004 §3.4, the newest report first.
fn table(page: &Page) -> Element {
    let columns = [
        ("time", "Time", "text-single"),
        ("reporter", "Who reports", "jid-single"),
        ("reported", "Reported", "jid-single"),
        ("reason", "Reason", "text-single"),
        ("text", "What was said", "text-single"),
    ];
    let column = |(name, label, kind): (&'static str, &str, &str)| {
        data_forms::field(name, kind).attr("label", label)
    };
    let reported =
        Element::new("reported", data_forms::NS).children_from(columns.into_iter().map(column));
    let rows = page.entries.iter().rev().filter_map(Received::of).map(row);
    data_forms::form(FORM_TYPE)
        .attr("type", "result")
        .child(reported)
        .children_from(rows)
}

fn row(report: Received) -> Element {
    let cells = [
        ("time", report.stamp.to_xep0082()),
        ("reporter", report.reporter),
        ("reported", report.reported),
        ("reason", report.reason),
        ("text", report.text),
    ];
    let cell = |(name, value): (&'static str, String)| {
        let value = Element::new("value", data_forms::NS).text(value);
        Element::new("field", data_forms::NS)
            .attr("var", name)
            .child(value)
    };
    Element::new("item", data_forms::NS).children_from(cells.into_iter().map(cell))
}
