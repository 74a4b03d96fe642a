//! HTTP: one server for the plain and the TLS listener.
//!
//! Leaves out, for now: the API. HTTP/2 is left out for good: a WebSocket over it saves nothing
//! here and costs a second protocol.

pub mod avatar;
mod form;
mod headers;
pub mod host_meta;
mod invite;
mod landing;
mod origin;
mod page;
mod requester;
mod server;
pub mod signup;
pub mod upload;
pub mod web;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde::{Deserialize, Serialize};

pub(crate) use origin::may_connect;
pub use requester::Requester;
pub(crate) use server::Place;
pub use server::{HttpServer, Scheme};
pub use signup::SignupLink;
pub use web::{WebClient, WebSettings};

use crate::auth::Registrar;
use crate::listener::Network;

/// `[http]` of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: https there counts as
    /// TLS here.
    pub trusted_proxies: Vec<Network>,
    /// Origins, such as `https://intranet.example.org`, whose pages may open a WebSocket
    /// or use BOSH, besides pages from the host that these are on.
    pub allowed_origins: Vec<String>,
}

/// What the pages need to know.
pub struct HttpState {
    /// The domains served here, as shown to people.
    pub domains: Vec<String>,
    /// The administrator's sign-up link, while there is one.
    pub signup: Option<Arc<SignupLink>>,
    /// Makes accounts of who is invited.
    pub registrar: Option<Arc<Registrar>>,
    /// The web client, if it is served.
    pub web: Option<WebClient>,
}

/// Every path but those other gateways merge in.
pub fn router(state: Arc<HttpState>) -> Router {
    Router::new()
        .route("/", get(web::start))
        .route("/about", get(landing::show))
        .route("/chat", get(web::to_embedded))
        .route("/config.json", get(web::config))
        .route("/klatsch.css", get(page::style))
        .route("/.well-known/host-meta", get(host_meta::xrd))
        .route("/.well-known/host-meta.json", get(host_meta::jrd))
        .route("/signup/{token}", get(signup::show).post(signup::submit))
        .route("/invite/{token}", get(invite::show).post(invite::submit))
        .fallback(web::file)
        .layer(DefaultBodyLimit::max(form::BYTES_MAX))
        .with_state(state)
}

/// Short of memory. Who is turned away together must not come back together.
pub(crate) fn come_back_later() -> impl IntoResponse {
    const SOONEST: u8 = 5;
    const SPREAD: u8 = 55;
    let mut random = [0];
    getrandom::fill(&mut random).expect("the system has randomness");
    let seconds = SOONEST + random[0] % SPREAD;
    let headers = [(RETRY_AFTER, seconds.to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, headers)
}
