//! Messages of an account that is taken in: its archive (§4.11), and what waits (§4.5).

use klatsch_protocol::archive::Entry;
use klatsch_protocol::features::{carbons, delay};
use klatsch_protocol::routing::{Share, share_of_waiting};
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::{Appended, Restore, StoreError};

use super::read::restore_of;
use super::{Begun, Importer};
use crate::transfer::{ID_MAX, message_of, without_delay};

/// Entries looked at at once for something that waits.
const OWED_PAGE: u32 = 256;

/// An entry that is coming.
pub(super) struct Coming {
    restore: Restore,
    /// The id it had in our own archive.
    id: Option<u64>,
    /// Whether it waits to be delivered.
    is_waiting: bool,
}

impl Importer<'_> {
    /// §4.11.
    pub(super) fn result(&mut self, result: &Element) {
        let forwarded = result.find("forwarded", carbons::NS_FORWARD);
        let stamp = forwarded
            .and_then(|it| it.find("delay", delay::NS))
            .and_then(|delay| Timestamp::parse_xep0082(delay.get("stamp")?));
        let message = forwarded.and_then(|it| it.children().find(|it| it.name() == "message"));
        match (stamp, message) {
            (Some(stamp), Some(message)) => {
                let xml = String::from_utf8_lossy(&message.to_bytes()).into_owned();
                self.message(&xml, Some(stamp), self.read_id(result), false);
            }
            _ => self.note("an entry of the archive without time or message"),
        }
    }

    /// An id of ours, for an account that has none yet: clients know the messages by it.
    pub(super) fn read_id(&self, element: &Element) -> Option<u64> {
        let id: u64 = element.get("id")?.parse().ok()?;
        (self.begun == Begun::New && id < ID_MAX).then_some(id)
    }

    /// A message for the log.
    pub(super) fn message(
        &mut self,
        xml: &str,
        stamp: Option<Timestamp>,
        id: Option<u64>,
        is_waiting: bool,
    ) {
        let Some(read) = message_of(xml.as_bytes()) else {
            return self.note("a message that is none");
        };
        let said = read
            .payloads
            .elements()
            .find(|it| it.is("delay", delay::NS));
        let said = said.and_then(|it| Timestamp::parse_xep0082(it.get("stamp")?));
        let stamp = stamp.or(said).unwrap_or(self.now);
        let message = match is_waiting {
            true => without_delay(&read, self.account.domain()),
            false => read,
        };
        let restore = restore_of(self.account, &message, stamp);
        self.restored.push(Coming {
            restore,
            id,
            is_waiting,
        });
    }

    /// Tells whether the account has entries that no client has got yet.
    async fn owes_something(&self) -> Result<bool, StoreError> {
        let mut after = self.store.cursor(self.account).await?;
        loop {
            let entries = self.store.entries(self.account, after, OWED_PAGE).await?;
            let Some(last) = entries.last() else {
                return Ok(false);
            };
            after = last.id;
            let is_owed = |entry: &Entry| {
                let message = message_of(&entry.stanza);
                message.is_some_and(|it| share_of_waiting(&it, entry.direction) != Share::Nothing)
            };
            if entries.iter().any(is_owed) {
                return Ok(true);
            }
        }
    }

    /// What comes into an account that was there stands behind everything it has. So it counts
    /// as delivered only if nothing before it waits, which must not be lost: better somebody
    /// gets something twice.
    async fn deliver_up_to(
        &self,
        owes: bool,
        first_waiting: Option<u64>,
    ) -> Result<(), StoreError> {
        if self.begun == Begun::New || owes {
            return Ok(());
        }
        let delivered = first_waiting.map_or(u64::MAX, |first| first.saturating_sub(1));
        let cursor = (self.account.clone(), delivered);
        self.store.set_cursors(vec![cursor]).await
    }

    /// Puts what has come into the log. Where ids are missing, nothing gets them here either.
    pub(super) async fn restore(&mut self) -> Result<(), StoreError> {
        if self.restored.is_empty() {
            return Ok(());
        }
        let owes = self.begun == Begun::Existing && self.owes_something().await?;
        let mut head = self.store.head(self.account).await?;
        let mut batch = Vec::new();
        for coming in std::mem::take(&mut self.restored) {
            let id = coming.id.unwrap_or(head + 1);
            if id > head + 1 {
                self.restore_batch(std::mem::take(&mut batch)).await?;
                self.store.skip_ids(self.account, id - 1).await?;
            }
            head = head.max(id);
            batch.push(coming);
        }
        self.restore_batch(batch).await?;
        self.deliver_up_to(owes, self.taken.waiting_from).await
    }

    async fn restore_batch(&mut self, batch: Vec<Coming>) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let (batch, waiting): (Vec<Restore>, Vec<bool>) = batch
            .into_iter()
            .map(|coming| (coming.restore, coming.is_waiting))
            .unzip();
        let answers = self.store.restore(batch).await?;
        for (answer, is_waiting) in answers.into_iter().zip(waiting) {
            match answer {
                Appended::Stored { sender, .. } | Appended::Replay { sender, .. } => {
                    if is_waiting {
                        let before = self.taken.waiting_from.unwrap_or(u64::MAX);
                        self.taken.waiting_from = Some(before.min(sender.id));
                    }
                }
                _ => self.note("a message could not be put into the archive"),
            }
        }
        Ok(())
    }
}
