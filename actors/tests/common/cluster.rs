//! Several nodes on one store, over links that can be cut.

use std::sync::Arc;
use std::time::Duration;

use klatsch_actors::directory::Wire;
use klatsch_actors::peers::Inbox;
use klatsch_actors::world::Settings;
use klatsch_cluster::link::memory::Hub;
use klatsch_cluster::link::{Channel, Link, Receive};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_protocol::facts::Views;
use klatsch_protocol::xml::Element;
use klatsch_store::Store;
use tokio::time::timeout;

use super::{Client, PATIENCE, Scene, bare, host, peopled_store};

/// Nodes of one cluster, numbered from 1.
pub(crate) struct Cluster {
    pub(crate) hub: Arc<Hub>,
    pub(crate) nodes: Vec<Scene>,
    inboxes: Vec<Arc<dyn Receive>>,
    pub(crate) store: Store,
}

impl Cluster {
    pub(crate) async fn of(count: u16) -> Self {
        Self::on(peopled_store().await, 1..=count).await
    }

    /// Nodes of these numbers, which begin now.
    pub(crate) async fn on(store: Store, numbers: impl IntoIterator<Item = u16>) -> Self {
        let mut cluster = Self {
            hub: Arc::default(),
            nodes: Vec::new(),
            inboxes: Vec::new(),
            store,
        };
        for number in numbers {
            cluster.add(number).await;
        }
        cluster
    }

    /// One more begins.
    pub(crate) async fn add(&mut self, number: u16) {
        let life = Life {
            node: NodeId(number),
            incarnation: Incarnation(1),
        };
        let link: Arc<dyn Link> = self.hub.link(life);
        let inbox = Inbox::new();
        let settings = Settings {
            tail_check_seconds: 1,
            // The others say nothing of themselves.
            client_host: (number == 3).then(|| "n3.example.org".to_owned()),
            ..Settings::default()
        };
        let others = Some((link, inbox.clone()));
        let store = self.store.clone();
        let scene = Scene::on(store, host(), Wire::Direct, settings, others).await;
        self.nodes.push(scene);
        let receiver: Arc<dyn Receive> = inbox;
        self.hub.attach(NodeId(number), &receiver);
        self.inboxes.push(receiver);
    }

    /// The node of this number.
    pub(crate) fn node(&self, number: u16) -> &Scene {
        &self.nodes[usize::from(number) - 1]
    }

    /// One node hears these bytes from another.
    pub(crate) fn say_raw(&self, from: u16, to: u16, message: Vec<u8>) {
        let inbox = &self.inboxes[usize::from(to) - 1];
        inbox.receive(NodeId(from), Channel::Mail, message.into());
    }

    /// A node is gone at once, as after `kill -9`: nothing it does from here on is heard.
    pub(crate) fn kill(&mut self, number: u16) {
        self.hub.lose(NodeId(number));
        self.inboxes[usize::from(number) - 1] = Arc::new(Deaf);
    }

    /// Waits until these nodes know so many people inside a room.
    pub(crate) async fn know_insiders(&self, numbers: &[u16], room: &str, count: usize) {
        for number in numbers {
            let directory = &self.node(*number).sessions().world().directory;
            let replica = directory.peers().unwrap().replica().unwrap();
            eventually(|| replica.insiders(&bare(room)).len() == count).await;
        }
    }

    /// Waits until a node could go on with a session that has handled so many stanzas.
    pub(crate) async fn knows_record(&self, number: u16, account: &str, id: &str, handled: u32) {
        let directory = &self.node(number).sessions().world().directory;
        let replica = directory.peers().unwrap().replica().unwrap();
        eventually(|| replica.handled(&bare(account), id) == Some(handled)).await;
    }

    /// The number of the node a room lives on.
    pub(crate) fn home(&self, room: &str) -> u16 {
        let peers = self.node(1).sessions().world().directory.peers().unwrap();
        peers.home(&bare(room)).map_or(1, |node| node.0)
    }

    /// Waits until every node of these sees a client as available.
    pub(crate) async fn see(&self, numbers: &[u16], client: &Client) {
        self.until(numbers, client, true).await;
    }

    /// Waits until no node of these sees a client.
    pub(crate) async fn miss(&self, numbers: &[u16], client: &Client) {
        self.until(numbers, client, false).await;
    }

    async fn until(&self, numbers: &[u16], client: &Client, is_there: bool) {
        for number in numbers {
            let directory = &self.node(*number).sessions().world().directory;
            let sees = || {
                let view = directory.view(&client.jid.bare());
                view.resource(&client.jid)
                    .is_some_and(|resource| resource.presence.is_some())
            };
            eventually(|| sees() == is_there).await;
        }
    }
}

/// Who hears nothing.
struct Deaf;

impl Receive for Deaf {
    fn receive(&self, _from: NodeId, _channel: Channel, _message: bytes::Bytes) {}
    fn missed(&self, _from: NodeId) {}
}

/// Waits until something holds.
pub(crate) async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it never holds");
}

/// How much of what a client has sent is handled.
pub(crate) async fn handled(client: &Client) -> u32 {
    client.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    let answer = Element::parse(client.expect("<a ").await.as_bytes()).expect("it is XML");
    let h = answer.get("h").expect("it counts");
    h.parse().expect("it is a number")
}
