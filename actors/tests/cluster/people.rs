//! Messages, presence and what concerns accounts, between people on different nodes.

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::stanza::StreamCondition;

use crate::common::cluster::{Cluster, eventually};
use crate::common::{ALICE, BOB, bare, chat};
use crate::{end_of, friends, friends_on};

#[tokio::test]
async fn messages_and_presence_cross_nodes() {
    let cluster = Cluster::of(3).await;
    let (alice, bob) = friends_on(&cluster, [1, 3]).await;
    for number in 0..20 {
        alice.send(&chat(BOB, &format!("n{number}-"))).await;
    }
    for number in 0..20 {
        bob.expect(&format!("<body>n{number}-</body>")).await;
    }
    bob.send(&chat(ALICE, "back")).await;
    alice.expect("<body>back</body>").await;
    bob.close();
    alice
        .expect_all(&["type='unavailable'", "bob@example.org/b"])
        .await;
}

#[tokio::test]
async fn people_who_come_to_two_nodes_at_the_same_moment_see_each_other() {
    let cluster = Cluster::of(2).await;
    friends(&cluster).await;
    // Neither node knows of the other's session yet when it tells or asks.
    let alice = cluster.node(1).online(ALICE, "a").await;
    let bob = cluster.node(2).online(BOB, "b").await;
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
}

#[tokio::test]
async fn what_a_node_of_another_version_says_harms_nobody() {
    let cluster = Cluster::of(2).await;
    friends(&cluster).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    let bob = cluster.node(2).online(BOB, "b").await;
    cluster.see(&[1, 2], &bob).await;
    // A word that is not known yet, a codec that is not spoken, and nothing.
    for message in [
        b"\x01\x63\x04news".to_vec(),
        b"\x02\x00".to_vec(),
        Vec::new(),
    ] {
        cluster.say_raw(2, 1, message);
    }
    bob.send(&chat(ALICE, "understood")).await;
    alice.expect("<body>understood</body>").await;
}

#[tokio::test]
async fn devices_of_one_account_on_different_nodes_get_carbons_and_roster_pushes() {
    let cluster = Cluster::of(2).await;
    let phone = cluster.node(1).online(ALICE, "phone").await;
    let desk = cluster.node(2).online(ALICE, "desk").await;
    cluster.see(&[1, 2], &phone).await;
    cluster.see(&[1, 2], &desk).await;
    desk.enable_carbons().await;
    desk.read_roster().await;
    let sees_it = || {
        let directory = &cluster.node(1).sessions().world().directory;
        let published = directory.published(ALICE).unwrap();
        let desk = published.view.resource(&desk.jid).cloned();
        desk.is_some_and(|it| it.carbons && it.roster_interest)
    };
    eventually(sees_it).await;
    phone.send(&chat(BOB, "hello")).await;
    desk.expect_all(&["urn:xmpp:carbons:2", "<body>hello</body>"])
        .await;
    phone
        .send(
            "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>\
             <item jid='x@example.org' name='X'/></query></iq>",
        )
        .await;
    desk.expect_all(&["jabber:iq:roster", "x@example.org"])
        .await;
    // What the other node has changed is known before the next decision.
    desk.send("<iq type='get' id='r2'><query xmlns='jabber:iq:roster'/></iq>")
        .await;
    desk.expect_all(&["id='r2'", "name='X'"]).await;
}

#[tokio::test]
async fn a_name_taken_on_another_node_ends_the_session_that_had_it() {
    let cluster = Cluster::of(2).await;
    let first = cluster.node(1).online(ALICE, "phone").await;
    cluster.see(&[1, 2], &first).await;
    let second = cluster.node(2).online(ALICE, "phone").await;
    assert_eq!(end_of(&first).await, Some(StreamCondition::Conflict));
    cluster.see(&[1, 2], &second).await;
    eventually(|| {
        let directory = &cluster.node(1).sessions().world().directory;
        directory
            .published(ALICE)
            .is_some_and(|it| it.places.len() == 1)
    })
    .await;
    second.sync().await;
}

#[tokio::test]
async fn a_password_changed_on_one_node_ends_the_sessions_on_all() {
    use klatsch_protocol::account::{AccountAct, AccountChange};
    let cluster = Cluster::of(2).await;
    let alice = cluster.node(1).online(ALICE, "a").await;
    cluster.see(&[1, 2], &alice).await;
    let change = AccountChange {
        account: bare(ALICE),
        act: AccountAct::Disable(true),
    };
    cluster
        .node(2)
        .sessions()
        .change_account(change)
        .await
        .unwrap();
    assert_eq!(end_of(&alice).await, Some(StreamCondition::NotAuthorized));
}

#[tokio::test]
async fn messages_cross_a_cut_between_nodes_through_the_store() {
    let cluster = Cluster::of(2).await;
    let (alice, bob) = friends_on(&cluster, [1, 2]).await;
    cluster.hub.cut(NodeId(1), NodeId(2));
    alice
        .expect_all(&["type='unavailable'", "bob@example.org/b"])
        .await;
    bob.expect_all(&["type='unavailable'", "alice@example.org/a"])
        .await;
    alice.send(&chat(BOB, "across")).await;
    bob.expect("<body>across</body>").await;
    cluster.hub.heal();
    alice.expect_all(&["<presence", "bob@example.org/b"]).await;
    bob.expect_all(&["<presence", "alice@example.org/a"]).await;
    alice.send(&chat(BOB, "again")).await;
    bob.expect("<body>again</body>").await;
}

#[tokio::test]
async fn presence_that_was_lost_between_nodes_is_told_when_they_hear_each_other_again() {
    let cluster = Cluster::of(2).await;
    let (alice, bob) = friends_on(&cluster, [1, 2]).await;
    cluster.hub.silence(NodeId(2));
    bob.send("<presence><show>away</show></presence>").await;
    bob.sync().await;
    cluster.hub.end_silence(NodeId(2));
    alice
        .expect_all(&["bob@example.org/b", "<show>away</show>"])
        .await;
}
