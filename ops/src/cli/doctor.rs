//! `klatsch doctor`: looks for what is wrong with this installation, on this machine only.
//!
//! Leaves out DNS and what clients see from outside.

mod logins;

use super::Common;
use crate::admin::Client;
use crate::boot::certificate::{Certificate, names};
use crate::boot::data_dir::is_open_to_others;
use crate::boot::open_files;
use crate::config::check::{Finding, check};
use crate::config::{Config, Listen, Loaded};
use crate::disk::{self, Disk};
use crate::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Less than this is soon full: a busy archive grows by so much in days.
const DISK_BYTES_ENOUGH: u64 = 1024 * 1024 * 1024;

/// A certificate that ends sooner needs somebody.
const CERTIFICATE_ENOUGH: Duration = Duration::from_secs(21 * 24 * 3600);

/// On this machine a listener answers at once.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// One thing looked at.
enum Look {
    Fine(String),
    Note(String),
    Wrong(String),
}
use Look::{Fine, Note, Wrong};

/// Looks at everything; fails when something is wrong.
pub(super) fn run(common: &Common) -> Result<String, Error> {
    let loaded = common.load(Vec::new())?;
    let looks = look_at_all(&loaded);
    let text = looks.iter().map(line).collect::<Vec<_>>().join("\n");
    match looks.iter().any(|look| matches!(look, Wrong(_))) {
        true => Err(Error::Refused(text)),
        false => Ok(text),
    }
}

fn look_at_all(loaded: &Loaded) -> Vec<Look> {
    let config = &loaded.config;
    let mut looks = look_at_settings(loaded);
    let server = Client::connect(&config.data);
    let is_running = matches!(server, Ok(Some(_)));
    looks.push(match server {
        Ok(Some(_)) => Fine("a server runs".to_owned()),
        Ok(None) => Note("no server runs on this data directory".to_owned()),
        Err(error) => Wrong(error.to_string()),
    });
    looks.extend(logins::look(loaded));
    looks.extend(look_at_data(config));
    looks.push(look_at_certificate(config));
    looks.push(look_at_open_files());
    looks.extend(
        listeners(config)
            .into_iter()
            .flat_map(|(key, listen)| look_at_listener(key, listen, is_running)),
    );
    if config.has_own_turn() {
        looks.extend(look_at_stun(config.listen.stun, is_running));
    }
    looks
}

fn look_at_settings(loaded: &Loaded) -> Vec<Look> {
    let from = loaded
        .file
        .as_ref()
        .map_or("defaults".to_owned(), |file| file.display().to_string());
    let fine = Fine(format!(
        "settings: {from}, domains {}",
        loaded.config.domains().join(", ")
    ));
    let findings = check(&loaded.config)
        .into_iter()
        .map(|finding| match finding {
            Finding::Refused(text) => Wrong(text),
            Finding::Noted(text) => Note(text),
        });
    std::iter::once(fine).chain(findings).collect()
}

fn look_at_data(config: &Config) -> Vec<Look> {
    let data = &config.data;
    if !data.exists() {
        return vec![Note(format!(
            "{}: the first start makes it",
            data.display()
        ))];
    }
    let mut looks = Vec::new();
    let secret = ["key.pem", "secrets.toml"].map(|name| data.join(name));
    let open = std::iter::once(data.to_owned())
        .chain(secret)
        .filter(|path| is_open_to_others(path));
    looks.extend(open.map(|path| Wrong(format!("{} is open to others", path.display()))));
    let folder = disk::folder(config).unwrap_or_else(|| data.clone());
    looks.push(match Disk::of(&folder) {
        Ok(disk) => look_at_disk(disk, disk.reserve(config.store.free_disk_bytes_min)),
        Err(error) => Wrong(format!("{}: {error}", folder.display())),
    });
    looks
}

fn look_at_disk(disk: Disk, reserve: u64) -> Look {
    let text = format!("{} MiB free for the store", disk.free / (1024 * 1024));
    if disk.is_low(reserve, false) {
        let reserve = reserve / 1024;
        Wrong(format!("{text}: messages are refused below {reserve} KiB"))
    } else if disk.free < DISK_BYTES_ENOUGH {
        Wrong(text)
    } else {
        Fine(text)
    }
}

fn look_at_certificate(config: &Config) -> Look {
    let chain = config
        .tls
        .certificate
        .clone()
        .unwrap_or_else(|| config.data.join("certificate.pem"));
    if !chain.exists() && config.tls.certificate.is_none() {
        return Note("no certificate yet: the first start makes one".to_owned());
    }
    match judge_certificate(config, &chain) {
        Ok(look) => look,
        Err(error) => Wrong(error.to_string()),
    }
}

fn judge_certificate(config: &Config, chain: &Path) -> Result<Look, Error> {
    let bytes = std::fs::read(chain).map_err(Error::io("cannot read", chain))?;
    let contents = Certificate {
        chain: bytes,
        key: Vec::new(),
    }
    .contents()?;
    let left = contents
        .ends
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    let days = left.as_secs() / (24 * 3600);
    let missing: Vec<String> = config
        .domains()
        .into_iter()
        .filter(|domain| !is_named(domain, &contents.names))
        .collect();
    Ok(if left.is_zero() {
        Wrong("the certificate is expired".to_owned())
    } else if !missing.is_empty() {
        Wrong(format!(
            "the certificate does not name {}",
            missing.join(", ")
        ))
    } else if left < CERTIFICATE_ENOUGH {
        Wrong(format!("the certificate ends in {days} days"))
    } else {
        Fine(format!("the certificate is good for {days} days"))
    })
}

/// RFC 6125 §6.4.3: a wildcard stands for the leftmost label alone.
fn is_named(domain: &str, named: &std::collections::BTreeSet<String>) -> bool {
    let Ok(wanted) = names(&[domain.to_owned()]) else {
        return false;
    };
    let ascii = wanted
        .iter()
        .min_by_key(|name| name.len())
        .cloned()
        .unwrap_or_default();
    let wildcard = ascii
        .split_once('.')
        .map(|(_, parent)| format!("*.{parent}"));
    named.contains(&ascii) || wildcard.is_some_and(|wildcard| named.contains(&wildcard))
}

fn look_at_open_files() -> Look {
    let limit = open_files::current();
    let text = format!("{limit} open files at most");
    // Serving raises it as far as allowed; a shell's may well be lower than the service's.
    if limit < open_files::ENOUGH {
        Note(format!("{text}: few connections fit"))
    } else {
        Fine(text)
    }
}

fn listeners(config: &Config) -> Vec<(&'static str, Listen)> {
    let listen = &config.listen;
    vec![
        ("c2s", listen.c2s),
        ("c2s_tls", listen.c2s_tls),
        ("http", listen.http),
        ("https", listen.https),
        ("metrics", listen.metrics),
    ]
}

/// A running server answers there; without one, the address is free.
fn look_at_listener(key: &str, listen: Listen, is_running: bool) -> Option<Look> {
    let address = listen.addresses().pop()?;
    let name = format!("listen.{key} = {listen}");
    let outcome = match is_running {
        true => TcpStream::connect_timeout(&reachable(address), CONNECT_MAX).map(drop),
        false => TcpListener::bind(address).map(drop),
    };
    Some(match outcome {
        Ok(()) if is_running => Fine(format!("{name}: answers")),
        Ok(()) => Fine(format!("{name}: free")),
        Err(error) => Wrong(format!("{name}: {error}")),
    })
}

/// A running server tells there how it sees us. Without it calls suffer, and nothing else.
fn look_at_stun(listen: Listen, is_running: bool) -> Option<Look> {
    let address = listen.addresses().pop()?;
    let name = format!("listen.stun = {listen}");
    let outcome = match is_running {
        true => ask_stun(reachable(address)),
        false => UdpSocket::bind(address).map(drop),
    };
    Some(match outcome {
        Ok(()) if is_running => Fine(format!("{name}: answers")),
        Ok(()) => Fine(format!("{name}: free")),
        Err(error) => Note(format!("{name}: {error}: calls have no relays")),
    })
}

/// Sends the smallest request there is (RFC 8489 §5) and waits for its answer.
fn ask_stun(address: SocketAddr) -> std::io::Result<()> {
    const BINDING: [u8; 20] = *b"\0\x01\0\0\x21\x12\xa4\x42klatschdoctr";
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(CONNECT_MAX))?;
    socket.send(&BINDING)?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer)?;
    match answer.get(4..20) == BINDING.get(4..20) && length > 20 {
        true => Ok(()),
        false => Err(std::io::Error::other("answers something else")),
    }
}

/// Where to connect to for what listens on every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

fn line(look: &Look) -> String {
    match look {
        Fine(text) => format!("fine   {text}"),
        Note(text) => format!("note   {text}"),
        Wrong(text) => format!("wrong  {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_address_is_wrong_without_a_server_and_right_with_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = Listen::On(taken.local_addr().unwrap());
        assert!(matches!(
            look_at_listener("c2s", listen, false),
            Some(Wrong(_))
        ));
        assert!(matches!(
            look_at_listener("c2s", listen, true),
            Some(Fine(_))
        ));
        assert!(look_at_listener("c2s", Listen::Off, true).is_none());
    }

    #[test]
    fn taken_port_of_stun_is_noted_without_a_server_and_asked_with_one() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listen = Listen::On(taken.local_addr().unwrap());
        assert!(matches!(look_at_stun(listen, false), Some(Note(_))));
        let answering = std::thread::spawn(move || {
            let mut request = [0; 64];
            let (length, from) = taken.recv_from(&mut request).unwrap();
            assert_eq!(length, 20);
            taken.send_to(&request[..32], from).unwrap();
        });
        assert!(matches!(look_at_stun(listen, true), Some(Fine(_))));
        answering.join().unwrap();
        assert!(look_at_stun(Listen::Off, true).is_none());
    }

    #[test]
    fn wildcard_stands_for_one_label() {
        let named = ["*.example".to_owned()].into();
        assert!(is_named("a.example", &named));
        assert!(!is_named("b.a.example", &named) && !is_named("example", &named));
    }

    #[test]
    fn nearly_full_disk_is_wrong() {
        let look = |free| {
            let total = 100 * DISK_BYTES_ENOUGH;
            look_at_disk(Disk { free, total }, 1024)
        };
        assert!(matches!(look(DISK_BYTES_ENOUGH - 1), Wrong(_)));
        assert!(matches!(look(DISK_BYTES_ENOUGH), Fine(_)));
        let Wrong(text) = look(1023) else {
            panic!("a disk without its reserve is wrong")
        };
        assert!(text.ends_with("messages are refused below 1 KiB"), "{text}");
    }

    #[test]
    fn certificate_must_name_every_domain() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config {
            domains: vec!["a.example".to_owned()],
            data: folder.path().to_owned(),
            ..Config::default()
        };
        assert!(matches!(look_at_certificate(&config), Note(_)));
        Certificate::load_or_make(&config, folder.path()).unwrap();
        assert!(matches!(look_at_certificate(&config), Fine(_)));
        config.domains.push("b.example".to_owned());
        assert!(matches!(look_at_certificate(&config), Wrong(_)));
    }
}
