//! What operators are shown of the cluster.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;

use crate::link::wire::connection::{Connection, Traffic};
use crate::members::Member;
use crate::membership::Vitals;

/// The cluster as one node sees it.
#[derive(Debug, Clone, Serialize)]
pub struct ClusterStatus {
    /// This node's number.
    pub node: u16,
    /// This node's life.
    pub incarnation: u64,
    /// What operators call it.
    pub name: String,
    /// Where other nodes connect.
    pub listen: SocketAddr,
    /// It has said that it stops.
    pub is_leaving: bool,
    /// Another process runs as this node, in a later life: this one should be stopped.
    pub is_superseded: bool,
    /// The other nodes, by number.
    pub peers: Vec<PeerStatus>,
}

/// Another node as this one sees it.
#[derive(Debug, Clone, Serialize)]
pub struct PeerStatus {
    /// Its number.
    pub node: u16,
    /// Its life, the latest that is known.
    pub incarnation: u64,
    /// What operators call it.
    pub name: String,
    /// `up`, `suspect`, `down` or `leaving`.
    pub state: &'static str,
    /// How long it has been in this state, seconds.
    pub state_seconds: u64,
    /// How long ago it was heard, milliseconds.
    pub heard_ms: u64,
    /// Where it listens, as far as that is known: as it says itself, or where this node has
    /// dialled it.
    pub address: Option<String>,
    /// How long a message and its answer take, microseconds.
    pub round_trip_us: u64,
    /// What waits to be sent, bytes.
    pub queued_bytes: usize,
    /// Messages dropped because too much waited.
    pub overflows: u64,
    /// Messages sent.
    pub sent_envelopes: u64,
    /// Bytes sent, before TLS.
    pub sent_bytes: u64,
    /// Messages received.
    pub received_envelopes: u64,
    /// Bytes received, after TLS.
    pub received_bytes: u64,
}

impl PeerStatus {
    pub(crate) fn new(
        member: &Member,
        vitals: Option<Vitals>,
        connection: Option<&Connection>,
        listens: Option<&str>,
        traffic: &Traffic,
        now: Duration,
    ) -> Self {
        let ago = |when: fn(&Vitals) -> Duration| {
            let when = vitals.as_ref().map_or(now, when);
            now.saturating_sub(when)
        };
        let round_trip = vitals.map_or(Duration::ZERO, |vitals| vitals.round_trip);
        Self {
            node: member.life.node.0,
            incarnation: member.life.incarnation.0,
            name: member.name.to_string(),
            state: member.state.as_str(),
            state_seconds: ago(|vitals| vitals.changed).as_secs(),
            heard_ms: ago(|vitals| vitals.heard).as_millis() as u64,
            address: listens.map(str::to_owned).or_else(|| {
                let dialled = connection.filter(|connection| connection.is_dialled);
                dialled.map(|connection| connection.address.to_string())
            }),
            round_trip_us: round_trip.as_micros() as u64,
            queued_bytes: connection.map_or(0, |connection| connection.outbox().queued_bytes()),
            overflows: traffic.overflows.load(Relaxed),
            sent_envelopes: traffic.sent_envelopes.load(Relaxed),
            sent_bytes: traffic.sent_bytes.load(Relaxed),
            received_envelopes: traffic.received_envelopes.load(Relaxed),
            received_bytes: traffic.received_bytes.load(Relaxed),
        }
    }
}
