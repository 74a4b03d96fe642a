//! A node with its sessions, and whoever is on it.

#![allow(dead_code, reason = "each test file uses its share")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod people;
pub(crate) mod room;

use std::sync::Arc;
use std::time::Duration;

use klatsch_actors::directory::Wire;
use klatsch_actors::node::Node;
use klatsch_actors::peers::Others;
use klatsch_actors::session::{Peer, Sink};
use klatsch_actors::sessions::Sessions;
use klatsch_actors::world::Settings;
use klatsch_protocol::facts::{Host, Views};
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Credentials, Reach, Store};
use tokio::time::timeout;

pub(crate) use self::client::Client;
use self::client::Line;

/// Nothing here takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const ALICE: &str = "alice@example.org";
pub(crate) const BOB: &str = "bob@example.org";
/// Of the other organisation.
pub(crate) const CAROL: &str = "carol@example.net";
/// The host of an external component.
pub(crate) const BOT: &str = "bot.example.org";

/// A node with the accounts alice and bob.
pub(crate) struct Scene {
    pub(crate) node: Node,
    /// As tests reach it, whatever the node does.
    pub(crate) store: Store,
    /// How the node reaches it.
    pub(crate) reach: Arc<Reach>,
}

impl Scene {
    pub(crate) async fn new(wire: Wire) -> Self {
        Self::with(
            wire,
            Settings {
                tail_check_seconds: 1,
                ..Settings::default()
            },
        )
        .await
    }

    pub(crate) async fn with(wire: Wire, settings: Settings) -> Self {
        Self::at(host(), wire, settings).await
    }

    /// On a server that is like this.
    pub(crate) async fn at(host: Host, wire: Wire, settings: Settings) -> Self {
        Self::on(peopled_store().await, host, wire, settings, None).await
    }

    /// On this store, and with these others.
    pub(crate) async fn on(
        store: Store,
        host: Host,
        wire: Wire,
        settings: Settings,
        others: Option<Others>,
    ) -> Self {
        let (reached, reach) = store.reached_apart().unwrap();
        let node = Node::start_with(host, settings, reached, wire, others);
        let node = node.await.unwrap();
        Self { node, store, reach }
    }

    /// Stops the server and starts it again on the same store.
    pub(crate) async fn restart(self, wire: Wire) -> Self {
        let Self { node, store, .. } = self;
        let settings = node.sessions.world().settings.clone();
        node.stop(PATIENCE).await;
        Self::on(store, host(), wire, settings, None).await
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.node.sessions
    }

    /// A client that has bound a resource.
    pub(crate) async fn bind(&self, account: &str, resource: &str) -> Client {
        let wire = Arc::new(Line::default());
        let sink: Arc<dyn Sink> = wire.clone();
        let bound = self
            .sessions()
            .bind(bare(account), Some(resource.into()), sink, peer())
            .await;
        let (jid, session) = bound.unwrap();
        session.start();
        Client {
            jid,
            session,
            line: wire,
        }
    }

    /// A client that has bound a resource and is available.
    pub(crate) async fn online(&self, account: &str, resource: &str) -> Client {
        let client = self.bind(account, resource).await;
        client.send("<presence/>").await;
        self.appeared(&client.jid).await;
        client
    }

    /// Waits until everybody sees a session as available.
    async fn appeared(&self, jid: &FullJid) {
        let directory = &self.sessions().world().directory;
        until(async || {
            let view = directory.view(&jid.bare());
            view.resource(jid)
                .is_some_and(|resource| resource.presence.is_some())
        })
        .await;
    }

    /// A client that comes back.
    pub(crate) async fn resume(
        &self,
        account: &str,
        previd: &str,
        h: u32,
    ) -> Option<(Client, u32)> {
        let line = Arc::new(Line::default());
        let sink: Arc<dyn Sink> = line.clone();
        let resumed = self
            .sessions()
            .resume(&bare(account), previd, h, sink)
            .await
            .ok()?;
        resumed.session.start();
        Some((
            Client {
                jid: resumed.jid,
                session: resumed.session,
                line,
            },
            resumed.h,
        ))
    }

    /// Makes alice and bob see each other's presence.
    pub(crate) async fn befriend(&self) {
        let (alice, bob) = (self.online(ALICE, "a").await, self.online(BOB, "b").await);
        befriend(&alice, &bob).await;
        for client in [alice, bob] {
            client.close();
        }
        self.gone(ALICE).await;
        self.gone(BOB).await;
    }

    /// Waits until an account has no sessions.
    pub(crate) async fn gone(&self, account: &str) {
        let account = bare(account);
        until(async || self.sessions().list(Some(&account)).is_empty()).await;
    }

    /// What stands in an account's log.
    pub(crate) async fn log(&self, account: &str) -> Vec<String> {
        let entries = self.store.entries(&bare(account), 0, 250).await.unwrap();
        entries
            .iter()
            .map(|entry| String::from_utf8(entry.stanza.to_vec()).unwrap())
            .collect()
    }
}

/// A store with the accounts alice, bob and carol.
pub(crate) async fn peopled_store() -> Store {
    let store = Store::open("memory:").await.unwrap();
    for account in [ALICE, BOB, CAROL] {
        make_account(&store, account).await;
    }
    store
}

pub(crate) async fn make_account(store: &Store, account: &str) {
    let (account, none) = (bare(account), Credentials::default());
    let made = store.create_account(&account, &none, false, Timestamp(0));
    made.await.unwrap();
}

/// Makes two see each other's presence.
pub(crate) async fn befriend(one: &Client, other: &Client) {
    for client in [one, other] {
        client.read_roster().await;
    }
    for (asks, answers) in [(one, other), (other, one)] {
        let (who, whom) = (asks.jid.bare(), answers.jid.bare());
        asks.send(&format!("<presence type='subscribe' to='{whom}'/>"))
            .await;
        answers.expect("type='subscribe'").await;
        answers
            .send(&format!("<presence type='subscribed' to='{who}'/>"))
            .await;
        asks.expect("type='subscribed'").await;
    }
}

/// Waits until something holds.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it never holds");
}

pub(crate) fn host() -> Host {
    Host {
        // Two organisations on one server.
        domains: vec![bare("example.org"), bare("example.net")],
        version: "test",
        started: Timestamp(0),
        archive: true,
        stanza_bytes_max: 262_144,
        pubsub: Default::default(),
        upload: Default::default(),
        external_services: Default::default(),
        contacts: Default::default(),
        registration: Default::default(),
        web_push: None,
        components: vec![bare(BOT)],
        isolated: false,
        people: true,
    }
}

pub(crate) fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

pub(crate) fn peer() -> Peer {
    Peer {
        address: [127, 0, 0, 1].into(),
        is_secure: true,
        proved: std::time::Instant::now(),
    }
}

/// A message with a body and an origin-id of its own.
pub(crate) fn chat(to: &str, body: &str) -> String {
    format!(
        "<message to='{to}' type='chat' id='id-{body}'><body>{body}</body>\
         <origin-id xmlns='urn:xmpp:sid:0' id='origin-{body}'/></message>"
    )
}
