//! How a new node becomes part of a cluster: it asks one of its nodes, with a join token.
//!
//! A line of JSON each way over TLS pinned to the token's fingerprint: a question, and what is answered.
//! Only what the node keeps for good is written, and only when all of it is there.

use super::joined::Joined;
use super::secret::ClusterSecret;
use super::tls;
use super::token::JoinToken;
use super::tokens::Refusal;
use crate::boot::data_dir::write_secret;
use crate::boot::secrets::to_hex;
use crate::config::Config;
use crate::error::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long all of it may take, on either side.
pub(super) const TALK_MAX: Duration = Duration::from_secs(10);

/// Longest line, bytes: the secret's file and some hundred addresses.
const LINE_MAX: u64 = 64 * 1024;

/// What a new node says.
#[derive(Serialize, Deserialize)]
pub(super) struct Question {
    /// The token's secret, in hexadecimal digits.
    pub(super) secret: String,
    /// What the node is to be called.
    pub(super) name: String,
    /// Where others will reach it, HOST:PORT.
    pub(super) address: String,
}

/// What it is told.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// It is one of us.
    Welcome {
        /// The text of the cluster's secret.
        secret: String,
        /// What its settings may leave out.
        told: Joined,
    },
    /// It is not.
    Refused(Refusal),
}

/// Why a node has not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Nobody answers at the token's address.
    #[error(
        "nobody takes new nodes in at {address} ({why}): the token is old, or the node down or out of reach; `klatsch cluster token` there makes another"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What the system said.
        why: String,
    },
    /// Who answers is not of the cluster that the token is from.
    #[error("{0} is not of the cluster that this token is from")]
    OtherCluster(String),
    /// The cluster does not want it.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The answer makes no sense.
    #[error("{0} has answered what this version does not understand")]
    NotUnderstood(String),
}

/// Asks the node that a token names to take this one in, and keeps what it says.
///
/// # Errors
/// It does not, or this node is of another cluster already.
pub async fn join(config: &Config, data: &Path, token: &JoinToken) -> Result<Joined, Error> {
    let path = config.cluster.secret_file(data);
    refuse_other_cluster(&path, token)?;
    let question = Question {
        secret: to_hex(&token.secret),
        name: config.cluster.name(),
        address: config.cluster.advertise(),
    };
    let asked = timeout(TALK_MAX, ask(token, &question)).await;
    let late = |_| unreachable(token, "no answer in time");
    let (secret, told) = asked.map_err(late).and_then(|it| it).map_err(refused)?;
    write_secret(&path, secret.to_text().as_bytes())?;
    told.write(data)?;
    Ok(told)
}

/// A token is not used up by a node that could not take what it brings.
fn refuse_other_cluster(path: &Path, token: &JoinToken) -> Result<(), Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("cannot read", path)(error)),
    };
    // What is damaged is replaced.
    let known = ClusterSecret::parse(&text).ok();
    match known.filter(|it| it.authority().fingerprint() != token.fingerprint) {
        None => Ok(()),
        Some(_) => Err(Error::Refused(format!(
            "this node is of another cluster: remove {} to leave it",
            path.display()
        ))),
    }
}

async fn ask(token: &JoinToken, question: &Question) -> Result<(ClusterSecret, Joined), JoinError> {
    let away = |error: std::io::Error| unreachable(token, &error.to_string());
    let not_understood = || JoinError::NotUnderstood(token.address.clone());
    let stream = TcpStream::connect(&token.address).await.map_err(away)?;
    let config = tls::client(token.fingerprint).map_err(|_| not_understood())?;
    let stream = TlsConnector::from(config)
        .connect(tls::name(), stream)
        .await;
    let stream = stream.map_err(|error| match tls::is_other_cluster(&error) {
        true => JoinError::OtherCluster(token.address.clone()),
        false => away(error),
    })?;
    let mut stream = BufReader::new(stream);
    write_line(&mut stream, question).await.map_err(away)?;
    let reply = read_line(&mut stream).await.map_err(away)?;
    match reply.ok_or_else(not_understood)? {
        Reply::Refused(refusal) => Err(JoinError::Refused(refusal)),
        Reply::Welcome { secret, told } => {
            let secret = ClusterSecret::parse(&secret).map_err(|_| not_understood())?;
            match secret.authority().fingerprint() == token.fingerprint {
                true => Ok((secret, told)),
                false => Err(not_understood()),
            }
        }
    }
}

fn unreachable(token: &JoinToken, why: &str) -> JoinError {
    JoinError::Unreachable {
        address: token.address.clone(),
        why: why.to_owned(),
    }
}

fn refused(error: JoinError) -> Error {
    Error::Refused(error.to_string())
}

/// Reads what the other side says; `None` when it is not understood.
pub(super) async fn read_line<T, S>(stream: &mut BufReader<S>) -> std::io::Result<Option<T>>
where
    T: DeserializeOwned,
    S: AsyncRead + Unpin,
{
    let mut line = Vec::new();
    let taken = stream.take(LINE_MAX).read_until(b'\n', &mut line).await?;
    if taken == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line).ok())
}

/// Says something to the other side.
pub(super) async fn write_line<T, S>(stream: &mut S, it: &T) -> std::io::Result<()>
where
    T: Serialize,
    S: AsyncWrite + Unpin,
{
    let mut line = serde_json::to_vec(it)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}
