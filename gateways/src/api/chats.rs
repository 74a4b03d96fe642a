//! Where a chat with somebody is.

use std::sync::Arc;

use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};

use super::answer::{Json, Refusal};
use super::caller::Caller;
use super::presence::address;
use super::{ApiGateway, body};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    with: String,
}

#[derive(Serialize)]
pub(super) struct Place {
    jid: String,
    url: String,
}

/// `POST /chats`: for people the account knows. Anybody else looks like nobody, or the answer
/// would tell which addresses there are (row A11).
pub(super) async fn begin(
    State(gateway): State<Arc<ApiGateway>>,
    Caller(account): Caller,
    request: Request,
) -> Result<Json<Place>, Refusal> {
    let wanted: Wanted = body::json(request).await?;
    let with = address(&wanted.with).ok_or(Refusal::NotFound)?;
    if !gateway.people.knows(&account, &with).await? {
        return Err(Refusal::NotFound);
    }
    let with = gateway.people.owner(&with);
    let url = format!("/chat/?with={}", escaped(with.as_str()));
    let jid = with.to_string();
    Ok(Json(Place { jid, url }))
}

/// A value of a query (RFC 3986 §2.3): everything but what never needs to be escaped is.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_in_a_query_as_they_are() {
        assert_eq!(escaped("jane.poe@example.org"), "jane.poe%40example.org");
        assert_eq!(escaped("a&b=c#ü"), "a%26b%3Dc%23%C3%BC");
    }
}
