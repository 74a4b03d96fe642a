//! Searching for rooms by how many people are inside (XEP-0433 §5.1), which the rooms at hand know
//! and the store does not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::room::{SERVICE, enter, search};
use common::{ALICE, BOB, CAROL, Client, Scene, bare};
use klatsch_actors::directory::Wire;
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord};
use klatsch_protocol::time::Timestamp;

/// A server with rooms `a` to `f` and as many people in some of them: `d` 3, `b` 2, `e` 1, and `c`,
/// which is hidden, 1.
async fn scene() -> (Scene, Vec<Client>) {
    let scene = Scene::new(Wire::Direct).await;
    for name in ["a", "b", "c", "d", "e", "f"] {
        let mut record = RoomRecord::new(&bare(ALICE), [0; 32], Timestamp(1));
        record.config.public = name != "c";
        record.config.name = format!("Room {name}").into();
        let create = vec![RoomChange::Create(Box::new(record))];
        let room = bare(&format!("{name}@{SERVICE}"));
        scene.store.save_room(&room, 0, create).await.unwrap();
    }
    let mut clients = Vec::new();
    for (account, rooms) in [(ALICE, "bcde"), (BOB, "bd"), (CAROL, "d")] {
        let client = scene.online(account, "here").await;
        for room in rooms.chars() {
            let nick = client.jid.bare();
            let nick = nick.localpart().unwrap();
            let entered = enter(&client, &format!("{room}@{SERVICE}"), nick).await;
            assert!(entered.contains("code='110'"), "{entered}");
        }
        clients.push(client);
    }
    (scene, clients)
}

const ALL: (&str, &str) = ("all", "true");
const BY_USERS: (&str, &str) = ("key", "{urn:xmpp:channel-search:0:order}nusers");
const BY_ADDRESS: (&str, &str) = ("key", "{urn:xmpp:channel-search:0:order}address");

#[tokio::test]
async fn the_fullest_rooms_come_first_and_empty_ones_by_their_addresses() {
    let (_scene, clients) = scene().await;
    let client = &clients[0];
    let found = search(client, &[ALL, BY_USERS], "").await;
    assert_eq!(found, "d3 b2 e1 a0 f0");
    // It is the order of who asks for none.
    assert_eq!(search(client, &[ALL], "").await, found);
    let by_address = search(client, &[ALL, BY_ADDRESS], "").await;
    assert_eq!(by_address, "a0 b2 d3 e1 f0");
    let words = [("q", "room"), ("sindescription", "false")];
    assert_eq!(search(client, &words, "").await, found);
    assert_eq!(search(client, &[("q", "room nothing")], "").await, "");
}

#[tokio::test]
async fn pages_go_through_the_rooms_in_both_directions() {
    let (_scene, clients) = scene().await;
    let client = &clients[0];
    let all = "d3 b2 e1 a0 f0".split(' ').collect::<Vec<_>>();
    let cursor = |place: &str, it: &str| format!("<{place}>{}@{SERVICE}</{place}>", &it[..1]);
    for max in 1..=5 {
        let mut there = Vec::new();
        let mut set = format!("<max>{max}</max>");
        loop {
            let page = search(client, &[ALL, BY_USERS], &set).await;
            let Some(last) = page.split(' ').next_back().filter(|it| !it.is_empty()) else {
                break;
            };
            set = format!("<max>{max}</max>{}", cursor("after", last));
            there.extend(page.split(' ').map(str::to_owned));
        }
        assert_eq!(there, all, "{max}");
        let mut back = Vec::new();
        let mut set = format!("<max>{max}</max><before/>");
        loop {
            let page = search(client, &[ALL, BY_USERS], &set).await;
            let Some(first) = page.split(' ').next().filter(|it| !it.is_empty()) else {
                break;
            };
            set = format!("<max>{max}</max>{}", cursor("before", first));
            let page: Vec<_> = page.split(' ').map(str::to_owned).collect();
            back.splice(0..0, page);
        }
        assert_eq!(back, all, "{max}");
    }
}

#[tokio::test]
async fn rooms_with_so_many_people_at_least_are_found() {
    let (_scene, clients) = scene().await;
    let client = &clients[0];
    for (least, found) in [("1", "d3 b2 e1"), ("2", "d3 b2"), ("4", "")] {
        let fields = [ALL, BY_USERS, ("min_users", least)];
        assert_eq!(search(client, &fields, "").await, found);
    }
    let fields = [ALL, BY_ADDRESS, ("min_users", "2")];
    assert_eq!(search(client, &fields, "").await, "b2 d3");
}

#[tokio::test]
async fn the_emptiest_of_many_rooms_is_found_by_its_words_and_by_pages() {
    const MANY: usize = 505;
    let scene = Scene::new(Wire::Direct).await;
    let clients = [scene.online(ALICE, "a").await, scene.online(BOB, "b").await];
    let names = (0..MANY).map(|n| format!("a{n:03}"));
    for (n, name) in names.chain(["z".to_owned()]).enumerate() {
        let mut record = RoomRecord::new(&bare(ALICE), [0; 32], Timestamp(1));
        record.config.public = true;
        record.config.name = if name == "z" { "Needle" } else { "Hay" }.into();
        let create = vec![RoomChange::Create(Box::new(record))];
        let room = bare(&format!("{name}@{SERVICE}"));
        scene.store.save_room(&room, 0, create).await.unwrap();
        let entered = enter(&clients[n % 2], room.as_str(), "me").await;
        assert!(entered.contains("code='110'"), "{entered}");
    }
    let client = &clients[0];
    let words = [("q", "needle"), ("min_users", "1")];
    assert_eq!(search(client, &words, "").await, "z1");
    let inhabited = [ALL, BY_USERS, ("min_users", "1")];
    let mut set = "<max>200</max>".to_owned();
    let mut found = Vec::new();
    for page in 0..3 {
        let rooms = search(client, &inhabited, &set).await;
        found.extend(rooms.split(' ').map(str::to_owned));
        let last = (page + 1) * 200 - 1;
        set = format!("<max>200</max><after>a{last:03}@{SERVICE}</after>");
    }
    assert_eq!(found.len(), MANY + 1);
    assert_eq!(found.last().unwrap(), "z1");
}
