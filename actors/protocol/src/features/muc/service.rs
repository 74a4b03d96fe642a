//! The service that hosts rooms: XEP-0045 §6.1 to §6.3.

use serde::{Deserialize, Serialize};

use super::config::Config;
use super::disco;
use super::effect::{Load, RoomAnswer, RoomEffect, RoomQuery};
use super::facts::RoomFacts;
use super::room::{self, Room, answer, trace};
use super::search::{self, Order, RoomListQuery};
use crate::features::{Service, ping, rsm};
use crate::jid::BareJid;
use crate::stanza::{Iq, IqKind, Stanza, StanzaError};
use crate::xml::Element;

/// A public room, as the service's list and search show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSummary {
    /// Its address.
    pub jid: BareJid,
    /// What people call it.
    pub name: Box<str>,
    /// What it is for.
    pub description: Box<str>,
    /// The language spoken there.
    pub lang: Box<str>,
    /// How many are inside; may be late.
    pub occupants: u32,
    /// Everybody may enter.
    pub is_open: bool,
    /// Everybody sees everybody's address.
    pub non_anonymous: bool,
}

impl RoomSummary {
    /// How a room with so many inside is listed; `None`: it is hidden.
    pub fn of(jid: &BareJid, config: &Config, occupants: u32) -> Option<Self> {
        config.public.then(|| Self {
            jid: jid.clone(),
            name: config.title(jid).into(),
            description: config.description.clone(),
            lang: config.lang.clone(),
            occupants,
            is_open: !config.members_only && config.password.is_none(),
            non_anonymous: config.non_anonymous,
        })
    }

    /// What pages are made by (XEP-0059).
    pub fn cursor(&self) -> &str {
        self.jid.as_str()
    }
}

/// A page of rooms.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomPage {
    /// The rooms.
    pub rooms: Vec<RoomSummary>,
    /// How many there are in all.
    pub count: Option<u64>,
    /// There is nothing further.
    pub complete: bool,
}

impl Room {
    /// How the service lists it; `None` for a room that is hidden, or not yet there.
    pub fn summary(&self) -> Option<RoomSummary> {
        if self.is_locked() {
            return None;
        }
        let occupants = u32::try_from(self.occupants.len()).unwrap_or(u32::MAX);
        RoomSummary::of(&self.jid, &self.record.config, occupants)
    }
}

/// Decides a stanza to the service itself.
pub fn decide(service: &BareJid, stanza: &Stanza, facts: &RoomFacts<'_>) -> Vec<RoomEffect> {
    let Stanza::Iq(iq) = stanza else {
        return match stanza {
            Stanza::Message(_) => {
                room::refuse(service, stanza, &StanzaError::service_unavailable())
            }
            _ => trace("presence to the service"),
        };
    };
    if !matches!(iq.kind, IqKind::Get | IqKind::Set) {
        return trace("an answer nobody waits for");
    }
    let decided = decide_request(service, iq, facts);
    decided.unwrap_or_else(|error| room::refuse(service, stanza, &error))
}

fn decide_request(
    service: &BareJid,
    iq: &Iq,
    facts: &RoomFacts<'_>,
) -> Result<Vec<RoomEffect>, StanzaError> {
    let payload = iq.payload().ok_or_else(StanzaError::bad_request)?;
    let is_get = iq.kind == IqKind::Get;
    let has_node = disco::node(iq).is_some();
    match (is_get, payload.name(), payload.namespace()) {
        (true, "query", disco::NS_INFO) if !has_node => Ok(vec![answer(iq, Some(describe()))]),
        (true, "query", disco::NS_ITEMS) if !has_node => list(service, iq, facts),
        (true, "query", disco::NS_INFO | disco::NS_ITEMS) => Err(StanzaError::item_not_found()),
        (true, "search", search::NS) => search::decide(iq, service, facts.settings.page_max),
        (true, "ping", ping::NS) => Ok(vec![answer(iq, None)]),
        _ => Err(StanzaError::service_unavailable()),
    }
}

/// §6.2: derives from the features, as everything announced does.
fn describe() -> Element {
    let (_, _, name) = Service::Rooms.identity();
    disco::info(name, Service::Rooms.features())
}

/// §6.3: a page of the public rooms, in the order of their addresses.
fn list(service: &BareJid, iq: &Iq, facts: &RoomFacts<'_>) -> Result<Vec<RoomEffect>, StanzaError> {
    let query = iq.payloads.element("query", disco::NS_ITEMS);
    let page = rsm::read(&query.ok_or_else(StanzaError::bad_request)?)?;
    let most = facts.settings.page_max;
    let query = RoomListQuery {
        service: service.clone(),
        terms: Vec::new(),
        in_name: false,
        in_description: false,
        in_address: false,
        occupants_min: 0,
        order: Order::Address,
        max: page.max.unwrap_or(most).min(most),
        page,
    };
    Ok(vec![RoomEffect::Load(Box::new(Load {
        origin: iq.clone().into(),
        query: RoomQuery::Rooms(query),
    }))])
}

/// Goes on when the index of rooms has answered.
pub fn loaded(service: &BareJid, load: &Load, answered: RoomAnswer) -> Vec<RoomEffect> {
    let Stanza::Iq(iq) = &load.origin else {
        return trace("a list nobody asked for");
    };
    match answered {
        RoomAnswer::Rooms(page) if iq.payloads.has("search", search::NS) => {
            vec![answer(iq, Some(search::found(&page)))]
        }
        RoomAnswer::Rooms(page) => vec![answer(iq, Some(listed(&page)))],
        RoomAnswer::NoSuchItem => {
            room::refuse(service, &load.origin, &StanzaError::item_not_found())
        }
        RoomAnswer::Failed(error) => room::refuse(service, &load.origin, &error),
        _ => room::refuse(service, &load.origin, &StanzaError::internal_server_error()),
    }
}

/// §6.3: says so when it is not all.
fn listed(page: &RoomPage) -> Element {
    let item = |room: &RoomSummary| {
        Element::new("item", disco::NS_ITEMS)
            .attr("jid", room.jid.as_str())
            .attr("name", &*room.name)
    };
    let ends = [page.rooms.first(), page.rooms.last()].map(|it| it.map(RoomSummary::cursor));
    let set = (!page.complete).then(|| rsm::page(ends[0], ends[1], page.count));
    Element::new("query", disco::NS_ITEMS)
        .children_from(page.rooms.iter().map(item))
        .children_from(set)
}

#[cfg(test)]
mod tests;
