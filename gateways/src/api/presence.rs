//! Who is there, of so many addresses at once.
//!
//! An address that nobody has and one whose owner does not let the account see them are answered
//! alike, byte for byte, and cost the same (row A11).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::Uri;
use klatsch_actors::people::People;
use klatsch_protocol::features::presence::summary::Seen;
use klatsch_protocol::jid::BareJid;
use serde::{Deserialize, Serialize};

use super::answer::{Json, Refusal};
use super::caller::Caller;
use super::{ApiGateway, body};

/// A page of a message list has at most so many senders.
const ADDRESSES_MAX: usize = 200;

/// What somebody is seen as, in words.
#[derive(Serialize, Debug, PartialEq, Eq)]
pub(super) struct Word {
    show: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    status: Box<str>,
}

impl Word {
    /// Nobody, or nobody who may be seen.
    const UNKNOWN: &'static str = "unknown";
    /// Somebody who is not there.
    const OFFLINE: &'static str = "offline";

    pub(super) fn of(seen: Option<Seen>) -> Self {
        let show = match &seen {
            None => Self::UNKNOWN,
            Some(seen) => seen.show.map_or(Self::OFFLINE, |show| show.as_str()),
        };
        let status = seen.map_or_else(Box::default, |seen| seen.status);
        Self { show, status }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    addresses: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Told {
    presence: BTreeMap<String, Word>,
}

/// `POST /presence`
pub(super) async fn ask(
    State(gateway): State<Arc<ApiGateway>>,
    Caller(account): Caller,
    request: Request,
) -> Result<Json<Told>, Refusal> {
    let asked: Asked = body::json(request).await?;
    tell(&gateway.people, &account, asked.addresses).await
}

/// `GET /presence?address=…&address=…`
pub(super) async fn look(
    State(gateway): State<Arc<ApiGateway>>,
    Caller(account): Caller,
    uri: Uri,
) -> Result<Json<Told>, Refusal> {
    let query = Query::<Vec<(String, String)>>::try_from_uri(&uri);
    let Query(parameters) = query.map_err(|_| Refusal::BadRequest)?;
    let is_address = |(name, address): (String, String)| (name == "address").then_some(address);
    let addresses: Option<Vec<String>> = parameters.into_iter().map(is_address).collect();
    let addresses = addresses.ok_or(Refusal::BadRequest)?;
    tell(&gateway.people, &account, addresses).await
}

async fn tell(
    people: &People,
    account: &BareJid,
    addresses: Vec<String>,
) -> Result<Json<Told>, Refusal> {
    if addresses.is_empty() {
        return Err(Refusal::BadRequest);
    }
    if addresses.len() > ADDRESSES_MAX {
        return Err(Refusal::TooLarge);
    }
    let read: Vec<Option<BareJid>> = addresses.iter().map(|it| address(it)).collect();
    let known: Vec<BareJid> = read.iter().flatten().cloned().collect();
    let mut seen = people.seen_by(account, &known).await?.into_iter();
    let words = read.into_iter().map(|read| {
        // What is no address is nobody's.
        Word::of(read.and_then(|_| seen.next()).flatten())
    });
    let words: Vec<Word> = words.collect();
    let presence = addresses.into_iter().zip(words).collect();
    Ok(Json(Told { presence }))
}

/// An address of somebody, as mail has it.
pub(super) fn address(text: &str) -> Option<BareJid> {
    let address = BareJid::parse(text.trim()).ok()?;
    address.localpart().is_some().then_some(address)
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::stanza::Show;

    use super::*;

    #[test]
    fn somebody_who_is_not_there_is_told_from_somebody_who_may_not_be_seen() {
        let json = |seen| serde_json::to_string(&Word::of(seen)).unwrap();
        assert_eq!(json(None), r#"{"show":"unknown"}"#);
        assert_eq!(json(Some(Seen::default())), r#"{"show":"offline"}"#);
        let there = Seen {
            show: Some(Show::Online),
            status: "here".into(),
        };
        assert_eq!(json(Some(there)), r#"{"show":"online","status":"here"}"#);
    }

    #[test]
    fn what_has_no_name_before_a_domain_is_nobody() {
        assert!(address(" Jane.Poe@Example.org ").is_some());
        for bad in ["", "example.org", "a@b@c", "jane@example.org/phone", "@"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
