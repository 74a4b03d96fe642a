//! Slots: what was promised, signed (rows H03, H05).
//!
//! The signature covers everything that was promised, so a node that has the key can refuse an
//! upload before it asks anybody: no length, type, time or name can be another one.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::jid::BareJid;
use crate::time::Timestamp;

/// Signs slots; the same on every node.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// The key with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn sign(&self, text: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(CONTEXT);
        mac.update(text);
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Key(hidden)")
    }
}

/// So that nothing else that is ever signed with the key can pass for a slot, nor the other way.
const CONTEXT: &[u8] = b"klatsch upload slot 1\0";

/// Bytes of a signature.
const MAC_BYTES: usize = 32;

/// Bytes of a signed slot's text: an address, a name, a type and some numbers.
const TEXT_BYTES_MAX: usize = 8192;

/// What a file is for (XEP-0363 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// §6.1: sent in a message.
    Message,
    /// §6.2: shown in a profile.
    Profile,
    /// §6.3: gone at a time that was said.
    Ephemeral,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Message, Self::Profile, Self::Ephemeral];

    /// As a number that stays the same.
    pub fn code(self) -> u8 {
        match self {
            Self::Message => 0,
            Self::Profile => 1,
            Self::Ephemeral => 2,
        }
    }

    /// The purpose with this number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.code() == code)
    }

    /// Tells whether files of both share a quota.
    pub fn shares_quota(self, other: Self) -> bool {
        (self == Self::Profile) == (other == Self::Profile)
    }
}

/// A promise to take a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name in addresses, which nobody can guess.
    pub id: u128,
    /// Whose it is.
    pub account: BareJid,
    /// The domain whose service gave it.
    pub domain: Box<str>,
    /// What people call the file.
    pub name: Box<str>,
    /// Its type, if it was said.
    pub content_type: Option<Box<str>>,
    /// Its bytes.
    pub size: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// Until when the upload must have begun.
    pub put_until: Timestamp,
    /// Until when the file is kept.
    pub keep_until: Timestamp,
}

impl Slot {
    /// The slot as text for an address, signed.
    pub fn sign(&self, key: &Key) -> String {
        let mut text = self.to_bytes();
        let mac = key.sign(&text).finalize().into_bytes();
        text.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Reads a slot that was signed with this key; `None`: it was not, or not like this.
    pub fn verify(text: &str, key: &Key) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (text, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        // In constant time.
        key.sign(text).verify_slice(mac).ok()?;
        Self::from_bytes(text)
    }

    /// The longest a transfer may take that began in time, at this rate.
    pub fn transfer_time(&self, grace: Duration, bytes_per_second_min: u64) -> Duration {
        grace + Duration::from_secs(self.size / bytes_per_second_min.max(1))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.size.to_be_bytes());
        out.extend_from_slice(&self.put_until.0.to_be_bytes());
        out.extend_from_slice(&self.keep_until.0.to_be_bytes());
        out.push(self.purpose.code());
        // None of these has a zero byte: no two slots have the same text.
        let content_type = self.content_type.as_deref().unwrap_or_default();
        for text in [
            self.account.as_str(),
            &self.domain,
            content_type,
            &self.name,
        ] {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
        out
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, rest) = bytes.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (put_until, rest) = rest.split_first_chunk()?;
        let (keep_until, rest) = rest.split_first_chunk()?;
        let (purpose, rest) = rest.split_first()?;
        let mut texts = std::str::from_utf8(rest).ok()?.split('\0');
        let account = BareJid::parse(texts.next()?).ok()?;
        let domain = texts.next()?.into();
        let content_type = texts.next().filter(|text| !text.is_empty());
        Some(Self {
            id: u128::from_be_bytes(*id),
            size: u64::from_be_bytes(*size),
            put_until: Timestamp(i64::from_be_bytes(*put_until)),
            keep_until: Timestamp(i64::from_be_bytes(*keep_until)),
            purpose: Purpose::of_code(*purpose)?,
            account,
            domain,
            content_type: content_type.map(Into::into),
            name: texts.next()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot {
        Slot {
            id: u128::MAX - 5,
            account: BareJid::parse("romeo@montague.tld").unwrap(),
            domain: "montague.tld".into(),
            name: "très cool.jpg".into(),
            content_type: Some("image/jpeg".into()),
            size: 23_456,
            purpose: Purpose::Ephemeral,
            put_until: Timestamp(5),
            keep_until: Timestamp(7),
        }
    }

    #[test]
    fn a_signed_slot_is_read_back() {
        let key = Key::new([1; 32]);
        let untyped = Slot {
            content_type: None,
            ..slot()
        };
        for slot in [slot(), untyped] {
            assert_eq!(Slot::verify(&slot.sign(&key), &key), Some(slot));
        }
    }

    #[test]
    fn h03_no_bit_of_a_signed_slot_can_be_another() {
        let key = Key::new([1; 32]);
        let signed = URL_SAFE_NO_PAD.decode(slot().sign(&key)).unwrap();
        for place in 0..signed.len() * 8 {
            let mut forged = signed.clone();
            forged[place / 8] ^= 1 << (place % 8);
            let forged = URL_SAFE_NO_PAD.encode(forged);
            assert_eq!(Slot::verify(&forged, &key), None, "bit {place}");
        }
    }

    #[test]
    fn h03_another_key_signs_nothing_here() {
        let signed = slot().sign(&Key::new([2; 32]));
        let key = Key::new([1; 32]);
        assert_eq!(Slot::verify(&signed, &key), None);
        for text in ["", "A", "AAAA", "%", &"A".repeat(10_000)] {
            assert_eq!(Slot::verify(text, &key), None);
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{:?}", Key::new([1; 32])), "Key(hidden)");
    }
}
