//! Reading an account's archive (XEP-0313 version 1.1.3) page by page with
//! Result Set Management (XEP-0059 §2).

use klatsch_protocol::ns;
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::{Element, Fragment};

use super::management::Management;
use super::{Connection, condition_of};
use crate::error::{LoadError, Result};

/// Message archive management.
const NS: &str = "urn:xmpp:mam:2";

/// Result set management.
const RSM: &str = "http://jabber.org/protocol/rsm";

/// Stanza forwarding (XEP-0297).
const FORWARD: &str = "urn:xmpp:forward:0";

/// Unique and stable stanza ids (XEP-0359).
pub(crate) const STANZA_IDS: &str = "urn:xmpp:sid:0";

/// Where a page ended.
#[derive(Debug, Default)]
pub(crate) struct PageEnd {
    /// The id to read on from.
    pub(crate) last: Option<String>,
    /// Whether nothing follows (§4.4.3).
    pub(crate) complete: bool,
}

/// One archived message, as far as the checker asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archived {
    /// The archive's id.
    pub(crate) id: String,
    /// The message's origin id (XEP-0359).
    pub(crate) origin_id: Option<String>,
    /// The message's sender.
    pub(crate) from: String,
    /// The message's addressee.
    pub(crate) to: String,
    /// The message's text.
    pub(crate) body: String,
}

/// Asks for the page of `max` messages behind the id `after`.
pub(crate) fn query(id: &str, max: usize, after: Option<&str>) -> String {
    query_at(None, id, max, after)
}

/// The same of another archive than the account's own, such as a room's.
pub(crate) fn query_at(to: Option<&str>, id: &str, max: usize, after: Option<&str>) -> String {
    let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
    let after = after
        .map(|after| format!("<after>{after}</after>"))
        .unwrap_or_default();
    format!(
        "<iq type='set' id='{id}'{to}><query xmlns='{NS}' queryid='{id}'>\
         <set xmlns='{RSM}'><max>{max}</max>{after}</set></query></iq>"
    )
}

/// What is asked of an archive besides its next page.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Only what came at this time or later (§4.1.3).
    pub(crate) start: Option<Timestamp>,
    /// Only what has these words (XEP-0431).
    pub(crate) text: Option<String>,
    /// The last page instead of the first (XEP-0059 §2.5).
    pub(crate) is_last: bool,
}

impl Wanted {
    /// The last page.
    pub(crate) fn last() -> Self {
        Self {
            is_last: true,
            ..Self::default()
        }
    }
}

/// Asks for a page of `max` messages of what is wanted.
pub(crate) fn ask(id: &str, max: usize, wanted: &Wanted) -> String {
    let field =
        |name: &str, value: &str| format!("<field var='{name}'><value>{value}</value></field>");
    let start = wanted
        .start
        .map(|start| field("start", &start.to_xep0082()));
    let text = wanted.text.as_ref();
    let text = text.map(|text| field("{urn:xmpp:fulltext:0}fulltext", text));
    let fields: String = start.into_iter().chain(text).collect();
    let form = match fields.is_empty() {
        true => String::new(),
        false => format!(
            "<x xmlns='jabber:x:data' type='submit'>{}{fields}</x>",
            field("FORM_TYPE", NS)
        ),
    };
    let before = if wanted.is_last { "<before/>" } else { "" };
    format!(
        "<iq type='set' id='{id}'><query xmlns='{NS}' queryid='{id}'>{form}\
         <set xmlns='{RSM}'><max>{max}</max>{before}</set></query></iq>"
    )
}

/// When a result came.
pub(crate) fn stamp_of(element: &Fragment) -> Option<Timestamp> {
    let result = element.payloads().element("result", NS)?;
    let delay = result.find("forwarded", FORWARD)?;
    let delay = delay.find("delay", "urn:xmpp:delay")?;
    Timestamp::parse_xep0082(delay.get("stamp")?)
}

/// Whether an element is a result of an archive query.
pub(crate) fn is_result(element: &Fragment) -> bool {
    element.name() == "message" && element.payloads().has("result", NS)
}

/// Reads one page, handing every result to `each`. Stanzas are counted where
/// the stream is managed.
pub(crate) async fn read_page<T>(
    connection: &mut Connection,
    mut management: Option<&mut Management<T>>,
    id: &str,
    mut each: impl FnMut(&Fragment) -> Result<()>,
) -> Result<PageEnd> {
    loop {
        let element = connection.element().await?;
        if let Some(management) = management.as_deref_mut() {
            management.incoming(&element, connection)?;
        }
        if is_result(&element) {
            each(&element)?;
        } else if element.name() == "iq" && element.attr("id") == Some(id) {
            return page_end(&element);
        }
    }
}

/// Reads what a result carries.
pub(crate) fn archived(element: &Fragment) -> Result<Archived> {
    let result = element
        .payloads()
        .element("result", NS)
        .ok_or_else(|| missing("result"))?;
    let id = result.get("id").ok_or_else(|| missing("id"))?.to_owned();
    let forwarded = result
        .find("forwarded", FORWARD)
        .ok_or_else(|| missing("forwarded"))?;
    let message = forwarded
        .find("message", ns::CLIENT)
        .ok_or_else(|| missing("message"))?;
    Ok(Archived {
        id,
        origin_id: origin_id(message),
        from: message.get("from").unwrap_or_default().to_owned(),
        to: message.get("to").unwrap_or_default().to_owned(),
        body: message
            .find("body", ns::CLIENT)
            .map(Element::text_content)
            .unwrap_or_default(),
    })
}

/// The origin id in a message.
fn origin_id(message: &Element) -> Option<String> {
    message
        .find("origin-id", STANZA_IDS)?
        .get("id")
        .map(str::to_owned)
}

fn missing(what: &str) -> LoadError {
    LoadError::protocol(format!("archive result without {what}"))
}

fn page_end(answer: &Fragment) -> Result<PageEnd> {
    if answer.attr("type") != Some("result") {
        return Err(LoadError::Refused(format!(
            "archive query: {}",
            condition_of(answer)
        )));
    }
    let Some(fin) = answer.payloads().element("fin", NS) else {
        return Err(LoadError::protocol("archive answer without <fin/>"));
    };
    let last = fin
        .find("set", RSM)
        .and_then(|set| set.find("last", RSM))
        .map(Element::text_content);
    // XML Schema booleans come in two spellings.
    Ok(PageEnd {
        last,
        complete: matches!(fin.get("complete"), Some("true" | "1")),
    })
}
