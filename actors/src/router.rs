//! Stanza → session, account or refusal.
//!
//! [`route`] never waits: it finds the sessions and sends. When the server itself has to act
//! for an account (a request, a subscription, a probe), [`decide_for_account`] does that, with
//! the account's facts, on whichever node the sender is: what it changes goes to the store by
//! compare-and-set, so nobody needs to own an account.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use klatsch_protocol::effect::{Answer, Effect, Interest, Query};
use klatsch_protocol::facts::{AccountData, Views};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::pipeline;
use klatsch_protocol::routing::{self, Routed};
use klatsch_protocol::stanza::{PresenceKind, Stanza, StanzaError};
use klatsch_store::StoreError;
use tokio::time::timeout;

use crate::accounts::AccountCell;
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
    if world.host.hosts_rooms(to.domain()) {
        return Way::Room;
    }
    if !world.host.serves(to.domain()) {
        // Federation comes with a later version: nobody is reachable elsewhere.
        return Way::Refused(StanzaError::remote_server_not_found());
    }
    if to.localpart().is_none() {
        return route_to_host(stanza);
    }
    let account = to.bare();
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

/// The server's own address takes requests only, and those have been answered before.
fn route_to_host(stanza: &Stanza) -> Way {
    match stanza {
        Stanza::Iq(_) => Way::Refused(StanzaError::service_unavailable()),
        Stanza::Message(_) | Stanza::Presence(_) => Way::Done,
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
    }
}

/// A stanza of the server's own making, or one that came back, goes to a room.
async fn deliver_to_room(world: &Arc<World>, stanza: Stanza, depth: u8) {
    let stanza = Arc::new(stanza);
    let settled = room::ask::deliver(world, stanza.clone(), None, None).await;
    if let Settled::Refused(error) = settled
        && let Some(reply) = stanza.error_reply(&error)
    {
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

/// Acts for an account: decides the stanza with its facts and carries the effects out.
pub async fn decide_for_account(world: &Arc<World>, account: &BareJid, stanza: &Stanza, depth: u8) {
    for _ in 0..STALE_MAX {
        match decide_once(world, account, stanza, depth).await {
            Ok(()) => return,
            Err(StoreError::Conflict) => {}
            Err(StoreError::NoSuchAccount) => {
                for reply in answers_for_nobody(world, account, stanza) {
                    boxed_route(world, reply, depth + 1).await;
                }
                return;
            }
            Err(error) => {
                let refusal = refusal_of(&error);
                if let Some(reply) = stanza.error_reply(&refusal) {
                    boxed_route(world, reply, depth + 1).await;
                }
                return;
            }
        }
    }
    tracing::warn!("an account changes faster than a decision can be taken");
    if let Some(reply) = stanza.error_reply(&StanzaError::resource_constraint()) {
        boxed_route(world, reply, depth + 1).await;
    }
}

/// What is said for an account that does not exist: the word for word answers of one that the
/// asker is a stranger to, so that nobody learns which names are taken (row A11).
fn answers_for_nobody(world: &World, account: &BareJid, stanza: &Stanza) -> Vec<Stanza> {
    let is_question = match stanza {
        Stanza::Presence(presence) => presence.kind == PresenceKind::Probe,
        Stanza::Iq(_) => true,
        Stanza::Message(_) => false,
    };
    if !is_question {
        // RFC 6121 §3.1.3: a request to subscribe waits for an answer that never comes.
        return Vec::new();
    }
    let strangers = AccountData::default();
    let effects = pipeline::decide_account(stanza, &world.facts(account, &strangers, None));
    effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Reply(reply) | Effect::Route(reply) => Some(reply),
            _ => None,
        })
        .collect()
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

async fn decide_once(
    world: &Arc<World>,
    account: &BareJid,
    stanza: &Stanza,
    depth: u8,
) -> Result<(), StoreError> {
    let cell = patiently(world.accounts.get(account)).await?;
    let data = cell.data();
    let mut effects: VecDeque<Effect> =
        pipeline::decide_account(stanza, &world.facts(account, &data, None)).into();
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::Reply(reply) | Effect::Route(reply) => boxed_route(world, reply, depth).await,
            Effect::Change(change) => {
                patiently(world.accounts.change(&cell, &data, change)).await?;
            }
            Effect::Load(query, go_on) => {
                let answer = ask(world, &cell, &account.clone().into(), &query).await;
                let data = cell.data();
                let more = go_on(stanza, answer, &world.facts(account, &data, None));
                more.into_iter()
                    .rev()
                    .for_each(|effect| effects.push_front(effect));
            }
            Effect::Push(interest, payload) => push(world, account, interest, payload),
            Effect::Trace(what, why) => tracing::trace!(what, why),
            other => debug_assert!(false, "an account has no session for {other:?}"),
        }
    }
    Ok(())
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

/// Asks the store about an account, for the account itself or one of its resources.
pub async fn ask(world: &World, cell: &AccountCell, asker: &Jid, query: &Query) -> Answer {
    let answered = match query {
        Query::Archive(query) => patiently(world.store.query(&cell.jid, query))
            .await
            .map(Answer::Page),
        Query::Bounds => patiently(world.store.bounds(&cell.jid))
            .await
            .map(Answer::Bounds),
        Query::Viewers => patiently(world.store.who_shows(asker))
            .await
            .map(Answer::Viewers),
    };
    match answered {
        Ok(answer) => answer,
        Err(StoreError::NoSuchItem) => Answer::NoSuchItem,
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
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
