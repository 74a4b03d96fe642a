//! A whole server in the test's process, on ports of the kernel's choice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use klatsch_actors::components::Components;
use klatsch_actors::directory::Wire;
use klatsch_actors::node::Node;
use klatsch_actors::world::{Settings, now};
use klatsch_gateways::auth::{Authenticator, Backend, Internal, Registrar, Throttle, Tokens};
use klatsch_gateways::doors::{Door, Gateways};
use klatsch_gateways::http::upload::{self, Contents, Uploads};
use klatsch_gateways::http::{HttpServer, HttpSettings, HttpState, SignupLink, router};
use klatsch_gateways::listener::{Admission, Limits, Shutdown, ShutdownTrigger, listen};
use klatsch_gateways::tls::CertificateStore;
use klatsch_gateways::xmpp::bosh::{self, BoshGateway};
use klatsch_gateways::xmpp::component::ComponentGateway;
use klatsch_gateways::xmpp::websocket::{self, WebSocketGateway};
use klatsch_gateways::xmpp::{C2sSettings, ClientGateway};
use klatsch_protocol::facts::Host;
use klatsch_protocol::features::registration;
use klatsch_protocol::features::upload::Settings as UploadSettings;
use klatsch_protocol::features::upload::slot::Key;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, Mechanism, ScramCredentials, Secret};
use klatsch_protocol::stream::component::Secrets;
use klatsch_store::{Credentials, Store};
use tempfile::TempDir;

pub(crate) const DOMAIN: &str = "klatsch.test";
/// Another organisation on the same server.
pub(crate) const OTHER_DOMAIN: &str = "other.test";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The hosts of external components, and their secret.
pub(crate) const COMPONENTS: [&str; 2] = ["bot.klatsch.test", "push.klatsch.test"];
pub(crate) const COMPONENT_SECRET: &str = "a component's secret";

/// What slots are signed with.
const KEY: Key = Key([3; 32]);

/// What a scene wants different from the defaults.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    /// What the actors are started with.
    pub(crate) settings: Settings,
    pub(crate) registration: registration::Settings,
    pub(crate) require_tls: bool,
    pub(crate) http: HttpSettings,
    pub(crate) signup: Option<SignupLink>,
    /// The names of the accounts there are.
    pub(crate) accounts: Vec<String>,
}

impl Default for Setup {
    fn default() -> Self {
        let close_timeout = Duration::from_millis(500);
        Self {
            limits: Limits {
                close_timeout,
                ..Limits::default()
            },
            settings: Settings::default(),
            registration: Default::default(),
            require_tls: false,
            http: HttpSettings::default(),
            signup: None,
            accounts: ["anna", "bert"].map(str::to_owned).to_vec(),
        }
    }
}

/// The running server.
pub(crate) struct Server {
    pub(crate) c2s: SocketAddr,
    pub(crate) c2s_tls: SocketAddr,
    pub(crate) component: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) gateways: Gateways,
    pub(crate) trigger: ShutdownTrigger,
    /// Where uploaded files lie.
    pub(crate) files: TempDir,
    _node: Node,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub(crate) async fn start_with(setup: Setup) -> Self {
        let limits = Arc::new(setup.limits);
        let store = Store::open("memory:").await.unwrap();
        for name in &setup.accounts {
            create(&store, name).await;
        }
        let domains = [DOMAIN, OTHER_DOMAIN].map(|domain| BareJid::parse(domain).unwrap());
        let domains = domains.to_vec();
        let host = Host {
            domains: domains.clone(),
            version: "test",
            started: now(),
            archive: true,
            stanza_bytes_max: limits.stanza_bytes_max,
            pubsub: Default::default(),
            upload: UploadSettings {
                key: KEY,
                url: Some("https://{domain}/upload".to_owned()),
                file_bytes_max: 1_000_000,
                account_bytes_max: 2_000_000,
                ..UploadSettings::default()
            },
            external_services: Default::default(),
            contacts: Default::default(),
            registration: setup.registration,
            components: secrets().into_keys().collect(),
        };
        let node = Node::start(host, setup.settings, store.clone(), Wire::Direct)
            .await
            .unwrap();
        let (trigger, shutdown) = ShutdownTrigger::new();
        let clients = clients(
            &node,
            &store,
            &limits,
            domains.clone(),
            &shutdown,
            setup.require_tls,
        );
        let state = HttpState {
            domains: vec![DOMAIN.into()],
            signup: setup.signup.map(Arc::new),
            registrar: Some(Arc::clone(&clients.registrar)),
        };
        let sockets = WebSocketGateway {
            clients: Arc::clone(&clients),
            allowed_origins: setup.http.allowed_origins.clone(),
        };
        let requests = BoshGateway {
            clients: Arc::clone(&clients),
            allowed_origins: setup.http.allowed_origins,
            table: Default::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads {
            store: store.clone(),
            contents: Contents::open(folder.path().to_owned()).unwrap(),
            key: KEY,
            strain: node.sessions.strain(),
            domains,
            turns: Default::default(),
        };
        let http = HttpServer {
            router: router(Arc::new(state))
                .merge(websocket::router(Arc::new(sockets)))
                .merge(bosh::router(Arc::new(requests)))
                .merge(upload::router(Arc::new(uploads))),
            trusted_proxies: setup.http.trusted_proxies,
            certificates: clients.certificates.clone(),
            turns: Arc::clone(&clients.turns),
            limits: Arc::clone(&limits),
            shutdown,
        };
        let components = ComponentGateway::new(
            Components::new(Arc::clone(node.sessions.world())),
            secrets(),
            &limits,
            clients.shutdown.clone(),
            node.sessions.strain(),
        );
        let gateways = Gateways {
            clients,
            components: Arc::new(components),
            http: Arc::new(http),
            admission: Admission::new(limits, node.sessions.strain()),
        };
        Self {
            c2s: open(&gateways, Door::C2s),
            c2s_tls: open(&gateways, Door::C2sTls),
            component: open(&gateways, Door::Component),
            http: open(&gateways, Door::Http),
            https: open(&gateways, Door::Https),
            gateways,
            trigger,
            files: folder,
            _node: node,
        }
    }

    /// Connections from clients.
    pub(crate) fn connections(&self) -> usize {
        self.gateways.admission.connections()
    }

    /// Waits until no client is connected.
    pub(crate) async fn emptied(&self) {
        let gone = self.gateways.drained(Duration::from_secs(10)).await;
        assert!(gone, "{} connections are left", self.connections());
    }
}

fn secrets() -> Secrets {
    let hosts = COMPONENTS.map(|host| BareJid::parse(host).unwrap());
    let with_secret = |host| (host, Secret::new(COMPONENT_SECRET));
    hosts.map(with_secret).into()
}

fn open(gateways: &Gateways, door: Door) -> SocketAddr {
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    gateways.open(door, listener);
    address
}

async fn create(store: &Store, name: &str) {
    let scram = Hash::ALL
        .map(|hash| ScramCredentials::derive(hash, PASSWORD, name.as_bytes(), 4096).unwrap());
    let credentials = Credentials {
        scram: scram.to_vec(),
        ..Credentials::default()
    };
    let account = BareJid::new(Some(name), DOMAIN).unwrap();
    store
        .create_account(&account, &credentials, false, now())
        .await
        .unwrap();
}

fn clients(
    node: &Node,
    store: &Store,
    limits: &Arc<Limits>,
    domains: Vec<BareJid>,
    shutdown: &Shutdown,
    require_tls: bool,
) -> Arc<ClientGateway> {
    let fake_salt_key = [7; 32];
    let derivations = Arc::clone(&node.sessions.world().derivations);
    let internal = Internal::new(store.clone(), derivations, fake_salt_key);
    let backends: Vec<Box<dyn Backend>> = vec![Box::new(internal)];
    Arc::new(ClientGateway {
        sessions: node.sessions.clone(),
        authenticator: Authenticator::new(
            backends,
            Tokens::new(store.clone(), [8; 32]),
            Throttle::new(Arc::clone(limits)),
        ),
        registrar: Arc::new(Registrar::new(node.sessions.clone(), Arc::clone(limits))),
        certificates: Some(Arc::new(certificates())),
        limits: Arc::clone(limits),
        shutdown: shutdown.clone(),
        turns: Default::default(),
        domains,
        mechanisms: Mechanism::ALL.to_vec(),
        fake_salt_key,
        features: Vec::new(),
        settings: C2sSettings { require_tls },
    })
}

fn certificates() -> CertificateStore {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![DOMAIN.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let (chain, key) = (certificate.pem(), key.serialize_pem());
    CertificateStore::from_pem(chain.as_bytes(), key.as_bytes(), SystemTime::now()).unwrap()
}
