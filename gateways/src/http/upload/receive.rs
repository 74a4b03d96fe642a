//! The bytes of a file as they come: counted, and not too slow (row H03).

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use tokio::time::{Instant, timeout, timeout_at};

use super::Refusal;
use super::contents::Incoming;

/// A sender that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The slowest sender there is patience for: a modem's bytes a second.
const BYTES_PER_SECOND_MIN: u64 = 4 * 1024;

/// What even a small file may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that says it has another size than the slot is refused before it is read.
pub(super) fn check_length(size: u64, headers: &HeaderMap) -> Result<(), Refusal> {
    let said = headers.get(CONTENT_LENGTH);
    let said = said.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match said {
        Some(said) if said > size => Err(Refusal::TooMuch),
        Some(said) if said < size => Err(Refusal::TooLittle),
        _ => Ok(()),
    }
}

/// Reads exactly so many bytes.
pub(super) async fn receive(size: u64, body: Body, incoming: &mut Incoming) -> Result<(), Refusal> {
    let deadline = Instant::now() + PATIENCE + Duration::from_secs(size / BYTES_PER_SECOND_MIN);
    let mut body = body.into_data_stream();
    let mut received = 0;
    while let Some(bytes) = next(&mut body, deadline).await? {
        received += bytes.len() as u64;
        if received > size {
            return Err(Refusal::TooMuch);
        }
        incoming.write(&bytes).await?;
    }
    match received == size {
        true => Ok(()),
        false => Err(Refusal::TooLittle),
    }
}

async fn next(
    body: &mut axum::body::BodyDataStream,
    deadline: Instant,
) -> Result<Option<bytes::Bytes>, Refusal> {
    let next = timeout_at(deadline, timeout(SILENCE_MAX, body.next())).await;
    match next {
        Ok(Ok(Some(Ok(bytes)))) => Ok(Some(bytes)),
        // A sender that breaks off has not sent enough.
        Ok(Ok(None | Some(Err(_)))) => Ok(None),
        Ok(Err(_)) | Err(_) => Err(Refusal::TooSlow),
    }
}
