//! One reading after the other, with accounts that are there.

use bytes::Bytes;
use klatsch_actors::directory::Wire;
use klatsch_actors::node::Node;
use klatsch_protocol::facts::Host;
use klatsch_protocol::time::Timestamp;

use super::*;
use crate::colleagues::{Pace, follow, tenants};
use crate::ldap::testkit::{self, BASE, Fake, Manner, entry};

/// A node of `example.org`, with nobody on it.
async fn node() -> Node {
    let host = Host {
        domains: vec![jid("example.org")],
        version: "test",
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
        people: true,
    };
    let store = Store::open("memory:").await.unwrap();
    let settings = klatsch_actors::world::Settings::default();
    Node::start(host, settings, store, Wire::Direct)
        .await
        .unwrap()
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

/// A directory with these people, by their names.
async fn directory(names: &[&str]) -> Fake {
    let mut entries = testkit::people();
    entries.truncate(1);
    entries.extend(names.iter().map(|name| {
        let mail = format!("{name}@example.org");
        let id = format!("id of {name}");
        let attributes = [("uid", *name), ("mail", &*mail), ("entryUUID", &*id)];
        entry(&format!("uid={name},{BASE}"), "", &attributes)
    }));
    Fake::start_at("127.0.0.1:0".parse().unwrap(), entries, false).await
}

/// Somebody has another address.
fn moves(fake: &Fake, name: &str, to: &str) {
    let mut entries = fake.shared.entries.lock().unwrap();
    let is_theirs = |entry: &&mut testkit::Entry| entry.dn.starts_with(&format!("uid={name},"));
    let theirs = entries.iter_mut().find(is_theirs).unwrap();
    let is_mail = |it: &&mut (String, String)| it.0 == "mail";
    let mail = theirs.attributes.iter_mut().find(is_mail).unwrap();
    mail.1 = format!("{to}@example.org");
}

fn sync(directory: Arc<Directory>, node: &Node) -> Sync {
    let organisations = tenants(&directory, &[jid("example.org")]);
    Sync::new(
        directory,
        organisations,
        node.sessions.clone(),
        node.colleagues.clone(),
        Measures::default(),
    )
}

/// Everybody keeps their name.
async fn write_names(store: &Store, names: &[&'static str]) {
    for name in names {
        let account = jid(&format!("{name}@example.org"));
        let value = Some(Bytes::from_static(name.as_bytes()));
        store.keep(&account, "name", value).await.unwrap();
    }
}

/// Whose an account is, by what it keeps.
async fn whose(node: &Node, account: &str) -> String {
    let store = &node.sessions.world().store;
    let account = jid(&format!("{account}@example.org"));
    let kept = store.kept(&account, "name").await.unwrap();
    String::from_utf8_lossy(&kept.value.unwrap_or_default()).into_owned()
}

async fn all(node: &Node, accounts: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for account in accounts {
        all.push(whose(node, account).await);
    }
    all
}

#[tokio::test]
async fn people_who_exchange_addresses_keep_what_is_theirs() {
    let (node, fake) = (node().await, directory(&["doe", "poe", "roe", "moe"]).await);
    let mut sync = sync(fake.directory(), &node);
    sync.once(false).await.unwrap();
    let names = ["doe", "poe", "roe", "moe"];
    write_names(&node.sessions.world().store, &names).await;
    moves(&fake, "doe", "poe");
    moves(&fake, "poe", "doe");
    // And a chain besides, whose end is free.
    moves(&fake, "roe", "moe");
    moves(&fake, "moe", "zoe");
    let outcome = sync.once(false).await.unwrap();
    let accounts = ["poe", "doe", "moe", "zoe"];
    assert_eq!(all(&node, &accounts).await, names, "{outcome:?}");
    let book = node.colleagues.book();
    for (id, account) in names.iter().zip(accounts) {
        let person = person(book.entry(&format!("id of {id}")).map(|it| &**it)).unwrap();
        assert_eq!(person.account, jid(&format!("{account}@example.org")));
    }
    // What has been done is not done again, which would undo it.
    let outcome = sync.once(false).await.unwrap();
    assert_eq!(outcome.changes, 0, "{outcome:?}");
    assert_eq!(outcome.skipped, []);
    assert_eq!(all(&node, &accounts).await, names);
}

#[tokio::test]
async fn exchange_in_a_circle_of_three_leaves_who_is_outside_it_alone() {
    let (node, fake) = (node().await, directory(&["doe", "poe", "roe"]).await);
    let mut sync = sync(fake.directory(), &node);
    sync.once(false).await.unwrap();
    let names = ["doe", "poe", "roe"];
    write_names(&node.sessions.world().store, &names).await;
    // Somebody who is in no directory, and has something.
    let zoe = jid("zoe@example.org");
    node.sessions.provide_account(&zoe).await.unwrap();
    node.sessions
        .change_account(AccountChange {
            account: zoe,
            act: AccountAct::Administrator(true),
        })
        .await
        .unwrap();
    for (name, to) in [("doe", "poe"), ("poe", "roe"), ("roe", "doe")] {
        moves(&fake, name, to);
    }
    sync.once(false).await.unwrap();
    assert_eq!(all(&node, &["poe", "roe", "doe"]).await, names);
    moves(&fake, "doe", "zoe");
    moves(&fake, "roe", "poe");
    let outcome = sync.once(false).await.unwrap();
    let taken = outcome.skipped.iter().map(|(name, _)| name.as_str());
    let taken: Vec<&str> = taken.filter(|it| it.contains("@")).collect();
    assert!(taken.contains(&"zoe@example.org"), "{outcome:?}");
    assert_eq!(all(&node, &["poe", "roe", "doe"]).await, names);
}

#[tokio::test]
async fn status_says_that_the_directory_is_being_read() {
    let (node, fake) = (node().await, directory(&["doe"]).await);
    fake.behaves(Manner::Silent);
    let mut settings = fake.settings();
    settings.patience = Duration::from_secs(60);
    let sync = sync(Directory::new(settings).unwrap(), &node);
    let (follower, running) = follow(
        sync,
        Pace::default(),
        node.sessions.clone(),
        jid("directory"),
    );
    let until = async |is_so: fn(&crate::colleagues::Status) -> bool| {
        let waiting = async {
            while !is_so(&follower.status()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = timeout(Duration::from_secs(10), waiting).await;
        waited.expect("it never says so");
    };
    until(|status| status.reading.is_some()).await;
    assert_eq!(follower.status().read, None);
    fake.stop().await;
    until(|status| status.reading.is_none() && status.failure.is_some()).await;
    running.abort();
}
