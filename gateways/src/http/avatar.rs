//! Pictures of people in the directory, for pages: `GET /avatar/HASH`.
//!
//! Only pictures of the directory are here, as they were made anew (`photo.rs`), each by the SHA-1
//! of its bytes. Nobody is asked who they are, as a picture in a page cannot say: whoever knows the
//! hash has been shown the presence or the card of whom the picture is of, or has the picture.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use image::ImageFormat;
use klatsch_store::Store;

use super::come_back_later;

/// The hash names the bytes, so they never change; a proxy keeps none of them for others.
const FOR_A_YEAR: &str = "private, max-age=31536000, immutable";

/// The path to merge into the HTTP server's.
pub fn router(store: Store) -> Router {
    Router::new()
        .route("/avatar/{hash}", get(show))
        .with_state(store)
}

async fn show(State(store): State<Store>, Path(hash): Path<String>) -> Response {
    // SHA-1 in hexadecimal, as XEP-0084 §4.2 writes it.
    let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    if hash.len() != 40 || !hash.bytes().all(is_digit) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let bytes = match store.photo(&hash).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => {
            tracing::warn!(%error, "a picture is not given out");
            return come_back_later().into_response();
        }
    };
    let kind = match image::guess_format(&bytes) {
        Ok(ImageFormat::Png) => "image/png",
        _ => "image/jpeg",
    };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, FOR_A_YEAR)];
    (headers, bytes).into_response()
}
