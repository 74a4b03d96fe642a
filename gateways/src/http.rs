//! HTTP: one server for the plain and the TLS listener.
//!
//! Leaves out, for now: the web client, the channels and the API. HTTP/2 is left
//! out for good: a WebSocket over it saves nothing here and costs a second protocol.

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

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use serde::{Deserialize, Serialize};

pub(crate) use origin::may_connect;
pub use requester::Requester;
pub(crate) use server::Place;
pub use server::{HttpServer, Scheme};
pub use signup::SignupLink;

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
}

/// Every path but those other gateways merge in.
pub fn router(state: Arc<HttpState>) -> Router {
    Router::new()
        .route("/", get(landing::show))
        .route("/klatsch.css", get(page::style))
        .route("/.well-known/host-meta", get(host_meta::xrd))
        .route("/.well-known/host-meta.json", get(host_meta::jrd))
        .route("/signup/{token}", get(signup::show).post(signup::submit))
        .route("/invite/{token}", get(invite::show).post(invite::submit))
        .fallback(page::not_found)
        .layer(DefaultBodyLimit::max(signup::FORM_BYTES_MAX))
        .with_state(state)
}
