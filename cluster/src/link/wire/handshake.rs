//! What two nodes say before ractor_cluster speaks: who they are, and whether they connect.
//!
//! ```text
//! dialler                      acceptor
//! Hello ─────────────────────▶            versions, life, name, token
//!        ◀───────────────────── Hello     or Refused
//! Open  ─────────────────────▶            or Refused: the two are connected already
//!        ◀───────────────────── Accepted  or Refused
//! ```
//!
//! Each word is two bytes of length and the encoded word. `Hello` stays as it is in all
//! versions, for it says which are spoken; everything after it is in the highest version that
//! both speak (rows C05, C06). The name must be the certificate's.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::batch::Token;
use super::claims::{self, Held};
use super::core::Core;
use crate::codec::{self, CodecError};
use crate::membership::Refusal;
use crate::node_id::{Life, NodeId};

/// The versions of the protocol that this node speaks.
const SPOKEN: RangeInclusive<u16> = 1..=1;

/// How long a handshake may take (row C02): four words at 2 s there and back.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// Largest word, bytes: a name is at most a DNS name.
const WORD_BYTES_MAX: usize = 1024;

/// One word of the handshake. The order of the variants is on the wire.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Word {
    Hello(Hello),
    Open,
    Accepted,
    Refused(Refusal),
}

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// Lowest version of the protocol it speaks.
    pub(crate) lowest: u16,
    /// Highest.
    pub(crate) highest: u16,
    /// Which node, in which life.
    pub(crate) life: Life,
    /// What operators call it.
    pub(crate) name: String,
    /// What it wants to know this connection's batches by.
    pub(crate) token: Token,
}

/// What two nodes have agreed on.
#[derive(Debug)]
pub(crate) struct Agreed {
    /// Who the other is.
    pub(crate) peer: Hello,
    /// What the other knows its batches by is `peer.token`; this is what ours are known by.
    pub(crate) token: Token,
    /// The connection's place among those of this node.
    pub(crate) place: Held,
    /// How long a message and its answer took.
    pub(crate) round_trip: Duration,
    /// This node has dialled.
    pub(crate) is_dialled: bool,
}

/// Why a handshake did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("no answer in time")]
    Deadline,
    #[error("a word of {0} bytes")]
    TooLarge(usize),
    #[error("{0}")]
    Codec(#[from] CodecError),
    #[error("a word that does not belong here")]
    Unexpected,
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("refused by the other node: {0}")]
    RefusedUs(Refusal),
    #[error(
        "refused: it speaks versions {}–{} of the protocol, this node {}–{}",
        .0.start(), .0.end(), SPOKEN.start(), SPOKEN.end()
    )]
    Version(RangeInclusive<u16>),
}

impl Hello {
    pub(crate) fn new(life: Life, name: &str, token: Token) -> Self {
        Self {
            lowest: *SPOKEN.start(),
            highest: *SPOKEN.end(),
            life,
            name: name.to_owned(),
            token,
        }
    }

    /// The version two nodes speak with each other.
    fn version(&self) -> Option<u16> {
        let highest = self.highest.min(*SPOKEN.end());
        (highest >= self.lowest.max(*SPOKEN.start())).then_some(highest)
    }
}

/// A stream on which words are said.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn say(stream: &mut impl Stream, word: &Word) -> Result<(), HandshakeError> {
    let bytes = codec::encode(word)?;
    let length = u16::try_from(bytes.len()).map_err(|_| HandshakeError::TooLarge(bytes.len()))?;
    let bytes = [&length.to_be_bytes()[..], &bytes].concat();
    stream.write_all(&bytes).await?;
    Ok(stream.flush().await?)
}

async fn hear(stream: &mut impl Stream) -> Result<Word, HandshakeError> {
    let length = usize::from(stream.read_u16().await?);
    if length > WORD_BYTES_MAX {
        return Err(HandshakeError::TooLarge(length));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    Ok(codec::decode(&bytes)?)
}

/// Says why not, and fails with it.
async fn refuse<A>(stream: &mut impl Stream, why: Refusal) -> Result<A, HandshakeError> {
    say(stream, &Word::Refused(why)).await?;
    stream.shutdown().await?;
    Err(HandshakeError::Refused(why))
}

/// The dialler's half. `certificate` is the name in the other node's certificate; `met` is who
/// is there, as soon as that is known.
pub(crate) async fn dial<S>(
    core: &Core,
    stream: &mut S,
    certificate: &str,
    met: &mut Option<NodeId>,
) -> Result<Agreed, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let talk = dial_untimed(core, stream, certificate, met);
    let agreed = tokio::time::timeout(DEADLINE, talk).await;
    agreed.map_err(|_| HandshakeError::Deadline)?
}

async fn dial_untimed(
    core: &Core,
    stream: &mut impl Stream,
    certificate: &str,
    met: &mut Option<NodeId>,
) -> Result<Agreed, HandshakeError> {
    let (token, asked) = (core.new_token()?, Instant::now());
    say(stream, &Word::Hello(core.hello(token))).await?;
    let peer = hear_hello(core, stream).await?;
    let round_trip = asked.elapsed();
    check(core, stream, &peer, certificate).await?;
    *met = Some(peer.life.node);
    let dialling = match claims::dial(core.claims(), peer.life) {
        Ok(dialling) => dialling,
        Err(why) => return refuse(stream, why).await,
    };
    say(stream, &Word::Open).await?;
    match hear(stream).await? {
        Word::Accepted => {}
        Word::Refused(why) => return Err(refused_us(core, why)),
        _ => return Err(HandshakeError::Unexpected),
    }
    let place = dialling.opened(core.now());
    core.end(place.before()).await;
    Ok(Agreed {
        peer,
        token,
        place,
        round_trip,
        is_dialled: true,
    })
}

/// The acceptor's half.
pub(crate) async fn accept<S>(
    core: &Core,
    stream: &mut S,
    certificate: &str,
) -> Result<Agreed, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let talk = accept_untimed(core, stream, certificate);
    let agreed = tokio::time::timeout(DEADLINE, talk).await;
    agreed.map_err(|_| HandshakeError::Deadline)?
}

async fn accept_untimed(
    core: &Core,
    stream: &mut impl Stream,
    certificate: &str,
) -> Result<Agreed, HandshakeError> {
    let peer = hear_hello(core, stream).await?;
    check(core, stream, &peer, certificate).await?;
    let (token, asked) = (core.new_token()?, Instant::now());
    say(stream, &Word::Hello(core.hello(token))).await?;
    match hear(stream).await? {
        Word::Open => {}
        Word::Refused(why) => return Err(refused_us(core, why)),
        _ => return Err(HandshakeError::Unexpected),
    }
    let round_trip = asked.elapsed();
    let place = match claims::accept(core.claims(), peer.life, core.now()) {
        Ok(place) => place,
        Err(why) => return refuse(stream, why).await,
    };
    // Two connections with one node would compete inside ractor_cluster.
    core.end(place.before()).await;
    say(stream, &Word::Accepted).await?;
    Ok(Agreed {
        peer,
        token,
        place,
        round_trip,
        is_dialled: false,
    })
}

async fn hear_hello(core: &Core, stream: &mut impl Stream) -> Result<Hello, HandshakeError> {
    match hear(stream).await? {
        Word::Hello(hello) => Ok(hello),
        Word::Refused(why) => Err(refused_us(core, why)),
        _ => Err(HandshakeError::Unexpected),
    }
}

/// The other node knows a later life of this one: so there is one.
fn refused_us(core: &Core, why: Refusal) -> HandshakeError {
    if matches!(why, Refusal::Superseded(_)) {
        core.superseded();
    }
    HandshakeError::RefusedUs(why)
}

/// Whether the other node is who it says, and may be spoken with.
async fn check(
    core: &Core,
    stream: &mut impl Stream,
    peer: &Hello,
    certificate: &str,
) -> Result<(), HandshakeError> {
    if peer.version().is_none() {
        say(stream, &Word::Refused(Refusal::Version)).await?;
        return Err(HandshakeError::Version(peer.lowest..=peer.highest));
    }
    if peer.name != certificate {
        return refuse(stream, Refusal::Certificate).await;
    }
    match core.check(peer) {
        Ok(()) => Ok(()),
        Err(why) => refuse(stream, why).await,
    }
}

#[cfg(test)]
mod tests;
