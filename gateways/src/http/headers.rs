//! The headers every answer carries, whatever made it.
//!
//! Strict-Transport-Security is left out: it would bind the whole host, whose other ports are
//! not ours, and a proxy in front knows better.

use axum::response::Response;
use http::HeaderValue;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

/// No scripts, no frames, nothing from elsewhere; our pages are forms and text.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // For browsers that do not know frame-ancestors.
    (X_FRAME_OPTIONS, "DENY"),
    // A sign-up link in the address bar must not travel to other sites.
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (CACHE_CONTROL, "no-store"),
];

/// Marks an answer that pages of other origins may show in a frame: its policy says which.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Framed;

/// Adds what the handler did not set itself.
pub(crate) fn secure<B>(response: &mut http::Response<B>) {
    let is_framed = response.extensions().get::<Framed>().is_some();
    for (name, value) in ALWAYS {
        if is_framed && name == X_FRAME_OPTIONS {
            continue;
        }
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// Marks an answer that may be kept for an hour.
pub(crate) fn cacheable(mut response: Response) -> Response {
    let hour = HeaderValue::from_static("public, max-age=3600");
    response.headers_mut().insert(CACHE_CONTROL, hour);
    response
}
