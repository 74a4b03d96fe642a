//! Merge actors of several nodes in one process, over links in memory: cuts, heals, nodes that
//! are lost.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use klatsch_cluster::link::memory::Hub;
use klatsch_cluster::link::{Channel, Receive};
use klatsch_cluster::merge::{Presences, Watcher};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_cluster::presence::{Change, Lost, Settings, Why};
use tokio::sync::watch;

type Key = String;
type Value = u32;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the readers of one node know.
#[derive(Default)]
struct Readers {
    seen: Mutex<BTreeMap<Key, (NodeId, Value)>>,
    whys: Mutex<Vec<Why>>,
    lost: Mutex<Vec<Key>>,
    /// Counts what they hear.
    heard: watch::Sender<u64>,
}

impl Readers {
    /// Waits until what they know is so.
    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let mut heard = self.heard.subscribe();
        let waiting = heard.wait_for(|_| is_so());
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "never: {what}");
    }
}

impl Watcher<Key, Value> for Readers {
    fn changed(&self, _shard: u16, changes: Vec<Change<Key, Value>>) {
        let mut seen = self.seen.lock().unwrap();
        for change in changes {
            self.whys.lock().unwrap().push(change.why);
            match change.after {
                Some(value) => seen.insert(change.key, (change.node, value)),
                None => seen.remove(&change.key),
            };
        }
        drop(seen);
        self.heard.send_modify(|count| *count += 1);
    }

    fn lost(&self, lost: Lost<Key>) {
        self.lost.lock().unwrap().push(lost.key);
        self.heard.send_modify(|count| *count += 1);
    }
}

/// Hands what arrives to the actors.
#[derive(Default)]
struct Door(OnceLock<Presences<Key, Value>>);

impl Receive for Door {
    fn receive(&self, from: NodeId, channel: Channel, message: Bytes) {
        assert_eq!(channel, Channel::Presence);
        if let Some(presences) = self.0.get() {
            presences.receive(from, message);
        }
    }

    fn missed(&self, from: NodeId) {
        if let Some(presences) = self.0.get() {
            presences.missed(from);
        }
    }
}

struct Node {
    id: NodeId,
    presences: Presences<Key, Value>,
    readers: Arc<Readers>,
    _door: Arc<dyn Receive>,
}

impl Node {
    async fn start(hub: &Arc<Hub>, node: u16, life: u64) -> Self {
        Self::start_with(hub, node, life, Settings::default()).await
    }

    async fn start_with(hub: &Arc<Hub>, node: u16, life: u64, settings: Settings) -> Self {
        let id = NodeId(node);
        let incarnation = Incarnation(life);
        let link = hub.link(Life {
            node: id,
            incarnation,
        });
        let readers = Arc::new(Readers::default());
        let started = Presences::start(settings, link, readers.clone()).await;
        let presences = started.unwrap();
        let door = Arc::new(Door(OnceLock::from(presences.clone())));
        let door: Arc<dyn Receive> = door;
        hub.attach(id, &door);
        Self {
            id,
            presences,
            readers,
            _door: door,
        }
    }

    /// Sets an entry; keys are spread over the shards.
    fn set(&self, key: u16, value: Option<Value>, since: u64) {
        self.presences
            .set(key % 256, format!("key{key}"), value, since);
    }

    fn seen(&self) -> BTreeMap<Key, (NodeId, Value)> {
        self.readers.seen.lock().unwrap().clone()
    }

    /// Waits until the readers know so many entries of another node.
    async fn sees(&self, count: usize, of: &Node) {
        let what = format!("{} sees {count} of {}", self.id, of.id);
        let is_so = || self.seen().values().filter(|it| it.0 == of.id).count() == count;
        self.readers.until(&what, is_so).await;
    }
}

/// Waits until something holds that nobody is told of when it changes.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "never: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_shows_the_others_see() {
    let hub = Arc::new(Hub::default());
    let one = Node::start(&hub, 1, 1).await;
    let two = Node::start(&hub, 2, 1).await;
    for key in 0..600 {
        one.set(key, Some(u32::from(key)), 1);
    }
    two.sees(600, &one).await;
    // Who comes later sees it too.
    let three = Node::start(&hub, 3, 1).await;
    three.sees(600, &one).await;
    one.set(7, None, 1);
    one.set(8, Some(1_000), 1);
    two.sees(599, &one).await;
    three.sees(599, &one).await;
    let value = |node: &Node| node.seen()["key8"];
    for node in [&two, &three] {
        let is_there = || value(node).1 == 1_000;
        node.readers.until("the update arrives", is_there).await;
    }
    assert_eq!(value(&two), value(&three));
    // Nobody hears of their own entries.
    assert!(one.seen().is_empty());
    let status = || two.presences.status();
    until("the status follows", || {
        status().nodes.iter().any(|it| it.entries == 599)
    })
    .await;
    assert!(status().nodes.iter().all(|it| it.is_visible));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_hides_and_its_end_brings_back_with_what_has_changed() {
    let hub = Arc::new(Hub::default());
    let one = Node::start(&hub, 1, 1).await;
    let two = Node::start(&hub, 2, 1).await;
    for key in 0..100 {
        one.set(key, Some(u32::from(key)), 1);
        two.set(key + 100, Some(u32::from(key)), 1);
    }
    two.sees(100, &one).await;
    one.sees(100, &two).await;
    hub.cut(one.id, two.id);
    two.sees(0, &one).await;
    one.sees(0, &two).await;
    assert!(
        two.readers
            .whys
            .lock()
            .unwrap()
            .ends_with(&[Why::NodeDown; 100])
    );
    one.set(5, None, 1);
    one.set(300, Some(9), 1);
    hub.heal();
    two.sees(100, &one).await;
    one.sees(100, &two).await;
    let came = || two.seen().contains_key("key300");
    two.readers.until("what came meanwhile", came).await;
    assert!(!two.seen().contains_key("key5"));
    assert!(
        two.readers
            .whys
            .lock()
            .unwrap()
            .ends_with(&[Why::NodeBack; 90])
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_still_gathered_is_not_said_to_be_on_its_way() {
    let hub = Arc::new(Hub::default());
    let gathered = Duration::from_secs(5);
    let settings = Settings {
        batch_min: gathered,
        batch_max: gathered,
        ..Settings::default()
    };
    let node = Node::start_with(&hub, 1, 1, settings).await;
    let begun = tokio::time::Instant::now();
    node.presences.sent().await;
    assert!(begun.elapsed() < gathered, "nothing was set");
    node.set(1, Some(1), 1);
    node.presences.sent().await;
    assert!(begun.elapsed() >= gathered);
}

#[tokio::test]
async fn what_may_be_lost_is_known_only_when_it_has_been_compared() {
    let hub = Arc::new(Hub::default());
    let one = Node::start(&hub, 1, 1).await;
    let two = Node::start(&hub, 2, 1).await;
    two.set(1, Some(1), 1);
    one.sees(1, &two).await;
    let knows_all = async || {
        // Each question waits for the answers of all actors, who hear the other node meanwhile.
        while !one.presences.knows_all_of(two.id).await {}
    };
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, knows_all()).await.unwrap();
    one.presences.missed(two.id);
    assert!(!one.presences.knows_all_of(two.id).await);
    tokio::time::timeout(patience, knows_all()).await.unwrap();
    assert!(
        !one.presences.knows_all_of(NodeId(3)).await,
        "nobody is there"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_lost_disappears_and_its_next_life_starts_empty() {
    let hub = Arc::new(Hub::default());
    let one = Node::start(&hub, 1, 1).await;
    let two = Node::start(&hub, 2, 1).await;
    one.set(1, Some(1), 1);
    two.sees(1, &one).await;
    one.presences.stop().await;
    one.presences.ended().await;
    hub.lose(one.id);
    two.sees(0, &one).await;
    let again = Node::start(&hub, 1, 2).await;
    again.set(2, Some(2), 1);
    two.sees(1, &again).await;
    assert_eq!(two.seen().keys().collect::<Vec<_>>(), ["key2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_sessions_under_one_key_the_later_stays() {
    let hub = Arc::new(Hub::default());
    let one = Node::start(&hub, 1, 1).await;
    let two = Node::start(&hub, 2, 1).await;
    let three = Node::start(&hub, 3, 1).await;
    hub.cut(one.id, two.id);
    one.set(1, Some(10), 1_000);
    two.set(1, Some(20), 2_000);
    let sees_two = || three.seen().get("key1") == Some(&(two.id, 20));
    three.readers.until("the third sees one", sees_two).await;
    hub.heal();
    let lost = |node: &Node| node.readers.lost.lock().unwrap().clone();
    let has_lost = || lost(&one) == ["key1"];
    one.readers.until("the earlier has lost", has_lost).await;
    one.set(1, None, 1_000);
    one.sees(1, &two).await;
    three.sees(1, &two).await;
    assert!(lost(&two).is_empty() && lost(&three).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c07_what_is_no_message_is_refused_and_counted() {
    let hub = Arc::new(Hub::default());
    let one = Node::start(&hub, 1, 1).await;
    let two = Node::start(&hub, 2, 1).await;
    let huge = [&[1, 3][..], &vec![0; 300_000]].concat();
    one.presences
        .receive(two.id, Bytes::from_static(&[1, 3, 1, 9]));
    one.presences.receive(two.id, Bytes::from(huge));
    one.presences.receive(two.id, Bytes::from_static(&[1, 200]));
    one.presences.receive(two.id, Bytes::new());
    let refused = || one.presences.status().refused == 2;
    until("the two that had a group are counted", refused).await;
    two.set(3, Some(3), 1);
    one.sees(1, &two).await;
}
