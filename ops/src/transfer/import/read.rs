//! What single elements of a file say.

use klatsch_protocol::archive::Direction;
use klatsch_protocol::features::roster::{self, RosterItem, Subscription};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::sasl::{Hash, ScramCredentials, encoding};
use klatsch_protocol::stanza::{Message, Stanza};
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::{Dedup, Restore};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::transfer::NS_SCRAM;

/// PBKDF2 rounds that are believed: more would cost every client's login minutes.
const ITERATIONS_MAX: u32 = 10_000_000;

/// A message as an entry of the account's log.
pub(super) fn restore_of(account: &BareJid, message: &Message, stamp: Timestamp) -> Restore {
    let own = Jid::from(account.clone());
    let from = message.head.from.clone().unwrap_or_else(|| own.clone());
    let to = message.head.to.clone().unwrap_or_else(|| own.clone());
    let is_mine = |jid: &Jid| jid.bare_str() == account.as_str();
    let (direction, with) = match (is_mine(&from), is_mine(&to)) {
        (true, true) => (Direction::Own, to),
        (true, false) => (Direction::Sent, to),
        (false, _) => (Direction::Received, from),
    };
    let stanza = Stanza::Message(message.clone()).to_bytes();
    let payload = xxh3_64(&stanza);
    // Two messages without ids may say the same at two times.
    let mut text = format!("restored\0{stamp}\0", stamp = stamp.0).into_bytes();
    text.extend_from_slice(&stanza);
    Restore {
        account: account.clone(),
        direction,
        with,
        dedup: Dedup {
            key: xxh3_128(&text).to_be_bytes(),
            payload,
        },
        stanza,
        stamp,
    }
}

/// An element with its own `xmlns`, wherever it stands.
pub(in crate::transfer) fn payload(element: &Element) -> Vec<u8> {
    let mut bytes = Vec::new();
    // No namespace is one blank, so the element's own is always written.
    element.write(&mut bytes, " ");
    bytes
}

/// Keys (§4.3); `None`: they are not whole, or of a hash that is not known.
pub(super) fn read_scram(element: &Element) -> Option<ScramCredentials> {
    let mechanism = element.get("mechanism")?.strip_prefix("SCRAM-")?;
    let hash = Hash::ALL
        .into_iter()
        .find(|hash| hash.name() == mechanism)?;
    let text = |name| {
        Some(
            element
                .find(name, NS_SCRAM)?
                .text_content()
                .trim()
                .to_owned(),
        )
    };
    let bytes = |name| encoding::decode(&text(name)?).ok();
    let key = ScramCredentials {
        hash,
        salt: bytes("salt")?,
        iterations: text("iter-count")?.parse().ok()?,
        stored_key: bytes("stored-key")?,
        server_key: bytes("server-key")?,
    };
    let is_whole = key.stored_key.len() == hash.output_bytes()
        && key.server_key.len() == hash.output_bytes()
        && !key.salt.is_empty()
        && (1..=ITERATIONS_MAX).contains(&key.iterations);
    is_whole.then_some(key)
}

/// A contact (§4.4); `None`: it is none.
pub(super) fn read_contact(item: &Element) -> Option<RosterItem> {
    let jid = Jid::parse(item.get("jid")?).ok()?.bare();
    let subscription = match item.get("subscription") {
        None | Some("none") => Subscription::None,
        Some("to") => Subscription::To,
        Some("from") => Subscription::From,
        Some("both") => Subscription::Both,
        Some(_) => return None,
    };
    let groups = item.children().filter(|it| it.is("group", roster::NS));
    let mut groups: Vec<String> = groups.map(Element::text_content).collect();
    groups.retain(|group| !group.is_empty());
    Some(RosterItem {
        name: item
            .get("name")
            .filter(|it| !it.is_empty())
            .map(str::to_owned),
        groups,
        subscription,
        ask: item.get("ask") == Some("subscribe"),
        approved: matches!(item.get("approved"), Some("true" | "1")),
        listed: true,
        ..RosterItem::new(jid)
    })
}
