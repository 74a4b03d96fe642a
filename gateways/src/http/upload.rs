//! `/upload/…`: the bytes of HTTP File Upload, XEP-0363 version 1.2.0,
//! <https://xmpp.org/extensions/xep-0363.html>
//!
//! Who may store is decided in `protocol/src/features/upload.rs`; a URL with its signature is
//! all that is asked for here. Files are served as if they came from a stranger, which they do:
//! no browser runs what is in them (row H02), and their address is as hard to guess as a key.

mod answer;
mod contents;
mod elsewhere;
mod receive;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode};
use klatsch_actors::files::Files;
use klatsch_actors::strain::Strain;
use klatsch_protocol::features::upload::slot::{Key, NoSlot, Slot, parse_id};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Begun, Store, StoreError, Upload};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tower_http::services::ServeFile;

pub use contents::Contents;
pub use elsewhere::offer;

use crate::metrics;

/// How often it is looked for files whose time is over.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Files of one sweep's step: one short transaction.
const SWEEP_MAX: u32 = 200;

/// Files that come at the same time: each has a file, a connection and a piece in memory.
const AT_ONCE_MAX: usize = 256;

/// Everything uploads need.
pub struct Uploads {
    /// What is known of them.
    pub store: Store,
    /// Where their bytes lie.
    pub contents: Arc<Contents>,
    /// Where they lie on other nodes.
    pub files: Files,
    /// What slots are signed with.
    pub key: Key,
    /// Whether the disk has room.
    pub strain: Arc<Strain>,
    /// The domains served, whose files are kept apart (row R14).
    pub domains: Vec<BareJid>,
    /// Who may send a file now.
    pub turns: Turns,
}

/// Bounds how many files come at the same time.
pub struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE_MAX))
    }
}

/// Why a request is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Forged,
    Late,
    TooMuch,
    TooLittle,
    TooSlow,
    AnotherType,
    Busy,
    Taken,
    NotFound,
    NoRoom,
    Unavailable,
}

impl Refusal {
    /// The status, the metric's label, and the word for people.
    fn told(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Forged => (StatusCode::FORBIDDEN, "forged", "this is no slot of ours"),
            Self::Late => (StatusCode::GONE, "late", "the slot's time is over"),
            Self::TooMuch => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_much",
                "more than the slot is for",
            ),
            Self::TooLittle => (
                StatusCode::BAD_REQUEST,
                "too_little",
                "less than the slot is for",
            ),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too_slow", "too slow"),
            Self::AnotherType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "another_type",
                "not the type that the slot is for",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many files are coming",
            ),
            Self::Taken => (StatusCode::CONFLICT, "taken", "the slot has its file"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found", "no such file"),
            Self::NoRoom => (
                StatusCode::INSUFFICIENT_STORAGE,
                "no_room",
                "the disk is full",
            ),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "the file cannot be stored or read now",
            ),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, label, text) = self.told();
        metrics::upload_refused(label);
        (status, format!("{text}\n")).into_response()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "files: the store does not answer");
        Self::Unavailable
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        tracing::warn!(%error, "files: the disk does not do what it is told");
        match error.kind() {
            std::io::ErrorKind::StorageFull => Self::NoRoom,
            _ => Self::Unavailable,
        }
    }
}

/// The paths.
pub fn router(uploads: Arc<Uploads>) -> Router {
    let places = get(show)
        .put(store)
        .options(|| async { answer::preflight() });
    Router::new()
        .route("/upload/{id}/{name}", places)
        .with_state(uploads)
}

async fn store(
    State(uploads): State<Arc<Uploads>>,
    Path((id, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let query = query.unwrap_or_default();
    let slot = Slot::read(&uploads.key, &id, &name, &query, now());
    let stored = match slot {
        Ok(slot) => uploads.store_file(&slot, &headers, body).await,
        Err(NoSlot::Forged) => Err(Refusal::Forged),
        Err(NoSlot::Late) => Err(Refusal::Late),
    };
    answer::shared(match stored {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(refusal) => refusal.into_response(),
    })
}

async fn show(
    State(uploads): State<Arc<Uploads>>,
    Path((id, name)): Path<(String, String)>,
    request: Request,
) -> Response {
    answer::shared(match uploads.find(&id, &name, request.headers()).await {
        Ok(upload) => uploads.show_file(&upload, request).await,
        Err(refusal) => refusal.into_response(),
    })
}

impl Uploads {
    async fn store_file(
        &self,
        slot: &Slot,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(), Refusal> {
        if self.strain.disk_is_low() {
            return Err(Refusal::NoRoom);
        }
        receive::check_length(slot.size, headers)?;
        let _turn = self.turns.0.try_acquire().map_err(|_| Refusal::Busy)?;
        let until = now().plus(receive::longest(slot.size));
        // The room stays taken, and nobody sends a file for nothing.
        match self.store.begin_upload(slot.id, until, now()).await? {
            Begun::Ready(kind) => receive::check_type(kind.as_deref(), headers)?,
            Begun::Taken => return Err(Refusal::Taken),
            Begun::Over => return Err(Refusal::Late),
        }
        let mut incoming = self.contents.begin().await?;
        receive::receive(slot.size, body, &mut incoming).await?;
        let complete = |content| self.store.complete_upload(slot.id, content, now());
        match self.contents.keep(incoming, complete).await?? {
            true => metrics::upload_stored(slot.size),
            false => return Err(Refusal::Taken),
        }
        Ok(())
    }

    /// The file of this address: a wrong name is a wrong address, or anybody could send round
    /// links that say something else than what they lead to.
    async fn find(&self, id: &str, name: &str, headers: &HeaderMap) -> Result<Upload, Refusal> {
        let id = parse_id(id).ok_or(Refusal::NotFound)?;
        let upload = self.store.upload(id, now()).await?;
        upload
            .filter(|upload| upload.name == name && !self.is_elsewhere(upload, headers))
            .ok_or(Refusal::NotFound)
    }

    /// Row R14: under the name of one domain there are no files of another. A host that is none
    /// of ours is what a proxy or the configuration calls us.
    fn is_elsewhere(&self, upload: &Upload, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else {
            return false;
        };
        let host = host.host().trim_end_matches('.').to_ascii_lowercase();
        let served = |name: &str| self.domains.iter().any(|domain| domain.as_str() == name);
        let below = host.strip_prefix("upload.").unwrap_or(&host);
        let domain = if served(&host) { &host } else { below };
        served(domain) && *domain != upload.domain
    }

    async fn show_file(&self, upload: &Upload, request: Request) -> Response {
        if answer::has_it(upload, request.headers()) {
            return answer::dressed(StatusCode::NOT_MODIFIED.into_response(), upload, now());
        }
        let is_whole = !request.headers().contains_key(http::header::RANGE);
        if is_whole && request.method() == Method::GET {
            metrics::upload_served(upload.size);
        }
        if !self.contents.has(&upload.content).await
            && let Err(refusal) = self.bring(upload).await
        {
            tracing::error!(name = upload.name, "a file's content is gone");
            return refusal.into_response();
        }
        let path = self.contents.path(&upload.content);
        match ServeFile::new(path).try_call(request).await {
            Ok(response) => answer::dressed(response.map(Body::new), upload, now()),
            Err(error) => Refusal::from(error).into_response(),
        }
    }

    /// Brings a content here that another node has.
    async fn bring(&self, upload: &Upload) -> Result<(), Refusal> {
        let _turn = self.turns.0.try_acquire().map_err(|_| Refusal::Busy)?;
        elsewhere::bring(&self.contents, &self.files, &self.store, upload).await
    }

    /// Removes files whose time is over, for as long as it is run.
    pub async fn tend(self: Arc<Self>) {
        let mut rounds = interval(SWEEP_EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What a crash has left between a file and its entry.
        rounds.tick().await;
        let wanted = |content| self.store.is_content_wanted(content);
        if let Err(error) = self.contents.remove_unwanted(wanted).await {
            tracing::warn!(%error, "files were not looked through");
        }
        loop {
            if let Err(error) = self.sweep(now()).await {
                tracing::warn!(%error, "files whose time is over were not removed");
            }
            rounds.tick().await;
        }
    }

    /// Removes what has ended before `now`.
    async fn sweep(&self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let gone = self.store.expire_uploads(now, SWEEP_MAX).await?;
            if gone.is_empty() {
                return Ok(());
            }
            for content in gone {
                let wanted = self.store.is_content_wanted(content);
                self.contents.remove(&content, wanted).await?;
            }
        }
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since.unwrap_or_default().as_micros();
    Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
}
