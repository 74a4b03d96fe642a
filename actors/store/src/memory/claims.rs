//! Claims to sessions, in memory.

use klatsch_protocol::time::Timestamp;

use super::Memory;
use crate::claims::{Claim, Claims, Standing, oldest};
use crate::error::Result;
use crate::waiting::WaitingSession;

/// A claim, whether it is pressed, and when it was made.
pub(super) type Held = (Claim, bool, Timestamp);

impl Claims for Memory {
    async fn claim_session(&self, claim: &Claim, now: Timestamp) -> Result<()> {
        let claims = &mut self.state().claims;
        claims.retain(|(other, ..)| other.previd != claim.previd);
        claims.push((claim.clone(), false, now));
        Ok(())
    }

    async fn claims_on(&self, node: u16, now: Timestamp) -> Result<Vec<Claim>> {
        let state = self.state();
        let open = state.claims.iter().filter(|(claim, _, made)| {
            let is_late = *made < oldest(now);
            claim.node == node && !is_late
        });
        Ok(open.map(|(claim, ..)| claim.clone()).collect())
    }

    async fn press_claim(&self, previd: &str) -> Result<bool> {
        let claims = &mut self.state().claims;
        let found = claims.iter_mut().find(|(it, ..)| it.previd == previd);
        Ok(found.map(|(_, is_pressed, _)| *is_pressed = true).is_some())
    }

    async fn give_session(
        &self,
        claim: &Claim,
        session: &WaitingSession,
        until: Timestamp,
    ) -> Result<Standing> {
        let mut state = self.state();
        let is_it = |it: &Claim| it.previd == claim.previd && it.node == claim.node;
        let found = state.claims.iter().position(|(it, ..)| is_it(it));
        let standing = Standing::of(found.map(|index| state.claims.remove(index).1));
        if standing == Standing::Waits {
            state.put_away(session, Some(claim.node), until);
        }
        Ok(standing)
    }

    async fn answer_claim(&self, previd: &str, now: Timestamp) -> Result<Standing> {
        let claims = &mut self.state().claims;
        claims.retain(|(_, _, made)| *made >= oldest(now));
        let found = claims.iter().position(|(it, ..)| it.previd == previd);
        Ok(Standing::of(found.map(|index| claims.remove(index).1)))
    }
}
