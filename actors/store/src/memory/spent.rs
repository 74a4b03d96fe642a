//! Marks in memory.

use klatsch_protocol::time::Timestamp;

use super::Memory;
use crate::error::Result;
use crate::spent::{Spent, SpentHash};

impl Spent for Memory {
    async fn spend(&self, hash: SpentHash, until: Timestamp, now: Timestamp) -> Result<bool> {
        let spent = &mut self.state().spent;
        spent.retain(|_, until| *until > now);
        Ok(spent.insert(hash, until).is_none())
    }
}
