//! The handle by which gateways look at people without a session: what an account may see of
//! others, and what it wishes to show of itself.
//!
//! Who may see what is decided in `protocol` (`features/presence/summary.rs`, `wish.rs`). What is
//! seen is this node's view of all nodes.

mod conversation;

use std::sync::Arc;

use klatsch_protocol::archive::Direction;
use klatsch_protocol::features::hints;
use klatsch_protocol::features::presence::summary::{self, Seen};
use klatsch_protocol::features::presence::wish::{Wish, Wished};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::Stanza;
use klatsch_store::StoreError;

pub use self::conversation::{Conversation, Last};
use crate::mail::{Address, Mail};
use crate::router::patiently;
use crate::world::World;

/// More than so many unread messages are as good as so many: a badge has two digits.
pub const UNREAD_MAX: u32 = 99;

/// Accounts as gateways see them.
#[derive(Clone)]
pub struct People {
    world: Arc<World>,
}

/// An account as it sees itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    /// What others see.
    pub seen: Seen,
    /// What it has wished to show; `None`: what its clients say.
    pub wished: Option<Wished>,
    /// Messages that none of its clients has taken yet, at most [`UNREAD_MAX`].
    pub unread: u32,
}

impl People {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// What an account may see of others, in their order; `None` where it may see nothing, or
    /// there is nobody. It costs the same, whoever is asked for.
    ///
    /// # Errors
    /// `NoSuchAccount` for an asker that is gone, `Unavailable`, `Corrupt`.
    pub async fn seen_by(
        &self,
        asker: &BareJid,
        others: &[BareJid],
    ) -> Result<Vec<Option<Seen>>, StoreError> {
        let (cell, showing) = self.standing(asker).await?;
        let data = cell.data();
        let facts = self.world.facts(asker, &data, None);
        let seen = others.iter().map(|of| summary::seen(of, &showing, &facts));
        Ok(seen.collect())
    }

    /// Tells whether an account knows another, or is known to it.
    ///
    /// # Errors
    /// As [`People::seen_by`].
    pub async fn knows(&self, asker: &BareJid, of: &BareJid) -> Result<bool, StoreError> {
        let (cell, showing) = self.standing(asker).await?;
        let data = cell.data();
        let facts = self.world.facts(asker, &data, None);
        Ok(summary::knows(of, &showing, &facts))
    }

    async fn standing(
        &self,
        asker: &BareJid,
    ) -> Result<(Arc<crate::accounts::AccountCell>, Vec<BareJid>), StoreError> {
        let cell = patiently(self.world.accounts.get(asker)).await?;
        let showing = patiently(self.world.store.who_shows(&Jid::from(asker.clone()))).await?;
        Ok((cell, showing))
    }

    /// An account as it sees itself.
    ///
    /// # Errors
    /// As [`People::seen_by`].
    pub async fn own(&self, account: &BareJid) -> Result<Own, StoreError> {
        let cell = patiently(self.world.accounts.get(account)).await?;
        let data = cell.data();
        let seen = {
            let facts = self.world.facts(account, &data, None);
            summary::seen(account, &[], &facts).unwrap_or_default()
        };
        let waiting = self
            .world
            .store
            .entries(account, cell.delivered(), UNREAD_MAX);
        let waiting = patiently(waiting).await?;
        let is_unread = |entry: &&klatsch_protocol::archive::Entry| {
            let stanza = Stanza::parse(&entry.stanza);
            let is_message = matches!(stanza, Ok(Stanza::Message(it)) if hints::is_kept(&it));
            entry.direction == Direction::Received && is_message
        };
        let unread = waiting.iter().filter(is_unread).count();
        Ok(Own {
            seen,
            wished: data.wish.as_ref().and_then(|wish| wish.shown.clone()),
            unread: unread.try_into().unwrap_or(UNREAD_MAX),
        })
    }

    /// Keeps what an account wishes to show, and lets its sessions on all nodes show it; `None`:
    /// what its clients say.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Uncertain`; then it may be kept and not be shown yet.
    pub async fn wish(&self, account: &BareJid, shown: Option<Wished>) -> Result<(), StoreError> {
        let wish = Wish {
            since: self.world.now(),
            shown,
        };
        patiently(self.world.accounts.wish(account, &wish)).await?;
        let to = Address::Account(account.clone());
        self.world.directory.send(&to, Mail::Wish(Box::new(wish)));
        Ok(())
    }
}
