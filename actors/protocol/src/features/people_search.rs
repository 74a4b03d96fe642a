//! Searching for people: Jabber Search, XEP-0055 version 1.3,
//! <https://xmpp.org/extensions/xep-0055.html>
//!
//! Finds people of the directory by the beginnings of their names and addresses, at
//! `people.DOMAIN`, for people who log in here. It finds whom one looks for and is no way to read
//! the directory: a few letters are needed, and only so many hits are shown. Others than people of
//! the asker's organisation are not there (row R14).
//!
//! Leaves out: pages, which the protocol does not have.

use super::data_forms::{self, Submitted};
use super::{Feature, Scope, Service, Spec, get, refuse, set};
use crate::colleagues::{Book, Entry, Person};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::tenancy;
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "jabber:iq:search";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "people_search",
    title: "Jabber Search",
    spec: Spec::Xep {
        number: 55,
        version: "1.3",
    },
    services: &[(Service::People, &[NS])],
    iq: &[
        get(Scope::Service(Service::People), NS, "query", offer),
        set(Scope::Service(Service::People), NS, "query", search),
    ],
    ..Feature::NONE
};

/// With fewer letters half the directory would be found.
const LETTERS_MIN: usize = 2;
/// Whoever is not among so many is found with one letter more.
const HITS_MAX: usize = 50;
/// A name has hardly more words.
const WORDS_MAX: usize = 10;

/// What of a person is searched in.
type Part = fn(&Person) -> Vec<&str>;

/// What can be searched in: the field, what forms call it, and what of a person it is.
const FIELDS: [(&str, &str, Part); 5] = [
    (ANY, "Name or address", |it| [names(it), mail(it)].concat()),
    ("first", "Given name", |it| {
        it.card.given.as_deref().into_iter().collect()
    }),
    ("last", "Family name", |it| {
        it.card.family.as_deref().into_iter().collect()
    }),
    ("nick", "Name", names),
    ("email", "Address", mail),
];

/// XEP-0055 §4 has the others for the old way and for forms; this one stands in the form alone.
const ANY: &str = "any";

fn names(person: &Person) -> Vec<&str> {
    let card = &person.card;
    let parts = [card.given.as_deref(), card.family.as_deref()];
    std::iter::once(&*person.name)
        .chain(parts.into_iter().flatten())
        .collect()
}

fn mail(person: &Person) -> Vec<&str> {
    let aliases = person.aliases.iter().map(|alias| alias.as_str());
    std::iter::once(person.account.as_str())
        .chain(aliases)
        .collect()
}

/// §2.1, §3: the fields, and the form.
fn offer(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if let Err(error) = check_asker(iq, facts) {
        return refuse(iq, error);
    }
    let instructions = "At least two letters of the beginnings of names or of an address";
    let plain = FIELDS.iter().filter(|(name, ..)| *name != ANY);
    let plain = plain.map(|(name, ..)| Element::new(*name, NS));
    let fields = FIELDS
        .iter()
        .map(|(name, label, _)| data_forms::field(name, "text-single").attr("label", *label));
    let text = |name, text| Element::new(name, data_forms::NS).text(text);
    let form = data_forms::form(NS)
        .child(text("title", "People"))
        .child(text("instructions", instructions))
        .children_from(fields);
    let query = Element::new("query", NS)
        .child(Element::new("instructions", NS).text(instructions))
        .children_from(plain)
        .child(form);
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
}

/// §2.1, §3: who is found, in the way that was asked in.
fn search(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match find(iq, facts) {
        Ok(query) => vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))],
        Err(error) => refuse(iq, error),
    }
}

fn find(iq: &Iq, facts: &Facts<'_>) -> Result<Element, StanzaError> {
    let asker = check_asker(iq, facts)?;
    let query = iq.payloads.element("query", NS);
    let query = query.ok_or_else(StanzaError::bad_request)?;
    let form = query.find("x", data_forms::NS).map(Submitted::read);
    let wanted = match &form {
        Some(form) => Wanted::of_form(form.as_ref().ok_or_else(StanzaError::bad_request)?),
        None => Wanted::of_fields(&query),
    }?;
    let book = facts.book();
    let found = wanted.find(&book, |person| {
        !tenancy::are_apart(asker, person.account.as_jid(), facts.host, &book)
    });
    Ok(match form {
        Some(_) => as_form(&found),
        None => as_items(&found),
    })
}

/// The directory is for people who log in here: no component and nobody from elsewhere reads it.
fn check_asker<'a>(iq: &'a Iq, facts: &Facts<'_>) -> Result<&'a Jid, StanzaError> {
    let asker = iq.head.from.as_ref().ok_or_else(StanzaError::bad_request)?;
    let is_account = asker.localpart().is_some() && facts.host.serves(asker.domain());
    is_account
        .then_some(asker)
        .ok_or_else(StanzaError::forbidden)
}

/// What is looked for: words, and in what of a person.
struct Wanted {
    fields: Vec<(Part, Vec<String>)>,
}

impl Wanted {
    fn of_form(form: &Submitted) -> Result<Self, StanzaError> {
        Self::of(|name| form.value(name).map(str::to_owned))
    }

    fn of_fields(query: &Element) -> Result<Self, StanzaError> {
        Self::of(|name| {
            let field = query.find(name, NS).filter(|_| name != ANY);
            field.map(Element::text_content)
        })
    }

    fn of(value: impl Fn(&str) -> Option<String>) -> Result<Self, StanzaError> {
        let mut fields = Vec::new();
        let mut letters = 0;
        for (name, _, part) in FIELDS {
            let words = words(&value(name).unwrap_or_default());
            if words.len() > WORDS_MAX {
                return Err(StanzaError::not_acceptable().with_text("too many words"));
            }
            letters = letters.max(words.iter().map(|it| it.chars().count()).max().unwrap_or(0));
            if !words.is_empty() {
                fields.push((part, words));
            }
        }
        match letters >= LETTERS_MIN {
            true => Ok(Self { fields }),
            // What clients send for everybody, such as a `*`, has no letters at all.
            false => Err(StanzaError::not_acceptable().with_text("at least two letters")),
        }
    }

    /// Everybody who fits, in the order of names.
    fn find<'a>(&self, book: &'a Book, is_near: impl Fn(&Person) -> bool) -> Vec<&'a Person> {
        let people = book.entries().filter_map(|(_, entry)| match &**entry {
            Entry::Person(person) if !person.is_disabled => Some(person),
            _ => None,
        });
        let mut found: Vec<&Person> = people
            .filter(|person| is_near(person) && self.fits(person))
            .collect();
        found.sort_by(|one, other| (&one.name, &one.account).cmp(&(&other.name, &other.account)));
        found.truncate(HITS_MAX);
        found
    }

    fn fits(&self, person: &Person) -> bool {
        self.fields.iter().all(|(part, wanted)| {
            let have: Vec<String> = part(person).into_iter().flat_map(words).collect();
            let begins = |wanted: &String| have.iter().any(|it| it.starts_with(wanted.as_str()));
            wanted.iter().all(begins)
        })
    }
}

/// Words as they are compared: of letters and digits, whatever their case.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|it: char| !it.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// What is told of somebody: name of the field, its label, the value.
fn told(person: &Person) -> [(&'static str, &'static str, Option<&str>); 4] {
    [
        ("first", "Given name", person.card.given.as_deref()),
        ("last", "Family name", person.card.family.as_deref()),
        ("nick", "Name", Some(&person.name)),
        ("email", "Address", Some(person.account.as_str())),
    ]
}

fn as_items(found: &[&Person]) -> Element {
    let item = |person: &&Person| {
        let fields = told(person).into_iter();
        let fields =
            fields.filter_map(|(name, _, value)| Some(Element::new(name, NS).text(value?)));
        Element::new("item", NS)
            .attr("jid", person.account.as_str())
            .children_from(fields)
    };
    Element::new("query", NS).children_from(found.iter().map(item))
}

fn as_form(found: &[&Person]) -> Element {
    const JID: (&str, &str, &str) = ("jid", "Address for chat", "jid-single");
    let shown = FIELDS.iter().filter(|(name, ..)| *name != ANY);
    let shown = shown.map(|(name, label, _)| (*name, *label, "text-single"));
    let reported = std::iter::once(JID).chain(shown);
    let reported =
        reported.map(|(name, label, kind)| data_forms::field(name, kind).attr("label", label));
    let reported = Element::new("reported", data_forms::NS).children_from(reported);
    let field = |name: &'static str, value: &str| {
        let value = Element::new("value", data_forms::NS).text(value);
        Element::new("field", data_forms::NS)
            .attr("var", name)
            .child(value)
    };
    let item = |person: &&Person| {
        let fields = told(person).into_iter();
        let fields = fields.map(|(name, _, value)| field(name, value.unwrap_or_default()));
        Element::new("item", data_forms::NS)
            .child(field("jid", person.account.as_str()))
            .children_from(fields)
    };
    let form = data_forms::form(NS)
        .attr("type", "result")
        .child(reported)
        .children_from(found.iter().map(item));
    Element::new("query", NS).child(form)
}

#[cfg(test)]
mod tests;
