//! Nodes and the store in network namespaces on one bridge, and an nftables table of the bridge
//! family that drops what passes between two of them.
//!
//! The driver has an address on the bridge: what it exchanges with a node does not pass the
//! forward hook and is never cut, unless its port is muted. ARP passes always, so that a heal
//! takes effect at once. Uses `ip`, `nft` and `ss`.

use std::collections::BTreeMap;
use std::fmt;

use tokio_tun::Tun;

use super::command::{run, run_with_input};
use super::detour::{self, Detour};
use crate::error::{LoadError, Result};
use crate::random::Random;

/// The port that clients connect to, direct TLS.
pub(crate) const CLIENT_PORT: u16 = 5223;

/// What has an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A node, counted from 1.
    Node(u32),
    /// The PostgreSQL.
    Store,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(number) => write!(f, "node {number}"),
            Self::Store => f.write_str("the store"),
        }
    }
}

/// The bridge with all that hangs on it.
#[derive(Debug)]
pub(crate) struct Network {
    names: Names,
    nodes: u32,
}

/// What things are called: by the process that made them, since several runs may share a machine.
#[derive(Clone, Debug)]
struct Names {
    /// Short: the names of interfaces have 15 characters.
    prefix: String,
    /// The first three numbers of the addresses.
    net: String,
}

impl Names {
    fn new(process: u32) -> Self {
        let [.., third, fourth] = process.to_be_bytes();
        Self {
            prefix: format!("k{process:x}"),
            // 10.64 to 10.127: seldom used by others, and apart for runs that follow each other.
            net: format!("10.{}.{fourth}", 64 + third % 64),
        }
    }

    fn index(place: Place) -> u32 {
        match place {
            Place::Store => 0,
            Place::Node(number) => number,
        }
    }

    fn namespace(&self, place: Place) -> String {
        format!("{}n{}", self.prefix, Self::index(place))
    }

    fn interface(&self, place: Place) -> String {
        format!("{}v{}", self.prefix, Self::index(place))
    }

    fn bridge(&self) -> String {
        format!("{}br", self.prefix)
    }

    /// The device by which a node's packets leave for a detour.
    fn device(&self, place: Place) -> String {
        format!("{}t{}", self.prefix, Self::index(place))
    }

    fn address(&self, place: Place) -> String {
        match place {
            Place::Store => format!("{}.250", self.net),
            Place::Node(number) => format!("{}.{number}", self.net),
        }
    }

    fn table(&self) -> String {
        format!("bridge {}", self.prefix)
    }

    /// The rules, without any cut.
    fn rules(&self) -> String {
        let table = self.table();
        format!(
            "add table {table}\n\
             add set {table} cut {{ type ifname . ifname ; }}\n\
             add set {table} muted {{ type inet_service ; }}\n\
             add chain {table} links {{ type filter hook forward priority 0 ; policy accept ; }}\n\
             add chain {table} loss\n\
             add chain {table} heard {{ type filter hook input priority 0 ; policy accept ; }}\n\
             add chain {table} said {{ type filter hook output priority 0 ; policy accept ; }}\n\
             add rule {table} links meta protocol arp accept\n\
             add rule {table} links iifname . oifname @cut counter drop\n\
             add rule {table} links jump loss\n\
             add rule {table} heard tcp sport {CLIENT_PORT} tcp dport @muted counter drop\n\
             add rule {table} said tcp sport @muted tcp dport {CLIENT_PORT} counter drop\n"
        )
    }

    fn cut(&self, pairs: &[(Place, Place)]) -> String {
        let table = self.table();
        let element = |(from, to): &(Place, Place)| {
            let (from, to) = (self.interface(*from), self.interface(*to));
            format!("add element {table} cut {{ \"{from}\" . \"{to}\" }}\n")
        };
        pairs.iter().map(element).collect()
    }

    /// What leads a node's packets for others to its device. Its address stays where it is.
    fn detour(&self, node: Place, others: impl Iterator<Item = Place>) -> String {
        let (device, own) = (self.device(node), self.address(node));
        let route = |other| {
            let other = self.address(other);
            format!("route add {other}/32 dev {device} src {own}\n")
        };
        let up = format!("link set {device} up\n");
        std::iter::once(up).chain(others.map(route)).collect()
    }

    fn lose(&self, from: Place, to: Place, permille: u32) -> String {
        let (table, from, to) = (self.table(), self.interface(from), self.interface(to));
        format!(
            "add rule {table} loss iifname \"{from}\" oifname \"{to}\" \
             numgen random mod 1000 < {permille} counter drop\n"
        )
    }
}

impl Network {
    /// Makes the bridge, a namespace for each node, and one for the store.
    pub(crate) fn set_up(nodes: u32) -> Result<Self> {
        // From here on everything is removed again, however far this gets.
        let network = Self {
            names: Names::new(std::process::id()),
            nodes,
        };
        let bridge = network.names.bridge();
        run(&[
            "ip",
            "link",
            "add",
            &bridge,
            "type",
            "bridge",
            "forward_delay",
            "0",
            "mcast_snooping",
            "0",
        ])?;
        run(&["ip", "link", "set", &bridge, "up"])?;
        let own = format!("{}.254/24", network.names.net);
        run(&["ip", "addr", "add", &own, "dev", &bridge])?;
        for place in network.places() {
            network.attach(place)?;
        }
        run_with_input(&["nft", "-f", "-"], &network.names.rules())?;
        Ok(network)
    }

    fn attach(&self, place: Place) -> Result<()> {
        let (space, plug) = (self.names.namespace(place), self.names.interface(place));
        let address = format!("{}/24", self.names.address(place));
        run(&["ip", "netns", "add", &space])?;
        run(&[
            "ip", "link", "add", &plug, "type", "veth", "peer", "name", "eth0", "netns", &space,
        ])?;
        run(&[
            "ip",
            "link",
            "set",
            &plug,
            "master",
            &self.names.bridge(),
            "up",
        ])?;
        run(&["ip", "-n", &space, "addr", "add", &address, "dev", "eth0"])?;
        run(&["ip", "-n", &space, "link", "set", "eth0", "up"])?;
        run(&["ip", "-n", &space, "link", "set", "lo", "up"]).map(drop)
    }

    fn places(&self) -> impl Iterator<Item = Place> + use<> {
        [Place::Store].into_iter().chain(self.nodes())
    }

    fn nodes(&self) -> impl Iterator<Item = Place> + use<> {
        (1..=self.nodes).map(Place::Node)
    }

    /// Where a place is reached.
    pub(crate) fn address(&self, place: Place) -> String {
        self.names.address(place)
    }

    /// The network of all, as settings write it.
    pub(crate) fn everybody(&self) -> String {
        format!("{}.0/24", self.names.net)
    }

    /// The words that run a command at a place. The command keeps the process's number.
    pub(crate) fn at(&self, place: Place) -> Vec<String> {
        let space = self.names.namespace(place);
        ["ip", "netns", "exec"]
            .map(str::to_owned)
            .into_iter()
            .chain([space])
            .collect()
    }

    /// Drops what goes from the first to the second of each pair.
    pub(crate) fn cut(&self, pairs: &[(Place, Place)]) -> Result<()> {
        run_with_input(&["nft", "-f", "-"], &self.names.cut(pairs)).map(drop)
    }

    /// Drops so many of a thousand packets between all nodes.
    pub(crate) fn lose(&self, permille: u32) -> Result<()> {
        let pairs = self.nodes();
        let pairs = pairs.flat_map(|from| self.nodes().map(move |to| (from, to)));
        let pairs = pairs.filter(|(from, to)| from != to);
        let rules: String = pairs
            .map(|(from, to)| self.names.lose(from, to, permille))
            .collect();
        run_with_input(&["nft", "-f", "-"], &rules).map(drop)
    }

    /// Drops everything that clients on these ports exchange with nodes.
    pub(crate) fn mute(&self, ports: &[u16]) -> Result<()> {
        let table = self.names.table();
        let rules: String = ports
            .iter()
            .map(|port| format!("add element {table} muted {{ {port} }}\n"))
            .collect();
        run_with_input(&["nft", "-f", "-"], &rules).map(drop)
    }

    /// Mends everything: cuts, losses, muted ports.
    pub(crate) fn heal(&self) -> Result<()> {
        let table = self.names.table();
        let rules =
            format!("flush set {table} cut\nflush set {table} muted\nflush chain {table} loss\n");
        run_with_input(&["nft", "-f", "-"], &rules).map(drop)
    }

    /// How many packets the rules that are there now have dropped.
    pub(crate) fn dropped(&self) -> Result<u64> {
        let table = self.names.prefix.as_str();
        run(&["nft", "list", "table", "bridge", table]).map(|text| count_dropped(&text))
    }

    /// Leads what nodes say to each other over a long and bad way, until that ends.
    pub(crate) fn detour(&self, random: &Random) -> Result<Detour> {
        let mut devices = BTreeMap::new();
        for node in self.nodes() {
            let unreadable = |_| LoadError::protocol("the address of a node");
            let address = self.address(node).parse().map_err(unreadable)?;
            devices.insert(address, self.turn_off(node)?);
        }
        Ok(Detour::start(devices, random))
    }

    /// Turns a node's packets for others off to a device of its own.
    fn turn_off(&self, node: Place) -> Result<Tun> {
        let (space, name) = (self.names.namespace(node), self.names.device(node));
        let device = detour::open(&name)?;
        run(&["ip", "link", "set", &name, "netns", &space])?;
        let others = self.nodes().filter(|other| *other != node);
        let ways = self.names.detour(node, others);
        run_with_input(&["ip", "-n", &space, "-batch", "-"], &ways)?;
        Ok(device)
    }

    /// The ports from which clients are connected to a node.
    pub(crate) fn client_ports(&self, node: u32) -> Result<Vec<u16>> {
        let node = format!("{}:{CLIENT_PORT}", self.address(Place::Node(node)));
        run(&["ss", "-Htn", "state", "established", "dst", &node]).map(|text| local_ports(&text))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Best effort, and all of it: what failed to be made cannot be removed.
        let _ = run(&["nft", "delete", "table", "bridge", &self.names.prefix]);
        for place in self.places() {
            let space = self.names.namespace(place);
            let pids = run(&["ip", "netns", "pids", &space]).unwrap_or_default();
            for pid in pids.split_whitespace() {
                let _ = run(&["kill", "-9", pid]);
            }
            let _ = run(&["ip", "netns", "del", &space]);
            // Connections that nobody answers any more keep a namespace for minutes; with its plug
            // everything is gone that can be seen of it.
            let _ = run(&["ip", "link", "del", &self.names.interface(place)]);
        }
        let _ = run(&["ip", "link", "del", &self.names.bridge()]);
    }
}

/// The sum of all counters of a table that drop something.
fn count_dropped(rules: &str) -> u64 {
    let counters = rules.lines().filter_map(|line| {
        let counted = line.trim().strip_suffix("drop")?;
        let (_, counted) = counted.split_once("counter packets ")?;
        counted.split(' ').next()?.parse::<u64>().ok()
    });
    counters.sum()
}

/// The local ports of connections, as `ss` lists them without their state: Recv-Q, Send-Q, local
/// address, peer.
fn local_ports(connections: &str) -> Vec<u16> {
    let port = |line: &str| {
        let local = line.split_whitespace().nth(2)?;
        local.rsplit_once(':')?.1.parse().ok()
    };
    connections.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_runs_differ_and_fit_interfaces() {
        let (one, other) = (Names::new(4_194_303), Names::new(4_194_302));
        let plug = one.interface(Place::Node(99));
        assert!(plug.len() <= 15, "{plug}");
        assert_ne!(plug, other.interface(Place::Node(99)));
        assert_ne!(one.address(Place::Store), other.address(Place::Store));
        assert_eq!(Names::new(1).address(Place::Node(2)), "10.64.1.2");
    }

    #[test]
    fn a_cut_goes_one_way() {
        let names = Names::new(1);
        let rules = names.cut(&[(Place::Node(1), Place::Store)]);
        assert_eq!(rules, "add element bridge k1 cut { \"k1v1\" . \"k1v0\" }\n");
    }

    #[test]
    fn a_detour_leads_to_all_others_from_where_a_node_is_known() {
        let names = Names::new(1);
        let ways = names.detour(Place::Node(1), [2, 3].map(Place::Node).into_iter());
        assert_eq!(
            ways,
            "link set k1t1 up\n\
             route add 10.64.1.2/32 dev k1t1 src 10.64.1.1\n\
             route add 10.64.1.3/32 dev k1t1 src 10.64.1.1\n"
        );
    }

    #[test]
    fn only_what_was_dropped_is_counted() {
        let table = "table bridge k1 {\n\
            \tchain links {\n\
            \t\tmeta protocol arp accept\n\
            \t\tiifname . oifname @cut counter packets 12 bytes 720 drop\n\
            \t\tcounter packets 99 bytes 1 accept\n\
            \t}\n\
            \tchain said {\n\
            \t\ttcp sport @muted tcp dport 5223 counter packets 3 bytes 180 drop\n\t}\n}\n";
        assert_eq!(count_dropped(table), 15);
    }

    #[test]
    fn ports_are_the_clients_own() {
        let lines = "0      0        10.64.1.254:40312      10.64.1.1:5223 \n\
                     0      36       10.64.1.254:40318      10.64.1.1:5223\n";
        assert_eq!(local_ports(lines), [40312, 40318]);
        assert_eq!(local_ports(""), [0u16; 0]);
    }
}
