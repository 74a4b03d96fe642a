//! Browsers that are told, in memory.

use klatsch_protocol::features::web_push::Registration;
use klatsch_protocol::jid::BareJid;

use super::Memory;
use crate::error::{Result, StoreError};
use crate::web_push::{BROWSERS_MAX, WebPushes};

impl WebPushes for Memory {
    async fn web_push(&self, owner: &BareJid, node: &str) -> Result<Option<Registration>> {
        let found = self.read(owner, |life| {
            life.web_push.iter().find(|it| it.node == node).cloned()
        });
        Ok(found.unwrap_or_default())
    }

    async fn register_web_push(&self, it: &Registration) -> Result<()> {
        let mut state = self.state();
        if !state.accounts.contains_key(&it.owner) {
            return Err(StoreError::NoSuchAccount);
        }
        for life in state.accounts.values_mut() {
            life.web_push.retain(|known| known.endpoint != it.endpoint);
        }
        if let Some(life) = state.accounts.get_mut(&it.owner) {
            let browsers = &mut life.web_push;
            browsers.push(it.clone());
            browsers.drain(..browsers.len().saturating_sub(BROWSERS_MAX));
        }
        Ok(())
    }

    async fn forget_web_push(&self, owner: &BareJid, node: &str) -> Result<()> {
        self.change(owner, |life| {
            life.web_push.retain(|it| it.node != node);
            Ok(())
        })
    }
}
