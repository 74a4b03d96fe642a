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

use klatsch_protocol::archive::ArchiveQuery;
use klatsch_protocol::effect::{Answer, Change, Effect, Interest, Kept, Query};
use klatsch_protocol::facts::{AccountData, Facts, Views};
use klatsch_protocol::features::Service;
use klatsch_protocol::features::presence::announce;
use klatsch_protocol::features::pubsub::config::AccessModel;
use klatsch_protocol::features::pubsub::node::{Ask, Found, LastItem};
use klatsch_protocol::features::roster::sight::Showing;
use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::pipeline;
use klatsch_protocol::routing::{self, Routed};
use klatsch_protocol::stanza::{IqKind, Presence, PresenceKind, Stanza, StanzaError};
use klatsch_protocol::tenancy;
use klatsch_store::{Reserved, StoreError};
use tokio::time::{Instant, timeout};

use crate::accounts::AccountCell;
use crate::administration;
use crate::directory::Forwarded;
use crate::faces;
use crate::invitations;
use crate::mail::{Address, Mail};
use crate::metrics;
use crate::room::{self, Settled};
use crate::web_push;
use crate::world::{STORE_PATIENCE, World, now};

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

/// Acts for an account: decides the stanza with its facts and carries the effects out.
pub async fn decide_for_account(world: &Arc<World>, account: &BareJid, stanza: &Stanza, depth: u8) {
    if world.push.take_answer(world, account, stanza) {
        return;
    }
    for _ in 0..STALE_MAX {
        match decide_once(world, account, stanza, depth).await {
            Ok(()) => return,
            Err(StoreError::Conflict) => {}
            Err(StoreError::NoSuchAccount) => {
                for reply in answers_for_nobody(world, account, stanza).await {
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
/// asker is a stranger to, so that nobody learns which names are taken (row A11). Of people in the
/// directory who have never been here it is said what the directory shows.
async fn answers_for_nobody(world: &World, account: &BareJid, stanza: &Stanza) -> Vec<Stanza> {
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
    let decided = pipeline::decide_account(stanza, &world.facts(account, &strangers, None));
    let mut effects: VecDeque<Effect> = decided.into();
    let mut replies = Vec::new();
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::Reply(reply) | Effect::Route(reply) => replies.push(reply),
            // An account that is not there has what one has that has nothing.
            Effect::Load(query, go_on) => {
                if let Some(nothing) = query.nothing() {
                    let answer = shown_for_nobody(world, account, &query, nothing).await;
                    let facts = world.facts(account, &strangers, None);
                    effects.extend(go_on(stanza, answer, &facts));
                }
            }
            _ => {}
        }
    }
    replies
}

async fn shown_for_nobody(
    world: &World,
    account: &BareJid,
    query: &Query,
    mut nothing: Answer,
) -> Answer {
    let (ask, found) = match (query, &mut nothing) {
        (Query::Shown(_, ask), Answer::Pubsub(found)) => (ask, Some(&mut **found)),
        (Query::KeptAndShown(_, ask), Answer::Kept(kept)) => (ask, kept.found.as_mut()),
        _ => return nothing,
    };
    let Some(found) = found else {
        return nothing;
    };
    match patiently(faces::add(world, None, account, ask, found)).await {
        Ok(()) => nothing,
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
}

/// Answers for a service of a domain, on whichever node the sender is: what it changes goes
/// to the store with the version it was decided on.
pub async fn decide_for_service(
    world: &Arc<World>,
    service: Service,
    host: &BareJid,
    stanza: &Stanza,
    depth: u8,
) {
    if let Some(error) = refuse_search(world, service, stanza) {
        if let Some(reply) = stanza.error_reply(&error) {
            boxed_route(world, reply, depth + 1).await;
        }
        return;
    }
    for _ in 0..STALE_MAX {
        match decide_service_once(world, service, host, stanza, depth).await {
            Ok(()) => return,
            Err(StoreError::Conflict) => {}
            Err(error) => {
                tracing::warn!(%error, %host, "a service cannot answer");
                break;
            }
        }
    }
    if let Some(reply) = stanza.error_reply(&StanzaError::resource_constraint()) {
        boxed_route(world, reply, depth + 1).await;
    }
}

/// Row C08: who looks for people reads a directory, and is counted like who searches archives.
fn refuse_search(world: &World, service: Service, stanza: &Stanza) -> Option<StanzaError> {
    let is_search = matches!(stanza, Stanza::Iq(iq) if iq.kind == IqKind::Set);
    if service != Service::People || !is_search {
        return None;
    }
    let asker = stanza.from()?.bare();
    let settings = world.settings.searches;
    world.searches.take(&asker, settings, Instant::now()).err()
}

async fn decide_service_once(
    world: &Arc<World>,
    service: Service,
    host: &BareJid,
    stanza: &Stanza,
    depth: u8,
) -> Result<(), StoreError> {
    // A service is nobody's account: it has no roster and blocks nobody.
    let nobody = AccountData::default();
    let decided = pipeline::decide_service(stanza, service, &world.facts(host, &nobody, None));
    let mut effects: VecDeque<Effect> = decided.into();
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::Reply(reply) | Effect::Route(reply) => boxed_route(world, reply, depth).await,
            Effect::Change(Change::Pubsub(change)) => {
                patiently(world.store.change_node(&change, now())).await?;
            }
            Effect::Load(query, go_on) => {
                let answer = ask_for_service(world, host, &query).await;
                let more = go_on(stanza, answer, &world.facts(host, &nobody, None));
                more.into_iter()
                    .rev()
                    .for_each(|effect| effects.push_front(effect));
            }
            Effect::Trace(what, why) => tracing::trace!(what, why),
            other => debug_assert!(false, "a service has nothing for {other:?}"),
        }
    }
    Ok(())
}

/// Asks the store for a service.
async fn ask_for_service(world: &World, host: &BareJid, query: &Query) -> Answer {
    match query {
        Query::Pubsub(of, nodes) | Query::Shown(of, nodes) => {
            answer_of(patiently(ask_nodes(world, of, host.as_jid(), nodes)).await)
        }
        Query::Slot(request) => reserve_upload(world, request).await,
        // Asked seldom, and larger than all the others.
        Query::WebPush(ask) => Box::pin(web_push::ask(world, ask)).await,
        other => {
            debug_assert!(false, "a service has nothing to ask with {other:?}");
            Answer::Failed(StanzaError::internal_server_error())
        }
    }
}

/// Takes room for a file from its account's quota.
async fn reserve_upload(world: &World, request: &SlotRequest) -> Answer {
    // Row C13: what messages do not get, files do not get either.
    if world.strain.disk_is_low() {
        metrics::upload_slot("disk");
        return Answer::Failed(StanzaError::resource_constraint());
    }
    let reserved = patiently(world.store.reserve_upload(request, now())).await;
    metrics::upload_slot(match &reserved {
        Ok(Reserved::Granted) => "given",
        Ok(Reserved::OverQuota(_)) => "quota",
        Err(_) => "store",
    });
    match reserved {
        Ok(Reserved::Granted) => Answer::Slot(Box::new(request.slot.clone())),
        Ok(Reserved::OverQuota(again)) => Answer::OverQuota(again),
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
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
            Effect::ShowAvatar(hash) => show_avatar(world, account, hash),
            Effect::Trace(what, why) => tracing::trace!(what, why),
            other => debug_assert!(false, "an account has no session for {other:?}"),
        }
    }
    Ok(())
}

/// Carries out [`Effect::Spread`]: a presence to the colleagues who are there now.
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

/// Asks the store about an account, for the account itself or one of its resources.
pub async fn ask(world: &World, cell: &AccountCell, asker: &Jid, query: &Query) -> Answer {
    if let Query::Archive(query) = query
        && let Err(error) = may_search(world, asker, query)
    {
        return Answer::Failed(error);
    }
    let answered = match query {
        Query::Archive(query) => patiently(world.store.query(&cell.jid, query))
            .await
            .map(Answer::Page),
        Query::ArchivePreferences => patiently(world.store.archive_preferences(&cell.jid))
            .await
            .map(|preferences| Answer::ArchivePreferences(Box::new(preferences))),
        Query::Bounds => patiently(world.store.bounds(&cell.jid))
            .await
            .map(Answer::Bounds),
        Query::Viewers => who_shows(world, asker).await.map(Answer::Viewers),
        Query::Pubsub(of, nodes) => patiently(ask_nodes(world, of, asker, nodes))
            .await
            .map(|found| Answer::Pubsub(Box::new(found))),
        Query::Shown(of, nodes) => patiently(ask_shown(world, cell, of, asker, nodes))
            .await
            .map(|found| Answer::Pubsub(Box::new(found))),
        Query::KeptAndShown(name, nodes) => {
            let asking = ask_kept_and_shown(world, cell, asker, name, nodes);
            patiently(asking)
                .await
                .map(|kept| Answer::Kept(Box::new(kept)))
        }
        Query::Kept(name, nodes) => patiently(ask_kept(world, cell, asker, name, nodes.as_deref()))
            .await
            .map(|kept| Answer::Kept(Box::new(kept))),
        Query::Slot(request) => return reserve_upload(world, request).await,
        Query::WebPush(ask) => return Box::pin(web_push::ask(world, ask)).await,
        Query::Invite(invite) => return invitations::make(world, invite).await,
        Query::Redeem(hash) => patiently(world.store.use_invitation(&cell.jid, *hash, now()))
            .await
            .map(Answer::Redeemed),
        Query::IsAdmin => administration::is_admin(world, &cell.jid).await,
        Query::Census(census) => administration::census(world, census).await,
        Query::Person(account) => administration::person(world, account).await,
    };
    failed_or(answered)
}

/// Who lets an account, or one of its resources, see their presence.
pub(crate) async fn who_shows(world: &World, asker: &Jid) -> Result<Showing, StoreError> {
    let by_roster = patiently(world.store.who_shows(asker)).await?;
    let book = world.directory.book();
    // Colleagues show themselves unless they block who asks: one question, however many they are.
    let has_colleagues = book.groups(&asker.bare()).next().is_some();
    let blocked_by = match has_colleagues {
        true => patiently(world.store.who_blocks(asker)).await?,
        false => Vec::new(),
    };
    Ok(Showing {
        by_roster,
        blocked_by,
    })
}

fn answer_of(found: Result<Found, StoreError>) -> Answer {
    failed_or(found.map(|found| Answer::Pubsub(Box::new(found))))
}

fn failed_or(answered: Result<Answer, StoreError>) -> Answer {
    match answered {
        Ok(answer) => answer,
        Err(StoreError::NoSuchItem) => Answer::NoSuchItem,
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
}

/// Asks about nodes; of those that go by groups it is found out in which ones the asker is.
async fn ask_nodes(
    world: &World,
    service: &BareJid,
    asker: &Jid,
    ask: &Ask,
) -> Result<Found, StoreError> {
    let mut found = world.store.nodes(service, ask, now()).await?;
    if let Found::LastItems(items) = &mut found {
        for last in items {
            add_groups(world, asker, last).await?;
        }
    }
    Ok(found)
}

async fn add_groups(world: &World, asker: &Jid, last: &mut LastItem) -> Result<(), StoreError> {
    let by_groups = last.node.config.access_model == AccessModel::Roster;
    if !by_groups || last.service.as_str() == asker.bare_str() {
        return Ok(());
    }
    let data = match world.accounts.get(&last.service).await {
        Ok(owner) => owner.data(),
        Err(StoreError::NoSuchAccount) => return Ok(()),
        Err(error) => return Err(error),
    };
    let facts = world.facts(&last.service, &data, None);
    last.groups = facts.groups_of(&asker.bare());
    Ok(())
}

/// Asks about nodes for who reads them.
async fn ask_shown(
    world: &World,
    cell: &AccountCell,
    of: &BareJid,
    asker: &Jid,
    ask: &Ask,
) -> Result<Found, StoreError> {
    let mut found = ask_nodes(world, of, asker, ask).await?;
    faces::add(world, Some(cell), of, ask, &mut found).await?;
    Ok(found)
}

async fn ask_kept_and_shown(
    world: &World,
    cell: &AccountCell,
    asker: &Jid,
    name: &str,
    nodes: &Ask,
) -> Result<Kept, StoreError> {
    let mut kept = world.store.kept(&cell.jid, name).await?;
    kept.found = Some(ask_shown(world, cell, &cell.jid, asker, nodes).await?);
    Ok(kept)
}

async fn ask_kept(
    world: &World,
    cell: &AccountCell,
    asker: &Jid,
    name: &str,
    nodes: Option<&Ask>,
) -> Result<Kept, StoreError> {
    let mut kept = world.store.kept(&cell.jid, name).await?;
    if let Some(nodes) = nodes {
        kept.found = Some(ask_nodes(world, &cell.jid, asker, nodes).await?);
    }
    Ok(kept)
}

/// Row C08: tells whether somebody may ask this of an archive now, which searches are counted for.
pub fn may_search(world: &World, asker: &Jid, query: &ArchiveQuery) -> Result<(), StanzaError> {
    if query.search.is_none() {
        return Ok(());
    }
    let settings = world.settings.searches;
    world.searches.take(&asker.bare(), settings, Instant::now())
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
