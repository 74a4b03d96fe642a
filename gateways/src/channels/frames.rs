//! The frames of one WebSocket (RFC 6455) with channels in them.

use std::io;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use klatsch_protocol::channels::Outgoing;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::connection::TRANSPORT;
use crate::listener::{Bucket, Limits, Rate};
use crate::metrics;
use crate::websocket::{self, Metered, into_io};

/// What the client has sent.
pub(super) enum Heard {
    Text(Utf8Bytes),
    Binary(Bytes),
    /// Nothing for anybody, but it lives.
    Alive,
    /// It is gone.
    End,
    /// It has broken the rules of WebSockets.
    Broken(CloseCode),
}

/// A WebSocket.
pub(super) struct Frames<S> {
    socket: WebSocketStream<Metered<S>>,
    control: Bucket,
    control_rate: Rate,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(super) async fn new(stream: S, limits: &Limits, frame_bytes_max: usize) -> Self {
        let rate = limits.websocket_control_rate;
        let control_rate = Rate::per_second(rate, rate * 2);
        Self {
            socket: websocket::accept(stream, limits, frame_bytes_max).await,
            control: Bucket::full(control_rate, Instant::now()),
            control_rate,
        }
    }

    /// What comes next; cancelling loses nothing.
    pub(super) async fn next(&mut self) -> Heard {
        let message = self.socket.next().await;
        self.socket.get_mut().begin_message();
        self.judge(message)
    }

    fn judge(&mut self, message: Option<Result<Message, Error>>) -> Heard {
        match message {
            Some(Ok(Message::Text(text))) => {
                metrics::received(TRANSPORT, text.len());
                Heard::Text(text)
            }
            Some(Ok(Message::Binary(bytes))) => {
                metrics::received(TRANSPORT, bytes.len());
                Heard::Binary(bytes)
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                // Row W08: each ping costs an answer.
                match self.control.take(self.control_rate, Instant::now()) {
                    true => Heard::Alive,
                    false => Heard::Broken(CloseCode::Policy),
                }
            }
            Some(Ok(Message::Close(_))) | None => Heard::End,
            Some(Err(Error::Capacity(_))) => Heard::Broken(CloseCode::Size),
            Some(Err(Error::Utf8(_))) => Heard::Broken(CloseCode::Invalid),
            Some(Err(Error::Protocol(_))) => Heard::Broken(CloseCode::Protocol),
            Some(Err(Error::Io(error))) if error.kind() == io::ErrorKind::InvalidData => {
                Heard::Broken(CloseCode::Policy)
            }
            Some(Err(_)) => Heard::End,
        }
    }

    pub(super) async fn send(&mut self, frame: Outgoing) -> io::Result<()> {
        let message = match frame {
            // What our writer writes is UTF-8.
            Outgoing::Text(text) => match Utf8Bytes::try_from(text) {
                Ok(text) => Message::Text(text),
                Err(error) => return Err(io::Error::other(error)),
            },
            Outgoing::Binary(bytes) => Message::Binary(bytes),
        };
        self.socket.send(message).await.map_err(into_io)
    }

    /// Closes our side.
    pub(super) async fn close(&mut self, code: CloseCode) -> io::Result<()> {
        let reason = Utf8Bytes::default();
        let frame = CloseFrame { code, reason };
        self.socket.close(Some(frame)).await.map_err(into_io)
    }

    /// Waits for the client to close its side; what still comes is dropped.
    pub(super) async fn read_the_rest(&mut self) {
        while self.socket.next().await.is_some_and(|it| it.is_ok()) {
            self.socket.get_mut().begin_message();
        }
    }
}
