//! Sessions that several nodes may have at the same moment, or none: clients that cross cuts, claims
//! that are late, and a store that does not say what it has done. Of each session one goes on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::time::Duration;

use common::cluster::{Cluster, eventually, handled};
use common::room::{ROOM, entry};
use common::{ALICE, Client};
use klatsch_actors::world::now;
use klatsch_cluster::node_id::NodeId;
use klatsch_store::{Claim, Reached};
use tokio::time::sleep;

/// Alice on a node with a session that others could go on with; answers the id it is resumed by.
async fn resumable(
    cluster: &Cluster,
    node: u16,
    others: &[u16],
    resource: &str,
) -> (Client, String) {
    let alice = cluster.node(node).online(ALICE, resource).await;
    let id = alice.enable_sm().await;
    let told = handled(&alice).await;
    for other in others {
        cluster.knows_record(*other, ALICE, &id, told).await;
    }
    cluster.see(others, &alice).await;
    (alice, id)
}

/// Whether a node has a client's session.
fn has(cluster: &Cluster, node: u16, client: &Client) -> bool {
    let directory = &cluster.node(node).sessions().world().directory;
    directory.slot(&client.jid).is_some()
}

#[tokio::test(start_paused = true)]
async fn devices_of_an_account_that_cross_a_cut_to_different_nodes_find_each_its_session() {
    let cluster = Cluster::of(3).await;
    let (phone, phones) = resumable(&cluster, 1, &[2, 3], "phone").await;
    let (desk, desks) = resumable(&cluster, 1, &[2, 3], "desk").await;
    for (one, other) in [(1, 2), (1, 3), (2, 3)] {
        cluster.hub.cut(NodeId(one), NodeId(other));
    }
    phone.lose();
    desk.lose();
    let (phone, desk) = tokio::join!(
        cluster.node(2).resume(ALICE, &phones, 0),
        cluster.node(3).resume(ALICE, &desks, 0)
    );
    assert_eq!(phone.unwrap().0.jid.resource(), "phone");
    assert_eq!(desk.unwrap().0.jid.resource(), "desk");
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_looked_at_though_no_node_is_missing() {
    let cluster = Cluster::of(2).await;
    let (alice, id) = resumable(&cluster, 1, &[2], "a").await;
    // So long it is looked for claims after nodes have come.
    sleep(Duration::from_secs(30)).await;
    let claim = Claim {
        node: 1,
        session: alice.jid.clone(),
        previd: id.clone(),
    };
    cluster.store.claim_session(&claim, now()).await.unwrap();
    sleep(Duration::from_secs(12)).await;
    assert_eq!(cluster.store.claims_on(1, now()).await.unwrap(), []);
    assert!(!has(&cluster, 1, &alice));
    assert!(cluster.node(2).resume(ALICE, &id, 0).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_claim_made_before_a_session_came_back_ends_nothing() {
    let cluster = Cluster::of(2).await;
    let (alice, id) = resumable(&cluster, 1, &[2], "a").await;
    // It is not looked for claims every second any more, and not within the next five.
    sleep(Duration::from_secs(31)).await;
    cluster.hub.silence(NodeId(1));
    alice.lose();
    let (there, _h) = cluster.node(2).resume(ALICE, &id, 0).await.unwrap();
    let open = cluster.store.claims_on(1, now()).await.unwrap();
    assert_eq!(open.len(), 1, "nobody has looked at it");
    there.lose();
    cluster.hub.end_silence(NodeId(1));
    eventually(|| !has(&cluster, 1, &alice)).await;
    let (back, _h) = cluster.node(1).resume(ALICE, &id, 0).await.unwrap();
    cluster.hub.cut(NodeId(1), NodeId(2));
    sleep(Duration::from_secs(3)).await;
    assert!(has(&cluster, 1, &back));
    back.sync().await;
}

#[tokio::test(start_paused = true)]
async fn what_may_stand_in_the_store_does_not_go_on_before_that_is_known() {
    let cluster = Cluster::of(3).await;
    let home = cluster.home(ROOM);
    let (here, there) = (home % 3 + 1, (home + 1) % 3 + 1);
    let (alice, id) = resumable(&cluster, here, &[there], "a").await;
    cluster.hub.cut(NodeId(here), NodeId(there));
    // Until the room has answered she cannot leave, though her session is asked for.
    cluster.hub.silence(NodeId(home));
    alice.send(&entry(ROOM, "ann")).await;
    alice.lose();
    let crossing = cluster.node(there).resume(ALICE, &id, 0);
    let meanwhile = async {
        sleep(Duration::from_millis(1050)).await;
        cluster.node(here).reach.set(Reached::NoAnswer);
        cluster.hub.end_silence(NodeId(home));
    };
    let (crossed, ()) = tokio::join!(crossing, meanwhile);
    let (again, _h) = crossed.unwrap();
    cluster.node(here).reach.set(Reached::AtOnce);
    eventually(|| !has(&cluster, here, &alice)).await;
    again.sync().await;
}
