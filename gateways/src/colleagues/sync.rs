//! One reading of the directory, and what comes of it: accounts made and renamed, pictures kept,
//! and at last the book changed. Every step may be done twice; what fails is done again with the
//! next reading.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use klatsch_actors::account_change::AccountError;
use klatsch_actors::colleagues::Colleagues;
use klatsch_actors::sessions::Sessions;
use klatsch_protocol::account::{AccountAct, AccountChange};
use klatsch_protocol::colleagues::{Book, Change, Entry, EntryId, Person};
use klatsch_protocol::jid::BareJid;
use klatsch_store::{Store, StoreError};
use tokio::time::timeout;

use super::Tenant;
use super::guard::{Guard, Loss};
use super::pictures::Album;
use super::reader::{ReadError, Reader, Seen};
use super::wanted::{Former, Measures, Skipped, wanted};
use crate::ldap::colleague::Unfit;
use crate::ldap::{Directory, LdapError};

/// Whoever has not been read by then has a directory that does not end.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Entries that are changed at once.
const CHANGES_MAX: usize = 2000;

/// What one reading has come to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// People in the book.
    pub people: usize,
    /// Groups in the book.
    pub groups: usize,
    /// Entries that were read whole.
    pub read: u64,
    /// Entries of the book that have changed.
    pub changes: usize,
    /// What was passed over, by name, and why.
    pub skipped: Vec<(String, String)>,
    /// How long it took.
    pub took: Duration,
}

/// Why nothing comes of a reading.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The directory does not say all of it.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store does not keep it.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// Most people are gone, which is not believed yet.
    #[error(
        "{} of {} people are not in the directory any more, which is believed when it is said {} \
         times in a row (now {}), or by `klatsch directory sync --force`",
        .0.lost, .0.of, super::REPEATS, .0.times
    )]
    Loss(Loss),
}

/// Reads, and has changed what is otherwise.
pub struct Sync {
    directory: Arc<Directory>,
    sessions: Sessions,
    colleagues: Colleagues,
    measures: Measures,
    organisations: Vec<(Tenant, Reader)>,
    guard: Guard,
    said: HashSet<Skipped>,
}

/// An account that is to have another address.
struct Move {
    id: EntryId,
    from: BareJid,
    to: BareJid,
}

impl Sync {
    /// Nothing is read yet.
    pub fn new(
        directory: Arc<Directory>,
        tenants: Vec<Tenant>,
        sessions: Sessions,
        colleagues: Colleagues,
        measures: Measures,
    ) -> Self {
        let organisations = tenants.into_iter().map(|it| (it, Reader::default()));
        Self {
            directory,
            sessions,
            colleagues,
            measures,
            organisations: organisations.collect(),
            guard: Guard::default(),
            said: HashSet::new(),
        }
    }

    /// Reads the directory and brings the book in step with it; `is_forced`: also where that takes
    /// most people away.
    ///
    /// # Errors
    /// [`SyncError`]; what has been done by then is done, and does no harm.
    pub async fn once(&mut self, is_forced: bool) -> Result<Outcome, SyncError> {
        let begun = Instant::now();
        self.colleagues.refresh().await?;
        let book = self.colleagues.book();
        let former = former(self.store()).await?;
        let seen = match timeout(PATIENCE, self.read(&book)).await {
            Ok(seen) => seen?,
            Err(_) => return Err(ReadError::from(LdapError::Slow).into()),
        };
        let read = seen.iter().map(|(_, seen)| seen.read).sum();
        let tenants: Vec<Tenant> = self
            .organisations
            .iter()
            .map(|(it, _)| it.clone())
            .collect();
        let seen: Vec<(&Tenant, Seen)> =
            tenants.iter().zip(seen).map(|(t, (_, s))| (t, s)).collect();
        let mut wanted = wanted(&seen, &book, &former, &self.measures);
        let mut changes = wanted.changes(&book);
        match self.guard.judge(&book, &changes) {
            Err(loss) if !is_forced => return Err(SyncError::Loss(loss)),
            _ => {}
        }
        let stuck = self.rename(moves(&book, &changes), &book, &changes).await?;
        for (id, to) in stuck {
            changes.retain(|change| change.id != id);
            wanted.skipped.push((to.to_string(), Unfit::AddressTaken));
        }
        self.provide(&book, &changes).await?;
        let made = changes.len();
        for some in in_parts(changes) {
            self.colleagues.apply(some).await?;
        }
        self.tell(&wanted.skipped);
        let (people, groups) = count(&self.colleagues.book());
        Ok(Outcome {
            people,
            groups,
            read,
            changes: made,
            skipped: wanted
                .skipped
                .iter()
                .map(|(name, why)| (name.clone(), why.to_string()))
                .collect(),
            took: begun.elapsed(),
        })
    }

    /// Whatever was read is read again the next time.
    pub fn forget(&mut self) {
        for (_, reader) in &mut self.organisations {
            reader.forget();
        }
    }

    fn store(&self) -> &Store {
        &self.sessions.world().store
    }

    async fn read(&mut self, book: &Arc<Book>) -> Result<Vec<(Box<str>, Seen)>, ReadError> {
        let album = Album {
            book: Arc::clone(book),
            store: self.store().clone(),
            now: self.sessions.world().now(),
        };
        let mut all = Vec::with_capacity(self.organisations.len());
        for (tenant, reader) in &mut self.organisations {
            let seen = reader.read(&self.directory, tenant, &album).await?;
            all.push((tenant.name.clone(), seen));
        }
        Ok(all)
    }

    /// Renames accounts, those first whose new address is free, then those that have each other's;
    /// answers those that cannot be.
    async fn rename(
        &self,
        mut moves: Vec<Move>,
        book: &Book,
        changes: &[Change],
    ) -> Result<Vec<(EntryId, BareJid)>, StoreError> {
        let mut version = book.version;
        loop {
            let before = moves.len();
            moves = self.rename_free(moves).await?;
            if moves.len() < before {
                continue;
            }
            let Some(circle) = circle(&moves) else {
                return Ok(moves.into_iter().map(|it| (it.id, it.to)).collect());
            };
            let (turned, left): (Vec<Move>, Vec<Move>) = moves
                .into_iter()
                .partition(|it: &Move| circle.contains(&it.from));
            // The book says so at once, or the next reading would have them exchanged back.
            let is_turned = |change: &&Change| turned.iter().any(|it| it.id == change.id);
            let changes = changes.iter().filter(is_turned).cloned().collect();
            version = self.colleagues.exchange(&circle, version, changes).await?;
            moves = left;
        }
    }

    /// Renames those whose new address is free; answers the others.
    async fn rename_free(&self, moves: Vec<Move>) -> Result<Vec<Move>, StoreError> {
        let mut left = Vec::new();
        for it in moves {
            match self.sessions.rename_account(&it.from, &it.to).await {
                // Nobody has ever logged in, or it was renamed before the book said so.
                Ok(()) | Err(StoreError::NoSuchAccount) => {}
                Err(StoreError::Conflict) if self.clear(&it.to).await? => {
                    self.sessions.rename_account(&it.from, &it.to).await?;
                }
                Err(StoreError::Conflict) => left.push(it),
                Err(error) => return Err(error),
            }
        }
        Ok(left)
    }

    /// Removes an account in the way that has nothing: somebody has logged in by their new address
    /// before the directory was read.
    async fn clear(&self, account: &BareJid) -> Result<bool, StoreError> {
        let is_somebodys = |person: &Person| person.account == *account;
        if self
            .colleagues
            .book()
            .person(account)
            .is_some_and(is_somebodys)
        {
            return Ok(false);
        }
        let Some(credentials) = self.store().credentials(account).await? else {
            return Ok(true);
        };
        let snapshot = self.store().snapshot(account).await?;
        // One entry may be the server's welcome.
        let is_blank = credentials.scram.is_empty()
            && !credentials.admin
            && snapshot.roster.items.is_empty()
            && snapshot.head <= 1;
        if is_blank {
            self.act(account, AccountAct::Remove).await?;
        }
        Ok(is_blank)
    }

    /// Everybody in the directory has an account; whoever administrates may.
    async fn provide(&self, book: &Book, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            let before = person(book.entry(&change.id).map(|it| &**it));
            let after = person(change.entry.as_ref());
            if let (None, Some(after)) = (before, after) {
                self.sessions.provide_account(&after.account).await?;
            }
            let was_admin = before.is_some_and(|it| it.is_admin);
            let is_admin = after.is_some_and(|it| it.is_admin);
            if let (Some(who), true) = (after.or(before), was_admin != is_admin) {
                let act = AccountAct::Administrator(is_admin);
                self.act(&who.account, act).await?;
            }
        }
        Ok(())
    }

    async fn act(&self, account: &BareJid, act: AccountAct) -> Result<(), StoreError> {
        let change = AccountChange {
            account: account.clone(),
            act,
        };
        match self.sessions.change_account(change).await {
            Err(AccountError::Store(error)) => Err(error),
            // It is gone: then it is nothing.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Names what was passed over, once.
    fn tell(&mut self, skipped: &[Skipped]) {
        for it in skipped {
            if !self.said.contains(it) {
                let (name, why) = it;
                tracing::warn!(dn = name, why = %why, "entry of the directory passed over");
            }
        }
        // What has been mended and breaks again is named again.
        self.said = skipped.iter().cloned().collect();
    }
}

async fn former(store: &Store) -> Result<Former, StoreError> {
    let mut former: Former = HashMap::new();
    for (before, now) in store.former_addresses().await? {
        former.entry(now).or_default().push(before);
    }
    Ok(former)
}

/// Accounts of which each is to have the address of the next, and the last that of the first.
fn circle(moves: &[Move]) -> Option<Vec<BareJid>> {
    let next: HashMap<&BareJid, &BareJid> = moves.iter().map(|it| (&it.from, &it.to)).collect();
    moves.iter().find_map(|begin| {
        let (mut circle, mut at) = (vec![begin.from.clone()], &begin.to);
        while *at != begin.from {
            // It leads into a circle, and is in none.
            if circle.len() == next.len() {
                return None;
            }
            circle.push(at.clone());
            at = next.get(at)?;
        }
        Some(circle)
    })
}

fn moves(book: &Book, changes: &[Change]) -> Vec<Move> {
    let moved = changes.iter().filter_map(|change| {
        let before = person(book.entry(&change.id).map(|it| &**it))?;
        let after = person(change.entry.as_ref())?;
        (before.account != after.account).then(|| Move {
            id: change.id.clone(),
            from: before.account.clone(),
            to: after.account.clone(),
        })
    });
    moved.collect()
}

fn person(entry: Option<&Entry>) -> Option<&Person> {
    match entry? {
        Entry::Person(person) => Some(person),
        Entry::Group(_) => None,
    }
}

/// So that no transaction takes too long; people first, of whom groups consist.
fn in_parts(mut changes: Vec<Change>) -> Vec<Vec<Change>> {
    let is_group = |it: &Change| matches!(it.entry, Some(Entry::Group(_)));
    changes.sort_by_key(is_group);
    let mut parts = Vec::new();
    while changes.len() > CHANGES_MAX {
        let rest = changes.split_off(CHANGES_MAX);
        parts.push(std::mem::replace(&mut changes, rest));
    }
    if !changes.is_empty() {
        parts.push(changes);
    }
    parts
}

fn count(book: &Book) -> (usize, usize) {
    let is_person = |(_, entry): &(&EntryId, &Arc<Entry>)| matches!(***entry, Entry::Person(_));
    let people = book.entries().filter(is_person).count();
    (people, book.entries().count() - people)
}

#[cfg(test)]
mod tests;
