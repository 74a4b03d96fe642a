//! The socket below a client, plain or encrypted, without any verification:
//! the servers under load carry certificates made for the run.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::{io, mem};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{LoadError, Result};
use crate::options::Target;

/// Source addresses that loopback runs spread over: each has its own 28,000
/// ephemeral ports, so that closed connections in TIME_WAIT never starve a run.
const SOURCES: u32 = 32;

/// The next source address.
static NEXT_SOURCE: AtomicU32 = AtomicU32::new(0);

/// STARTTLS connections: no ALPN.
static TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client_config(&[]));

/// Direct TLS. XEP-0368 §4: the ALPN protocol of client connections is `xmpp-client`.
static DIRECT_TLS: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| client_config(&[b"xmpp-client"]));

/// A socket, plain or encrypted.
pub(crate) enum Transport {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS over TCP; boxed, since it is thirty times larger.
    Tls(Box<TlsStream<TcpStream>>),
    /// In the middle of the change from one to the other.
    Gone,
}

impl Transport {
    /// Connects the socket.
    pub(crate) async fn connect(target: &Target) -> Result<Self> {
        let address = resolve(target).await?;
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(source) = source_for(address.ip()) {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Plain(stream))
    }

    /// Sets the socket's receive buffer; the kernel doubles it.
    pub(crate) fn limit_receive_buffer(&self, bytes: u32) -> Result<()> {
        let stream = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
            Self::Gone => return Err(LoadError::protocol("no socket")),
        };
        Ok(SockRef::from(stream).set_recv_buffer_size(bytes as usize)?)
    }

    /// The certificate that the server has shown, if there is TLS.
    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        let Self::Tls(stream) = self else { return None };
        let (_, tls) = stream.get_ref();
        Some(tls.peer_certificates()?.first()?.to_vec())
    }

    /// Does the TLS handshake.
    pub(crate) async fn encrypt(&mut self, domain: &str, direct: bool) -> Result<()> {
        let Self::Plain(stream) = mem::replace(self, Self::Gone) else {
            return Err(LoadError::protocol("encrypted already"));
        };
        let config = if direct { &DIRECT_TLS } else { &TLS };
        let name = ServerName::try_from(domain.to_owned())
            .map_err(|_| LoadError::Usage("domain unfit for TLS".into()))?;
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await?;
        *self = Self::Tls(Box::new(stream));
        Ok(())
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

/// Finds the address to connect to; a literal address needs no resolver.
async fn resolve(target: &Target) -> Result<SocketAddr> {
    if let Ok(ip) = target.host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, target.port));
    }
    let mut addresses = tokio::net::lookup_host((target.host.as_str(), target.port)).await?;
    addresses
        .next()
        .ok_or_else(|| LoadError::Usage(format!("{} has no address", target.host)))
}

/// The source address of the next connection, where the server is on loopback.
fn source_for(server: IpAddr) -> Option<IpAddr> {
    if !server.is_loopback() || server.is_ipv6() {
        return None;
    }
    let source = NEXT_SOURCE.fetch_add(1, Ordering::Relaxed) % SOURCES + 1;
    Some(IpAddr::V4(Ipv4Addr::new(
        127,
        0,
        1,
        u8::try_from(source).unwrap_or(1),
    )))
}

/// A client's TLS settings: no verification, and no resumption, so that every
/// login pays for a whole handshake.
fn client_config(protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the default versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// Believes any certificate.
#[derive(Debug)]
struct Unverified;

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
