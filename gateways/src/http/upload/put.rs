//! Takes a file: exactly what was promised, not too slowly, once (row H03).

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, StatusCode, Uri};
use klatsch_protocol::features::upload::Slot;
use klatsch_store::StoreError;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::shelf::Arriving;
use super::{Uploads, answer, headers, now, parse_id};
use crate::metrics;

/// What stands in the query.
#[derive(Deserialize)]
pub(super) struct Signed {
    #[serde(default)]
    slot: String,
}

/// Why a file is not taken. The name goes to the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The slot is not ours, or for another address.
    Forged,
    /// The slot has expired.
    Expired,
    /// The file is there already.
    Used,
    /// Another size than promised.
    Size,
    /// Another type than promised.
    Type,
    /// Too slow.
    Slow,
    /// The client went away.
    Broken,
    /// Too many at once.
    Busy,
    /// The disk is full, or nearly.
    Disk,
    /// The store or the disk has failed.
    Failed,
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::Forged => StatusCode::FORBIDDEN,
            Self::Expired => StatusCode::GONE,
            Self::Used => StatusCode::CONFLICT,
            Self::Size => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Disk => StatusCode::INSUFFICIENT_STORAGE,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::Used => "used",
            Self::Size => "size",
            Self::Type => "type",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Busy => "busy",
            Self::Disk => "disk",
            Self::Failed => "failed",
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchItem => Self::Expired,
            StoreError::Conflict => Self::Used,
            error => {
                tracing::warn!(%error, "an upload is not written down");
                Self::Failed
            }
        }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        tracing::warn!(%error, "an upload is not written");
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Disk,
            _ => Self::Failed,
        }
    }
}

/// XEP-0363 §8: 201 says that the file can be had.
pub(super) async fn take(
    State(uploads): State<Arc<Uploads>>,
    Path((id, _name)): Path<(String, String)>,
    Query(signed): Query<Signed>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match uploads.take(&id, &signed.slot, &headers, body).await {
        Ok(size) => {
            metrics::upload_taken(size);
            let location = [(LOCATION, uri.path().to_owned())];
            headers::open_to_scripts((StatusCode::CREATED, location).into_response())
        }
        Err(refusal) => {
            metrics::upload_refused(refusal.name());
            answer(refusal.status())
        }
    }
}

impl Uploads {
    async fn take(
        &self,
        id: &str,
        signed: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<u64, Refusal> {
        let slot = Slot::verify(signed, &self.key).ok_or(Refusal::Forged)?;
        if parse_id(id) != Some(slot.id) {
            return Err(Refusal::Forged);
        }
        if slot.put_until <= now() {
            return Err(Refusal::Expired);
        }
        check_headers(&slot, headers)?;
        // Row C13.
        if self.strain.disk_is_low() {
            return Err(Refusal::Disk);
        }
        let _turn = self.turns.try_acquire().map_err(|_| Refusal::Busy)?;
        self.store
            .begin_upload(slot.id, self.done_until(&slot), now())
            .await?;
        let arriving = self.receive(&slot, body.into_data_stream()).await?;
        let _putting = self.shelf.putting().await;
        let hash = self.shelf.put(arriving).await?;
        self.store.finish_upload(slot.id, &hash, now()).await?;
        Ok(slot.size)
    }

    /// Until when a file that comes as slowly as it may is written down.
    fn done_until(&self, slot: &Slot) -> klatsch_protocol::time::Timestamp {
        let longest = slot.transfer_time(self.pace.grace, self.pace.bytes_per_second_min);
        now().plus(longest + COMMIT_TIME)
    }

    /// Writes what comes to a file. Whoever is slower than the pace is cut off: the deadline
    /// moves on with what has come.
    async fn receive(&self, slot: &Slot, mut body: BodyDataStream) -> Result<Arriving, Refusal> {
        let mut arriving = self.shelf.begin().await?;
        let (begin, mut received) = (Instant::now(), 0);
        loop {
            let earned = Duration::from_secs(received / self.pace.bytes_per_second_min.max(1));
            let deadline = begin + self.pace.grace + earned;
            let next = timeout_at(deadline, body.next()).await;
            let Some(piece) = next.map_err(|_| Refusal::Slow)? else {
                break;
            };
            let piece = piece.map_err(|_| Refusal::Broken)?;
            received += piece.len() as u64;
            if received > slot.size {
                return Err(Refusal::Size);
            }
            arriving.write(&piece).await?;
        }
        if received != slot.size {
            return Err(Refusal::Size);
        }
        arriving.flush().await?;
        Ok(arriving)
    }
}

/// What a sync and a commit may take after the last byte.
const COMMIT_TIME: Duration = Duration::from_secs(60);

/// XEP-0363 §8: the length must be, and the type should be, what the slot was asked for.
fn check_headers(slot: &Slot, headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(length) = text(CONTENT_LENGTH)
        && length.parse() != Ok(slot.size)
    {
        return Err(Refusal::Size);
    }
    let promised = slot.content_type.as_deref().map(headers::essence);
    let said = text(CONTENT_TYPE).map(headers::essence);
    match (promised, said) {
        (Some(promised), Some(said)) if promised != said => Err(Refusal::Type),
        _ => Ok(()),
    }
}
