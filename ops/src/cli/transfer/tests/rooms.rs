//! Rooms there and back again, and ids that stay what clients know them by.

use super::*;
use klatsch_protocol::archive::Entry;
use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation};
use klatsch_protocol::features::muc::hats::Hat;
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord, Subject};
use klatsch_protocol::features::pubsub::node::{
    Affiliation as NodeAffiliation, Ask, Found, Subscription, SubscriptionState, Wanted,
};
use klatsch_protocol::features::pubsub::options::Options;
use klatsch_store::RoomAppend;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const ROOM: &str = "coven@conference.a.example";

fn record(secret: u8) -> RoomRecord {
    let mut record = RoomRecord::new(&bare("anna@a.example"), [secret; 32], Timestamp(1_000_001));
    record.config.name = "The <Coven> & more".into();
    record.config.password = Some("cauldron".into());
    let affiliate = Affiliate {
        affiliation: Affiliation::Outcast,
        nick: Some("B'".into()),
        reason: Some("for \"good\"".into()),
    };
    record.affiliations.insert(bare("x.example"), affiliate);
    let hat = Hat {
        title: "Witch".into(),
        hue: Some("120".into()),
        lang: None,
    };
    record.hats.defined.insert("urn:hat".into(), hat);
    let worn = record.hats.worn.entry(bare("bert@a.example")).or_default();
    worn.insert("urn:hat".into());
    record.vcard = Some("<vCard xmlns='vcard-temp'><FN>Coven</FN></vCard>".into());
    let Ok(Stanza::Message(message)) = Stanza::parse(
        b"<message from='coven@conference.a.example/A' type='groupchat'><subject>s</subject></message>",
    ) else {
        panic!("no message");
    };
    let stamp = Timestamp(2_000_000);
    record.subject = Some(Subject { message, stamp });
    record
}

fn line(second: i64) -> RoomAppend {
    let text = format!(
        "<message from='{ROOM}/A' type='groupchat' id='l{second}'><body>&lt;{second}&gt;</body></message>"
    );
    RoomAppend {
        room: bare(ROOM),
        sender: jid("anna@a.example/phone"),
        message: canonical(&text).into(),
        dedup: None,
        now: Timestamp(second * 1_000_000 + 7),
        subject: None,
        tombstone: None,
    }
}

async fn fill_room(store: Store) {
    let create = vec![RoomChange::Create(Box::new(record(7)))];
    store.save_room(&bare(ROOM), 0, create).await.unwrap();
    store.skip_room_ids(&bare(ROOM), 40).await.unwrap();
    let many: Vec<RoomAppend> = (0..130).map(|n| line(n / 2)).collect();
    store.append_room(many).await.unwrap();
    store.skip_room_ids(&bare(ROOM), 200).await.unwrap();
    store.append_room(vec![line(100)]).await.unwrap();
    store.skip_room_ids(&bare(ROOM), 205).await.unwrap();
}

/// What is remembered of the room, its entries, and the last of its ids.
async fn room(store: Store) -> (RoomRecord, Vec<Entry>, u64) {
    let room = bare(ROOM);
    let record = store.room(&room).await.unwrap().unwrap();
    let entries = store.room_entries(&room, 0, 250).await.unwrap();
    (record, entries, store.room_head(&room).await.unwrap())
}

#[test]
fn rooms_are_exported_and_imported_with_all_that_is_remembered_of_them() {
    let (_one, from) = installation();
    with_store(&from, fill);
    with_store(&from, fill_room);
    let first = exported(&from, None);
    assert!(
        first.contains("<host jid='conference.a.example'>"),
        "{first}"
    );
    let (_two, to) = installation();
    let told = imported(&to, &first, false);
    assert_eq!(told, "3 imported, 1 rooms");
    assert_eq!(exported(&to, None), first);
    let there = with_store(&from, room);
    assert_eq!(there.2, 205);
    assert_eq!(with_store(&to, room), there);

    // The same again changes nothing.
    let again = imported(&to, &first, false);
    assert!(
        again.ends_with("0 imported, 1 rooms, 3 passed over"),
        "{again}"
    );
    assert_eq!(with_store(&to, room), there);
}

/// Who has made the node, who is what to it, and how many items it has.
async fn news(store: Store) -> (BareJid, Vec<(BareJid, NodeAffiliation)>, usize) {
    let ask = Ask::Node {
        node: "news".to_owned(),
        items: Wanted::After(None, 10),
        creator: bare("anna@a.example"),
    };
    let service = bare("pubsub.b.example");
    let found = store.nodes(&service, &ask, Timestamp(2)).await.unwrap();
    let Found::Node(found) = found else {
        panic!("{found:?}");
    };
    let node = found.node.unwrap();
    let affiliations = node.affiliations.into_iter().collect();
    (node.creator, affiliations, found.items.len())
}

#[test]
fn nodes_of_services_are_exported_and_imported_with_who_is_what_to_them() {
    let (_one, from) = installation();
    let service = bare("pubsub.b.example");
    with_store(&from, async |store| {
        let anna = bare("anna@a.example");
        let item = Item {
            id: "one".to_owned(),
            publisher: jid("anna@a.example/phone"),
            stamp: Timestamp(1),
            payload: "<tune xmlns='urn:example:tune'>la &amp; la</tune>".into(),
        };
        let mut config = Config::of_service();
        config.title = "News".to_owned();
        let subscription = Subscription {
            jid: jid("carl@b.example"),
            state: SubscriptionState::Subscribed,
            options: Options::default(),
        };
        let change = NodeChange {
            service: service.clone(),
            node: "news".to_owned(),
            expected: None,
            actions: vec![
                Action::Create(anna.clone(), config),
                // Whoever has made it is no longer its owner.
                Action::Affiliate(vec![
                    (bare("bert@a.example"), NodeAffiliation::Owner),
                    (anna, NodeAffiliation::None),
                ]),
                Action::Subscribe(subscription),
                Action::Publish(vec![item], 10),
            ],
        };
        store.change_node(&change, Timestamp(1)).await.unwrap();
    });
    let file = exported(&from, None);
    let (_two, to) = installation();
    assert_eq!(imported(&to, &file, false), "0 imported");
    assert_eq!(exported(&to, None), file);
    let there = with_store(&from, news);
    assert_eq!(there.1, [(bare("bert@a.example"), NodeAffiliation::Owner)]);
    assert_eq!(with_store(&to, news), there);
    assert_eq!(imported(&to, &file, false), "0 imported");
    assert_eq!(exported(&to, None), file);
}

#[test]
fn another_room_of_the_same_name_is_left_alone() {
    let (_one, from) = installation();
    with_store(&from, fill_room);
    let file = exported(&from, None);
    let (_two, to) = installation();
    with_store(&to, async |store| {
        let create = vec![RoomChange::Create(Box::new(record(8)))];
        store.save_room(&bare(ROOM), 0, create).await.unwrap();
    });
    let told = imported(&to, &file, false);
    assert!(told.contains("there is another room"), "{told}");
    assert!(told.ends_with("0 imported, 1 passed over"), "{told}");
    with_store(&to, async |store| {
        assert_eq!(store.room_head(&bare(ROOM)).await, Ok(0));
    });
}

#[test]
fn messages_keep_the_ids_by_which_clients_know_them() {
    let (_one, from) = installation();
    with_store(&from, fill);
    let anna = bare("anna@a.example");
    with_store(&from, async |store| {
        let purged = store.purge_before(&anna, Timestamp(50_000_000), 115).await;
        assert_eq!(purged, Ok(49));
        store.skip_ids(&anna, 300).await.unwrap();
    });
    let (_two, to) = installation();
    imported(&to, &exported(&from, None), false);
    let before = with_store(&from, async |store| ids(&store, "anna@a.example").await);
    let after = with_store(&to, async |store| {
        assert_eq!(store.head(&anna).await, Ok(300));
        ids(&store, "anna@a.example").await
    });
    assert_eq!(before[0].0, 50);
    assert_eq!(before, after);
}

/// Runs SQL on the server that `KLATSCH_TEST_POSTGRES` names.
fn administrate(server: &str, sql: String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(server).await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
        done.await.unwrap();
    });
}

/// Where `KLATSCH_TEST_POSTGRES` names a server; elsewhere there is nothing to test.
#[test]
fn a_store_moves_from_sqlite_to_postgresql_and_back() {
    let Ok(server) = std::env::var("KLATSCH_TEST_POSTGRES") else {
        return;
    };
    let schema = format!("moved_{}", std::process::id());
    administrate(&server, format!("CREATE SCHEMA {schema}"));
    let (_one, from) = installation();
    with_store(&from, fill);
    with_store(&from, fill_room);
    let first = exported(&from, None);

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("klatsch.toml");
    let text = format!(
        "domains = [\"a.example\", \"b.example\"]\n[store]\n\
         url = \"{server}?options[search_path]={schema}\"\n"
    );
    std::fs::write(&config, text).unwrap();
    let to = Common {
        config: Some(config),
        data: Some(folder.path().join("data")),
    };
    let told = imported(&to, &first, false);
    assert_eq!(told, "3 imported, 1 rooms");
    let second = exported(&to, None);
    assert_eq!(second, first);
    assert!(!folder.path().join("data/klatsch.db").exists());

    let (_three, back) = installation();
    imported(&back, &second, false);
    assert_eq!(exported(&back, None), first);
    administrate(&server, format!("DROP SCHEMA {schema} CASCADE"));
}
