//! One client connection, for thousands on one runtime: the stream (RFC 6120
//! §4), bytes out and first-level elements in.
//!
//! Holds no read buffer of its own (all share one to a thread) and no task;
//! a scenario drives it by awaiting [`Connection::next`], which writes what is
//! queued while it reads, so that neither side waits for the other.
//! Leaves out what a load driver can do without: SRV records, certificate
//! checks, any stanza it did not ask for.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use klatsch_protocol::ns;
use klatsch_protocol::xml::{Fragment, Limits, Token, Tokenizer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::error::{LoadError, Result};
use crate::options::{Target, Tls};

pub(crate) mod archive;
pub(crate) mod login;
pub(crate) mod management;
pub(crate) mod scram;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
pub(crate) mod transport;

use transport::Transport;

/// Bytes read at once; one such buffer a thread.
const READ_BYTES: usize = 64 * 1024;

/// An output buffer larger than this is not kept when it has been written.
const KEEP_BYTES: usize = 4096;

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A connection and its stream.
pub(crate) struct Connection {
    target: Arc<Target>,
    transport: Transport,
    tokenizer: Tokenizer,
    out: BytesMut,
    /// The full address, once bound.
    pub(crate) jid: String,
}

impl Connection {
    /// Connects, without a stream.
    pub(crate) async fn connect(target: &Arc<Target>) -> Result<Self> {
        let mut transport = Transport::connect(target).await?;
        if target.tls == Tls::Direct {
            transport.encrypt(&target.domain, true).await?;
        }
        Ok(Self {
            target: Arc::clone(target),
            transport,
            tokenizer: Tokenizer::new(Limits::S2S),
            out: BytesMut::new(),
            jid: String::new(),
        })
    }

    /// The server this connection belongs to.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Queues bytes; they go out with the next [`Self::next`] or [`Self::flush`].
    pub(crate) fn queue(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes all that is queued.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends bytes at once.
    pub(crate) async fn send(&mut self, text: &str) -> Result<()> {
        self.queue(text);
        self.flush().await
    }

    /// The next token, writing what is queued meanwhile. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> Result<Token> {
        loop {
            if let Some(token) = self.buffered()? {
                return Ok(token);
            }
            poll_fn(|cx| self.poll_progress(cx)).await?;
        }
    }

    /// The next token if it is there at once.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Token>> {
        let once = poll_fn(|cx| match self.poll_progress(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        });
        once.await?;
        self.buffered()
    }

    /// Reads at most `count` bytes past the tokenizer: for clients that do not listen.
    pub(crate) async fn read_raw(&mut self, count: usize) -> Result<usize> {
        let mut bytes = vec![0; count];
        Ok(self.transport.read(&mut bytes).await?)
    }

    /// The certificate that the server has shown, if there is TLS.
    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        self.transport.certificate()
    }

    /// Makes the kernel hold fewer bytes that nobody has read.
    pub(crate) fn limit_receive_buffer(&self, bytes: u32) -> Result<()> {
        self.transport.limit_receive_buffer(bytes)
    }

    /// A token that has been read already, if there is one.
    pub(crate) fn buffered(&mut self) -> Result<Option<Token>> {
        self.tokenizer
            .next()
            .map_err(|error| LoadError::protocol(format!("bad XML from the server: {error:?}")))
    }

    /// The next first-level element; a stream error or a footer is an error.
    pub(crate) async fn element(&mut self) -> Result<Fragment> {
        match self.next().await? {
            Token::Fragment(fragment) => stanza_or_error(fragment),
            Token::Header(_) => Err(LoadError::protocol("unexpected stream header")),
            Token::Footer => Err(LoadError::Closed(String::new())),
        }
    }

    /// Opens a stream and reads the server's features.
    pub(crate) async fn open_stream(&mut self) -> Result<Fragment> {
        self.tokenizer.restart();
        let header = format!(
            "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' to='{}' version='1.0'>",
            ns::CLIENT,
            ns::STREAMS,
            self.target.domain
        );
        self.send(&header).await?;
        match self.next().await? {
            Token::Header(_) => {}
            _ => return Err(LoadError::protocol("no stream header")),
        }
        let features = self.element().await?;
        if features.name() != "features" {
            return Err(LoadError::protocol(format!(
                "<{}/> instead of features",
                features.name()
            )));
        }
        Ok(features)
    }

    /// Does STARTTLS (RFC 6120 §5.4) on a stream that offers it.
    pub(crate) async fn start_tls(&mut self) -> Result<()> {
        self.send(&format!("<starttls xmlns='{}'/>", ns::TLS))
            .await?;
        let answer = self.element().await?;
        if answer.name() != "proceed" {
            return Err(LoadError::Refused(format!(
                "STARTTLS: <{}/>",
                answer.name()
            )));
        }
        self.transport.encrypt(&self.target.domain, false).await
    }

    /// Sends an IQ and waits for its result, passing over everything else.
    pub(crate) async fn request(&mut self, id: &str, iq: &str) -> Result<Fragment> {
        self.send(iq).await?;
        loop {
            let element = self.element().await?;
            if element.name() != "iq" || element.attr("id") != Some(id) {
                continue;
            }
            return match element.attr("type") {
                Some("result") => Ok(element),
                _ => Err(LoadError::Refused(condition_of(&element))),
            };
        }
    }

    /// Ends the stream and waits, for a moment, until the server has ended its own; tells
    /// whether it has.
    pub(crate) async fn close(mut self) -> bool {
        self.close_and_hear().await.1
    }

    /// The same; hands out what the server has said before that.
    pub(crate) async fn close_and_hear(&mut self) -> (Vec<Fragment>, bool) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let mut last = Vec::new();
        let farewell = async {
            self.send("</stream:stream>").await?;
            loop {
                match self.next().await? {
                    Token::Footer => return Ok::<(), LoadError>(()),
                    Token::Fragment(fragment) => last.push(fragment),
                    Token::Header(_) => {}
                }
            }
        };
        // A server that is gone already has nothing to say.
        let farewell = tokio::time::timeout(PATIENCE, farewell).await;
        let is_heard = matches!(farewell, Ok(Ok(())));
        (last, is_heard)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.transport).poll_write(cx, &self.out))?;
            self.out.advance(written);
        }
        if self.out.capacity() > KEEP_BYTES {
            self.out = BytesMut::new();
        }
        ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Writes what can be written, and is ready as soon as something was read.
    fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.transport).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(LoadError::Closed(" without a word".into())));
            }
            self.tokenizer.push(buffer.filled());
            Poll::Ready(Ok(()))
        })
    }
}

/// Makes an error of a `<stream:error/>`, naming its condition and what it carries: the host to
/// go to (RFC 6120 §4.9.3.19).
fn stanza_or_error(fragment: Fragment) -> Result<Fragment> {
    if fragment.name() != "error" || fragment.namespace() != ns::STREAMS {
        return Ok(fragment);
    }
    let condition = fragment.to_element();
    let condition = condition.children().next();
    let (name, text) = condition
        .map(|child| (child.name().to_owned(), child.text_content()))
        .unwrap_or_default();
    let why = format!(" with <{name}/> {text}");
    Err(LoadError::Closed(why.trim_end().to_owned()))
}

/// The condition and text of an error stanza, for people.
pub(crate) fn condition_of(stanza: &Fragment) -> String {
    let Some(error) = stanza.payloads().element("error", ns::CLIENT) else {
        return "an error without a reason".into();
    };
    error
        .children()
        .map(|child| child.name().to_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
