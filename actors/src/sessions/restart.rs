//! Sessions over a restart of the server: what can be resumed is put away in the store when
//! the server stops, and waits for its client again when it has started (XEP-0198 §5). Who is
//! in a contact list or in a room meanwhile stays there.
//!
//! A node of a cluster takes up what it has put away itself. What another has put away waits for
//! that one, unless its client comes here, or the other is away for long.
//!
//! A server that is killed puts nothing away: then its clients log in anew, and what they have
//! not seen waits in their logs.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use klatsch_cluster::codec;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_protocol::time::Timestamp;
use klatsch_store::claims::Standing;
use klatsch_store::{Claim, PutAway, StoreError, WaitingSession};
use ractor::ActorRef;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::Sessions;
use super::bind::Name;
use crate::claims;
use crate::router::patiently;
use crate::session::{Arguments, Beginning, Left, SessionMsg, Waiting};
use crate::world::now;

/// So many sessions are put away in one transaction: it ends within some milliseconds.
const PUT_AWAY_AT_ONCE: usize = 500;

/// The shape of what is put away. Another one, of a server before or behind an upgrade, is not
/// read: the first byte decides. Raise it with every change of [`Waiting`].
const SHAPE: u8 = 1;

/// A node that is started again is back within this time, and takes up its own sessions.
const BACK_WITHIN: Duration = Duration::from_secs(60);

impl Sessions {
    /// Ends every connection with `<system-shutdown/>`. Sessions that cannot be resumed end and
    /// tell their contacts; the others are put away. It takes this long at most.
    pub async fn shut_down(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        // First those that end: the others hear of it.
        self.let_leave(deadline).await;
        let sessions = self.sessions_here();
        let hosts = self.client_hosts().await;
        let departing = self.hand_over_these(&sessions, &hosts, deadline).await;
        tracing::info!(count = departing.len(), "sessions wait for the next start");
        let waiting: Vec<_> = departing.iter().map(|it| &it.waiting).collect();
        if let Err(error) = self.put_away(&waiting).await {
            tracing::warn!(%error, "sessions not put away: their clients log in anew");
        }
        for departing in &departing {
            self.tell(departing.slot, Left::ToStore);
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

    /// Puts sessions away in the store, for whoever their clients come to.
    ///
    /// # Errors
    /// As of the store: then some may be there all the same.
    async fn put_away(&self, waiting: &[&Waiting]) -> Result<(), StoreError> {
        let (node, until) = (self.number(), self.waits_until());
        for some in waiting.chunks(PUT_AWAY_AT_ONCE) {
            let some: Vec<WaitingSession> = some.iter().copied().filter_map(written).collect();
            patiently(self.world.store.put_sessions_away(node, &some, until)).await?;
        }
        Ok(())
    }

    /// Puts a session away for whoever claims it and waits for it; answers what stood of the claim.
    ///
    /// # Errors
    /// As of the store.
    pub(crate) async fn put_away_for(
        &self,
        claim: &Claim,
        waiting: &Waiting,
    ) -> Result<Standing, StoreError> {
        let store = &self.world.store;
        match written(waiting) {
            Some(session) => {
                let until = self.waits_until();
                store.give_session(claim, &session, until).await
            }
            None => store.answer_claim(&claim.previd, now()).await,
        }
    }

    /// What is put away now waits so long for its client.
    fn waits_until(&self) -> Timestamp {
        now().plus(Duration::from_secs(self.world.settings.resume_seconds))
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

    /// This node's number, if there are others.
    fn number(&self) -> Option<u16> {
        let peers = self.world.directory.peers()?;
        Some(peers.members().me.node.0)
    }

    /// Takes up what an earlier run has put away; its clients have as long as those of lost
    /// connections to come back.
    ///
    /// # Errors
    /// As of the store: then nothing is taken up.
    pub(crate) async fn take_up(&self) -> Result<(), StoreError> {
        let own = self.number().map_or(PutAway::All, PutAway::ByNode);
        self.take_up_these(&own, "").await
    }

    /// Takes up the session of an account whose client has come, whichever node has put it away.
    /// The other sessions of the account wait for theirs, which may come to other nodes.
    pub(super) async fn take_up_one_of(&self, account: &BareJid, previd: &str) {
        let its = PutAway::One(account.clone(), previd.to_owned());
        if let Err(error) = self.take_up_these(&its, previd).await {
            tracing::warn!(%error, "no session taken up");
        }
    }

    /// Takes up what other nodes have put away and do not come back for, as long as there are
    /// others: whoever sees those sessions is to see their end.
    pub(crate) async fn take_up_left(&self) {
        if self.number().is_none() {
            return;
        }
        let kept = Duration::from_secs(self.world.settings.resume_seconds);
        let back_within = BACK_WITHIN.min(kept / 2);
        loop {
            sleep(back_within).await;
            let left = PutAway::EndingBy(now().plus(kept - back_within));
            if let Err(error) = self.take_up_these(&left, "").await {
                tracing::debug!(%error, "no sessions of other nodes taken up");
            }
        }
    }

    /// A session that has begun meanwhile keeps its name, on whichever node, unless a client wants
    /// this one.
    async fn take_up_these(&self, which: &PutAway, wanted: &str) -> Result<(), StoreError> {
        let name_of = |waiting: &Waiting| match &waiting.session.sm {
            Some(sm) if sm.id == wanted => Name::Taken,
            _ => Name::IfFree,
        };
        claims::end_older(self).await;
        let put_away = patiently(self.world.store.take_sessions(which, now())).await?;
        let count = put_away.len();
        let mut taken_up = 0;
        for session in put_away {
            match read(&session.value) {
                Some(waiting) => {
                    let name = name_of(&waiting);
                    taken_up += usize::from(self.take_up_as(waiting, name).await.is_some());
                }
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

    /// Goes on with a session; nothing: its account is gone, or the node cannot take it.
    pub(crate) async fn take_up_one(&self, waiting: Waiting) -> Option<ActorRef<SessionMsg>> {
        self.take_up_as(waiting, Name::Taken).await
    }

    async fn take_up_as(&self, waiting: Waiting, name: Name) -> Option<ActorRef<SessionMsg>> {
        let Waiting { session, held } = waiting;
        let jid = session.facts.jid.clone();
        let account = patiently(self.world.accounts.hold(&jid.bare())).await;
        let (cell, _) = account.ok()?;
        let arguments = Arguments {
            world: self.world.clone(),
            slot: self.reserve(&jid),
            cell: cell.clone(),
            session,
            beginning: Beginning::Waiting(held),
        };
        match self.begin(arguments, name).await {
            Ok(actor) => {
                // Its rooms know nobody yet.
                let _ = actor.cast(SessionMsg::Announce(None));
                Some(actor)
            }
            Err(error) => {
                match name {
                    Name::IfFree => tracing::info!(%jid, ?error, "a session is not taken up"),
                    Name::Taken => tracing::warn!(%jid, ?error, "a session cannot be taken up"),
                }
                self.world.accounts.release(cell);
                None
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
        previd: waiting.session.previd().unwrap_or_default().to_owned(),
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
