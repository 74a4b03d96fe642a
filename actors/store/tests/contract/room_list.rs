//! Lists of rooms, and searches for them.

use klatsch_protocol::features::muc::config::Config;
use klatsch_protocol::features::muc::record::RoomChange;
use klatsch_protocol::features::muc::search::{Order, RoomListQuery};
use klatsch_protocol::features::muc::service::{RoomPage, RoomSummary};
use klatsch_protocol::features::rsm::PageRequest;
use klatsch_store::Store;
use klatsch_store::rooms::LIST_MAX;

use crate::support::{bare, found_room, on_every_backend, record};

on_every_backend!(
    rooms_of_a_service_are_listed,
    temporary_rooms_are_listed,
    public_rooms_are_found_by_pages,
    public_rooms_are_found_by_words,
    what_is_no_longer_public_is_found_no_more,
    the_summary_says_what_the_configuration_says,
    a_page_begins_where_a_room_was,
    a_long_search_finds_what_is_far_behind,
);

async fn rooms_of_a_service_are_listed(store: &Store) {
    let names = [
        "b@c.example.org",
        "a@c.example.org",
        "z@a.example.org",
        "c@c.example.org",
    ];
    for room in names {
        found_room(store, room).await;
    }
    found_room(store, "gone@c.example.org").await;
    store
        .remove_room(&bare("gone@c.example.org"))
        .await
        .unwrap();
    let all = store.rooms("c.example.org", None, LIST_MAX).await.unwrap();
    assert_eq!(
        all,
        ["a@c.example.org", "b@c.example.org", "c@c.example.org"].map(bare)
    );
    assert_eq!(
        store.rooms("c.example.org", Some(&all[0]), 1).await,
        Ok(vec![all[1].clone()])
    );
    assert_eq!(
        store.rooms("c.example.org", Some(&all[2]), 9).await,
        Ok(Vec::new())
    );
    assert_eq!(store.rooms("example.org", None, 9).await, Ok(Vec::new()));
}

async fn temporary_rooms_are_listed(store: &Store) {
    for (room, persistent) in [
        ("b@c.example.org", false),
        ("a@c.example.org", false),
        ("lasting@c.example.org", true),
        ("c@a.example.net", false),
        ("gone@c.example.org", false),
    ] {
        let mut record = record("queen@example.org");
        record.config.persistent = persistent;
        let create = vec![RoomChange::Create(Box::new(record))];
        store.save_room(&bare(room), 0, create).await.unwrap();
    }
    store
        .remove_room(&bare("gone@c.example.org"))
        .await
        .unwrap();
    let all = store.temporary_rooms(None, LIST_MAX).await.unwrap();
    assert_eq!(
        all,
        ["a@c.example.org", "b@c.example.org", "c@a.example.net"].map(bare)
    );
    assert_eq!(
        store.temporary_rooms(Some(&all[0]), 1).await,
        Ok(vec![all[1].clone()])
    );
    // One that becomes lasting is so from then on.
    let lasting = vec![RoomChange::Config(Box::default())];
    store.save_room(&all[2], 1, lasting).await.unwrap();
    assert_eq!(
        store.temporary_rooms(Some(&all[1]), 9).await,
        Ok(Vec::new())
    );
}

/// Makes public rooms of these names, and a hidden one.
async fn publish(store: &Store, rooms: &[(&str, &str, &str)]) {
    let found = async |localpart: &str, change: &dyn Fn(&mut Config)| {
        let mut record = record("queen@example.org");
        change(&mut record.config);
        let room = bare(&format!("{localpart}@conference.example.org"));
        let create = vec![RoomChange::Create(Box::new(record))];
        store.save_room(&room, 0, create).await.unwrap();
    };
    for (localpart, name, description) in rooms {
        found(localpart, &|config| {
            config.name = (*name).into();
            config.description = (*description).into();
            config.public = true;
        })
        .await;
    }
    found("hidden", &|config| config.name = "witches".into()).await;
    found_room(store, "elsewhere@conference.example.net").await;
}

fn asked(max: u32) -> RoomListQuery {
    RoomListQuery {
        service: bare("conference.example.org"),
        terms: Vec::new(),
        in_name: true,
        in_description: true,
        in_address: true,
        occupants_min: 0,
        order: Order::Address,
        page: PageRequest::default(),
        max,
    }
}

fn words(words: &[&str], max: u32) -> RoomListQuery {
    RoomListQuery {
        terms: words.iter().map(|word| (*word).to_owned()).collect(),
        ..asked(max)
    }
}

fn paged(query: RoomListQuery, after: Option<&str>, before: Option<&str>) -> RoomListQuery {
    let address = |name: &str| match name {
        "" => String::new(),
        name => format!("{name}@conference.example.org"),
    };
    RoomListQuery {
        page: PageRequest {
            max: None,
            after: after.map(address),
            before: before.map(address),
        },
        ..query
    }
}

/// The names of a page, how many there are, and whether there is nothing further.
async fn found(store: &Store, query: &RoomListQuery) -> (String, Option<u64>, bool) {
    let RoomPage {
        rooms,
        count,
        complete,
    } = store.find_rooms(query).await.unwrap();
    let names = rooms.iter().map(|room| room.jid.localpart().unwrap());
    (names.collect::<Vec<_>>().join(" "), count, complete)
}

async fn public_rooms_are_found_by_pages(store: &Store) {
    let rooms = ["c", "a", "e", "b", "d"].map(|name| (name, "", ""));
    publish(store, &rooms).await;
    let page = async |max, after, before| found(store, &paged(asked(max), after, before)).await;
    let is = |names: &str, complete| (names.to_owned(), Some(5), complete);
    assert_eq!(page(10, None, None).await, is("a b c d e", true));
    assert_eq!(page(5, None, None).await, is("a b c d e", true));
    assert_eq!(page(2, None, None).await, is("a b", false));
    assert_eq!(page(2, Some("b"), None).await, is("c d", false));
    assert_eq!(page(2, Some("d"), None).await, is("e", true));
    assert_eq!(page(2, Some("e"), None).await, is("", true));
    assert_eq!(page(2, None, Some("")).await, is("d e", false));
    assert_eq!(page(2, None, Some("c")).await, is("a b", true));
    assert_eq!(page(2, None, Some("d")).await, is("b c", false));
    assert_eq!(page(0, None, None).await, is("", false));
    // Order by occupants is that of addresses: for the store all are empty.
    let by_occupants = RoomListQuery {
        order: Order::Occupants,
        ..asked(2)
    };
    assert_eq!(found(store, &by_occupants).await, is("a b", false));
    let crowded = RoomListQuery {
        occupants_min: 1,
        ..asked(2)
    };
    assert_eq!(found(store, &crowded).await.0, "");
}

async fn public_rooms_are_found_by_words(store: &Store) {
    let rooms = [
        ("forest", "Birnam Wood", "Where armies hide"),
        ("heath", "WITCHES meet", "on a blasted heath"),
        ("castle", "Dunsinane", "No Witches, no wood"),
        ("strasse", "Straße", "ΟΔΟΣ"),
    ];
    publish(store, &rooms).await;
    let names = async |query| found(store, &query).await;
    let is = |names: &str, count, complete| (names.to_owned(), count, complete);
    assert_eq!(
        names(words(&["witches"], 9)).await,
        is("castle heath", Some(2), true)
    );
    assert_eq!(
        names(words(&["witches", "WOOD"], 9)).await,
        is("castle", Some(1), true)
    );
    assert_eq!(names(words(&["wood"], 1)).await, is("castle", None, false));
    assert_eq!(names(words(&["wood"], 0)).await, is("", Some(2), false));
    assert_eq!(
        names(words(&["ores"], 9)).await,
        is("forest", Some(1), true)
    );
    assert_eq!(names(words(&["οδοσ"], 9)).await.0, "");
    assert_eq!(names(words(&["STRAß"], 9)).await.0, "strasse");
    assert_eq!(names(words(&["%"], 9)).await, is("", Some(0), true));
    let in_names = RoomListQuery {
        in_description: false,
        in_address: false,
        ..words(&["wood"], 9)
    };
    assert_eq!(names(in_names).await.0, "forest");
    let last = paged(words(&["wood"], 1), None, Some(""));
    assert_eq!(names(last).await, is("forest", None, false));
    let rest = paged(words(&["wood"], 1), Some("castle"), None);
    assert_eq!(names(rest).await, is("forest", None, true));
}

async fn what_is_no_longer_public_is_found_no_more(store: &Store) {
    publish(store, &[("coven", "Coven", ""), ("heath", "", "")]).await;
    let coven = bare("coven@conference.example.org");
    let listed = store.room(&coven).await.unwrap().unwrap();
    let config = |public| {
        let config = Config {
            public,
            ..listed.config.clone()
        };
        vec![RoomChange::Config(Box::new(config))]
    };
    let hidden = store.save_room(&coven, listed.version, config(false)).await;
    assert_eq!(
        found(store, &asked(9)).await,
        ("heath".to_owned(), Some(1), true)
    );
    let shown = store.save_room(&coven, hidden.unwrap(), config(true)).await;
    assert!(shown.is_ok());
    assert_eq!(found(store, &asked(9)).await.0, "coven heath");
    store.remove_room(&coven).await.unwrap();
    assert_eq!(found(store, &asked(9)).await.0, "heath");
}

async fn the_summary_says_what_the_configuration_says(store: &Store) {
    publish(store, &[("open", "", "")]).await;
    let mut record = record("queen@example.org");
    record.config = Config {
        name: "The Coven".into(),
        description: "Fire burn".into(),
        lang: "en".into(),
        public: true,
        non_anonymous: true,
        members_only: true,
        ..Config::default()
    };
    let create = vec![RoomChange::Create(Box::new(record))];
    let coven = bare("coven@conference.example.org");
    store.save_room(&coven, 0, create).await.unwrap();
    let summary = |jid, name: &str, description: &str, lang: &str| RoomSummary {
        jid,
        name: name.into(),
        description: description.into(),
        lang: lang.into(),
        occupants: 0,
        is_open: true,
        non_anonymous: false,
    };
    let closed = RoomSummary {
        is_open: false,
        non_anonymous: true,
        ..summary(coven, "The Coven", "Fire burn", "en")
    };
    let open = summary(bare("open@conference.example.org"), "open", "", "");
    let page = store.find_rooms(&asked(9)).await.unwrap();
    assert_eq!(page.rooms, [closed, open]);
}

async fn a_page_begins_where_a_room_was(store: &Store) {
    publish(store, &["a", "b", "c"].map(|name| (name, "", ""))).await;
    store
        .remove_room(&bare("b@conference.example.org"))
        .await
        .unwrap();
    let page = async |after, before| found(store, &paged(asked(9), after, before)).await.0;
    assert_eq!(page(Some("b"), None).await, "c");
    assert_eq!(page(None, Some("b")).await, "a");
    let strange = RoomListQuery {
        page: PageRequest {
            after: Some("no address / \u{0} ' --".to_owned()),
            ..PageRequest::default()
        },
        ..asked(9)
    };
    // Text is text, and its place in the order its own.
    assert!(store.find_rooms(&strange).await.is_ok());
}

async fn a_long_search_finds_what_is_far_behind(store: &Store) {
    let names: Vec<String> = (0..600).map(|number| format!("r{number:03}")).collect();
    let rooms: Vec<_> = names.iter().map(|name| (name.as_str(), "", "")).collect();
    publish(store, &rooms).await;
    let found = async |query| found(store, &query).await;
    assert_eq!(found(words(&["r59"], 3)).await.0, "r590 r591 r592");
    assert_eq!(
        found(paged(words(&["r00"], 3), None, Some(""))).await.0,
        "r007 r008 r009"
    );
    assert_eq!(found(words(&["r3"], 0)).await.1, Some(100));
    let page = store.find_rooms(&asked(u32::MAX)).await.unwrap();
    assert_eq!((page.rooms.len(), page.complete), (600, true));
    let most = asked(300);
    let page = store.find_rooms(&most).await.unwrap();
    assert_eq!((page.rooms.len(), page.complete), (300, false));
}
