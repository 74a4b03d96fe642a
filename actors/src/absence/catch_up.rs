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

/// What of an account's sessions a session is to be told.
#[derive(Clone, Copy)]
enum News {
    /// What has become of them since then.
    Since(Instant),
    /// All of them.
    All,
}

impl News {
    fn of(self, world: &World, account: &BareJid) -> Vec<FullJid> {
        match self {
            Self::Since(since) => world.directory.news.of(account, since),
            Self::All => {
                let view = world.directory.view(account);
                let resources = view.resources.iter();
                resources.map(|resource| resource.jid.clone()).collect()
            }
        }
    }
}

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
    tell_news(&world, &session, News::Since(since)).await;
}

/// Tells a session which of its contacts are there.
pub(super) async fn show_contacts(world: &World, session: &FullJid) {
    tell_news(world, session, News::All).await;
}

/// Tells a session its news, however long the store takes to say whom others block; but no longer
/// than news are remembered.
async fn tell_news(world: &World, session: &FullJid, news: News) {
    let begun = Instant::now();
    let mut told = BTreeSet::new();
    while !has_been_told(world, session, news, &mut told).await && begun.elapsed() < KEPT {
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
async fn has_been_told(
    world: &World,
    session: &FullJid,
    news: News,
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
    let has_news = |account: &BareJid| !news.of(world, account).is_empty();
    let seen = world.facts(&viewer, &data, None).seen_if(has_news);
    let mut has_all = true;
    for account in seen.iter().chain([&viewer]) {
        let mut changed = news.of(world, account);
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
