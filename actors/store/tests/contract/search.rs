//! Searching archives for words (XEP-0431).

use bytes::Bytes;
use klatsch_protocol::archive::{ArchiveQuery, PageFrom};
use klatsch_protocol::features::fulltext::Search;
use klatsch_protocol::features::muc::effect::Tombstone;
use klatsch_store::log::HIDDEN;
use klatsch_store::{Append, RoomAppend, Store};

use crate::support::{
    append, at, bare, create, found_room, jid, line, message, on_every_backend, say,
};

on_every_backend!(
    what_was_just_said_is_found,
    all_words_are_wanted_and_the_last_may_be_a_beginning,
    found_entries_are_paged_in_order_of_ids,
    search_combines_with_the_other_filters,
    accounts_find_their_own_messages_only,
    a_room_is_searched_like_an_account,
    hidden_entries_are_not_found,
    what_is_purged_is_not_found,
    what_is_retracted_is_not_found_and_the_rest_is,
    filling_the_index_changes_no_answer,
    c08_r10_words_are_never_code,
    random_searches_agree_with_a_plain_look,
);

const ME: &str = "me@x.org";
const ROOM: &str = "tea@conference.x.org";

fn says(from: &str, to: &str, second: i64, body: &str) -> Append {
    let text = format!("<message from='{from}' to='{to}'><body>{body}</body></message>");
    Append {
        stanza: Bytes::from(text),
        ..message(from, to, second)
    }
}

fn words(text: &str) -> ArchiveQuery {
    ArchiveQuery {
        search: Some(Search::parse(text).unwrap()),
        max: 100,
        ..ArchiveQuery::default()
    }
}

async fn found(store: &Store, query: ArchiveQuery) -> Vec<u64> {
    let page = store.query(&bare(ME), &query).await.unwrap();
    page.entries.iter().map(|entry| entry.id).collect()
}

async fn talk(store: &Store) {
    create(store, &[ME, "a@x.org", "b@x.org"]).await;
    let batch = vec![
        says(
            "me@x.org/here",
            "a@x.org/1",
            10,
            "Shall we have tea tomorrow?",
        ),
        says("a@x.org/1", ME, 20, "Tea at four, in the garden"),
        says("b@x.org/2", ME, 30, "The garden wants water"),
        says("me@x.org/here", "b@x.org/2", 40, "tomorrow then"),
        says("a@x.org/7", ME, 50, "and bring the Teapot"),
    ];
    store.append(batch).await.unwrap();
}

async fn what_was_just_said_is_found(store: &Store) {
    talk(store).await;
    assert_eq!(found(store, words("garden")).await, [2, 3]);
    append(store, says("a@x.org/1", ME, 60, "which garden?")).await;
    assert_eq!(found(store, words("garden")).await, [2, 3, 6]);
}

async fn all_words_are_wanted_and_the_last_may_be_a_beginning(store: &Store) {
    talk(store).await;
    assert_eq!(found(store, words("TEA")).await, [1, 2, 5]);
    assert_eq!(found(store, words("tea garden")).await, [2]);
    assert_eq!(found(store, words("tomorrow tea")).await, [1]);
    assert_eq!(found(store, words("tea tomorrow water")).await, [0u64; 0]);
    assert_eq!(found(store, words("?!")).await, [0u64; 0]);
}

async fn found_entries_are_paged_in_order_of_ids(store: &Store) {
    create(store, &[ME, "a@x.org"]).await;
    let batch = (1..=40).map(|n| {
        let body = if n % 2 == 0 {
            "an even number"
        } else {
            "an odd one"
        };
        says("a@x.org/1", ME, n, body)
    });
    store.append(batch.collect()).await.unwrap();
    let page = async |page, max| {
        let query = ArchiveQuery {
            page,
            max,
            ..words("even")
        };
        let page = store.query(&bare(ME), &query).await.unwrap();
        let ids: Vec<u64> = page.entries.iter().map(|entry| entry.id).collect();
        (ids, page.complete, page.count)
    };
    assert_eq!(page(PageFrom::Start, 3).await, (vec![2, 4, 6], false, None));
    assert_eq!(
        page(PageFrom::After(6), 3).await,
        (vec![8, 10, 12], false, None)
    );
    assert_eq!(
        page(PageFrom::After(36), 3).await,
        (vec![38, 40], true, None)
    );
    assert_eq!(page(PageFrom::End, 2).await, (vec![38, 40], false, None));
    assert_eq!(
        page(PageFrom::Before(38), 2).await,
        (vec![34, 36], false, None)
    );
    assert_eq!(page(PageFrom::Before(4), 2).await, (vec![2], true, None));
    assert_eq!(page(PageFrom::Start, 0).await, (vec![], false, Some(20)));
    let all = page(PageFrom::Start, 100).await;
    assert_eq!((all.0.len(), all.1, all.2), (20, true, Some(20)));
}

async fn search_combines_with_the_other_filters(store: &Store) {
    talk(store).await;
    let with = |text: &str, who: &str| ArchiveQuery {
        with: Some(jid(who)),
        ..words(text)
    };
    assert_eq!(found(store, with("tea", "a@x.org")).await, [1, 2, 5]);
    assert_eq!(found(store, with("tea", "a@x.org/7")).await, [5]);
    assert_eq!(found(store, with("tea", "b@x.org")).await, [0u64; 0]);
    assert_eq!(found(store, with("tea", "nobody@x.org")).await, [0u64; 0]);
    let between = ArchiveQuery {
        start: Some(at(15)),
        end: Some(at(45)),
        ..words("tea")
    };
    assert_eq!(found(store, between).await, [2]);
    let later = ArchiveQuery {
        after_id: Some(2),
        ..words("tea")
    };
    assert_eq!(found(store, later).await, [5]);
    let chosen = ArchiveQuery {
        ids: vec![1, 3, 5],
        ..words("tea")
    };
    assert_eq!(found(store, chosen).await, [1, 5]);
}

async fn accounts_find_their_own_messages_only(store: &Store) {
    talk(store).await;
    let page = store.query(&bare("b@x.org"), &words("tea")).await.unwrap();
    assert_eq!((page.entries.len(), page.complete), (0, true));
    let page = store
        .query(&bare("b@x.org"), &words("garden"))
        .await
        .unwrap();
    assert_eq!(page.entries.len(), 1);
}

fn room_says(second: i64, body: &str) -> RoomAppend {
    RoomAppend {
        message: Bytes::from(format!(
            "<message from='{ROOM}/R' type='groupchat'><body>{body}</body></message>"
        )),
        ..line(ROOM, second)
    }
}

async fn found_in_room(store: &Store, text: &str) -> Vec<u64> {
    let page = store.room_query(&bare(ROOM), &words(text)).await.unwrap();
    page.entries.iter().map(|entry| entry.id).collect()
}

async fn a_room_is_searched_like_an_account(store: &Store) {
    found_room(store, ROOM).await;
    say(store, room_says(1, "the kettle is on")).await;
    say(store, room_says(2, "which kettle?")).await;
    assert_eq!(found_in_room(store, "kettle").await, [1, 2]);
    assert_eq!(found_in_room(store, "which").await, [2]);
}

async fn hidden_entries_are_not_found(store: &Store) {
    create(store, &[ME, "a@x.org"]).await;
    for (second, flags) in [(1, 0), (2, HIDDEN), (3, 0)] {
        let said = Append {
            flags,
            ..says("a@x.org/1", ME, second, "a secret")
        };
        append(store, said).await;
    }
    assert_eq!(found(store, words("secret")).await, [1, 3]);
}

async fn what_is_purged_is_not_found(store: &Store) {
    talk(store).await;
    assert_eq!(found(store, words("tea")).await, [1, 2, 5]);
    store.purge_before(&bare(ME), at(45), 5).await.unwrap();
    assert_eq!(found(store, words("tea")).await, [5]);
    let count = ArchiveQuery {
        max: 0,
        ..words("tea")
    };
    let page = store.query(&bare(ME), &count).await.unwrap();
    assert_eq!(page.count, Some(1));
}

async fn what_is_retracted_is_not_found_and_the_rest_is(store: &Store) {
    found_room(store, ROOM).await;
    say(store, room_says(1, "a rude kettle")).await;
    say(store, room_says(2, "a kettle")).await;
    assert_eq!(found_in_room(store, "kettle").await, [1, 2]);
    let retraction = RoomAppend {
        tombstone: Some(Tombstone {
            id: 1,
            stanza: Bytes::from_static(
                b"<message from='r'><retracted xmlns='urn:xmpp:message-retract:1'/></message>",
            ),
        }),
        ..room_says(3, "gone")
    };
    say(store, retraction).await;
    assert_eq!(found_in_room(store, "kettle").await, [2]);
    let count = ArchiveQuery {
        max: 0,
        ..words("kettle")
    };
    let page = store.room_query(&bare(ROOM), &count).await.unwrap();
    assert_eq!(page.count, Some(1));
    while store.index_words(100).await.unwrap() > 0 {}
    assert_eq!(found_in_room(store, "rude").await, [0u64; 0]);
}

async fn filling_the_index_changes_no_answer(store: &Store) {
    talk(store).await;
    while store.index_words(1).await.unwrap() > 0 {}
    assert_eq!(found(store, words("tea")).await, [1, 2, 5]);
    append(store, says("a@x.org/1", ME, 60, "tea")).await;
    while store.index_words(1).await.unwrap() > 0 {}
    assert_eq!(found(store, words("tea")).await, [1, 2, 5, 6]);
    while store.index_words(100).await.unwrap() > 0 {}
    assert_eq!(found(store, words("tea")).await, [1, 2, 5, 6]);
}

async fn c08_r10_words_are_never_code(store: &Store) {
    talk(store).await;
    for text in [
        "tea\" OR \"water",
        "words:tea water",
        "NEAR(tea water)",
        "tea NOT garden",
        "tea'; DROP TABLE words; --",
        "*",
        "^tea* {words}: +x",
    ] {
        let ids = found(store, words(text)).await;
        assert!(ids.is_empty(), "{text}: {ids:?}");
    }
    assert_eq!(found(store, words("\"tea\"*")).await, [1, 2, 5]);
}

/// The index and a plain look at every entry agree, whatever is asked.
async fn random_searches_agree_with_a_plain_look(store: &Store) {
    create(store, &[ME, "a@x.org", "b@x.org"]).await;
    let vocabulary = [
        "tea", "teapot", "Ça", "garten", "茶会", "会", "x", "42", "👍", "ten",
    ];
    let mut seed: u64 = 7;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as usize % below
    };
    let mut said = Vec::new();
    for n in 0..300 {
        let body: Vec<&str> = (0..1 + next(5))
            .map(|_| vocabulary[next(vocabulary.len())])
            .collect();
        let who = ["a@x.org/1", "b@x.org/1"][next(2)];
        said.push(says(who, ME, n, &body.join(" ")));
    }
    store.append(said.clone()).await.unwrap();
    for _ in 0..60 {
        let text: Vec<&str> = (0..1 + next(3))
            .map(|_| vocabulary[next(vocabulary.len())])
            .collect();
        let query = words(&text.join(" "));
        let search = query.search.clone().unwrap();
        let wanted: Vec<u64> = (1..)
            .zip(&said)
            .filter(|(_, append)| search.matches(&append.stanza))
            .map(|(id, _)| id)
            .take(100)
            .collect();
        assert_eq!(found(store, query).await, wanted, "{text:?}");
    }
}
