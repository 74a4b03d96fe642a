//! Requests to web services that know who somebody is: one at a time on a connection of its own.
//!
//! Where they go, the operator has said; nothing that a stranger writes changes it. Redirects
//! are not followed, for a password would go with them, and no proxy is asked.

use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::header::{ACCEPT, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::tls::trust::{self, TrustError};
use crate::web_push::is_public;

/// Requests at once: a mail server behind the service checks a password at each.
const AT_ONCE: usize = 16;

/// Somebody who waits longer for a turn is told to come back.
const TURN_MAX: Duration = Duration::from_secs(2);

/// What an answer's head may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What is read of an answer: who somebody is fits by far.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// A web service.
pub struct Service {
    url: Uri,
    tls: Arc<TlsConnector>,
    patience: Duration,
    turns: Semaphore,
}

/// What it has said.
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Why it has said nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// It is not reached, or breaks off.
    #[error("{0}")]
    Broken(String),
    /// It does not answer in time.
    #[error("no answer in time")]
    Slow,
    /// Too many people wait for it.
    #[error("too many wait for it")]
    Busy,
    /// It would be sent a password in the clear over a public network.
    #[error("http:// is for this machine and private networks, and it is at a public address")]
    Public,
}

/// Why a URL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadService {
    /// It is no URL of a web service.
    #[error("\"{0}\" is no URL as in https://mail.example.org/iRony/")]
    Url(String),
    /// TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TrustError),
}

impl Service {
    /// A service at a URL; authorities are certificates in PEM, none for those of the host.
    ///
    /// # Errors
    /// [`BadService`].
    pub fn new(url: &str, authorities: &[u8], patience: Duration) -> Result<Self, BadService> {
        let bad = || BadService::Url(url.to_owned());
        let parsed: Uri = url.parse().map_err(|_| bad())?;
        let is_web = matches!(parsed.scheme_str(), Some("http" | "https"));
        // A login in a URL would go into logs.
        let is_plain = parsed
            .authority()
            .is_some_and(|it| !it.as_str().contains('@'));
        if !is_web || !is_plain || parsed.host().is_none_or(str::is_empty) {
            return Err(bad());
        }
        Ok(Self {
            url: parsed,
            tls: Arc::new(trust::connector(authorities)?),
            patience,
            turns: Semaphore::new(AT_ONCE),
        })
    }

    /// Where it is.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// What it says to somebody without name and password: the status.
    ///
    /// # Errors
    /// Why it says nothing, in words.
    pub async fn knock(&self, method: Method) -> Result<u16, String> {
        let headers = headers_for(IpAddr::from([127, 0, 0, 1]));
        let said = self.ask(method, headers).await;
        said.map(|said| said.status.as_u16())
            .map_err(|error| error.to_string())
    }

    /// Sends a request with these headers and hears the answer.
    pub(super) async fn ask(&self, method: Method, headers: HeaderMap) -> Result<Said, Unheard> {
        let path = self.url.path_and_query().map_or("/", |it| it.as_str());
        self.ask_at(path, method, headers).await
    }

    /// The same for another path, with its query, of the same service.
    pub(crate) async fn ask_at(
        &self,
        path: &str,
        method: Method,
        headers: HeaderMap,
    ) -> Result<Said, Unheard> {
        let turn = timeout(TURN_MAX, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Unheard::Busy);
        };
        let request = self.request(path, method, headers)?;
        match timeout(self.patience, self.exchange(request)).await {
            Ok(said) => said,
            Err(_) => Err(Unheard::Slow),
        }
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Said, Unheard> {
        let tcp = self.connect().await?;
        if !self.has_tls() {
            return converse(tcp, request).await;
        }
        let name = ServerName::try_from(self.host().to_owned()).map_err(broken)?;
        let tls = self.tls.connect(name, tcp).await.map_err(broken)?;
        converse(tls, request).await
    }

    fn request(
        &self,
        path: &str,
        method: Method,
        headers: HeaderMap,
    ) -> Result<Request<Body>, Unheard> {
        let host = self.url.authority().map_or("", |it| it.as_str());
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(broken)?;
        *request.headers_mut() = headers;
        let own = request.headers_mut();
        own.insert(HOST, HeaderValue::from_str(host).map_err(broken)?);
        own.insert(USER_AGENT, HeaderValue::from_static("klatsch"));
        own.insert(ACCEPT, HeaderValue::from_static("*/*"));
        Ok(request)
    }

    async fn connect(&self) -> Result<TcpStream, Unheard> {
        let default = if self.has_tls() { 443 } else { 80 };
        let port = self.url.port_u16().unwrap_or(default);
        let found = lookup_host((self.host(), port)).await.map_err(broken)?;
        let mut failure = Unheard::Broken("its name has no address".to_owned());
        for address in found.take(ADDRESSES_MAX) {
            match self.connect_to(address).await {
                Ok(tcp) => return Ok(tcp),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<TcpStream, Unheard> {
        if !self.has_tls() && is_public(address.ip()) {
            return Err(Unheard::Public);
        }
        TcpStream::connect(address).await.map_err(broken)
    }

    fn has_tls(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }

    fn host(&self) -> &str {
        let host = self.url.host().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

/// The headers of a request for somebody at this address.
pub(super) fn headers_for(peer: IpAddr) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Kolab 4 wants to know whom it lets in, and refuses who is nowhere.
    if let Ok(address) = HeaderValue::from_str(&peer.to_string()) {
        headers.insert("x-real-ip", address);
    }
    headers
}

async fn converse<S>(stream: S, request: Request<Body>) -> Result<Said, Unheard>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let mut connection = pin!(connection);
    let mut answer = pin!(async {
        let response: Response<_> = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body = to_bytes(Body::new(body), BODY_BYTES_MAX).await;
        Ok(Said {
            status: head.status,
            headers: head.headers,
            body: body.map_err(broken)?.to_vec(),
        })
    });
    tokio::select! {
        said = answer.as_mut() => said,
        // It has ended, and what it has heard before is the answer.
        _ = connection.as_mut() => answer.await,
    }
}

fn broken(error: impl ToString) -> Unheard {
    Unheard::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_urls_of_web_services_are_taken() {
        let new = |url: &str| Service::new(url, &[], Duration::from_secs(1));
        for good in [
            "http://127.0.0.1:8000/api/webhooks/nginx-httpauth",
            "https://mail.example.org/iRony/",
            "https://[::1]:8443",
        ] {
            assert!(new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "mail.example.org",
            "ftp://x/",
            "https://",
            "http://u:p@x/",
            "/x",
        ] {
            assert!(new(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a05_password_does_not_go_to_a_public_address_in_the_clear() {
        let service = Service::new("http://192.0.2.1/", &[], Duration::from_secs(1)).unwrap();
        // The documentation's networks are nobody's; a public one is needed to say no to.
        let public: SocketAddr = "8.8.8.8:80".parse().unwrap();
        let refused = service.connect_to(public).await.unwrap_err();
        assert!(matches!(refused, Unheard::Public));
    }
}
