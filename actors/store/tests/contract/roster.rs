//! Rosters.

use bytes::Bytes;
use klatsch_protocol::features::roster::{RosterChange, RosterItem, Subscription};
use klatsch_store::roster::REMOVED_MAX;
use klatsch_store::{Store, StoreError};

use crate::support::{at, bare, couple, create, jid, on_every_backend};

on_every_backend!(
    items_come_back_as_they_went_in,
    a_change_needs_the_current_version,
    changes_are_made_all_or_none,
    no_change_is_no_new_version,
    removals_are_remembered_until_the_contact_is_back,
    only_the_latest_removals_are_remembered,
    viewers_are_those_who_show_themselves,
    r16_who_blocks_the_viewer_is_not_shown,
    c08_text_is_never_code,
);

pub(crate) fn item(contact: &str) -> RosterItem {
    RosterItem {
        jid: bare(contact),
        name: None,
        groups: Vec::new(),
        subscription: Subscription::None,
        ask: false,
        pending_in: None,
        approved: false,
        listed: true,
        version: 0,
    }
}

fn put(contact: &str) -> RosterChange {
    RosterChange::Put(item(contact))
}

async fn items_come_back_as_they_went_in(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let full = RosterItem {
        name: Some("Romeo, \"oh\"".to_owned()),
        groups: vec![
            "Friends".to_owned(),
            "two\nlines".to_owned(),
            "Ä, b".to_owned(),
        ],
        subscription: Subscription::Both,
        ask: true,
        pending_in: Some(Bytes::from_static(b"<presence type='subscribe'/>")),
        approved: true,
        listed: false,
        ..item("romeo@example.org")
    };
    let others =
        [Subscription::None, Subscription::To, Subscription::From].map(|subscription| RosterItem {
            subscription,
            ..item(&format!("{subscription:?}@example.org"))
        });
    let mut items: Vec<RosterItem> = others.into_iter().chain([full]).collect();
    let changes = items.iter().cloned().map(RosterChange::Put).collect();
    let version = store.change_roster(&juliet, 0, changes).await.unwrap();
    let roster = store.roster(&juliet).await.unwrap();
    assert_eq!(roster.version, version);
    items.iter_mut().for_each(|item| item.version = version);
    items.sort_by(|one, other| one.jid.cmp(&other.jid));
    assert_eq!(roster.items.into_values().collect::<Vec<_>>(), items);
}

async fn a_change_needs_the_current_version(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let change = |expected, contact| store.change_roster(&juliet, expected, vec![put(contact)]);
    assert_eq!(change(0, "a@example.org").await, Ok(1));
    assert_eq!(change(0, "b@example.org").await, Err(StoreError::Conflict));
    assert_eq!(change(2, "b@example.org").await, Err(StoreError::Conflict));
    assert_eq!(change(1, "b@example.org").await, Ok(2));
    let nobody = bare("nobody@example.org");
    let refused = store.change_roster(&nobody, 0, vec![]).await;
    assert_eq!(refused, Err(StoreError::NoSuchAccount));
}

async fn changes_are_made_all_or_none(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let both = vec![put("a@example.org"), put("b@example.org")];
    store.change_roster(&juliet, 0, both).await.unwrap();
    let swap = vec![
        RosterChange::Remove(bare("a@example.org")),
        put("c@example.org"),
    ];
    store.change_roster(&juliet, 1, swap).await.unwrap();
    let roster = store.roster(&juliet).await.unwrap();
    let versions: Vec<_> = roster
        .items
        .iter()
        .map(|(jid, item)| (jid.as_str(), item.version))
        .collect();
    assert_eq!(versions, [("b@example.org", 1), ("c@example.org", 2)]);
}

async fn no_change_is_no_new_version(store: &Store) {
    couple(store).await;
    assert_eq!(
        store
            .change_roster(&bare("juliet@example.org"), 0, vec![])
            .await,
        Ok(0)
    );
}

async fn removals_are_remembered_until_the_contact_is_back(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let remove = |contact| RosterChange::Remove(bare(contact));
    let both = vec![put("a@example.org"), put("b@example.org")];
    store.change_roster(&juliet, 0, both).await.unwrap();
    store
        .change_roster(&juliet, 1, vec![remove("b@example.org")])
        .await
        .unwrap();
    let away = vec![remove("a@example.org"), remove("never@example.org")];
    store.change_roster(&juliet, 2, away).await.unwrap();
    let removed = store.roster(&juliet).await.unwrap().removed;
    assert_eq!(
        removed,
        [(bare("b@example.org"), 2), (bare("a@example.org"), 3)]
    );
    store
        .change_roster(&juliet, 3, vec![put("b@example.org")])
        .await
        .unwrap();
    let removed = store.roster(&juliet).await.unwrap().removed;
    assert_eq!(removed, [(bare("a@example.org"), 3)]);
}

async fn only_the_latest_removals_are_remembered(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let names: Vec<_> = (0..REMOVED_MAX + 3)
        .map(|n| format!("c{n}@example.org"))
        .collect();
    let puts = names.iter().map(|name| put(name)).collect();
    let mut version = store.change_roster(&juliet, 0, puts).await.unwrap();
    for name in &names {
        let change = vec![RosterChange::Remove(bare(name))];
        version = store.change_roster(&juliet, version, change).await.unwrap();
    }
    let removed = store.roster(&juliet).await.unwrap().removed;
    assert_eq!(removed.len(), REMOVED_MAX);
    assert_eq!(removed[0], (bare("c3@example.org"), 5));
    assert_eq!(removed[REMOVED_MAX - 1].1, version);
}

async fn viewers_are_those_who_show_themselves(store: &Store) {
    let kinds = [
        Subscription::None,
        Subscription::To,
        Subscription::From,
        Subscription::Both,
    ];
    create(store, &["me@example.org"]).await;
    for subscription in kinds {
        let name = format!("{subscription:?}@example.org");
        create(store, &[&name]).await;
        let mine = RosterItem {
            subscription,
            ..item("me@example.org")
        };
        store
            .change_roster(&bare(&name), 0, vec![RosterChange::Put(mine)])
            .await
            .unwrap();
    }
    let me = jid("me@example.org");
    let shown = store.who_shows(&me).await.unwrap();
    assert_eq!(shown, [bare("both@example.org"), bare("from@example.org")]);
    store
        .remove_account(&bare("both@example.org"), at(1))
        .await
        .unwrap();
    assert_eq!(
        store.who_shows(&me).await.unwrap(),
        [bare("from@example.org")]
    );
}

async fn r16_who_blocks_the_viewer_is_not_shown(store: &Store) {
    create(store, &["me@example.org", "shy@example.org"]).await;
    let (me, shy) = (jid("me@example.org/phone"), bare("shy@example.org"));
    let mine = RosterItem {
        subscription: Subscription::Both,
        ..item("me@example.org")
    };
    let change = vec![RosterChange::Put(mine)];
    store.change_roster(&shy, 0, change).await.unwrap();
    let forms = [
        ("me@example.org", true),
        ("example.org", true),
        ("me@example.org/phone", true),
        ("example.org/phone", true),
        ("me@example.org/desk", false),
        ("other@example.org", false),
        ("sub.example.org", false),
    ];
    let mut version = 0;
    for (form, hides) in forms {
        let blocked = vec![jid(form)];
        version = store
            .change_blocklist(&shy, version, blocked.clone(), vec![])
            .await
            .unwrap();
        let expected = if hides { vec![] } else { vec![shy.clone()] };
        assert_eq!(store.who_shows(&me).await.unwrap(), expected, "{form}");
        version = store
            .change_blocklist(&shy, version, vec![], blocked)
            .await
            .unwrap();
    }
    assert_eq!(store.who_shows(&me).await.unwrap(), [shy]);
}

async fn c08_text_is_never_code(store: &Store) {
    couple(store).await;
    let juliet = bare("juliet@example.org");
    let nasty = [
        "'; DROP TABLE account; --",
        "\" OR \"\"=\"",
        "?1",
        ":name",
        "a\0b",
        "%",
        "_",
        "\\'",
        "*/",
        "x' UNION SELECT 1",
    ];
    for (version, text) in nasty.into_iter().enumerate() {
        let named = RosterItem {
            name: Some(text.to_owned()),
            groups: vec![text.to_owned()],
            pending_in: Some(Bytes::from_static(b"'\0;--")),
            ..item("romeo@example.org")
        };
        let change = vec![RosterChange::Put(named.clone())];
        let version = store
            .change_roster(&juliet, version as u64, change)
            .await
            .unwrap();
        let found = store
            .roster(&juliet)
            .await
            .unwrap()
            .items
            .remove(&named.jid)
            .unwrap();
        assert_eq!(found, RosterItem { version, ..named });
        assert_eq!(store.list_accounts(text, None, 10).await.unwrap(), []);
    }
    assert_eq!(store.count_accounts().await, Ok(2));
}
