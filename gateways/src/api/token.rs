//! Tokens for pages: a password is checked on the server's side, and what a page gets is good for
//! one login within a minute (row H13), or for the API alone.

use std::sync::Arc;

use axum::extract::{Request, State};
use klatsch_protocol::jid::BareJid;
use serde::{Deserialize, Serialize};

use super::answer::{Json, Refusal};
use super::caller::{Beginner, WithPassword};
use super::{ApiGateway, body};
use crate::auth::Audience;

/// What a token is wanted for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    audience: Wish,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Wish {
    #[default]
    Xmpp,
    Session,
}

#[derive(Serialize)]
pub(super) struct Given {
    token: String,
    jid: String,
    expires_in: u64,
    /// Where a browser logs in with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    websocket: Option<&'static str>,
}

/// Nothing is asked for but the session itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /token`
pub(super) async fn give(
    State(gateway): State<Arc<ApiGateway>>,
    WithPassword(account): WithPassword,
    request: Request,
) -> Result<Json<Given>, Refusal> {
    let wanted: Wanted = body::json(request).await?;
    let (audience, websocket) = match wanted.audience {
        Wish::Xmpp => (Audience::Xmpp, Some(WEBSOCKET)),
        Wish::Session => (Audience::Session, None),
    };
    gateway.given(&account, audience, websocket).await
}

/// Where `xmpp/websocket.rs` serves; said here again, since no gateway imports another. A scene
/// logs in there.
const WEBSOCKET: &str = "/xmpp-websocket";

/// `POST /session`
pub(super) async fn begin(
    State(gateway): State<Arc<ApiGateway>>,
    Beginner(account): Beginner,
    request: Request,
) -> Result<Json<Given>, Refusal> {
    let Nothing {} = body::json(request).await?;
    gateway.given(&account, Audience::Api, None).await
}

impl ApiGateway {
    async fn given(
        &self,
        account: &BareJid,
        audience: Audience,
        websocket: Option<&'static str>,
    ) -> Result<Json<Given>, Refusal> {
        let token = self.authenticator.seal(account, audience).await;
        let token = token.ok_or(Refusal::TemporaryAuth)?;
        Ok(Json(Given {
            token: token.expose().to_owned(),
            jid: account.to_string(),
            expires_in: audience.lifetime().as_secs(),
            websocket,
        }))
    }
}
