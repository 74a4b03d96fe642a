//! Nodes in memory.

use klatsch_protocol::time::Timestamp;

use super::Memory;
use crate::error::{Result, StoreError};
use crate::lives::{KnownNode, Life, Lives, is_name};

impl Lives for Memory {
    async fn join(&self, name: &str, now: Timestamp) -> Result<Life> {
        if !is_name(name) {
            return Err(StoreError::Conflict);
        }
        let mut state = self.state();
        if let Some(known) = state.lives.iter_mut().find(|known| known.name == name) {
            known.life.incarnation += 1;
            known.joined = now;
            return Ok(known.life);
        }
        let last = state.lives.last().map_or(0, |known| known.life.node);
        let life = Life {
            node: last.checked_add(1).ok_or(StoreError::Conflict)?,
            incarnation: 1,
        };
        state.lives.push(KnownNode {
            name: name.to_owned(),
            life,
            joined: now,
        });
        Ok(life)
    }

    async fn known_nodes(&self) -> Result<Vec<KnownNode>> {
        Ok(self.state().lives.clone())
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
}
