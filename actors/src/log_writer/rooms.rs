//! Commits of rooms: to their own logs, and through them to those of accounts.

use std::sync::Arc;

use klatsch_protocol::archive::Direction;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::Message;
use klatsch_protocol::time::Timestamp;
use klatsch_store::{
    Arrival, Arrived, Dedup, LogAppend, LogAppended, RoomAppend, RoomAppended, Sent,
};
use ractor::ActorRef;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Outcome, certainly, hint_account, message_bytes};
use crate::metrics;
use crate::push;
use crate::room::{RoomKept, RoomMsg};
use crate::world::{World, now};

/// So many posts are committed together; each has a few messages.
pub(super) const ARRIVALS_MAX: usize = 256;

/// A message on its way through a room to an account.
#[derive(Debug, Clone)]
pub struct Arriving {
    /// The account.
    pub recipient: BareJid,
    /// The message as it arrives.
    pub message: Message,
    /// Who sent it, really.
    pub sender: Jid,
    /// The message as the sender's log has it, if it does.
    pub sent: Option<Message>,
    /// What makes a replay of it recognisable.
    pub dedup: Dedup,
}

/// What a room has for its log.
pub(super) struct RoomRequest {
    pub(super) room: ActorRef<RoomMsg>,
    pub(super) ticket: u64,
    pub(super) append: RoomAppend,
}

/// What a room has for accounts.
pub(super) struct ArrivalRequest {
    pub(super) reply: oneshot::Sender<Result<Vec<Arrived>, Outcome>>,
    pub(super) arriving: Vec<Arriving>,
}

pub(super) async fn commit_rooms(world: &Arc<World>, requests: Vec<RoomRequest>) {
    let started = Instant::now();
    let stamp = now();
    let append_of = |request: &RoomRequest| RoomAppend {
        now: stamp,
        ..request.append.clone()
    };
    let appends: Vec<RoomAppend> = requests.iter().map(append_of).collect();
    metrics::batch_size(appends.len());
    let answered = certainly(world, || world.store.append_room(appends.clone())).await;
    metrics::commit_time(started.elapsed());
    let kept: Vec<RoomKept> = match answered {
        Ok(appended) => appended.iter().map(kept_of).collect(),
        Err(outcome) => {
            metrics::messages_refused(requests.len());
            let kept = match outcome {
                Outcome::Uncertain => RoomKept::Uncertain,
                _ => RoomKept::Refused,
            };
            vec![kept; requests.len()]
        }
    };
    for (request, kept) in requests.into_iter().zip(kept) {
        // A room that has failed meanwhile is told by its log.
        let _ = request.room.cast(RoomMsg::Kept(request.ticket, kept));
    }
}

fn kept_of(appended: &RoomAppended) -> RoomKept {
    match appended {
        RoomAppended::Stored(placed) => RoomKept::Stored(*placed),
        RoomAppended::Replay(placed) => RoomKept::Replay(*placed),
        RoomAppended::ReplayOtherPayload => RoomKept::OtherPayload,
        RoomAppended::NoSuchRoom => RoomKept::NoSuchRoom,
    }
}

pub(super) async fn commit_arrivals(world: &Arc<World>, requests: Vec<ArrivalRequest>) {
    let started = Instant::now();
    let stamp = now();
    let all = requests.iter().flat_map(|request| &request.arriving);
    let appends: Vec<LogAppend> = all.map(|arriving| append_of(arriving, stamp)).collect();
    metrics::batch_size(appends.len());
    let answered = certainly(world, || world.store.append_all(appends.clone())).await;
    metrics::commit_time(started.elapsed());
    let mut answers = answered.map(|answers| answers.into_iter().filter_map(LogAppended::arrival));
    for ArrivalRequest { reply, arriving } in requests {
        let answer = match &mut answers {
            Ok(answers) => {
                let arrived: Vec<Arrived> = answers.by_ref().take(arriving.len()).collect();
                for (arriving, arrived) in arriving.iter().zip(&arrived) {
                    hint(world, arriving, arrived);
                }
                Ok(arrived)
            }
            Err(outcome) => {
                metrics::messages_refused(arriving.len());
                Err(*outcome)
            }
        };
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }
}

fn append_of(arriving: &Arriving, now: Timestamp) -> LogAppend {
    let address = |jid: &Option<Jid>| jid.clone().unwrap_or_else(|| arriving.sender.clone());
    let sent = arriving.sent.as_ref().map(|sent| Sent {
        with: address(&sent.head.to),
        stanza: message_bytes(sent),
    });
    LogAppend::Arrival(Box::new(Arrival {
        from: address(&arriving.message.head.from),
        recipient: arriving.recipient.clone(),
        stanza: message_bytes(&arriving.message),
        sender: arriving.sender.clone(),
        sent,
        dedup: Some(arriving.dedup),
        now,
    }))
}

/// Tells the sessions of both accounts. A replay is not delivered again (D2).
fn hint(world: &World, arriving: &Arriving, arrived: &Arrived) {
    let Arrived::Stored { recipient, sender } = arrived else {
        return;
    };
    if let (Some(placed), Some(sent)) = (sender, &arriving.sent) {
        let account = arriving.sender.bare();
        hint_account(world, &account, *placed, Direction::Sent, sent);
    }
    let (account, message) = (&arriving.recipient, &arriving.message);
    hint_account(world, account, *recipient, Direction::Received, message);
    push::ask_for(world, account, message);
}
