//! Topics of apps on several nodes: a broadcast comes once, presence is everybody's, and both get
//! over a split.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::sync::{Arc, Mutex};

use common::cluster::{Cluster, eventually};
use klatsch_actors::topics::{Limits, Subscriber, SubscriberId, Topics, Wish};
use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::channels::{CrowdState, Outgoing};
use klatsch_protocol::jid::FullJid;

const TOPIC: &str = "app:shop:door";

/// What a client has heard.
#[derive(Default)]
struct Ear(Mutex<Vec<Outgoing>>);

impl Subscriber for Ear {
    fn entered(&self, _topic: &str, _state: Option<CrowdState>) {}

    fn said(&self, _topic: &str, frame: &Outgoing) {
        self.0.lock().unwrap().push(frame.clone());
    }
}

struct Member<'a> {
    topics: &'a Topics,
    id: SubscriberId,
    jid: FullJid,
    ear: Arc<Ear>,
}

impl<'a> Member<'a> {
    fn on(cluster: &'a Cluster, node: u16, jid: &str) -> Self {
        let topics = &cluster.node(node).sessions().world().topics;
        let member = Self {
            topics,
            id: topics.next_id(),
            jid: FullJid::parse(jid).unwrap(),
            ear: Arc::default(),
        };
        let wish = Wish {
            shown: Some("{}".into()),
            hears_itself: true,
        };
        let limits = Limits {
            topics_max: 10,
            subscribers_max: 10,
        };
        let ear = Arc::clone(&member.ear) as Arc<dyn Subscriber>;
        let who = (member.id, &member.jid);
        topics.enter(TOPIC, who, ear, wish, limits).unwrap();
        member
    }

    fn say(&self, text: &'static [u8]) {
        self.topics
            .say(TOPIC, self.id, &Outgoing::Binary(text.into()));
    }

    /// How often it has heard a frame.
    fn count(&self, text: &'static [u8]) -> usize {
        let heard = self.ear.0.lock().unwrap();
        let wanted = Outgoing::Binary(text.into());
        heard.iter().filter(|frame| **frame == wanted).count()
    }

    /// Who it has been told of last: those who came last are there, the others are not.
    fn sees(&self, jid: &FullJid) -> bool {
        let heard = self.ear.0.lock().unwrap();
        let texts = heard.iter().rev().filter_map(|frame| match frame {
            Outgoing::Text(text) => Some(String::from_utf8_lossy(text)),
            Outgoing::Binary(_) => None,
        });
        let about = |text: &str| text.contains(&format!("\"{}\"", jid.bare_str()));
        let last = texts.into_iter().find(|text| about(text));
        last.is_some_and(|text| !text.contains(r#""joins":{}"#))
    }

    async fn meets(&self, other: &Member<'_>) {
        eventually(|| self.sees(&other.jid)).await;
    }

    async fn misses(&self, other: &Member<'_>) {
        eventually(|| !self.sees(&other.jid)).await;
    }
}

#[tokio::test]
async fn broadcast_comes_once_to_everybody_on_every_node() {
    let cluster = Cluster::of(3).await;
    let alice = Member::on(&cluster, 1, "alice@example.org/a");
    let bob = Member::on(&cluster, 2, "bob@example.org/b");
    let carol = Member::on(&cluster, 3, "carol@example.org/c");
    for member in [&alice, &bob, &carol] {
        for other in [&alice, &bob, &carol] {
            member.meets(other).await;
        }
    }
    alice.say(b"one");
    alice.say(b"two");
    for member in [&alice, &bob, &carol] {
        eventually(|| member.count(b"two") > 0).await;
        assert_eq!((member.count(b"one"), member.count(b"two")), (1, 1));
    }
    bob.topics.leave(TOPIC, (bob.id, &bob.jid));
    alice.misses(&bob).await;
    carol.misses(&bob).await;
}

#[tokio::test]
async fn split_hides_the_other_side_and_the_heal_brings_it_back() {
    let cluster = Cluster::of(2).await;
    let alice = Member::on(&cluster, 1, "alice@example.org/a");
    let bob = Member::on(&cluster, 2, "bob@example.org/b");
    alice.meets(&bob).await;
    bob.meets(&alice).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    alice.misses(&bob).await;
    bob.misses(&alice).await;
    // What changes meanwhile is merged with the rest.
    let carol = Member::on(&cluster, 2, "carol@example.org/c");
    bob.meets(&carol).await;
    cluster.hub.heal();
    alice.meets(&bob).await;
    alice.meets(&carol).await;
    bob.meets(&alice).await;
    carol.meets(&alice).await;
    bob.say(b"healed");
    eventually(|| alice.count(b"healed") == 1).await;
}

#[tokio::test]
async fn node_that_is_lost_takes_those_on_it_along() {
    let mut cluster = Cluster::of(2).await;
    let (ear, jid) = {
        let looker = Member::on(&cluster, 1, "alice@example.org/a");
        let bob = Member::on(&cluster, 2, "bob@example.org/b");
        looker.meets(&bob).await;
        (looker.ear, bob.jid)
    };
    cluster.kill(2);
    eventually(|| {
        let heard = ear.0.lock().unwrap();
        let last = heard.last().map(|frame| match frame {
            Outgoing::Text(text) | Outgoing::Binary(text) => String::from_utf8_lossy(text),
        });
        last.is_some_and(|last| last.contains(r#""joins":{}"#) && last.contains(jid.bare_str()))
    })
    .await;
}
