//! JSON channels for integrators: Phoenix Channels, version 2, on `/channels/websocket` and
//! `/channels/longpoll`, so that the npm client `phoenix` works unchanged.
//!
//! A connection logs in as it is made, with what stands in its parameters or, for a token, in
//! its header, and binds a session like any other. What frames and topics mean is decided in
//! `protocol/src/channels`; here are the sockets. As for XMPP, what is not encrypted is taken
//! from this very machine only, and pages from elsewhere need the operator's permission.

mod client;
mod common;
mod connection;
mod contained;
mod door;
mod frames;
mod hearing;
mod line;
mod login;
mod longpoll;
mod membership;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use klatsch_actors::sessions::Sessions;
use klatsch_actors::topics;
use klatsch_protocol::channels::{AppRule, Settings as SocketSettings};
use klatsch_protocol::jid::BareJid;
use serde::{Deserialize, Serialize};

use self::common::Common;
use self::longpoll::Table;
use crate::auth::Authenticator;
use crate::listener::{Limits, Rate, Shutdown};

/// Where WebSockets are opened.
pub const WEBSOCKET_PATH: &str = "/channels/websocket";

/// Where clients without a WebSocket ask again and again.
pub const LONGPOLL_PATH: &str = "/channels/longpoll";

/// `[channels]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelsSettings {
    /// Whether there are any.
    pub enabled: bool,
    /// Origins whose pages may connect, besides those of `http.allowed_origins` and our own.
    pub allowed_origins: Vec<String>,
    /// Topics that one connection may have joined.
    pub topics_max: usize,
    /// Bytes of one frame from a client.
    pub frame_bytes_max: usize,
    /// Seconds without a word from its client after which a connection is closed.
    pub idle_seconds: u64,
    /// Apps whose topics (`app:NAME:…`) every account may join: `NAME` to push, too,
    /// `NAME:listen` to listen.
    pub apps: Vec<AppRule>,
    /// Topics of apps with clients on this node.
    pub app_topics_max: usize,
    /// Clients of this node on one of them.
    pub app_subscribers_max: usize,
    /// Bytes of what is pushed there.
    pub app_payload_bytes_max: usize,
    /// Pushes and changes of presence that one connection may make there a second.
    pub app_pushes_per_second: u32,
}

impl Default for ChannelsSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed_origins: Vec::new(),
            // As in Phoenix.
            topics_max: 100,
            // A long message is a few kilobytes; files have their own way.
            frame_bytes_max: 64 * 1024,
            // The client sends a heartbeat every 30 seconds.
            idle_seconds: 60,
            // Nobody joins what no operator knows of; tokens for apps are the operator's, too.
            apps: Vec::new(),
            // A topic for every document that is open, each of less than a kilobyte.
            app_topics_max: 10_000,
            app_subscribers_max: 10_000,
            // Each push is written to everybody on the topic.
            app_payload_bytes_max: 16 * 1024,
            // A pointer that moves smoothly, thinned out by its page.
            app_pushes_per_second: 20,
        }
    }
}

impl ChannelsSettings {
    fn idle(&self) -> Duration {
        // Zero would close every connection as it opens.
        Duration::from_secs(self.idle_seconds.max(1))
    }

    fn socket(&self, domains: &[BareJid], stanza_bytes_max: usize) -> SocketSettings {
        let host = |domain: &BareJid| format!("conference.{domain}");
        SocketSettings {
            channels_max: self.topics_max,
            room_hosts: domains.iter().map(host).collect(),
            stanza_bytes_max,
            apps: self.apps.clone(),
            app_payload_bytes_max: self.app_payload_bytes_max,
        }
    }
}

/// The endpoints and what they need.
pub struct ChannelsGateway {
    /// Where clients are bound.
    pub sessions: Sessions,
    /// Who may log in.
    pub authenticator: Arc<Authenticator>,
    /// Bounds.
    pub limits: Arc<Limits>,
    /// When to stop.
    pub shutdown: Shutdown,
    /// The domains served; the first is that of names without one.
    pub domains: Vec<BareJid>,
    /// Origins whose pages may connect, besides the endpoint's own host.
    pub allowed_origins: Vec<String>,
    /// What the operator wants.
    pub settings: ChannelsSettings,
    socket: Arc<SocketSettings>,
    topic_limits: topics::Limits,
    common: Arc<Common>,
    table: Arc<Table>,
}

impl ChannelsGateway {
    /// The endpoints of a node; `allowed_origins` are those of all of its HTTP.
    pub fn new(
        sessions: Sessions,
        authenticator: Arc<Authenticator>,
        limits: Arc<Limits>,
        shutdown: Shutdown,
        domains: Vec<BareJid>,
        allowed_origins: Vec<String>,
        settings: ChannelsSettings,
    ) -> Self {
        let own = settings.allowed_origins.iter().cloned();
        Self {
            allowed_origins: allowed_origins.into_iter().chain(own).collect(),
            socket: Arc::new(settings.socket(&domains, limits.stanza_bytes_max)),
            topic_limits: topics::Limits {
                topics_max: settings.app_topics_max,
                subscribers_max: settings.app_subscribers_max,
            },
            sessions,
            authenticator,
            limits,
            shutdown,
            domains,
            settings,
            common: Arc::default(),
            table: Arc::default(),
        }
    }

    /// How fast a connection may push on topics of apps; behind a lost connection it joins all
    /// of its topics at once.
    fn app_rate(&self) -> Rate {
        let rate = self.settings.app_pushes_per_second.max(1);
        let topics = u32::try_from(self.settings.topics_max).unwrap_or(u32::MAX);
        Rate::per_second(rate, rate.saturating_mul(2).max(topics))
    }
}

/// The routes to merge into the HTTP server's; none when there are to be no channels.
pub fn router(gateway: Arc<ChannelsGateway>) -> Router {
    if !gateway.settings.enabled {
        return Router::new();
    }
    Router::new()
        .route(WEBSOCKET_PATH, any(door::open))
        .route(LONGPOLL_PATH, any(longpoll::take))
        .with_state(gateway)
}
