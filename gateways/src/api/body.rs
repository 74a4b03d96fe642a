//! What requests bring: bounded in bytes and in time, and of a type that no form of a page can
//! send (row H10).

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde::de::DeserializeOwned;

use super::answer::Refusal;

/// Two hundred addresses of the longest kind fit in.
const JSON_BYTES_MAX: usize = 64 * 1024;

/// An invitation of hundreds with everything that calendars write.
const CALENDAR_BYTES_MAX: usize = 256 * 1024;

/// How long a client may take to send it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The JSON of a request.
pub(super) async fn json<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let bytes = read(request, "application/json", JSON_BYTES_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::BadRequest)
}

/// The calendar of a request.
pub(super) async fn calendar(request: Request) -> Result<String, Refusal> {
    let bytes = read(request, "text/calendar", CALENDAR_BYTES_MAX).await?;
    String::from_utf8(bytes.into()).map_err(|_| Refusal::BadRequest)
}

async fn read(request: Request, kind: &str, bytes_max: usize) -> Result<Bytes, Refusal> {
    let (parts, body) = request.into_parts();
    if !is_of(&parts.headers, kind) {
        return Err(Refusal::MediaType);
    }
    let told = parts.headers.get(CONTENT_LENGTH);
    let told = told.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if told.is_some_and(|told| told > bytes_max) {
        return Err(Refusal::TooLarge);
    }
    take(body, bytes_max).await
}

async fn take(body: Body, bytes_max: usize) -> Result<Bytes, Refusal> {
    let taken = tokio::time::timeout(TIMEOUT, to_bytes(body, bytes_max)).await;
    let taken = taken.map_err(|_| Refusal::BadRequest)?;
    // What breaks off has nobody to answer, so an error is a body that is too long.
    taken.map_err(|_| Refusal::TooLarge)
}

/// The type without its parameters, once.
fn is_of(headers: &HeaderMap, kind: &str) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let line = line.to_str().unwrap_or_default();
    let said = line.split(';').next().unwrap_or_default().trim();
    said.eq_ignore_ascii_case(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h10_what_a_form_can_send_is_no_json() {
        for (kinds, is_json) in [
            (&["application/json"][..], true),
            (&["Application/JSON; charset=utf-8"], true),
            (&[], false),
            (&["text/plain"], false),
            (&["application/x-www-form-urlencoded"], false),
            (&["multipart/form-data; boundary=application/json"], false),
            (&["text/plain; application/json"], false),
            (&["application/json", "text/plain"], false),
        ] {
            let mut headers = HeaderMap::new();
            for kind in kinds {
                headers.append(CONTENT_TYPE, kind.parse().unwrap());
            }
            assert_eq!(is_of(&headers, "application/json"), is_json, "{kinds:?}");
        }
    }
}
