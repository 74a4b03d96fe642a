//! Logins by tokens that an OpenID provider has signed (RFC 7519, 7628), whose keys it publishes
//! (RFC 7517): good ones, and such as are not.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use klatsch_actors::world::now;
use klatsch_gateways::auth::Provider;
use klatsch_gateways::auth::jwt::Expected;
use klatsch_gateways::auth::jwt::issuer::Issuer;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::ns;
use klatsch_protocol::sasl::oauthbearer::{bearer_message, error_answer};
use klatsch_protocol::sasl::{Secret, encoding};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use crate::client::{Client, condition};
use crate::server::{DOMAIN, Server, Setup};

/// What we are called in tokens.
const AUDIENCE: &str = "klatsch";

/// A key that signs tokens.
struct Signer {
    pair: EcdsaKeyPair,
    kid: &'static str,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap();
        Self { pair, kid }
    }

    /// Its public half, as providers publish it (RFC 7518 §6.2.1).
    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": self.kid, "x": x, "y": y})
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.kid});
        let part = |value: &Value| encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encode(signature.unwrap().as_ref()))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A provider on loopback.
struct Publisher {
    address: SocketAddr,
    keys: Arc<Mutex<Vec<Value>>>,
    /// How often its keys were asked for.
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Publisher {
    async fn start(signer: &Signer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let keys = Arc::new(Mutex::new(vec![signer.jwk()]));
        let asked = Arc::new(AtomicUsize::new(0));
        let (published, counted) = (Arc::clone(&keys), Arc::clone(&asked));
        let serving = tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let request = read_head(&mut tcp).await;
                let answer = if request.starts_with("GET /jwks.json ") {
                    counted.fetch_add(1, Ordering::Relaxed);
                    json!({"keys": *published.lock().unwrap()})
                } else {
                    let issuer = format!("http://{address}");
                    json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks.json")})
                };
                let (answer, kind) = (answer.to_string(), "application/json");
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n",
                    answer.len()
                );
                // Whoever asked may have gone.
                let _ = tcp.write_all((head + &answer).as_bytes()).await;
            }
        });
        Self {
            address,
            keys,
            asked,
            serving,
        }
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it signs with this key, and takes back the one before.
    fn rolls_over_to(&self, signer: &Signer) {
        *self.keys.lock().unwrap() = vec![signer.jwk()];
    }

    /// A server that takes its tokens.
    async fn server(&self) -> Server {
        let expected = Expected {
            issuer: self.issuer(),
            audience: vec![AUDIENCE.to_owned()],
        };
        let issuer = Issuer::new(expected, &[], Duration::from_secs(5)).unwrap();
        Server::start_with(Setup {
            provider: Some(Provider {
                issuer: Some(issuer),
                userinfo: None,
            }),
            require_tls: true,
            ..Setup::default()
        })
        .await
    }

    /// What it says of John Doe in a token of now.
    fn claims(&self) -> Value {
        let now = seconds();
        json!({
            "iss": self.issuer(), "aud": [AUDIENCE, "webmail"], "sub": "7",
            "iat": now, "exp": now + 300,
            "email": format!("John.Doe@{DOMAIN}"), "email_verified": true,
        })
    }

    fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn seconds() -> i64 {
    now().micros() / 1_000_000
}

async fn read_head(tcp: &mut TcpStream) -> String {
    let (mut head, mut bytes) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        match tcp.read(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(count) => head.extend_from_slice(&bytes[..count]),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Logs in by a token over TLS; the error is the failure's condition.
async fn log_in(server: &Server, token: &str) -> Result<Client<TlsStream<TcpStream>>, String> {
    let mut client = Client::connect_tls(server.c2s_tls).await;
    client.open().await;
    let (sasl, first) = (ns::SASL, bearer_message("", &Secret::new(token)));
    let first = encoding::encode(&first);
    client
        .send(&format!(
            "<auth xmlns='{sasl}' mechanism='OAUTHBEARER'>{first}</auth>"
        ))
        .await;
    let mut answer = client.expect(|it| it.namespace() == sasl).await;
    if answer.name() == "challenge" {
        // RFC 7628 §3.2.3.
        let told = encoding::decode(answer.text()).unwrap();
        assert_eq!(told, br#"{"status":"invalid_token"}"#);
        let heard = encoding::encode(&error_answer());
        client
            .send(&format!("<response xmlns='{sasl}'>{heard}</response>"))
            .await;
        answer = client.expect(|it| it.namespace() == sasl).await;
    }
    match answer.name() {
        "success" => {
            client.open().await;
            Ok(client)
        }
        _ => Err(condition(&answer)),
    }
}

async fn refusal(server: &Server, token: &str) -> String {
    let outcome = log_in(server, token).await;
    outcome.err().expect("a refusal")
}

#[tokio::test]
async fn signed_token_lets_its_owner_in_and_makes_the_account() {
    let signer = Signer::new("2026-1");
    let provider = Publisher::start(&signer).await;
    let server = provider.server().await;
    let john = BareJid::new(Some("john.doe"), DOMAIN).unwrap();
    assert_eq!(server.store.credentials(&john).await.unwrap(), None);
    for resource in ["home", "work"] {
        let token = signer.token(&provider.claims());
        let mut client = log_in(&server, &token).await.expect("a login");
        let address = format!("{john}/{resource}");
        assert_eq!(client.bind(resource).await, address);
        client.ping().await;
    }
    assert!(server.store.credentials(&john).await.unwrap().is_some());
    let asked = provider.asked.load(Ordering::Relaxed);
    assert_eq!(asked, 1, "once for all logins");
}

#[tokio::test]
async fn token_that_is_over_for_others_or_forged_lets_nobody_in() {
    let signer = Signer::new("2026-1");
    let provider = Publisher::start(&signer).await;
    let server = provider.server().await;
    let ended = json!(seconds() - 3600);
    let bad = [
        ("exp", ended.clone()),
        ("nbf", json!(seconds() + 3600)),
        ("aud", json!("webmail")),
        ("aud", json!([])),
        ("iss", json!("http://127.0.0.1:1")),
        ("email", json!("john.doe@elsewhere.test")),
        ("email", Value::Null),
        ("email_verified", json!(false)),
    ];
    for (name, value) in bad {
        let token = signer.token(&provider.claims_with(name, value.clone()));
        let condition = refusal(&server, &token).await;
        assert_eq!(condition, "not-authorized", "{name}: {value}");
    }
    // Somebody else's key, by the name of the provider's.
    let forger = Signer::new("2026-1");
    let forged = forger.token(&provider.claims());
    assert_eq!(refusal(&server, &forged).await, "not-authorized");
    // What was signed is not what is claimed.
    let good = signer.token(&provider.claims());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let anna = provider.claims_with("email", json!(format!("anna@{DOMAIN}")));
    let (header, _) = head.split_once('.').unwrap();
    let other = format!(
        "{header}.{}.{signature}",
        encode(anna.to_string().as_bytes())
    );
    assert_eq!(refusal(&server, &other).await, "not-authorized");
    let unsigned = encode(br#"{"alg":"none","typ":"JWT"}"#);
    let unsigned = format!("{unsigned}.{}.", encode(anna.to_string().as_bytes()));
    assert_eq!(refusal(&server, &unsigned).await, "not-authorized");
    log_in(&server, &good).await.expect("the good one is good");
}

#[tokio::test]
async fn key_that_is_rolled_over_is_good_within_a_minute_and_the_old_one_no_more() {
    let (old, new) = (Signer::new("2026-1"), Signer::new("2026-2"));
    let provider = Publisher::start(&old).await;
    let server = provider.server().await;
    let token = old.token(&provider.claims());
    log_in(&server, &token).await.expect("a login");
    provider.rolls_over_to(&new);
    let next = new.token(&provider.claims());
    // Whoever makes up names of keys has the provider asked once a minute, not each time.
    assert_eq!(refusal(&server, &next).await, "not-authorized");
    assert_eq!(provider.asked.load(Ordering::Relaxed), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    log_in(&server, &next).await.expect("a login");
    assert_eq!(provider.asked.load(Ordering::Relaxed), 2);
    assert_eq!(refusal(&server, &token).await, "not-authorized");
}

#[tokio::test]
async fn provider_that_does_not_answer_is_temporary() {
    let signer = Signer::new("2026-1");
    let provider = Publisher::start(&signer).await;
    let server = provider.server().await;
    provider.serving.abort();
    let token = signer.token(&provider.claims());
    assert_eq!(refusal(&server, &token).await, "temporary-auth-failure");
}
