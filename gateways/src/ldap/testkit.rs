//! A small directory in this process, for tests: some entries, and ways to misbehave.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Login, Secret};
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindResponse, LdapExtendedResponse, LdapFilter, LdapMsg, LdapOp,
    LdapPartialAttribute, LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
    LdapSearchResultReference,
};
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::Framed;

use super::{Base, Directory, LdapServer, LdapSettings, filter};

pub(crate) const BASE: &str = "ou=People,dc=example,dc=org";
pub(crate) const SERVICE: &str = "uid=service,ou=Special Users,dc=example,dc=org";

/// An entry: attributes with their values, and a password.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) dn: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) password: String,
}

/// What the directory does besides what it should.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    #[default]
    Well,
    /// It takes connections and says nothing.
    Silent,
    /// It answers every search with a reference to elsewhere, besides.
    Refers,
    /// It answers every search with entries without end.
    Floods,
    /// It answers every search with nesting without end.
    Nests,
    /// It answers every bind with this.
    Binds(i32),
    /// It answers StartTLS and goes on in the clear, in one packet.
    Injects,
    /// It has no TLS.
    Refuses,
}

#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) entries: Mutex<Vec<Entry>>,
    pub(crate) manner: Mutex<Manner>,
    pub(crate) searches: Mutex<Vec<LdapSearchRequest>>,
    /// Whom somebody has tried to bind as.
    pub(crate) binds: Mutex<Vec<String>>,
    /// Whether a bind came without TLS.
    pub(crate) connections: AtomicUsize,
}

/// A running directory.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    /// Its certificate, PEM.
    pub(crate) certificate: String,
    serving: JoinHandle<()>,
}

pub(crate) fn entry(dn: &str, password: &str, attributes: &[(&str, &str)]) -> Entry {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut attributes: Vec<_> = attributes.iter().map(owned).collect();
    attributes.push(("objectClass".to_owned(), "person".to_owned()));
    Entry {
        dn: dn.to_owned(),
        attributes,
        password: password.to_owned(),
    }
}

/// The people of the tests: a `doe` with aliases, a `poe`, and a `müller` of another domain.
pub(crate) fn people() -> Vec<Entry> {
    let service = Entry {
        attributes: Vec::new(),
        ..entry(SERVICE, "service-secret", &[])
    };
    let doe = [
        ("uid", "doe"),
        ("mail", "John.Doe@example.org"),
        ("alias", "j.doe@example.org"),
        ("entryUUID", "1b9b7e6a-0000-4000-8000-000000000001"),
    ];
    let poe = [("uid", "poe"), ("mail", "jane.poe@example.org")];
    let mueller = [("uid", "müller"), ("mail", "kaethe.mueller@example.net")];
    vec![
        service,
        entry("uid=doe,ou=People,dc=example,dc=org", "doe-secret", &doe),
        entry("uid=poe,ou=People,dc=example,dc=org", "poe-secret", &poe),
        entry(
            "uid=müller,ou=People,dc=example,dc=org",
            "mueller-secret",
            &mueller,
        ),
    ]
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), people(), false).await
    }

    /// With TLS from the first byte.
    pub(crate) async fn start_with_tls() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), people(), true).await
    }

    pub(crate) async fn start_at(address: SocketAddr, entries: Vec<Entry>, has_tls: bool) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            entries: Mutex::new(entries),
            ..Shared::default()
        });
        let (acceptor, certificate) = tls();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared), acceptor, has_tls));
        Self {
            address,
            shared,
            certificate,
            serving,
        }
    }

    /// Serves the same at a Unix socket, besides, until its task ends.
    pub(crate) fn serve_at(&self, path: &Path) -> JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let mut serving = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                serving.spawn(async move { drop(converse(stream, shared, None).await) });
            }
        })
    }

    pub(crate) fn behaves(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Stops, and lets go of everybody.
    pub(crate) async fn stop(mut self) -> SocketAddr {
        self.serving.abort();
        let _ = (&mut self.serving).await;
        self.address
    }

    pub(crate) fn settings(&self) -> LdapSettings {
        let server = format!("ldap://{}", self.address);
        LdapSettings {
            servers: vec![server.parse::<LdapServer>().unwrap()],
            starttls: false,
            authorities: self.certificate.clone().into_bytes(),
            bind_dn: SERVICE.to_owned(),
            password: Secret::new("service-secret"),
            base: base(BASE),
            bases: Default::default(),
            login_attributes: ["mail", "alias", "uid"].map(str::to_owned).to_vec(),
            mail_attribute: "mail".to_owned(),
            patience: Duration::from_millis(500),
        }
    }

    pub(crate) fn directory(&self) -> Arc<Directory> {
        Directory::new(self.settings()).unwrap()
    }

    pub(crate) fn change(&self, uid: &str, name: &str, value: &str) {
        let mut entries = self.shared.entries.lock().unwrap();
        let is_it = |entry: &&mut Entry| entry.dn.starts_with(&format!("uid={uid},"));
        let entry = entries.iter_mut().find(is_it).unwrap();
        entry.attributes.push((name.to_owned(), value.to_owned()));
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) fn base(dn: &str) -> Base {
    Base {
        dn: dn.to_owned(),
        people: filter::parse("(objectClass=person)").unwrap(),
    }
}

pub(crate) fn login(name: &str) -> Login {
    login_at(name, "example.org")
}

pub(crate) fn login_at(name: &str, domain: &str) -> Login {
    Login::new(name, &BareJid::parse(domain).unwrap()).unwrap()
}

fn tls() -> (TlsAcceptor, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    // As `openssl req -x509` makes them, and with it most who have no authority.
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate.pem())
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, acceptor: TlsAcceptor, has_tls: bool) {
    // Those it serves end with it.
    let mut serving = tokio::task::JoinSet::new();
    while let Ok((tcp, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        serving.spawn(async move {
            match has_tls {
                true => {
                    if let Ok(tls) = acceptor.accept(tcp).await {
                        converse(tls, shared, None).await;
                    }
                }
                false => converse_in_the_clear(tcp, shared, acceptor).await,
            }
        });
    }
}

async fn converse_in_the_clear(tcp: TcpStream, shared: Arc<Shared>, acceptor: TlsAcceptor) {
    if let Some(tcp) = converse(tcp, Arc::clone(&shared), Some(())).await
        && let Ok(tls) = acceptor.accept(tcp).await
    {
        converse(tls, shared, None).await;
    }
}

/// Answers until the connection ends; gives it back where TLS is to begin.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    shared: Arc<Shared>,
    may_start_tls: Option<()>,
) -> Option<S> {
    let mut messages = Framed::new(stream, LdapCodec::default());
    while let Some(Ok(message)) = messages.next().await {
        let manner = *shared.manner.lock().unwrap();
        if manner == Manner::Silent {
            continue;
        }
        let id = message.msgid;
        match message.op {
            LdapOp::BindRequest(bind) => {
                let LdapBindCred::Simple(password) = bind.cred else {
                    return None;
                };
                shared.binds.lock().unwrap().push(bind.dn.clone());
                let code = match manner {
                    Manner::Binds(code) => LdapResultCode::try_from(i64::from(code)).unwrap(),
                    _ => judge(&shared, &bind.dn, &password),
                };
                let response = LdapOp::BindResponse(LdapBindResponse {
                    res: result(code),
                    saslcreds: None,
                });
                send(&mut messages, id, response).await?;
            }
            LdapOp::SearchRequest(request) => {
                answer_search(&mut messages, id, &shared, request, manner).await?;
            }
            LdapOp::ExtendedRequest(_) => {
                let code = match (may_start_tls, manner) {
                    (None, _) | (_, Manner::Refuses) => LdapResultCode::ProtocolError,
                    _ => LdapResultCode::Success,
                };
                let response = || {
                    LdapOp::ExtendedResponse(LdapExtendedResponse {
                        res: result(code.clone()),
                        name: None,
                        value: None,
                    })
                };
                if manner == Manner::Injects {
                    messages.feed(reply(id, response())).await.ok()?;
                    messages.feed(reply(id + 1, response())).await.ok()?;
                    messages.flush().await.ok()?;
                } else {
                    send(&mut messages, id, response()).await?;
                }
                if code == LdapResultCode::Success {
                    return Some(messages.into_inner());
                }
            }
            _ => return None,
        }
    }
    None
}

async fn answer_search<S: AsyncRead + AsyncWrite + Unpin>(
    messages: &mut Framed<S, LdapCodec>,
    id: i32,
    shared: &Shared,
    request: LdapSearchRequest,
    manner: Manner,
) -> Option<()> {
    shared.searches.lock().unwrap().push(request.clone());
    let mut found = find(shared, &request);
    if manner == Manner::Refers {
        let uris = vec!["ldap://127.0.0.1:1/dc=elsewhere".to_owned()];
        let reference = LdapOp::SearchResultReference(LdapSearchResultReference { uris });
        send(messages, id, reference).await?;
    }
    if manner == Manner::Floods {
        let any = found.first().cloned()?;
        loop {
            send(messages, id, LdapOp::SearchResultEntry(any.clone())).await?;
        }
    }
    if manner == Manner::Nests {
        // Sequences in sequences, each as long as what is left.
        let nested = [0x30, 0x84, 0, 0, 0xff, 0xff].repeat(10_000);
        messages.get_mut().write_all(&nested).await.ok()?;
    }
    let max = usize::try_from(request.sizelimit).unwrap_or(0);
    let has_more = max > 0 && found.len() > max;
    if has_more {
        found.truncate(max);
    }
    for entry in found {
        send(messages, id, LdapOp::SearchResultEntry(entry)).await?;
    }
    let code = match has_more {
        true => LdapResultCode::SizeLimitExceeded,
        false => LdapResultCode::Success,
    };
    send(messages, id, LdapOp::SearchResultDone(result(code))).await
}

fn judge(shared: &Shared, dn: &str, password: &str) -> LdapResultCode {
    // As lax servers do: a bind without a password succeeds.
    if password.is_empty() {
        return LdapResultCode::Success;
    }
    let entries = shared.entries.lock().unwrap();
    let is_right = entries
        .iter()
        .any(|entry| entry.dn == dn && entry.password == password);
    match is_right {
        true => LdapResultCode::Success,
        false => LdapResultCode::InvalidCredentials,
    }
}

fn find(shared: &Shared, request: &LdapSearchRequest) -> Vec<LdapSearchResultEntry> {
    let entries = shared.entries.lock().unwrap();
    let is_found = |entry: &&Entry| {
        entry.dn.ends_with(&request.base) && matches(&request.filter, &entry.attributes)
    };
    let show = |entry: &Entry| LdapSearchResultEntry {
        dn: entry.dn.clone(),
        attributes: entry
            .attributes
            .iter()
            .map(|(name, value)| LdapPartialAttribute {
                atype: name.clone(),
                vals: vec![value.as_bytes().to_vec()],
            })
            .collect(),
    };
    entries.iter().filter(is_found).map(show).collect()
}

/// As `caseIgnoreMatch` compares, about: without case and without spaces around.
fn matches(filter: &LdapFilter, attributes: &[(String, String)]) -> bool {
    let fold = |text: &str| text.trim().to_lowercase();
    match filter {
        LdapFilter::And(list) => list.iter().all(|it| matches(it, attributes)),
        LdapFilter::Or(list) => list.iter().any(|it| matches(it, attributes)),
        LdapFilter::Not(inner) => !matches(inner, attributes),
        LdapFilter::Equality(wanted, value) => attributes
            .iter()
            .any(|(name, known)| name.eq_ignore_ascii_case(wanted) && fold(known) == fold(value)),
        LdapFilter::Present(wanted) => attributes
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(wanted)),
        _ => false,
    }
}

fn result(code: LdapResultCode) -> LdapResult {
    LdapResult {
        code,
        matcheddn: String::new(),
        message: String::new(),
        referral: Vec::new(),
    }
}

fn reply(msgid: i32, op: LdapOp) -> LdapMsg {
    LdapMsg {
        msgid,
        op,
        ctrl: Vec::new(),
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    messages: &mut Framed<S, LdapCodec>,
    id: i32,
    op: LdapOp,
) -> Option<()> {
    messages.send(reply(id, op)).await.ok()
}
