//! What every actor of a node shares: handles, and what an operator may tune.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::facts::{AccountData, Facts, Host, SessionFacts};
use klatsch_protocol::features::muc;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use klatsch_store::Store;
use ractor::ActorRef;
use serde::{Deserialize, Serialize};

use crate::absence::Told;
use crate::account_change::Changed;
use crate::accounts::Accounts;
use crate::administration::notices::Notices;
use crate::administration::stop::Stopping;
use crate::colleagues::Shelf;
use crate::derivation::{self, Derivations};
use crate::directory::Directory;
use crate::given::Given;
use crate::log_writer::LogWriterMsg;
use crate::presence_shard::{PresenceShardMsg, shard_of};
use crate::push::{self, Push};
use crate::searches::{self, Searches};
use crate::session::Resumables;
use crate::strain::Strain;
use crate::strangers::{self, Strangers};
use crate::supervisor::Registry;
use crate::timers::Timers;
use crate::topics::Topics;
use crate::upkeep::Retention;
use crate::web_push::WebPushes;

/// What an operator may tune of sessions.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Connected resources an account may have.
    pub resources_max: usize,
    /// How long a lost session can be resumed, seconds.
    pub resume_seconds: u64,
    /// Stanzas that wait for a client that is away or in the background, other than messages.
    pub held_stanzas_max: usize,
    /// How often every session's log is compared with what the session has seen, seconds.
    pub tail_check_seconds: u64,
    /// Rooms at hand at once; one more is refused until another is put away.
    pub rooms_loaded_max: usize,
    /// How long messages are kept.
    pub retention: Retention,
    /// How often an account may search archives.
    pub searches: searches::Settings,
    /// How much an account may write to people who do not know it.
    pub strangers: strangers::Settings,
    /// Rooms one session is in at once (rows M09, R18): `resource-constraint`.
    pub rooms_joined_max: usize,
    /// How many passwords are dealt with at once.
    pub derivations: derivation::Settings,
    /// What notifications tell app servers.
    pub push: push::Settings,
    /// Where clients reach this node rather than another, `HOST` or `HOST:PORT`.
    pub client_host: Option<String>,
    /// What an operator may tune of rooms.
    pub rooms: muc::settings::Settings,
    /// How nodes show each other who is there.
    #[serde(skip)]
    pub replication: klatsch_cluster::presence::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // As many as ejabberd allows: a person's devices, with room to spare.
            resources_max: 10,
            // Five minutes bridge a tunnel and a change of network.
            resume_seconds: 300,
            held_stanzas_max: 256,
            tail_check_seconds: 30,
            // A room takes some kilobytes besides its occupants.
            rooms_loaded_max: 20_000,
            retention: Retention::default(),
            searches: searches::Settings::default(),
            strangers: strangers::Settings::default(),
            // More than anybody reads; each of them tells all its occupants who comes and goes.
            rooms_joined_max: 500,
            derivations: derivation::Settings::default(),
            push: push::Settings::default(),
            client_host: None,
            rooms: muc::settings::Settings::default(),
            replication: klatsch_cluster::presence::Settings {
                // Everybody is looked up on the node where somebody asks: each has a copy.
                full_up_to: usize::MAX,
                ..Default::default()
            },
        }
    }
}

/// What every actor of a node shares.
pub struct World {
    /// The server as decisions know it.
    pub host: Host,
    /// What an operator may tune.
    pub settings: Settings,
    /// Who is bound where.
    pub directory: Arc<Directory>,
    /// What is remembered.
    pub store: Store,
    /// The accounts at hand.
    pub accounts: Accounts,
    /// Where passwords become keys.
    pub derivations: Arc<Derivations>,
    /// Whose password has changed lately.
    pub changed: Changed,
    /// How the people and groups of the organisation come here.
    pub(crate) shelf: Shelf,
    /// What contacts are told for sessions of other nodes.
    pub(crate) told: Told,
    /// Who is on which topic of an app.
    pub topics: Topics,
    /// When sessions want to be woken.
    pub timers: Timers,
    /// Which devices are to be told of what.
    pub push: Push,
    /// Where what browsers are to be told goes.
    pub web_push: WebPushes,
    /// Who has searched archives lately.
    pub searches: Searches,
    /// Who has written to strangers lately.
    pub strangers: Strangers,
    /// What everybody is told once.
    pub notices: Notices,
    /// Who wants the server to stop.
    pub stopping: Stopping,
    /// How strained the node is.
    pub strain: Arc<Strain>,
    /// Which sessions may be resumed.
    pub resumables: Resumables,
    /// Which sessions other nodes have been given a moment ago.
    pub given: Given,
    /// The actors that may be started again under another reference.
    pub registry: Registry,
}

impl World {
    /// The time.
    pub fn now(&self) -> Timestamp {
        now()
    }

    /// The facts for a decision of this account.
    pub fn facts<'a>(
        &'a self,
        account: &'a BareJid,
        data: &'a AccountData,
        session: Option<&'a SessionFacts>,
    ) -> Facts<'a> {
        Facts {
            now: self.now(),
            host: &self.host,
            account,
            data,
            session,
            views: self.directory.as_ref(),
            random,
        }
    }

    /// The presence shard of an account.
    pub fn shard(&self, account: &str) -> ActorRef<PresenceShardMsg> {
        self.registry.shard(shard_of(account))
    }

    /// The log writer.
    pub fn log_writer(&self) -> ActorRef<LogWriterMsg> {
        self.registry.log_writer()
    }
}

/// Every question to the store is given this long: a client hears `wait` before it gives up.
pub const STORE_PATIENCE: Duration = Duration::from_secs(10);

/// A number nobody can guess.
pub fn random() -> u128 {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    u128::from_ne_bytes(bytes)
}

/// The wall clock. Clocks order nothing here: stamps in logs never run backwards because
/// the store sees to it.
pub fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_micros() as i64))
}
