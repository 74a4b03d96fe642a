//! What sessions of another node cost this one: a whole node hears of them as over the link, and
//! the growth of its resident memory is divided by them.
//!
//! `cargo run --release -p klatsch-actors --example others -- [SESSIONS]` fills twice, so many
//! sessions each time, and prints a line of JSON for each: what only the first sessions cost is
//! in the first line, what every further one costs is the second. With `people` behind the number
//! their presences say what clients of people say; without, they are empty, as in `loadtest`.
//! All sessions can be resumed, so two entries come with each.

#![expect(
    clippy::print_stdout,
    reason = "a figure for each line is what it is for"
)]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

mod other;

use std::sync::Arc;
use std::time::Duration;

use klatsch_actors::directory::Wire;
use klatsch_actors::node::Node;
use klatsch_actors::peers::Inbox;
use klatsch_actors::world::Settings;
use klatsch_cluster::link::memory::Hub;
use klatsch_cluster::link::{Link, Receive};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_protocol::facts::{Host, Views};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use klatsch_store::Store;

use crate::other::{Deaf, OtherNode, Person};

// The allocator of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// So many sessions come together.
const ROUND: usize = 1_000;

/// What holds still for so long is at rest: jemalloc gives back what is free after ten seconds.
const AT_REST: Duration = Duration::from_secs(15);

#[tokio::main(worker_threads = 2)]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let sessions = arguments.first().and_then(|it| it.parse().ok());
    let sessions: usize = sessions.unwrap_or(50_000);
    let are_people = arguments.get(1).is_some_and(|it| it == "people");
    let hub: Arc<Hub> = Arc::default();
    let inbox = Inbox::new();
    let others: (Arc<dyn Link>, Arc<Inbox>) = (hub.link(life(2)), inbox.clone());
    let store = Store::open("memory:").await.unwrap();
    let settings = Settings::default();
    let node = Node::start_with(host(), settings, store, Wire::Direct, Some(others));
    let node = node.await.unwrap();
    let inbox: Arc<dyn Receive> = inbox;
    let deaf: Arc<dyn Receive> = Arc::new(Deaf);
    let _link = hub.link(life(1));
    hub.attach(NodeId(1), &deaf);
    hub.attach(NodeId(2), &inbox);
    let mut other = OtherNode::new(inbox);
    for half in 0..2 {
        let before = resident_at_rest().await;
        let first = half * sessions;
        for round in (first..first + sessions).step_by(ROUND) {
            let last = (round + ROUND).min(first + sessions);
            come(&mut other, &node, round..last, are_people).await;
        }
        let grown = resident_at_rest().await.saturating_sub(before);
        println!(
            "{{\"half\":{half},\"sessions\":{sessions},\"people\":{are_people},\
             \"bytes_a_session\":{}}}",
            grown / sessions
        );
    }
    node.stop(Duration::from_secs(1)).await;
}

/// Sessions begin as in earnest: bound, then available and recorded, then recorded again.
async fn come(
    other: &mut OtherNode,
    node: &Node,
    numbers: std::ops::Range<usize>,
    are_people: bool,
) {
    let mut people: Vec<Person> = numbers.map(|it| Person::new(it, are_people)).collect();
    people.iter_mut().for_each(|person| other.bind(person));
    other.say();
    people.iter_mut().for_each(|person| other.show(person));
    people.iter_mut().for_each(|person| other.record(person, 0));
    other.say();
    people.iter_mut().for_each(|person| other.record(person, 1));
    other.say();
    let world = node.sessions.world();
    let replica = world.directory.peers().unwrap().replica().unwrap();
    let is_known = |person: &Person| {
        let account = person.jid.bare();
        let view = world.directory.view(&account);
        let resource = view.resource(&person.jid);
        resource.is_some_and(|it| it.presence.is_some())
            && replica.handled(&account, &person.previd) == Some(1)
    };
    while !people.iter().all(is_known) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Resident memory of this process once it holds still.
async fn resident_at_rest() -> usize {
    let (mut least, mut since) = (usize::MAX, tokio::time::Instant::now());
    while since.elapsed() < AT_REST {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = resident();
        // Less by a hundredth is not the end yet.
        if now < least - least / 100 {
            (least, since) = (now, tokio::time::Instant::now());
        }
    }
    resident()
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages.split(' ').nth(1).and_then(|it| it.parse().ok());
    pages.unwrap_or(0) * 4096
}

fn life(node: u16) -> Life {
    Life {
        node: NodeId(node),
        incarnation: Incarnation(1),
    }
}

fn host() -> Host {
    Host {
        domains: vec![BareJid::parse("example.org").unwrap()],
        version: "example",
        started: Timestamp(0),
        archive: true,
        stanza_bytes_max: 262_144,
        pubsub: Default::default(),
        upload: Default::default(),
        external_services: Default::default(),
        contacts: Default::default(),
        registration: Default::default(),
        web_push: None,
        components: Vec::new(),
        isolated: false,
        people: false,
    }
}
