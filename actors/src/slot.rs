//! Slots: where a session is found, live or, later, hibernated.
//!
//! Nobody keeps a reference to a session's actor: they keep its slot. A slot that is used
//! again has another generation, so that old mail finds nobody instead of somebody else.

use std::sync::RwLock;

use ractor::{ActorId, ActorRef};

use crate::session::SessionMsg;

/// Where a session is found on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    index: u32,
    generation: u32,
}

/// Slots are spread over this many locks, so that lookups hardly ever meet.
const STRIPES: usize = 64;

/// All slots of a node.
pub struct Slots {
    stripes: Vec<RwLock<Stripe>>,
}

#[derive(Default)]
struct Stripe {
    cells: Vec<Cell>,
    free: Vec<u32>,
}

struct Cell {
    generation: u32,
    actor: Option<ActorRef<SessionMsg>>,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| RwLock::default()).collect(),
        }
    }
}

impl Slots {
    /// Takes a free slot for a session whose actor is about to be started. `spread` decides
    /// on the stripe.
    pub fn reserve(&self, spread: u64) -> Slot {
        let stripe_index = (spread as usize % STRIPES) as u32;
        let mut stripe = self.stripe(stripe_index).write().expect("no holder panics");
        let cell_index = stripe.free.pop().unwrap_or_else(|| {
            stripe.cells.push(Cell {
                generation: 0,
                actor: None,
            });
            stripe.cells.len() as u32 - 1
        });
        let generation = stripe.cells[cell_index as usize].generation;
        Slot {
            index: cell_index * STRIPES as u32 + stripe_index,
            generation,
        }
    }

    /// Puts the session's actor into its slot.
    pub fn fill(&self, slot: Slot, actor: ActorRef<SessionMsg>) {
        let mut stripe = self.stripe(slot.index).write().expect("no holder panics");
        if let Some(cell) = stripe.cells.get_mut(slot.index as usize / STRIPES)
            && cell.generation == slot.generation
        {
            cell.actor = Some(actor);
        }
    }

    /// The session's actor, if the slot is still its own.
    pub fn get(&self, slot: Slot) -> Option<ActorRef<SessionMsg>> {
        let stripe = self.stripe(slot.index).read().expect("no holder panics");
        let cell = stripe.cells.get(slot.index as usize / STRIPES)?;
        (cell.generation == slot.generation)
            .then(|| cell.actor.clone())
            .flatten()
    }

    /// Sends to the session; tells whether somebody was there.
    pub fn send(&self, slot: Slot, message: SessionMsg) -> bool {
        self.get(slot)
            .is_some_and(|actor| actor.cast(message).is_ok())
    }

    /// Gives the slot back. Giving it back twice does nothing.
    pub fn release(&self, slot: Slot) {
        let mut stripe = self.stripe(slot.index).write().expect("no holder panics");
        let cell_index = slot.index / STRIPES as u32;
        let Some(cell) = stripe.cells.get_mut(cell_index as usize) else {
            return;
        };
        if cell.generation != slot.generation {
            return;
        }
        cell.generation = cell.generation.wrapping_add(1);
        cell.actor = None;
        stripe.free.push(cell_index);
    }

    /// The slot of an actor. Looks through all of them: for what hardly ever happens.
    pub fn find(&self, actor: ActorId) -> Option<Slot> {
        self.stripes
            .iter()
            .enumerate()
            .find_map(|(stripe_index, stripe)| {
                let stripe = stripe.read().expect("no holder panics");
                let is_it =
                    |cell: &Cell| cell.actor.as_ref().is_some_and(|it| it.get_id() == actor);
                let index = stripe.cells.iter().position(is_it)?;
                let generation = stripe.cells[index].generation;
                Some(Slot {
                    index: (index * STRIPES + stripe_index) as u32,
                    generation,
                })
            })
    }

    /// Sends a message of its own to every session on this node.
    pub fn send_all(&self, message: impl Fn() -> SessionMsg) {
        for stripe in &self.stripes {
            let stripe = stripe.read().expect("no holder panics");
            for actor in stripe.cells.iter().filter_map(|cell| cell.actor.as_ref()) {
                // A session that has just ended needs no message.
                let _ = actor.cast(message());
            }
        }
    }

    fn stripe(&self, index: u32) -> &RwLock<Stripe> {
        &self.stripes[index as usize % STRIPES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_used_again_is_another_one() {
        let slots = Slots::default();
        let first = slots.reserve(7);
        slots.release(first);
        let second = slots.reserve(7);
        assert_eq!(first.index, second.index);
        assert_ne!(first, second);
    }

    #[test]
    fn giving_a_slot_back_twice_does_not_give_it_to_two() {
        let slots = Slots::default();
        let slot = slots.reserve(1);
        slots.release(slot);
        slots.release(slot);
        assert_ne!(slots.reserve(1), slots.reserve(1));
    }

    #[test]
    fn slots_of_different_stripes_do_not_meet() {
        let slots = Slots::default();
        let all: std::collections::HashSet<u32> =
            (0..1000).map(|n| slots.reserve(n).index).collect();
        assert_eq!(all.len(), 1000);
    }
}
