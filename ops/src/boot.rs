//! Builds everything, in order, and takes it down again.
//!
//! Settings are checked, the data directory is taken, certificate and secrets are made or read; then
//! `compose` starts what they are for. SIGTERM and SIGINT stop gracefully, SIGHUP reads the
//! certificate again.

pub mod certificate;
mod cluster;
mod commands;
mod compose;
pub mod data_dir;
mod directory;
mod disk_watch;
mod gates;
pub(crate) mod kolab;
mod logins;
mod memory_watch;
pub mod open_files;
mod relay;
pub mod secrets;
mod sign_up;
mod signals;
mod store_watch;

pub use compose::offline;

use crate::admin;
use crate::config::{Config, Loaded, check};
use crate::error::Error;
use crate::health::{self, Health};
use crate::logging;
use crate::metrics::{self, Metrics};
use certificate::Certificate;
use cluster::NodeCredentials;
use compose::{Running, compose};
use data_dir::DataDir;
use klatsch_actors::administration::stop::Ending;
use secrets::Secrets;
use signals::{Signal, Signals};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long what is under way may take to end before it is cut off: under systemd's 90 s.
const STOP_MAX: Duration = Duration::from_secs(25);

/// What everything else stands on.
pub(crate) struct Foundation {
    pub(crate) config: Arc<Config>,
    pub(crate) data: DataDir,
    pub(crate) certificate: Certificate,
    /// Its own, or its cluster's.
    pub(crate) secrets: Secrets,
    /// What makes it a node, if it is one.
    pub(crate) credentials: Option<NodeCredentials>,
    pub(crate) health: Health,
}

/// What becomes of the process when the server has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ends.
    Stop,
    /// It begins again, as an administrator wants it (XEP-0133 §4.30).
    Restart,
}

/// Runs the server until a signal or an administrator ends it.
pub fn serve(loaded: Loaded) -> Result<End, Error> {
    refuse_bad(&loaded.config)?;
    logging::start(&loaded.config.log)?;
    let open_files = open_files::raise();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = ?loaded.file,
        data = ?loaded.config.data,
        open_files,
        "starting"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| Error::Refused(format!("cannot start threads: {error}")))?;
    let config = runtime.block_on(with_kolab(loaded));
    let outcome = runtime.block_on(run(config));
    // Threads that hang in a system call must not keep a server that was told to go.
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome
}

/// The settings with what Kolab's directory adds to them.
async fn with_kolab(loaded: Loaded) -> Config {
    let mut config = loaded.config;
    let Some(found) = loaded.kolab else {
        return config;
    };
    for taken in &found.taken {
        tracing::info!(taken, "Kolab on this host");
    }
    for wrong in &found.wrong {
        tracing::warn!(wrong, "Kolab on this host");
    }
    match kolab::complete(&mut config, &found).await {
        Ok(added) if added.is_empty() => {}
        Ok(added) => tracing::info!(domains = ?added, "domains of Kolab's directory"),
        Err(error) => tracing::warn!(error = %error, "Kolab's directory does not tell its domains"),
    }
    config
}

fn refuse_bad(config: &Config) -> Result<(), Error> {
    let refusals = check::refusals(config);
    if refusals.is_empty() {
        return Ok(());
    }
    Err(Error::Config(refusals.join("\n")))
}

async fn run(config: Config) -> Result<End, Error> {
    let mut signals = Signals::listen()?;
    let metrics = Metrics::start()?;
    let health = Health::starting();
    let config = Arc::new(config);
    for finding in check::check(&config) {
        tracing::warn!(?finding, "configuration");
    }
    let data = DataDir::open(&config.data)?;
    let (stop, stopped) = watch::channel(false);
    // First of all to come and last to go: a server that does not come up says so here.
    let pages = serve_health(&config, metrics, health.clone(), stopped).await?;
    let own = Secrets::load_or_make(data.path())?;
    let credentials = NodeCredentials::load_or_make(&config, data.path())?;
    let shared = credentials.as_ref().map(|it| it.secret.secrets());
    let foundation = Foundation {
        certificate: certificate(&config, data.path())?,
        secrets: shared.unwrap_or(own),
        credentials,
        config: Arc::clone(&config),
        health: health.clone(),
        data,
    };
    let admin_socket = admin::bind(foundation.data.path())?;
    let running = compose(&foundation).await?;
    let admin = tokio::spawn(admin::serve(admin_socket, Arc::clone(&running.admin)));
    if let Some(token) = &running.sign_up {
        sign_up::announce(&config, token);
    }
    health.report("server", None);
    tracing::info!(domains = ?config.domains(), "ready");

    let mut failed = running.failed.clone();
    let mut ending = running.ending.clone();
    let mut drained = running.drained.clone();
    let mut end = End::Stop;
    let has_failed = tokio::select! {
        () = wait_for_end(&mut signals, &foundation, &running) => false,
        _ = failed.wait_for(|failed| *failed) => true,
        wanted = ending.wait_for(Option::is_some) => {
            if wanted.is_ok_and(|it| *it == Some(Ending::Restart)) {
                end = End::Restart;
            }
            false
        }
        Ok(_) = drained.wait_for(|drained| *drained) => false,
    };
    health.report("server", Some("stopping"));
    admin.abort();
    take_down(running, &mut signals).await;
    foundation.data.remove_socket();
    stop.send_replace(true);
    for page in pages {
        page.abort();
    }
    tracing::info!("stopped");
    if has_failed {
        return Err(Error::Failed("actors failed too often".to_owned()));
    }
    Ok(end)
}

/// The certificate for clients; when it ends is there to be watched.
fn certificate(config: &Config, data: &Path) -> Result<Certificate, Error> {
    let certificate = Certificate::load_or_make(config, data)?;
    // What cannot be read here is refused where it is used.
    if let Ok(contents) = certificate.contents() {
        metrics::certificate(contents.ends);
    }
    Ok(certificate)
}

/// Listens for whoever asks for metrics and health.
async fn serve_health(
    config: &Config,
    metrics: Metrics,
    health: Health,
    stopped: watch::Receiver<bool>,
) -> Result<Vec<tokio::task::JoinHandle<std::io::Result<()>>>, Error> {
    let mut tasks = Vec::new();
    for listener in bind("metrics", &config.listen.metrics.addresses()).await? {
        let mut stopped = stopped.clone();
        let end = async move { drop(stopped.wait_for(|stop| *stop).await) };
        tasks.push(tokio::spawn(health::serve(
            listener,
            metrics.clone(),
            health.clone(),
            end,
        )));
    }
    Ok(tasks)
}

/// Binds every address; one may fail as long as another of the same key does not.
async fn bind(key: &str, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    let mut listeners = Vec::new();
    let mut failures = Vec::new();
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => failures.push(format!("listen.{key} = {address}: {error}")),
        }
    }
    if listeners.is_empty() && !failures.is_empty() {
        return Err(Error::Config(failures.join("\n")));
    }
    Ok(listeners)
}

/// Waits for a signal to end, reading the certificate again whenever one asks for it.
async fn wait_for_end(signals: &mut Signals, foundation: &Foundation, running: &Running) {
    while signals.next().await == Signal::Reload {
        let again = certificate(&foundation.config, foundation.data.path());
        match again.and_then(|certificate| (running.reload)(&certificate)) {
            Ok(()) => tracing::info!("certificate read again"),
            // What serves now goes on serving.
            Err(error) => tracing::error!(%error, "certificate not taken"),
        }
    }
}

/// Ends what runs: gracefully, or at once when a second signal comes or the time is over.
async fn take_down(running: Running, signals: &mut Signals) {
    tracing::info!("stopping");
    tokio::select! {
        () = running.stop => {}
        () = signals.end() => tracing::warn!("stopped at once by a second signal"),
        () = tokio::time::sleep(STOP_MAX) => tracing::warn!("not everything ended in time"),
    }
}
