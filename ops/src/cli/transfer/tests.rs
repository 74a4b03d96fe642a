//! Accounts there and back again, and files of others.

mod rooms;

use super::*;
use klatsch_protocol::archive::{ArchiveQuery, Direction};
use klatsch_protocol::features::archive_preferences::{Otherwise, Preferences};
use klatsch_protocol::features::pubsub::config::Config;
use klatsch_protocol::features::pubsub::node::{Action, Affiliation, Item, NodeChange};
use klatsch_protocol::features::push::{PushChange, Registration};
use klatsch_protocol::features::roster::{RosterChange, RosterItem, Subscription};
use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::Slot;
use klatsch_protocol::jid::Jid;
use klatsch_protocol::sasl::{Hash, ScramCredentials};
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Append, Credentials, Reserved, Store};
use tempfile::TempDir;

fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// A data directory for the domain a.example.
fn installation() -> (TempDir, Common) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("klatsch.toml");
    std::fs::write(&config, "domains = [\"a.example\", \"b.example\"]\n").unwrap();
    let common = Common {
        config: Some(config),
        data: Some(folder.path().join("data")),
    };
    // Makes the data directory.
    drop(Talk::begin(&common).unwrap());
    (folder, common)
}

/// Works on the store of an installation at rest.
fn with_store<T>(common: &Common, work: impl AsyncFnOnce(Store) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let file = common.data.as_ref().unwrap().join("klatsch.db");
    runtime.block_on(async {
        let store = Store::open(&format!("sqlite:{}", file.display()))
            .await
            .unwrap();
        work(store).await
    })
}

fn exported(common: &Common, account: Option<&str>) -> String {
    let mut out = Vec::new();
    write_file(common, account, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn imported(common: &Common, text: &str, merge: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data.xml");
    std::fs::write(&file, text).unwrap();
    Import { file, merge }.run(common).unwrap()
}

/// A stanza as the server writes it.
fn canonical(text: &str) -> Vec<u8> {
    Stanza::parse(text.as_bytes()).unwrap().to_bytes().to_vec()
}

fn keys() -> Credentials {
    let derive = |hash| ScramCredentials::derive(hash, "pencil", b"some salt", 4096).unwrap();
    Credentials {
        scram: Hash::ALL.map(derive).to_vec(),
        ..Credentials::default()
    }
}

fn says(from: &str, to: &str, second: i64, body: &str) -> Append {
    let text = format!(
        "<message from='{from}' to='{to}' type='chat' id='m{second}'><body>{body}</body></message>"
    );
    Append {
        sender: jid(from),
        recipient: Some(jid(to).bare()),
        are_colleagues: false,
        with: jid(to),
        dedup: None,
        stanza: canonical(&text).into(),
        flags: 0,
        now: Timestamp(second * 1_000_000),
    }
}

fn contact(who: &str, subscription: Subscription) -> RosterItem {
    RosterItem {
        name: Some("A & <B>".to_owned()),
        groups: vec!["Friends".to_owned(), "It's".to_owned()],
        subscription,
        listed: true,
        ..RosterItem::new(bare(who))
    }
}

async fn publish(store: &Store, node: &str, ids: &[&str]) {
    let me = bare("anna@a.example");
    let items = ids.iter().map(|id| Item {
        id: (*id).to_owned(),
        publisher: jid("anna@a.example/phone"),
        stamp: Timestamp(1),
        payload: format!("<nick xmlns='http://jabber.org/protocol/nick'>{id} &amp; co</nick>")
            .into_bytes()
            .into(),
    });
    let mut config = Config::of_account();
    config.title = "a title".to_owned();
    config.max_items = None;
    let change = NodeChange {
        service: me.clone(),
        node: node.to_owned(),
        expected: None,
        actions: vec![
            Action::Create(me, config),
            Action::Affiliate(vec![(bare("bert@a.example"), Affiliation::Member)]),
            Action::Publish(items.collect(), 1000),
        ],
    };
    store.change_node(&change, Timestamp(1)).await.unwrap();
}

/// An account that has some of everything.
async fn fill(store: Store) {
    let anna = bare("anna@a.example");
    for name in ["anna@a.example", "bert@a.example", "carl@b.example"] {
        store
            .create_account(&bare(name), &keys(), name.starts_with("bert"), Timestamp(0))
            .await
            .unwrap();
    }
    store
        .set_disabled(&bare("carl@b.example"), true)
        .await
        .unwrap();
    let asking = RosterItem {
        pending_in: Some(
            canonical("<presence from='eve@x.example' type='subscribe' id='q'/>").into(),
        ),
        ..RosterItem::new(bare("eve@x.example"))
    };
    let changes = vec![
        RosterChange::Put(contact("bert@a.example", Subscription::Both)),
        RosterChange::Put(contact("dora@x.example", Subscription::To)),
        RosterChange::Put(asking),
    ];
    let version = store.roster(&anna).await.unwrap().version;
    store.change_roster(&anna, version, changes).await.unwrap();
    let kept = [
        ("vcard", "<vCard xmlns='vcard-temp'><FN>Anna</FN></vCard>"),
        (
            "private exodus exodus:prefs",
            "<exodus xmlns='exodus:prefs'><nick>A</nick></exodus>",
        ),
    ];
    for (name, value) in kept {
        store
            .keep(&anna, name, Some(value.as_bytes().into()))
            .await
            .unwrap();
    }
    let version = store.blocklist(&anna).await.unwrap().version;
    let blocked = vec![jid("spam.example"), jid("tybalt@x.example")];
    store
        .change_blocklist(&anna, version, blocked, Vec::new())
        .await
        .unwrap();
    let device = Registration {
        service: jid("push.a.example"),
        node: "n&1".to_owned(),
        resource: "phone".to_owned(),
        options: None,
    };
    let told = store.change_push(&anna, PushChange::Enable(device)).await;
    told.unwrap();
    for (number, expires) in [(1, None), (2, Some(Timestamp(4_000_000_000_000_000)))] {
        let request = SlotRequest {
            slot: Slot::new(
                [number; 16],
                "a \"cat\".jpg".to_owned(),
                9,
                Timestamp(10_000_000),
            ),
            owner: anna.clone(),
            content_type: Some("image/jpeg".to_owned()),
            expires,
            account_bytes_max: 100,
            account_files_max: 100,
        };
        let reserved = store.reserve_upload(&request, Timestamp(1)).await.unwrap();
        assert_eq!(reserved, Reserved::Granted);
        let came = store
            .complete_upload([number; 16], [7; 32], Timestamp(2))
            .await;
        assert!(came.unwrap());
    }
    let preferences = Preferences {
        otherwise: Otherwise::Always,
        never: [jid("noise@x.example")].into(),
        ..Preferences::default()
    };
    store.prefer(&anna, preferences).await.unwrap();
    let many: Vec<String> = (0..130).map(|n| format!("item-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    publish(&store, "urn:example:many", &many).await;
    publish(&store, "empty<&'node", &[]).await;
    let batch = (1..=120).map(|n| match n % 2 {
        0 => says(
            "anna@a.example/phone",
            "bert@a.example",
            n,
            "out &amp; about",
        ),
        _ => says("bert@a.example/home", "anna@a.example", n, "same text"),
    });
    store.append(batch.collect()).await.unwrap();
    store
        .set_cursors(vec![(anna, 115), (bare("bert@a.example"), 120)])
        .await
        .unwrap();
}

async fn ids(store: &Store, account: &str) -> Vec<(u64, Direction, Timestamp)> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = store.entries(&bare(account), after, 250).await.unwrap();
        let Some(last) = page.last() else {
            return found;
        };
        after = last.id;
        found.extend(page.iter().map(|it| (it.id, it.direction, it.stamp)));
    }
}

#[test]
fn what_is_exported_and_imported_is_exported_the_same() {
    let (_one, from) = installation();
    with_store(&from, fill);
    let first = exported(&from, None);
    for expected in [
        "<host jid='a.example'>",
        "<user name='anna'>",
        "mechanism='SCRAM-SHA-256'",
        "jabber:iq:privacy",
        "<presence xmlns='jabber:client'",
        "urn:example:many",
        "urn:xmpp:pie:0#mam",
        "noise@x.example",
        "<device xmlns='urn:klatsch:export:0'",
        "<file xmlns='urn:klatsch:export:0'",
    ] {
        assert!(first.contains(expected), "{expected}");
    }
    let (_two, to) = installation();
    assert_eq!(imported(&to, &first, false), "3 imported");
    assert_eq!(exported(&to, None), first);

    let before = with_store(&from, async |store| ids(&store, "anna@a.example").await);
    let after = with_store(&to, async |store| {
        let keys = store
            .credentials(&bare("anna@a.example"))
            .await
            .unwrap()
            .unwrap();
        assert!(!keys.disabled && keys.scram.len() == 3);
        // What waited still waits, and nothing else.
        assert_eq!(store.cursor(&bare("anna@a.example")).await, Ok(116));
        assert_eq!(store.cursor(&bare("bert@a.example")).await, Ok(120));
        ids(&store, "anna@a.example").await
    });
    assert_eq!(before, after);

    // The same again changes nothing, with merging or without.
    let again = imported(&to, &first, false);
    assert!(again.ends_with("0 imported, 3 passed over"), "{again}");
    assert!(
        again.contains("anna@a.example: passed over: there is an account"),
        "{again}"
    );
    let merged = imported(&to, &first, true);
    assert!(merged.ends_with("0 imported, 3 merged"), "{merged}");
    assert_eq!(
        with_store(&to, async |store| ids(&store, "anna@a.example").await),
        after
    );
    let one = exported(&to, Some("anna@a.example"));
    assert!(one.contains("name='anna'") && !one.contains("name='bert'"));
}

#[test]
fn files_of_other_servers_are_read_as_far_as_they_go() {
    let (_folder, common) = installation();
    let text = "<?xml version='1.0' encoding='UTF-8'?>\n<!-- written by another server -->\n\
        <server-data xmlns='urn:xmpp:pie:0'><host jid='a.example'>\
        <user name='juliet' password='r0m30'>\
        <query xmlns='jabber:iq:roster'><item jid='romeo@x.example' subscription='both'>\
        <group>Friends</group></item><item/></query>\
        <offline-messages><message xmlns='jabber:client' from='romeo@x.example/o' \
        to='juliet@a.example' type='chat'><body>Neither, fair saint &#x263A; &amp; &lt;</body>\
        <delay xmlns='urn:xmpp:delay' from='a.example' stamp='1469-07-21T00:32:29Z'/></message>\
        </offline-messages>\
        <query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>\
        <conference jid='tea@rooms.x.example' name='Tea' autojoin='1'><nick>J</nick></conference>\
        <url url='https://x.example'/></storage></query>\
        <unheard xmlns='urn:unheard'><of/></unheard>\
        <pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='nick'>\
        <item id='current'><nick xmlns='http://jabber.org/protocol/nick'>Jule</nick></item>\
        </items></pubsub>\
        <archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' id='x'>\
        <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' \
        stamp='1469-07-20T23:08:25Z'/><message xmlns='jabber:client' from='juliet@a.example/b' \
        to='romeo@x.example'><body>earlier</body></message></forwarded></result></archive>\
        </user><user name='nobody'/></host><host jid='far.example'><user name='x'/></host>\
        </server-data>";
    let told = imported(&common, text, false);
    assert!(
        told.contains("passed over: unheard of urn:unheard"),
        "{told}"
    );
    assert!(told.contains("nobody@a.example: no password"), "{told}");
    assert!(told.contains("x@far.example: passed over"), "{told}");
    assert!(told.ends_with("2 imported, 1 passed over"), "{told}");
    with_store(&common, async |store| {
        let juliet = bare("juliet@a.example");
        let keys = store.credentials(&juliet).await.unwrap().unwrap();
        assert!(keys.scram.iter().all(|key| key.verify_password("r0m30")) && !keys.disabled);
        let roster = store.roster(&juliet).await.unwrap();
        assert_eq!(roster.items[&bare("romeo@x.example")].groups, ["Friends"]);
        let found = ids(&store, "juliet@a.example").await;
        let directions: Vec<Direction> = found.iter().map(|it| it.1).collect();
        assert_eq!(directions, [Direction::Sent, Direction::Received]);
        assert_eq!(store.cursor(&juliet).await, Ok(1));
        let query = ArchiveQuery {
            max: 10,
            ..ArchiveQuery::default()
        };
        let page = store.query(&juliet, &query).await.unwrap();
        let late = String::from_utf8_lossy(&page.entries[1].stanza).into_owned();
        assert!(
            late.contains("saint \u{263a} &amp; &lt;") && !late.contains("delay"),
            "{late}"
        );
    });
    let back = exported(&common, Some("juliet@a.example"));
    assert!(back.contains("<item id='tea@rooms.x.example'"), "{back}");
    assert!(back.contains("https://x.example"), "{back}");
}

#[test]
fn files_that_are_none_are_refused_by_their_place() {
    let (_folder, common) = installation();
    let refused = |text: &str| {
        let file = common.data.as_ref().unwrap().join("bad.xml");
        std::fs::write(&file, text).unwrap();
        let import = Import { file, merge: false };
        import.run(&common).unwrap_err().to_string()
    };
    let host = "<server-data xmlns='urn:xmpp:pie:0'><host jid='a.example'>";
    for (text, why) in [
        ("<html/>".to_owned(), "no file of XEP-0227"),
        (format!("{host}<user name='x'>"), "ends too early"),
        (format!("{host}<user/>"), "without a name"),
        (
            format!("<!DOCTYPE x [<!ENTITY y 'z'>]>{host}"),
            "document type",
        ),
        (
            format!("{host}<user name='x'><a>&y;</a></user>"),
            "not defined",
        ),
        (
            format!("{host}<include xmlns='http://www.w3.org/2001/XInclude' href='/etc/passwd'/>"),
            "no file below",
        ),
        (
            format!("{host}<include xmlns='http://www.w3.org/2001/XInclude' href='../x.xml'/>"),
            "no file below",
        ),
    ] {
        let answer = refused(&text);
        assert!(answer.contains(why), "{text}: {answer}");
    }
}

#[test]
fn files_that_a_file_includes_are_read_in_their_place() {
    let (folder, common) = installation();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("a.example")).unwrap();
    let namespaces = "xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'";
    write(
        "main.xml",
        &format!("<server-data {namespaces}><xi:include href='a.example.xml'/></server-data>"),
    );
    write(
        "a.example.xml",
        &format!(
            "<host {namespaces} jid='a.example'><xi:include href='a.example/ju%6ciet.xml'/></host>"
        ),
    );
    write(
        "a.example/juliet.xml",
        "<user xmlns='urn:xmpp:pie:0' name='juliet' password='p'/>",
    );
    let file = folder.path().join("main.xml");
    let told = Import { file, merge: false }.run(&common).unwrap();
    assert_eq!(told, "1 imported");
}

#[test]
fn import_that_was_cut_off_is_gone_on_with() {
    let (_one, from) = installation();
    with_store(&from, fill);
    let whole = exported(&from, Some("anna@a.example"));
    let cut = whole.find("item-70").unwrap();
    let (folder, to) = installation();
    let file = folder.path().join("cut.xml");
    std::fs::write(&file, &whole[..cut]).unwrap();
    let import = Import { file, merge: false };
    assert!(import.run(&to).is_err());
    with_store(&to, async |store| {
        let keys = store
            .credentials(&bare("anna@a.example"))
            .await
            .unwrap()
            .unwrap();
        assert!(keys.disabled, "nobody logs into half an account");
    });
    assert_eq!(imported(&to, &whole, false), "1 imported");
    assert_eq!(exported(&to, Some("anna@a.example")), whole);
}
