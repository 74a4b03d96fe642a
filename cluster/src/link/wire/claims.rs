//! Who may open a connection with whom, so that two nodes end with one.
//!
//! Both ends of a pair dial. Who dials says so (`Open`) only when it has no connection with the
//! other; so an `Open` shows that what the other end still holds is dead, and it is replaced.
//! Only when two dials cross is that conclusion wrong; then the dial of the lower number wins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::membership::Refusal;
use crate::node_id::{Incarnation, Life, NodeId};

/// An `Open` that has crossed ours arrives within this time: the deadline of a handshake.
const CROSSING: Duration = super::handshake::DEADLINE;

/// Number of a connection on this node.
pub(crate) type ConnectionId = u64;

/// Which connections this node has, or is about to have.
#[derive(Debug)]
pub(crate) struct Claims {
    me: NodeId,
    last: ConnectionId,
    held: HashMap<NodeId, Claim>,
    dialling: HashMap<NodeId, Incarnation>,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    id: ConnectionId,
    incarnation: Incarnation,
    is_dialled: bool,
    since: Duration,
}

/// A place for a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The new connection's number.
    pub(crate) id: ConnectionId,
    /// The connection it takes the place of, which is to be ended before.
    pub(crate) before: Option<ConnectionId>,
}

impl Claims {
    pub(crate) fn new(me: NodeId) -> Self {
        Self {
            me,
            last: 0,
            held: HashMap::new(),
            dialling: HashMap::new(),
        }
    }

    /// This node wants to open a connection with another.
    pub(crate) fn dial(&mut self, peer: Life) -> Result<(), Refusal> {
        let held = self.held.get(&peer.node);
        let is_held = held.is_some_and(|held| held.incarnation >= peer.incarnation);
        if is_held || self.dialling.contains_key(&peer.node) {
            return Err(Refusal::Connected);
        }
        self.dialling.insert(peer.node, peer.incarnation);
        Ok(())
    }

    /// What was dialled has come to nothing.
    pub(crate) fn give_up(&mut self, peer: Life) {
        self.dialling.remove(&peer.node);
    }

    /// What was dialled has been accepted.
    pub(crate) fn opened(&mut self, peer: Life, now: Duration) -> Place {
        self.dialling.remove(&peer.node);
        self.hold(peer, true, now)
    }

    /// Another node wants to open a connection with this one.
    pub(crate) fn accept(&mut self, peer: Life, now: Duration) -> Result<Place, Refusal> {
        let ours_wins = self.me < peer.node;
        let is_dialling = self.dialling.contains_key(&peer.node);
        let held = self.held.get(&peer.node);
        let is_crossed = held.is_some_and(|held| {
            let is_same = held.incarnation == peer.incarnation;
            is_same && held.is_dialled && now.saturating_sub(held.since) < CROSSING
        });
        if ours_wins && (is_dialling || is_crossed) {
            return Err(Refusal::Connected);
        }
        Ok(self.hold(peer, false, now))
    }

    /// A connection has ended.
    pub(crate) fn release(&mut self, node: NodeId, id: ConnectionId) {
        if self.held.get(&node).is_some_and(|held| held.id == id) {
            self.held.remove(&node);
        }
    }

    /// The connection with a node.
    pub(crate) fn connection(&self, node: NodeId) -> Option<ConnectionId> {
        self.held.get(&node).map(|held| held.id)
    }

    fn hold(&mut self, peer: Life, is_dialled: bool, now: Duration) -> Place {
        self.last += 1;
        let held = Claim {
            id: self.last,
            incarnation: peer.incarnation,
            is_dialled,
            since: now,
        };
        let before = self.held.insert(peer.node, held);
        Place {
            id: self.last,
            before: before.map(|held| held.id),
        }
    }
}

/// This node's connections, and those who try to make one.
pub(crate) type SharedClaims = Arc<Mutex<Claims>>;

fn lock(claims: &SharedClaims) -> MutexGuard<'_, Claims> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A dial under way; it has come to nothing when this is dropped.
#[derive(Debug)]
pub(crate) struct Dialling {
    claims: SharedClaims,
    peer: Life,
}

/// A connection's place; it is free when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    claims: SharedClaims,
    node: NodeId,
    place: Place,
}

/// Begins to dial.
pub(crate) fn dial(claims: &SharedClaims, peer: Life) -> Result<Dialling, Refusal> {
    lock(claims).dial(peer)?;
    let claims = claims.clone();
    Ok(Dialling { claims, peer })
}

/// Accepts a node that has dialled.
pub(crate) fn accept(claims: &SharedClaims, peer: Life, now: Duration) -> Result<Held, Refusal> {
    let place = lock(claims).accept(peer, now)?;
    Ok(Held {
        claims: claims.clone(),
        node: peer.node,
        place,
    })
}

impl Dialling {
    /// The other node has accepted.
    pub(crate) fn opened(self, now: Duration) -> Held {
        let place = lock(&self.claims).opened(self.peer, now);
        Held {
            claims: self.claims.clone(),
            node: self.peer.node,
            place,
        }
    }
}

impl Drop for Dialling {
    fn drop(&mut self) {
        lock(&self.claims).give_up(self.peer);
    }
}

impl Held {
    /// The connection's number.
    pub(crate) fn id(&self) -> ConnectionId {
        self.place.id
    }

    /// The connection this one takes the place of.
    pub(crate) fn before(&self) -> Option<ConnectionId> {
        self.place.before
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.claims).release(self.node, self.place.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(node: u16, incarnation: u64) -> Life {
        Life {
            node: NodeId(node),
            incarnation: Incarnation(incarnation),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn claims(me: u16) -> Claims {
        Claims::new(NodeId(me))
    }

    #[test]
    fn who_has_a_connection_or_is_dialling_dials_no_second_time() {
        let mut one = claims(1);
        assert_eq!(one.dial(life(2, 1)), Ok(()));
        assert_eq!(one.dial(life(2, 1)), Err(Refusal::Connected));
        one.give_up(life(2, 1));
        assert_eq!(one.dial(life(2, 1)), Ok(()));
        let place = one.opened(life(2, 1), at(0));
        assert_eq!(one.dial(life(2, 1)), Err(Refusal::Connected));
        one.release(NodeId(2), place.id);
        assert_eq!(one.dial(life(2, 1)), Ok(()));
    }

    #[test]
    fn who_opens_replaces_what_the_other_end_still_holds() {
        let mut one = claims(1);
        let first = one.accept(life(2, 1), at(0)).unwrap();
        let second = one.accept(life(2, 1), at(1)).unwrap();
        assert_eq!(second.before, Some(first.id));
        // The end of the first changes nothing any more.
        one.release(NodeId(2), first.id);
        assert_eq!(one.connection(NodeId(2)), Some(second.id));
    }

    #[test]
    fn a_later_life_replaces_at_once() {
        let mut one = claims(1);
        assert_eq!(one.dial(life(2, 1)), Ok(()));
        let first = one.opened(life(2, 1), at(0));
        let second = one.accept(life(2, 2), at(0)).unwrap();
        assert_eq!(second.before, Some(first.id));
    }

    #[test]
    fn of_two_dials_that_cross_that_of_the_lower_number_wins_in_every_order() {
        for order in 0..4 {
            let (mut one, mut two) = (claims(1), claims(2));
            let (a, b) = (life(1, 1), life(2, 1));
            one.dial(b).unwrap();
            two.dial(a).unwrap();
            let mut by_two = None;
            if order % 2 == 0 {
                by_two = Some(one.accept(b, at(0)));
            }
            let by_one = two.accept(a, at(0)).unwrap();
            one.opened(b, at(0));
            if order >= 2 {
                two.give_up(a);
            }
            // The other's word may be there only after ours has been accepted.
            let by_two = by_two.unwrap_or_else(|| one.accept(b, at(1)));
            assert_eq!(by_two, Err(Refusal::Connected));
            two.give_up(a);
            assert_eq!(two.connection(NodeId(1)), Some(by_one.id));
            assert!(one.connection(NodeId(2)).is_some());
        }
    }

    #[test]
    fn a_connection_that_is_not_new_is_replaced_by_whoever_opens() {
        let mut one = claims(1);
        one.dial(life(2, 1)).unwrap();
        let old = one.opened(life(2, 1), at(0));
        assert_eq!(one.accept(life(2, 1), at(4)), Err(Refusal::Connected));
        let new = one.accept(life(2, 1), at(5)).unwrap();
        assert_eq!(new.before, Some(old.id));
    }
}
