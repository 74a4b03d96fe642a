//! A browser's half of Web Push, written anew from RFC 8291, RFC 8188 and RFC 8292 with another
//! AES and another ECDSA than the server's, and a push service on this machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint;
use web_push_native::p256::{PublicKey, SecretKey, ecdh};

use crate::client::PATIENCE;

/// What a browser has kept of its subscription.
pub(crate) struct Browser {
    secret: SecretKey,
    auth: [u8; 16],
}

impl Browser {
    pub(crate) fn new(secret: [u8; 32], auth: [u8; 16]) -> Self {
        let secret = SecretKey::from_slice(&secret).unwrap();
        Self { secret, auth }
    }

    fn public(&self) -> Vec<u8> {
        point(&self.secret.public_key())
    }

    pub(crate) fn p256dh(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public())
    }

    pub(crate) fn auth(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.auth)
    }

    /// Opens a message of one record (RFC 8291 §4).
    pub(crate) fn open(&self, message: &[u8]) -> Vec<u8> {
        // RFC 8188 §2.1: salt, size of a record, length of the key's id, the id: a public key.
        let (salt, rest) = message.split_at(16);
        let (record, rest) = rest.split_at(4);
        assert!(u32::from_be_bytes(record.try_into().unwrap()) >= 18);
        let (server, sealed) = rest[1..].split_at(usize::from(rest[0]));
        let shared = ecdh::diffie_hellman(
            self.secret.to_nonzero_scalar(),
            PublicKey::from_sec1_bytes(server).unwrap().as_affine(),
        );
        // RFC 8291 §3.4.
        let by_auth = hmac(&self.auth, &[shared.raw_secret_bytes()]);
        let info: [&[u8]; 4] = [b"WebPush: info\0", &self.public(), server, &[1]];
        let material = hmac(&by_auth, &info);
        let by_salt = hmac(salt, &[&material]);
        let key = hmac(&by_salt, &[b"Content-Encoding: aes128gcm\0\x01"]);
        let nonce = hmac(&by_salt, &[b"Content-Encoding: nonce\0\x01"]);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
        let mut text = sealed.to_vec();
        let text = key.open_in_place(nonce, Aad::empty(), &mut text).unwrap();
        // RFC 8188 §2: a 2 ends the last record, zeros may follow.
        let end = text.iter().rposition(|byte| *byte != 0).unwrap();
        assert_eq!(text[end], 2);
        text[..end].to_vec()
    }
}

fn point(key: &PublicKey) -> Vec<u8> {
    key.to_encoded_point(false).as_bytes().to_vec()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut hmac = <Hmac<Sha256> as Mac>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| hmac.update(part));
    hmac.finalize().into_bytes().to_vec()
}

/// What a signature says (RFC 8292 §2), verified with the key beside it, and the key.
pub(crate) fn identified(authorization: &str) -> (serde_json::Value, String) {
    let parts = authorization.strip_prefix("vapid ").unwrap();
    let value = |name: &str| {
        let mut parts = parts.split(',').map(str::trim);
        parts.find_map(|part| part.strip_prefix(name)).unwrap()
    };
    let (token, key) = (value("t="), value("k="));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, decode(key))
        .verify(signed.as_bytes(), &decode(signature))
        .unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let header: serde_json::Value = serde_json::from_slice(&decode(header)).unwrap();
    assert_eq!(header["alg"], "ES256");
    let claims = serde_json::from_slice(&decode(claims)).unwrap();
    (claims, key.to_owned())
}

/// A request that has come to the push service.
pub(crate) struct Received {
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// A header, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    /// The first line.
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

type Answers = Arc<Mutex<VecDeque<String>>>;

/// A push service at `https://localhost`.
pub(crate) struct PushService {
    pub(crate) port: u16,
    /// The certificate that has to be believed.
    pub(crate) pem: String,
    answers: Answers,
    received: mpsc::UnboundedReceiver<Received>,
}

impl PushService {
    pub(crate) async fn start() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(certificate.der().to_vec())],
                PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, received) = mpsc::unbounded_channel();
        let answers = Answers::default();
        tokio::spawn(serve(
            listener,
            TlsAcceptor::from(Arc::new(config)),
            sender,
            Arc::clone(&answers),
        ));
        Self {
            port,
            pem: certificate.pem(),
            answers,
            received,
        }
    }

    /// Says this to the next request that nothing else is said to; 201 is the rule.
    pub(crate) fn answer(&self, answer: &str) {
        self.answers.lock().unwrap().push_back(answer.to_owned());
    }

    pub(crate) async fn next(&mut self) -> Received {
        let next = timeout(PATIENCE, self.received.recv()).await;
        next.expect("a notification").unwrap()
    }
}

async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    sender: mpsc::UnboundedSender<Received>,
    answers: Answers,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        let next = || answers.lock().unwrap().pop_front();
        if let Some(received) = answer(tcp, &tls, next).await {
            let _ = sender.send(received);
        }
    }
}

/// One request of one connection.
async fn answer(
    tcp: TcpStream,
    tls: &TlsAcceptor,
    next: impl Fn() -> Option<String>,
) -> Option<Received> {
    let mut stream = tls.accept(tcp).await.ok()?;
    let mut bytes = Vec::new();
    let body_at = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..body_at].to_vec()).unwrap();
    let mut received = Received {
        head,
        body: bytes[body_at..].to_vec(),
    };
    let length: usize = received.header("content-length").parse().unwrap();
    while received.body.len() < length {
        if stream.read_buf(&mut received.body).await.ok()? == 0 {
            return None;
        }
    }
    let status = next().unwrap_or_else(|| "201 Created".to_owned());
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.ok()?;
    let _ = stream.flush().await;
    Some(received)
}

/// The example of RFC 8291 §5: what is opened here is what the specification says.
#[test]
fn opener_reads_the_example_of_the_specification() {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let browser = Browser::new(
        bytes("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
            .try_into()
            .unwrap(),
        bytes("BTBZMqHH6r4Tts7J_aSIgg").try_into().unwrap(),
    );
    assert_eq!(
        browser.p256dh(),
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    );
    let message = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6\
                   e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZ\
                   wbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
    assert_eq!(
        browser.open(&bytes(message)),
        b"When I grow up, I want to be a watermelon"
    );
}
