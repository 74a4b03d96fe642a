//! Devices that are told, in memory.

use klatsch_protocol::features::push::{PushChange, Registration};
use klatsch_protocol::jid::BareJid;

use super::Memory;
use crate::error::Result;
use crate::push::{Pushes, REGISTRATIONS_MAX};

impl Pushes for Memory {
    async fn registrations(&self, account: &BareJid) -> Result<Vec<Registration>> {
        let found = self.read(account, |life| life.push.clone());
        Ok(found.unwrap_or_default())
    }

    async fn change_push(&self, account: &BareJid, change: PushChange) -> Result<()> {
        self.change(account, |life| {
            let push = &mut life.push;
            match change {
                PushChange::Enable(it) => {
                    push.retain(|known| (&known.service, &known.node) != (&it.service, &it.node));
                    push.push(it);
                    push.drain(..push.len().saturating_sub(REGISTRATIONS_MAX));
                }
                PushChange::Disable(service, node) => push.retain(|known| {
                    let is_it = node.as_ref().is_none_or(|node| *node == known.node);
                    known.service != service || !is_it
                }),
            }
            Ok(())
        })
    }
}
