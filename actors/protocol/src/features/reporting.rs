//! Blocking Command Reports: XEP-0377 version 0.4.1,
//! <https://xmpp.org/extensions/xep-0377.html>
//!
//! Whoever blocks somebody may say why. Such a report becomes a message of the domain to those
//! who look after it: the accounts among the abuse addresses (XEP-0157), or else the domain's
//! administrators. It stands in their archives, so nothing else keeps it; `admin/reports.rs`
//! lists what an administrator got.
//!
//! Leaves out: forwarding to the reported one's domain and to third parties (§5), which needs
//! federation and is done with the user's consent alone; ids of messages in archives of rooms.

use std::collections::BTreeSet;

use super::{Feature, Spec, blocking, carbons, data_forms, delay, mam, stanza_id};
use crate::archive::{Direction, Entry};
use crate::facts::{Facts, Host};
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Head, Iq, Message, MessageKind, StanzaError, framed};
use crate::time::Timestamp;
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:reporting:1";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "reporting",
    title: "Blocking Command Reports",
    spec: Spec::Xep {
        number: 377,
        version: "0.4.1",
    },
    // §3.
    disco: &[NS],
    ..Feature::NONE
};

/// Reports in one request at most: each of them is a message to every administrator.
const REPORTS_MAX: usize = 10;

/// What somebody says about a report has so many bytes at most: a page.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// The reasons that are registered have a few dozen bytes.
const REASON_BYTES_MAX: usize = 256;

/// Messages that are named in one report at most; more say nothing new about their sender.
const IDS_MAX: usize = 20;

/// Copies of messages in one report have so many bytes at most: with all else they are far from
/// the largest stanza a client has to take.
const COPIES_BYTES_MAX: usize = 64 * 1024;

/// Somebody was blocked, and this is said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who says it.
    pub reporter: BareJid,
    /// Of whom.
    pub reported: Jid,
    /// Why (§4).
    pub reason: String,
    /// In the reporter's words.
    pub text: String,
    /// Messages in the reporter's archive that show it (§6).
    pub ids: Vec<u64>,
}

impl Report {
    /// What is wrong, in a word.
    pub fn kind(&self) -> &'static str {
        match self.reason.as_str() {
            "urn:xmpp:reporting:spam" => "spam",
            "urn:xmpp:reporting:abuse" => "abuse",
            _ => "other",
        }
    }

    /// The domain that deals with it.
    pub fn domain(&self) -> BareJid {
        self.reporter.domain_jid()
    }

    /// The message it becomes, without an address. `entries` are those of the reporter's archive
    /// that it names; what did not come from the reported one shows nothing and stays there.
    pub fn message(&self, entries: &[Entry]) -> Message {
        let (reporter, reported) = (self.reporter.as_str(), self.reported.as_str());
        let mut text = match self.kind() {
            "other" => format!("{reporter} has blocked {reported} ({})", self.reason),
            kind => format!("{reporter} has blocked {reported} for {kind}"),
        };
        if !self.text.is_empty() {
            text = format!("{text}:\n{}", self.text);
        }
        let body = Element::new("body", ns::CLIENT).text(text);
        let copies = self.copies(entries);
        Message {
            head: Head {
                from: Some(self.domain().into()),
                ..Head::default()
            },
            kind: MessageKind::Normal,
            payloads: [body, self.form()].into_iter().chain(copies).collect(),
        }
    }

    fn form(&self) -> Element {
        let field = |(name, value): (&'static str, &str)| {
            let value = Element::new("value", data_forms::NS).text(value);
            Element::new("field", data_forms::NS)
                .attr("var", name)
                .child(value)
        };
        let fields = [
            ("reporter", self.reporter.as_str()),
            ("reported", self.reported.as_str()),
            ("reason", self.reason.as_str()),
            ("text", self.text.as_str()),
        ];
        data_forms::form(NS)
            .attr("type", "result")
            .children_from(fields.into_iter().map(field))
    }

    fn copies(&self, entries: &[Entry]) -> Vec<Element> {
        let mut bytes = 0;
        let shows = |entry: &&Entry| {
            entry.direction == Direction::Received && entry.with == self.reported.bare()
        };
        let fits = |entry: &&Entry| {
            bytes += entry.stanza.len();
            bytes <= COPIES_BYTES_MAX
        };
        let copy = |entry: &Entry| {
            Element::new("forwarded", carbons::NS_FORWARD)
                .child(delay::delay(None, entry.stamp))
                .raw_child(framed(&entry.stanza))
        };
        let shown = entries.iter().filter(shows);
        shown.take_while(fits).map(copy).collect()
    }
}

/// The reports in a request to block somebody (§6).
///
/// # Errors
/// `bad-request` for one without a reason (§4), `policy-violation` for too much.
pub(super) fn read(iq: &Iq, facts: &Facts<'_>) -> Result<Vec<Report>, StanzaError> {
    let command = iq.payloads.element("block", blocking::NS);
    let items = command.iter().flat_map(Element::children);
    let mut reports = Vec::new();
    let mut seen = BTreeSet::new();
    for item in items.filter(|item| item.is("item", blocking::NS)) {
        let Some(report) = item.find("report", NS) else {
            continue;
        };
        let jid = item.get("jid").ok_or_else(StanzaError::bad_request)?;
        let reported = Jid::parse(jid).map_err(|_| StanzaError::jid_malformed())?;
        if seen.insert(reported.clone()) {
            reports.push(read_one(report, reported, facts)?);
        }
    }
    match reports.len() <= REPORTS_MAX {
        true => Ok(reports),
        false => Err(StanzaError::policy_violation().with_text("too many reports at once")),
    }
}

fn read_one(report: &Element, reported: Jid, facts: &Facts<'_>) -> Result<Report, StanzaError> {
    let reason = report.get("reason").filter(|reason| !reason.is_empty());
    let reason =
        reason.ok_or_else(|| StanzaError::bad_request().with_text("a report has a reason"))?;
    let texts = report.children().filter(|child| child.is("text", NS));
    let texts: Vec<String> = texts
        .map(|text| text.text_content().trim().to_owned())
        .collect();
    let text = texts.join("\n");
    if reason.len() > REASON_BYTES_MAX || text.len() > TEXT_BYTES_MAX {
        return Err(StanzaError::policy_violation().with_text("too long for a report"));
    }
    let of_messages = report
        .children()
        .filter(|child| child.is("stanza-id", stanza_id::NS));
    // §6 is of two minds who gives these ids: the reporter's archive does, which is `by` in
    // XEP-0359; the examples say it is the reported one. Whoever it is: what an id shows is
    // looked up in the reporter's archive, and has to come from the reported one.
    let known = of_messages.filter(|it| {
        let by = it.get("by").unwrap_or_default();
        by == facts.account.as_str() || by == reported.as_str() || by == reported.bare_str()
    });
    let ids = known.filter_map(|it| mam::read_id(it.get("id")?).ok());
    Ok(Report {
        reporter: facts.account.clone(),
        reason: reason.to_owned(),
        text,
        ids: ids.take(IDS_MAX).collect(),
        reported,
    })
}

/// The accounts of this server among the abuse addresses, if they look after this domain or the
/// operator says nothing else.
pub fn contacts(host: &Host) -> Vec<BareJid> {
    let addresses = host.contacts.abuse.iter();
    let addresses = addresses.filter_map(|uri| {
        let address = uri.strip_prefix("xmpp:")?;
        let address = address.split(['?', '#']).next()?;
        BareJid::parse(address).ok()
    });
    let is_account = |jid: &BareJid| jid.localpart().is_some() && host.serves(jid.domain());
    addresses.filter(is_account).collect()
}

/// A report as whoever got it finds it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// When it came.
    pub stamp: Timestamp,
    /// Who made it.
    pub reporter: String,
    /// Of whom.
    pub reported: String,
    /// Why.
    pub reason: String,
    /// In the reporter's words.
    pub text: String,
}

impl Received {
    /// Finds one in an entry of an archive that came from a domain of this server, which alone
    /// writes them.
    pub fn of(entry: &Entry) -> Option<Self> {
        let message = Element::parse(&framed(&entry.stanza)).ok()?;
        let form = message.find("x", data_forms::NS)?;
        let value = |name: &str| {
            let mut fields = form.children();
            let field = fields.find(|field| field.get("var") == Some(name))?;
            Some(field.find("value", data_forms::NS)?.text_content())
        };
        if value("FORM_TYPE")? != NS {
            return None;
        }
        Some(Self {
            stamp: entry.stamp,
            reporter: value("reporter")?,
            reported: value("reported")?,
            reason: value("reason")?,
            text: value("text").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::testkit::*;
    use bytes::Bytes;

    const TYBALT: &str = "tybalt@example.org";

    fn block(items: &str) -> String {
        format!("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>{items}</block></iq>")
    }

    fn item(jid: &str, report: &str) -> String {
        format!("<item jid='{jid}'>{report}</item>")
    }

    fn report(inside: &str) -> String {
        format!("<report xmlns='{NS}' reason='urn:xmpp:reporting:spam'>{inside}</report>")
    }

    fn reports(effects: &[Effect]) -> Vec<&Report> {
        let reports = effects.iter().filter_map(|effect| match effect {
            Effect::Report(report) => Some(&**report),
            _ => None,
        });
        reports.collect()
    }

    #[test]
    fn a_report_is_made_of_whom_it_is_about_and_the_block_is_what_it_would_be_without() {
        let with = item(TYBALT, &report("<text xml:lang='en'>\n  Never!\n </text>"));
        let effects = facts().sends(&block(&with));
        let plain = facts().sends(&block(&item(TYBALT, "")));
        let expected = Report {
            reporter: bare(ACCOUNT),
            reported: jid(TYBALT),
            reason: "urn:xmpp:reporting:spam".into(),
            text: "Never!".into(),
            ids: Vec::new(),
        };
        assert_eq!(reports(&effects), [&expected]);
        let others: Vec<Effect> = effects
            .into_iter()
            .filter(|effect| !matches!(effect, Effect::Report(_)))
            .collect();
        assert_eq!(others, plain);
    }

    #[test]
    fn who_is_blocked_already_can_be_reported() {
        let given = facts().blocks(TYBALT);
        let effects = given.sends(&block(&item(TYBALT, &report(""))));
        assert_eq!(reports(&effects).len(), 1);
    }

    #[test]
    fn ids_are_those_of_the_archive_or_the_examples() {
        let ids = format!(
            "<stanza-id xmlns='urn:xmpp:sid:0' by='{ACCOUNT}' id='7'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='{TYBALT}' id='9'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='else@example.net' id='11'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='{ACCOUNT}' id='28482-98726'/>"
        );
        let effects = facts().sends(&block(&item(TYBALT, &report(&ids))));
        assert_eq!(reports(&effects)[0].ids, [7, 9]);
    }

    #[test]
    fn reports_without_a_reason_and_too_many_or_too_long_ones_are_refused() {
        let bare = item(TYBALT, &format!("<report xmlns='{NS}'/>"));
        assert_eq!(refusal(&facts().sends(&block(&bare))), "bad-request");
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        let long = item(TYBALT, &report(&format!("<text>{long}</text>")));
        assert_eq!(refusal(&facts().sends(&block(&long))), "policy-violation");
        let many: String = (0..=REPORTS_MAX)
            .map(|n| item(&format!("t{n}@example.org"), &report("")))
            .collect();
        assert_eq!(refusal(&facts().sends(&block(&many))), "policy-violation");
    }

    fn entry(direction: Direction, with: &str, text: &str) -> Entry {
        Entry {
            id: 7,
            stamp: Timestamp(1_000_000),
            direction,
            with: bare(with),
            stanza: Bytes::from(format!("<message><body>{text}</body></message>")),
        }
    }

    #[test]
    fn a_report_shows_what_the_reported_one_wrote_and_nothing_else() {
        let report = Report {
            reporter: bare(ACCOUNT),
            reported: jid(&format!("{TYBALT}/phone")),
            reason: "urn:xmpp:reporting:abuse".into(),
            text: "Help".into(),
            ids: vec![7],
        };
        let message = report.message(&[
            entry(Direction::Received, TYBALT, "villain"),
            entry(Direction::Sent, TYBALT, "good Tybalt"),
            entry(Direction::Received, "juliet@example.org", "good night"),
        ]);
        let text = String::from_utf8(
            crate::stanza::Stanza::Message(message.clone())
                .to_bytes()
                .to_vec(),
        );
        let text = text.unwrap();
        assert!(text.contains("villain"), "{text}");
        assert!(!text.contains("good"), "{text}");
        let body = message.body().unwrap().into_owned();
        assert_eq!(
            body,
            format!("{ACCOUNT} has blocked {TYBALT}/phone for abuse:\nHelp")
        );
        let found = Received::of(&Entry {
            stanza: Bytes::from(text),
            ..entry(Direction::Received, "example.org", "")
        });
        let found = found.unwrap();
        assert_eq!(found.reported, format!("{TYBALT}/phone"));
        assert_eq!(
            (found.reporter.as_str(), found.text.as_str()),
            (ACCOUNT, "Help")
        );
        assert_eq!(
            Received::of(&entry(Direction::Received, "example.org", "hi")),
            None
        );
    }

    #[test]
    fn reports_go_to_the_accounts_among_the_abuse_addresses() {
        let mut given = facts();
        given.host.contacts.abuse = [
            "mailto:abuse@example.org",
            "xmpp:abuse@example.org?message",
            "xmpp:abuse@elsewhere.example",
        ]
        .map(str::to_owned)
        .to_vec();
        assert_eq!(contacts(&given.host), [bare("abuse@example.org")]);
    }
}
