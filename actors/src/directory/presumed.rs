//! Sessions of other nodes that have said something, or are inside a room, before their node has
//! shown them: what nodes show each other is a tenth of a second late and comes shard by shard,
//! and an answer must not be lost for that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::FullJid;
use tokio::time::Instant;

/// By then a session is shown, or it is gone.
const PRESUMED: Duration = Duration::from_secs(2);

/// So many are remembered: more than come to a node in a tenth of a second, and about as many as
/// are inside rooms on a node that is back from behind a cut. The others are found once they are
/// shown.
const PRESUMED_MAX: usize = 100_000;

/// The sessions.
#[derive(Default)]
pub(super) struct Presumed {
    sessions: Mutex<HashMap<FullJid, (NodeId, Instant)>>,
    /// There are any: nearly always there are none, and everybody asks.
    are_any: AtomicBool,
}

impl Presumed {
    /// A session has said something by way of this node.
    pub(super) fn note(&self, session: &FullJid, node: NodeId) {
        let mut all = self.all();
        if all.len() < PRESUMED_MAX {
            all.insert(session.clone(), (node, Instant::now()));
            self.are_any.store(true, Ordering::Release);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<FullJid, (NodeId, Instant)>> {
        self.sessions.lock().expect("no holder panics")
    }

    /// Where a session is that is not shown there yet.
    pub(super) fn node(&self, session: &FullJid) -> Option<NodeId> {
        if !self.are_any.load(Ordering::Acquire) {
            return None;
        }
        let all = self.all();
        let known = all.get(session)?;
        (known.1.elapsed() < PRESUMED).then_some(known.0)
    }

    /// It is not on such a node.
    pub(super) fn forget_if(&self, session: &FullJid, is_not_there: impl Fn(NodeId) -> bool) {
        let mut all = self.all();
        if all
            .get(session)
            .is_some_and(|(node, _)| is_not_there(*node))
        {
            all.remove(session);
            self.are_any.store(!all.is_empty(), Ordering::Release);
        }
    }

    /// Those of a node that is lost.
    pub(super) fn take_of(&self, node: NodeId) -> Vec<FullJid> {
        let mut all = self.all();
        let mut taken = Vec::new();
        all.retain(|session, (of, _)| {
            let stays = *of != node;
            if !stays {
                taken.push(session.clone());
            }
            stays
        });
        self.are_any.store(!all.is_empty(), Ordering::Release);
        taken
    }

    /// Forgets those of whom nothing has been shown for too long.
    pub(super) fn sweep(&self, now: Instant) {
        let mut all = self.all();
        all.retain(|_, (_, since)| now.duration_since(*since) < PRESUMED);
        self.are_any.store(!all.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_is_presumed_until_it_would_have_been_shown() {
        let presumed = Presumed::default();
        let session = FullJid::parse("a@x/r").unwrap();
        presumed.note(&session, NodeId(2));
        assert_eq!(presumed.node(&session), Some(NodeId(2)));
        tokio::time::advance(PRESUMED).await;
        presumed.sweep(Instant::now());
        assert_eq!(presumed.node(&session), None);
    }

    #[tokio::test(start_paused = true)]
    async fn with_its_node_a_presumed_session_is_gone() {
        let presumed = Presumed::default();
        let session = FullJid::parse("a@x/r").unwrap();
        presumed.note(&session, NodeId(2));
        assert!(presumed.take_of(NodeId(3)).is_empty());
        assert_eq!(presumed.take_of(NodeId(2)), [session]);
        assert!(presumed.take_of(NodeId(2)).is_empty());
    }
}
