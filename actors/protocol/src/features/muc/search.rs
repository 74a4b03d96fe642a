//! Searching for rooms: XEP-0433 version 0.1.0, <https://xmpp.org/extensions/xep-0433.html>
//!
//! Here is what is asked for and how an answer looks; the service's index of public rooms and the
//! rooms at hand answer it.

use super::effect::{Load, RoomEffect, RoomQuery};
use super::room::answer;
use super::service::{RoomPage, RoomSummary};
use crate::features::data_forms::{self, Submitted};
use crate::features::muc::form::value_field;
use crate::features::rsm::{self, PageRequest};
use crate::features::{Feature, Service, Spec};
use crate::jid::BareJid;
use crate::stanza::{ErrorKind, Iq, StanzaError};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:channel-search:0:search";
const NS_FORM: &str = "urn:xmpp:channel-search:0:search-params";
const NS_ERROR: &str = "urn:xmpp:channel-search:0:error";
const BY_USERS: &str = "{urn:xmpp:channel-search:0:order}nusers";
const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";
/// Shorter words would find nearly every room.
const TERM_CHARS_MIN: usize = 2;
/// As many words as anybody remembers of a name.
const TERMS_MAX: usize = 10;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "muc::search",
    title: "Extended Channel Search",
    spec: Spec::Xep {
        number: 433,
        version: "0.1.0",
    },
    services: &[(Service::Rooms, &[NS])],
    ..Feature::NONE
};

/// Which public rooms are wanted of one service (row R14: of no other).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomListQuery {
    /// The service whose rooms they are.
    pub service: BareJid,
    /// Words that all stand in one of the places, whatever their case; none: all rooms.
    pub terms: Vec<String>,
    /// Look into names.
    pub in_name: bool,
    /// Look into descriptions.
    pub in_description: bool,
    /// Look into addresses.
    pub in_address: bool,
    /// Rooms with so many occupants at least.
    pub occupants_min: u32,
    /// In which order.
    pub order: Order,
    /// The page, by what [`RoomSummary::cursor`] says.
    pub page: PageRequest,
    /// Rooms at most.
    pub max: u32,
}

/// The order of rooms in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By address.
    Address,
    /// The fullest first, then by address.
    Occupants,
}

impl RoomListQuery {
    /// Tells whether a room is wanted, without regard to pages.
    pub fn wants(&self, room: &RoomSummary) -> bool {
        if room.jid.domain() != self.service.as_str() || room.occupants < self.occupants_min {
            return false;
        }
        let localpart = room.jid.localpart().unwrap_or_default();
        let places = [
            (self.in_name, &*room.name),
            (self.in_description, &*room.description),
            (self.in_address, localpart),
        ];
        let places = places.into_iter().filter(|(is_wanted, _)| *is_wanted);
        let text: Vec<String> = places.map(|(_, text)| text.to_lowercase()).collect();
        self.terms
            .iter()
            .all(|term| text.iter().any(|text| text.contains(&term.to_lowercase())))
    }
}

/// §4.2.1: the form.
pub(super) fn offer(iq: &Iq) -> RoomEffect {
    let yes = |name, label| value_field(name, "boolean", label, ["true"]);
    let option = |field: Element, label: &str, value: &str| {
        let value = Element::new("value", data_forms::NS).text(value);
        let option = Element::new("option", data_forms::NS).attr("label", label);
        field.child(option.child(value))
    };
    let types = value_field("types", "list-multi", "Service types", ["xep-0045"]);
    let key = value_field("key", "list-single", "Sort results by", [BY_USERS]);
    let key = option(key, "Number of online users", BY_USERS);
    let form = data_forms::form(NS_FORM)
        .child(value_field("q", "text-single", "Search for", []))
        .child(value_field(
            "all",
            "boolean",
            "Return all entries (ignore search terms)",
            ["false"],
        ))
        .child(yes("sinname", "Search in name"))
        .child(yes("sindescription", "Search in description"))
        .child(yes("sinaddr", "Search in address"))
        .child(value_field(
            "min_users",
            "text-single",
            "Minimum number of users",
            ["0"],
        ))
        .child(option(types, "XEP-0045 Multi User Chats", "xep-0045"))
        .child(option(key, "Address", BY_ADDRESS));
    answer(iq, Some(Element::new("search", NS).child(form)))
}

/// §4.2.2: reads what is searched for, and asks for it.
pub(super) fn decide(
    iq: &Iq,
    service: &BareJid,
    page_max: u32,
) -> Result<Vec<RoomEffect>, StanzaError> {
    let search = iq.payloads.element("search", NS);
    let search = search.ok_or_else(StanzaError::bad_request)?;
    let Some(form) = search.find("x", data_forms::NS) else {
        return Ok(vec![offer(iq)]);
    };
    let form = Submitted::read(form).filter(|form| form.form_type() == Some(NS_FORM));
    let form = form.ok_or_else(StanzaError::bad_request)?;
    let page = rsm::read(&search)?;
    let query = read(&form, page, service, page_max)?;
    Ok(vec![RoomEffect::Load(Box::new(Load {
        origin: iq.clone().into(),
        query: RoomQuery::Rooms(query),
    }))])
}

fn read(
    form: &Submitted,
    page: PageRequest,
    service: &BareJid,
    page_max: u32,
) -> Result<RoomListQuery, StanzaError> {
    let is = |name, default| match form.value(name) {
        None => default,
        Some(value) => matches!(value, "1" | "true"),
    };
    let order = match form.value("key") {
        None | Some(BY_USERS) => Order::Occupants,
        Some(BY_ADDRESS) => Order::Address,
        Some(_) => {
            return Err(invalid(
                StanzaError::feature_not_implemented(),
                "invalid-sort-key",
            ));
        }
    };
    // §5.1: this service has rooms of one type.
    let types = form.values("types");
    if !types.is_empty() && types.iter().all(|it| it != "xep-0045") {
        return Err(StanzaError::item_not_found());
    }
    let min = form.value("min_users").map(str::parse::<u32>).transpose();
    Ok(RoomListQuery {
        service: service.clone(),
        terms: read_terms(form, is("all", false))?,
        in_name: is("sinname", true),
        in_description: is("sindescription", true),
        // §5.1 and the example differ in the field's name.
        in_address: is("sinaddr", is("sinaddress", true)),
        occupants_min: min.map_err(|_| StanzaError::bad_request())?.unwrap_or(0),
        order,
        max: page.max.unwrap_or(page_max).min(page_max),
        page,
    })
}

/// §4.2.2.3 to §4.2.2.7: words or all, and neither both nor none.
fn read_terms(form: &Submitted, is_all: bool) -> Result<Vec<String>, StanzaError> {
    match (form.value("q"), is_all) {
        (Some(_), true) => {
            let var = |name: &str| Element::new("var", NS_ERROR).text(name);
            let conflicting = Element::new("conflicting-fields", NS_ERROR)
                .child(var("all"))
                .child(var("q"));
            Err(StanzaError::bad_request().with_application(conflicting))
        }
        (None, true) => Ok(Vec::new()),
        (None, false) => Err(invalid(StanzaError::bad_request(), "no-search-conditions")),
        (Some(words), false) => {
            let terms = words.split_whitespace();
            let terms = terms.filter(|term| term.chars().count() >= TERM_CHARS_MIN);
            let terms: Vec<String> = terms.take(TERMS_MAX).map(str::to_owned).collect();
            match terms.is_empty() {
                true => {
                    let error = StanzaError::bad_request();
                    let error = error.with_text("search terms have at least two characters");
                    Err(invalid(error, "invalid-search-terms"))
                }
                false => Ok(terms),
            }
        }
    }
}

fn invalid(error: StanzaError, condition: &'static str) -> StanzaError {
    error
        .with_kind(ErrorKind::Modify)
        .with_application(Element::new(condition, NS_ERROR))
}

/// §4.2.2.1: the rooms that were found.
pub(super) fn found(page: &RoomPage) -> Element {
    let items = page.rooms.iter().map(item);
    let cursor = |room: Option<&RoomSummary>| room.map(|room| room.cursor().to_owned());
    let (first, last) = (cursor(page.rooms.first()), cursor(page.rooms.last()));
    let set = rsm::page(first.as_deref(), last.as_deref(), page.count);
    Element::new("result", NS).children_from(items).child(set)
}

/// §5.2.
fn item(room: &RoomSummary) -> Element {
    let text = |name: &'static str, text: &str| {
        (!text.is_empty()).then(|| Element::new(name, NS).text(text))
    };
    let anonymity = match room.non_anonymous {
        true => "{urn:xmpp:channel-search:0:anonymity}none",
        false => "muc_semianonymous",
    };
    Element::new("item", NS)
        .attr("address", room.jid.as_str())
        .children_from(text("name", &room.name))
        .children_from(text("description", &room.description))
        .children_from(text("language", &room.lang))
        .children_from(text("nusers", &room.occupants.to_string()))
        .children_from(text("service-type", "xep-0045"))
        .children_from(room.is_open.then(|| Element::new("is-open", NS)))
        .children_from(text("anonymity-mode", anonymity))
}

#[cfg(test)]
mod tests;
