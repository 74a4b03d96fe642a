//! The way to a push service: one request on a connection of its own, over TLS.
//!
//! Names are resolved once, the addresses looked at, and one of those connected to: nobody gets
//! another answer in between (row H07). Redirects are not followed, and no proxy is asked.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::RETRY_AFTER;
use http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use klatsch_protocol::features::web_push::Endpoint;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::WebPushError;
use super::address::is_public;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Each is given this time.
const CONNECT_PATIENCE: Duration = Duration::from_secs(4);

/// What an answer's head may have: a few lines.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How push services are reached.
pub(super) struct Way {
    tls: TlsConnector,
    takes_private: bool,
}

/// What a push service says.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// After so long it wants to be asked again.
    pub(super) retry_after: Option<Duration>,
}

/// Why it says nothing.
pub(super) enum Failure {
    /// It is at no address that may be spoken to.
    NotPublic,
    /// The way to it is broken, or it is.
    Broken(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Way {
    pub(super) fn new(takes_private: bool, authorities: &[u8]) -> Result<Self, WebPushError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for authority in CertificateDer::pem_slice_iter(authorities) {
            let authority = authority.map_err(|_| WebPushError::Authorities)?;
            roots.add(authority)?;
        }
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            takes_private,
        })
    }

    /// Sends a request and hears the status; the rest of the answer is not read.
    pub(super) async fn send(
        &self,
        to: &Endpoint<'_>,
        request: Request<Body>,
    ) -> Result<Answer, Failure> {
        let tcp = self.connect(to).await?;
        let name = ServerName::try_from(to.host.to_owned());
        let name = name.map_err(|error| Failure::Broken(error.to_string()))?;
        let tls = self.tls.connect(name, tcp).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(tls))
            .await?;
        let mut answer = pin!(sender.send_request(request));
        let connection = pin!(connection);
        let answer = tokio::select! {
            answer = answer.as_mut() => answer?,
            // It has ended, and what it has heard before is the answer.
            _ = connection => answer.await?,
        };
        let retry_after = answer.headers().get(RETRY_AFTER);
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Answer {
            status: answer.status(),
            retry_after: seconds.map(Duration::from_secs),
        })
    }

    async fn connect(&self, to: &Endpoint<'_>) -> Result<TcpStream, Failure> {
        let found: Vec<SocketAddr> = lookup_host((to.host, to.port)).await?.collect();
        let mut allowed = found.clone();
        allowed.retain(|address| self.takes_private || is_public(address.ip()));
        if allowed.is_empty() && !found.is_empty() {
            return Err(Failure::NotPublic);
        }
        let mut failure = Failure::Broken("has no address".to_owned());
        for address in allowed.into_iter().take(ADDRESSES_MAX) {
            match timeout(CONNECT_PATIENCE, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => failure = error.into(),
                Err(_) => failure = Failure::Broken("does not take the connection".to_owned()),
            }
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;
    use tokio::net::TcpListener;

    fn request() -> Request<Body> {
        Request::post("/x").body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn h07_name_of_an_address_inside_is_not_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Way::new(false, &[]).unwrap();
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("https://{host}:{port}/x");
            let to = Endpoint::parse(&url).unwrap();
            let failure = way.send(&to, request()).await.err().unwrap();
            assert!(matches!(failure, Failure::NotPublic), "{host}");
        }
        let has_come =
            std::future::poll_fn(|context| Poll::Ready(listener.poll_accept(context).is_ready()));
        assert!(!has_come.await);
    }

    #[tokio::test]
    async fn who_cannot_prove_its_name_hears_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("https://localhost:{port}/x");
        let way = Way::new(true, &[]).unwrap();
        let plain = async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut tcp, _) = listener.accept().await.unwrap();
            let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
            tcp.write_all(answer).await.unwrap();
            let mut heard = Vec::new();
            let _ = tcp.read_to_end(&mut heard).await;
            heard
        };
        let to = Endpoint::parse(&url).unwrap();
        let (sent, heard) = tokio::join!(way.send(&to, request()), plain);
        assert!(matches!(sent.err(), Some(Failure::Broken(_))));
        let text = String::from_utf8_lossy(&heard);
        assert!(!text.contains("POST"), "{text}");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(Way::new(false, broken).is_err());
    }
}
