//! Sessions that wait for their clients, in memory.

use klatsch_protocol::time::Timestamp;

use super::Memory;
use crate::error::Result;
use crate::waiting::{Waiting, WaitingSession};

impl Waiting for Memory {
    async fn put_sessions_away(&self, sessions: &[WaitingSession], until: Timestamp) -> Result<()> {
        let mut state = self.state();
        for session in sessions {
            let life = state.accounts.get(&session.account);
            if life.is_some_and(|life| !life.account.disabled) {
                state.waiting.push((session.clone(), until));
            }
        }
        Ok(())
    }

    async fn take_sessions(&self, now: Timestamp) -> Result<Vec<WaitingSession>> {
        let mut state = self.state();
        let all = std::mem::take(&mut state.waiting);
        let in_time = all.into_iter().filter(|(_, until)| *until > now);
        let may_log_in = |session: &WaitingSession| {
            let life = state.accounts.get(&session.account);
            life.is_some_and(|life| !life.account.disabled)
        };
        Ok(in_time
            .map(|(session, _)| session)
            .filter(may_log_in)
            .collect())
    }
}
