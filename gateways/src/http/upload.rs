//! Files of XEP-0363 over HTTP: `/upload/ID/NAME`.
//!
//! A PUT carries its signed slot in the query ([`put`]); GET and HEAD need the address alone
//! ([`get`]). Contents lie in a folder, each once under its hash ([`shelf`]); who refers to them
//! stands in the store. The name in an address is for people: nobody looks at it (row H01).
//!
//! Leaves out: several ranges in one request, which are answered with the whole file
//! (RFC 9110 §14.2 lets a server ignore them).

mod get;
mod headers;
mod put;
mod range;
mod shelf;
mod sweep;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get as on_get;
use http::StatusCode;
use klatsch_actors::strain::Strain;
use klatsch_protocol::features::upload::Key;
use klatsch_protocol::time::Timestamp;
use klatsch_store::Store;
use tokio::sync::Semaphore;

use shelf::Shelf;

/// What uploads need.
pub struct Uploads {
    store: Store,
    shelf: Shelf,
    key: Key,
    /// The domains served, to keep their files apart (row R14).
    domains: Vec<String>,
    strain: Arc<Strain>,
    pace: UploadPace,
    turns: Semaphore,
}

/// How fast a file must come (row H03).
#[derive(Debug, Clone, Copy)]
pub struct UploadPace {
    /// What is forgiven at the beginning, and a stall that was earned by having been fast.
    pub grace: Duration,
    /// Bytes in a second on average: less than any network that is of use has.
    pub bytes_per_second_min: u64,
    /// Files that come at the same time on this node.
    pub at_once_max: usize,
}

impl Default for UploadPace {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
            bytes_per_second_min: 4096,
            // Each holds a file, a connection and a piece of at most some 400 KiB.
            at_once_max: 256,
        }
    }
}

/// What uploads are built on.
pub struct UploadGround {
    /// Who has which slots and files.
    pub store: Store,
    /// Verifies slots.
    pub key: Key,
    /// The domains served.
    pub domains: Vec<String>,
    /// Tells when the disk is full.
    pub strain: Arc<Strain>,
    /// How fast files must come.
    pub pace: UploadPace,
}

impl Uploads {
    /// Opens the folder of contents, which is made if it is not there.
    ///
    /// # Errors
    /// The folder can neither be read nor made.
    pub fn open(folder: &Path, ground: UploadGround) -> std::io::Result<Arc<Self>> {
        let UploadGround {
            store,
            key,
            domains,
            strain,
            pace,
        } = ground;
        Ok(Arc::new(Self {
            store,
            shelf: Shelf::open(folder)?,
            key,
            domains,
            strain,
            pace,
            turns: Semaphore::new(pace.at_once_max),
        }))
    }
}

/// The paths of uploads.
pub fn router(uploads: Arc<Uploads>) -> Router {
    let methods = on_get(get::serve)
        .put(put::take)
        .options(headers::preflight);
    Router::new()
        .route("/upload/{id}/{name}", methods)
        .with_state(uploads)
}

/// The id in an address: 32 hexadecimal digits, lower-case, as we write them.
fn parse_id(text: &str) -> Option<u128> {
    let is_ours = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != 32 || !text.bytes().all(is_ours) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

/// An answer without content; scripts of other origins may read it too.
fn answer(status: StatusCode) -> Response {
    headers::open_to_scripts(status.into_response())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h01_an_id_is_digits_and_nothing_else() {
        assert_eq!(parse_id("0000000000000000000000000000000f"), Some(15));
        for text in [
            "",
            "..",
            "f",
            "+000000000000000000000000000000f",
            "0000000000000000000000000000000F",
            "0000000000000000000000000000000/",
            "00000000000000000000000000000000f",
        ] {
            assert_eq!(parse_id(text), None, "{text}");
        }
    }
}
