//! The one place that knows gateways, actors and the store: starts them on the foundation, in order.
//!
//! Commands that work without a server open the same store here.

use super::Foundation;
use super::certificate::Certificate;
use super::cluster::{self, Linked};
use super::commands::{OfflineCommands, ServerCommands};
use super::gates::{self, Gates, Ground};
use super::{directory, disk_watch, memory_watch, relay, store_watch};
use crate::accounts::Accounts;
use crate::admin::AdminHandler;
use crate::api_tokens::ApiTokens;
use crate::cluster::commands::ClusterCommands;
use crate::config::Config;
use crate::disk;
use crate::error::Error;
use crate::invitations::Invitations;
use crate::memory;
use crate::metrics;
use crate::rooms::{RoomCommands, Source};
use klatsch_actors::administration::stop::Ending;
use klatsch_actors::directory::Wire;
use klatsch_actors::node::Node;
use klatsch_actors::searches;
use klatsch_actors::sessions::{Sessions, random_id};
use klatsch_actors::upkeep::Retention;
use klatsch_actors::world::Settings;
use klatsch_gateways::auth::Tokens;
use klatsch_gateways::http::SignupLink;
use klatsch_gateways::turn::TurnServer;
use klatsch_protocol::facts::Host;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use klatsch_store::Store;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long sessions may take to tell their contacts that they end.
const SESSIONS_STOP_MAX: Duration = Duration::from_secs(10);

/// Takes another certificate; on an error the present one stays.
type Reload = Box<dyn Fn(&Certificate) -> Result<(), Error> + Send + Sync>;

/// What was started, with its handles.
pub(super) struct Running {
    /// Carries out what comes over the admin socket.
    pub(super) admin: Arc<dyn AdminHandler>,
    /// The token with which the first administrator signs up, unless there is one.
    pub(super) sign_up: Option<String>,
    /// Takes a new certificate for new handshakes.
    pub(super) reload: Reload,
    /// Stops listening, ends sessions and streams, writes what is left; pending until all is done.
    pub(super) stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Heard when the actors have failed too often: the node cannot go on.
    pub(super) failed: watch::Receiver<bool>,
    /// Heard when an administrator wants the server to end.
    pub(super) ending: watch::Receiver<Option<Ending>>,
    /// Becomes true when the node has left its cluster and is to stop.
    pub(super) drained: watch::Receiver<bool>,
}

/// Starts everything that serves users.
pub(super) async fn compose(foundation: &Foundation) -> Result<Running, Error> {
    let config = &foundation.config;
    let store = open_store(config, foundation.data.path()).await?;
    let linked = cluster::link(foundation, &store).await?;
    let key = foundation.secrets.upload_key;
    // Before anybody is told of it.
    let turn = relay::bind(foundation);
    let node = Node::start_with(
        host(config, key, turn.as_ref())?,
        settings(config),
        store.clone(),
        Wire::Direct,
        linked.as_ref().map(Linked::others),
    );
    let node = node
        .await
        .map_err(|error| Error::Refused(format!("actors: {error}")))?;
    let accounts = Accounts::of_server(store.clone(), domains(config)?, node.sessions.clone());
    let sign_up = match store.has_admin().await {
        Ok(true) => None,
        Ok(false) => Some(random_id()),
        Err(error) => return Err(Error::Store(error.to_string())),
    };
    let create = || gates::create_administrator(accounts.clone(), store.clone());
    let gates = Gates::open(Ground {
        foundation,
        store: &store,
        sessions: &node.sessions,
        domains: domains(config)?,
        turn,
        sign_up: sign_up
            .as_ref()
            .map(|token| SignupLink::new(token, create())),
    })?;
    let certificates = gates.certificates();
    let invitations = Invitations::new(
        store.clone(),
        domains(config)?,
        config.registrations().invitations,
    );
    let tokens = Tokens::new(store.clone(), foundation.secrets.token_key);
    let following = directory::follow_directory(config, domains(config)?, &node)?;
    let rooms = Source::Server(node.rooms.clone(), store.clone());
    let (end, drained) = watch::channel(false);
    let commands = match &linked {
        Some(linked) => linked.commands(&node.sessions, end),
        None => ClusterCommands::new(None),
    };
    let admin = Arc::new(ServerCommands::new(
        accounts,
        invitations,
        ApiTokens::new(tokens),
        node.sessions.clone(),
        RoomCommands::new(domains(config)?, rooms),
        commands,
        following.as_ref().map(|(follower, _)| follower.clone()),
    ));
    let reload =
        Box::new(move |certificate: &Certificate| gates::reload(&certificates, certificate));
    let (failed, ending) = (node.failure(), node.ending());
    let mut watches = watch(foundation, store, &node.sessions);
    watches.extend(following.map(|(_, task)| task));
    let stop = async move {
        watches.iter().for_each(JoinHandle::abort);
        if let Some(linked) = &linked {
            linked.leave();
        }
        // Nobody new; then sessions say why they end; then their connections close.
        gates.close();
        node.stop(SESSIONS_STOP_MAX).await;
        gates.drained().await;
        if let Some(linked) = linked {
            linked.close().await;
        }
    };

    Ok(Running {
        admin,
        sign_up,
        reload,
        stop: Box::pin(stop),
        failed,
        ending,
        drained,
    })
}

/// Starts whoever looks after store, disk and memory.
fn watch(foundation: &Foundation, store: Store, sessions: &Sessions) -> Vec<JoinHandle<()>> {
    let (config, health) = (&foundation.config, &foundation.health);
    let budget = memory::budget(&config.limits);
    // Shown from the start, as all metrics are; each watch goes on from its first look.
    metrics::store(false);
    metrics::memory_budget(budget.resident);
    metrics::strain(&sessions.strain());
    let mut watches = vec![
        tokio::spawn(store_watch::run(store.clone(), health.clone())),
        tokio::spawn(memory_watch::run(budget, sessions.clone(), health.clone())),
    ];
    if let Some(folder) = disk::folder(config) {
        let reserve = config.store.free_disk_bytes_min;
        let strain = sessions.strain();
        watches.push(disk_watch::start(
            folder,
            reserve,
            store.clone(),
            strain,
            health.clone(),
        ));
    }
    watches
}

/// What commands work on while no server runs: the store alone. The caller holds the data directory.
pub async fn offline(config: &Config, data: &Path) -> Result<Arc<dyn AdminHandler>, Error> {
    let store = open_store(config, data).await?;
    let rooms = RoomCommands::new(domains(config)?, Source::Store(store.clone()));
    let settings = config.registrations().invitations;
    let invitations = Invitations::new(store.clone(), domains(config)?, settings);
    let accounts = Accounts::new(store, domains(config)?);
    Ok(Arc::new(OfflineCommands::new(accounts, invitations, rooms)))
}

/// Opens the store; a relative file lies in the data directory.
async fn open_store(config: &Config, data: &Path) -> Result<Store, Error> {
    let url = store_url(&config.store.url, data);
    Store::open(&url)
        .await
        .map_err(|error| Error::Store(error.to_string()))
}

fn store_url(url: &str, data: &Path) -> String {
    match url.strip_prefix("sqlite:") {
        Some(file) => format!("sqlite:{}", data.join(file).display()),
        None => url.to_owned(),
    }
}

fn domains(config: &Config) -> Result<Vec<BareJid>, Error> {
    let parse = |domain: String| {
        BareJid::parse(&domain)
            .map_err(|error| Error::Config(format!("domains: \"{domain}\": {error}")))
    };
    config.domains().into_iter().map(parse).collect()
}

fn host(config: &Config, upload_key: [u8; 32], turn: Option<&TurnServer>) -> Result<Host, Error> {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Host {
        domains: domains(config)?,
        version: env!("CARGO_PKG_VERSION"),
        started: Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
        archive: config.archive.enabled,
        stanza_bytes_max: config.limits.stanza_bytes_max,
        pubsub: config.pubsub.limits(),
        upload: config.uploads(upload_key),
        external_services: match turn {
            Some(turn) => turn.told().clone(),
            None => config.calls.services()?,
        },
        registration: config.registrations(),
        contacts: config.contacts.addresses(),
        web_push: config.web_pushes(),
        components: config.components.secrets().into_keys().collect(),
        isolated: config.isolated,
        people: !config.ldap.servers.is_empty(),
    })
}

fn settings(config: &Config) -> Settings {
    Settings {
        resources_max: config.limits.sessions_per_account_max,
        resume_seconds: config.c2s.resume_seconds,
        client_host: config.cluster.client_host.clone(),
        held_stanzas_max: config.limits.held_stanzas_max,
        tail_check_seconds: config.limits.tail_check_seconds,
        push: config.push.told(),
        retention: Retention {
            account_days: config.archive.retention_days,
            room_days: config.archive.room_retention_days,
        },
        searches: searches::Settings {
            rate: config.limits.search_rate,
            burst: config.limits.search_burst,
        },
        strangers: config.limits.of_strangers(),
        rooms: config.rooms.settings(),
        rooms_joined_max: config.rooms.joined_max,
        rooms_loaded_max: config.rooms.at_hand_max,
        derivations: config.limits.of_derivations(),
        // Nobody has a reason to tune it yet.
        replication: Settings::default().replication,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_store_lies_in_the_data_directory() {
        let data = Path::new("/data");
        assert_eq!(
            store_url("sqlite:klatsch.db", data),
            "sqlite:/data/klatsch.db"
        );
        assert_eq!(store_url("sqlite:/else/k.db", data), "sqlite:/else/k.db");
        assert_eq!(store_url("memory:", data), "memory:");
    }

    #[test]
    fn defaults_of_sessions_are_those_of_the_actors() {
        let (ours, theirs) = (settings(&Config::default()), Settings::default());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }
}
