//! Hands files out: whole or in part, and only as what they are (row H02).

use std::io::SeekFrom;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::Response;
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use klatsch_store::{StoreError, Upload};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::range::{Wanted, wanted};
use super::shelf::hex;
use super::{Uploads, answer, headers, now, parse_id};
use crate::metrics;

/// What is read and written at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A year: what stands under an address never changes.
const CACHED_SECONDS_MAX: u64 = 365 * 24 * 3600;

/// GET and HEAD.
pub(super) async fn serve(
    State(uploads): State<Arc<Uploads>>,
    Path((id, _name)): Path<(String, String)>,
    method: Method,
    request: HeaderMap,
) -> Response {
    let found = uploads.find(&id, &request).await;
    match found {
        Ok(upload) => match uploads.hand_out(&upload, &method, &request).await {
            Ok(response) => headers::open_to_scripts(response),
            Err(error) => {
                tracing::error!(%error, "a file that should be there cannot be read");
                answer(StatusCode::INTERNAL_SERVER_ERROR)
            }
        },
        Err(status) => answer(status),
    }
}

impl Uploads {
    async fn find(&self, id: &str, request: &HeaderMap) -> Result<Upload, StatusCode> {
        let id = parse_id(id).ok_or(StatusCode::NOT_FOUND)?;
        let found = self.store.find_upload(id, now()).await;
        let upload = found.map_err(|error| match error {
            StoreError::NoSuchItem => StatusCode::NOT_FOUND,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        })?;
        match self.is_at_another_domain(&upload, request) {
            true => Err(StatusCode::NOT_FOUND),
            false => Ok(upload),
        }
    }

    /// Row R14: under the name of one domain there are no files of another. A host that is
    /// none of ours is what a proxy or the configured address calls us.
    fn is_at_another_domain(&self, upload: &Upload, request: &HeaderMap) -> bool {
        let host = request.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default().to_ascii_lowercase();
        let host = host.rsplit_once(':').map_or(&*host, |(host, port)| {
            match port.bytes().all(|byte| byte.is_ascii_digit()) {
                true => host,
                false => &*host,
            }
        });
        let host = host.trim_end_matches('.');
        let asked = host.strip_prefix("upload.").unwrap_or(host);
        let is_ours = |name: &str| self.domains.iter().any(|domain| domain == name);
        let served = if is_ours(host) { host } else { asked };
        is_ours(served) && served != &*upload.domain
    }

    async fn hand_out(
        &self,
        upload: &Upload,
        method: &Method,
        request: &HeaderMap,
    ) -> std::io::Result<Response> {
        let tag = format!("\"{}\"", hex(&upload.hash));
        if is_unchanged(upload, &tag, request) {
            return Ok(described(
                StatusCode::NOT_MODIFIED,
                upload,
                &tag,
                &[],
                Body::empty(),
            ));
        }
        let (status, first, length, range) = match part(upload, &tag, method, request) {
            Wanted::Whole => (StatusCode::OK, 0, upload.size, None),
            Wanted::Part(first, last) => {
                let range = format!("bytes {first}-{last}/{}", upload.size);
                let length = last - first + 1;
                (StatusCode::PARTIAL_CONTENT, first, length, Some(range))
            }
            Wanted::Nothing => {
                let range = [(CONTENT_RANGE, format!("bytes */{}", upload.size))];
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return Ok(described(status, upload, &tag, &range, Body::empty()));
            }
        };
        let mut more = vec![(CONTENT_LENGTH, length.to_string())];
        more.extend(range.map(|range| (CONTENT_RANGE, range)));
        let body = match *method == Method::HEAD {
            true => Body::empty(),
            false => {
                let mut file = self.shelf.get(&upload.hash).await?;
                file.seek(SeekFrom::Start(first)).await?;
                metrics::download(length);
                read(file, length)
            }
        };
        Ok(described(status, upload, &tag, &more, body))
    }
}

/// RFC 9110 §13.2.2: the tag decides where there is one, else the time.
fn is_unchanged(upload: &Upload, tag: &str, request: &HeaderMap) -> bool {
    let text = |name| request.get(name).and_then(|value| value.to_str().ok());
    if let Some(tags) = text(IF_NONE_MATCH) {
        let strong = |it: &str| it.trim().trim_start_matches("W/") == tag;
        return tags.trim() == "*" || tags.split(',').any(strong);
    }
    // Only what we have said ourselves: dates of others are no use for what never changes.
    text(IF_MODIFIED_SINCE).is_some_and(|since| since == http_date(upload))
}

/// RFC 9110 §14.2 and §13.1.5: only GET has ranges, and only of the file that is meant.
fn part(upload: &Upload, tag: &str, method: &Method, request: &HeaderMap) -> Wanted {
    let text = |name| request.get(name).and_then(|value| value.to_str().ok());
    let is_meant = text(IF_RANGE).is_none_or(|it| it == tag || it == http_date(upload));
    match text(RANGE) {
        Some(range) if is_meant && *method == Method::GET => wanted(range, upload.size),
        _ => Wanted::Whole,
    }
}

fn described(
    status: StatusCode,
    upload: &Upload,
    tag: &str,
    more: &[(HeaderName, String)],
    body: Body,
) -> Response {
    let content_type = upload.content_type.as_deref();
    let content_type = content_type.unwrap_or(headers::UNKNOWN_TYPE);
    let left = upload.expires.since(now()).as_secs();
    let cached = format!(
        "public, max-age={}, immutable",
        left.min(CACHED_SECONDS_MAX)
    );
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .header(
            CONTENT_DISPOSITION,
            headers::disposition(content_type, &upload.name),
        )
        .header(CONTENT_SECURITY_POLICY, headers::POLICY)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(ETAG, tag)
        .header(LAST_MODIFIED, http_date(upload))
        .header(ACCEPT_RANGES, "bytes")
        .header(CACHE_CONTROL, cached);
    for (name, value) in more {
        response = response.header(name, value);
    }
    let failed = |_| answer(StatusCode::INTERNAL_SERVER_ERROR);
    response.body(body).unwrap_or_else(failed)
}

/// RFC 9110 §5.6.7.
fn http_date(upload: &Upload) -> String {
    let micros = u64::try_from(upload.stored.micros()).unwrap_or(0);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_micros(micros))
}

/// So many bytes of a file, piece by piece as they are wanted.
fn read(file: File, length: u64) -> Body {
    Body::from_stream(stream::try_unfold(
        (file, length),
        |(mut file, left)| async move {
            if left == 0 {
                return Ok(None);
            }
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let mut piece = vec![0; size];
            let count = file.read(&mut piece).await?;
            if count == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            }
            piece.truncate(count);
            Ok(Some((Bytes::from(piece), (file, left - count as u64))))
        },
    ))
}
