//! STUN messages, read and written: RFC 8489 §5 and §14, with the attributes of TURN (RFC 8656
//! §18), over UDP.
//!
//! Nothing is copied while reading, and a datagram bounds everything. Leaves out
//! MESSAGE-INTEGRITY-SHA256, USERHASH and PASSWORD-ALGORITHMS: no client of calls uses them, and
//! one that offers them is answered as RFC 5389 has it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use klatsch_protocol::sasl::Hash;
use subtle::ConstantTimeEq as _;

/// What every message bears (§5).
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Bytes of a message before its attributes.
const HEADER: usize = 20;
/// Bytes of an attribute before its value.
const HEAD: usize = 4;
/// Bytes of an HMAC-SHA1.
const MAC: usize = 20;
/// §14.7: what the checksum is mixed with, "STUN".
const FINGERPRINT_MASK: u32 = 0x5354_554e;

/// What a message is about (RFC 8489 §18.2, RFC 8656 §17).
pub(super) mod method {
    pub(crate) const BINDING: u16 = 1;
    pub(crate) const ALLOCATE: u16 = 3;
    pub(crate) const REFRESH: u16 = 4;
    pub(crate) const SEND: u16 = 6;
    pub(crate) const DATA: u16 = 7;
    pub(crate) const CREATE_PERMISSION: u16 = 8;
    pub(crate) const CHANNEL_BIND: u16 = 9;
}

/// The types of attributes (RFC 8489 §18.3, RFC 8656 §18).
pub(super) mod attribute {
    pub(crate) const USERNAME: u16 = 0x0006;
    pub(crate) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(crate) const ERROR_CODE: u16 = 0x0009;
    pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(crate) const CHANNEL_NUMBER: u16 = 0x000c;
    pub(crate) const LIFETIME: u16 = 0x000d;
    pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub(crate) const DATA: u16 = 0x0013;
    pub(crate) const REALM: u16 = 0x0014;
    pub(crate) const NONCE: u16 = 0x0015;
    pub(crate) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub(crate) const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
    pub(crate) const EVEN_PORT: u16 = 0x0018;
    pub(crate) const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(crate) const RESERVATION_TOKEN: u16 = 0x0022;
    pub(crate) const FINGERPRINT: u16 = 0x8028;
}

/// What a message is: its two bits among those of the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

/// Under what an answer is found again.
pub(super) type Transaction = [u8; 12];

/// A message that was read; its attributes lie in order and inside it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) class: Class,
    pub(super) method: u16,
    pub(super) transaction: Transaction,
    /// Tells whether it came with a checksum, and wants one back.
    pub(super) is_fingerprinted: bool,
    bytes: &'a [u8],
    /// Where the attributes that count end: behind MESSAGE-INTEGRITY nothing is proven (§14.5).
    end: usize,
    integrity: Option<usize>,
}

impl<'a> Message<'a> {
    /// Reads a datagram; `None` is no message, a damaged one, or one with a wrong checksum.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let kind = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
        let length = usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
        let is_message = kind & 0xc000 == 0 && bytes.get(4..8)? == MAGIC;
        if !is_message || !length.is_multiple_of(4) || HEADER + length != bytes.len() {
            return None;
        }
        let mut message = Self {
            class: class(kind),
            method: method_of(kind),
            transaction: bytes.get(8..HEADER)?.try_into().ok()?,
            is_fingerprinted: false,
            bytes,
            end: bytes.len(),
            integrity: None,
        };
        message.look_through()?;
        Some(message)
    }

    /// Checks that every attribute lies inside, and finds those that end the message.
    fn look_through(&mut self) -> Option<()> {
        let mut at = HEADER;
        while at < self.bytes.len() {
            let (kind, value) = attribute_at(self.bytes, at)?;
            let next = at + HEAD + padded(value.len());
            match kind {
                attribute::FINGERPRINT => {
                    let is_right = value == fingerprint(&self.bytes[..at]).to_be_bytes();
                    // §14.7: the last one, and right.
                    if next != self.bytes.len() || !is_right {
                        return None;
                    }
                    self.is_fingerprinted = true;
                    self.end = self.end.min(at);
                }
                attribute::MESSAGE_INTEGRITY if self.integrity.is_none() => {
                    if value.len() != MAC {
                        return None;
                    }
                    self.integrity = Some(at);
                    self.end = at;
                }
                _ => {}
            }
            at = next;
        }
        Some(())
    }

    /// The attributes that count, in order.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let (bytes, end) = (self.bytes, self.end);
        let mut at = HEADER;
        std::iter::from_fn(move || {
            let (kind, value) = (at < end).then(|| attribute_at(bytes, at))??;
            at += HEAD + padded(value.len());
            Some((kind, value))
        })
    }

    /// An attribute's value; §14: of several only the first counts.
    pub(super) fn get(&self, kind: u16) -> Option<&'a [u8]> {
        let found = self.attributes().find(|(other, _)| *other == kind);
        found.map(|(_, value)| value)
    }

    /// An attribute that is text.
    pub(super) fn text(&self, kind: u16) -> Option<&'a str> {
        std::str::from_utf8(self.get(kind)?).ok()
    }

    /// A number of four bytes.
    pub(super) fn number(&self, kind: u16) -> Option<u32> {
        let value = self.get(kind)?.try_into().ok()?;
        Some(u32::from_be_bytes(value))
    }

    /// All addresses under a type; `None` if one of them is none.
    pub(super) fn addresses(&self, kind: u16) -> Option<Vec<SocketAddr>> {
        let values = self.attributes().filter(|(other, _)| *other == kind);
        values
            .map(|(_, value)| read_address(value, &self.transaction))
            .collect()
    }

    /// The first address under a type.
    pub(super) fn address(&self, kind: u16) -> Option<SocketAddr> {
        read_address(self.get(kind)?, &self.transaction)
    }

    /// §6.3: the attributes that must be understood and are not.
    pub(super) fn unknown(&self, known: &[u16]) -> Vec<u16> {
        // What proves the sender is read elsewhere, and always known.
        const ALWAYS: &[u16] = &[attribute::USERNAME, attribute::REALM, attribute::NONCE];
        let must = |kind: &u16| *kind < 0x8000 && !known.contains(kind) && !ALWAYS.contains(kind);
        self.attributes()
            .map(|(kind, _)| kind)
            .filter(must)
            .collect()
    }

    /// Tells whether somebody claims to have signed it.
    pub(super) fn is_signed(&self) -> bool {
        self.integrity.is_some()
    }

    /// §14.5: tells whether it was signed with this key.
    pub(super) fn is_signed_with(&self, key: &[u8]) -> bool {
        let Some(at) = self.integrity else {
            return false;
        };
        let Some((_, mac)) = attribute_at(self.bytes, at) else {
            return false;
        };
        let mut signed = self.bytes[..at].to_vec();
        set_length(&mut signed, at + HEAD + MAC);
        let expected = Hash::Sha1.hmac(key, &signed);
        bool::from(expected.ct_eq(mac))
    }
}

/// A message that is being written; what pads it is zero (row T03).
#[derive(Debug, Clone)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    transaction: Transaction,
}

impl Writer {
    pub(super) fn new(class: Class, method: u16, transaction: Transaction) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&kind_of(class, method).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&transaction);
        Self { bytes, transaction }
    }

    /// The answer to a request.
    pub(super) fn answer(request: &Message<'_>, class: Class) -> Self {
        Self::new(class, request.method, request.transaction)
    }

    pub(super) fn put(mut self, kind: u16, value: &[u8]) -> Self {
        // What is written here is ours or came in a datagram: always shorter than this.
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let value = &value[..usize::from(length)];
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes
            .resize(HEADER + padded(self.bytes.len() - HEADER), 0);
        let end = self.bytes.len();
        set_length(&mut self.bytes, end);
        self
    }

    /// §14.2: an address, hidden from routers that mean to help.
    pub(super) fn put_address(self, kind: u16, address: SocketAddr) -> Self {
        let mut value = vec![0, if address.is_ipv4() { 1 } else { 2 }];
        value.extend_from_slice(&address.port().to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => value.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => value.extend_from_slice(&ip.octets()),
        }
        mask(&mut value, &self.transaction);
        self.put(kind, &value)
    }

    /// §14.8: what is wrong, as a number and in words.
    pub(super) fn put_error(self, code: u16, reason: &str) -> Self {
        // Both are below ten by the numbers' making.
        let (class, number) = ((code / 100) as u8, (code % 100) as u8);
        let mut value = vec![0, 0, class, number];
        value.extend_from_slice(reason.as_bytes());
        self.put(attribute::ERROR_CODE, &value)
    }

    /// §14.5: a proof that it comes from one who knows the key.
    pub(super) fn sign(mut self, key: &[u8]) -> Self {
        let end = self.bytes.len() + HEAD + MAC;
        set_length(&mut self.bytes, end);
        let mac = Hash::Sha1.hmac(key, &self.bytes);
        self.put(attribute::MESSAGE_INTEGRITY, &mac)
    }

    /// The message, with a checksum if the other side uses them.
    pub(super) fn finish(mut self, is_fingerprinted: bool) -> Vec<u8> {
        if !is_fingerprinted {
            return self.bytes;
        }
        let end = self.bytes.len() + HEAD + 4;
        set_length(&mut self.bytes, end);
        let sum = fingerprint(&self.bytes).to_be_bytes();
        self.put(attribute::FINGERPRINT, &sum).bytes
    }
}

/// §5, figure 3: the class is two bits that stand among those of the method.
fn class(kind: u16) -> Class {
    match kind & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    }
}

fn method_of(kind: u16) -> u16 {
    (kind & 0x000f) | (kind & 0x00e0) >> 1 | (kind & 0x3e00) >> 2
}

fn kind_of(class: Class, method: u16) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    (method & 0x000f) | (method & 0x0070) << 1 | (method & 0x0f80) << 2 | class
}

/// The attribute that begins there, if it ends inside.
fn attribute_at(bytes: &[u8], at: usize) -> Option<(u16, &[u8])> {
    let head = bytes.get(at..at + HEAD)?;
    let kind = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let value = bytes.get(at + HEAD..at + HEAD + length)?;
    Some((kind, value))
}

/// §14: attributes begin at multiples of four bytes.
fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// Writes where the message ends; it is always shorter than a datagram.
fn set_length(bytes: &mut [u8], end: usize) {
    let length = u16::try_from(end - HEADER).unwrap_or(u16::MAX);
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
}

fn read_address(value: &[u8], transaction: &Transaction) -> Option<SocketAddr> {
    let mut value = value.to_vec();
    mask(&mut value, transaction);
    let port = u16::from_be_bytes([*value.get(2)?, *value.get(3)?]);
    let ip: IpAddr = match (value.get(1)?, value.len()) {
        (1, 8) => Ipv4Addr::from(<[u8; 4]>::try_from(&value[4..]).ok()?).into(),
        (2, 20) => Ipv6Addr::from(<[u8; 16]>::try_from(&value[4..]).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// §14.2: the port is mixed with half of the magic, the address with it and the transaction.
fn mask(value: &mut [u8], transaction: &Transaction) {
    let (head, ip) = value.split_at_mut(value.len().min(4));
    let port = head.iter_mut().skip(2);
    port.zip(MAGIC).for_each(|(byte, mask)| *byte ^= mask);
    let masks = MAGIC.iter().chain(transaction);
    ip.iter_mut()
        .zip(masks)
        .for_each(|(byte, mask)| *byte ^= mask);
}

/// §14.7: CRC-32 as in ITU V.42, mixed so that it is nobody else's. Bit by bit: requests are
/// few and short.
fn fingerprint(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let is_odd = sum & 1 == 1;
            sum = (sum >> 1) ^ if is_odd { 0xedb8_8320 } else { 0 };
        }
    }
    !sum ^ FINGERPRINT_MASK
}

#[cfg(test)]
mod tests;
