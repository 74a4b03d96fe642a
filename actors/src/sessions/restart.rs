//! Sessions over a restart of the server: what can be resumed is put away in the store when
//! the server stops, and waits for its client again when it has started (XEP-0198 §5). Who is
//! in a contact list or in a room meanwhile stays there.
//!
//! A server that is killed puts nothing away: then its clients log in anew, and what they have
//! not seen waits in their logs.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use klatsch_cluster::codec;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_store::{StoreError, WaitingSession};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::Sessions;
use crate::router::patiently;
use crate::session::{Arguments, Beginning, SessionMsg, Waiting};
use crate::world::now;

/// So many sessions are put away in one transaction: it ends within some milliseconds.
const PUT_AWAY_AT_ONCE: usize = 500;

/// The shape of what is put away. Another one, of a server before or behind an upgrade, is not
/// read: the first byte decides. Raise it with every change of [`Waiting`].
const SHAPE: u8 = 1;

impl Sessions {
    /// Ends every connection with `<system-shutdown/>`. Sessions that cannot be resumed end and
    /// tell their contacts; the others are put away. It takes this long at most.
    pub async fn shut_down(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        // First those that end: the others hear of it.
        self.let_leave(deadline).await;
        let waiting = self.collect(deadline).await;
        tracing::info!(count = waiting.len(), "sessions wait for the next start");
        if let Err(error) = self.put_away(&waiting).await {
            tracing::warn!(%error, "sessions not put away: their clients log in anew");
        }
        self.end_the_rest(deadline).await;
        if let Err(error) = self.world.accounts.write_cursors().await {
            tracing::warn!(%error, "delivery cursors not written: some messages are delivered again");
        }
    }

    async fn let_leave(&self, deadline: Instant) {
        for ended in self.ask_all(|ended| SessionMsg::Leave(stops(), ended)) {
            // An error is the answer of one that stays.
            if timeout_at(deadline, ended).await.is_err() {
                return;
            }
        }
    }

    async fn collect(&self, deadline: Instant) -> Vec<Waiting> {
        let handed_over = self.ask_all(|heir| SessionMsg::HandOver(stops(), heir));
        let mut waiting = Vec::with_capacity(handed_over.len());
        for session in handed_over {
            // Otherwise it has ended, or its store does not answer in time; those behind it may
            // have answered.
            if let Ok(Ok(session)) = timeout_at(deadline, session).await {
                waiting.push(*session);
            }
        }
        waiting
    }

    /// Sends every session a question of its own.
    fn ask_all<T>(
        &self,
        ask: impl Fn(oneshot::Sender<T>) -> SessionMsg,
    ) -> Vec<oneshot::Receiver<T>> {
        let answers = RefCell::new(Vec::new());
        self.world.directory.slots.send_all(|| {
            let (sender, answer) = oneshot::channel();
            answers.borrow_mut().push(answer);
            ask(sender)
        });
        answers.into_inner()
    }

    async fn put_away(&self, waiting: &[Waiting]) -> Result<(), StoreError> {
        let patience = Duration::from_secs(self.world.settings.resume_seconds);
        let until = now().plus(patience);
        for some in waiting.chunks(PUT_AWAY_AT_ONCE) {
            let some: Vec<WaitingSession> = some.iter().filter_map(written).collect();
            patiently(self.world.store.put_sessions_away(&some, until)).await?;
        }
        Ok(())
    }

    /// Whoever was not quiet in time ends.
    async fn end_the_rest(&self, deadline: Instant) {
        let slots = &self.world.directory.slots;
        slots.send_all(|| SessionMsg::End(stops()));
        let gone = async {
            while !self.world.directory.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout_at(deadline, gone).await.is_err() {
            tracing::warn!("some sessions did not end in time");
        }
    }

    /// Takes up what an earlier run has put away; its clients have as long as those of lost
    /// connections to come back.
    ///
    /// # Errors
    /// As of the store: then nothing is taken up.
    pub(crate) async fn take_up(&self) -> Result<(), StoreError> {
        let put_away = patiently(self.world.store.take_sessions(now())).await?;
        let count = put_away.len();
        let mut taken_up = 0;
        for session in put_away {
            match read(&session.value) {
                Some(waiting) => taken_up += usize::from(self.take_up_one(waiting).await),
                None => {
                    tracing::warn!(jid = %session.account, "a session of another version ends");
                }
            }
        }
        if count > 0 {
            tracing::info!(count, taken_up, "sessions wait for their clients");
        }
        Ok(())
    }

    /// False: its account is gone, or the node cannot take it.
    async fn take_up_one(&self, waiting: Waiting) -> bool {
        let Waiting { session, held } = waiting;
        let jid = session.facts.jid.clone();
        let Ok((cell, _)) = patiently(self.world.accounts.hold(&jid.bare())).await else {
            return false;
        };
        let arguments = Arguments {
            world: self.world.clone(),
            slot: self.reserve(&jid),
            cell: cell.clone(),
            session,
            beginning: Beginning::Waiting(held),
        };
        match self.begin(arguments).await {
            Ok(actor) => {
                // Its rooms know nobody yet.
                let _ = actor.cast(SessionMsg::Announce(None));
                true
            }
            Err(error) => {
                tracing::warn!(%jid, ?error, "a session cannot be taken up");
                self.world.accounts.release(cell);
                false
            }
        }
    }
}

fn stops() -> StreamError {
    StreamError::new(StreamCondition::SystemShutdown)
}

/// One that keeps more than a message between nodes may have is not worth keeping.
fn written(waiting: &Waiting) -> Option<WaitingSession> {
    let mut value = vec![SHAPE];
    value.extend(codec::encode(waiting).ok()?);
    Some(WaitingSession {
        account: waiting.session.facts.jid.bare(),
        value: Bytes::from(value),
    })
}

fn read(value: &[u8]) -> Option<Waiting> {
    let (shape, encoded) = value.split_first()?;
    (*shape == SHAPE).then(|| codec::decode(encoded).ok())?
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::jid::FullJid;
    use klatsch_protocol::stream::Wishes;

    use super::*;
    use crate::session::Session;

    fn waiting() -> Waiting {
        let jid = FullJid::parse("a@x/phone").unwrap();
        let wishes = Wishes {
            carbons: true,
            ..Wishes::default()
        };
        let session = Session::new(jid, wishes, 7);
        Waiting {
            session,
            held: Vec::new(),
        }
    }

    #[test]
    fn what_is_put_away_comes_back_the_same() {
        let written = written(&waiting()).unwrap();
        assert_eq!(written.account.as_str(), "a@x");
        assert_eq!(read(&written.value), Some(waiting()));
    }

    #[test]
    fn what_another_version_has_put_away_is_not_read() {
        let mut value = written(&waiting()).unwrap().value.to_vec();
        value[0] = SHAPE + 1;
        assert_eq!(read(&value), None);
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[SHAPE]), None);
    }

    /// Golden bytes: whoever changes the shape of a session has to raise `SHAPE`.
    #[test]
    fn shape_of_what_is_put_away_is_the_one_that_has_this_number() {
        let value = written(&waiting()).unwrap().value;
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "0101096140782f70686f6e6500000001000000000807000000");
    }
}
