//! Clients over plain requests of HTTP: BOSH, XEP-0124 version 1.11.2 and XEP-0206 version 1.4,
//! on `/http-bind`, for browsers and networks that let no WebSocket through.
//!
//! As with the WebSocket, TLS is the transport's: a plain request is taken from this very
//! machine or behind a trusted proxy that says https, and from nowhere else, and pages from
//! elsewhere need the operator's permission (row W01). What a wrapper says is read in
//! `protocol/src/stream/bosh.rs`.
//! Leaves out: what is left out there, and answers of the type `text/html`, which is what a
//! browser might show as a page of ours.

mod arrived;
mod line;
mod receive;
mod session;
mod side;
mod table;
mod terms;
mod window;

use std::sync::Arc;

use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN, VARY,
};
use http::{HeaderMap, StatusCode};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stream::bosh::{Condition, Request, Wishes, wrap_refusal};
use tokio::sync::oneshot;

use self::arrived::Arrived;
use self::line::Waiter;
use self::receive::{Arriving, Failure};
use self::table::{Entry, Table};
use self::terms::{Terms, content_type};
use super::ClientGateway;
use crate::http::{Requester, come_back_later, may_connect};

/// Where the endpoint is.
pub const PATH: &str = "/http-bind";

const TRANSPORT: &str = "bosh";

/// What answers are, unless the client wants another type (XEP-0124 §7.1).
const XML: &str = "text/xml; charset=utf-8";

/// The endpoint and what it needs.
pub struct BoshGateway {
    /// What all client connections share.
    pub clients: Arc<ClientGateway>,
    /// Origins whose pages may connect, besides the endpoint's own host.
    pub allowed_origins: Vec<String>,
    /// The sessions there are.
    pub table: Arc<Table>,
}

/// The route to merge into the HTTP server's.
pub fn router(gateway: Arc<BoshGateway>) -> Router {
    let places = post(take).options(preflight).get(explain);
    Router::new().route(PATH, places).with_state(gateway)
}

/// What a request is answered with.
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    body: Bytes,
}

impl Answer {
    /// The end of a session that is not there, or will not be.
    fn refusal(condition: Condition, is_legacy: bool) -> Self {
        Self {
            status: match is_legacy {
                true => condition.legacy_status(),
                false => 200,
            },
            content_type: XML,
            body: wrap_refusal(condition).into(),
        }
    }
}

/// Why a request does not get to a session.
pub(super) enum Refusal {
    /// The client hears that there is none.
    End(Answer),
    /// It is not for the client's script to hear.
    Status(StatusCode),
    /// There is no room.
    Later,
}

impl From<Condition> for Refusal {
    fn from(condition: Condition) -> Self {
        Self::End(Answer::refusal(condition, false))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Broken => Self::Status(StatusCode::REQUEST_TIMEOUT),
            Failure::Bad(condition) => condition.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::End(answer) => answer.into_response(),
            Self::Status(status) => status.into_response(),
            Self::Later => come_back_later().into_response(),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        (status, [(CONTENT_TYPE, self.content_type)], self.body).into_response()
    }
}

/// Somebody looks with a browser: there is nothing to see.
async fn explain() -> Response {
    let text = "this is BOSH, by which XMPP clients connect (XEP-0124)\n";
    (
        StatusCode::METHOD_NOT_ALLOWED,
        [(ALLOW, "POST, OPTIONS")],
        text,
    )
        .into_response()
}

/// What a browser asks before it sends what another site's page says.
async fn preflight(
    State(gateway): State<Arc<BoshGateway>>,
    Extension(requester): Extension<Requester>,
    headers: HeaderMap,
) -> Response {
    if !may_connect(&headers, requester, &gateway.allowed_origins) {
        return foreign_page();
    }
    let allowed = [
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    shared((StatusCode::NO_CONTENT, allowed).into_response(), &headers)
}

async fn take(
    State(gateway): State<Arc<BoshGateway>>,
    Extension(requester): Extension<Requester>,
    request: HttpRequest,
) -> Response {
    // Row W01: a page elsewhere must not open a chat in its visitor's name.
    if !may_connect(request.headers(), requester, &gateway.allowed_origins) {
        return foreign_page();
    }
    let headers = request.headers().clone();
    let answer = match judge(&headers, requester) {
        Some(refusal) => refusal,
        None => match gateway.answer(requester, request).await {
            Ok(answer) => answer.into_response(),
            Err(refusal) => refusal.into_response(),
        },
    };
    shared(answer, &headers)
}

fn foreign_page() -> Response {
    let text = "this origin may not connect\n";
    (StatusCode::FORBIDDEN, [(VARY, "origin")], text).into_response()
}

/// Refuses what is read no further.
fn judge(headers: &HeaderMap, requester: Requester) -> Option<Response> {
    if !requester.secure {
        let text = "use https: XMPP does not travel unencrypted\n";
        return Some((StatusCode::FORBIDDEN, text).into_response());
    }
    // §7.2: no `accept` was sent, so nothing comes compressed.
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    if encodings.into_iter().any(|encoding| encoding != "identity") {
        return Some(StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response());
    }
    None
}

/// The page that asked may read the answer, and no other.
fn shared(mut response: Response, headers: &HeaderMap) -> Response {
    if let Some(origin) = headers.get(ORIGIN) {
        let added = response.headers_mut();
        added.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        added.insert(VARY, http::HeaderValue::from_static("origin"));
    }
    response
}

impl BoshGateway {
    /// Hands a request to its session and waits for what that answers.
    async fn answer(
        self: &Arc<Self>,
        requester: Requester,
        request: HttpRequest,
    ) -> Result<Answer, Refusal> {
        let mut arriving = Arriving::new(request.into_body());
        let tag = arriving.tag().await?;
        let request = Request::read(&tag)?;
        let entry = match &request.sid {
            Some(sid) => self.find(sid, requester)?,
            None => {
                let wishes = Wishes::read(&tag)?;
                self.create(&request, &wishes, requester)?
            }
        };
        let Ok(seat) = Arc::clone(&entry.seats).try_acquire_owned() else {
            // §11, row W09: nobody parks more requests than were agreed on.
            entry.overrun.notify_one();
            return Err(Refusal::End(entry.refusal(Condition::PolicyViolation)));
        };
        let payloads = match arriving.payloads(&entry.limits(&self.clients.limits)).await {
            Ok(payloads) => Ok(payloads),
            // What is wrong with it ends the session, when it is its turn.
            Err(Failure::Bad(condition)) => Err(condition),
            Err(broken) => return Err(broken.into()),
        };
        let (waiter, answer) = oneshot::channel();
        let waiter = Waiter::new(waiter, seat);
        let arrived = Arrived::new(request, payloads, arriving.bytes(), waiter, &self.clients);
        let answer = match entry.arrivals.send(arrived).await {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        let answer = answer.ok_or_else(|| Refusal::End(entry.refusal(Condition::ItemNotFound)));
        let (status, body) = answer?;
        let content_type = entry.content_type;
        Ok(Answer {
            status,
            content_type,
            body,
        })
    }

    fn find(&self, sid: &str, requester: Requester) -> Result<Arc<Entry>, Refusal> {
        let entry = self.table.find(sid);
        let entry = entry.ok_or(Condition::ItemNotFound)?;
        // §19.1: what began encrypted goes on encrypted; the session does not suffer.
        if entry.is_encrypted && !requester.encrypted {
            return Err(Refusal::Status(StatusCode::FORBIDDEN));
        }
        Ok(entry)
    }

    fn create(
        self: &Arc<Self>,
        request: &Request,
        wishes: &Wishes,
        requester: Requester,
    ) -> Result<Arc<Entry>, Refusal> {
        let is_legacy = wishes.version.is_none();
        let refuse = |condition| Refusal::End(Answer::refusal(condition, is_legacy));
        if self.clients.sessions.strain().refuses_sessions() {
            return Err(Refusal::Later);
        }
        let to = request.to.as_deref().filter(|to| !to.is_empty());
        let to = to.ok_or_else(|| refuse(Condition::ImproperAddressing))?;
        let domain = BareJid::parse(to).ok();
        let domain = domain.filter(|domain| self.clients.domains.contains(domain));
        let domain = domain.ok_or_else(|| refuse(Condition::HostUnknown))?;
        let terms = Terms::agree(wishes);
        let (entry, arrivals) = Entry::new(
            &terms,
            requester.encrypted,
            content_type(wishes.content.as_deref()),
            is_legacy,
        );
        let entry = Arc::new(entry);
        let limits = &self.clients.limits;
        let place = Table::add(&self.table, Arc::clone(&entry), requester.address, limits);
        let place = place.map_err(|full| match full {
            table::Full::Address => refuse(Condition::PolicyViolation),
            table::Full::Node => Refusal::Later,
        })?;
        let begun = session::Begun {
            rid: request.rid,
            new_key: request.new_key.clone(),
            domain,
            terms,
            version: wishes.agreed_version(),
            requester,
        };
        session::spawn(&self.clients, begun, Arc::clone(&entry), place, arrivals);
        Ok(entry)
    }
}
