//! Sessions that wait for their clients, in memory.

use klatsch_protocol::time::Timestamp;

use super::{Memory, State};
use crate::error::Result;
use crate::waiting::{PutAway, Waiting, WaitingSession};

/// A session, which node has put it away, and until when it waits.
pub(super) type Put = (WaitingSession, Option<u16>, Timestamp);

impl Waiting for Memory {
    async fn put_sessions_away(
        &self,
        node: Option<u16>,
        sessions: &[WaitingSession],
        until: Timestamp,
    ) -> Result<()> {
        let mut state = self.state();
        for session in sessions {
            state.put_away(session, node, until);
        }
        Ok(())
    }

    async fn take_sessions(&self, which: &PutAway, now: Timestamp) -> Result<Vec<WaitingSession>> {
        let mut state = self.state();
        let is_meant = |session: &WaitingSession, node: Option<u16>, until| match which {
            PutAway::All => true,
            PutAway::ByNode(number) => node.is_none_or(|node| node == *number),
            PutAway::One(account, previd) => {
                let is_it = session.previd.is_empty() || session.previd == *previd;
                session.account == *account && is_it
            }
            PutAway::EndingBy(time) => until <= *time,
        };
        let all = std::mem::take(&mut state.waiting);
        let (taken, left) = all
            .into_iter()
            .partition(|(session, node, until)| is_meant(session, *node, *until));
        state.waiting = left;
        let taken: Vec<Put> = taken;
        let in_time = taken.into_iter().filter(|(.., until)| *until > now);
        let may_log_in = |session: &WaitingSession| {
            let life = state.accounts.get(&session.account);
            life.is_some_and(|life| !life.account.disabled)
        };
        Ok(in_time
            .map(|(session, ..)| session)
            .filter(may_log_in)
            .collect())
    }
}

impl State {
    pub(super) fn put_away(
        &mut self,
        session: &WaitingSession,
        node: Option<u16>,
        until: Timestamp,
    ) {
        let life = self.accounts.get(&session.account);
        if life.is_some_and(|life| !life.account.disabled) {
            self.waiting.push((session.clone(), node, until));
        }
    }
}
