//! The account itself: how it is seen, and how it wants to be.

use std::sync::Arc;

use axum::extract::{Request, State};
use klatsch_protocol::features::presence::wish::{STATUS_BYTES_MAX, Wished};
use klatsch_protocol::stanza::Show;
use serde::{Deserialize, Serialize};

use super::answer::{Json, Refusal};
use super::caller::Caller;
use super::presence::Word;
use super::{ApiGateway, body};

#[derive(Serialize)]
pub(super) struct Me {
    jid: String,
    #[serde(flatten)]
    seen: Word,
    /// What was wished for last.
    wish: &'static str,
    unread: u32,
}

/// What is asked for where the clients are to decide again.
const AUTO: &str = "auto";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    show: String,
    #[serde(default)]
    status: String,
}

impl Wanted {
    /// What is to be shown; `None`: what clients say.
    fn wished(self) -> Result<Option<Wished>, Refusal> {
        // It is written to many; what nobody sees in a line stays out.
        let is_line =
            self.status.len() <= STATUS_BYTES_MAX && !self.status.chars().any(char::is_control);
        if !is_line {
            return Err(Refusal::BadRequest);
        }
        if self.show == AUTO {
            return Ok(None);
        }
        let show = Show::parse(&self.show).ok_or(Refusal::BadRequest)?;
        let status = self.status.into();
        Ok(Some(Wished { show, status }))
    }
}

/// `GET /me`
pub(super) async fn show(
    State(gateway): State<Arc<ApiGateway>>,
    Caller(account): Caller,
) -> Result<Json<Me>, Refusal> {
    let own = gateway.people.own(&account).await?;
    Ok(Json(Me {
        jid: account.to_string(),
        seen: Word::of(Some(own.seen)),
        wish: own.wished.map_or(AUTO, |wished| wished.show.as_str()),
        unread: own.unread,
    }))
}

/// `PUT /me/presence`
pub(super) async fn wish(
    State(gateway): State<Arc<ApiGateway>>,
    Caller(account): Caller,
    request: Request,
) -> Result<Json<serde_json::Value>, Refusal> {
    let wanted: Wanted = body::json(request).await?;
    let wished = wanted.wished()?;
    let name = wished.as_ref().map_or(AUTO, |wished| wished.show.as_str());
    gateway.people.wish(&account, wished).await?;
    Ok(Json(serde_json::json!({ "wish": name })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wished(json: &str) -> Option<Result<Option<Wished>, Refusal>> {
        let wanted: Wanted = serde_json::from_str(json).ok()?;
        Some(wanted.wished())
    }

    #[test]
    fn wish_is_a_state_with_a_line_or_none() {
        let away = wished(r#"{"show":"away","status":"lunch"}"#);
        let expected = Wished {
            show: Show::Away,
            status: "lunch".into(),
        };
        assert_eq!(away, Some(Ok(Some(expected))));
        assert_eq!(wished(r#"{"show":"auto"}"#), Some(Ok(None)));
    }

    #[test]
    fn what_is_no_wish_is_refused() {
        let long = format!(r#"{{"show":"dnd","status":"{}"}}"#, "x".repeat(1025));
        for bad in [
            r#"{"show":"offline"}"#,
            r#"{"show":""}"#,
            r#"{"show":"dnd","status":"a\nb"}"#,
            &long,
        ] {
            assert_eq!(wished(bad), Some(Err(Refusal::BadRequest)), "{bad}");
        }
        assert_eq!(wished(r#"{"status":"x"}"#), None);
        assert_eq!(wished(r#"{"show":"dnd","priority":5}"#), None);
    }
}
