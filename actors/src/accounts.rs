//! What the store remembers of the accounts that are connected here, at hand.
//!
//! A cell is loaded when the first session of an account is bound and dropped with the last
//! one. Changes go to the store by compare-and-set; a cell only repeats what the store has
//! accepted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use klatsch_protocol::effect::Change;
use klatsch_protocol::facts::AccountData;
use klatsch_protocol::features::avatar;
use klatsch_protocol::features::presence::wish::{self, Wish};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::xml::Element;
use klatsch_store::{Snapshot, Store, StoreError};

use crate::peers::Peers;
use crate::peers::envelope::Aspect;
use crate::world::now;

/// What is at hand of one account.
pub struct AccountCell {
    /// Its address.
    pub jid: BareJid,
    data: RwLock<Arc<AccountData>>,
    delivered: AtomicU64,
    /// Another node has changed the account since it was read.
    is_stale: AtomicBool,
    /// The account has another address, or none: whoever has this one now is somebody else.
    is_parted: AtomicBool,
}

impl AccountCell {
    /// What the store remembers of it.
    pub fn data(&self) -> Arc<AccountData> {
        self.data.read().expect("no holder panics").clone()
    }

    /// Up to which entry of its log some client has taken delivery.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// The account has wished something; false: later than that it has wished something else.
    pub(crate) fn take_wish(&self, wish: &Wish) -> bool {
        let mut held = self.data.write().expect("no holder panics");
        let is_new = held
            .wish
            .as_ref()
            .is_none_or(|held| held.since <= wish.since);
        if is_new {
            let mut data = AccountData::clone(&held);
            data.wish = Some(wish.clone());
            *held = Arc::new(data);
        }
        is_new
    }

    /// Another node has changed it: it is to be read again before the next decision.
    pub fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Acquire)
    }

    /// Moves the delivery cursor up; it never goes back.
    fn raise_delivered(&self, id: u64) -> bool {
        self.delivered.fetch_max(id, Ordering::Relaxed) < id
    }
}

fn data_of(snapshot: Snapshot) -> AccountData {
    // What the account's presence says of its avatar (XEP-0398).
    let metadata = snapshot
        .avatar
        .and_then(|payload| Element::parse(&payload).ok());
    AccountData {
        avatar: metadata.as_ref().and_then(avatar::shown),
        wish: snapshot.wish.as_deref().and_then(Wish::read),
        roster: snapshot.roster,
        blocklist: snapshot.blocklist,
    }
}

/// The cells of a node.
pub struct Accounts {
    store: Store,
    peers: Option<Arc<Peers>>,
    cells: Mutex<HashMap<BareJid, Arc<AccountCell>>>,
    undelivered: Mutex<HashMap<BareJid, u64>>,
}

impl Accounts {
    /// No cells yet, on a node with these others.
    pub fn new(store: Store, peers: Option<Arc<Peers>>) -> Self {
        Self {
            store,
            peers,
            cells: Mutex::default(),
            undelivered: Mutex::default(),
        }
    }

    /// The account's cell, if it is at hand.
    pub fn at_hand(&self, jid: &BareJid) -> Option<Arc<AccountCell>> {
        self.cells
            .lock()
            .expect("no holder panics")
            .get(jid)
            .cloned()
    }

    /// All cells at hand.
    pub(crate) fn all(&self) -> Vec<Arc<AccountCell>> {
        let cells = self.cells.lock().expect("no holder panics");
        cells.values().cloned().collect()
    }

    /// Another node has changed an account.
    pub(crate) fn invalidate(&self, jid: &BareJid) {
        if let Some(cell) = self.at_hand(jid) {
            cell.is_stale.store(true, Ordering::Release);
        }
    }

    /// Other nodes may have changed any account.
    pub(crate) fn invalidate_all(&self) {
        for cell in self.all() {
            cell.is_stale.store(true, Ordering::Release);
        }
    }

    /// The account's cell for a session, which stays at hand until [`Accounts::release`], and
    /// where the account's log ends.
    pub async fn hold(&self, jid: &BareJid) -> Result<(Arc<AccountCell>, u64), StoreError> {
        if let Some(cell) = self.at_hand(jid) {
            let head = match self.peers {
                // Clients on other nodes take delivery too.
                Some(_) => self.reread(&cell).await?,
                None => self.store.head(jid).await?,
            };
            return Ok((cell, head));
        }
        let (loaded, head) = self.load(jid).await?;
        let mut cells = self.cells.lock().expect("no holder panics");
        // Two sessions may have loaded at once: the first cell is everybody's.
        let cell = cells.entry(jid.clone()).or_insert(loaded).clone();
        Ok((cell, head))
    }

    /// The account's cell for one decision: it is not kept.
    pub async fn get(&self, jid: &BareJid) -> Result<Arc<AccountCell>, StoreError> {
        match self.at_hand(jid) {
            Some(cell) if cell.is_stale() => {
                self.refresh(&cell).await?;
                Ok(cell)
            }
            Some(cell) => Ok(cell),
            None => self.load(jid).await.map(|(cell, _)| cell),
        }
    }

    async fn load(&self, jid: &BareJid) -> Result<(Arc<AccountCell>, u64), StoreError> {
        let snapshot = self.store.snapshot(jid).await?;
        let delivered = snapshot.cursor.max(self.noted_cursor(jid));
        let head = snapshot.head;
        let cell = AccountCell {
            jid: jid.clone(),
            data: RwLock::new(Arc::new(data_of(snapshot))),
            delivered: AtomicU64::new(delivered),
            is_stale: AtomicBool::new(false),
            is_parted: AtomicBool::new(false),
        };
        Ok((Arc::new(cell), head))
    }

    /// Reads the account again: somebody else has changed it.
    pub async fn refresh(&self, cell: &AccountCell) -> Result<(), StoreError> {
        self.reread(cell).await.map(|_| ())
    }

    /// The same; answers where the account's log ends.
    async fn reread(&self, cell: &AccountCell) -> Result<u64, StoreError> {
        // What changes from here on is read the next time.
        let was_stale = cell.is_stale.swap(false, Ordering::AcqRel);
        let snapshot = match self.store.snapshot(&cell.jid).await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                cell.is_stale.fetch_or(was_stale, Ordering::AcqRel);
                return Err(error);
            }
        };
        cell.raise_delivered(snapshot.cursor);
        let head = snapshot.head;
        let mut data = data_of(snapshot);
        let mut held = cell.data.write().expect("no holder panics");
        let since = |data: &AccountData| data.wish.as_ref().map(|wish| wish.since);
        if since(&held) > since(&data) {
            data.wish.clone_from(&held.wish);
        }
        // Whoever read last may have read earlier: versions only go up.
        if data.roster.version >= held.roster.version
            && data.blocklist.version >= held.blocklist.version
        {
            *held = Arc::new(data);
        }
        Ok(head)
    }

    /// Changes the account, if `decided_on` is still what the store has.
    ///
    /// # Errors
    /// [`StoreError::Conflict`]: the facts were stale; the cell has been read again, as far as
    /// it has them.
    pub async fn change(
        &self,
        cell: &AccountCell,
        decided_on: &AccountData,
        change: Change,
    ) -> Result<(), StoreError> {
        let is_at_hand = match &change {
            Change::Roster(_) | Change::Blocklist(_) => true,
            Change::Pubsub(change) => change.node == avatar::NS_METADATA,
            _ => false,
        };
        self.change_here(cell, decided_on, change).await?;
        // What nobody has at hand nobody else needs to hear of.
        if let (true, Some(peers)) = (is_at_hand, &self.peers) {
            peers.changed(&cell.jid, Aspect::Data);
        }
        Ok(())
    }

    async fn change_here(
        &self,
        cell: &AccountCell,
        decided_on: &AccountData,
        change: Change,
    ) -> Result<(), StoreError> {
        let changed = match change {
            Change::Roster(changes) => {
                self.store
                    .change_roster(&cell.jid, decided_on.roster.version, changes)
                    .await
            }
            Change::Blocklist(change) => {
                let version = decided_on.blocklist.version;
                self.store
                    .change_blocklist(&cell.jid, version, change.add, change.remove)
                    .await
            }
            Change::Pubsub(change) => {
                self.store.change_node(&change, now()).await?;
                // Of nodes nothing is at hand but what presence says of the avatar.
                match change.node == avatar::NS_METADATA {
                    true => return self.refresh(cell).await,
                    false => return Ok(()),
                }
            }
            Change::Push(change) => return self.store.change_push(&cell.jid, change).await,
            Change::ArchivePreferences(preferences) => {
                return self.store.prefer(&cell.jid, *preferences).await;
            }
            Change::Kept(change) => {
                return self.store.keep(&cell.jid, &change.name, change.value).await;
            }
        };
        match changed {
            Ok(_) => self.refresh(cell).await,
            Err(StoreError::Conflict) => {
                self.refresh(cell).await?;
                Err(StoreError::Conflict)
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps what an account wishes to show.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
    pub(crate) async fn wish(&self, account: &BareJid, wish: &Wish) -> Result<(), StoreError> {
        let value = Some(wish.to_bytes());
        self.store.keep(account, wish::NAME, value).await?;
        // Sessions that show nothing yet hear of it by no mail.
        if let Some(cell) = self.at_hand(account) {
            cell.take_wish(wish);
        }
        if let Some(peers) = &self.peers {
            peers.changed(account, Aspect::Data);
        }
        Ok(())
    }

    /// A client has taken delivery of this entry.
    pub fn delivered(&self, cell: &AccountCell, id: u64) {
        if cell.raise_delivered(id) {
            let mut undelivered = self.undelivered.lock().expect("no holder panics");
            if cell.is_parted.load(Ordering::Acquire) {
                return;
            }
            let noted = undelivered.entry(cell.jid.clone()).or_default();
            *noted = id.max(*noted);
        }
    }

    /// Writes the delivery cursors that have moved. What is lost with a crash is delivered
    /// again: repeats are allowed, losses are not (D4).
    pub async fn write_cursors(&self) -> Result<(), StoreError> {
        let moved = self.undelivered.lock().expect("no holder panics").clone();
        if moved.is_empty() {
            return Ok(());
        }
        let cursors: Vec<(BareJid, u64)> = moved.into_iter().collect();
        self.store.set_cursors(cursors.clone()).await?;
        for (jid, id) in cursors {
            self.forget_written(&jid, id);
        }
        Ok(())
    }

    /// A cursor is noted here until the store has it, so that whoever loads the account
    /// meanwhile knows better than the store.
    fn forget_written(&self, jid: &BareJid, id: u64) {
        let mut undelivered = self.undelivered.lock().expect("no holder panics");
        if undelivered.get(jid) == Some(&id) {
            undelivered.remove(jid);
        }
    }

    fn noted_cursor(&self, jid: &BareJid) -> u64 {
        self.undelivered
            .lock()
            .expect("no holder panics")
            .get(jid)
            .copied()
            .unwrap_or(0)
    }

    /// The account of this address has another one, or is gone: its sessions end, and whatever
    /// they still say is nothing to whoever has the address now.
    pub(crate) fn part(&self, jid: &BareJid) {
        let cell = self.cells.lock().expect("no holder panics").remove(jid);
        if let Some(cell) = cell {
            cell.is_parted.store(true, Ordering::Release);
        }
        self.undelivered
            .lock()
            .expect("no holder panics")
            .remove(jid);
    }

    /// A session lets go of its cell.
    pub fn release(&self, cell: Arc<AccountCell>) {
        let mut cells = self.cells.lock().expect("no holder panics");
        let is_held = cells
            .get(&cell.jid)
            .is_some_and(|held| Arc::ptr_eq(held, &cell));
        // Its own reference and the map's are the last two.
        if is_held && Arc::strong_count(&cell) <= 2 {
            cells.remove(&cell.jid);
        }
    }

    /// How many accounts are at hand.
    pub fn len(&self) -> usize {
        self.cells.lock().expect("no holder panics").len()
    }

    /// Tells whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
