//! A connection as its reader task and everyone who sends on it share it.
//!
//! There is one task for each connection, the reader, and no writer. What is sent waits here,
//! counted, until the reader has its turn, which is as soon as whoever sends pauses: so what
//! belongs together goes to the kernel together, and a page of an archive is one call and not
//! fifty. Knows nothing of XMPP.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use klatsch_actors::strain::{Charge, Queue, Strain};
use klatsch_protocol::sasl::ChannelBindings;
use klatsch_protocol::xml::Tokenizer;
use rustls::ServerConnection;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::buffer::with_read_buffer;
pub(crate) use super::wire::Received;
use super::wire::{Handshake, State, Wire};
use crate::listener::Limits;
use crate::metrics;
use crate::tls::{HandshakeTurns, Identity, channel_binding};

/// One socket, plain or with TLS.
pub struct Connection {
    tcp: TcpStream,
    peer: SocketAddr,
    wire: Mutex<Wire>,
    // Wakes the reader: bytes wait for room, or the connection is to close.
    changed: Notify,
    soft_bytes: usize,
    bytes_max: usize,
    is_trusted: bool,
}

/// What became of bytes to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Gone, or within what may wait.
    Taken,
    /// So many bytes wait; the sender should hold back.
    Queued(usize),
    /// More would wait than may; nothing was taken.
    Overflow,
    /// Nothing can be sent any more.
    Closed,
}

/// Why the reader was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Readable,
    /// What waited has been sent; the session may have held back.
    Drained,
    Closing,
}

/// So much goes to the kernel at once, without waiting for the reader's turn: one record of TLS.
const SEND_BYTES: usize = 16 * 1024;

/// What a closing connection still reads.
const LAST_BYTES_MAX: usize = 512 * 1024;

impl Connection {
    /// Takes an accepted socket.
    pub fn new(tcp: TcpStream, peer: SocketAddr, limits: &Limits, strain: Arc<Strain>) -> Self {
        Self {
            tcp,
            peer,
            wire: Mutex::new(Wire::new(Charge::new(strain, Queue::Outbound))),
            changed: Notify::new(),
            soft_bytes: limits.send_queue_soft_bytes,
            bytes_max: limits.send_queue_bytes_max,
            is_trusted: limits.trusts(peer.ip()),
        }
    }

    /// Tells whether the other end is where no rate applies.
    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes the kernel has not taken yet.
    pub fn queued(&self) -> usize {
        self.lock().queued()
    }

    /// Sends bytes, together with what else is sent about now.
    pub fn send(&self, bytes: &[u8]) -> Sent {
        let mut wire = self.lock();
        if wire.state != State::Open {
            return Sent::Closed;
        }
        if wire.queued() + bytes.len() > self.bytes_max {
            return Sent::Overflow;
        }
        let waited = wire.is_waiting();
        wire.queue(bytes);
        if wire.queued() >= SEND_BYTES && wire.flush(&self.tcp).is_err() {
            wire.state = State::Dead;
            self.changed.notify_one();
            return Sent::Closed;
        }
        if !waited && wire.is_waiting() {
            self.changed.notify_one();
        }
        match wire.queued() {
            queued if queued > self.soft_bytes => {
                wire.is_pressed = true;
                Sent::Queued(queued)
            }
            _ => Sent::Taken,
        }
    }

    /// Sends the last bytes and closes when they are gone; later sends are refused.
    pub fn end(&self, last: &[u8]) {
        let mut wire = self.lock();
        if wire.state == State::Open {
            wire.queue(last);
            wire.state = match wire.flush(&self.tcp) {
                Ok(()) => State::Closing,
                Err(_) => State::Dead,
            };
            self.changed.notify_one();
        }
    }

    /// Closes at once: what waits is not sent, and its memory goes now.
    pub(crate) fn abandon(&self) {
        self.lock().cut();
        self.changed.notify_one();
    }

    /// Waits until there is something to do, sending what waits in the meantime.
    pub(crate) async fn wake(&self) -> io::Result<Wake> {
        loop {
            let (state, waits, is_unread) = {
                let mut wire = self.lock();
                let is_unread = std::mem::take(&mut wire.is_unread);
                (wire.state, wire.is_waiting(), is_unread)
            };
            match state {
                State::Open => {}
                State::Closing => return Ok(Wake::Closing),
                State::Dead => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
            if is_unread {
                return Ok(Wake::Readable);
            }
            let interest = if waits {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            tokio::select! {
                ready = self.tcp.ready(interest) => {
                    let ready = ready?;
                    if waits && ready.is_writable() && self.flush()? {
                        return Ok(Wake::Drained);
                    }
                    if ready.is_readable() {
                        return Ok(Wake::Readable);
                    }
                }
                () = self.changed.notified() => {}
            }
        }
    }

    /// Sends what waits while something else is awaited, and says when a session may go on.
    pub(crate) async fn flush_while<T>(
        &self,
        work: impl Future<Output = T>,
        drained: impl Fn(),
    ) -> T {
        let mut work = std::pin::pin!(work);
        match self.flush_until_closing(&mut work, drained).await {
            Some(done) => done,
            None => work.await,
        }
    }

    /// The same, but `None` as soon as the connection is to close or has failed: the reader
    /// meets that when it comes back to the socket.
    pub(crate) async fn flush_until_closing<T>(
        &self,
        work: impl Future<Output = T>,
        drained: impl Fn(),
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let waits = self.lock().is_waiting();
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                ready = self.tcp.writable(), if waits => {
                    match ready.and_then(|()| self.flush()) {
                        Ok(true) => drained(),
                        Ok(false) => {}
                        Err(_) => return None,
                    }
                }
                () = self.changed.notified() => {
                    // A close that comes meanwhile is the reader's: leave it its wake-up.
                    if self.lock().state != State::Open {
                        self.changed.notify_one();
                        return None;
                    }
                }
            }
        }
    }

    /// Sends what the kernel takes; tells whether all of it is gone and somebody holds back.
    fn flush(&self) -> io::Result<bool> {
        let mut wire = self.lock();
        wire.flush(&self.tcp)?;
        Ok(!wire.is_waiting() && std::mem::take(&mut wire.is_pressed))
    }

    /// Reads at most one buffer and shows it to `take`.
    pub(crate) fn receive(&self, take: impl FnOnce(&[u8])) -> io::Result<Received> {
        with_read_buffer(|buffer| {
            let received = self.lock().receive(&self.tcp, buffer)?;
            if let Received::Bytes(count) = received {
                take(&buffer[..count]);
            }
            Ok(received)
        })
    }

    /// Reads at most one buffer into a tokenizer.
    pub(crate) fn receive_into(
        &self,
        tokenizer: &mut Tokenizer,
        transport: &'static str,
    ) -> io::Result<Received> {
        let received = self.receive(|bytes| tokenizer.push(bytes))?;
        if let Received::Bytes(count) = received {
            metrics::received(transport, count);
        }
        Ok(received)
    }

    /// Starts TLS in place and finishes the handshake (RFC 6120 §5.4.3). The caller has made
    /// sure that nothing read before the handshake is left (row A01), and sets the deadline.
    pub(crate) async fn start_tls(
        &self,
        identity: &Identity,
        turns: &HandshakeTurns,
    ) -> io::Result<ChannelBindings> {
        let tls = ServerConnection::new(Arc::clone(&identity.xmpp)).map_err(io::Error::other)?;
        // What was said in the clear, that the handshake may begin, goes in the clear.
        self.flush_all().await?;
        self.lock().tls = Some(Box::new(tls));
        let mut next = Handshake::WaitsForPeer;
        loop {
            match next {
                Handshake::Done => break,
                Handshake::Again => {}
                Handshake::WaitsForPeer => self.tcp.readable().await?,
                Handshake::WaitsForRoom => self.tcp.writable().await?,
            }
            let _turn = turns.turn().await;
            next = self.lock().handshake_step(&self.tcp)?;
        }
        // The client's first words may have come with the end of its handshake; the socket
        // will say nothing about them any more.
        self.lock().is_unread = true;
        Ok(ChannelBindings {
            exporter: self
                .lock()
                .tls
                .as_deref()
                .and_then(channel_binding::exporter),
            server_end_point: identity.end_point.clone(),
        })
    }

    /// Sends what is left, at most `patience` long, closes our side and waits until the peer
    /// has closed its own or `enough` has come.
    pub(crate) async fn finish(&self, patience: Duration, enough: impl Future<Output = ()>) {
        if !matches!(timeout(patience, self.send_the_rest()).await, Ok(Ok(()))) {
            return;
        }
        tokio::select! {
            // However the peer closes, it is gone.
            _ = self.read_the_rest() => {}
            () = enough => {}
        }
    }

    async fn flush_all(&self) -> io::Result<()> {
        while self.lock().is_waiting() {
            self.tcp.writable().await?;
            self.flush()?;
        }
        Ok(())
    }

    async fn send_the_rest(&self) -> io::Result<()> {
        self.flush_all().await?;
        self.lock().close_notify(&self.tcp);
        SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write)
    }

    async fn read_the_rest(&self) -> io::Result<()> {
        // Closing with unread bytes would reset the connection and could destroy our last
        // words on their way (RFC 1122 §4.2.2.13), so some of the peer's rest is read and
        // dropped; who sends more than that does not listen.
        let mut left = LAST_BYTES_MAX;
        while left > 0 {
            self.tcp.readable().await?;
            match with_read_buffer(|buffer| self.tcp.try_read(buffer)) {
                Ok(0) => break,
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Wire> {
        // Who panicked while sending left at worst half a stanza, which ends this stream only.
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
