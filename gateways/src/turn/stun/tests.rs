//! Tests of the codec: the vectors of RFC 5769, and bytes that mean no good.

use super::*;
use crate::turn::keys;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// RFC 5769 §2.2 and §2.3 share their password.
const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

/// RFC 5769 §2.2.
const OVER_IPV4: &str = "0101003c 2112a442 b7e7a701 bc34d686 fa87dfae \
    8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643 \
    00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96";

/// RFC 5769 §2.3.
const OVER_IPV6: &str = "01010048 2112a442 b7e7a701 bc34d686 fa87dfae \
    8022000b 74657374 20766563 746f7220 00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9 \
    00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c";

/// RFC 5769 §2.4.
const LONG_TERM: &str = "00010060 2112a442 78ad3433 c6ad72c0 29da412e \
    00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000 \
    0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341 \
    0014000b 6578616d 706c652e 6f726700 \
    00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666";

#[test]
fn rfc_5769_answers_are_read_and_their_proofs_hold() {
    for (hex, address) in [
        (OVER_IPV4, "192.0.2.1:32853"),
        (OVER_IPV6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let bytes = bytes(hex);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(
            (message.class, message.method),
            (Class::Success, method::BINDING)
        );
        let mapped = message.address(attribute::XOR_MAPPED_ADDRESS).unwrap();
        assert_eq!(mapped.to_string(), address);
        assert!(message.is_fingerprinted && message.is_signed_with(PASSWORD));
        assert!(!message.is_signed_with(b"another"));
    }
}

#[test]
fn rfc_5769_request_with_long_term_credentials_is_proven_by_its_key() {
    let bytes = bytes(LONG_TERM);
    let message = Message::parse(&bytes).unwrap();
    let name = message.text(attribute::USERNAME).unwrap();
    assert_eq!(name, "マトリックス");
    assert_eq!(message.text(attribute::REALM), Some("example.org"));
    let nonce = Some("f//499k954d6OL34oL9FSTvy64sA");
    assert_eq!(message.text(attribute::NONCE), nonce);
    assert!(message.is_signed_with(&keys::long_term(name, "example.org", "TheMatrIX")));
    assert!(message.unknown(&[]).is_empty());
}

#[test]
fn what_is_written_is_what_the_vector_says_but_for_its_padding() {
    let wanted = bytes(OVER_IPV4);
    let read = Message::parse(&wanted).unwrap();
    let written = Writer::answer(&read, Class::Success)
        .put(0x8022, b"test vector")
        .put_address(
            attribute::XOR_MAPPED_ADDRESS,
            "192.0.2.1:32853".parse().unwrap(),
        )
        .sign(PASSWORD)
        .finish(true);
    assert_eq!(written.len(), wanted.len());
    assert_eq!(written[..35], wanted[..35]);
    // The vector pads with blanks, which changes what is proven; ours is proven all the same.
    let written = Message::parse(&written).unwrap();
    assert!(written.is_signed_with(PASSWORD) && written.is_fingerprinted);
}

#[test]
fn t03_what_pads_an_answer_is_zero() {
    for length in 0..9 {
        let value = vec![0xff; length];
        let written = Writer::new(Class::Error, method::ALLOCATE, [7; 12])
            .put(attribute::REALM, &value)
            .finish(false);
        let padding = &written[HEADER + HEAD + length..];
        assert!(padding.len() < 4 && padding.iter().all(|byte| *byte == 0));
        assert!(Message::parse(&written).is_some());
    }
}

#[test]
fn every_class_and_method_stands_where_it_is_read() {
    for class in [
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ] {
        for method in 0..0x1000 {
            let written = Writer::new(class, method, [1; 12]).finish(false);
            let read = Message::parse(&written).unwrap();
            assert_eq!((read.class, read.method), (class, method));
        }
    }
}

#[test]
fn what_comes_behind_the_proof_does_not_count() {
    let written = Writer::new(Class::Request, method::ALLOCATE, [1; 12])
        .put(attribute::USERNAME, b"a")
        .sign(b"key")
        .put(attribute::REALM, b"forged")
        .put(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
        .finish(true);
    let read = Message::parse(&written).unwrap();
    assert!(read.is_signed_with(b"key"));
    assert_eq!(read.text(attribute::USERNAME), Some("a"));
    assert_eq!(read.get(attribute::REALM), None);
    assert_eq!(read.get(attribute::REQUESTED_TRANSPORT), None);
}

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Reads everything there is to read.
fn read_all(bytes: &[u8]) {
    let Some(message) = Message::parse(bytes) else {
        return;
    };
    let inside: usize = message
        .attributes()
        .map(|(_, value)| HEAD + value.len())
        .sum();
    assert!(HEADER + inside <= bytes.len());
    for (kind, _) in message.attributes() {
        let _ = (message.text(kind), message.number(kind));
        let _ = (message.address(kind), message.addresses(kind));
    }
    let _ = (message.unknown(&[]), message.is_signed_with(b"key"));
}

#[test]
fn t03_damaged_messages_are_read_inside_their_bounds_or_not_at_all() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let whole: Vec<Vec<u8>> = [OVER_IPV4, OVER_IPV6, LONG_TERM].map(bytes).to_vec();
    for round in 0..30_000 {
        let mut damaged = whole[round % whole.len()].clone();
        for _ in 0..=chance.next() % 4 {
            let at = chance.next() as usize % damaged.len();
            damaged[at] = chance.next() as u8;
        }
        damaged.truncate(chance.next() as usize % (damaged.len() + 1));
        read_all(&damaged);
        // The same with a length that fits, so that the attributes are looked at.
        damaged.truncate(damaged.len() / 4 * 4);
        if damaged.len() >= HEADER {
            let end = damaged.len();
            set_length(&mut damaged, end);
            damaged[4..8].copy_from_slice(&MAGIC);
            damaged[0] &= 0x3f;
            read_all(&damaged);
        }
    }
}

#[test]
fn t03_wrong_lengths_and_checksums_are_no_messages() {
    let good = bytes(OVER_IPV4);
    assert!(Message::parse(&good).is_some());
    for cut in 0..good.len() {
        assert!(Message::parse(&good[..cut]).is_none(), "{cut}");
    }
    let mut longer = good.clone();
    longer.extend_from_slice(&[0; 4]);
    assert!(Message::parse(&longer).is_none());
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(Message::parse(&damaged).is_none());
    let outside = Writer::new(Class::Request, method::BINDING, [1; 12]).put(0x8022, &[1; 8]);
    let mut outside = outside.finish(false);
    outside[HEADER + 3] = 9;
    assert!(Message::parse(&outside).is_none());
}
