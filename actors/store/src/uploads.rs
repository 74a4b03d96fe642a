//! Uploaded files (XEP-0363): who has which slots and files, and what they weigh.
//!
//! The content lies elsewhere, once for each hash; here is who refers to it and until when.

use klatsch_protocol::features::upload::{Reservation, Reserved};
use klatsch_protocol::time::Timestamp;

use crate::store::subject;

/// SHA-256 of a content.
pub type ContentHash = [u8; 32];

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The domain whose service took it.
    pub domain: Box<str>,
    /// What people call it.
    pub name: Box<str>,
    /// Its type, if it was said.
    pub content_type: Option<Box<str>>,
    /// Its bytes.
    pub size: u64,
    /// What it holds.
    pub hash: ContentHash,
    /// Since when it is there.
    pub stored: Timestamp,
    /// Until when.
    pub expires: Timestamp,
}

/// What has been forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// Contents that nobody refers to any more.
    pub unused: Vec<ContentHash>,
    /// There is more to forget.
    pub more: bool,
}

/// Rows one step forgets at most: appends wait behind it for some milliseconds.
pub(crate) const EXPIRE_MAX: u32 = 500;

subject! {
    /// Slots and files.
    Uploads {
        /// Gives a slot, if the account has room: whoever asks at the same time is asked one
        /// after the other (row H04).
        ///
        /// # Errors
        /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
        fn reserve_upload(&self, wanted: &Reservation, now: Timestamp) -> Reserved;
        /// Keeps a slot while its file is being sent.
        ///
        /// # Errors
        /// `NoSuchItem`: the slot has expired; `Conflict`: its file is there; `Unavailable`,
        /// `Uncertain`.
        fn begin_upload(&self, id: u128, until: Timestamp, now: Timestamp) -> ();
        /// Makes a slot a file, once.
        ///
        /// # Errors
        /// As of `begin_upload`.
        fn finish_upload(&self, id: u128, hash: &ContentHash, now: Timestamp) -> ();
        /// A file.
        ///
        /// # Errors
        /// `NoSuchItem`: there is none, or none any more; `Unavailable`, `Corrupt`.
        fn find_upload(&self, id: u128, now: Timestamp) -> Upload;
        /// Forgets some of what has expired. Call it again while there is more.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`, `Corrupt`.
        fn expire_uploads(&self, now: Timestamp) -> Expired;
        /// Tells whether any file has this content.
        ///
        /// # Errors
        /// `Unavailable`.
        fn is_content_used(&self, hash: &ContentHash) -> bool;
    }
}

/// When so many bytes and files are free: what expires first goes first. `holdings` are sizes
/// and times, in the order of times.
pub(crate) fn free_at(
    holdings: &[(u64, Timestamp)],
    wanted: &Reservation,
    now: Timestamp,
) -> Option<Timestamp> {
    let mut bytes: u64 = holdings.iter().map(|(size, _)| size).sum();
    let mut files = holdings.len() as u64;
    let fits = |bytes: u64, files: u64| {
        bytes.saturating_add(wanted.slot.size) <= wanted.bytes_max && files < wanted.files_max
    };
    if fits(bytes, files) {
        return None;
    }
    for (size, expires) in holdings {
        bytes -= size;
        files -= 1;
        if fits(bytes, files) {
            return Some(*expires);
        }
    }
    // It never fits: whoever asks should have been told so before.
    Some(holdings.last().map_or(now, |(_, expires)| *expires))
}
