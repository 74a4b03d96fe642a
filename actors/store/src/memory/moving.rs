//! Logs that keep the ids they had elsewhere, in memory.

use klatsch_protocol::jid::BareJid;

use super::Memory;
use crate::error::{Result, StoreError};
use crate::moving::Moving;

impl Moving for Memory {
    async fn skip_ids(&self, account: &BareJid, through: u64) -> Result<()> {
        self.change(account, |life| {
            life.log.skip(through);
            Ok(())
        })
    }

    async fn skip_room_ids(&self, room: &BareJid, through: u64) -> Result<()> {
        let mut state = self.state();
        let held = state.rooms.get_mut(room).ok_or(StoreError::NoSuchRoom)?;
        held.log.skip(through);
        Ok(())
    }
}
