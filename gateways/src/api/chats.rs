//! A chat with somebody: where it is, and how it stands.

use std::sync::Arc;

use axum::extract::{Request, State};
use klatsch_actors::people::Last;
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
pub(super) struct Chat {
    jid: String,
    url: String,
    unread: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Message>,
}

/// The last message.
#[derive(Serialize)]
struct Message {
    id: String,
    from: String,
    stamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl Message {
    fn of(last: Last) -> Self {
        Self {
            id: last.id.to_string(),
            from: last.from.to_string(),
            stamp: last.stamp.to_xep0082(),
            body: last.text,
        }
    }
}

/// `POST /chats`: for everybody the account may write to. Whether there is somebody is not told,
/// or the answer would tell which addresses there are (row A11): one that nobody has is answered
/// as one that has not been written to.
pub(super) async fn begin(
    State(gateway): State<Arc<ApiGateway>>,
    Caller(account): Caller,
    request: Request,
) -> Result<Json<Chat>, Refusal> {
    let wanted: Wanted = body::json(request).await?;
    let with = address(&wanted.with).ok_or(Refusal::NotFound)?;
    if !gateway.people.may_write(&account, &with).await? {
        return Err(Refusal::NotFound);
    }
    let stands = gateway.people.conversation(&account, &with).await?;
    Ok(Json(Chat {
        jid: with.to_string(),
        url: format!("/chat/?with={}", escaped(with.as_str())),
        unread: stands.unread,
        last: stands.last.map(Message::of),
    }))
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
