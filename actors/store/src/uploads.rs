//! Files that accounts have uploaded (XEP-0363): whose they are, how long they stay, and which
//! content they have. The content itself lies with the gateways, under its hash.

use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::Id;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// SHA-256 of a content.
pub type ContentHash = [u8; 32];

/// What became of a wish for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// The room is taken until the slot ends, or for as long as the file stays.
    Granted,
    /// There is none before this; `None`: until the account has made some.
    OverQuota(Option<Timestamp>),
}

/// What a slot is when its file begins to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It waits for its file, of this type if that was said.
    Ready(Option<String>),
    /// It has its file already.
    Taken,
    /// Its time is over, or there is no such slot.
    Over,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The domain of the account it is from.
    pub domain: String,
    /// What it is called.
    pub name: String,
    /// What it is, if that was said.
    pub content_type: Option<String>,
    /// Its bytes.
    pub size: u64,
    /// Its content.
    pub content: ContentHash,
    /// When it came.
    pub stamp: Timestamp,
    /// When it goes; `None`: with its account.
    pub ends: Option<Timestamp>,
}

subject! {
    /// Files.
    Uploads {
        /// Takes room for a file from its account's quota, all at once with the look at what
        /// the account has (row H04). Slots that ended without a file and files whose time is
        /// over take none.
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn reserve_upload(&self, request: &SlotRequest, now: Timestamp) -> Reserved;
        /// The file begins to come: its room stays taken until then, however long ago the slot
        /// would have ended.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn begin_upload(&self, id: Id, until: Timestamp, now: Timestamp) -> Begun;
        /// The content has come: the file is there from now on. False: there is no such slot,
        /// its time is over, or it has its file already.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn complete_upload(&self, id: Id, content: ContentHash, now: Timestamp) -> bool;
        /// A file, unless its time is over.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn upload(&self, id: Id, now: Timestamp) -> Option<Upload>;
        /// The files of an account that are there, in the order of their ids: those after
        /// `after`, at most `max`.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn uploads_of(
            &self,
            account: &BareJid,
            after: Option<Id>,
            max: u32,
            now: Timestamp
        ) -> Vec<(Id, Upload)>;
        /// Forgets files and slots whose time is over, at most `max`; answers their contents,
        /// which may be wanted by other files.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn expire_uploads(&self, now: Timestamp, max: u32) -> Vec<ContentHash>;
        /// Tells whether any file has this content.
        ///
        /// # Errors
        /// `Unavailable`.
        fn is_content_wanted(&self, content: ContentHash) -> bool;
    }
}
