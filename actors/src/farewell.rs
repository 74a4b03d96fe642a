//! What happens when a session has ended, however it ended: its name is free, then its
//! contacts are told.

use std::sync::Arc;

use klatsch_protocol::effect::Effect;
use klatsch_protocol::facts::SessionFacts;
use klatsch_protocol::features::presence;
use tokio::sync::oneshot;

use crate::accounts::AccountCell;
use crate::presence_shard::PresenceShardMsg;
use crate::router;
use crate::slot::Slot;
use crate::world::World;

/// Takes a session's name back and tells its contacts; then its successor may begin.
pub async fn farewell(
    world: Arc<World>,
    slot: Slot,
    cell: Arc<AccountCell>,
    facts: SessionFacts,
    successor: Option<oneshot::Sender<()>>,
) {
    // First the name: whoever looks from now on does not see the session, so nobody is told
    // that it is there after having been told that it has gone.
    unbind(&world, slot, &facts).await;
    let data = cell.data();
    let effects = presence::decide_gone(&world.facts(&cell.jid, &data, Some(&facts)));
    for effect in effects {
        if let Effect::Route(stanza) = effect {
            router::route(&world, &stanza);
        }
    }
    world.directory.slots.release(slot);
    world.accounts.release(cell);
    if let Some(successor) = successor {
        // The successor may have stopped waiting.
        let _ = successor.send(());
    }
}

async fn unbind(world: &World, slot: Slot, facts: &SessionFacts) {
    let (reply, unbound) = oneshot::channel();
    let unbind = PresenceShardMsg::Unbind {
        jid: facts.jid.clone(),
        slot,
        reply: Some(reply),
    };
    if world.shard(facts.jid.bare_str()).cast(unbind).is_ok() {
        // False: a successor has the name already.
        let _ = unbound.await;
    }
}
