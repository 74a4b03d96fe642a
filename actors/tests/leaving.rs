//! Sessions that leave a node that stops or is drained, or go after their clients: these find them,
//! and all that is for them.

mod common;

use std::sync::Arc;

use common::cluster::Cluster;
use common::{ALICE, BOB, chat};
use klatsch_actors::presence_shard::PresenceShardMsg;
use klatsch_actors::session::Waiting;
use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::facts::Resource;
use klatsch_protocol::stanza::StreamCondition;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_sent_away_finds_the_session_where_it_is_sent() {
    const COUNT: usize = 10;
    let cluster = Arc::new(Cluster::of(3).await);
    let bob = cluster.node(2).online(BOB, "b").await;
    let mut clients = Vec::new();
    for number in 0..COUNT {
        let alice = cluster.node(1).online(ALICE, &format!("r{number}")).await;
        let id = alice.enable_sm().await;
        cluster.see(&[1, 2, 3], &alice).await;
        clients.push((alice, id));
    }
    cluster.hub.leave(NodeId(1));
    let mut coming = JoinSet::new();
    for (alice, id) in clients {
        let cluster = Arc::clone(&cluster);
        coming.spawn(async move {
            let told = alice.closed().await.expect("why");
            // Without a word of where it goes it comes to the only other node.
            let node = match told.condition {
                StreamCondition::SeeOtherHost => 3,
                _ => 2,
            };
            let back = cluster.node(node).resume(ALICE, &id, 0).await;
            back.expect("it is there").0
        });
    }
    cluster.node(1).sessions().hand_over_all().await;
    let back = coming.join_all().await;
    assert_eq!(back.len(), COUNT);
    for alice in &back {
        let resource = alice.jid.resource();
        bob.send(&chat(alice.jid.as_str(), resource)).await;
        alice.expect(&format!("<body>{resource}</body>")).await;
    }
}

#[tokio::test]
async fn a_session_that_is_given_away_late_does_not_end_the_one_its_client_has_begun() {
    let cluster = Cluster::of(2).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    alice.enable_sm().await;
    cluster.see(&[1, 2], &alice).await;
    let value = cluster
        .node(1)
        .sessions()
        .inspect(&alice.jid)
        .await
        .unwrap();
    let again = cluster.node(2).online(ALICE, "a").await;
    let ended = alice.closed().await.expect("why");
    assert_eq!(ended.condition, StreamCondition::Conflict);
    let waiting = Waiting {
        session: *value,
        held: Vec::new(),
    };
    assert!(cluster.node(2).sessions().take_in(waiting).await, "settled");
    again.sync().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_shown_yet_where_it_has_come_to_passes_nothing_over() {
    let cluster = Cluster::of(2).await;
    let bob = cluster.node(2).online(BOB, "b").await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    let id = alice.enable_sm().await;
    let (again, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    let world = cluster.node(2).sessions().world();
    // All that is shown of it is that it is there, as when it has just begun.
    let (reply, bound) = oneshot::channel();
    let bind = PresenceShardMsg::Bind {
        resource: Box::new(Resource::unseen(again.jid.clone())),
        slot: world.directory.slot(&again.jid).unwrap(),
        resources_max: 1,
        gives_way: false,
        reply,
    };
    world.shard(ALICE).cast(bind).unwrap();
    bound.await.unwrap().unwrap();
    bob.send(&chat(ALICE, "not passed over")).await;
    again.expect("<body>not passed over</body>").await;
}
