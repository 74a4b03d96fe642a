//! The cluster: where this node is reached by others, and how it finds them.

use super::settings::settings;
use super::{Config, Listen};
use klatsch_cluster::settings::Settings;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// The port of links between nodes, where nothing else is said.
pub const PORT: u16 = 5290;

/// Characters of a node's name: a label of DNS, for it stands in the node's certificate.
const NAME_MAX: usize = 63;

settings! {
    /// Other nodes, which share one PostgreSQL database. Off as long as listen, peers and dns are not set.
    pub struct Cluster {
        /// Where other nodes connect, usually port 5290.
        listen: Listen = Listen::Off;
        /// Where other nodes reach this one, HOST:PORT; nodes tell each other. None: the address of cluster.listen, or the host's name.
        advertise: Option<String> = None, example "\"10.0.0.1:5290\"";
        /// Where clients reach this very node, HOST or HOST:PORT, and no other. A node that is drained
        /// sends its clients to where their sessions go; without this they find a node by themselves.
        client_host: Option<String> = None, example "\"node1.example.org\"";
        /// Other nodes, each HOST:PORT. One is enough: it tells of the others.
        #[serde(deserialize_with = "super::one_or_many")]
        peers: Vec<String> = Vec::new();
        /// A name whose addresses are the other nodes, with a port unless they use this node's.
        dns: Option<String> = None, example "\"nodes.example.org\"";
        /// What this node is called; no other may be called so. None: the host's name.
        name: Option<String> = None, example "\"node1\"";
        /// A file with what nodes know each other by, the same on all. None: cluster.secret in the data
        /// directory, which the first node makes and klatsch cluster join brings.
        secret_file: Option<PathBuf> = None, example "\"/etc/klatsch/cluster.secret\"";
        /// Where new nodes join, on the addresses of cluster.listen; open only while a join token is out.
        /// 0: any free port.
        join_port: u16 = 5291;
        /// Seconds after which the name in dns is looked up again.
        dns_seconds: u64 = Settings::default().dns_seconds;
        /// Bytes that may wait for one node; more is dropped, and the node looks itself for what it has missed.
        queue_bytes_max: usize = Settings::default().queue_bytes_max;
        /// Seconds between signs of life. After three times as long a silence a node is suspect, after five
        /// times as long it is down.
        heartbeat_seconds: u64 = Settings::default().heartbeat_seconds;
    }
}

/// What is particular about where a setting comes from: the part before the colon of a complaint.
type Complaint = String;

impl Cluster {
    /// Tells whether this node is one of several.
    pub fn is_on(&self) -> bool {
        self.listen != Listen::Off || self.knows_others()
    }

    /// Tells whether others are to be found.
    pub fn knows_others(&self) -> bool {
        !self.peers.is_empty() || self.dns.is_some()
    }

    /// What this node is called: as it is set, or else as the host is.
    pub fn name(&self) -> String {
        let host = || hostname::get().ok()?.into_string().ok();
        let name = self.name.clone().or_else(host);
        name.unwrap_or_else(|| "localhost".to_owned())
            .trim_end_matches('.')
            .to_lowercase()
    }

    /// Where others reach this node.
    pub fn advertise(&self) -> String {
        let reached = |address: &SocketAddr| !address.ip().is_unspecified();
        match (&self.advertise, self.listen.addresses().first()) {
            (Some(address), _) => address.clone(),
            (None, Some(address)) if reached(address) => address.to_string(),
            (None, address) => {
                let port = address.map_or(PORT, SocketAddr::port);
                format!("{}:{port}", self.name())
            }
        }
    }

    /// The host of [`Cluster::advertise`].
    pub fn advertised_host(&self) -> String {
        let address = self.advertise();
        let host = split(&address).map(|(host, _)| host.to_owned());
        host.unwrap_or(address)
    }

    /// The settings as the link takes them: it listens on one address, `*` being IPv6's any.
    pub fn settings(&self) -> Settings {
        let usual = Settings::default();
        Settings {
            listen: self
                .listen
                .addresses()
                .first()
                .copied()
                .unwrap_or(usual.listen),
            // A port that is not known before there is a socket is told by the link itself.
            advertise: Some(self.advertise()).filter(|address| split(address).is_some()),
            peers: self.peers.clone(),
            dns: self.dns.clone(),
            dns_seconds: self.dns_seconds,
            queue_bytes_max: self.queue_bytes_max,
            heartbeat_seconds: self.heartbeat_seconds,
        }
    }

    /// Where the secret of the cluster is kept.
    pub fn secret_file(&self, data: &Path) -> PathBuf {
        let own = || data.join("cluster.secret");
        self.secret_file.clone().unwrap_or_else(own)
    }
}

/// What is wrong with the cluster's settings, each by its name.
pub(super) fn complaints(config: &Config) -> Vec<Complaint> {
    let cluster = &config.cluster;
    if !cluster.is_on() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if !is_shared(&config.store.url) {
        found.push(
            "cluster: nodes share one PostgreSQL database, and store.url names none: set it to \
             postgres://USER@HOST/DATABASE; `klatsch export --store > all.xml` before and \
             `klatsch import all.xml` after take the accounts there"
                .to_owned(),
        );
    }
    if cluster.listen == Listen::Off {
        found.push("cluster.listen: off, and other nodes must reach this one".to_owned());
    }
    let addresses = cluster.peers.iter().map(|peer| ("peers", peer));
    let addresses = addresses.chain(cluster.advertise.iter().map(|it| ("advertise", it)));
    let wrong = addresses.filter(|(_, address)| split(address).is_none());
    let wrong: Vec<String> = wrong
        .map(|(key, it)| format!("cluster.{key}: \"{it}\" is not HOST:PORT"))
        .collect();
    if wrong.is_empty() {
        // What else the link does not take.
        let error = cluster.settings().check().err();
        found.extend(error.map(|error| format!("cluster: {error}")));
    }
    found.extend(wrong);
    let is_host_or_address = |it: &String| split(it).is_some() || is_host(it);
    let host = cluster.client_host.as_ref();
    if let Some(host) = host.filter(|host| !is_host_or_address(host)) {
        found.push(format!(
            "cluster.client_host: \"{host}\" is not HOST or HOST:PORT"
        ));
    }
    if !is_name(&cluster.name()) {
        found.push(format!(
            "cluster.name: \"{}\" is no name for a node: letters, digits and hyphens, {NAME_MAX} at most",
            cluster.name()
        ));
    }
    found
}

/// Tells whether several nodes can use a store.
fn is_shared(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Tells whether a node may be called so: as a host is, in lower-case letters.
pub fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        !bytes.is_empty()
            && bytes
                .iter()
                .all(|it| it.is_ascii_alphanumeric() || *it == b'-')
            && !(label.starts_with('-') || label.ends_with('-'))
    };
    // An address would stand in a certificate as one.
    let is_address = name.parse::<IpAddr>().is_ok();
    name.len() <= NAME_MAX && !is_address && name.split('.').all(is_label)
}

/// Host and port of `HOST:PORT`; an IPv6 address stands in brackets.
pub fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let is_host = match inner {
        Some(inner) => matches!(inner.parse(), Ok(IpAddr::V6(_))),
        None => is_host(host),
    };
    let port = port.parse().ok().filter(|port| *port > 0)?;
    is_host.then_some((host, port))
}

/// A name of DNS or an IPv4 address.
fn is_host(host: &str) -> bool {
    let is_fit = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_');
    (1..=253).contains(&host.len()) && host.bytes().all(is_fit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "[store]\nurl = \"postgres://db/klatsch\"\n";

    fn cluster(text: &str) -> Cluster {
        toml::from_str(text).unwrap()
    }

    fn complaints_of(text: &str) -> Vec<String> {
        complaints(&toml::from_str(text).unwrap())
    }

    #[test]
    fn cluster_on_sqlite_is_refused_with_what_to_do() {
        for url in ["sqlite:klatsch.db", "memory:"] {
            let text =
                format!("[store]\nurl = \"{url}\"\n[cluster]\nlisten = \"*:5290\"\nname = \"n\"\n");
            let complaints = complaints_of(&text);
            assert_eq!(complaints.len(), 1, "{complaints:?}");
            for word in [
                "cluster: ",
                "store.url",
                "postgres://",
                "klatsch export",
                "import",
            ] {
                assert!(complaints[0].contains(word), "{word}: {complaints:?}");
            }
        }
    }

    #[test]
    fn cluster_is_on_when_it_listens_or_knows_others() {
        for on in ["listen = \"*:1\"", "peers = \"a:1\"", "dns = \"a\""] {
            assert!(cluster(on).is_on(), "{on}");
        }
        assert!(!cluster("name = \"a\"\njoin_port = 1").is_on());
        assert_eq!(complaints_of(""), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_key() {
        let with = |line: &str| {
            let listen = if line.contains("listen") {
                ""
            } else {
                "listen = \"*:5290\"\n"
            };
            let name = if line.contains("name") {
                ""
            } else {
                "name = \"n\"\n"
            };
            complaints_of(&format!("{SHARED}[cluster]\n{listen}{name}{line}\n"))
        };
        assert_eq!(
            with("peers = [\"10.0.0.2:5290\", \"[::1]:5290\", \"n2.example:1\"]"),
            [""; 0]
        );
        for (line, key) in [
            ("peers = \"10.0.0.2\"", "cluster.peers: "),
            ("peers = \"a b:1\"", "cluster.peers: "),
            ("peers = \"a:0\"", "cluster.peers: "),
            ("peers = \"::1:5290\"", "cluster.peers: "),
            ("advertise = \"a:x\"", "cluster.advertise: "),
            ("client_host = \"a b\"", "cluster.client_host: "),
            ("client_host = \"a:0\"", "cluster.client_host: "),
            ("name = \"a_b\"", "cluster.name: "),
            ("name = \"-a\"", "cluster.name: "),
            ("name = \"10.0.0.1\"", "cluster.name: "),
            ("queue_bytes_max = 1000", "cluster: "),
            ("listen = \"off\"\ndns = \"n.example\"", "cluster.listen: "),
        ] {
            let complaints = with(line);
            assert_eq!(complaints.len(), 1, "{line}: {complaints:?}");
            assert!(complaints[0].starts_with(key), "{line}: {complaints:?}");
        }
    }

    #[test]
    fn node_is_reached_where_it_listens_unless_somebody_says_otherwise() {
        let said = "listen = \"10.0.0.1:5290\"\nname = \"n1\"\n";
        assert_eq!(cluster(said).advertise(), "10.0.0.1:5290");
        assert_eq!(
            cluster("listen = \"*:7000\"\nname = \"N1\"").advertise(),
            "n1:7000"
        );
        let other = cluster(&format!("{said}advertise = \"[2001:db8::1]:99\""));
        assert_eq!(other.advertise(), "[2001:db8::1]:99");
        assert_eq!(other.advertised_host(), "[2001:db8::1]");
    }

    #[test]
    fn defaults_are_those_of_the_link() {
        let ours = cluster("listen = \"*:5290\"\nname = \"n1\"").settings();
        let theirs = Settings {
            advertise: Some("n1:5290".to_owned()),
            ..Settings::default()
        };
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }
}
