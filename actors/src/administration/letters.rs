//! What a domain writes to accounts: kept in their logs, so that it waits for who is away.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{Message, StanzaError};
use klatsch_store::{Arrived, Dedup};
use tokio::sync::oneshot;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_128;

use crate::log_writer::{Arriving, LogWriterMsg, payload_hash, wait};
use crate::router::send_off;
use crate::sessions::random_id;
use crate::world::World;

/// A commit has its end within 30 s, known or not.
const COMMIT_PATIENCE: Duration = Duration::from_secs(40);

/// Writes to accounts; tells whether one of them got it.
///
/// # Errors
/// The store could not take it.
pub(super) async fn write(
    world: &Arc<World>,
    whom: Vec<BareJid>,
    message: &Message,
) -> Result<bool, StanzaError> {
    if whom.is_empty() {
        return Ok(false);
    }
    let arriving: Vec<Arriving> = whom.into_iter().map(|to| letter(to, message)).collect();
    if !world.host.archive {
        // Nothing is kept here: who is there hears it.
        for letter in arriving {
            send_off(world, letter.message.into());
        }
        return Ok(true);
    }
    let (reply, answer) = oneshot::channel();
    let arrive = LogWriterMsg::Arrive { reply, arriving };
    if world.log_writer().cast(arrive).is_err() {
        // It is being started again; it has not seen this.
        return Err(wait());
    }
    match timeout(COMMIT_PATIENCE, answer).await {
        Ok(Ok(Ok(arrived))) => Ok(arrived
            .iter()
            .any(|it| matches!(it, Arrived::Stored { .. } | Arrived::Replay(_)))),
        // Perhaps it is kept: who says it again says it twice at worst.
        _ => Err(wait()),
    }
}

fn letter(to: BareJid, message: &Message) -> Arriving {
    let mut message = message.clone();
    message.head.to = Some(to.clone().into());
    let id = random_id();
    let dedup = Dedup {
        key: xxh3_128(format!("letter\0{id}").as_bytes()).to_be_bytes(),
        payload: payload_hash(&message),
    };
    message.head.id = Some(id.into());
    let sender = message.head.from.clone();
    Arriving {
        sender: sender.unwrap_or_else(|| to.clone().into()),
        recipient: to,
        message,
        sent: None,
        dedup,
    }
}
