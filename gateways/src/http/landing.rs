//! How to connect, for who has no script or another client: the start page where there is no web
//! client.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::HttpState;
use super::page::{escape, page};

/// `/about`
pub(crate) async fn show(State(state): State<Arc<HttpState>>) -> Response {
    let mut body = String::from(
        "<h1>Your chat server is running</h1>\n\
         <p>Use any XMPP client, such as Conversations, Dino, Gajim or Monal, and log in with \
         your address and password.</p>\n<dl>\n",
    );
    for domain in &state.domains {
        let domain = escape(domain);
        write!(
            body,
            "<dt>Your address</dt>\n<dd><code>you@{domain}</code></dd>\n"
        )
        .expect("a String takes everything");
    }
    body.push_str(
        "<dt>WebSocket</dt>\n<dd><code>/xmpp-websocket</code></dd>\n\
         <dt>BOSH</dt>\n<dd><code>/http-bind</code></dd>\n</dl>",
    );
    page(StatusCode::OK, "Welcome", &body)
}
