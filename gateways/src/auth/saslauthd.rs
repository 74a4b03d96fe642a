//! The `saslauthd` backend: Cyrus' password server, and Kolab 3's in its place, on its socket.
//!
//! One question for each connection: user, password, service and realm, each as two bytes of
//! length and so many of text; the answer is the same with `OK` or `NO` at its beginning. It
//! says nothing of aliases: the account is the address that was typed.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::mail_localpart;
use klatsch_protocol::stream::Verdict;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Answer, Attempt, Source};

/// Questions at once: it has five workers, unless somebody has changed that.
const AT_ONCE: usize = 5;

/// What it answers is two letters and perhaps a reason.
const ANSWER_BYTES_MAX: u16 = 1024;

/// How it is called where policies go by service.
const SERVICE: &str = "xmpp";

/// The `saslauthd` backend.
pub struct Saslauthd {
    socket: PathBuf,
    patience: Duration,
    turns: Semaphore,
}

impl Saslauthd {
    /// A backend over a socket.
    pub fn new(socket: PathBuf, patience: Duration) -> Self {
        Self {
            socket,
            patience,
            turns: Semaphore::new(AT_ONCE),
        }
    }

    async fn ask(&self, attempt: &Attempt) -> Verdict {
        let Some(address) = attempt.login.local_address() else {
            return Verdict::Wrong;
        };
        let Some(question) = question(&address, attempt.password.expose()) else {
            return Verdict::Wrong;
        };
        let exchange = async {
            let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
            self.exchange(&question).await
        };
        let heard = timeout(self.patience, exchange).await;
        match heard.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(answer) if answer.starts_with(b"OK") => Verdict::Right(address),
            Ok(answer) if answer.starts_with(b"NO") => Verdict::Wrong,
            Ok(_) => {
                tracing::warn!("saslauthd says neither yes nor no");
                Verdict::Unavailable
            }
            Err(error) => {
                tracing::warn!(error = %error, "saslauthd cannot say who somebody is");
                Verdict::Unavailable
            }
        }
    }

    async fn exchange(&self, question: &[u8]) -> io::Result<Vec<u8>> {
        let mut socket = UnixStream::connect(&self.socket).await?;
        socket.write_all(question).await?;
        let length = socket.read_u16().await?;
        if length > ANSWER_BYTES_MAX {
            return Err(io::Error::other("its answer is too long"));
        }
        let mut answer = vec![0; usize::from(length)];
        socket.read_exact(&mut answer).await?;
        Ok(answer)
    }
}

/// Row L01: nobody without a name, and no empty password.
fn question(address: &BareJid, password: &str) -> Option<Vec<u8>> {
    let name = mail_localpart(address).filter(|_| !password.is_empty())?;
    let mut question = Vec::new();
    for part in [&*name, password, SERVICE, address.domain()] {
        let length = u16::try_from(part.len()).ok()?;
        question.extend_from_slice(&length.to_be_bytes());
        question.extend_from_slice(part.as_bytes());
    }
    Some(question)
}

impl Source for Saslauthd {
    fn name(&self) -> &'static str {
        "saslauthd"
    }

    fn check<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict> {
        Box::pin(self.ask(attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::testkit::attempt;
    use tokio::net::UnixListener;

    async fn ask(answer: &'static [u8], attempt: Attempt) -> (Verdict, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mux");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            for _ in 0..4 {
                let length = socket.read_u16().await.unwrap();
                let mut part = vec![0; usize::from(length)];
                socket.read_exact(&mut part).await.unwrap();
                heard.extend_from_slice(&part);
                heard.push(b'|');
            }
            socket.write_all(answer).await.unwrap();
            heard
        });
        let backend = Saslauthd::new(path, Duration::from_millis(500));
        let verdict = backend.check(&attempt).await;
        let heard = match verdict {
            Verdict::Wrong if attempt.password.expose().is_empty() => Vec::new(),
            _ => serving.await.unwrap(),
        };
        (verdict, heard)
    }

    #[tokio::test]
    async fn yes_and_no_are_heard_and_anything_else_is_temporary() {
        let doe = Verdict::Right(BareJid::parse("doe@example.org").unwrap());
        for (answer, expected) in [
            (&b"\0\x02OK"[..], doe.clone()),
            (b"\0\x0aOK granted", doe),
            (b"\0\x02NO", Verdict::Wrong),
            (b"\0\x09NO denied", Verdict::Wrong),
            (b"\0\x02??", Verdict::Unavailable),
            (b"\0\x00", Verdict::Unavailable),
            (b"\0\x05OK", Verdict::Unavailable),
            (b"\xff\xffOK", Verdict::Unavailable),
            (b"", Verdict::Unavailable),
        ] {
            let (verdict, heard) = ask(answer, attempt("doe", "s e cret")).await;
            assert_eq!(verdict, expected, "{answer:?}");
            assert_eq!(heard, b"doe|s e cret|xmpp|example.org|");
        }
    }

    #[tokio::test]
    async fn l01_empty_password_is_not_asked_about() {
        let (verdict, heard) = ask(b"\0\x02OK", attempt("doe", "")).await;
        assert_eq!((verdict, heard), (Verdict::Wrong, Vec::new()));
    }

    #[tokio::test]
    async fn l08_one_that_is_not_there_or_hangs_is_temporary() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mux");
        let backend = Saslauthd::new(path.clone(), Duration::from_millis(100));
        let attempt = attempt("doe", "secret");
        assert_eq!(backend.check(&attempt).await, Verdict::Unavailable);
        let _hangs = UnixListener::bind(&path).unwrap();
        assert_eq!(backend.check(&attempt).await, Verdict::Unavailable);
    }
}
