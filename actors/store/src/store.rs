//! The handle everybody uses.

use std::sync::Arc;

use klatsch_protocol::time::Timestamp;

use crate::error::{Result, StoreError};
use crate::memory::{Memory, Reach};
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;

/// A store; a clone costs a counter. Every call may be dropped at any time: what has begun
/// to be written is then written whole or not at all.
#[derive(Clone)]
pub struct Store {
    pub(crate) backend: Arc<Backend>,
}

/// What is behind a [`Store`].
pub(crate) enum Backend {
    Sqlite(Sqlite),
    Postgres(Postgres),
    Memory(Memory),
}

impl Store {
    /// Opens `sqlite:PATH`, made if it is not there; `postgres://USER@HOST/DATABASE`, a database
    /// that is there, with `connections=` for how many of them, and with `sslmode=` and
    /// `sslrootcert=` as libpq takes them; or `memory:`. Brings it up to date.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be opened, does not keep what it has promised, or the
    /// address is none of these, `Corrupt` when it is no database of ours or one of a newer
    /// version.
    pub async fn open(url: &str) -> Result<Self> {
        let backend = match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                Backend::Sqlite(Sqlite::open(path.as_ref()).await?)
            }
            Some(("postgres" | "postgresql", _)) => Backend::Postgres(Postgres::open(url).await?),
            Some(("memory", "")) => Backend::Memory(Memory::default()),
            _ => {
                let text = format!("{url:?} is neither sqlite:PATH nor postgres://… nor memory:");
                return Err(StoreError::Unavailable(text));
            }
        };
        Ok(Self {
            backend: Arc::new(backend),
        })
    }

    /// The same store for a node of a test, and what says how that one reaches it; nothing where
    /// it is none in memory.
    pub fn reached_apart(&self) -> Option<(Self, Arc<Reach>)> {
        let Backend::Memory(memory) = &*self.backend else {
            return None;
        };
        let apart = memory.reached_apart();
        let reach = Arc::clone(&apart.reach);
        let backend = Arc::new(Backend::Memory(apart));
        Some((Self { backend }, reach))
    }
}

/// Declares what a backend must be able to do, and the same on [`Store`].
macro_rules! subject {
    ($(#[$about:meta])* $name:ident {
        $( $(#[$doc:meta])* fn $function:ident(&self $(, $argument:ident: $kind:ty)*) -> $answer:ty; )*
    }) => {
        $(#[$about])*
        pub(crate) trait $name {
            $( $(#[$doc])*
            fn $function(&self $(, $argument: $kind)*)
                -> impl Future<Output = $crate::error::Result<$answer>> + Send; )*
        }

        impl $crate::store::Store {
            $( $(#[$doc])*
            pub async fn $function(&self $(, $argument: $kind)*) -> $crate::error::Result<$answer> {
                match &*self.backend {
                    $crate::store::Backend::Sqlite(backend) => {
                        $name::$function(backend $(, $argument)*).await
                    }
                    $crate::store::Backend::Postgres(backend) => {
                        // A question over the network is much to keep; where it goes is not
                        // worth its size in every future that asks.
                        let doing = Box::pin($name::$function(backend $(, $argument)*));
                        $crate::postgres::patiently(stringify!($name), doing).await
                    }
                    $crate::store::Backend::Memory(backend) => {
                        let doing = $name::$function(backend $(, $argument)*);
                        backend.reach.carry(doing).await
                    }
                }
            } )*
        }
    };
}
pub(crate) use subject;

subject! {
    /// What an operator and the node itself ask of the store as a whole.
    Upkeep {
        /// A cheap query, to tell whether the store answers.
        ///
        /// # Errors
        /// `Unavailable` when it does not.
        fn health(&self) -> ();
        /// Moves what the write-ahead log holds into the database and makes it short.
        ///
        /// # Errors
        /// `Unavailable` when it cannot be done now; nothing is lost.
        fn checkpoint(&self) -> ();
        /// Deletes some of what removed accounts have left behind, items whose time is over `now`,
        /// and pictures of nobody; true: there is more. Call it again then, at leisure.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn sweep(&self, now: Timestamp) -> bool;
        /// Deletes the entries that no query shows, once they have been delivered (their
        /// account's cursor has passed them) and were stamped before `before`; answers how
        /// many. The time is for sessions that lag behind the cursor.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`; part may then be done.
        fn purge_hidden(&self, before: Timestamp) -> u64;
        /// Deletes the entries of all accounts that were stamped before a time and have been
        /// delivered, and those of all rooms; `None`: they stay. Answers how many.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`; part may then be done.
        fn purge_old(&self, accounts: Option<Timestamp>, rooms: Option<Timestamp>) -> u64;
        /// Puts about `max` entries at most where a search finds them (XEP-0431) that are not
        /// there yet, and takes out what has been purged or retracted; answers how many it has
        /// looked at. 0: nothing is left to do. A search does not depend on it, but is slower
        /// and may be told to wait.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`; part may then be done.
        fn index_words(&self, max: u64) -> u64;
        /// Reads everything and looks for damage. Slow.
        ///
        /// # Errors
        /// `Corrupt` with what was found, `Unavailable`.
        fn integrity_check(&self) -> ();
    }
}
