//! Messages on their way into the room's log.

use std::time::Duration;

use klatsch_protocol::effect::DedupKey;
use klatsch_protocol::features::muc::effect::{Keep, RoomEffect};
use klatsch_protocol::stanza::{Message, MessageKind, Stanza, StanzaError};
use klatsch_store::{Dedup, RoomAppend};
use xxhash_rust::xxh3::xxh3_128;

use super::{Live, RoomKept, RoomMsg, Settled, Step};
use crate::log_writer::{LogWriterMsg, payload_hash, wait};
use crate::mail::RoomMail;
use crate::metrics;
use crate::push;
use crate::router::patiently;
use crate::sessions::random_id;

/// A room in which nothing was said for so long is quiet.
const QUIET: Duration = Duration::from_secs(1);

impl Live {
    /// Gives a message to the log writer.
    pub(super) fn start_keeping(&mut self, keep: Box<Keep>, counted: Option<&str>) -> Step {
        self.tickets += 1;
        let append = RoomAppend {
            room: self.jid.clone(),
            sender: keep.sender.clone().into(),
            message: Stanza::Message(keep.message.clone()).to_bytes(),
            dedup: Some(dedup(&keep, counted)),
            // The log writer puts in the time of the commit.
            now: self.world.now(),
            subject: keep.subject.clone(),
            tombstone: keep.tombstone.clone(),
        };
        let append = LogWriterMsg::AppendRoom {
            room: self.me.clone(),
            ticket: self.tickets,
            append: Box::new(append),
        };
        match self.world.log_writer().cast(append) {
            Ok(()) => Step::Keeping(self.tickets, keep),
            // It is being started again; it has not seen this message.
            Err(_) => Step::Kept(keep, RoomKept::Refused),
        }
    }

    /// The log writer has answered.
    pub(super) fn kept(&mut self, ticket: u64, kept: RoomKept) {
        let is_it = |step: &Step| matches!(step, Step::Keeping(number, _) if *number == ticket);
        let Some(index) = self.steps.iter().position(is_it) else {
            return;
        };
        if let Some(Step::Keeping(_, keep)) = self.steps.remove(index) {
            self.steps.insert(index, Step::Kept(keep, kept));
        }
        self.drive();
    }

    /// Goes on with a message whose turn has come.
    pub(super) fn settle_keep(&mut self, keep: Keep, kept: RoomKept) {
        let refused = |live: &mut Self, error: StanzaError| {
            let mut effects = live.with_room(|room, _| room.not_kept(&keep, error));
            if let Some(refusal) = take_refusal(&mut effects, &keep.origin) {
                live.settle_next(Settled::Replied(Box::new(refusal)));
            }
            effects
        };
        let effects = match kept {
            RoomKept::Stored(placed) => {
                metrics::room_message();
                self.told = Some(placed.id);
                if std::mem::take(&mut self.is_said_again) {
                    self.schedule_beat(placed.id, QUIET, false);
                }
                if let Some(room) = self.room() {
                    let sender = keep.sender.bare();
                    push::ask_for_room(&self.world, room.record(), &sender, &keep.message);
                }
                self.with_room(|room, _| room.committed(keep, placed.id, placed.stamp))
            }
            RoomKept::Replay(placed) => self.with_room(|room, _| room.replayed(keep, placed.id)),
            RoomKept::OtherPayload => {
                let error = StanzaError::conflict();
                refused(self, error.with_text("origin-id used for another message"))
            }
            RoomKept::NoSuchRoom => refused(self, StanzaError::item_not_found()),
            RoomKept::Refused => refused(self, wait()),
            // D5: whoever sent it is told neither that it was kept nor that it was not.
            RoomKept::Uncertain => {
                self.settle_next(Settled::Uncertain);
                Vec::new()
            }
        };
        self.prepend(effects);
    }

    /// Answers whoever has asked for what is being carried out.
    fn settle_next(&mut self, answer: Settled) {
        let settle = self.steps.iter_mut().find_map(|step| match step {
            Step::Settle(_, settled) => Some(settled),
            _ => None,
        });
        if let Some(settled) = settle {
            *settled = answer;
        }
    }

    fn schedule_beat(&self, id: u64, after: Duration, is_last: bool) {
        self.me
            .send_after(after, move || RoomMsg::Beat(id, is_last));
    }

    /// Says where the log ends, in case a hint was lost: as soon as the room is quiet, for in a
    /// busy one the next message shows what is missing, and once more later.
    pub(super) fn say_again(&mut self, id: u64, is_last: bool) {
        let Some(told) = self.told else {
            // The room has ended, and another may begin.
            self.is_said_again = true;
            return;
        };
        if told != id {
            if !is_last {
                self.schedule_beat(told, QUIET, false);
            }
            return;
        }
        if !is_last {
            self.is_said_again = true;
            let after = Duration::from_secs(self.world.settings.tail_check_seconds);
            self.schedule_beat(id, after, true);
        }
        if let Some(room) = self.room() {
            let everybody = everybody(room);
            self.tell(&everybody, RoomMail::Ends(self.jid.clone(), id));
        }
    }

    /// Lets everybody know where the log ends.
    pub(super) fn ask_head(&self) {
        let Some(room) = self.room() else { return };
        let (world, jid, everybody) = (self.world.clone(), self.jid.clone(), everybody(room));
        tokio::spawn(async move {
            // The next message tells it too.
            if let Ok(head) = patiently(world.store.room_head(&jid)).await {
                let mail = RoomMail::Ends(jid, head);
                world.directory.tell(&everybody, mail);
            }
        });
    }
}

/// The refusal of a message among effects, for the answer to take with it.
pub(super) fn take_refusal(effects: &mut Vec<RoomEffect>, sent: &Stanza) -> Option<Stanza> {
    let is_refusal = |effect: &RoomEffect| match effect {
        RoomEffect::Send(Stanza::Message(reply)) => {
            reply.kind == MessageKind::Error && reply.head.to.as_ref() == sent.from()
        }
        _ => false,
    };
    let index = effects.iter().position(is_refusal)?;
    match effects.remove(index) {
        RoomEffect::Send(refusal) => Some(refusal),
        _ => None,
    }
}

pub(super) fn everybody(
    room: &klatsch_protocol::features::muc::room::Room,
) -> Vec<klatsch_protocol::jid::FullJid> {
    let jids = room.occupants().iter().flat_map(|occupant| occupant.jids());
    jids.cloned().collect()
}

/// The key by which the store recognises a replay (D2), which puts the sender's account to it.
fn dedup(keep: &Keep, counted: Option<&str>) -> Dedup {
    let message: &Message = match &keep.origin {
        Stanza::Message(message) => message,
        _ => &keep.message,
    };
    let payload = payload_hash(message);
    let text = match (&keep.dedup, counted) {
        (DedupKey::Origin(id), _) => format!("origin\0{id}"),
        (DedupKey::Stanza(id), _) => format!("stanza\0{id}\0{payload}"),
        (DedupKey::Counted, Some(counted)) => counted.to_owned(),
        (DedupKey::Counted, None) => format!("once\0{}", random_id()),
    };
    Dedup {
        key: xxh3_128(text.as_bytes()).to_be_bytes(),
        payload,
    }
}
