//! What happens when a session has ended, however it ended: its name is free, then its
//! contacts are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use klatsch_protocol::effect::{Change, Effect};
use klatsch_protocol::facts::SessionFacts;
use klatsch_protocol::features::{last_activity, presence};
use klatsch_protocol::jid::{FullJid, Jid};
use klatsch_protocol::stanza::{Head, Presence, PresenceKind};
use klatsch_store::StoreError;
use tokio::sync::oneshot;

use crate::absence;
use crate::accounts::AccountCell;
use crate::directory::Place;
use crate::presence_shard::PresenceShardMsg;
use crate::room;
use crate::router::{self, Way, patiently};
use crate::slot::Slot;
use crate::world::World;

/// Takes a session's name back and tells its contacts; then its successor may begin.
pub async fn farewell(
    world: Arc<World>,
    slot: Slot,
    cell: Arc<AccountCell>,
    facts: SessionFacts,
    rooms: Vec<Jid>,
    successor: Option<oneshot::Sender<()>>,
) {
    // First the name: whoever looks from now on does not see the session, so nobody is told
    // that it is there after having been told that it has gone.
    unbind(&world, slot, &facts).await;
    let mut left: BTreeSet<Jid> = rooms.into_iter().collect();
    left.extend(tell_contacts(&world, &cell, &facts));
    if let Some(Place::There(_)) = world.directory.place(&facts.jid) {
        // It went on elsewhere, behind a cut: that it has gone is not true.
        absence::tell_again(&world, facts.jid.clone());
    }
    leave_rooms(&world, &facts, left).await;
    note_last_activity(&world, &cell, &facts).await;
    world.directory.slots.release(slot);
    world.accounts.release(cell);
    if let Some(successor) = successor {
        // The successor may have stopped waiting.
        let _ = successor.send(());
    }
}

/// Tells the contacts of a session, wherever they are, that it has gone, which it cannot do any
/// more: it was lost on its way to another node. Whom it had sent directed presence is not known.
pub(crate) async fn tell_in_its_name(world: &Arc<World>, jid: FullJid, presence: Arc<Presence>) {
    let Ok(cell) = patiently(world.accounts.get(&jid.bare())).await else {
        // Whoever is here at least is told: what they see is at hand.
        absence::tell_contacts_of(world, vec![jid]);
        return;
    };
    let facts = SessionFacts {
        presence: Some(Box::new((*presence).clone())),
        ..SessionFacts::new(jid)
    };
    tell_contacts(world, &cell, &facts);
}

/// Tells all who have seen the session; answers the rooms it was about to enter, which hear of it
/// as those do that it was in.
fn tell_contacts(world: &Arc<World>, cell: &AccountCell, facts: &SessionFacts) -> Vec<Jid> {
    let data = cell.data();
    let facts = world.facts(&cell.jid, &data, Some(facts));
    let mut rooms = Vec::new();
    for effect in presence::decide_gone(&facts) {
        match effect {
            Effect::Spread(presence) => router::spread(world, &presence, &facts),
            Effect::Route(stanza) if router::route(world, &stanza) == Way::Room => {
                rooms.extend(stanza.to().cloned());
            }
            _ => {}
        }
    }
    rooms
}

/// A room must not keep an occupant whose session has ended (XEP-0045 §7.14).
async fn leave_rooms(world: &Arc<World>, facts: &SessionFacts, rooms: BTreeSet<Jid>) {
    for occupant in rooms {
        if is_inside_again(world, &occupant, facts) {
            continue;
        }
        let head = Head {
            to: Some(occupant),
            from: Some(facts.jid.clone().into()),
            ..Head::default()
        };
        let goes = Presence {
            head,
            kind: PresenceKind::Unavailable,
            ..Presence::default()
        };
        // What became of it concerns nobody any more.
        let _ = room::ask::deliver(world, Arc::new(goes.into()), None, None).await;
    }
}

/// Whether a successor, here or on another node, has entered under the name by now: its own stay
/// goes on.
fn is_inside_again(world: &World, occupant: &Jid, facts: &SessionFacts) -> bool {
    let replica = world.directory.replica();
    replica.is_some_and(|it| it.is_inside(&occupant.bare(), &facts.jid))
}

/// XEP-0012 §3, for a session that has ended without saying anything before.
async fn note_last_activity(world: &World, cell: &AccountCell, facts: &SessionFacts) {
    let data = cell.data();
    let change = last_activity::gone(None, &world.facts(&cell.jid, &data, Some(facts)));
    let Some(change) = change.filter(|_| facts.presence.is_some()) else {
        return;
    };
    let kept = patiently(world.accounts.change(cell, &data, Change::Kept(change))).await;
    match kept {
        // Removed accounts end with their sessions.
        Ok(()) | Err(StoreError::NoSuchAccount) => {}
        Err(error) => tracing::warn!(jid = %cell.jid, %error, "last activity is not kept"),
    }
}

async fn unbind(world: &World, slot: Slot, facts: &SessionFacts) {
    let (reply, unbound) = oneshot::channel();
    let unbind = PresenceShardMsg::Unbind {
        jid: facts.jid.clone(),
        slot,
        lingers: None,
        reply: Some(reply),
    };
    if world.shard(facts.jid.bare_str()).cast(unbind).is_ok() {
        // False: a successor has the name already.
        let _ = unbound.await;
    }
}
