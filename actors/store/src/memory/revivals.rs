//! Sessions that went on without their node, in memory.

use klatsch_protocol::time::Timestamp;

use super::Memory;
use crate::error::Result;
use crate::revivals::{Revival, Revivals, oldest};

impl Revivals for Memory {
    async fn note_revival(&self, revival: &Revival, now: Timestamp) -> Result<()> {
        self.state().revivals.push((revival.clone(), now));
        Ok(())
    }

    async fn take_revivals(&self, node: u16, now: Timestamp) -> Result<Vec<Revival>> {
        let mut state = self.state();
        let all = std::mem::take(&mut state.revivals);
        let kept = all.into_iter().filter(|(_, noted)| *noted >= oldest(now));
        let (taken, left): (Vec<_>, Vec<_>) = kept.partition(|(it, _)| it.node == node);
        state.revivals = left;
        Ok(taken.into_iter().map(|(revival, _)| revival).collect())
    }
}
