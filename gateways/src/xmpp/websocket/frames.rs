//! The frames of one WebSocket (RFC 6455), read under limits and sent from the outbox.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use klatsch_actors::session::Sink;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::listener::{Bucket, Limits, Rate};
use crate::metrics;
use crate::websocket::{self, Metered, into_io};
use crate::xmpp::outbox::{Outbox, Outgoing};

/// What the client did, or is to hear about.
pub(super) enum Frame {
    Text(Utf8Bytes),
    /// A message larger than any may be.
    TooLarge,
    /// Everything that waited has been sent; the session may have held back.
    Drained,
    /// We are closing, and what waited is sent.
    Closing,
    /// The client is gone, or has broken the rules and was told so.
    End,
}

/// A WebSocket with its outbox.
pub(super) struct Frames<S> {
    socket: WebSocketStream<Metered<S>>,
    outbox: Arc<Outbox>,
    control: Bucket,
    control_rate: Rate,
    close_code: CloseCode,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(super) async fn new(stream: S, outbox: Arc<Outbox>, limits: &Limits) -> Self {
        let control_rate = Rate::per_second(
            limits.websocket_control_rate,
            limits.websocket_control_rate * 2,
        );
        Self {
            socket: websocket::accept(stream, limits, limits.stanza_bytes_max).await,
            outbox,
            control: Bucket::full(control_rate, Instant::now()),
            control_rate,
            close_code: CloseCode::Normal,
        }
    }

    /// Waits for a message, sending what waits in the outbox in the meantime.
    pub(super) async fn next(&mut self) -> io::Result<Frame> {
        loop {
            tokio::select! {
                biased;
                outgoing = self.outbox.next() => match outgoing {
                    Outgoing::Closing => return Ok(Frame::Closing),
                    Outgoing::Frame(frame) => {
                        self.send(frame).await?;
                        if self.outbox.is_empty() {
                            return Ok(Frame::Drained);
                        }
                    }
                },
                message = self.socket.next() => {
                    self.socket.get_mut().begin_message();
                    if let Some(frame) = self.judge(message) {
                        return Ok(frame);
                    }
                }
            }
        }
    }

    /// Sends what waits while something else is awaited, and says when a session may go on.
    pub(super) async fn send_while<T>(
        &mut self,
        work: impl Future<Output = T>,
        drained: impl Fn(),
    ) -> io::Result<T> {
        let mut work = std::pin::pin!(work);
        match self.send_until_closing(&mut work, drained).await? {
            Some(done) => Ok(done),
            None => Ok(work.await),
        }
    }

    /// The same, but `None` as soon as we are closing and everything is sent.
    pub(super) async fn send_until_closing<T>(
        &mut self,
        work: impl Future<Output = T>,
        drained: impl Fn(),
    ) -> io::Result<Option<T>> {
        let mut work = std::pin::pin!(work);
        loop {
            let outbox = Arc::clone(&self.outbox);
            tokio::select! {
                biased;
                done = &mut work => return Ok(Some(done)),
                outgoing = outbox.next() => match outgoing {
                    Outgoing::Closing => return Ok(None),
                    Outgoing::Frame(frame) => {
                        self.send(frame).await?;
                        if outbox.is_empty() {
                            drained();
                        }
                    }
                },
            }
        }
    }

    /// Sends what is left, then closes our side of the WebSocket.
    pub(super) async fn send_the_rest(&mut self) -> io::Result<()> {
        self.outbox.seal();
        while let Outgoing::Frame(frame) = self.outbox.next().await {
            self.send(frame).await?;
        }
        let frame = CloseFrame {
            code: self.close_code,
            reason: Utf8Bytes::default(),
        };
        self.socket.close(Some(frame)).await.map_err(into_io)
    }

    /// Waits for the client to close its side. What still comes is dropped; each message takes
    /// away from the client's time only.
    pub(super) async fn read_the_rest(&mut self) {
        while self
            .socket
            .next()
            .await
            .is_some_and(|message| message.is_ok())
        {
            self.socket.get_mut().begin_message();
        }
    }

    async fn send(&mut self, frame: Utf8Bytes) -> io::Result<()> {
        self.socket
            .send(Message::Text(frame))
            .await
            .map_err(into_io)
    }

    /// What a message, or the lack of one, means; `None` is nothing to anybody.
    fn judge(&mut self, message: Option<Result<Message, Error>>) -> Option<Frame> {
        match message {
            Some(Ok(Message::Text(text))) => {
                metrics::received(super::TRANSPORT, text.len());
                Some(Frame::Text(text))
            }
            // RFC 7395 §3.2: text frames only.
            Some(Ok(Message::Binary(_))) => Some(self.fail(CloseCode::Unsupported)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                // Row W08: each ping costs an answer.
                let is_taken = self.control.take(self.control_rate, Instant::now());
                (!is_taken).then(|| self.fail(CloseCode::Policy))
            }
            Some(Ok(Message::Close(_))) | None => Some(Frame::End),
            Some(Err(Error::Capacity(_))) => {
                self.close_code = CloseCode::Size;
                Some(Frame::TooLarge)
            }
            Some(Err(Error::Utf8(_))) => Some(self.fail(CloseCode::Invalid)),
            Some(Err(Error::Protocol(_))) => Some(self.fail(CloseCode::Protocol)),
            Some(Err(Error::Io(error))) if error.kind() == io::ErrorKind::InvalidData => {
                Some(self.fail(CloseCode::Policy))
            }
            Some(Err(_)) => Some(Frame::End),
        }
    }

    /// The client has broken the rules of WebSocket; the stream in it ends, too.
    fn fail(&mut self, code: CloseCode) -> Frame {
        self.close_code = code;
        let condition = match code {
            CloseCode::Policy => StreamCondition::PolicyViolation,
            _ => StreamCondition::BadFormat,
        };
        self.outbox.close(Some(StreamError::new(condition)));
        Frame::End
    }
}
