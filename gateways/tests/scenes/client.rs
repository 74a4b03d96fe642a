//! A client made for tests: says what it is told to, well-formed or not, and waits for what it
//! expects, never longer than ten seconds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::ns;
use klatsch_protocol::sasl::scram::{ClientBinding, ScramClient};
use klatsch_protocol::sasl::{BindingType, Hash, Secret, encoding};
use klatsch_protocol::xml::{Element, Fragment, Limits, Token, Tokenizer};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::server::{DOMAIN, PASSWORD};

/// No step of a scene takes longer, however busy the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A client over TCP or TLS.
pub(crate) struct Client<S> {
    pub(crate) stream: S,
    tokenizer: Tokenizer,
}

pub(crate) type Tcp = Client<TcpStream>;
pub(crate) type Tls = Client<TlsStream<TcpStream>>;

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this stream error.
    Error(String),
    /// With a footer and without an error.
    Footer,
    /// The connection just closed.
    Silent,
}

impl Client<TcpStream> {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Goes through STARTTLS.
    pub(crate) async fn start_tls(mut self) -> Client<TlsStream<TcpStream>> {
        self.open().await;
        self.send(&format!("<starttls xmlns='{}'/>", ns::TLS)).await;
        self.expect(|it| it.is("proceed", ns::TLS)).await;
        Client::over(tls(self.stream, false).await.unwrap())
    }
}

impl Client<TlsStream<TcpStream>> {
    pub(crate) async fn connect_tls(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        Self::over(tls(tcp, true).await.unwrap())
    }

    /// The channel binding both sides compute for themselves.
    /// A login in one go (XEP-0388), with these wishes; the answer is `<success/>` or `<failure/>`.
    pub(crate) async fn login_at_once(
        address: SocketAddr,
        (mechanism, data): (&str, &[u8]),
        agent: &str,
        wishes: &str,
    ) -> (Self, Element) {
        let mut client = Self::connect_tls(address).await;
        client.open().await;
        let (sasl, data) = (ns::SASL2, encoding::encode(data));
        client
            .send(&format!(
                "<authenticate xmlns='{sasl}' mechanism='{mechanism}'><initial-response>{data}\
                 </initial-response><user-agent id='{agent}'/>{wishes}</authenticate>"
            ))
            .await;
        let answer = client.expect(|it| it.namespace() == sasl).await;
        (client, answer.to_element())
    }

    pub(crate) fn binding(&self) -> ClientBinding {
        let label = b"EXPORTER-Channel-Binding";
        let (_, tls) = self.stream.get_ref();
        let value = tls
            .export_keying_material([0; 32], label, Some(b""))
            .unwrap();
        ClientBinding::Bound(BindingType::TlsExporter, value.to_vec())
    }
}

impl<S: Stream> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            tokenizer: Tokenizer::new(Limits::S2S),
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await.unwrap();
    }

    /// Fails when the server has closed.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(PATIENCE, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
        .expect("the server reads")
    }

    /// The next token; `None` at the end of the connection.
    pub(crate) async fn token(&mut self) -> Option<Token> {
        timeout(PATIENCE, async {
            loop {
                if let Some(token) = self.tokenizer.next().expect("the server writes XML") {
                    return Some(token);
                }
                let mut buffer = [0; 4096];
                match self.stream.read(&mut buffer).await {
                    Ok(count) if count > 0 => self.tokenizer.push(&buffer[..count]),
                    _ => return None,
                }
            }
        })
        .await
        .expect("the server answers")
    }

    /// Reads on until something fits; what does not is passed over.
    pub(crate) async fn expect(&mut self, fits: impl Fn(&Fragment) -> bool) -> Fragment {
        loop {
            match self.token().await {
                Some(Token::Fragment(fragment)) if fits(&fragment) => return fragment,
                Some(Token::Fragment(fragment)) if fragment.is("error", ns::STREAMS) => {
                    panic!("stream error {:?}", condition(&fragment))
                }
                Some(Token::Header(_) | Token::Fragment(_)) => {}
                end => panic!("the stream ended: {end:?}"),
            }
        }
    }

    /// Reads to the end of the connection and tells how the stream ended.
    pub(crate) async fn end(&mut self) -> End {
        let mut end = End::Silent;
        while let Some(token) = self.token().await {
            match token {
                Token::Fragment(fragment) if fragment.is("error", ns::STREAMS) => {
                    end = End::Error(condition(&fragment));
                }
                Token::Footer if end == End::Silent => end = End::Footer,
                _ => {}
            }
        }
        end
    }

    /// Opens a stream and takes its features.
    pub(crate) async fn open(&mut self) -> Fragment {
        self.tokenizer = Tokenizer::new(Limits::S2S);
        self.send(&header()).await;
        self.expect(|it| it.is("features", ns::STREAMS)).await
    }

    pub(crate) async fn login(&mut self, name: &str) {
        let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
        let outcome = self.authenticate(name, PASSWORD, mechanism).await;
        assert_eq!(outcome, Ok(()), "{name} cannot log in");
    }

    /// SASL with SCRAM; the error is the failure's condition.
    pub(crate) async fn authenticate(
        &mut self,
        name: &str,
        password: &str,
        (mechanism, binding): (&str, ClientBinding),
    ) -> Result<(), String> {
        let password = Secret::new(password);
        let mut scram = ScramClient::new(Hash::Sha256, name, password, binding, &[7; 18]);
        let first = encoding::encode(&scram.first());
        let sasl = ns::SASL;
        self.send(&format!(
            "<auth xmlns='{sasl}' mechanism='{mechanism}'>{first}</auth>"
        ))
        .await;
        let challenge = self.sasl_answer().await?;
        let last = encoding::encode(&scram.answer(&challenge, None).expect("a sound challenge"));
        self.send(&format!("<response xmlns='{sasl}'>{last}</response>"))
            .await;
        let signature = self.sasl_answer().await?;
        scram.verify(&signature).expect("the server knows us");
        Ok(())
    }

    async fn sasl_answer(&mut self) -> Result<Vec<u8>, String> {
        let answer = self.expect(|it| it.namespace() == ns::SASL).await;
        match answer.name() {
            "failure" => Err(condition(&answer)),
            _ => Ok(encoding::decode(answer.text()).expect("base64")),
        }
    }

    /// Binds; the answer is the full address.
    pub(crate) async fn bind(&mut self, resource: &str) -> String {
        let bind = ns::BIND;
        let wanted = format!("<resource>{resource}</resource>");
        self.send(&format!(
            "<iq type='set' id='b'><bind xmlns='{bind}'>{wanted}</bind></iq>"
        ))
        .await;
        let result = self.expect(|it| it.attr("id") == Some("b")).await;
        assert_eq!(result.attr("type"), Some("result"), "{result:?}");
        let bind = result.payloads().element("bind", ns::BIND).expect("bind");
        bind.find("jid", ns::BIND).expect("jid").text_content()
    }

    /// From a fresh connection to a session.
    pub(crate) async fn session(&mut self, name: &str, resource: &str) -> String {
        self.open().await;
        self.login(name).await;
        self.open().await;
        self.bind(resource).await
    }

    /// Proves that the session lives: asks and waits for the answer.
    pub(crate) async fn ping(&mut self) {
        let ping = "<ping xmlns='urn:xmpp:ping'/>";
        self.send(&format!(
            "<iq type='get' id='ping' to='{DOMAIN}'>{ping}</iq>"
        ))
        .await;
        let answer = self.expect(|it| it.attr("id") == Some("ping")).await;
        assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
    }
}

/// Waits until something holds.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it never holds");
}

/// Makes Anna and Bert see each other.
pub(crate) async fn befriend(anna: &mut Tcp, bert: &mut Tcp) {
    let_see(anna, bert, "bert").await;
    let_see(bert, anna, "anna").await;
}

/// One asks the other, who agrees.
pub(crate) async fn let_see(asker: &mut Tcp, asked: &mut Tcp, name: &str) {
    let to = format!("{name}@{DOMAIN}");
    asker
        .send(&format!("<presence type='subscribe' to='{to}'/>"))
        .await;
    let request = asked
        .expect(|it| it.attr("type") == Some("subscribe"))
        .await;
    let from = request.attr("from").expect("from").to_owned();
    asked
        .send(&format!("<presence type='subscribed' to='{from}'/>"))
        .await;
    // Whoever is let in sees the other's presence.
    asker
        .expect(|it| {
            it.name() == "presence"
                && it.attr("type").is_none()
                && it.attr("from").is_some_and(|from| from.starts_with(&to))
        })
        .await;
    asked.ping().await;
}

pub(crate) fn header() -> String {
    let (client, streams) = (ns::CLIENT, ns::STREAMS);
    format!(
        "<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='{client}' \
         xmlns:stream='{streams}'>"
    )
}

/// The first child of an error says what it is.
pub(crate) fn condition(error: &Fragment) -> String {
    error
        .payloads()
        .iter()
        .next()
        .map(|child| child.name().to_owned())
        .unwrap_or_default()
}

/// Handshakes as a client that trusts anybody.
pub(crate) async fn tls(tcp: TcpStream, is_direct: bool) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(DOMAIN).unwrap();
    let connector = TlsConnector::from(Arc::new(credulous(is_direct)));
    timeout(PATIENCE, connector.connect(name, tcp))
        .await
        .expect("the server shakes hands")
}

/// Settings of a client that trusts anybody.
pub(crate) fn credulous(is_direct: bool) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth();
    if is_direct {
        config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    }
    config
}

/// The certificate is made for the test, so there is nothing to verify.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
