//! One connection with another node, from its handshake to its end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ractor::{ActorCell, ActorRef};
use ractor_cluster::NodeSessionMessage;
use tokio::sync::{Notify, watch};

use super::batch::Token;
use super::claims::{ConnectionId, Held};
use super::handshake::Agreed;
use super::outbox::Outbox;
use crate::node_id::Life;

/// What has gone to and come from a node, over all its connections in this life of ours.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent_envelopes: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) received_envelopes: AtomicU64,
    pub(crate) received_bytes: AtomicU64,
    pub(crate) overflows: AtomicU64,
}

impl Traffic {
    pub(crate) fn add(counter: &AtomicU64, more: usize) {
        counter.fetch_add(more as u64, Relaxed);
    }
}

/// One connection with another node.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) life: Life,
    pub(crate) name: Box<str>,
    pub(crate) address: SocketAddr,
    /// This node has dialled, so the other listens there.
    pub(crate) is_dialled: bool,
    pub(crate) token: Token,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) round_trip: std::time::Duration,
    outbox: Mutex<Outbox>,
    wake: Notify,
    actor: OnceLock<ActorRef<NodeSessionMessage>>,
    is_live: AtomicBool,
    is_ended: watch::Sender<bool>,
    held: Mutex<Option<Held>>,
}

impl Connection {
    pub(crate) fn new(
        agreed: Agreed,
        address: SocketAddr,
        traffic: Arc<Traffic>,
        queue_bytes_max: usize,
    ) -> Self {
        Self {
            id: agreed.place.id(),
            life: agreed.peer.life,
            name: agreed.peer.name.into(),
            address,
            is_dialled: agreed.is_dialled,
            token: agreed.token,
            traffic,
            round_trip: agreed.round_trip,
            outbox: Mutex::new(Outbox::new(agreed.peer.token, queue_bytes_max)),
            wake: Notify::new(),
            actor: OnceLock::new(),
            is_live: AtomicBool::new(false),
            is_ended: watch::Sender::new(false),
            held: Mutex::new(Some(agreed.place)),
        }
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something may have to go.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// ractor_cluster has made an actor for this connection.
    pub(crate) fn began(&self, actor: ActorRef<NodeSessionMessage>) {
        if self.has_ended() {
            actor.stop(None);
        }
        let _ = self.actor.set(actor);
        // It may have ended in between.
        if self.has_ended() {
            self.stop();
        }
    }

    /// Marks that the other node lives by this connection; tells whether that is new.
    pub(crate) fn becomes_live(&self) -> bool {
        !self.is_live.swap(true, Relaxed)
    }

    pub(crate) fn is_live(&self) -> bool {
        self.is_live.load(Relaxed)
    }

    /// Has ractor_cluster end it.
    pub(crate) fn stop(&self) {
        if let Some(actor) = self.actor.get() {
            actor.stop(None);
        }
    }

    /// It has ended; tells whether that is new.
    pub(crate) fn ends(&self) -> bool {
        let was_ended = self.is_ended.send_replace(true);
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.wake();
        !was_ended
    }

    pub(crate) fn has_ended(&self) -> bool {
        *self.is_ended.borrow()
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) {
        let mut is_ended = self.is_ended.subscribe();
        // The sender lives as long as the connection.
        let _ = is_ended.wait_for(|is_ended| *is_ended).await;
    }

    /// Hands what waits to ractor_cluster until the connection ends.
    pub(crate) async fn pump(
        self: Arc<Self>,
        router: ActorCell,
        now: impl Fn() -> std::time::Duration,
    ) {
        while !self.has_ended() {
            loop {
                // The lock is let go before anything is handed on.
                let sending = self.outbox().next(now());
                let Some(sending) = sending else { break };
                Traffic::add(&self.traffic.sent_envelopes, sending.envelopes);
                Traffic::add(&self.traffic.sent_bytes, sending.bytes.len());
                crate::metrics::sent(sending.envelopes, sending.bytes.len());
                if router
                    .send_serialized(super::router::cast(sending.bytes))
                    .is_err()
                {
                    return self.stop();
                }
            }
            self.wake.notified().await;
        }
    }
}
