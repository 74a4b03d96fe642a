//! `klatsch cluster`: nodes as operators see them, how a new one joins and one leaves.

use super::talk::Talk;
use super::{Common, table};
use crate::admin::{Answer, Request};
use crate::boot::data_dir::DataDir;
use crate::cluster::drain::DrainStatus;
use crate::cluster::joining;
use crate::cluster::secret::ClusterSecret;
use crate::cluster::status::{ClusterStatus, NodeStatus, PresenceStatus};
use crate::cluster::token::{JoinToken, TokenError};
use crate::config::{Listen, cluster};
use crate::error::Error;
use clap::Subcommand;
use std::io::{Read, Write};
use std::time::{Duration, SystemTime};

/// How often a node that leaves is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Longest text read from the standard input: no token is longer.
const TOKEN_BYTES_MAX: u64 = 4096;

/// Nodes.
#[derive(Debug, Subcommand)]
pub(super) enum Cluster {
    /// Show the nodes as this one sees them
    Status {
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Make a token with which a new node joins
    Token {
        /// For how many nodes
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how many minutes
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// Make this machine a node: with a token from one that is
    Join {
        /// What `klatsch cluster token` has printed; - reads it from the standard input
        token: String,
    },
    /// Have this node leave: rooms go elsewhere, its sessions are handed over
    Drain {
        /// Stop the server then
        #[arg(long)]
        stop: bool,
    },
    /// Print a new secret for a cluster that is set up without tokens (cluster.secret_file)
    Secret,
}

impl Cluster {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        match self {
            Self::Status { json } => status(common, json),
            Self::Token { uses, minutes } => token(common, uses, minutes),
            Self::Join { token } => join(common, &token),
            Self::Drain { stop } => drain(common, stop),
            Self::Secret => {
                let secret = ClusterSecret::make(SystemTime::now())?;
                Ok(secret.to_text().trim_end().to_owned())
            }
        }
    }
}

fn status(common: &Common, json: bool) -> Result<String, Error> {
    let answer = Talk::with_server(common)?.ask(Request::ClusterStatus)?;
    let Answer::Cluster(status) = answer else {
        return Err(unexpected());
    };
    match json {
        true => {
            serde_json::to_string_pretty(&status).map_err(|error| Error::Refused(error.to_string()))
        }
        false => Ok(shown(&status)),
    }
}

fn token(common: &Common, uses: u32, minutes: u64) -> Result<String, Error> {
    let seconds = minutes.saturating_mul(60);
    let request = Request::ClusterToken { uses, seconds };
    match Talk::with_server(common)?.ask(request)? {
        Answer::JoinToken(token) => Ok(token),
        _ => Err(unexpected()),
    }
}

fn join(common: &Common, token: &str) -> Result<String, Error> {
    let token = match token {
        "-" => from_standard_input()?,
        token => token.to_owned(),
    };
    let wrong = |error: TokenError| Error::Refused(error.to_string());
    let token: JoinToken = token.parse().map_err(wrong)?;
    let mut config = common.load(Vec::new())?.config;
    // Where others reach a node that says nothing of it.
    if config.cluster.listen == Listen::Off {
        config.cluster.listen = Listen::Everywhere(cluster::PORT);
    }
    // No server may run here meanwhile: it would not hear of it.
    let data = DataDir::open(&config.data)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Error::Refused(format!("cannot start: {error}")))?;
    let told = runtime.block_on(joining::join(&config, data.path(), &token))?;
    Ok(format!(
        "{} has joined {}: klatsch serve starts it",
        config.cluster.name(),
        told.domains.join(", ")
    ))
}

fn from_standard_input() -> Result<String, Error> {
    let mut text = String::new();
    let mut input = std::io::stdin().take(TOKEN_BYTES_MAX);
    match input.read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Error::Refused(format!("cannot read the token: {error}"))),
    }
}

fn drain(common: &Common, stop: bool) -> Result<String, Error> {
    let mut talk = Talk::with_server(common)?;
    let mut last = None;
    loop {
        let status = match talk.ask(Request::ClusterDrain { stop }) {
            Ok(Answer::Drain(status)) => status,
            Ok(_) => return Err(unexpected()),
            // It has gone, as it was told to.
            Err(Error::Io { .. }) if stop && last.is_some() => return Ok("stopped".to_owned()),
            Err(error) => return Err(error),
        };
        if last != Some(status) {
            // Nobody has to watch.
            let _ = writeln!(std::io::stderr(), "{}", left(status));
        }
        if status.is_done && !stop {
            return Ok(drained(status));
        }
        last = Some(status);
        std::thread::sleep(ASK_EVERY);
    }
}

fn left(status: DrainStatus) -> String {
    format!(
        "{} sessions, {} rooms still here",
        status.sessions, status.rooms
    )
}

fn drained(status: DrainStatus) -> String {
    let go = "no new rooms come here";
    match status.sessions {
        0 => format!("{go}, and no session is left: stop the server"),
        sessions => format!("{go}; {sessions} sessions stay until the server stops"),
    }
}

fn shown(status: &ClusterStatus) -> String {
    let head = [
        "node", "number", "life", "state", "address", "rtt", "queued", "dropped",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(status.nodes.iter().map(row));
    let mut lines = vec![table(&rows), String::new()];
    let here = format!("here: {} sessions, {} rooms", status.sessions, status.rooms);
    lines.push(here);
    lines.extend(status.presence.as_ref().map(replicated));
    lines.join("\n")
}

fn row(node: &NodeStatus) -> Vec<String> {
    let round_trip = node.round_trip_microseconds;
    let round_trip = round_trip.map(|it| format!("{}.{} ms", it / 1000, it % 1000 / 100));
    vec![
        node.name.clone(),
        node.number.to_string(),
        node.incarnation.to_string(),
        since(node),
        node.address.clone().unwrap_or_else(|| "-".to_owned()),
        round_trip.unwrap_or_else(|| "-".to_owned()),
        bytes(node.queued_bytes),
        node.dropped.to_string(),
    ]
}

/// A state and for how long it has been one.
fn since(node: &NodeStatus) -> String {
    const HOUR: u64 = 3600;
    match node.state_seconds {
        None => node.state.clone(),
        Some(seconds @ 0..60) => format!("{} {seconds} s", node.state),
        Some(seconds @ 60..HOUR) => format!("{} {} min", node.state, seconds / 60),
        Some(seconds) => format!("{} {} h", node.state, seconds / HOUR),
    }
}

fn replicated(presence: &PresenceStatus) -> String {
    let merged = match presence.last_merge_milliseconds {
        Some(ago) => format!("last merge {}.{} s ago", ago / 1000, ago % 1000 / 100),
        None => "nothing merged yet".to_owned(),
    };
    format!(
        "presence: {} entries of this node, {} of others, {} shards behind, {} changes to tell, \
         {} refused, {merged}",
        presence.own_entries,
        presence.remote_entries,
        presence.shards_behind,
        presence.changes_pending,
        presence.refused
    )
}

fn bytes(count: u64) -> String {
    const KIB: u64 = 1024;
    match count {
        0..KIB => format!("{count} B"),
        KIB..0x10_0000 => format!("{} KiB", count / KIB),
        _ => format!("{} MiB", count / KIB / KIB),
    }
}

fn unexpected() -> Error {
    Error::Refused("unexpected answer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, number: u16, state: &str) -> NodeStatus {
        NodeStatus {
            name: name.to_owned(),
            number,
            incarnation: 7,
            state: state.to_owned(),
            state_seconds: None,
            address: None,
            round_trip_microseconds: None,
            queued_bytes: 0,
            dropped: 0,
        }
    }

    #[test]
    fn nodes_are_a_table_and_what_is_here_stands_below() {
        let mut other = node("node2", 2, "suspect");
        other.address = Some("10.0.0.2:5290".to_owned());
        other.round_trip_microseconds = Some(1450);
        other.state_seconds = Some(7300);
        (other.queued_bytes, other.dropped) = (20_000, 3);
        let status = ClusterStatus {
            nodes: vec![node("n1", 1, "up"), other],
            sessions: 12,
            rooms: 3,
            presence: Some(PresenceStatus {
                own_entries: 12,
                remote_entries: 30,
                shards_behind: 1,
                changes_pending: 2,
                refused: 0,
                last_merge_milliseconds: Some(250),
            }),
        };
        assert_eq!(
            shown(&status),
            "node   number  life  state        address        rtt     queued  dropped\n\
             n1     1       7     up           -              -       0 B     0\n\
             node2  2       7     suspect 2 h  10.0.0.2:5290  1.4 ms  19 KiB  3\n\
             \n\
             here: 12 sessions, 3 rooms\n\
             presence: 12 entries of this node, 30 of others, 1 shards behind, 2 changes to tell, \
             0 refused, last merge 0.2 s ago"
        );
    }

    #[test]
    fn drained_node_says_what_is_left_to_do() {
        let status = |sessions| DrainStatus {
            sessions,
            rooms: 0,
            is_done: true,
        };
        assert!(drained(status(0)).contains("stop the server"));
        assert!(drained(status(2)).contains("2 sessions stay"));
    }
}
