//! A conversation of two as an account's log has it: what was said last, and what is unread.

use klatsch_protocol::archive::{ArchiveQuery, Direction, Entry, PageFrom};
use klatsch_protocol::features::pubsub::node::{Ask, Found, Wanted};
use klatsch_protocol::features::{fulltext, mds, stanza_id};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::{Message, Stanza};
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::StoreError;

use super::{People, UNREAD_MAX};
use crate::router::patiently;

/// The end of a conversation that is looked at: what is unread, receipts among it.
const LOOKED_AT: u32 = 2 * UNREAD_MAX;

/// Whoever shows more than this shows the whole chat.
const TEXT_BYTES_MAX: usize = 500;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversation {
    /// What was said last.
    pub last: Option<Last>,
    /// Messages that the account has neither displayed nor answered, at most [`UNREAD_MAX`].
    pub unread: u32,
}

/// The last message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Its place in the account's archive.
    pub id: u64,
    /// When.
    pub stamp: Timestamp,
    /// Whose it is.
    pub from: BareJid,
    /// What it says, as far as a line goes; `None` where that is for its readers alone.
    pub text: Option<String>,
}

impl People {
    /// Whether an account may write to an address: to everybody here, and to whom it knows, but
    /// to nobody that it blocks. Whether there is somebody is not looked at (row A11).
    ///
    /// # Errors
    /// As [`People::seen_by`].
    pub async fn may_write(&self, asker: &BareJid, to: &BareJid) -> Result<bool, StoreError> {
        let cell = patiently(self.world.accounts.get(asker)).await?;
        if cell.data().blocklist.covers(&Jid::from(to.clone())) {
            return Ok(false);
        }
        let is_here = to.localpart().is_some() && self.world.host.serves(to.domain());
        Ok(is_here || self.knows(asker, to).await?)
    }

    /// How a conversation stands.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
    pub async fn conversation(
        &self,
        account: &BareJid,
        with: &BareJid,
    ) -> Result<Conversation, StoreError> {
        let query = ArchiveQuery {
            with: Some(with.clone().into()),
            page: PageFrom::End,
            max: LOOKED_AT,
            ..ArchiveQuery::default()
        };
        let store = &self.world.store;
        let page = patiently(store.query(account, &query)).await?;
        let displayed = self.displayed(account, with).await?;
        Ok(read(account, &page.entries, displayed))
    }

    /// Up to which entry a client of the account has displayed the conversation (XEP-0490); 0
    /// where none has said so.
    async fn displayed(&self, account: &BareJid, with: &BareJid) -> Result<u64, StoreError> {
        let ask = Ask::Node {
            node: mds::NS.to_owned(),
            items: Wanted::Ids(vec![with.to_string()]),
            creator: account.clone(),
        };
        let found = self.world.store.nodes(account, &ask, self.world.now());
        let Found::Node(found) = patiently(found).await? else {
            return Ok(0);
        };
        let payload = found.items.first().map(|item| &item.payload);
        let displayed = payload.and_then(|payload| Element::parse(payload).ok());
        Ok(displayed.and_then(|it| displayed_id(&it)).unwrap_or(0))
    }
}

fn displayed_id(displayed: &Element) -> Option<u64> {
    let id = displayed.find("stanza-id", stanza_id::NS)?.get("id")?;
    id.parse().ok()
}

/// Entries are in order of ids. Whoever answers has read what was said before.
fn read(account: &BareJid, entries: &[Entry], displayed: u64) -> Conversation {
    let mut conversation = Conversation::default();
    for entry in entries.iter().rev() {
        let Ok(Stanza::Message(message)) = Stanza::parse(&entry.stanza) else {
            continue;
        };
        if !message.has_body() || takes_back(&message) {
            continue;
        }
        let is_own = entry.direction != Direction::Received;
        let from = if is_own { account } else { &entry.with };
        conversation.last.get_or_insert_with(|| Last {
            id: entry.id,
            stamp: entry.stamp,
            from: from.clone(),
            text: fulltext::open_text(&message).map(|text| line(&text)),
        });
        if is_own || entry.id <= displayed || conversation.unread >= UNREAD_MAX {
            break;
        }
        conversation.unread += 1;
    }
    conversation
}

/// XEP-0424: its body says to old clients that another message is gone.
fn takes_back(message: &Message) -> bool {
    let mut payloads = message.payloads.iter();
    payloads.any(|it| ["retract", "apply-to"].contains(&it.name()))
}

fn line(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, direction: Direction, content: &str) -> Entry {
        let stanza = format!("<message type='chat' id='m{id}'>{content}</message>");
        Entry {
            id,
            stamp: Timestamp::from_seconds(i64::try_from(id).unwrap()),
            direction,
            with: BareJid::parse("bert@x.test").unwrap(),
            stanza: stanza.into_bytes().into(),
        }
    }

    fn read_by_anna(entries: &[Entry], displayed: u64) -> (Option<(u64, Option<String>)>, u32) {
        let anna = BareJid::parse("anna@x.test").unwrap();
        let found = read(&anna, entries, displayed);
        (found.last.map(|last| (last.id, last.text)), found.unread)
    }

    const BODY: &str = "<body>hi</body>";

    #[test]
    fn what_is_neither_displayed_nor_answered_is_unread() {
        use Direction::{Received, Sent};
        let hi = Some("hi".to_owned());
        let three = [3, 4, 6].map(|id| entry(id, Received, BODY));
        assert_eq!(read_by_anna(&three, 0), (Some((6, hi.clone())), 3));
        assert_eq!(read_by_anna(&three, 4), (Some((6, hi.clone())), 1));
        assert_eq!(read_by_anna(&three, 9), (Some((6, hi.clone())), 0));
        let answered = [three[0].clone(), entry(5, Sent, BODY), three[2].clone()];
        assert_eq!(read_by_anna(&answered, 0), (Some((6, hi.clone())), 1));
        assert_eq!(read_by_anna(&answered[..2], 0), (Some((5, hi)), 0));
        assert_eq!(read_by_anna(&[], 0), (None, 0));
    }

    #[test]
    fn what_says_nothing_is_no_message_and_what_is_encrypted_is_not_told() {
        use Direction::Received;
        let received = "<received xmlns='urn:xmpp:receipts' id='a'/>";
        let encrypted = format!("{BODY}<encryption xmlns='urn:xmpp:eme:0' namespace='any'/>");
        let retracted = format!("{BODY}<retract xmlns='urn:xmpp:message-retract:1' id='a'/>");
        let entries = [
            entry(1, Received, &encrypted),
            entry(2, Received, received),
            entry(3, Received, &retracted),
        ];
        assert_eq!(read_by_anna(&entries, 0), (Some((1, None)), 1));
    }

    #[test]
    fn last_message_is_cut_and_unread_ones_are_counted_so_far() {
        let long = format!("<body>{}</body>", "ü".repeat(400));
        let many: Vec<Entry> = (1..150)
            .map(|id| entry(id, Direction::Received, &long))
            .collect();
        let (last, unread) = read_by_anna(&many, 0);
        assert_eq!(unread, UNREAD_MAX);
        assert_eq!(last.unwrap().1.unwrap().len(), TEXT_BYTES_MAX);
    }
}
