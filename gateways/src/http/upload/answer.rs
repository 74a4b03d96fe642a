//! What browsers and clients are told about a file, so that it can be looked at and not run.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_DISPOSITION,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use klatsch_protocol::time::Timestamp;
use klatsch_store::Upload;

/// Nothing in a file loads or runs anything, whatever it is (row H02).
const POLICY: &str = "default-src 'none'; media-src 'self'; sandbox";

/// What browsers may show in their window: pictures, sound and film that cannot hold scripts.
const SHOWN: [&str; 15] = [
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/webm",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/mp4",
    "video/ogg",
    "video/webm",
];

/// A day.
const DAY_SECONDS: u64 = 86_400;

/// The type of what nobody has said the type of.
const UNKNOWN: &str = "application/octet-stream";

/// Pages of any site may store and show files: the address is the right to.
pub(super) fn shared(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    let exposed = HeaderValue::from_static("content-length, content-range, etag");
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}

/// What a browser asks before it stores.
pub(super) fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, PUT, OPTIONS"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, authorization, range",
        ),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    shared((StatusCode::NO_CONTENT, headers).into_response())
}

/// Tells whether the one who asks has the file already (RFC 9110 §13.1.2).
pub(super) fn has_it(upload: &Upload, headers: &HeaderMap) -> bool {
    let tag = tag(upload);
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let mut known = known.filter_map(|line| line.to_str().ok());
    known.any(|line| {
        line.split(',')
            .any(|it| it.trim().trim_start_matches("W/") == tag || it.trim() == "*")
    })
}

/// Puts on what every answer with a file has.
pub(super) fn dressed(mut response: Response<Body>, upload: &Upload, now: Timestamp) -> Response {
    let kind = upload.content_type.as_deref().unwrap_or(UNKNOWN);
    let way = match SHOWN.contains(&kind) {
        true => "inline",
        false => "attachment",
    };
    let disposition = format!("{way}; filename*=UTF-8''{}", percent_encoded(&upload.name));
    let texts = [
        (CONTENT_TYPE, kind),
        (CONTENT_DISPOSITION, disposition.as_str()),
        (ETAG, &tag(upload)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, &cached(upload, now)),
    ];
    for (name, text) in texts {
        // Types and names were made fit for headers when the slot was given.
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The content never changes; that its account has gone may be noticed a day later, but not
/// that its time is over (XEP-0363 §6.3).
fn cached(upload: &Upload, now: Timestamp) -> String {
    let left = upload.ends.map(|ends| ends.since(now).as_secs());
    let seconds = left.unwrap_or(DAY_SECONDS).min(DAY_SECONDS);
    format!("private, max-age={seconds}, immutable")
}

fn tag(upload: &Upload) -> String {
    let hash = upload.content.iter().take(16);
    let hash: String = hash.map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}\"")
}

/// RFC 8187 §3.2.1.
fn percent_encoded(name: &str) -> String {
    let encode = |byte: u8| match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(encode).collect()
}
