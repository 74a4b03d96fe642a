//! Message Archive Management: XEP-0313 version 1.1.3,
//! <https://xmpp.org/extensions/xep-0313.html>
//!
//! The archive of an account is its log. Results are ordinary stanzas to the client, read
//! from the store a page at a time. A room's archive: [`super::muc`].

use super::{
    Feature, Scope, Spec, Status, carbons, data_forms, delay, fulltext, get, refuse, rsm, set,
};
use crate::archive::{ArchiveQuery, Bounds, Entry, Page, PageFrom};
use crate::effect::{Answer, Effect, Query};
use crate::facts::Facts;
use crate::features::data_forms::Submitted;
use crate::features::fulltext::Search;
use crate::features::rsm::PageRequest;
use crate::jid::Jid;
use crate::stanza::{Iq, Message, MessageKind, Stanza, StanzaError, framed};
use crate::time::Timestamp;
use crate::xml::{Child, Element, Payloads};

/// The namespace.
pub const NS: &str = "urn:xmpp:mam:2";
/// Filters by id, flipped pages, metadata.
pub const NS_EXTENDED: &str = "urn:xmpp:mam:2#extended";

/// Clients may say whether they want messages of rooms; an account's archive has none (§7).
pub const NS_GROUPCHAT_FIELD: &str = "urn:xmpp:mam:2#groupchat-field";
const INCLUDE_GROUPCHAT: &str = "include-groupchat";
const NS_VALIDATE: &str = "http://jabber.org/protocol/xdata-validate";

/// Entries a page has when the client does not say, and at most.
const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 250;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "mam",
    title: "Message Archive Management",
    spec: Spec::Xep {
        number: 313,
        version: "1.1.3",
    },
    status: Status::Partial("ids are consecutive, not unpredictable"),
    disco_account: &[NS, NS_EXTENDED, NS_GROUPCHAT_FIELD],
    iq: &[
        set(Scope::Own, NS, "query", query),
        get(Scope::Own, NS, "query", offer_form),
        get(Scope::Own, NS, "metadata", metadata),
    ],
    ..Feature::NONE
};

/// What a client asks for.
pub(crate) struct Wanted {
    pub(crate) query: ArchiveQuery,
    /// What the client tells its queries by.
    pub(crate) query_id: Option<String>,
    pub(crate) is_flipped: bool,
    /// The client says whether it wants messages of rooms (§4.1.4), which is no question to the
    /// archive of a room.
    pub(crate) minds_groupchat: bool,
}

/// §4: reads what is asked for and asks the store.
fn query(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match read(iq) {
        Ok(wanted) if facts.host.archive => {
            vec![Effect::Load(Query::Archive(wanted.query), results)]
        }
        Ok(_) => refuse(iq, StanzaError::feature_not_implemented()),
        Err(error) => refuse(iq, error),
    }
}

/// Reads a query.
pub(crate) fn read(iq: &Iq) -> Result<Wanted, StanzaError> {
    let query = iq
        .payloads
        .element("query", NS)
        .ok_or_else(StanzaError::bad_request)?;
    let page = rsm::read(&query)?;
    let form = query.find("x", data_forms::NS);
    let filters = match form {
        Some(form) => read_filters(form)?,
        None => ArchiveQuery::default(),
    };
    let max = page.max.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
    let query_id = query.get("queryid").map(str::to_owned);
    let is_flipped = query.find("flip-page", NS).is_some();
    let fields = form.and_then(Submitted::read);
    let minds_groupchat = fields.is_some_and(|it| it.value(INCLUDE_GROUPCHAT).is_some());
    let query = ArchiveQuery {
        page: page_from(&page)?,
        max,
        ..filters
    };
    Ok(Wanted {
        query,
        query_id,
        is_flipped,
        minds_groupchat,
    })
}

fn page_from(page: &PageRequest) -> Result<PageFrom, StanzaError> {
    match (&page.after, &page.before) {
        // §4.3.2: both together are not defined.
        (Some(_), Some(_)) => Err(StanzaError::bad_request()),
        (Some(after), None) => Ok(PageFrom::After(read_id(after)?)),
        (None, Some(before)) if before.is_empty() => Ok(PageFrom::End),
        (None, Some(before)) => Ok(PageFrom::Before(read_id(before)?)),
        (None, None) => Ok(PageFrom::Start),
    }
}

/// §4.3.2: an id the archive does not have is not found, whatever it looks like.
pub(crate) fn read_id(text: &str) -> Result<u64, StanzaError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = if is_number { text.parse().ok() } else { None };
    id.filter(|id| *id <= i64::MAX as u64)
        .ok_or_else(StanzaError::item_not_found)
}

/// What can be asked for, and the kind of each field.
const FIELDS: [(&str, &str); 7] = [
    ("with", "jid-single"),
    ("start", "text-single"),
    ("end", "text-single"),
    ("before-id", "text-single"),
    ("after-id", "text-single"),
    ("ids", "list-multi"),
    (fulltext::FIELD, "text-single"),
];

/// §4.1: the filters.
fn read_filters(form: &Element) -> Result<ArchiveQuery, StanzaError> {
    let form = Submitted::read(form).ok_or_else(StanzaError::bad_request)?;
    if form.form_type() != Some(NS) {
        return Err(StanzaError::bad_request().with_text("the form is for something else"));
    }
    // §4.1.5: a filter that is passed over would give the client what it did not ask for.
    let is_known = |name: &str| {
        ["FORM_TYPE", INCLUDE_GROUPCHAT].contains(&name)
            || FIELDS.iter().any(|(known, _)| *known == name)
    };
    if !form.names().all(is_known) {
        return Err(StanzaError::feature_not_implemented());
    }
    let time = |name| form.value(name).map(read_time).transpose();
    let id = |name| form.value(name).map(read_id).transpose();
    let with = form.value("with").map(Jid::parse).transpose();
    Ok(ArchiveQuery {
        with: with.map_err(|_| StanzaError::jid_malformed())?,
        start: time("start")?,
        end: time("end")?,
        after_id: id("after-id")?,
        before_id: id("before-id")?,
        ids: form
            .values("ids")
            .iter()
            .map(|id| read_id(id))
            .collect::<Result<_, _>>()?,
        // XEP-0431 §2.2: an empty text asks for nothing.
        search: form.value(fulltext::FIELD).map(Search::parse).transpose()?,
        ..ArchiveQuery::default()
    })
}

/// Row X20.
fn read_time(text: &str) -> Result<Timestamp, StanzaError> {
    let error = || StanzaError::bad_request().with_text("a time is not as XEP-0082 writes it");
    Timestamp::parse_xep0082(text).ok_or_else(error)
}

/// §4: the results, then the end.
fn results(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let page = match answer {
        Answer::Page(page) => page,
        Answer::NoSuchItem => return refuse(iq, StanzaError::item_not_found()),
        Answer::Failed(error) => return refuse(iq, error),
        _ => return refuse(iq, StanzaError::internal_server_error()),
    };
    let Ok(wanted) = read(iq) else {
        return Vec::new();
    };
    let mut effects: Vec<Effect> = page
        .entries
        .iter()
        .map(|entry| result(entry, &wanted, facts))
        .collect();
    if wanted.is_flipped {
        // §4.3.4: the order of sending alone is turned round.
        effects.reverse();
    }
    effects.push(Effect::Reply(Stanza::Iq(iq.result(Some(end(&page))))));
    effects
}

fn result(entry: &Entry, wanted: &Wanted, facts: &Facts<'_>) -> Effect {
    let archive = Jid::from(facts.account.clone());
    let forwarded = Element::new("forwarded", carbons::NS_FORWARD)
        .child(delay::delay(None, entry.stamp))
        .raw_child(framed(&entry.stanza));
    let result = result_element(entry.id, wanted.query_id.as_deref());
    let mut payloads = Payloads::default();
    payloads.push(&result.child(forwarded));
    let mut message = Message {
        head: Default::default(),
        kind: MessageKind::Normal,
        payloads,
    };
    message.head.from = Some(archive);
    message.head.to = facts.session.map(|session| session.jid.clone().into());
    Effect::Reply(Stanza::Message(message))
}

/// §4.3: an entry of the result, still empty.
pub(crate) fn result_element(id: u64, query_id: Option<&str>) -> Element {
    let result = Element::new("result", NS).attr("id", id.to_string());
    result.attr_opt("queryid", query_id)
}

/// §4.3.2: the page, and whether there is more.
pub(crate) fn end(page: &Page) -> Element {
    let id = |entry: Option<&Entry>| entry.map(|entry| entry.id.to_string());
    let (first, last) = (id(page.entries.first()), id(page.entries.last()));
    let fin = Element::new("fin", NS);
    let fin = if page.complete {
        fin.attr("complete", "true")
    } else {
        fin
    };
    fin.child(rsm::page(first.as_deref(), last.as_deref(), page.count))
}

fn offer_form(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    let groupchat = data_forms::field(INCLUDE_GROUPCHAT, "boolean");
    let form = fields().child(groupchat);
    let query = Element::new("query", NS).child(form);
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
}

/// §4.1.5: what can be asked of a room's archive.
pub(crate) fn form() -> Element {
    Element::new("query", NS).child(fields())
}

/// §4.1.5: what can be asked of every archive.
fn fields() -> Element {
    // Of the ids any may be asked for, and none is offered.
    let open = || {
        Element::new("validate", NS_VALIDATE)
            .attr("datatype", "xs:string")
            .child(Element::new("open", NS_VALIDATE))
    };
    let add = |form: Element, (name, kind)| {
        let open = (name == "ids").then(open);
        form.child(data_forms::field(name, kind).children_from(open))
    };
    FIELDS.into_iter().fold(data_forms::form(NS), add)
}

/// Every version's namespace begins so.
const NS_ALL: &str = "urn:xmpp:mam:";

/// Takes archive results out of what a client sends (row R05). Clients are to ignore results
/// that they have not asked for or that others send, and some did not (CVE-2019-16237,
/// CVE-2020-26547): what never reaches them fools nobody. Archives of rooms and other servers
/// are no clients, so nothing honest is lost.
pub fn strip_forged(message: Message) -> Message {
    let is_result =
        |child: &Child<'_>| child.name() == "result" && child.namespace().starts_with(NS_ALL);
    if !message.payloads.iter().any(|child| is_result(&child)) {
        return message;
    }
    let payloads = message.payloads.without(is_result);
    Message {
        payloads,
        ..message
    }
}

/// §5.
fn metadata(_iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    vec![Effect::Load(Query::Bounds, tell_bounds)]
}

fn tell_bounds(stanza: &Stanza, answer: Answer, _facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match answer {
        Answer::Bounds(bounds) => {
            let metadata = metadata_element(bounds);
            vec![Effect::Reply(Stanza::Iq(iq.result(Some(metadata))))]
        }
        Answer::Failed(error) => refuse(iq, error),
        _ => refuse(iq, StanzaError::internal_server_error()),
    }
}

/// §5: where an archive begins and ends; empty for an empty one.
pub fn metadata_element(bounds: Option<Bounds>) -> Element {
    let metadata = Element::new("metadata", NS);
    match bounds {
        Some(Bounds { first, last }) => metadata
            .child(bound("start", first))
            .child(bound("end", last)),
        None => metadata,
    }
}

fn bound(name: &'static str, (id, stamp): (u64, Timestamp)) -> Element {
    Element::new(name, NS)
        .attr("id", id.to_string())
        .attr("timestamp", stamp.to_xep0082())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::facts;

    fn asks(inner: &str) -> Vec<Effect> {
        facts().sends(&format!(
            "<iq type='set' id='q'><query xmlns='{NS}'>{inner}</query></iq>"
        ))
    }

    fn filter(fields: &[(&str, &str)]) -> String {
        let field = |(name, value): &(&str, &str)| {
            format!("<field var='{name}'><value>{value}</value></field>")
        };
        let fields: String = fields.iter().map(field).collect();
        format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{NS}</value></field>{fields}</x>"
        )
    }

    fn query_of(effects: &[Effect]) -> &ArchiveQuery {
        let [Effect::Load(Query::Archive(query), _)] = effects else {
            panic!("{effects:?}")
        };
        query
    }

    fn condition(effects: &[Effect]) -> String {
        let [Effect::Reply(stanza)] = effects else {
            panic!("{effects:?}")
        };
        String::from_utf8(stanza.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn an_empty_query_reads_the_first_page() {
        let effects = asks("");
        let query = query_of(&effects);
        assert_eq!((query.page, query.max), (PageFrom::Start, PAGE_DEFAULT));
    }

    #[test]
    fn filters_and_pages_are_read_and_the_page_is_capped() {
        let filters = filter(&[
            ("with", "juliet@example.org"),
            ("start", "2026-01-01T00:00:00Z"),
            ("after-id", "3"),
        ]);
        let page = "<set xmlns='http://jabber.org/protocol/rsm'><max>100000</max><before/></set>";
        let effects = asks(&format!("{filters}{page}"));
        let query = query_of(&effects);
        assert_eq!(query.with, Some(Jid::parse("juliet@example.org").unwrap()));
        assert!(query.start.is_some() && query.end.is_none());
        assert_eq!(
            (query.after_id, query.page, query.max),
            (Some(3), PageFrom::End, PAGE_MAX)
        );
    }

    #[test]
    fn x20_a_time_that_is_none_is_a_bad_request() {
        for time in [
            "99999999-01-01T00:00:00Z",
            "yesterday",
            "2026-13-01T00:00:00Z",
        ] {
            let answer = condition(&asks(&filter(&[("start", time)])));
            assert!(answer.contains("bad-request"), "{answer}");
        }
    }

    #[test]
    fn c08_an_id_is_a_number_or_is_not_found() {
        for id in [
            "' OR 1=1--",
            "abc",
            "-1",
            "99999999999999999999",
            "9223372036854775808",
        ] {
            let id = id.replace('\'', "&apos;");
            let page =
                format!("<set xmlns='http://jabber.org/protocol/rsm'><after>{id}</after></set>");
            let answer = condition(&asks(&page));
            assert!(answer.contains("item-not-found"), "{answer}");
        }
    }

    #[test]
    fn r05_a_clients_own_archive_result_is_taken_out() {
        for version in [NS, "urn:xmpp:mam:1", "urn:xmpp:mam:0", "urn:xmpp:mam:tmp"] {
            let forged = format!(
                "<message to='juliet@example.org/b'><result xmlns='{version}' id='1'>\
                 <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' \
                 from='nurse@example.org'><body>poison</body></message></forwarded></result>\
                 <body>hi</body></message>"
            );
            let effects = format!("{:?}", facts().sends(&forged));
            assert!(effects.contains("hi"), "{effects}");
            assert!(!effects.contains("poison"), "{effects}");
        }
    }

    #[test]
    fn a_filter_nobody_knows_is_not_implemented() {
        let search = filter(&[("with", "juliet@example.org"), ("{urn:x}search", "night")]);
        assert!(condition(&asks(&search)).contains("feature-not-implemented"));
    }

    #[test]
    fn another_forms_answer_is_refused() {
        let form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>other</value></field></x>";
        assert!(condition(&asks(form)).contains("bad-request"));
    }

    #[test]
    fn results_carry_id_query_id_and_stamp_and_the_end_says_whether_there_is_more() {
        let given = facts();
        let iq = crate::testkit::stanza(&format!(
            "<iq type='set' id='q'><query xmlns='{NS}' queryid='f27'/></iq>"
        ));
        let entry = Entry {
            id: 7,
            stamp: Timestamp(0),
            direction: crate::archive::Direction::Sent,
            with: crate::jid::BareJid::parse("juliet@example.org").unwrap(),
            stanza: bytes::Bytes::from_static(
                b"<message to='juliet@example.org'><body>hi</body></message>",
            ),
        };
        let page = Page {
            entries: vec![entry],
            complete: true,
            count: None,
        };
        let effects = results(&iq, Answer::Page(page), &given.facts());
        let texts: Vec<String> = effects
            .iter()
            .map(|effect| match effect {
                Effect::Reply(stanza) => String::from_utf8(stanza.to_bytes().to_vec()).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(
            texts[0].contains("queryid='f27'") && texts[0].contains("id='7'"),
            "{texts:?}"
        );
        assert!(
            texts[0]
                .contains("<message xmlns='jabber:client' to='juliet@example.org'><body>hi</body>")
                && texts[0].contains("stamp='1970-01-01T00:00:00")
        );
        assert!(texts[1].contains("complete='true'") && texts[1].contains("<first>7</first>"));
    }
}
