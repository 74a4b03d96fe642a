//! What the tests of all subjects use.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use klatsch_protocol::features::invitation::{Invitation, Invite};
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord};
use klatsch_protocol::features::pubsub::node::{
    Action, Ask, Found, FoundNode, NodeChange, Subscription, SubscriptionState, Wanted,
};
use klatsch_protocol::features::pubsub::options::Options;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::time::Timestamp;
use klatsch_store::{
    Append, Appended, Credentials, Dedup, Placed, RoomAppend, RoomAppended, Store,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// Runs each test on every backend.
macro_rules! on_every_backend {
    ($($test:ident),* $(,)?) => {
        mod memory {
            $( #[tokio::test] async fn $test() {
                super::$test(&klatsch_store::Store::open("memory:").await.unwrap()).await;
            } )*
        }
        mod sqlite {
            $( #[tokio::test] async fn $test() {
                let (store, _directory) = crate::support::sqlite().await;
                super::$test(&store).await;
                store.integrity_check().await.unwrap();
            } )*
        }
        /// Where `KLATSCH_TEST_POSTGRES` names a server; elsewhere there is nothing to test.
        mod postgres {
            $( #[tokio::test] async fn $test() {
                let Some(schema) = crate::support::Schema::make().await else {
                    return;
                };
                let store = schema.open().await;
                super::$test(&store).await;
                store.integrity_check().await.unwrap();
                drop(store);
                schema.remove().await;
            } )*
        }
    };
}
pub(crate) use on_every_backend;

/// Runs each test on two stores of one database, for every backend that several can use.
macro_rules! on_shared_databases {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $test() {
                let (store, directory) = crate::support::sqlite().await;
                let other = crate::support::open_sqlite(&directory).await;
                super::$test(&[store, other]).await;
            } )*
        }
        mod postgres {
            $( #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $test() {
                let Some(schema) = crate::support::Schema::make().await else {
                    return;
                };
                let both = [schema.open().await, schema.open().await];
                super::$test(&both).await;
                both[0].integrity_check().await.unwrap();
                drop(both);
                schema.remove().await;
            } )*
        }
    };
}
pub(crate) use on_shared_databases;

/// A database of its own.
pub(crate) async fn sqlite() -> (Store, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("klatsch.db").display());
    (Store::open(&url).await.unwrap(), directory)
}

/// A schema of its own in the database of PostgreSQL that the tests have been given.
pub(crate) struct Schema {
    server: String,
    name: String,
}

impl Schema {
    /// `None` where there is no server to test with.
    pub(crate) async fn make() -> Option<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let server = std::env::var("KLATSCH_TEST_POSTGRES").ok()?;
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let schema = Self { server, name };
        let sql = format!("CREATE SCHEMA {}", schema.name);
        schema.administrate(sql).await;
        Some(schema)
    }

    /// A store in it, as another node would open it.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url()).await.unwrap()
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        let Self { server, name } = self;
        format!("{server}?connections=8&options[search_path]={name}")
    }

    /// A connection that is none of the store's.
    pub(crate) async fn connect(&self) -> PgConnection {
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        let sql = format!("SET search_path = {}", self.name);
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
        connection
    }

    /// Takes it away with all that is in it.
    pub(crate) async fn remove(self) {
        let sql = format!("DROP SCHEMA {} CASCADE", self.name);
        self.administrate(sql).await;
    }

    async fn administrate(&self, sql: String) {
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
        done.await.unwrap();
    }
}

/// The same database once more.
pub(crate) async fn open_sqlite(directory: &TempDir) -> Store {
    let url = format!("sqlite:{}", directory.path().join("klatsch.db").display());
    Store::open(&url).await.unwrap()
}

pub(crate) fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

pub(crate) fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp(second * 1_000_000)
}

/// Creates accounts without keys.
pub(crate) async fn create(store: &Store, accounts: &[&str]) {
    for account in accounts {
        let none = Credentials::default();
        store
            .create_account(&bare(account), &none, false, at(0))
            .await
            .unwrap();
    }
}

/// Juliet and Romeo, on one server.
pub(crate) async fn couple(store: &Store) {
    create(store, &["juliet@example.org", "romeo@example.org"]).await;
}

/// A message between two accounts of this server.
pub(crate) fn message(from: &str, to: &str, second: i64) -> Append {
    Append {
        sender: jid(from),
        recipient: Some(jid(to).bare()),
        are_colleagues: false,
        with: jid(to),
        dedup: None,
        stanza: Bytes::from(format!(
            "<message from='{from}' to='{to}'>{second}</message>"
        )),
        flags: 0,
        now: at(second),
    }
}

/// The same from Romeo to Juliet, with a dedup key.
pub(crate) fn keyed(key: u8, payload: u64, second: i64) -> Append {
    Append {
        dedup: Some(Dedup {
            key: [key; 16],
            payload,
        }),
        ..message("romeo@example.org/orchard", "juliet@example.org", second)
    }
}

/// A change of the node `n`.
pub(crate) fn node_change(
    service: &str,
    expected: Option<u64>,
    actions: Vec<Action>,
) -> NodeChange {
    NodeChange {
        service: bare(service),
        node: "n".into(),
        expected,
        actions,
    }
}

/// Asks for the node `n` with these items, and for what its creator takes.
pub(crate) fn ask_node(items: Wanted, creator: &str) -> Ask {
    Ask::Node {
        node: "n".into(),
        items,
        creator: bare(creator),
    }
}

/// What there is of a node at this second.
pub(crate) async fn find_node(store: &Store, service: &str, ask: &Ask, second: i64) -> FoundNode {
    match store.nodes(&bare(service), ask, at(second)).await.unwrap() {
        Found::Node(found) => found,
        other => panic!("{other:?}"),
    }
}

/// Somebody is subscribed, without any wishes.
pub(crate) fn subscription(address: &str) -> Subscription {
    Subscription {
        jid: jid(address),
        state: SubscriptionState::Subscribed,
        options: Options::default(),
    }
}

/// An invitation to the domain `x`, of which its inviter has three at once.
pub(crate) fn invite(token: &str, inviter: Option<&str>, reserved: Option<&str>) -> Invite {
    Invite {
        token: Secret::new(token),
        invitation: Invitation {
            domain: bare("x"),
            inviter: inviter.map(bare),
            reserved: reserved.map(bare),
            is_contact: inviter.is_some(),
            created: at(0),
            expiry: at(100),
        },
        max: 3,
    }
}

/// A room's record with this owner.
pub(crate) fn record(owner: &str) -> RoomRecord {
    RoomRecord::new(&bare(owner), [7; 32], at(1))
}

/// Makes a room.
pub(crate) async fn found_room(store: &Store, room: &str) -> u64 {
    let create = RoomChange::Create(Box::new(record("queen@example.org")));
    store.save_room(&bare(room), 0, vec![create]).await.unwrap()
}

/// Romeo says something in a room.
pub(crate) fn line(room: &str, second: i64) -> RoomAppend {
    RoomAppend {
        room: bare(room),
        sender: jid("romeo@example.net/orchard"),
        message: Bytes::from(format!("<message from='{room}/R'>{second}</message>")),
        dedup: None,
        now: at(second),
        subject: None,
        tombstone: None,
    }
}

pub(crate) async fn say(store: &Store, line: RoomAppend) -> RoomAppended {
    store.append_room(vec![line]).await.unwrap()[0]
}

pub(crate) async fn append(store: &Store, append: Append) -> Appended {
    store.append(vec![append]).await.unwrap()[0]
}

pub(crate) fn placed(id: u64, second: i64) -> Placed {
    Placed {
        id,
        stamp: at(second),
    }
}
