//! A node with its sessions and clients that are no sockets: what a test sends goes to the
//! session as a gateway would hand it over, what the session writes is read as XML.

#![allow(dead_code, reason = "each test file uses its share")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub(crate) mod cluster;
pub(crate) mod people;
pub(crate) mod room;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klatsch_actors::directory::Wire;
use klatsch_actors::node::Node;
use klatsch_actors::peers::Others;
use klatsch_actors::session::{Detach, Peer, Pressure, Sink};
use klatsch_actors::sessions::{SessionHandle, Sessions};
use klatsch_actors::world::Settings;
use klatsch_protocol::facts::{Host, Views};
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{Stanza, StreamError};
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::{Element, Limits, parse_fragment};
use klatsch_store::{Credentials, Reach, Store};
use tokio::sync::Notify;
use tokio::time::timeout;

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
        let is_there = || {
            let view = directory.view(&jid.bare());
            view.resource(jid)
                .is_some_and(|resource| resource.presence.is_some())
        };
        let appeared = async {
            while !is_there() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, appeared)
            .await
            .expect("the session appears");
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
        for client in [&alice, &bob] {
            client
                .send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
                .await;
            client.expect("id='r'").await;
        }
        for (asks, answers, who, whom) in [(&alice, &bob, ALICE, BOB), (&bob, &alice, BOB, ALICE)] {
            asks.send(&format!("<presence type='subscribe' to='{whom}'/>"))
                .await;
            answers.expect("type='subscribe'").await;
            answers
                .send(&format!("<presence type='subscribed' to='{who}'/>"))
                .await;
            asks.expect("type='subscribed'").await;
        }
        for client in [alice, bob] {
            client.close();
        }
        self.gone(ALICE).await;
        self.gone(BOB).await;
    }

    /// Waits until an account has no sessions.
    pub(crate) async fn gone(&self, account: &str) {
        let account = bare(account);
        let gone = async {
            while !self.sessions().list(Some(&account)).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, gone).await.expect("the sessions end");
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
        store
            .create_account(&bare(account), &Credentials::default(), false, Timestamp(0))
            .await
            .unwrap();
    }
    store
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

/// A client.
pub(crate) struct Client {
    pub(crate) jid: FullJid,
    pub(crate) session: SessionHandle,
    line: Arc<Line>,
}

impl Client {
    /// Sends a stanza or another element.
    pub(crate) async fn send(&self, xml: &str) {
        let end = xml.find([' ', '/', '>']).unwrap();
        let namespace = if xml.contains("xmlns")
            && !xml.starts_with("<message")
            && !xml.starts_with("<presence")
            && !xml.starts_with("<iq")
        {
            String::new()
        } else {
            " xmlns='jabber:client'".into()
        };
        let framed = format!("{}{namespace}{}", &xml[..end], &xml[end..]);
        let fragment = parse_fragment(framed.as_bytes(), &Limits::AFTER_LOGIN).unwrap();
        assert!(self.session.inbound(fragment).await, "the session is there");
    }

    /// Waits for something written that contains this text, and answers it; what was written
    /// before it is passed over.
    pub(crate) async fn expect(&self, text: &str) -> String {
        self.expect_all(&[text]).await
    }

    /// Like [`Client::expect`], for all of these texts in one stanza.
    pub(crate) async fn expect_all(&self, texts: &[&str]) -> String {
        let find = async {
            loop {
                let notified = self.line.written.notified();
                while let Some(written) = self.line.next() {
                    if texts.iter().all(|text| written.contains(text)) {
                        return written;
                    }
                }
                notified.await;
            }
        };
        let found = timeout(PATIENCE, find).await;
        found.unwrap_or_else(|_| panic!("{} is never written {texts:?}", self.jid))
    }

    /// Waits for a stanza with each of these texts, in whatever order, that contains this one.
    pub(crate) async fn expect_each(&self, texts: &[&str], common: &str) {
        let mut missing = texts.to_vec();
        while !missing.is_empty() {
            let written = self.expect(common).await;
            missing.retain(|text| !written.contains(text));
        }
    }

    /// Answers everything written until now; everything sent before has been dealt with.
    pub(crate) async fn sync(&self) -> Vec<String> {
        let id = klatsch_actors::sessions::random_id();
        self.send(&format!(
            "<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
        let mut before = Vec::new();
        let find = async {
            loop {
                let notified = self.line.written.notified();
                while let Some(written) = self.line.next() {
                    if written.contains(&id) {
                        return;
                    }
                    before.push(written);
                }
                notified.await;
            }
        };
        timeout(PATIENCE, find).await.expect("a ping is answered");
        before
    }

    /// Turns stream management on; answers the resumption id.
    pub(crate) async fn enable_sm(&self) -> String {
        self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            .await;
        let enabled = self.expect("<enabled").await;
        Element::parse(enabled.as_bytes())
            .unwrap()
            .get("id")
            .unwrap()
            .to_owned()
    }

    /// The connection takes nothing more: so many bytes are waiting.
    pub(crate) fn clog(&self, bytes: usize) {
        *self.line.queued.lock().unwrap() = bytes;
    }

    /// Waits, however long, for something written that contains this text; nothing comes when
    /// the server closes instead.
    pub(crate) async fn expect_unless_closed(&self, text: &str) -> Option<String> {
        loop {
            let notified = self.line.written.notified();
            while let Some(written) = self.line.next() {
                if written.contains(text) {
                    return Some(written);
                }
            }
            if self.line.closed.lock().unwrap().is_some() {
                return None;
            }
            notified.await;
        }
    }

    /// The client closes its stream.
    pub(crate) fn close(&self) {
        self.session.detach(Detach::Closed);
    }

    /// The connection breaks.
    pub(crate) fn lose(&self) {
        self.line.cut();
        self.session.detach(Detach::Lost);
    }

    /// Waits until the server has closed, and answers the error.
    pub(crate) async fn closed(&self) -> Option<StreamError> {
        let closed = async {
            loop {
                let notified = self.line.written.notified();
                if let Some(error) = self.line.closed.lock().unwrap().clone() {
                    return error;
                }
                notified.await;
            }
        };
        timeout(PATIENCE, closed).await.expect("the server closes")
    }
}

/// What a session has written.
#[derive(Default)]
struct Line {
    lines: Mutex<VecDeque<String>>,
    queued: Mutex<usize>,
    is_cut: Mutex<bool>,
    closed: Mutex<Option<Option<StreamError>>>,
    written: Notify,
}

impl Line {
    fn next(&self) -> Option<String> {
        self.lines.lock().unwrap().pop_front()
    }

    fn cut(&self) {
        *self.is_cut.lock().unwrap() = true;
    }

    fn write(&self, bytes: &[u8]) -> Pressure {
        if *self.is_cut.lock().unwrap() {
            return Pressure::Closed;
        }
        self.lines
            .lock()
            .unwrap()
            .push_back(String::from_utf8(bytes.to_vec()).unwrap());
        self.written.notify_waiters();
        Pressure::Free
    }
}

impl Sink for Line {
    fn stanza(&self, stanza: &Stanza) -> Pressure {
        self.write(&stanza.to_bytes())
    }

    fn nonza(&self, element: &Element) -> Pressure {
        self.write(&element.to_bytes())
    }

    fn close(&self, error: Option<StreamError>) {
        *self.closed.lock().unwrap() = Some(error);
        self.written.notify_waiters();
    }

    fn queued(&self) -> usize {
        *self.queued.lock().unwrap()
    }

    fn follows_hosts(&self) -> bool {
        true
    }
}
