//! Stanza → session, account or refusal.
//!
//! [`route`] never waits: it finds the sessions and sends. When the server itself has to act
//! for an account (a request, a subscription, a probe), [`decide_for_account`] does that, with
//! the account's facts, on whichever node the sender is: what it changes goes to the store by
//! compare-and-set, so nobody needs to own an account.

mod account;
mod load;
mod service;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use klatsch_protocol::effect::Interest;
use klatsch_protocol::facts::{Facts, Views};
use klatsch_protocol::features::Service;
use klatsch_protocol::features::presence::announce;
use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::routing::{self, Routed};
use klatsch_protocol::stanza::{Presence, Stanza, StanzaError};
use klatsch_protocol::tenancy;
use klatsch_store::StoreError;
use tokio::time::timeout;

pub use self::account::decide_for_account;
pub(crate) use self::load::who_shows;
pub use self::load::{ask, may_search};
pub use self::service::decide_for_service;
use crate::directory::Forwarded;
use crate::mail::{Address, Mail};
use crate::room::{self, Settled};
use crate::world::{STORE_PATIENCE, World};

/// What became of a stanza.
#[derive(Debug, PartialEq)]
pub enum Way {
    /// It is on its way, or nobody wanted it.
    Done,
    /// It was refused.
    Refused(StanzaError),
    /// It is for a room, or for the service that hosts rooms: [`room::ask::deliver`].
    Room,
    /// The server has to act for this account: [`decide_for_account`].
    Account(BareJid),
    /// A service of a domain has to answer: [`decide_for_service`].
    Service(Service, BareJid),
}

/// A stanza that makes stanzas that make stanzas ends here (row R20): a subscription, the
/// longest chain there is, takes three steps.
const DEPTH_MAX: u8 = 6;

/// How often a decision is taken again because its facts were stale.
pub const STALE_MAX: u8 = 8;

/// Finds the way of a stanza and sends it.
pub fn route(world: &World, stanza: &Stanza) -> Way {
    let Some(to) = stanza.to() else {
        return Way::Done;
    };
    // Row R14: to each other, organisations are servers that do not exist.
    let book = world.directory.book();
    if tenancy::keeps_back(stanza, &world.host, &book) {
        return Way::Refused(StanzaError::remote_server_not_found());
    }
    if let Some(owner) = book.readdressed(to) {
        return route_to_owner(world, stanza, owner);
    }
    if let Some((service, _)) = world.host.service(to.domain()) {
        return route_to_service(service, to);
    }
    if let Some(component) = world.host.component(to.domain()) {
        return route_to_component(world, component, stanza);
    }
    if !world.host.serves(to.domain()) {
        // Federation comes with a later version: nobody is reachable elsewhere.
        return Way::Refused(StanzaError::remote_server_not_found());
    }
    if to.localpart().is_none() {
        return route_to_host(stanza);
    }
    let account = to.bare();
    if let Some(session) = unshown(world, to) {
        let mail = Mail::Deliver(stanza.clone());
        world.directory.send(&Address::Session(session), mail);
        return Way::Done;
    }
    match routing::route(stanza, &world.directory.view(&account)) {
        Routed::Sessions(sessions) => {
            for session in sessions {
                world
                    .directory
                    .send(&Address::Session(session), Mail::Deliver(stanza.clone()));
            }
            Way::Done
        }
        Routed::Account => Way::Account(account),
        Routed::Refused(error) => Way::Refused(error),
        Routed::Dropped(why) => {
            tracing::trace!(why, "stanza dropped");
            Way::Done
        }
    }
}

/// A stanza to an alias goes to whose alias it is. What the server answers for an account keeps the
/// address it came with, so that the answer is from the one that was asked.
fn route_to_owner(world: &World, stanza: &Stanza, owner: Jid) -> Way {
    let (account, is_bare) = (owner.bare(), owner.resource().is_none());
    let mut stanza = stanza.clone();
    stanza.head_mut().to = Some(owner);
    if tenancy::keeps_back(&stanza, &world.host, &world.directory.book()) {
        return Way::Refused(StanzaError::remote_server_not_found());
    }
    if matches!(stanza, Stanza::Iq(_)) && is_bare {
        return Way::Account(account);
    }
    // An owner is no alias, so that this ends.
    route(world, &stanza)
}

/// A session of another node that has spoken and is not shown yet.
fn unshown(world: &World, to: &Jid) -> Option<FullJid> {
    world.directory.peers()?;
    let session = to.to_full()?;
    let published = world.directory.published(session.bare_str());
    let is_shown = published.is_some_and(|it| it.view.resource(&session).is_some());
    (!is_shown && world.directory.place(&session).is_some()).then_some(session)
}

/// A component has nothing at hand here that could wait for it.
fn route_to_component(world: &World, component: &BareJid, stanza: &Stanza) -> Way {
    match world.directory.forward(component.as_str(), stanza) {
        Forwarded::Taken => Way::Done,
        Forwarded::Full => Way::Refused(StanzaError::resource_constraint()),
        // RFC 6120 §8.3.3.17: known, but not to be reached; it may come back any moment.
        Forwarded::Away => Way::Refused(StanzaError::remote_server_timeout()),
    }
}

/// The server's own address takes requests only, and those have been answered before.
fn route_to_host(stanza: &Stanza) -> Way {
    match stanza {
        Stanza::Iq(_) => Way::Refused(StanzaError::service_unavailable()),
        Stanza::Message(_) | Stanza::Presence(_) => Way::Done,
    }
}

/// A service answers at its host's address; what lives below it is its own affair.
fn route_to_service(service: Service, to: &Jid) -> Way {
    match service {
        Service::Rooms => Way::Room,
        Service::Pubsub | Service::Upload | Service::Push | Service::People
            if to.localpart().is_some() || to.resource().is_some() =>
        {
            Way::Refused(StanzaError::service_unavailable())
        }
        Service::Pubsub | Service::Upload | Service::Push | Service::People => {
            Way::Service(service, to.bare())
        }
    }
}

/// Routes a stanza of the server's own making to its end.
pub async fn route_to_end(world: &Arc<World>, stanza: Stanza, depth: u8) {
    if depth > DEPTH_MAX {
        tracing::warn!("a chain of stanzas was cut");
        return;
    }
    match route(world, &stanza) {
        Way::Done => {}
        Way::Refused(error) => {
            if let Some(reply) = stanza.error_reply(&error) {
                boxed_route(world, reply, depth + 1).await;
            }
        }
        Way::Room => deliver_to_room(world, stanza, depth).await,
        Way::Account(account) => decide_for_account(world, &account, &stanza, depth + 1).await,
        Way::Service(service, host) => {
            decide_for_service(world, service, &host, &stanza, depth + 1).await;
        }
    }
}

/// A stanza of the server's own making, or one that came back, goes to a room.
async fn deliver_to_room(world: &Arc<World>, stanza: Stanza, depth: u8) {
    let stanza = Arc::new(stanza);
    let reply = match room::ask::deliver(world, stanza.clone(), None, None).await {
        Settled::Refused(error) => stanza.error_reply(&error),
        Settled::Replied(reply) => Some(*reply),
        Settled::Done | Settled::Uncertain => None,
    };
    if let Some(reply) = reply {
        boxed_route(world, reply, depth + 1).await;
    }
}

/// Sends a stanza off without waiting for what becomes of it; what the server would have to do
/// for an account is not done.
pub fn send_off(world: &Arc<World>, stanza: Stanza) {
    if route(world, &stanza) == Way::Room {
        let world = world.clone();
        tokio::spawn(async move { route_to_end(&world, stanza, 0).await });
    }
}

fn boxed_route<'a>(
    world: &'a Arc<World>,
    stanza: Stanza,
    depth: u8,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    Box::pin(route_to_end(world, stanza, depth))
}

/// What a sender is told when the store refuses.
pub fn refusal_of(error: &StoreError) -> StanzaError {
    match error {
        // The same for an account that does not exist and one that offers nothing (row A11).
        StoreError::NoSuchAccount => StanzaError::service_unavailable(),
        // D5: the store refuses or is gone.
        _ => StanzaError::resource_constraint(),
    }
}

/// Carries out [`Effect::Spread`](klatsch_protocol::effect::Effect::Spread): a presence to the
/// colleagues who are there now.
pub(crate) fn spread(world: &Arc<World>, presence: &Presence, facts: &Facts<'_>) {
    for stanza in announce::to_colleagues(presence, facts) {
        send_off(world, stanza);
    }
}

/// Tells every resource of an account that asked for such pushes.
pub fn push(
    world: &World,
    account: &BareJid,
    interest: Interest,
    payload: klatsch_protocol::xml::Element,
) {
    let mail = match interest {
        Interest::Roster => Mail::RosterPush(payload),
        Interest::Blocklist => Mail::BlocklistPush(payload),
    };
    world
        .directory
        .send(&Address::Account(account.clone()), mail);
}

/// Lets every session of an account show its new avatar.
pub fn show_avatar(world: &World, account: &BareJid, hash: Box<str>) {
    let to = Address::Account(account.clone());
    world.directory.send(&to, Mail::Avatar(hash));
}

/// Waits for the store, but not for ever.
pub async fn patiently<T>(
    asking: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match timeout(STORE_PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::Unavailable("no answer in time".into())),
    }
}
