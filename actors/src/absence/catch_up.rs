//! What a session hears that may have missed what its contacts have shown: it has just come, or come
//! from another node.

use std::collections::BTreeSet;
use std::sync::Arc;

use klatsch_protocol::facts::Views;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_store::StoreError;
use tokio::time::{Instant, sleep};

use super::{READ_AGAIN, catch_up_in, may_see, presence_of, sessions_now, tell_session};
use crate::news::KEPT;
use crate::router::patiently;
use crate::world::World;

/// Tells a session what has become of its contacts' sessions, and of its account's other ones,
/// since then.
pub(crate) async fn catch_up(world: Arc<World>, session: FullJid, since: Instant) {
    if !is_available(&world, &session) {
        return;
    }
    let rooms = world.directory.replica().map(|it| it.rooms_of(&session));
    for room in rooms.unwrap_or_default() {
        catch_up_in(&world, room, vec![session.clone()], since.elapsed());
    }
    let mut told = BTreeSet::new();
    while !has_caught_up(&world, &session, since, &mut told).await && since.elapsed() < KEPT {
        sleep(READ_AGAIN).await;
    }
}

fn is_available(world: &World, session: &FullJid) -> bool {
    let view = world.directory.view(&session.bare());
    let resource = view.resource(session);
    resource.is_some_and(|it| it.presence.is_some())
}

/// Tells a session of all accounts of which it has not been told yet; false: the store does not
/// say of some whom they block.
async fn has_caught_up(
    world: &World,
    session: &FullJid,
    since: Instant,
    told: &mut BTreeSet<BareJid>,
) -> bool {
    let viewer = session.bare();
    if !is_available(world, session) {
        return true;
    }
    let cell = match patiently(world.accounts.get(&viewer)).await {
        Ok(cell) => cell,
        Err(error) => return error == StoreError::NoSuchAccount,
    };
    let data = cell.data();
    let has_news = |account: &BareJid| !world.directory.news.of(account, since).is_empty();
    let seen = world.facts(&viewer, &data, None).seen_if(has_news);
    let mut has_all = true;
    for account in seen.iter().chain([&viewer]) {
        let mut changed = world.directory.news.of(account, since);
        changed.retain(|it| it != session);
        if changed.is_empty() || told.contains(account) {
            continue;
        }
        let Ok(is_shown) = is_shown_to(world, account, &viewer).await else {
            has_all = false;
            continue;
        };
        told.insert(account.clone());
        if is_shown {
            world.told.note(changed.iter());
            for shown in sessions_now(world, account, changed) {
                tell_session(world, session, &presence_of(&shown, &viewer));
            }
        }
    }
    has_all
}

/// Whether an account does not block who wants to see it.
///
/// # Errors
/// The store does not say.
async fn is_shown_to(
    world: &World,
    account: &BareJid,
    viewer: &BareJid,
) -> Result<bool, StoreError> {
    match patiently(world.accounts.get(account)).await {
        Ok(cell) => Ok(may_see(&cell.data(), viewer)),
        Err(StoreError::NoSuchAccount) => Ok(false),
        Err(error) => Err(error),
    }
}
