//! What browsers are told about files that strangers have written (row H02).

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, HeaderName,
};
use http::{HeaderValue, StatusCode};

/// An origin of its own without scripts, forms and frames, whatever the file is.
pub(super) const POLICY: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

const METHODS: &str = "OPTIONS, HEAD, GET, PUT";

/// What is shown in place: none of these can carry a script. SVG can, and is not among them.
const SHOWN: &[&str] = &[
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/opus",
    "audio/wav",
    "audio/webm",
    "audio/x-m4a",
    "audio/x-wav",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/heic",
    "image/heif",
    "image/jpeg",
    "image/jxl",
    "image/png",
    "image/webp",
    "video/3gpp",
    "video/mp4",
    "video/mpeg",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
];

/// What a file without a type is.
pub(super) const UNKNOWN_TYPE: &str = "application/octet-stream";

/// The type without its parameters, to compare.
pub(super) fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// RFC 6266: shown in place, or saved under this name.
pub(super) fn disposition(content_type: &str, name: &str) -> String {
    let is_shown = SHOWN.contains(&essence(content_type).as_str());
    let kind = if is_shown { "inline" } else { "attachment" };
    format!("{kind}; filename*=UTF-8''{}", encode(name))
}

/// RFC 8187 §3.2.1: what is not an `attr-char` is percent-encoded.
fn encode(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Answers a browser that asks whether a script of another origin may put a file here
/// (XEP-0363 §9). There are no cookies and no logins here: whoever has the address may use it.
pub(super) async fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Range",
        ),
        // Two hours, the longest that browsers agree on.
        (ACCESS_CONTROL_MAX_AGE, "7200"),
        (ALLOW, METHODS),
    ];
    open_to_scripts((StatusCode::NO_CONTENT, headers).into_response())
}

/// Lets scripts and pages of any origin read an answer.
pub(super) fn open_to_scripts(mut response: Response) -> Response {
    let always = [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            ACCESS_CONTROL_EXPOSE_HEADERS,
            "Content-Length, Content-Range, ETag",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ];
    for (name, value) in always {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h02_only_what_carries_no_script_is_shown_in_place() {
        for shown in ["image/png", "IMAGE/JPEG; q=1", "video/mp4", "audio/ogg"] {
            assert!(disposition(shown, "a").starts_with("inline;"), "{shown}");
        }
        for saved in [
            "image/svg+xml",
            "text/html",
            "text/xml",
            "application/xhtml+xml",
            "application/pdf",
            "text/plain",
            "image/png+xml",
            "",
            "application/octet-stream",
        ] {
            assert!(
                disposition(saved, "a").starts_with("attachment;"),
                "{saved}"
            );
        }
    }

    #[test]
    fn h01_a_name_cannot_leave_its_header() {
        let header = disposition("image/png", "a\"; x=\r\n\u{202E}é.png");
        assert_eq!(
            header,
            "inline; filename*=UTF-8''a%22%3B%20x%3D%0D%0A%E2%80%AE%C3%A9.png"
        );
    }
}
