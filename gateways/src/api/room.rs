//! Rooms that come with something: their addresses, and what is said of them.
//!
//! An address is made with the server's key of what the room is about: the same whoever asks and
//! on whichever node, and not to be guessed by who knows that alone. That is no leave to enter:
//! the rooms are for their members.

use klatsch_actors::rooms::found::FoundError;
use klatsch_protocol::features::Service;
use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::Hash;
use serde::Serialize;

use super::ApiGateway;
use super::answer::Refusal;
use super::chats::escaped;

/// Characters of a name: 130 bits, which nobody finds by trying.
const NAME_CHARS: usize = 26;

/// Where a room is.
#[derive(Debug, Serialize)]
pub(super) struct Place {
    room: String,
    /// For clients of XMPP (XEP-0147).
    join: String,
    /// For browsers.
    url: String,
}

impl Place {
    pub(super) fn of(room: &BareJid) -> Self {
        Self {
            room: room.to_string(),
            join: format!("xmpp:{room}?join"),
            url: format!("/chat/?room={}", escaped(room.as_str())),
        }
    }

    pub(super) fn join(&self) -> &str {
        &self.join
    }
}

impl ApiGateway {
    /// The address of the room of a domain that is about this; `prefix` says in the address what
    /// kind of room it is.
    pub(super) fn room_about(
        &self,
        domain: &BareJid,
        prefix: &str,
        about: &[&str],
    ) -> Result<BareJid, Refusal> {
        let service = Service::Rooms.at(domain.as_str());
        let service = service.ok_or(Refusal::NotFound)?;
        let name = name(&self.room_key, domain, prefix, about);
        let room = BareJid::new(Some(&name), service.as_str());
        room.map_err(|_| Refusal::BadRequest)
    }

    /// What is remembered of a room.
    pub(super) async fn record(&self, room: &BareJid) -> Result<Option<RoomRecord>, Refusal> {
        let room = self.rooms.inspect(room).await?;
        Ok(room.map(|room| room.record().clone()))
    }
}

/// RFC 2104 over parts that cannot be taken for each other, in letters and digits.
fn name(key: &[u8; 32], domain: &BareJid, prefix: &str, about: &[&str]) -> String {
    let mut said = Vec::new();
    for part in [domain.as_str(), prefix].iter().chain(about) {
        said.extend_from_slice(&(part.len() as u64).to_be_bytes());
        said.extend_from_slice(part.as_bytes());
    }
    let mut name = base32(&Hash::Sha256.hmac(key, &said));
    name.truncate(NAME_CHARS);
    format!("{prefix}-{name}")
}

/// RFC 4648 §6 in small letters, without padding.
fn base32(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut written, mut bits, mut waiting) = (String::new(), 0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        waiting += 8;
        while waiting >= 5 {
            waiting -= 5;
            let digit = DIGITS[(bits >> waiting & 31) as usize];
            written.push(char::from(digit));
        }
    }
    if waiting > 0 {
        let digit = DIGITS[(bits << (5 - waiting) & 31) as usize];
        written.push(char::from(digit));
    }
    written
}

impl From<FoundError> for Refusal {
    fn from(error: FoundError) -> Self {
        match error {
            FoundError::TooMany => Self::Forbidden,
            FoundError::Refused(error) => {
                tracing::info!(?error, "a room refuses what the API asks of it");
                Self::Unavailable
            }
            FoundError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_the_specification() {
        // RFC 4648 §10.
        for (bytes, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn every_part_of_what_a_room_is_about_makes_another_address() {
        let [one, two] = ["x.test", "y.test"].map(|it| BareJid::parse(it).unwrap());
        let known = name(&[1; 32], &one, "ctx", &["thread", "a"]);
        assert_eq!(name(&[1; 32], &one, "ctx", &["thread", "a"]), known);
        assert_eq!(known.len(), "ctx-".len() + NAME_CHARS);
        for other in [
            name(&[2; 32], &one, "ctx", &["thread", "a"]),
            name(&[1; 32], &two, "ctx", &["thread", "a"]),
            name(&[1; 32], &one, "ev", &["thread", "a"]),
            name(&[1; 32], &one, "ctx", &["threada"]),
            name(&[1; 32], &one, "ctx", &["thread", "b"]),
        ] {
            assert_ne!(other, known);
        }
    }

    #[test]
    fn room_is_told_to_clients_and_to_browsers() {
        let room = BareJid::parse("ev-a@conference.x.test").unwrap();
        let place = serde_json::to_value(Place::of(&room)).unwrap();
        assert_eq!(place["join"], "xmpp:ev-a@conference.x.test?join");
        assert_eq!(place["url"], "/chat/?room=ev-a%40conference.x.test");
    }
}
