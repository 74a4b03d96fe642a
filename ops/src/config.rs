//! The root of all settings.
//!
//! Defaults, then `klatsch.toml`, then `KLATSCH__SECTION__KEY` in the environment, then flags: see
//! [`load`]. What a setting means stands once, in its doc comment; [`example`] is made from them.

mod auth;
mod calls;
mod channels;
pub mod check;
pub mod cluster;
mod components;
mod contacts;
mod documents;
mod ini;
pub(crate) mod kolab;
mod ldap;
mod limits;
mod listen;
mod load;
mod pubsub;
mod push;
mod registration;
mod rooms;
mod settings;
mod turn;
mod upload;
mod web;
mod web_push;

pub use auth::{Auth, AuthHttp, AuthSaslauthd, AuthToken, Backend};
pub use calls::Calls;
pub use channels::Channels;
pub use cluster::Cluster;
pub use components::Components;
pub use contacts::Contacts;
pub use documents::Documents;
pub use kolab::Kolab;
pub use ldap::Ldap;
pub use limits::Limits;
pub use listen::Listen;
pub use load::{Loaded, Overrides, load};
pub use pubsub::Pubsub;
pub use push::Push;
pub use registration::Registration;
pub use rooms::Rooms;
pub use turn::Turn;
pub use upload::Upload;
pub use web::Web;
pub use web_push::WebPush;

use klatsch_gateways::http::HttpSettings;
use klatsch_gateways::listener::Network;
use serde::{Deserialize, Deserializer, Serialize};
use settings::{settings, write_example};
use std::path::PathBuf;

settings! {
    /// Everything that can be set.
    pub struct Config {
        /// The domains served. None: the host's full name, or else localhost.
        #[serde(deserialize_with = "one_or_many")]
        domains: Vec<String> = Vec::new();
        /// Where the store, the certificate and the secrets are kept; made at the first start.
        data: PathBuf = PathBuf::from("klatsch-data");
    }
    sections {
        /// Where services listen.
        listen: Listeners;
        /// HTTP and WebSocket.
        http: Http;
        /// Certificates.
        tls: Tls;
        /// Connections of clients.
        c2s: C2s;
        /// What is remembered, and where.
        store: Store;
        /// Messages kept.
        archive: Archive;
        /// Who checks passwords.
        auth: Auth;
        /// A directory with people.
        ldap: Ldap;
        /// Kolab on this host.
        kolab: Kolab;
        /// Other nodes.
        cluster: Cluster;
        /// Nodes and items.
        pubsub: Pubsub;
        /// Who may make an account.
        registration: Registration;
        /// Rooms of many.
        rooms: Rooms;
        /// Files that people send.
        upload: Upload;
        /// The web client.
        web: Web;
        /// What calls need besides.
        calls: Calls;
        /// JSON channels for integrators.
        channels: Channels;
        /// Documents of offices.
        documents: Documents;
        /// STUN and TURN built in.
        turn: Turn;
        /// Programs that serve hosts of their own.
        components: Components;
        /// Whom to turn to.
        contacts: Contacts;
        /// What app servers are told.
        push: Push;
        /// Notifications through the push services of browsers.
        web_push: WebPush;
        /// Budgets.
        limits: Limits;
        /// What the server tells of itself.
        log: Log;
    }
}

settings! {
    /// Where services listen: "ADDR:PORT" or "off"; the address * is every one, IPv4 and IPv6.
    pub struct Listeners {
        /// Clients with STARTTLS.
        c2s: Listen = Listen::Everywhere(5222);
        /// Clients with direct TLS.
        c2s_tls: Listen = Listen::Everywhere(5223);
        /// Other servers with STARTTLS, usually port 5269. Accepted, but not served in this version.
        s2s: Listen = Listen::Off;
        /// Other servers with direct TLS, usually port 5270. Accepted, but not served in this version.
        s2s_tls: Listen = Listen::Off;
        /// External components, usually port 5347, without TLS: for this machine, or a network you trust.
        component: Listen = Listen::Off;
        /// HTTP without TLS: for this machine, or for a proxy.
        http: Listen = Listen::loopback(5280);
        /// HTTPS and secure WebSocket.
        https: Listen = Listen::Everywhere(5443);
        /// Metrics and health, without any login: for this machine only, unless you know who reads it.
        metrics: Listen = Listen::loopback(9464);
        /// STUN and TURN over UDP, for calls. Where the port is taken, the server runs without.
        stun: Listen = Listen::Everywhere(3478);
    }
}

settings! {
    /// HTTP and WebSocket.
    pub struct Http {
        /// Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed: https there counts as TLS here.
        #[serde(deserialize_with = "one_or_many")]
        trusted_proxies: Vec<Network> = Vec::new();
        /// Origins whose pages may open a WebSocket, as in `https://intranet.example.org`, besides our own.
        #[serde(deserialize_with = "one_or_many")]
        allowed_origins: Vec<String> = Vec::new();
    }
}

settings! {
    /// Certificates. None given: one signed by itself is made at the first start and kept.
    pub struct Tls {
        /// The certificate with its chain, PEM. SIGHUP reads it again.
        certificate: Option<PathBuf> = None, example "\"/etc/klatsch/fullchain.pem\"";
        /// Its private key, PEM.
        key: Option<PathBuf> = None, example "\"/etc/klatsch/privkey.pem\"";
    }
}

settings! {
    /// Connections of clients.
    pub struct C2s {
        /// Refuses logins without TLS. False needs a loopback address in listen.c2s.
        require_tls: bool = true;
        /// Seconds that a session waits for its client after a lost connection (XEP-0198).
        resume_seconds: u64 = 300;
    }
}

settings! {
    /// What is remembered, and where.
    pub struct Store {
        /// "sqlite:FILE" in the data directory, "postgres://USER:PASSWORD@HOST/DATABASE", which
        /// the nodes of a cluster share, or "memory:" to forget all at the end. The password may as well
        /// stand in ~/.pgpass, or all of it in the environment. "?sslmode=require" behind it encrypts,
        /// "?sslmode=verify-full" also wants a certificate that the host trusts or
        /// "&sslrootcert=FILE" has signed.
        url: String = "sqlite:klatsch.db".to_owned();
        /// Bytes that stay free on its disk: with less, messages are refused until there is room again.
        /// 0: 64 MiB, or half of a smaller disk.
        free_disk_bytes_min: u64 = 0;
    }
}

settings! {
    /// Messages kept.
    pub struct Archive {
        /// False: messages are routed only, nothing is kept.
        enabled: bool = true;
        /// Days that the messages of accounts are kept, but until they have been delivered; 0: for ever.
        retention_days: u32 = 0;
        /// Days that the messages of rooms are kept; 0: for ever.
        room_retention_days: u32 = 0;
    }
}

settings! {
    /// What the server tells of itself.
    pub struct Log {
        /// error, warn, info, debug or trace; or filters as in "info,klatsch_gateways=debug".
        level: String = "info".to_owned();
        /// auto (text on a terminal, JSON elsewhere), text or json.
        format: LogFormat = LogFormat::Auto;
    }
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Config {
    /// The domains served, lower-case; without any set, the host's full name or else localhost.
    pub fn domains(&self) -> Vec<String> {
        if self.domains.is_empty() {
            return vec![host_domain()];
        }
        self.domains
            .iter()
            .map(|domain| domain.to_lowercase())
            .collect()
    }

    /// The settings as TOML, secrets hidden.
    pub fn print(&self) -> String {
        let mut shown = self.clone();
        shown.store.url = without_password(&self.store.url);
        shown.components = self.components.without_secrets();
        shown.ldap = self.ldap.without_secrets();
        toml::to_string(&shown).expect("settings are plain values")
    }
}

impl Http {
    /// The settings as the gateways take them.
    pub fn settings(&self) -> HttpSettings {
        let Self {
            trusted_proxies,
            allowed_origins,
        } = self.clone();
        HttpSettings {
            trusted_proxies,
            allowed_origins,
        }
    }
}

/// An example file: every key with its default and what it does.
pub fn example() -> String {
    let mut out = String::from(
        "# The settings of klatsch. Nothing has to be set: each line shows a key and its default.\n\
         # KLATSCH__SECTION__KEY in the environment goes over this file, flags over both.\n\
         # Made by `klatsch config example`; `klatsch config check` tells what is wrong with a file.\n\n",
    );
    write_example::<Config>(&mut out, "");
    write_example::<Listeners>(&mut out, "listen");
    write_example::<Http>(&mut out, "http");
    write_example::<Tls>(&mut out, "tls");
    write_example::<C2s>(&mut out, "c2s");
    write_example::<Store>(&mut out, "store");
    write_example::<Archive>(&mut out, "archive");
    write_example::<Auth>(&mut out, "auth");
    write_example::<AuthHttp>(&mut out, "auth.http");
    write_example::<AuthSaslauthd>(&mut out, "auth.saslauthd");
    write_example::<AuthToken>(&mut out, "auth.token");
    write_example::<Ldap>(&mut out, "ldap");
    write_example::<Kolab>(&mut out, "kolab");
    write_example::<Registration>(&mut out, "registration");
    write_example::<Cluster>(&mut out, "cluster");
    write_example::<Pubsub>(&mut out, "pubsub");
    write_example::<Rooms>(&mut out, "rooms");
    write_example::<Upload>(&mut out, "upload");
    write_example::<Web>(&mut out, "web");
    write_example::<Calls>(&mut out, "calls");
    write_example::<Channels>(&mut out, "channels");
    write_example::<Documents>(&mut out, "documents");
    write_example::<Turn>(&mut out, "turn");
    write_example::<Components>(&mut out, "components");
    write_example::<Contacts>(&mut out, "contacts");
    write_example::<Push>(&mut out, "push");
    write_example::<WebPush>(&mut out, "web_push");
    write_example::<Limits>(&mut out, "limits");
    write_example::<Log>(&mut out, "log");
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The host's name where it is a full one: a bare `debian` is nobody's address.
fn host_domain() -> String {
    let name = hostname::get()
        .ok()
        .and_then(|name| name.into_string().ok());
    let name = name.map(|name| name.trim_end_matches('.').to_lowercase());
    name.filter(|name| name.contains('.'))
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Hides what stands between the first colon and the last at sign of
/// `scheme://user:password@host`, and what a `password` among the parameters says. Rather hides
/// too much of what is written wrongly.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let shown = match rest.rsplit_once('@') {
        Some((login, host)) if login.contains(':') => {
            let user = login.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:hidden@{host}")
        }
        _ => url.to_owned(),
    };
    let Some((place, parameters)) = shown.split_once('?') else {
        return shown;
    };
    let hide = |parameter: &str| match parameter.split_once('=') {
        Some(("password", _)) => "password=hidden".to_owned(),
        _ => parameter.to_owned(),
    };
    let parameters: Vec<String> = parameters.split('&').map(hide).collect();
    format!("{place}?{}", parameters.join("&"))
}

/// A list, or one value in place of a list of one: handy in the environment.
fn one_or_many<'de, T, D>(input: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany<T> {
        Many(Vec<T>),
        One(T),
    }
    Ok(match OneOrMany::deserialize(input)? {
        OneOrMany::Many(list) => list,
        OneOrMany::One(value) => vec![value],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c11_metrics_and_health_are_for_this_machine_only_unless_somebody_says_otherwise() {
        assert!(Config::default().listen.metrics.is_private());
    }

    /// The example with its keys no longer commented out.
    fn uncommented() -> String {
        let is_key =
            |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
        let bare = |line: &str| {
            if is_key(line) {
                line[1..].to_owned()
            } else {
                line.to_owned()
            }
        };
        example().lines().map(bare).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn example_is_the_defaults() {
        assert_eq!(
            toml::from_str::<Config>(&example()).unwrap(),
            Config::default()
        );
    }

    #[test]
    fn example_shows_every_key_with_its_default() {
        let mut shown = toml::from_str::<Config>(&uncommented()).unwrap();
        // What has no default is shown by an example.
        shown.tls = Tls::default();
        (shown.cluster.dns, shown.cluster.secret_file) = (None, None);
        (shown.cluster.advertise, shown.cluster.name) = (None, None);
        shown.cluster.client_host = None;
        (shown.upload.url, shown.registration.invitation_url) = (None, None);
        (shown.calls.services, shown.calls.turn_secret_file) = (Vec::new(), None);
        shown.web_push.authorities = None;
        (shown.documents.domain, shown.documents.authorities) = (None, None);
        (shown.web.accent, shown.web.logo, shown.web.folder) = (None, None, None);
        (shown.auth.http, shown.auth.token) = (AuthHttp::default(), AuthToken::default());
        (shown.ldap.authorities, shown.ldap.password_file) = (None, None);
        assert_eq!(shown, Config::default());
        let table = toml::Table::try_from(Config::default()).unwrap();
        for section in table.iter().filter(|(_, value)| value.is_table()) {
            assert!(
                example().contains(&format!("\n[{}]\n", section.0)),
                "{}",
                section.0
            );
        }
    }

    #[test]
    fn example_file_is_current() {
        let file = include_str!("../klatsch.example.toml");
        assert!(file == example(), "cargo xtask generate writes it anew");
    }

    #[test]
    fn what_has_no_feature_yet_is_off() {
        let listen = Listeners::default();
        for off in [listen.s2s, listen.s2s_tls, Cluster::default().listen] {
            assert_eq!(off, Listen::Off);
        }
    }

    #[test]
    fn metrics_and_plain_http_are_for_this_machine_only() {
        let listen = Listeners::default();
        assert!(listen.metrics.is_private() && listen.http.is_private());
    }

    #[test]
    fn password_in_the_store_url_is_not_printed() {
        let mut config = Config::default();
        config.store.url = "postgres://klatsch:se:c@ret@db/klatsch".to_owned();
        assert!(
            config
                .print()
                .contains("postgres://klatsch:hidden@db/klatsch")
        );
        assert!(!config.print().contains("ret@"));
        for (url, shown) in [
            (
                "postgres:///klatsch?host=/run/db&password=secret",
                "postgres:///klatsch?host=/run/db&password=hidden",
            ),
            (
                "postgres://klatsch:se?c@ret@db/klatsch",
                "postgres://klatsch:hidden@db/klatsch",
            ),
            ("postgres://db/klatsch", "postgres://db/klatsch"),
            ("sqlite:a@b:c?.db", "sqlite:a@b:c?.db"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn one_value_stands_for_a_list_of_one() {
        let config: Config = toml::from_str("domains = \"Example.org\"").unwrap();
        assert_eq!(config.domains(), ["example.org"]);
    }
}
