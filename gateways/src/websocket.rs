//! What WebSockets have in common, whatever is spoken over them (RFC 6455): the handshake's
//! values, and a socket under limits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{HeaderName, SEC_WEBSOCKET_KEY};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::listener::Limits;

/// The library's buffers: its defaults would cost 128 KiB a connection.
const BUFFER_BYTES: usize = 4 * 1024;

/// How much more than a message its frames may be: a fragment of nothing costs six bytes, so
/// that a message of empty fragments without end ends here (row W04).
const FRAMING_BYTES: u64 = 64 * 1024;

/// The value of `Sec-WebSocket-Accept`; `None` without a sound key (§4.1, §4.2.2).
pub(crate) fn accept_value(headers: &HeaderMap) -> Option<String> {
    let key = headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    is_key(key).then(|| derive_accept_key(key))
}

/// Tells whether a list header has a token, in any case of letters.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(token))
}

/// RFC 6455 §4.1: sixteen bytes in Base64.
fn is_key(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

/// A socket on an upgraded connection, whose messages have at most so many bytes.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    limits: &Limits,
    message_bytes: usize,
) -> WebSocketStream<Metered<S>> {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(limits.send_queue_bytes_max.max(2 * message_bytes))
        .max_message_size(Some(message_bytes))
        .max_frame_size(Some(message_bytes))
        .accept_unmasked_frames(false);
    let stream = Metered {
        stream,
        since: 0,
        max: message_bytes as u64 + FRAMING_BYTES,
    };
    WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await
}

pub(crate) fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// Counts the bytes that came since the last message.
pub(crate) struct Metered<S> {
    stream: S,
    since: u64,
    max: u64,
}

impl<S> Metered<S> {
    /// A message has come whole.
    pub(crate) fn begin_message(&mut self) {
        self.since = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.since > self.max {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.since += (buffer.filled().len() - before) as u64;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
