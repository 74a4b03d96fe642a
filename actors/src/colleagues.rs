//! How the people and groups of a directory come to this node, and from it to the others.
//!
//! What they mean (who sees whom, whose an address is) is decided in `protocol` (`colleagues.rs`)
//! on the [`Book`] that [`crate::directory`] publishes. The store has them; a node reads what has
//! changed there when another one says so, and looks once a minute for what was not heard. Each
//! node tells its own sessions, by its own book, and each session says for itself who sees it come
//! or go, so that nothing is said twice and nothing overtakes what it has said before.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::colleagues::{Book, Change, Shift, Step};
use klatsch_protocol::effect::{Answer, Query};
use klatsch_protocol::facts::{SessionFacts, Views};
use klatsch_protocol::features::pubsub::pep;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::Stanza;
use klatsch_store::{Colleagues as Stored, StoreError};
use tokio::sync::{Mutex, Notify, Semaphore, watch};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::accounts::AccountCell;
use crate::provision;
use crate::router::{ask, patiently};
use crate::session::SessionMsg;
use crate::world::World;

/// What another node has kept and this one has not heard of is found after so long.
const INTERVAL: Duration = Duration::from_secs(60);

/// A store that does not answer is asked again after so long.
const AGAIN: Duration = Duration::from_secs(2);

/// How often changes are kept anew because another node was faster.
const CONFLICTS_MAX: u8 = 8;

/// So many sessions ask for last items of new colleagues at once: a new group of thousands must not
/// keep the store from everybody else.
const ASKING_AT_ONCE: usize = 8;

/// A session whose turn does not come in so long gets them with its next login.
const ASKING_PATIENCE: Duration = Duration::from_secs(60);

/// So many accounts are told before others have their turn.
const TOLD_AT_ONCE: usize = 64;

/// So many addresses are looked for in the store at once.
const ADDRESSES_AT_ONCE: usize = 500;

/// What the handles of a node share.
pub(crate) struct Shelf {
    /// One book is laid in the place of another at a time.
    turn: Mutex<()>,
    /// There is something to be read.
    news: Notify,
    /// Sessions that ask for last items of new colleagues.
    asking: Semaphore,
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            turn: Mutex::default(),
            news: Notify::default(),
            asking: Semaphore::new(ASKING_AT_ONCE),
        }
    }
}

/// The people and groups of the organisation.
#[derive(Clone)]
pub struct Colleagues {
    world: Arc<World>,
}

impl Colleagues {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// All of them, as this node knows them now.
    #[must_use]
    pub fn book(&self) -> Arc<Book> {
        self.world.directory.book()
    }

    /// The same, for whoever wants to hear of every change.
    #[must_use]
    pub fn books(&self) -> watch::Receiver<Arc<Book>> {
        self.world.directory.books()
    }

    /// Keeps these changes, lets all nodes know, and tells those whose colleagues are others now;
    /// answers the version they made. What another node has kept meanwhile is read first, so each
    /// entry is to be as it is now, whatever it was.
    ///
    /// # Errors
    /// `Unavailable`, `Uncertain`: they may or may not be kept; applying them again does no harm.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<u64, StoreError> {
        let _turn = self.world.shelf.turn.lock().await;
        if changes.is_empty() {
            return read(&self.world).await;
        }
        for _ in 0..CONFLICTS_MAX {
            let book = self.book();
            let store = &self.world.store;
            let keeping = store.change_colleagues(book.version, changes.clone());
            match patiently(keeping).await {
                Ok(version) => {
                    lay_open(&self.world, book.after(version, changes)).await;
                    if let Some(peers) = self.world.directory.peers() {
                        peers.say_colleagues(version);
                    }
                    return Ok(version);
                }
                Err(StoreError::Conflict) => {
                    read(&self.world).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Unavailable(
            "the directory's entries change faster than they can be kept".into(),
        ))
    }

    /// Keeps changes that give each of these accounts the address of the next one, and the last
    /// that of the first, together with what the accounts have; `decided_on` is the version of the
    /// book for which that is right. What another node has kept since may be the same, and is to be
    /// looked at first: nothing is done then.
    ///
    /// # Errors
    /// As [`klatsch_store::Store::exchange_addresses`], and `Unavailable` when sessions of these
    /// accounts do not end.
    pub async fn exchange(
        &self,
        circle: &[BareJid],
        decided_on: u64,
        changes: Vec<Change>,
    ) -> Result<u64, StoreError> {
        let world = &self.world;
        let _turn = world.shelf.turn.lock().await;
        let book = self.book();
        if book.version != decided_on {
            return Err(StoreError::Conflict);
        }
        let exchanging = provision::exchange(world, circle, decided_on, changes.clone());
        let version = exchanging.await?;
        lay_open(world, book.after(version, changes)).await;
        if let Some(peers) = world.directory.peers() {
            peers.say_colleagues(version);
        }
        Ok(version)
    }

    /// Reads what the store has and this node does not know yet; answers the version.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn refresh(&self) -> Result<u64, StoreError> {
        let _turn = self.world.shelf.turn.lock().await;
        read(&self.world).await
    }
}

/// Another node says that the store has this version.
pub(crate) fn hear(world: &World, version: u64) {
    if world.directory.book().version < version {
        world.shelf.news.notify_one();
    }
}

/// Keeps the book up with the store.
pub(crate) async fn run(world: Arc<World>) {
    let colleagues = Colleagues::new(world.clone());
    loop {
        let patience = match colleagues.refresh().await {
            Ok(_) => INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "the people and groups of the organisation are not read");
                AGAIN
            }
        };
        // However it ends, it is looked again.
        let _ = timeout(patience, world.shelf.news.notified()).await;
    }
}

/// Whoever has the turn reads.
async fn read(world: &Arc<World>) -> Result<u64, StoreError> {
    let book = world.directory.book();
    let stored = patiently(world.store.colleagues_since(book.version)).await?;
    if stored.version == book.version {
        return Ok(stored.version);
    }
    let Stored {
        version,
        is_whole,
        changes,
    } = stored;
    let next = match is_whole {
        true => book.replaced_by(version, changes),
        false => book.after(version, changes),
    };
    lay_open(world, next).await;
    Ok(version)
}

/// Everybody goes by this book from now on, and hears what is otherwise by it.
async fn lay_open(world: &Arc<World>, book: Book) {
    let step = book.step();
    let aliases = step.as_ref().map_or(&[][..], Step::new_aliases);
    let accounts = accounts_among(world, aliases).await;
    let book = Arc::new(match aliases {
        [] => book,
        aliases => book.leaving(aliases, accounts),
    });
    // First everybody goes by it: whoever comes from here on finds it, and whoever was there
    // before is told.
    world.directory.lay_open(book.clone());
    if let Some(step) = step {
        tell_sessions(world, &step, &book).await;
    }
}

/// Aliases that are an account's address all the same: the account has it. A store that does not
/// answer leaves them aliases, so that nothing sent to them is lost.
async fn accounts_among(world: &World, aliases: &[BareJid]) -> Vec<BareJid> {
    let mut found = Vec::new();
    for aliases in aliases.chunks(ADDRESSES_AT_ONCE) {
        match patiently(world.store.accounts_among(aliases)).await {
            Ok(accounts) => found.extend(accounts),
            Err(error) => tracing::warn!(%error, "aliases that may be accounts are not looked at"),
        }
    }
    found
}

/// Tells the sessions here for which something is otherwise, each what it is for its account.
async fn tell_sessions(world: &World, step: &Step, book: &Arc<Book>) {
    let directory = &world.directory;
    let concerned = step.concerned(|account| {
        let published = directory.published(account.as_str());
        published.is_some_and(|published| published.here().next().is_some())
    });
    for (count, account) in concerned.iter().enumerate() {
        if count % TOLD_AT_ONCE == TOLD_AT_ONCE - 1 {
            yield_now().await;
        }
        let shifts: Arc<[_]> = step.shifts(account).into();
        let published = directory.published(account.as_str());
        let Some(published) = published.filter(|_| !shifts.is_empty()) else {
            continue;
        };
        for (_, slot) in published.here() {
            // A session that has just ended needs to know nothing.
            let message = SessionMsg::Shifted(shifts.clone(), book.clone());
            directory.slots.send(slot, message);
        }
    }
}

/// The last items of those who have become colleagues of a session's account, for that session. A
/// store that does not answer leaves them to the next login.
pub(crate) async fn items_of_newcomers(
    world: &World,
    cell: &AccountCell,
    session: &SessionFacts,
    shifts: &[Shift],
) -> Vec<Stanza> {
    let Ok(Ok(_turn)) = timeout(ASKING_PATIENCE, world.shelf.asking.acquire()).await else {
        return Vec::new();
    };
    let asker = Jid::from(session.jid.clone());
    let Answer::Viewers(showing) = ask(world, cell, &asker, &Query::Viewers).await else {
        return Vec::new();
    };
    let data = cell.data();
    let query = {
        let facts = world.facts(&cell.jid, &data, Some(session));
        pep::ask_for_newcomers(shifts, &showing, &facts)
    };
    let Some(query) = query else {
        return Vec::new();
    };
    let Answer::Pubsub(found) = ask(world, cell, &asker, &query).await else {
        return Vec::new();
    };
    pep::items_of_newcomers(&found, &world.facts(&cell.jid, &data, Some(session)))
}
