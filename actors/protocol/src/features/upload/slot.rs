//! A slot: the right to store one file, written into a URL and signed, so that any node can
//! tell it from a made-up one without asking anybody.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt::{self, Write as _};
use subtle::ConstantTimeEq as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::time::Timestamp;

/// Bytes of an id: nobody finds a file by trying (row H05).
pub const ID_BYTES: usize = 16;

/// What tells one file from all others.
pub type Id = [u8; ID_BYTES];

/// What slots are signed with; the same on all nodes.
#[derive(Clone)]
pub struct Key(pub [u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(hidden)")
    }
}

/// The right to store one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Of the file.
    pub id: Id,
    /// The file's name.
    pub name: String,
    /// Its bytes, exactly.
    pub size: u64,
    /// Until when they may come, in whole seconds.
    pub until: Timestamp,
}

/// Why a URL gives no right to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSlot {
    /// Nobody here has signed it.
    Forged,
    /// Its time is over.
    Late,
}

impl Slot {
    /// A slot that ends with a whole second, as URLs say it.
    pub fn new(id: Id, name: String, size: u64, until: Timestamp) -> Self {
        let until = Timestamp::from_seconds(until.micros().div_euclid(1_000_000));
        Self {
            id,
            name,
            size,
            until,
        }
    }

    /// The file's place below that of all files.
    pub fn path(&self) -> String {
        format!("{}/{}", id_text(&self.id), percent_encoded(&self.name))
    }

    /// What a URL to store has behind its path.
    pub fn query(&self, key: &Key) -> String {
        let (size, until, mac) = (self.size, self.seconds(), self.mac(key));
        format!("size={size}&until={until}&mac={mac}")
    }

    fn mac(&self, key: &Key) -> String {
        let mut mac =
            <Hmac<Sha256>>::new_from_slice(&key.0).expect("HMAC takes keys of any length");
        mac.update(&self.id);
        mac.update(&self.size.to_be_bytes());
        mac.update(&self.seconds().to_be_bytes());
        // The last one, so that all others have their place.
        mac.update(self.name.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// The slot that a URL's parts speak of, if its signature is ours and its time is not over.
    ///
    /// # Errors
    /// `Forged` for all that is not signed, however broken; `Late`.
    pub fn read(
        key: &Key,
        id: &str,
        name: &str,
        query: &str,
        now: Timestamp,
    ) -> Result<Self, NoSlot> {
        let value = |wanted: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(key, _)| *key == wanted)
                .map(|(_, value)| value)
        };
        let number = |wanted: &str| value(wanted).and_then(|value| value.parse::<u64>().ok());
        let until = number("until").and_then(|until| i64::try_from(until).ok());
        let slot = Self {
            id: parse_id(id).ok_or(NoSlot::Forged)?,
            name: name.to_owned(),
            size: number("size").ok_or(NoSlot::Forged)?,
            until: Timestamp::from_seconds(until.ok_or(NoSlot::Forged)?),
        };
        let said = value("mac").ok_or(NoSlot::Forged)?;
        let is_ours = slot.mac(key).as_bytes().ct_eq(said.as_bytes());
        if !bool::from(is_ours) {
            return Err(NoSlot::Forged);
        }
        match now > slot.until {
            true => Err(NoSlot::Late),
            false => Ok(slot),
        }
    }

    fn seconds(&self) -> i64 {
        self.until.micros().div_euclid(1_000_000)
    }
}

/// An id as URLs have it.
pub fn id_text(id: &Id) -> String {
    URL_SAFE_NO_PAD.encode(id)
}

/// The id a URL has; `None` for what is none.
pub fn parse_id(text: &str) -> Option<Id> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// A name as one part of a path (RFC 3986 §2.1, §3.3): only unreserved characters stay.
fn percent_encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("a String takes everything");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([7; 32]);

    fn slot() -> Slot {
        Slot::new([1; 16], "a b.jpg".to_owned(), 10, Timestamp(2_500_000))
    }

    fn read(id: &str, name: &str, query: &str, now: i64) -> Result<Slot, NoSlot> {
        Slot::read(&KEY, id, name, query, Timestamp(now))
    }

    #[test]
    fn a_slot_is_read_from_its_own_url() {
        let query = slot().query(&KEY);
        let id = id_text(&[1; 16]);
        assert_eq!(read(&id, "a b.jpg", &query, 2_000_000), Ok(slot()));
        assert_eq!(slot().path(), format!("{id}/a%20b.jpg"));
        assert_eq!(slot().until, Timestamp(2_000_000));
    }

    #[test]
    fn h03_a_slot_ends() {
        let query = slot().query(&KEY);
        let read = read(&id_text(&[1; 16]), "a b.jpg", &query, 2_000_001);
        assert_eq!(read, Err(NoSlot::Late));
    }

    #[test]
    fn h03_nothing_of_a_slot_can_be_changed() {
        let query = slot().query(&KEY);
        let id = id_text(&[1; 16]);
        for (id, name, query) in [
            (id_text(&[2; 16]), "a b.jpg", query.clone()),
            (id.clone(), "a b.exe", query.clone()),
            (id.clone(), "a b.jpg", query.replace("size=10", "size=11")),
            (id.clone(), "a b.jpg", query.replace("until=2", "until=3")),
            (id.clone(), "a b.jpg", query.replace("mac=", "mac=A")),
            (id.clone(), "a b.jpg", "size=10&until=2".to_owned()),
            (id.clone(), "a b.jpg", "size=-1&until=2&mac=x".to_owned()),
            (
                id.clone(),
                "a b.jpg",
                "until=99999999999999999999".to_owned(),
            ),
            ("../..".to_owned(), "a b.jpg", query.clone()),
            (id, "a b.jpg", String::new()),
        ] {
            let read = read(&id, name, &query, 0);
            assert_eq!(read, Err(NoSlot::Forged), "{id} {name} {query}");
        }
        let other = slot().query(&Key([8; 32]));
        let read = read(&id_text(&[1; 16]), "a b.jpg", &other, 0);
        assert_eq!(read, Err(NoSlot::Forged));
    }

    #[test]
    fn section_4_names_are_percent_encoded() {
        assert_eq!(percent_encoded("très/cool.jpg"), "tr%C3%A8s%2Fcool.jpg");
    }
}
