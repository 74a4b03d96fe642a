//! What the API answers: JSON, and errors by name.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use klatsch_store::StoreError;
use serde::Serialize;
use serde_json::json;

/// An answer in JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                let kind = [(CONTENT_TYPE, "application/json")];
                (kind, Body::from(bytes)).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Why a request is refused. The name is for programs, the sentence for their authors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be read, or says what makes no sense.
    BadRequest,
    /// Nobody knows whoever asks.
    NotAuthorized,
    /// They may not log in any more.
    Disabled,
    /// Passwords and tokens are not sent where somebody may listen.
    Encryption,
    /// It is not theirs to ask for.
    Forbidden,
    /// There is no such thing, or none for whoever asks: the two look alike.
    NotFound,
    /// Nothing is to be had by this method there.
    Method,
    /// It is too long.
    TooLarge,
    /// It is no JSON, or no calendar where that is wanted.
    MediaType,
    /// Too many requests, or too many wrong passwords.
    TooMany,
    /// It cannot be told now who asks.
    TemporaryAuth,
    /// It cannot be done now.
    Unavailable,
}

impl Refusal {
    /// All of them.
    #[cfg(test)]
    pub(super) const ALL: [Self; 12] = [
        Self::BadRequest,
        Self::NotAuthorized,
        Self::Disabled,
        Self::Encryption,
        Self::Forbidden,
        Self::NotFound,
        Self::Method,
        Self::TooLarge,
        Self::MediaType,
        Self::TooMany,
        Self::TemporaryAuth,
        Self::Unavailable,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::NotAuthorized => "not-authorized",
            Self::Disabled => "account-disabled",
            Self::Encryption => "encryption-required",
            Self::Forbidden => "forbidden",
            Self::NotFound => "item-not-found",
            Self::Method => "method-not-allowed",
            Self::TooLarge => "too-large",
            Self::MediaType => "unsupported-media-type",
            Self::TooMany => "too-many-requests",
            Self::TemporaryAuth => "temporary-auth-failure",
            Self::Unavailable => "resource-constraint",
        }
    }

    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotAuthorized => StatusCode::UNAUTHORIZED,
            Self::Disabled | Self::Encryption | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::TemporaryAuth | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be read; see /api/v1/openapi.json.",
            Self::NotAuthorized => "Send an address with its password, or a token that is good.",
            Self::Disabled => "This account may not log in.",
            Self::Encryption => "Send passwords and tokens by https, or from this very machine.",
            Self::Forbidden => "This is not for your account.",
            Self::NotFound => "There is no such thing, or none that you may see.",
            Self::Method => "The path does not take this method.",
            Self::TooLarge => "The request has more in it than is taken.",
            Self::MediaType => "Say what the body is: application/json, or text/calendar.",
            Self::TooMany => "Too many requests; come back later.",
            Self::TemporaryAuth => "It cannot be told now who you are; come back later.",
            Self::Unavailable => "It cannot be done now; come back later.",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.name(), "message": self.sentence() });
        let mut response = (self.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        match self {
            // RFC 9110 §15.5.2 wants a challenge. That of passwords would have browsers open
            // their dialogue over somebody's page.
            Self::NotAuthorized => {
                let challenge = HeaderValue::from_static("Bearer realm=\"klatsch\"");
                headers.insert(WWW_AUTHENTICATE, challenge);
            }
            Self::TooMany | Self::TemporaryAuth | Self::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            // Whoever asked is gone since they proved who they are.
            StoreError::NoSuchAccount => Self::NotAuthorized,
            error => {
                tracing::warn!(%error, "a request to the API cannot be answered");
                Self::Unavailable
            }
        }
    }
}
