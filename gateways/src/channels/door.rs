//! How a WebSocket for channels is opened: the handshake (RFC 6455 §4.2), who may, and their
//! session.
//!
//! As Phoenix answers: 403 without a body to whom the door stays shut, 400 to what is no
//! handshake.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{
    CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, Method, StatusCode};
use hyper::upgrade::OnUpgrade;
use klatsch_actors::session::Sink;
use klatsch_actors::sessions::random_id;
use klatsch_protocol::channels::{Socket, is_served};
use klatsch_protocol::stanza::{Condition, StanzaError};

use super::ChannelsGateway;
use super::client::{Client, OnTopics};
use super::connection;
use super::line::Line;
use super::login::{LoggedIn, Params, Refused, token_in};
use super::membership::Membership;
use crate::hold::Hold;
use crate::http::{Place, Requester, come_back_later, may_connect};
use crate::pace::Pace;
use crate::websocket::{accept_value, has_token};

/// What the server says it speaks, if the client asks.
const SUBPROTOCOL: &str = "phoenix";

/// A shut door.
pub(super) enum Shut {
    /// For good.
    Forbidden,
    /// For now.
    Later,
}

impl IntoResponse for Shut {
    fn into_response(self) -> Response {
        match self {
            Self::Forbidden => StatusCode::FORBIDDEN.into_response(),
            Self::Later => come_back_later().into_response(),
        }
    }
}

impl From<Refused> for Shut {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Forbidden => Self::Forbidden,
            Refused::Unavailable => Self::Later,
        }
    }
}

impl From<StanzaError> for Shut {
    fn from(error: StanzaError) -> Self {
        match error.condition {
            Condition::NotAuthorized | Condition::BadRequest => Self::Forbidden,
            _ => Self::Later,
        }
    }
}

pub(super) async fn open(
    State(gateway): State<Arc<ChannelsGateway>>,
    Extension(requester): Extension<Requester>,
    Extension(place): Extension<Place>,
    mut request: Request,
) -> Response {
    let headers = request.headers();
    let Some(accept) = handshake(request.method(), headers) else {
        // RFC 6455 §4.4: the version we speak.
        let headers = [(SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::BAD_REQUEST, headers).into_response();
    };
    let is_phoenix = has_token(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL);
    let token = token_in(headers);
    let params = Params::of(request.uri());
    if !gateway.lets_in(headers, &params, requester) {
        return Shut::Forbidden.into_response();
    }
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let client = async {
        let login = gateway.log_in(&params, token, requester).await?;
        gateway.bind(login, connection::TRANSPORT).await
    };
    match client.await {
        Ok(client) => tokio::spawn(connection::serve(gateway, client, place, upgrade)),
        Err(shut) => return shut.into_response(),
    };
    let headers = [
        (CONNECTION, "upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_ACCEPT, accept.as_str()),
    ];
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
    if is_phoenix {
        let chosen = HeaderValue::from_static(SUBPROTOCOL);
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    response
}

/// The value that accepts a handshake; `None`: it is none.
fn handshake(method: &Method, headers: &HeaderMap) -> Option<String> {
    let is_upgrade = method == Method::GET
        && has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &CONNECTION, "upgrade")
        && headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_some_and(|it| it == "13");
    match is_upgrade {
        true => accept_value(headers),
        false => None,
    }
}

impl ChannelsGateway {
    /// Whether a request may go on to say who it is from.
    pub(super) fn lets_in(
        &self,
        headers: &HeaderMap,
        params: &Params,
        requester: Requester,
    ) -> bool {
        // A password does not travel unencrypted; row W01: a page elsewhere must not open a
        // channel in its visitor's name.
        requester.secure
            && may_connect(headers, requester, &self.allowed_origins)
            && is_served(params.get("vsn"))
    }

    /// Binds a session for somebody who has logged in.
    pub(super) async fn bind(
        &self,
        login: LoggedIn,
        transport: &'static str,
    ) -> Result<Client, Shut> {
        let strain = self.sessions.strain();
        if strain.refuses_sessions() {
            return Err(Shut::Later);
        }
        let LoggedIn {
            account,
            resource,
            peer,
            grant,
        } = login;
        let resource = resource.filter(|resource| !resource.is_empty());
        let resource = resource.unwrap_or_else(random_id);
        // The machine has to know its address before the session knows the machine.
        let jid = account.with_resource(&resource);
        let jid = jid.map_err(|_| Shut::Forbidden)?;
        let address = peer.address;
        let world = Arc::clone(self.sessions.world());
        let membership = Membership::new(world, jid.clone(), self.topic_limits, self.app_rate());
        let socket = Socket::new(jid, Arc::clone(&self.socket), grant, random_seed());
        let common = Arc::clone(&self.common);
        let strained = strain.clone();
        let line = Line::new(socket, address, &self.limits, strained, common, membership);
        let line = Arc::new(line);
        let (sessions, sink) = (self.sessions.clone(), Arc::clone(&line) as Arc<dyn Sink>);
        // On a task of its own: a client that goes away in the middle leaves a session that is
        // complete and can be let go, instead of half a one.
        let binding = tokio::spawn(async move {
            let bound = sessions.bind(account, Some(resource), sink, peer).await;
            bound.map(|(_, session)| Hold::new(session))
        });
        let hold = binding.await.map_err(|_| Shut::Later)??;
        hold.session().start();
        Ok(Client {
            pace: self.pace(address, transport),
            _on_topics: OnTopics(Arc::clone(&line)),
            line,
            hold,
            strain,
        })
    }

    fn pace(&self, address: IpAddr, transport: &'static str) -> Option<Box<Pace>> {
        let now = tokio::time::Instant::now().into_std();
        Pace::of(&self.limits, address, transport, now)
    }
}

fn random_seed() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    u64::from_be_bytes(bytes)
}
