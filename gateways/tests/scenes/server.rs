//! A whole server in the test's process, on ports of the kernel's choice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use klatsch_actors::components::Components;
use klatsch_actors::directory::Wire;
use klatsch_actors::node::Node;
use klatsch_actors::peers::{Others, in_one_process};
use klatsch_actors::world::{Settings, now};
use klatsch_gateways::api::wopi::DocumentHosts;
use klatsch_gateways::api::{self, ApiGateway};
use klatsch_gateways::auth::{
    ApiTokenName, Authenticator, Backend, External, Internal, Provider, Registrar, Source,
    Throttle, Tokens,
};
use klatsch_gateways::channels::{self, ChannelsGateway, ChannelsSettings};
use klatsch_gateways::doors::{Door, Gateways};
use klatsch_gateways::http::avatar;
use klatsch_gateways::http::upload::{self, Contents, Uploads};
use klatsch_gateways::http::{
    HttpServer, HttpSettings, HttpState, SignupLink, WebClient, WebSettings, router,
};
use klatsch_gateways::listener::{Admission, Limits, Shutdown, ShutdownTrigger, listen};
use klatsch_gateways::tls::CertificateStore;
use klatsch_gateways::turn::{self, TurnServer};
use klatsch_gateways::web_push::{VapidKey, WebPush, WebPushSettings};
use klatsch_gateways::xmpp::bosh::{self, BoshGateway};
use klatsch_gateways::xmpp::component::ComponentGateway;
use klatsch_gateways::xmpp::websocket::{self, WebSocketGateway};
use klatsch_gateways::xmpp::{C2sSettings, ClientGateway};
use klatsch_protocol::channels::Grant;
use klatsch_protocol::facts::Host;
use klatsch_protocol::features::upload::Settings as UploadSettings;
use klatsch_protocol::features::upload::slot::Key;
use klatsch_protocol::features::{registration, web_push};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, Mechanism, ScramCredentials, Secret};
use klatsch_protocol::stream::component::Secrets;
use klatsch_store::{Credentials, Store};
use tempfile::TempDir;

use crate::book::Book;

pub(crate) const DOMAIN: &str = "klatsch.test";
/// Another organisation on the same server.
pub(crate) const OTHER_DOMAIN: &str = "other.test";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// The hosts of external components, and their secret.
pub(crate) const COMPONENTS: [&str; 2] = ["bot.klatsch.test", "push.klatsch.test"];
pub(crate) const COMPONENT_SECRET: &str = "a component's secret";

/// What tokens are made with.
const TOKEN_KEY: [u8; 32] = [8; 32];

/// What salts of names without an account are made with.
const FAKE_SALT_KEY: [u8; 32] = [7; 32];

/// What addresses of rooms are made with.
const ROOM_KEY: [u8; 32] = [5; 32];

/// What slots are signed with.
const KEY: Key = Key([3; 32]);

/// What the server's key for push services is made from.
pub(crate) const WEB_PUSH_KEY: [u8; 32] = [9; 32];

/// What a scene wants different from the defaults.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    /// What the actors are started with.
    pub(crate) settings: Settings,
    pub(crate) registration: registration::Settings,
    pub(crate) require_tls: bool,
    pub(crate) http: HttpSettings,
    pub(crate) channels: ChannelsSettings,
    /// The web client, if it is served.
    pub(crate) web: Option<WebSettings>,
    /// How browsers are told, if they are.
    pub(crate) web_push: Option<WebPushSettings>,
    pub(crate) signup: Option<SignupLink>,
    /// Relays for calls, on loopback.
    pub(crate) turn: Option<turn::Settings>,
    /// The names of the accounts there are.
    pub(crate) accounts: Vec<String>,
    /// Whom else to ask who somebody is.
    pub(crate) book: Option<Book>,
    /// Whose signed tokens are taken.
    pub(crate) provider: Option<Provider>,
    /// Where documents are, as origins.
    pub(crate) document_hosts: Vec<String>,
    /// The other nodes, and the store all have.
    pub(crate) cluster: Option<(Others, Store)>,
    /// The domains are kept apart.
    pub(crate) isolated: bool,
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
            channels: ChannelsSettings::default(),
            web: Some(WebSettings::default()),
            web_push: None,
            signup: None,
            turn: None,
            accounts: ["anna", "bert"].map(str::to_owned).to_vec(),
            book: None,
            provider: None,
            document_hosts: Vec::new(),
            cluster: None,
            isolated: false,
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
    /// What the server remembers.
    pub(crate) store: Store,
    /// Where uploaded files lie.
    pub(crate) files: TempDir,
    node: Node,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    /// Two nodes of one cluster.
    pub(crate) async fn pair() -> [Self; 2] {
        let store = Store::open("memory:").await.unwrap();
        let mut others = in_one_process(2).into_iter();
        let mut next = |accounts| Setup {
            cluster: others.next().map(|others| (others, store.clone())),
            accounts,
            ..Setup::default()
        };
        let first = next(Setup::default().accounts);
        let second = next(Vec::new());
        [
            Self::start_with(first).await,
            Self::start_with(second).await,
        ]
    }

    pub(crate) async fn start_with(setup: Setup) -> Self {
        let limits = Arc::new(setup.limits);
        let (others, store) = match setup.cluster {
            Some((others, store)) => (Some(others), store),
            None => (None, Store::open("memory:").await.unwrap()),
        };
        for name in &setup.accounts {
            create(&store, name).await;
        }
        let domains = [DOMAIN, OTHER_DOMAIN].map(|domain| BareJid::parse(domain).unwrap());
        let domains = domains.to_vec();
        let on_loopback = ["127.0.0.1:0".parse().unwrap()];
        let bind = |settings| TurnServer::bind(&on_loopback, settings).unwrap();
        let relays = setup.turn.and_then(bind);
        let told = relays.as_ref().map(|it| it.told().clone());
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
            external_services: told.unwrap_or_default(),
            contacts: Default::default(),
            registration: setup.registration,
            web_push: setup.web_push.as_ref().map(|web_push| web_push::Settings {
                hosts: web_push.hosts.clone(),
                ..web_push::Settings::default()
            }),
            components: secrets().into_keys().collect(),
            isolated: setup.isolated,
            people: true,
        };
        let node = Node::start_with(host, setup.settings, store.clone(), Wire::Direct, others)
            .await
            .unwrap();
        if let Some(settings) = setup.web_push {
            let key = VapidKey::from_seed(WEB_PUSH_KEY);
            let web_push = WebPush::new(store.clone(), key, settings).unwrap();
            tokio::spawn(Arc::new(web_push).run(node.sessions.web_pushes()));
        }
        let (trigger, shutdown) = ShutdownTrigger::new();
        // Ends with the trigger; nobody waits for it.
        let _relays = relays.map(|relays| {
            let changed = node.sessions.world().changed.listen();
            relays.start(shutdown.clone(), changed)
        });
        let mut backends = vec![internal(&node, &store)];
        backends.extend(setup.book.map(|book| external(book, &node, &domains)));
        let provider = setup.provider.map(|it| external(it, &node, &domains));
        backends.extend(provider);
        let clients = clients(
            &node,
            &store,
            &limits,
            domains.clone(),
            &shutdown,
            setup.require_tls,
            backends,
        );
        let served = vec![DOMAIN.to_owned()];
        let state = HttpState {
            web: setup.web.map(|web| WebClient::new(web, &served).unwrap()),
            domains: served,
            signup: setup.signup.map(Arc::new),
            registrar: Some(Arc::clone(&clients.registrar)),
        };
        let sockets = WebSocketGateway {
            clients: Arc::clone(&clients),
            allowed_origins: setup.http.allowed_origins.clone(),
        };
        let integrators = ChannelsGateway::new(
            clients.sessions.clone(),
            Arc::clone(&clients.authenticator),
            Arc::clone(&limits),
            shutdown.clone(),
            domains.clone(),
            setup.http.allowed_origins.clone(),
            setup.channels,
        );
        let requests = BoshGateway {
            clients: Arc::clone(&clients),
            allowed_origins: setup.http.allowed_origins,
            table: Default::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        let contents = Arc::new(Contents::open(folder.path().to_owned()).unwrap());
        let files = node.sessions.files();
        upload::offer(&contents, &files);
        let uploads = Uploads {
            store: store.clone(),
            contents,
            files,
            key: KEY,
            strain: node.sessions.strain(),
            domains,
            turns: Default::default(),
        };
        let interface = ApiGateway::new(
            clients.sessions.people(),
            clients.sessions.rooms(),
            Arc::clone(&clients.authenticator),
            clients.domains.clone(),
            ROOM_KEY,
        )
        .with_documents(DocumentHosts::new(&setup.document_hosts, None, &[]).expect("origins"));
        let http = HttpServer {
            router: router(Arc::new(state))
                .merge(api::router(Arc::new(interface)))
                .merge(avatar::router(store.clone()))
                .merge(websocket::router(Arc::new(sockets)))
                .merge(bosh::router(Arc::new(requests)))
                .merge(channels::router(Arc::new(integrators)))
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
            store,
            files: folder,
            node,
        }
    }

    /// A token of a program for one of the accounts.
    pub(crate) async fn api_token(&self, name: &str) -> String {
        self.api_token_for(name, &Grant::Account).await
    }

    /// A token that is for less than its account may.
    pub(crate) async fn api_token_for(&self, name: &str, grant: &Grant) -> String {
        let account = BareJid::new(Some(name), DOMAIN).unwrap();
        let name = ApiTokenName::new(account, "page").unwrap();
        let tokens = Tokens::new(self.store.clone(), TOKEN_KEY);
        let minute = Duration::from_secs(60);
        let token = tokens.issue_api(&name, grant, now(), minute).await;
        token.unwrap().expose().to_owned()
    }

    /// Stops as the binary does: sessions say why they end, then connections close.
    pub(crate) async fn stop(self) {
        self.trigger.trigger();
        self.node.stop(Duration::from_secs(10)).await;
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

fn internal(node: &Node, store: &Store) -> Box<dyn Backend> {
    let derivations = Arc::clone(&node.sessions.world().derivations);
    Box::new(Internal::new(store.clone(), derivations, FAKE_SALT_KEY))
}

fn external<S: Source + 'static>(source: S, node: &Node, domains: &[BareJid]) -> Box<dyn Backend> {
    let members = node.sessions.clone();
    Box::new(External::new(source, members, domains.to_vec()))
}

fn clients(
    node: &Node,
    store: &Store,
    limits: &Arc<Limits>,
    domains: Vec<BareJid>,
    shutdown: &Shutdown,
    require_tls: bool,
    backends: Vec<Box<dyn Backend>>,
) -> Arc<ClientGateway> {
    Arc::new(ClientGateway {
        sessions: node.sessions.clone(),
        authenticator: Arc::new(Authenticator::new(
            backends,
            Tokens::new(store.clone(), TOKEN_KEY),
            Throttle::new(Arc::clone(limits)),
        )),
        registrar: Arc::new(Registrar::new(node.sessions.clone(), Arc::clone(limits))),
        certificates: Some(Arc::new(certificates())),
        limits: Arc::clone(limits),
        shutdown: shutdown.clone(),
        turns: Default::default(),
        domains,
        mechanisms: Mechanism::ALL.to_vec(),
        fake_salt_key: FAKE_SALT_KEY,
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
