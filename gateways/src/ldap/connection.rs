//! One connection to a directory, and one question at a time on it.
//!
//! Every answer is read under a limit, and what cannot be read ends the connection. References
//! to other servers are not followed (row L05): whoever can put one into a directory would have
//! passwords sent to where they like.

use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use klatsch_protocol::sasl::Secret;
use ldap3_proto::LdapCodec;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapExtendedRequest, LdapMsg, LdapOp, LdapResult,
    LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_util::codec::Framed;

use super::{LdapError, LdapServer};

/// RFC 4511 §4.14.
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// An answer with the few attributes that are asked for has some hundred bytes.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// What a search asks for fits by far.
const ENTRIES_MAX: usize = 1000;

/// Elements in elements of a message: a search's answer has five.
const DEPTH_MAX: usize = 16;

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// Whatever LDAP is spoken over.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

type Messages = Framed<Box<dyn Wire>, LdapCodec>;

/// How a server is connected to.
pub(super) struct Way {
    pub(super) tls: TlsConnector,
    /// StartTLS even where the server is on this machine.
    pub(super) starttls: bool,
}

/// A connection.
pub(super) struct Connection {
    messages: Messages,
    last_id: i32,
}

/// What a search has found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entries: Vec<LdapSearchResultEntry>,
    /// There is more than was asked for.
    pub(super) has_more: bool,
}

impl Way {
    /// Connects, with TLS unless the server is on this machine (row L05).
    pub(super) async fn open(&self, server: &LdapServer) -> Result<Connection, LdapError> {
        let (host, port, has_tls) = match server {
            LdapServer::Host {
                host,
                port,
                has_tls,
            } => (host, *port, *has_tls),
            // Nobody else reads along, and there is no name for a certificate to have.
            LdapServer::Socket(path) => {
                return Ok(Connection::over(Box::new(UnixStream::connect(path).await?)));
            }
        };
        let (tcp, address) = connect(host, port).await?;
        if has_tls {
            return Ok(Connection::over(self.shake_hands(host, tcp).await?));
        }
        // The address that was connected to counts, not the name.
        if address.ip().is_loopback() && !self.starttls {
            return Ok(Connection::over(Box::new(tcp)));
        }
        let mut plain = Connection::over(Box::new(tcp));
        plain.start_tls().await?;
        let parts = plain.messages.into_parts();
        // As A01: what came in the clear must not be read as if TLS had carried it.
        if !parts.read_buf.is_empty() {
            return Err(LdapError::Nonsense("bytes behind its answer to StartTLS"));
        }
        Ok(Connection::over(self.shake_hands(host, parts.io).await?))
    }

    async fn shake_hands(
        &self,
        host: &str,
        wire: impl Wire + 'static,
    ) -> Result<Box<dyn Wire>, LdapError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| LdapError::Nonsense("its name cannot stand in a certificate"))?;
        Ok(Box::new(self.tls.connect(name, wire).await?))
    }
}

async fn connect(host: &str, port: u16) -> Result<(TcpStream, SocketAddr), LdapError> {
    let found = lookup_host((host, port)).await?;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in found.take(ADDRESSES_MAX) {
        match TcpStream::connect(address).await {
            Ok(tcp) => {
                // A question and its answer are one packet each.
                let _ = tcp.set_nodelay(true);
                return Ok((tcp, address));
            }
            Err(error) => failure = error,
        }
    }
    Err(failure.into())
}

impl Connection {
    fn over(wire: Box<dyn Wire>) -> Self {
        let codec = LdapCodec::new(Some(MESSAGE_BYTES_MAX), Some(DEPTH_MAX));
        Self {
            messages: Framed::new(wire, codec),
            last_id: 0,
        }
    }

    /// A simple bind (RFC 4513 §5.1.3). Row L01: without a name or a password it would be
    /// another kind of bind, which succeeds, so that one must not get here.
    pub(super) async fn bind(
        &mut self,
        dn: &str,
        password: &Secret,
    ) -> Result<LdapResult, LdapError> {
        if dn.is_empty() || password.expose().is_empty() {
            return Err(LdapError::Nonsense("a bind without name or password"));
        }
        let request = LdapOp::BindRequest(LdapBindRequest {
            version: 3,
            dn: dn.to_owned(),
            cred: LdapBindCred::Simple(password.expose().to_owned()),
        });
        match self.ask(request).await? {
            LdapOp::BindResponse(response) => Ok(response.res),
            _ => Err(LdapError::Nonsense("no answer to a bind")),
        }
    }

    /// A search; references to elsewhere are passed over.
    pub(super) async fn search(&mut self, request: LdapSearchRequest) -> Result<Found, LdapError> {
        let mut entries = Vec::new();
        let mut heard = self.ask(LdapOp::SearchRequest(request)).await?;
        loop {
            match heard {
                LdapOp::SearchResultEntry(_) if entries.len() >= ENTRIES_MAX => {
                    return Err(LdapError::Nonsense("more entries than it was asked for"));
                }
                LdapOp::SearchResultEntry(entry) => entries.push(entry),
                LdapOp::SearchResultReference(_) | LdapOp::IntermediateResponse(_) => {}
                LdapOp::SearchResultDone(result) => return conclude(entries, result),
                _ => return Err(LdapError::Nonsense("no answer to a search")),
            }
            heard = self.hear().await?;
        }
    }

    async fn start_tls(&mut self) -> Result<(), LdapError> {
        let request = LdapOp::ExtendedRequest(LdapExtendedRequest {
            name: START_TLS.to_owned(),
            value: None,
        });
        match self.ask(request).await? {
            LdapOp::ExtendedResponse(response) => match response.res.code {
                LdapResultCode::Success => Ok(()),
                code => Err(LdapError::Refused(code)),
            },
            _ => Err(LdapError::Nonsense("no answer to StartTLS")),
        }
    }

    async fn ask(&mut self, op: LdapOp) -> Result<LdapOp, LdapError> {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let message = LdapMsg {
            msgid: self.last_id,
            op,
            ctrl: Vec::new(),
        };
        self.messages.send(message).await?;
        self.hear().await
    }

    async fn hear(&mut self) -> Result<LdapOp, LdapError> {
        match self.messages.next().await {
            Some(Ok(message)) if message.msgid == self.last_id => Ok(message.op),
            // RFC 4511 §4.4.1: its notice that it closes the connection.
            Some(Ok(message)) if message.msgid == 0 => Err(LdapError::Closed),
            Some(Ok(_)) => Err(LdapError::Nonsense("an answer to what was not asked")),
            Some(Err(error)) => Err(error.into()),
            None => Err(LdapError::Closed),
        }
    }
}

fn conclude(entries: Vec<LdapSearchResultEntry>, result: LdapResult) -> Result<Found, LdapError> {
    let has_more = match result.code {
        LdapResultCode::Success => false,
        LdapResultCode::SizeLimitExceeded => true,
        // A base that is not there has nobody; that it should be there, the doctor says.
        code => return Err(LdapError::Refused(code)),
    };
    Ok(Found { entries, has_more })
}
