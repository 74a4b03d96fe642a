//! How a node leaves: it says so, rooms go elsewhere, and its sessions are handed over.
//!
//! The handing over itself is the actors'; [`hand_over`] is the one place that calls it.

use super::commands::Nodes;
use klatsch_actors::sessions::Sessions;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// How long a node that stops at the end may take to put its sessions away.
const PUT_AWAY_MAX: Duration = Duration::from_secs(10);

/// How far a node has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainStatus {
    /// Sessions still here.
    pub sessions: u64,
    /// Rooms still here.
    pub rooms: u64,
    /// Is everything done that was asked for, but for the stop?
    pub is_done: bool,
}

/// Has a node leave, once.
pub struct Drain {
    nodes: Arc<dyn Nodes>,
    sessions: Sessions,
    progress: Arc<Progress>,
    end: watch::Sender<bool>,
}

#[derive(Default)]
struct Progress {
    is_under_way: AtomicBool,
    is_done: AtomicBool,
}

impl Drain {
    /// Nothing happens yet. `end` is set when the server is to stop.
    pub fn new(nodes: Arc<dyn Nodes>, sessions: Sessions, end: watch::Sender<bool>) -> Self {
        Self {
            nodes,
            sessions,
            progress: Arc::default(),
            end,
        }
    }

    /// Begins, unless it has begun; tells how far it is. That it is done is told once: whoever
    /// asks after that has it begin again, for clients may have come meanwhile.
    pub fn go_on(&self, stop: bool) -> DrainStatus {
        let is_done = self.progress.is_done.swap(false, Ordering::AcqRel);
        if !is_done && !self.progress.is_under_way.swap(true, Ordering::AcqRel) {
            self.begin(stop);
        }
        DrainStatus {
            is_done,
            sessions: self.sessions.count_here() as u64,
            rooms: self.sessions.world().directory.rooms().len() as u64,
        }
    }

    fn begin(&self, stop: bool) {
        tracing::info!(stop, "this node leaves the cluster");
        self.nodes.leave();
        let sessions = self.sessions.clone();
        let progress = Arc::clone(&self.progress);
        let end = self.end.clone();
        tokio::spawn(async move {
            hand_over(&sessions, stop).await;
            // Without a stop it may be asked again, with one.
            progress.is_under_way.store(stop, Ordering::Release);
            progress.is_done.store(true, Ordering::Release);
            if stop {
                end.send_replace(true);
            }
        });
    }
}

/// Hands the sessions of a node that leaves over. One that stops puts away what no other node
/// takes, for its next start; one that does not keeps it.
pub async fn hand_over(sessions: &Sessions, stop: bool) {
    sessions.hand_over_all().await;
    if stop {
        sessions.shut_down(PUT_AWAY_MAX).await;
    }
}
