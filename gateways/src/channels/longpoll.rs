//! Channels for clients without a WebSocket: they ask again and again, and each question waits
//! a while for something to say.
//!
//! As Phoenix has it, the status of HTTP is always 200 and the real one stands in the answer:
//! 200 with frames, 204 when there were none, 410 with a token for a session that begins, 403.
//! Leaves out: binary frames to the client, which its parser cannot read.

mod session;
mod table;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CONTENT_TYPE, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub(super) use self::table::Table;

use self::session::Arrived;
use self::table::Entry;
use super::ChannelsGateway;
use super::door::Shut;
use super::login::{Params, polled_token_in};
use crate::http::{Requester, come_back_later, may_connect};

pub(super) const TRANSPORT: &str = "channels_longpoll";

/// Frames in one request; the client sends a hundred at most.
const FRAMES_MAX: usize = 100;

/// Bytes of one request, as of one stanza.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// A request that has arrived is dealt with in this time, or the client hears that it was not.
const DISPATCH_MAX: Duration = Duration::from_secs(10);

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    token: Option<String>,
    messages: Option<Vec<Bytes>>,
}

impl Answer {
    fn status(status: u16) -> Self {
        Self {
            status,
            token: None,
            messages: None,
        }
    }

    /// The session has ended while a question waited. COMPAT: phoenix 1.7 takes a 410 for the
    /// beginning of a session and does not join its channels again; after this both versions do.
    fn failed() -> Self {
        Self::status(500)
    }

    /// What a question is answered with: the client keeps the token of every answer.
    fn messages(status: u16, token: &str, messages: Vec<Bytes>) -> Self {
        Self {
            status,
            token: Some(token.to_owned()),
            messages: Some(messages),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut fields = serde_json::Map::new();
        fields.insert("status".into(), self.status.into());
        if let Some(token) = self.token {
            fields.insert("token".into(), token.into());
        }
        if let Some(messages) = self.messages {
            let text = |frame: Bytes| Value::from(String::from_utf8_lossy(&frame).into_owned());
            let messages = messages.into_iter().map(text).collect();
            fields.insert("messages".into(), Value::Array(messages));
        }
        let headers = [(CONTENT_TYPE, "application/json; charset=utf-8")];
        (headers, Value::Object(fields).to_string()).into_response()
    }
}

/// A request to `/channels/longpoll`.
pub(super) async fn take(
    State(gateway): State<Arc<ChannelsGateway>>,
    Extension(requester): Extension<Requester>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    if !may_connect(&headers, requester, &gateway.allowed_origins) {
        return (StatusCode::FORBIDDEN, [(VARY, "origin")]).into_response();
    }
    let params = Params::of(request.uri());
    let answer = match *request.method() {
        Method::OPTIONS => preflight(),
        Method::GET => gateway.poll(requester, &params, &headers).await,
        Method::POST => {
            let body = request.into_body();
            gateway.publish(requester, &params, &headers, body).await
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    };
    shared(answer, &headers)
}

/// What a browser asks before it sends what another site's page says.
fn preflight() -> Response {
    let allowed = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, x-phoenix-authtoken, x-phoenix-longpoll-token",
        ),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

/// The page that asked may read the answer, and no other.
fn shared(mut response: Response, headers: &HeaderMap) -> Response {
    if let Some(origin) = headers.get(ORIGIN) {
        let added = response.headers_mut();
        added.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        added.insert(VARY, HeaderValue::from_static("origin"));
    }
    response
}

impl ChannelsGateway {
    /// A question for frames; without a session that is there, one begins.
    async fn poll(
        self: &Arc<Self>,
        requester: Requester,
        params: &Params,
        headers: &HeaderMap,
    ) -> Response {
        if !self.lets_in(headers, params, requester) {
            return Answer::status(403).into_response();
        }
        let Some(entry) = self.find(params, headers, requester) else {
            return self.begin(params, headers, requester).await;
        };
        let (waiter, answer) = oneshot::channel();
        if entry.arrivals.send(Arrived::Poll(waiter)).await.is_err() {
            return self.begin(params, headers, requester).await;
        }
        match answer.await {
            Ok(answer) => answer.into_response(),
            // Another question of the same client has taken this one's place, or the session
            // has ended.
            Err(_) => Answer::failed().into_response(),
        }
    }

    async fn begin(
        self: &Arc<Self>,
        params: &Params,
        headers: &HeaderMap,
        requester: Requester,
    ) -> Response {
        let Ok(seat) = Table::reserve(&self.table, requester.address, &self.limits) else {
            return come_back_later().into_response();
        };
        let client = async {
            let login = self
                .log_in(params, polled_token_in(headers), requester)
                .await?;
            self.bind(login, TRANSPORT).await
        };
        match client.await {
            Ok(client) => {
                let token = session::spawn(self, client, seat, requester);
                Answer::messages(410, &token, Vec::new()).into_response()
            }
            Err(Shut::Forbidden) => Answer::status(403).into_response(),
            Err(shut @ Shut::Later) => shut.into_response(),
        }
    }

    /// Frames from the client, one a line.
    async fn publish(
        &self,
        requester: Requester,
        params: &Params,
        headers: &HeaderMap,
        body: Body,
    ) -> Response {
        if !self.lets_in(headers, params, requester) {
            return Answer::status(403).into_response();
        }
        let Some(entry) = self.find(params, headers, requester) else {
            return Answer::status(410).into_response();
        };
        let body = to_bytes(body, BODY_BYTES_MAX);
        let body = match timeout(self.limits.http_header_timeout, body).await {
            Ok(Ok(body)) => body,
            Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
        };
        let lines = body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        if lines.clone().count() > FRAMES_MAX {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        }
        let lines = lines.map(|line| body.slice_ref(line)).collect();
        let (done, is_done) = oneshot::channel();
        let dispatch = async {
            entry
                .arrivals
                .send(Arrived::Frames(lines, done))
                .await
                .ok()?;
            is_done.await.ok()
        };
        let answer = match timeout(DISPATCH_MAX, dispatch).await {
            Ok(Some(())) => Answer::status(200),
            Ok(None) => Answer::status(410),
            Err(_) => Answer::status(408),
        };
        answer.into_response()
    }

    fn find(
        &self,
        params: &Params,
        headers: &HeaderMap,
        requester: Requester,
    ) -> Option<Arc<Entry>> {
        let header = headers.get("x-phoenix-longpoll-token");
        let header = header.and_then(|token| token.to_str().ok());
        // Newer clients have it in the header; `token` may also be what they log in with.
        let token = header.or_else(|| params.last("token"))?;
        let entry = self.table.find(token)?;
        // Row W09: what began encrypted goes on encrypted.
        (requester.encrypted || !entry.is_encrypted).then_some(entry)
    }
}
