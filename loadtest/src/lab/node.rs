//! One klatsch: its settings, its data, its process.
//!
//! All nodes share a store and the file with the cluster's secret; a node alone keeps its own
//! store. That a node is one of several is a matter of these settings and of nothing else here.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::command::{run_all, with_variables, word};
use super::network::CLIENT_PORT;
use super::server::Server;
use crate::error::{LoadError, Result};
use crate::options::Target;

/// Where nodes meet.
const LINK_PORT: u16 = 5290;

/// A node that does not tell its status so soon tells none.
const STATUS_SECONDS: u32 = 3;

/// How long a node may take to hand its sessions over: in slices, one a second.
const DRAIN_SECONDS: u32 = 180;

/// Where metrics are read.
const METRICS_PORT: u16 = 9464;

/// What all nodes are given.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// The program.
    pub(crate) klatsch: PathBuf,
    /// The folder of the run.
    pub(crate) folder: PathBuf,
    /// The domain served.
    pub(crate) domain: String,
    /// The store, as settings name it.
    pub(crate) store: String,
    /// Who is spared rates: the driver's network.
    pub(crate) trusted: String,
    /// The nodes' addresses.
    pub(crate) addresses: Vec<String>,
}

/// A node.
pub(crate) struct Node {
    number: u32,
    common: Arc<Common>,
    /// Words that lead to where it runs.
    at: Vec<String>,
    /// Its process.
    pub(crate) server: Server,
}

impl Node {
    /// Writes the settings of a node and starts it.
    pub(crate) fn start(number: u32, common: &Arc<Common>, at: Vec<String>) -> Result<Self> {
        let folder = folder(common, number);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("klatsch.toml"), settings(number, common))?;
        let command = command(number, common, &at, &common.klatsch, &[]);
        let server = Server::start(command, &folder.join("console.log"))?;
        Ok(Self {
            number,
            common: Arc::clone(common),
            at,
            server,
        })
    }

    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Another program, or one with variables set, from the next start on.
    pub(crate) fn run_next(&mut self, program: Option<&Path>, variables: &[(String, String)]) {
        let program = program.unwrap_or(&self.common.klatsch);
        let command = command(self.number, &self.common, &self.at, program, variables);
        self.server.run_next(command);
    }

    /// Has the node hand its sessions over, and waits until it has.
    pub(crate) async fn drain(&self) -> Result<()> {
        let words = self.words(DRAIN_SECONDS, &["cluster", "drain"]);
        let drained = tokio::task::spawn_blocking(move || run_all(&words)).await;
        let panicked = |error| LoadError::protocol(format!("cluster drain: {error}"));
        drained.map_err(panicked)?.map(drop)
    }

    /// Runs a command of klatsch's on this node, for so many seconds at most: a node that stands
    /// still answers none.
    pub(crate) fn command(&self, seconds: u32, arguments: &[&str]) -> Result<String> {
        run_all(&self.words(seconds, arguments))
    }

    fn words(&self, seconds: u32, arguments: &[&str]) -> Vec<String> {
        let patience = ["timeout".to_owned(), seconds.to_string()];
        let program = [word(&self.common.klatsch)];
        let arguments = arguments.iter().map(|it| (*it).to_owned());
        let place = place(&self.common, self.number);
        let words = self.at.iter().cloned().chain(patience).chain(program);
        words.chain(arguments).chain(place).collect()
    }

    /// How many other nodes this one sees and calls up.
    pub(crate) fn others_up(&self) -> Result<usize> {
        self.others("up")
    }

    /// How many it calls down: one that only is suspect is not.
    pub(crate) fn others_down(&self) -> Result<usize> {
        self.others("down")
    }

    fn others(&self, state: &str) -> Result<usize> {
        let status = self.command(STATUS_SECONDS, &["cluster", "status", "--json"])?;
        count(&status, state)
    }

    /// What the node has written to its console.
    pub(crate) fn console(&self) -> String {
        let path = folder(&self.common, self.number).join("console.log");
        fs::read_to_string(path).unwrap_or_default()
    }
}

/// Where clients reach a node.
pub(crate) fn target_of(like: &Target, address: &str) -> Target {
    Target {
        host: address.to_owned(),
        port: CLIENT_PORT,
        ..like.clone()
    }
}

fn folder(common: &Common, number: u32) -> PathBuf {
    common.folder.join(format!("node{number}"))
}

/// The options that tell a command which node it is about.
fn place(common: &Common, number: u32) -> [String; 4] {
    let folder = folder(common, number);
    let file = word(&folder.join("klatsch.toml"));
    let data = word(&folder.join("data"));
    ["--config".into(), file, "--data".into(), data]
}

fn command(
    number: u32,
    common: &Common,
    at: &[String],
    program: &Path,
    variables: &[(String, String)],
) -> Vec<String> {
    let serve = [word(program), "serve".into()];
    let words = at.iter().cloned().chain(with_variables(variables));
    words.chain(serve).chain(place(common, number)).collect()
}

/// The settings of a node.
fn settings(number: u32, common: &Common) -> String {
    let Common {
        domain,
        store,
        trusted,
        addresses,
        ..
    } = common;
    let own = &addresses[number as usize - 1];
    let mut text = format!(
        "domains = [\"{domain}\"]\n\
         [listen]\nc2s = \"off\"\nc2s_tls = \"{own}:{CLIENT_PORT}\"\nhttp = \"off\"\n\
         https = \"off\"\nstun = \"off\"\nmetrics = \"{own}:{METRICS_PORT}\"\n\
         [store]\nurl = \"{store}\"\n\
         [limits]\ntrusted = [\"127.0.0.0/8\", \"{trusted}\"]\nsearch_rate = 0\n"
    );
    if addresses.len() > 1 {
        let others = addresses.iter().filter(|address| *address != own);
        let peers: Vec<_> = others.map(|it| format!("\"{it}:{LINK_PORT}\"")).collect();
        let secret = word(&secret_file(common));
        let _ = write!(
            text,
            "[cluster]\nname = \"node{number}\"\nlisten = \"{own}:{LINK_PORT}\"\n\
             client_host = \"{own}:{CLIENT_PORT}\"\npeers = [{}]\nsecret_file = \"{secret}\"\n",
            peers.join(", ")
        );
    }
    text
}

/// How many nodes a status names in a state, beside the one that tells it: that stands first.
fn count(status: &str, state: &str) -> Result<usize> {
    let unreadable = |what: &str| LoadError::protocol(format!("cluster status: {what}"));
    let status: Value = serde_json::from_str(status).map_err(|it| unreadable(&it.to_string()))?;
    let nodes = status["nodes"].as_array();
    let nodes = nodes.ok_or_else(|| unreadable("no nodes"))?;
    let others = nodes.iter().skip(1);
    Ok(others.filter(|node| node["state"] == state).count())
}

/// Makes the secret that all nodes of a cluster share.
pub(crate) fn make_secret(common: &Common) -> Result<()> {
    let words = [word(&common.klatsch), "cluster".into(), "secret".into()];
    let secret = run_all(&words)?;
    let path = secret_file(common);
    let mut file = fs::OpenOptions::new();
    // A secret that others may read is refused.
    let mut file = file.write(true).create_new(true).mode(0o600).open(path)?;
    Ok(std::io::Write::write_all(&mut file, secret.as_bytes())?)
}

fn secret_file(common: &Common) -> PathBuf {
    common.folder.join("cluster.secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(nodes: u32) -> Common {
        Common {
            klatsch: "/bin/klatsch".into(),
            folder: "/tmp/run".into(),
            domain: "chaos.example".into(),
            store: "postgres://klatsch@10.0.0.250/klatsch".into(),
            trusted: "10.0.0.0/24".into(),
            addresses: (1..=nodes).map(|node| format!("10.0.0.{node}")).collect(),
        }
    }

    #[test]
    fn a_node_alone_is_in_no_cluster() {
        assert!(!settings(1, &common(1)).contains("[cluster]"));
    }

    #[test]
    fn nodes_name_each_other_and_not_themselves() {
        let text = settings(2, &common(3));
        assert!(
            text.contains("peers = [\"10.0.0.1:5290\", \"10.0.0.3:5290\"]"),
            "{text}"
        );
        assert!(text.contains("name = \"node2\""));
        assert!(text.contains("c2s_tls = \"10.0.0.2:5223\""));
        assert!(text.contains("client_host = \"10.0.0.2:5223\""));
    }

    #[test]
    fn a_command_says_where_and_with_what() {
        let at = ["ip", "netns", "exec", "k1n2"].map(str::to_owned);
        let skewed = [("FAKETIME".to_owned(), "+30s".to_owned())];
        let words = command(2, &common(3), &at, Path::new("/bin/broken"), &skewed).join(" ");
        assert_eq!(
            words,
            "ip netns exec k1n2 env FAKETIME=+30s /bin/broken serve \
             --config /tmp/run/node2/klatsch.toml --data /tmp/run/node2/data"
        );
    }

    #[test]
    fn other_nodes_are_counted_by_what_they_are_called() {
        let status = r#"{"nodes":[{"name":"node1","state":"up"},{"name":"node2","state":"up"},
            {"name":"node3","state":"suspect"},{"name":"node4","state":"down"}]}"#;
        assert_eq!(count(status, "up").expect("readable"), 1);
        assert_eq!(count(status, "down").expect("readable"), 1);
        assert!(count("{}", "up").is_err());
        assert!(count("nonsense", "up").is_err());
    }
}
