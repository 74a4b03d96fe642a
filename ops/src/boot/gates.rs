//! Builds the gateways on a node and opens their doors.

use super::Foundation;
use super::certificate::Certificate;
use super::logins;
use crate::accounts::Accounts;
use crate::config::{Config, Listen};
use crate::error::Error;
use crate::password::Password;
use klatsch_actors::components::Components;
use klatsch_actors::sessions::Sessions;
use klatsch_gateways::api::{self, ApiGateway};
use klatsch_gateways::auth::standing::Watch;
use klatsch_gateways::auth::{Authenticator, Registrar, Throttle, Tokens};
use klatsch_gateways::channels::{self, ChannelsGateway};
use klatsch_gateways::doors::{Door, Gateways};
use klatsch_gateways::http::signup::{Create, CreateError, NewAdministrator};
use klatsch_gateways::http::upload::{self, Contents, Uploads};
use klatsch_gateways::http::web::PushFeature;
use klatsch_gateways::http::{HttpServer, HttpState, SignupLink, WebClient, router};
use klatsch_gateways::listener::{Admission, Limits, Shutdown, ShutdownTrigger, listen};
use klatsch_gateways::tls::CertificateStore;
use klatsch_gateways::turn::TurnServer;
use klatsch_gateways::web_push::{VapidKey, WebPush};
use klatsch_gateways::xmpp::bosh::{self, BoshGateway};
use klatsch_gateways::xmpp::component::ComponentGateway;
use klatsch_gateways::xmpp::websocket::{self, WebSocketGateway};
use klatsch_gateways::xmpp::{C2sSettings, ClientGateway};
use klatsch_protocol::features::caps;
use klatsch_protocol::jid::BareJid;
use klatsch_store::Store;
use secrecy::ExposeSecret;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;

/// How long connections may take to close once their sessions have ended.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The open doors.
pub(super) struct Gates {
    gateways: Gateways,
    certificates: Arc<CertificateStore>,
    trigger: ShutdownTrigger,
    /// Removes files whose time is over.
    tending: Option<JoinHandle<()>>,
    /// Carries calls; ends when the doors close.
    relays: Mutex<Option<JoinHandle<()>>>,
    /// Tells browsers.
    pushing: Option<JoinHandle<()>>,
    /// Looks whether those who are logged in still may be.
    looking: Option<JoinHandle<()>>,
}

/// What the gateways are built on.
pub(super) struct Ground<'a> {
    pub(super) foundation: &'a Foundation,
    pub(super) store: &'a Store,
    pub(super) sessions: &'a Sessions,
    pub(super) domains: Vec<BareJid>,
    /// Relays for calls, if there are any.
    pub(super) turn: Option<TurnServer>,
    pub(super) sign_up: Option<SignupLink>,
}

impl Gates {
    /// Builds the gateways and opens every door the configuration names.
    pub(super) fn open(mut ground: Ground<'_>) -> Result<Self, Error> {
        let config = Arc::clone(&ground.foundation.config);
        let limits = Arc::new(config.limits.of_connections());
        let (trigger, shutdown) = ShutdownTrigger::new();
        let certificates = Arc::new(certificates(&ground.foundation.certificate)?);
        let strain = ground.sessions.strain();
        let uploads = uploads(&ground)?;
        let clients = clients(&ground, &certificates, &limits, &shutdown)?;
        let components = components(&ground, &limits, &shutdown);
        let turn = ground.turn.take();
        let changed = || ground.sessions.world().changed.listen();
        let relays = turn.map(|turn| turn.start(shutdown.clone(), changed()));
        let pushing = web_push(&ground)?;
        let looking = looking(&ground, &clients);
        let tending = uploads.clone().map(|uploads| tokio::spawn(uploads.tend()));
        let http = http(ground, uploads, &clients, &limits, shutdown)?;
        let admission = Admission::new(limits, strain);
        let gateways = Gateways {
            clients,
            components,
            http,
            admission,
        };
        open_doors(&gateways, &config)?;
        Ok(Self {
            gateways,
            certificates,
            trigger,
            tending,
            relays: Mutex::new(relays),
            pushing,
            looking,
        })
    }

    /// Takes another certificate for new handshakes.
    pub(super) fn certificates(&self) -> Arc<CertificateStore> {
        Arc::clone(&self.certificates)
    }

    /// Accepts nobody any more.
    pub(super) fn close(&self) {
        self.trigger.trigger();
        let errands = [&self.tending, &self.pushing, &self.looking];
        for errand in errands.into_iter().flatten() {
            errand.abort();
        }
    }

    /// Waits for the connections to close.
    pub(super) async fn drained(&self) {
        let relays = self
            .relays
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(relays) = relays {
            // They close at once, and their calls have ended with the sessions.
            let _ = relays.await;
        }
        if !self.gateways.drained(CLOSE_MAX).await {
            tracing::warn!("some connections did not close in time");
        }
    }
}

/// Reads a certificate again.
pub(super) fn reload(
    certificates: &CertificateStore,
    certificate: &Certificate,
) -> Result<(), Error> {
    certificates
        .reload(&certificate.chain, &certificate.key, SystemTime::now())
        .map_err(|error| Error::Certificate(error.to_string()))
}

fn certificates(certificate: &Certificate) -> Result<CertificateStore, Error> {
    CertificateStore::from_pem(&certificate.chain, &certificate.key, SystemTime::now())
        .map_err(|error| Error::Certificate(error.to_string()))
}

fn clients(
    ground: &Ground<'_>,
    certificates: &Arc<CertificateStore>,
    limits: &Arc<Limits>,
    shutdown: &Shutdown,
) -> Result<Arc<ClientGateway>, Error> {
    let fake_salt_key = ground.foundation.secrets.fake_salt_key;
    let auth = &ground.foundation.config.auth;
    let backends = logins::backends(ground)?;
    let tokens = Tokens::new(ground.store.clone(), ground.foundation.secrets.token_key);
    Ok(Arc::new(ClientGateway {
        sessions: ground.sessions.clone(),
        authenticator: Arc::new(Authenticator::new(
            backends,
            tokens,
            Throttle::new(Arc::clone(limits)),
        )),
        registrar: Arc::new(Registrar::new(ground.sessions.clone(), Arc::clone(limits))),
        certificates: Some(Arc::clone(certificates)),
        limits: Arc::clone(limits),
        shutdown: shutdown.clone(),
        turns: Default::default(),
        domains: ground.domains.clone(),
        mechanisms: auth.mechanisms(),
        fake_salt_key,
        features: vec![caps::stream_feature(ground.sessions.host())],
        settings: C2sSettings {
            require_tls: ground.foundation.config.c2s.require_tls,
        },
    }))
}

fn components(ground: &Ground<'_>, limits: &Limits, shutdown: &Shutdown) -> Arc<ComponentGateway> {
    Arc::new(ComponentGateway::new(
        Components::new(Arc::clone(ground.sessions.world())),
        ground.foundation.config.components.secrets(),
        limits,
        shutdown.clone(),
        ground.sessions.strain(),
    ))
}

/// Looks after accounts that are somebody else's, if there are any.
fn looking(ground: &Ground<'_>, clients: &ClientGateway) -> Option<JoinHandle<()>> {
    let authenticator = Arc::clone(&clients.authenticator);
    let auth = &ground.foundation.config.auth;
    let watch = Watch::new(ground.sessions.clone(), authenticator, auth.look_every());
    auth.has_external().then(|| tokio::spawn(watch.run()))
}

/// Where files are stored, if they are.
fn uploads(ground: &Ground<'_>) -> Result<Option<Arc<Uploads>>, Error> {
    let foundation = ground.foundation;
    let settings = foundation.config.uploads(foundation.secrets.upload_key);
    if settings.url.is_none() {
        return Ok(None);
    }
    let folder = foundation.data.path().join("uploads");
    let contents = Contents::open(folder.clone());
    let contents = contents.map_err(Error::io("cannot open", &folder))?;
    let (contents, files) = (Arc::new(contents), ground.sessions.files());
    upload::offer(&contents, &files);
    Ok(Some(Arc::new(Uploads {
        store: ground.store.clone(),
        contents,
        files,
        key: settings.key,
        strain: ground.sessions.strain(),
        domains: ground.domains.clone(),
        turns: Default::default(),
    })))
}

/// Tells browsers, if they are to be told.
fn web_push(ground: &Ground<'_>) -> Result<Option<JoinHandle<()>>, Error> {
    let config = &ground.foundation.config;
    if config.web_pushes().is_none() {
        return Ok(None);
    }
    let key = VapidKey::from_seed(ground.foundation.secrets.web_push_key);
    let web_push = WebPush::new(ground.store.clone(), key, config.push_services()?)
        .map_err(|error| Error::Config(format!("web_push.authorities: {error}")))?;
    let due = ground.sessions.web_pushes();
    Ok(Some(tokio::spawn(Arc::new(web_push).run(due))))
}

fn http(
    ground: Ground<'_>,
    uploads: Option<Arc<Uploads>>,
    clients: &Arc<ClientGateway>,
    limits: &Arc<Limits>,
    shutdown: Shutdown,
) -> Result<Arc<HttpServer>, Error> {
    let settings = ground.foundation.config.http.settings();
    let domains: Vec<String> = ground.domains.iter().map(ToString::to_string).collect();
    let mut web = ground.foundation.config.web_client();
    if let Some(web) = web
        .as_mut()
        .filter(|_| ground.sessions.host().web_push.is_some())
    {
        let key = VapidKey::from_seed(ground.foundation.secrets.web_push_key).public();
        web.features.push = Some(PushFeature { key });
    }
    let web = web.map(|web| WebClient::new(web, &domains)).transpose();
    let state = HttpState {
        domains,
        web: web.map_err(|error| Error::Config(error.to_string()))?,
        signup: ground.sign_up.map(Arc::new),
        registrar: Some(Arc::clone(&clients.registrar)),
    };
    let sockets = WebSocketGateway {
        clients: Arc::clone(clients),
        allowed_origins: settings.allowed_origins.clone(),
    };
    let channels = ChannelsGateway::new(
        clients.sessions.clone(),
        Arc::clone(&clients.authenticator),
        Arc::clone(limits),
        shutdown.clone(),
        clients.domains.clone(),
        settings.allowed_origins.clone(),
        ground.foundation.config.channels.settings(),
    );
    let requests = BoshGateway {
        clients: Arc::clone(clients),
        allowed_origins: settings.allowed_origins,
        table: Default::default(),
    };
    let interface = ApiGateway::new(
        clients.sessions.people(),
        clients.sessions.rooms(),
        Arc::clone(&clients.authenticator),
        clients.domains.clone(),
        ground.foundation.secrets.room_key,
    )
    .with_documents(ground.foundation.config.documents.hosts()?);
    let pages = router(Arc::new(state))
        .merge(api::router(Arc::new(interface)))
        .merge(channels::router(Arc::new(channels)))
        .merge(websocket::router(Arc::new(sockets)))
        .merge(bosh::router(Arc::new(requests)));
    Ok(Arc::new(HttpServer {
        router: match uploads {
            Some(uploads) => pages.merge(upload::router(uploads)),
            None => pages,
        },
        trusted_proxies: settings.trusted_proxies,
        certificates: clients.certificates.clone(),
        turns: Arc::clone(&clients.turns),
        limits: Arc::clone(limits),
        shutdown,
    }))
}

fn open_doors(gateways: &Gateways, config: &Config) -> Result<(), Error> {
    let listen = &config.listen;
    let doors = [
        (Door::C2s, listen.c2s),
        (Door::C2sTls, listen.c2s_tls),
        (Door::Component, listen.component),
        (Door::Http, listen.http),
        (Door::Https, listen.https),
    ];
    doors
        .into_iter()
        .try_for_each(|(door, addresses)| open_door(gateways, door, addresses))
}

/// Opens a door at every address; one may fail as long as another does not, as on a host
/// without IPv6.
fn open_door(gateways: &Gateways, door: Door, addresses: Listen) -> Result<(), Error> {
    let mut failures = Vec::new();
    let mut is_open = false;
    for address in addresses.addresses() {
        match listen(address) {
            Ok(listener) => {
                gateways.open(door, listener);
                is_open = true;
            }
            Err(error) => failures.push(format!("listen.{} = {address}: {error}", door.name())),
        }
    }
    if is_open || failures.is_empty() {
        return Ok(());
    }
    Err(Error::Config(failures.join("\n")))
}

/// Makes the first administrator's account, for the sign-up link's form. Once there is an
/// administrator, however they came to be, the link is of no use.
pub(super) fn create_administrator(accounts: Accounts, store: Store) -> Create {
    Box::new(move |new: NewAdministrator| {
        let (accounts, store) = (accounts.clone(), store.clone());
        Box::pin(async move {
            match store.has_admin().await {
                Ok(false) => {}
                Ok(true) => return Err(CreateError::Used),
                Err(_) => return Err(CreateError::Unavailable),
            }
            let jid = format!("{}@{}", new.localpart, new.domain);
            let password = Password::new(new.password.expose_secret());
            let made = accounts.add(&jid, password, true).await;
            made.map(|_| ()).map_err(CreateError::NotThisName)
        })
    })
}
