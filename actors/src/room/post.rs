//! What a room hands to accounts: private messages and invitations. Whoever sent them waits
//! until they are kept (D1); the room does not.

use std::sync::Arc;

use klatsch_protocol::effect::DedupKey;
use klatsch_protocol::facts::Views;
use klatsch_protocol::features::muc::post::{Letter, Post};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{Stanza, StanzaError};
use klatsch_protocol::tenancy;
use klatsch_store::{Arrived, Dedup};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_128;

use super::{Live, Settled, Step};
use crate::log_writer::{Arriving, LogWriterMsg, Outcome, payload_hash, wait};
use crate::router;
use crate::sessions::random_id;
use crate::world::World;

impl Live {
    /// Hands messages to accounts. What lasts goes to their logs, if they have any here.
    pub(super) fn post(&mut self, mut post: Box<Post>) {
        let host = &self.world.host;
        let is_kept = post.is_kept;
        let has_log = |letter: &Letter| {
            let is_account = letter.account.localpart().is_some();
            // Row R14: who is kept apart is as far away as an account elsewhere.
            let is_near = || !self.is_apart(&letter.account);
            is_kept && is_account && host.serves(letter.account.domain()) && is_near()
        };
        let (kept, unkept) = std::mem::take(&mut post.letters)
            .into_iter()
            .partition(has_log);
        post.letters = kept;
        let unkept: Vec<Letter> = unkept;
        for message in unkept.iter().flat_map(Letter::unkept) {
            self.send(message.into());
        }
        if !post.letters.is_empty() {
            self.keep_letters(post);
        }
    }

    fn is_apart(&self, account: &BareJid) -> bool {
        let (host, book) = (&self.world.host, self.world.directory.book());
        tenancy::are_apart(self.jid.as_jid(), account.as_jid(), host, &book)
    }

    fn keep_letters(&mut self, post: Box<Post>) {
        let answer = self.postpone_answer();
        let (world, room, counted) = (self.world.clone(), self.jid.clone(), self.counted.clone());
        tokio::spawn(async move {
            let settled = keep(&world, &room, &post, counted.as_deref()).await;
            let Some((reply, rest)) = answer else { return };
            // Dropped with the room: whoever asked asks again, and finds what was kept.
            if let Ok(of_the_rest) = rest.await {
                let settled = match of_the_rest {
                    Settled::Done => settled,
                    other => other,
                };
                // Whoever asked may have gone.
                let _ = reply.send(settled);
            }
        });
    }

    /// The answer to the stanza being dealt with waits for more than what the room has to do.
    fn postpone_answer(
        &mut self,
    ) -> Option<(oneshot::Sender<Settled>, oneshot::Receiver<Settled>)> {
        let reply = self.steps.iter_mut().find_map(|step| match step {
            Step::Settle(reply, _) => Some(reply),
            _ => None,
        })?;
        let (rest, rest_settled) = oneshot::channel();
        Some((std::mem::replace(reply, rest), rest_settled))
    }
}

async fn keep(world: &Arc<World>, room: &BareJid, post: &Post, counted: Option<&str>) -> Settled {
    let letters = post.letters.iter();
    let arriving = letters.map(|letter| arriving(room, post, letter, counted));
    let arriving = arriving.collect();
    let (reply, answer) = oneshot::channel();
    let asked = world
        .log_writer()
        .cast(LogWriterMsg::Arrive { reply, arriving });
    let answer = match asked {
        Ok(()) => answer.await.unwrap_or(Err(Outcome::Uncertain)),
        // It is being started again; it has not seen this.
        Err(_) => Err(Outcome::Refused),
    };
    let errors: Vec<Option<StanzaError>> = match answer {
        Ok(arrived) => {
            let answers = post.letters.iter().zip(&arrived);
            answers
                .map(|(letter, arrived)| error_of(letter, arrived))
                .collect()
        }
        Err(Outcome::Uncertain) => return Settled::Uncertain,
        Err(_) => vec![Some(wait()); post.letters.len()],
    };
    let refused = post.letters.iter().zip(errors);
    let mut refusals = refused.filter_map(|(letter, error)| post.refusal(room, letter, &error?));
    // Nearly always there is but one.
    let settled = refusals
        .next()
        .map_or(Settled::Done, |refusal| Settled::Replied(Box::new(refusal)));
    refusals.for_each(|refusal| router::send_off(world, refusal));
    settled
}

/// Row A11: an account that blocks and one that is not there answer alike; who is invited is
/// not found (§7.8.2).
fn error_of(letter: &Letter, arrived: &Arrived) -> Option<StanzaError> {
    match arrived {
        Arrived::Stored { .. } | Arrived::Replay(_) => None,
        Arrived::ReplayOtherPayload => {
            Some(StanzaError::conflict().with_text("origin-id used for another message"))
        }
        Arrived::NoSuchAccount | Arrived::Blocked => Some(match letter.sent {
            Some(_) => StanzaError::service_unavailable(),
            None => StanzaError::item_not_found(),
        }),
    }
}

fn arriving(room: &BareJid, post: &Post, letter: &Letter, counted: Option<&str>) -> Arriving {
    Arriving {
        recipient: letter.account.clone(),
        message: letter.message.clone(),
        sender: post.sender.clone(),
        sent: letter.sent.clone(),
        dedup: dedup(room, post, letter, counted),
    }
}

/// The key by which the store recognises a replay (D2), which puts the sender's account to it.
/// What a message says is what it was when it was sent.
fn dedup(room: &BareJid, post: &Post, letter: &Letter, counted: Option<&str>) -> Dedup {
    let payload = match &post.origin {
        Stanza::Message(message) => payload_hash(message),
        _ => payload_hash(&letter.message),
    };
    let id = match (&post.dedup, counted) {
        (DedupKey::Origin(id), _) => format!("origin\0{id}"),
        (DedupKey::Stanza(id), _) => format!("stanza\0{id}\0{payload}"),
        (DedupKey::Counted, Some(counted)) => counted.to_owned(),
        (DedupKey::Counted, None) => format!("once\0{}", random_id()),
    };
    Dedup {
        key: xxh3_128(format!("{room}\0{id}").as_bytes()).to_be_bytes(),
        payload,
    }
}
