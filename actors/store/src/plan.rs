//! What becomes of a batch of appends, decided before anything is written, from what the
//! database knows. Every database decides so; the statements are each one's own.

mod known;
mod wanted;

use std::collections::HashMap;

use bytes::Bytes;
use klatsch_protocol::archive::Direction;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::time::Timestamp;

use crate::blocklist::forms;
use crate::error::Result;
use crate::log::{
    Append, Appended, Arrival, Arrived, LogAppend, LogAppended, Placed, Restore, Sent,
};
use crate::rooms::{self, RoomAppend, RoomAppended};
use known::replay_key;
pub(crate) use known::{
    EVERYTHING, Head, Key, LogOf, OWN, RECEIVED, SENT, Said, SaidRow, Unwanted,
};
pub(crate) use wanted::{logs, wanted_blocks, wanted_keys, wanted_preferences};

/// A message in one of its logs.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The log's number.
    pub(crate) log: i64,
    /// Where it stands.
    pub(crate) placed: Placed,
    pub(crate) direction: i64,
    pub(crate) flags: u8,
    /// The other side.
    pub(crate) with: BareJid,
    /// The other side's resource.
    pub(crate) resource: Option<String>,
}

/// A message that is to be written.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    /// Its key, and what it says.
    pub(crate) said: Option<(Key, u64)>,
    pub(crate) stanza: Bytes,
    pub(crate) first: Line,
    pub(crate) twin: Option<Line>,
}

/// What stands in the place of an entry from now on.
pub(crate) struct Burial {
    pub(crate) log: i64,
    pub(crate) id: u64,
    pub(crate) stanza: Bytes,
}

/// A batch on its way into rows. Made of what the database knows of the logs it touches.
#[derive(Default)]
pub(crate) struct Plan {
    /// The heads of those that are there; raised by what is appended.
    pub(crate) heads: HashMap<LogOf, Head>,
    /// What has been said already.
    pub(crate) said: HashMap<Key, Said>,
    /// Which forms of senders' addresses are blocked, by the log of who blocks.
    pub(crate) blocks: HashMap<i64, Vec<String>>,
    /// Which lines are not wanted.
    pub(crate) unwanted: Unwanted,
    /// What is to be written, in the order of the batch.
    pub(crate) messages: Vec<Message>,
    /// The subjects of rooms, by the room's log: the last one of a batch holds.
    pub(crate) subjects: HashMap<i64, (Bytes, Timestamp)>,
    /// What becomes of earlier entries, which may be in this batch.
    pub(crate) burials: Vec<Burial>,
}

impl Plan {
    /// What becomes of a batch, in its order.
    pub(crate) fn decide_all(&mut self, batch: &[LogAppend]) -> Result<Vec<LogAppended>> {
        self.messages.reserve(batch.len());
        batch.iter().map(|append| self.decide(append)).collect()
    }

    /// What becomes of an append; its message is added to the plan.
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
        let first = self.place_of(append, &sender, &append.with, direction)?;
        let twin = match &recipient {
            Some(it) => Some(self.place_of(append, it, &append.sender, RECEIVED)?),
            None => None,
        };
        let placed = (first.placed, twin.as_ref().map(|twin| twin.placed));
        let said = key.zip(dedup.map(|dedup| dedup.payload));
        self.push(said, append.stanza.clone(), first, twin);
        Ok(Appended::Stored {
            sender: placed.0,
            recipient: placed.1,
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
        // What was kept before is wanted.
        let line = self.place_wanted(&of, &restore.with, direction, restore.stamp)?;
        let placed = line.placed;
        let said = Some((key, restore.dedup.payload));
        self.push(said, restore.stanza.clone(), line, None);
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
        // Rooms keep what their configuration says.
        let line = self.place_wanted(&room, &append.sender, RECEIVED, append.now)?;
        let placed = line.placed;
        self.note(log, append, placed);
        self.push(said, append.message.clone(), line, None);
        Ok(RoomAppended::Stored(placed))
    }

    /// Takes down what a message says of its room that has got its place.
    fn note(&mut self, log: i64, append: &RoomAppend, placed: Placed) {
        if let Some(subject) = &append.subject {
            let message = Stanza::Message(subject.message.clone()).to_bytes();
            self.subjects.insert(log, (message, placed.stamp));
        }
        // Only what is there can be retracted.
        let tombstone = append.tombstone.as_ref().filter(|it| it.id < placed.id);
        self.burials.extend(tombstone.map(|it| Burial {
            log,
            id: it.id,
            stanza: it.stanza.clone(),
        }));
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
        let line = self.place(&recipient, &arrival.from, RECEIVED, arrival.now)?;
        let placed = line.placed;
        self.push(said, arrival.stanza.clone(), line, None);
        let sender = LogOf::Account(arrival.sender.bare());
        let sent = arrival.sent.as_ref();
        let sender = match sent.filter(|_| self.heads.contains_key(&sender)) {
            Some(Sent { with, stanza }) => {
                let line = self.place(&sender, with, SENT, arrival.now)?;
                let placed = line.placed;
                self.push(None, stanza.clone(), line, None);
                Some(placed)
            }
            None => None,
        };
        Ok(Arrived::Stored {
            recipient: placed,
            sender,
        })
    }

    /// Adds a message, which has been said from now on.
    fn push(&mut self, said: Option<(Key, u64)>, stanza: Bytes, first: Line, twin: Option<Line>) {
        if let Some((key, payload)) = said {
            let said = Said {
                payload,
                sender: first.placed,
                recipient: twin.as_ref().map(|twin| twin.placed),
            };
            self.said.insert(key, said);
        }
        self.messages.push(Message {
            said,
            stanza,
            first,
            twin,
        });
    }

    fn is_blocked(&self, recipient: &Head, sender: &Jid) -> bool {
        let Some(blocked) = self.blocks.get(&recipient.log) else {
            return false;
        };
        forms(sender).iter().any(|form| blocked.contains(form))
    }

    /// Allots the next id of a log to one side of an append.
    fn place_of(
        &mut self,
        append: &Append,
        of: &LogOf,
        with: &Jid,
        direction: i64,
    ) -> Result<Line> {
        let head = self.heads.get(of);
        let unwanted = self.unwanted.flags(head, with, append.are_colleagues);
        let mut line = self.place_wanted(of, with, direction, append.now)?;
        line.flags = append.flags | unwanted;
        Ok(line)
    }

    /// Allots the next id of a log to what comes through a room, which its account may not want to
    /// find.
    fn place(&mut self, of: &LogOf, with: &Jid, direction: i64, now: Timestamp) -> Result<Line> {
        let unwanted = self.unwanted.flags(self.heads.get(of), with, false);
        let mut line = self.place_wanted(of, with, direction, now)?;
        line.flags = unwanted;
        Ok(line)
    }

    /// Allots the next id of a log.
    fn place_wanted(
        &mut self,
        of: &LogOf,
        with: &Jid,
        direction: i64,
        now: Timestamp,
    ) -> Result<Line> {
        let head = self.heads.get_mut(of).ok_or_else(|| of.no_such())?;
        head.id += 1;
        head.stamp = head.stamp.max(now);
        Ok(Line {
            log: head.log,
            placed: Placed {
                id: head.id,
                stamp: head.stamp,
            },
            direction,
            flags: 0,
            with: with.bare(),
            resource: with.resource().map(str::to_owned),
        })
    }
}
