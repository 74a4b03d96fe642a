//! Appending to logs in SQLite: many messages, one transaction, few statements, and few pages:
//! see `recent.rs` for where the rows go first.
//!
//! Every statement is a way to the connection's thread and back, so rows go in by the dozen:
//! statements exist for the sizes of `statements.rs` and are prepared once.

mod load;

use std::collections::HashMap;

use klatsch_protocol::archive::Direction;
use klatsch_protocol::jid::Jid;
use klatsch_protocol::time::Timestamp;

use self::load::{load_blocks, load_heads, load_said};
use super::log::{LogOf, OWN, RECEIVED, SENT, place};
use super::merge::{Bound, make_room};
use super::preferences::{Unwanted, load_unwanted};
use super::recent::{Key, Line, Message, Said, TWIN_FLAGS};
use super::rooms::notes::{Notes, bury, set_subjects};
use super::statements::{ADD_RECENT, chunks};
use super::writer::{Head, Writer};
use crate::blocklist::forms;
use crate::error::{Result, StoreError};
use crate::log::{
    Append, Appended, Arrival, Arrived, Dedup, LogAppend, LogAppended, Placed, Restore, Sent,
};
use crate::rooms::{self, RoomAppend, RoomAppended};

fn replay_key(log: i64, dedup: &Dedup) -> Result<Key> {
    let log =
        u32::try_from(log).map_err(|_| StoreError::Unavailable("no log numbers left".into()))?;
    let mut key = [0; 20];
    key[..4].copy_from_slice(&log.to_be_bytes());
    key[4..].copy_from_slice(&dedup.key);
    Ok(key)
}

impl Said {
    fn answer(&self, dedup: &Dedup) -> Appended {
        if self.payload != dedup.payload {
            return Appended::ReplayOtherPayload;
        }
        Appended::Replay {
            sender: self.sender,
            recipient: self.recipient,
        }
    }
}

/// Appends a batch. Runs between BEGIN and COMMIT.
pub(super) async fn append(writer: &mut Writer, batch: &[LogAppend]) -> Result<Vec<LogAppended>> {
    let heads = load_heads(writer, batch).await?;
    let said = load_said(writer, batch, &heads).await?;
    let blocks = load_blocks(writer, batch, &heads).await?;
    let unwanted = load_unwanted(writer, batch, &heads).await?;
    let mut plan = Plan {
        heads,
        said,
        blocks,
        unwanted,
        next_number: writer.recent.next_number(),
        messages: Vec::with_capacity(batch.len()),
        notes: Notes::default(),
    };
    let answers = batch
        .iter()
        .map(|append| plan.decide(append))
        .collect::<Result<Vec<_>>>()?;
    let Plan {
        heads,
        mut messages,
        notes,
        ..
    } = plan;
    if notes.tombstones.is_empty() {
        make_room(writer, messages.len()).await?;
    } else {
        bury(writer, &notes.tombstones, &mut messages).await?;
    }
    insert_recent(writer, &messages).await?;
    set_subjects(writer, &notes.subjects).await?;
    writer.pending.heads.extend(heads);
    writer.pending.recent = messages;
    Ok(answers)
}

/// A batch on its way into rows.
struct Plan {
    heads: HashMap<LogOf, Head>,
    said: HashMap<Key, Said>,
    blocks: HashMap<i64, Vec<String>>,
    unwanted: Unwanted,
    next_number: i64,
    messages: Vec<Message>,
    notes: Notes,
}

impl Plan {
    /// What becomes of an append; its row is added to the plan.
    fn decide(&mut self, append: &LogAppend) -> Result<LogAppended> {
        Ok(match append {
            LogAppend::Account(append) => LogAppended::Account(self.decide_account(append)?),
            LogAppend::Room(append) => LogAppended::Room(self.decide_room(append)?),
            LogAppend::Restore(restore) => LogAppended::Account(self.decide_restore(restore)?),
            LogAppend::Arrival(arrival) => LogAppended::Arrival(self.decide_arrival(arrival)?),
        })
    }

    fn decide_account(&mut self, append: &Append) -> Result<Appended> {
        let sender = LogOf::Account(append.sender.bare());
        let Some(head) = self.heads.get(&sender) else {
            return Ok(Appended::NoSuchAccount);
        };
        let dedup = append.dedup.as_ref();
        let key = dedup.map(|dedup| replay_key(head.log, dedup)).transpose()?;
        // A replay finds its entries even if the recipient has gone or blocks by now.
        if let (Some(key), Some(dedup)) = (key, dedup)
            && let Some(said) = self.said.get(&key)
        {
            return Ok(said.answer(dedup));
        }
        let recipient = append.recipient.clone().map(LogOf::Account);
        let recipient = recipient.filter(|recipient| *recipient != sender);
        if let Some(recipient) = &recipient {
            match self.heads.get(recipient) {
                None => return Ok(Appended::NoSuchAccount),
                Some(head) if self.is_blocked(head, &append.sender) => {
                    return Ok(Appended::Blocked);
                }
                Some(_) => {}
            }
        }
        let own = append.with.bare_str() == append.sender.bare_str();
        let direction = if own { OWN } else { SENT };
        let mut flags = append.flags;
        flags |= self.unwanted.flags(self.heads.get(&sender), &append.with);
        if let Some(recipient) = &recipient {
            let twin = append.flags
                | self
                    .unwanted
                    .flags(self.heads.get(recipient), &append.sender);
            flags |= twin << TWIN_FLAGS;
        }
        let (first, line) = self.place(&sender, &append.with, direction, append.now)?;
        let twin = match &recipient {
            Some(recipient) => Some(self.place(recipient, &append.sender, RECEIVED, append.now)?),
            None => None,
        };
        let (recipient, twin) = twin.unzip();
        if let (Some(key), Some(dedup)) = (key, dedup) {
            let said = Said {
                payload: dedup.payload,
                sender: first,
                recipient,
            };
            self.said.insert(key, said);
        }
        self.messages.push(Message {
            number: self.next_number,
            said: key.zip(dedup.map(|dedup| dedup.payload)),
            flags,
            stanza: append.stanza.clone(),
            first: line,
            twin,
        });
        self.next_number += 1;
        Ok(Appended::Stored {
            sender: first,
            recipient,
        })
    }

    fn decide_restore(&mut self, restore: &Restore) -> Result<Appended> {
        let of = LogOf::Account(restore.account.clone());
        let Some(head) = self.heads.get(&of) else {
            return Ok(Appended::NoSuchAccount);
        };
        let key = replay_key(head.log, &restore.dedup)?;
        if let Some(said) = self.said.get(&key) {
            return Ok(said.answer(&restore.dedup));
        }
        let direction = match restore.direction {
            Direction::Sent => SENT,
            Direction::Received => RECEIVED,
            Direction::Own => OWN,
        };
        let (placed, line) = self.place(&of, &restore.with, direction, restore.stamp)?;
        let said = Said {
            payload: restore.dedup.payload,
            sender: placed,
            recipient: None,
        };
        self.said.insert(key, said);
        let said = Some((key, restore.dedup.payload));
        self.push(said, restore.stanza.clone(), line, 0);
        Ok(Appended::Stored {
            sender: placed,
            recipient: None,
        })
    }

    fn decide_room(&mut self, append: &RoomAppend) -> Result<RoomAppended> {
        let room = LogOf::Room(append.room.clone());
        let Some(log) = self.heads.get(&room).map(|head| head.log) else {
            return Ok(RoomAppended::NoSuchRoom);
        };
        let dedup = append
            .dedup
            .map(|dedup| rooms::dedup_of(&append.sender, &dedup));
        let key = dedup.map(|dedup| replay_key(log, &dedup)).transpose()?;
        let said = key.zip(dedup.map(|dedup| dedup.payload));
        if let Some((key, payload)) = said
            && let Some(said) = self.said.get(&key)
        {
            return Ok(match said.payload == payload {
                true => RoomAppended::Replay(said.sender),
                false => RoomAppended::ReplayOtherPayload,
            });
        }
        let (placed, line) = self.place(&room, &append.sender, RECEIVED, append.now)?;
        if let Some((key, payload)) = said {
            let said = Said {
                payload,
                sender: placed,
                recipient: None,
            };
            self.said.insert(key, said);
        }
        self.notes.take(log, append, placed)?;
        self.push(said, append.message.clone(), line, 0);
        Ok(RoomAppended::Stored(placed))
    }

    fn decide_arrival(&mut self, arrival: &Arrival) -> Result<Arrived> {
        let recipient = LogOf::Account(arrival.recipient.clone());
        let Some(head) = self.heads.get(&recipient) else {
            return Ok(Arrived::NoSuchAccount);
        };
        let dedup = arrival.dedup.as_ref();
        let dedup = dedup.map(|dedup| rooms::dedup_of(&arrival.sender, dedup));
        let key = dedup
            .map(|dedup| replay_key(head.log, &dedup))
            .transpose()?;
        let said = key.zip(dedup.map(|dedup| dedup.payload));
        if let Some((key, payload)) = said
            && let Some(said) = self.said.get(&key)
        {
            return Ok(match said.payload == payload {
                true => Arrived::Replay(said.sender),
                false => Arrived::ReplayOtherPayload,
            });
        }
        if self.is_blocked(head, &arrival.from) {
            return Ok(Arrived::Blocked);
        }
        let (placed, line) = self.place(&recipient, &arrival.from, RECEIVED, arrival.now)?;
        if let Some((key, payload)) = said {
            let said = Said {
                payload,
                sender: placed,
                recipient: None,
            };
            self.said.insert(key, said);
        }
        let flags = self
            .unwanted
            .flags(self.heads.get(&recipient), &arrival.from);
        self.push(said, arrival.stanza.clone(), line, flags);
        let sender = LogOf::Account(arrival.sender.bare());
        let sent = arrival.sent.as_ref();
        let sent = sent.filter(|_| self.heads.contains_key(&sender));
        let sender = match sent {
            Some(Sent { with, stanza }) => {
                let (placed, line) = self.place(&sender, with, SENT, arrival.now)?;
                let flags = self.unwanted.flags(self.heads.get(&sender), with);
                self.push(None, stanza.clone(), line, flags);
                Some(placed)
            }
            None => None,
        };
        Ok(Arrived::Stored {
            recipient: placed,
            sender,
        })
    }

    /// Adds a message that stands in one log.
    fn push(&mut self, said: Option<(Key, u64)>, stanza: bytes::Bytes, first: Line, flags: u8) {
        self.messages.push(Message {
            number: self.next_number,
            said,
            flags,
            stanza,
            first,
            twin: None,
        });
        self.next_number += 1;
    }

    fn is_blocked(&self, recipient: &Head, sender: &Jid) -> bool {
        let Some(blocked) = self.blocks.get(&recipient.log) else {
            return false;
        };
        forms(sender).iter().any(|form| blocked.contains(form))
    }

    /// Allots the next id of a log.
    fn place(
        &mut self,
        of: &LogOf,
        with: &Jid,
        direction: i64,
        now: Timestamp,
    ) -> Result<(Placed, Line)> {
        let head = self.heads.get_mut(of).ok_or_else(|| of.no_such())?;
        head.id += 1;
        head.stamp = head.stamp.max(now);
        let placed = Placed {
            id: head.id,
            stamp: head.stamp,
        };
        let line = Line {
            place: place(head.log, placed.id)?,
            stamp: placed.stamp,
            direction,
            with: with.bare(),
            resource: with.resource().map(str::to_owned),
        };
        Ok((placed, line))
    }
}

async fn insert_recent(writer: &mut Writer, messages: &[Message]) -> Result<()> {
    for (size, chunk) in chunks(messages) {
        let mut query: Bound = sqlx::query(ADD_RECENT[size].as_str());
        for message in chunk {
            let (first, twin) = (&message.first, message.twin.as_ref());
            query = query
                .bind(message.number)
                .bind(message.said.map(|(key, _)| key.to_vec()))
                .bind(message.said.map(|(_, payload)| payload.cast_signed()))
                .bind(i64::from(message.flags))
                .bind(message.stanza.to_vec())
                .bind(first.place)
                .bind(first.stamp.0)
                .bind(first.direction)
                .bind(first.with.as_str().to_owned())
                .bind(first.resource.clone())
                .bind(twin.map(|twin| twin.place))
                .bind(twin.map(|twin| twin.stamp.0))
                .bind(twin.map(|twin| twin.with.as_str().to_owned()))
                .bind(twin.and_then(|twin| twin.resource.clone()));
        }
        query.execute(writer.connection().await?).await?;
    }
    Ok(())
}
