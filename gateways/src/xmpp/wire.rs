//! The bytes of one connection, under its lock: TLS if there is any, and what waits to be sent.
//!
//! Nothing here blocks or awaits. TLS is driven by hand over `try_read` and `try_write`, so
//! that whoever has something to send can send it without a writer task.

use std::io::{self, ErrorKind, Read, Write};

use klatsch_actors::strain::Charge;
use rustls::ServerConnection;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::buffer::READ_BYTES;

/// One side of the lock in `Connection`.
pub(crate) struct Wire {
    pub(crate) tls: Option<Box<ServerConnection>>,
    pub(crate) state: State,
    /// Somebody was told that too much waits, and wants to hear when it is gone.
    pub(crate) is_pressed: bool,
    pending: Vec<u8>,
    sent: usize,
    // What waits, as the node counts it.
    waiting: Charge,
}

/// How far a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// The last bytes wait to be sent; nothing is added.
    Closing,
    /// The socket failed.
    Dead,
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The peer sends no more.
    End,
}

impl Wire {
    pub(crate) fn new(waiting: Charge) -> Self {
        Self {
            waiting,
            tls: None,
            state: State::Open,
            is_pressed: false,
            pending: Vec::new(),
            sent: 0,
        }
    }

    /// Bytes that wait, before encryption.
    pub(crate) fn queued(&self) -> usize {
        self.pending.len() - self.sent
    }

    /// Tells whether something has not gone to the kernel yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.queued() > 0 || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Adds bytes to what waits.
    pub(crate) fn queue(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Sends what the kernel takes now.
    pub(crate) fn flush(&mut self, tcp: &TcpStream) -> io::Result<()> {
        self.sent += write_some(&mut self.tls, tcp, &self.pending[self.sent..])?;
        if self.sent == self.pending.len() {
            // The memory goes with the bytes: slow moments are rare, connections are many.
            self.pending = Vec::new();
            self.sent = 0;
        } else if self.sent > self.pending.len() / 2 {
            self.pending.drain(..self.sent);
            self.sent = 0;
        }
        self.waiting.set(self.pending.len());
        Ok(())
    }

    /// Sends nothing more, and gives back the memory of what waits.
    pub(crate) fn cut(&mut self) {
        self.state = State::Dead;
        self.pending = Vec::new();
        self.sent = 0;
        self.waiting.set(0);
    }

    /// Reads at most one buffer.
    pub(crate) fn receive(&mut self, tcp: &TcpStream, into: &mut [u8]) -> io::Result<Received> {
        let Some(tls) = &mut self.tls else {
            return received(read_now(tcp, into));
        };
        loop {
            match received(tls.reader().read(into)) {
                Ok(Received::Nothing) => {}
                // Many clients close TCP without a close_notify; the stream's own footer tells
                // whether they meant it, so that truncation gains an attacker nothing.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Received::End),
                found => return found,
            }
            match received(tls.read_tls(&mut TryIo(tcp)))? {
                Received::Nothing => return Ok(Received::Nothing),
                Received::Bytes(_) | Received::End => process(tls, tcp)?,
            }
        }
    }

    /// Takes one step of a handshake: reads what is there, computes, answers.
    pub(crate) fn handshake_step(&mut self, tcp: &TcpStream) -> io::Result<Handshake> {
        let Some(tls) = &mut self.tls else {
            return Ok(Handshake::Done);
        };
        let found = received(tls.read_tls(&mut TryIo(tcp)))?;
        if found == Received::End {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if found != Received::Nothing {
            process(tls, tcp)?;
        }
        write_tls(tls, tcp)?;
        Ok(match (tls.is_handshaking(), tls.wants_write(), found) {
            (_, true, _) => Handshake::WaitsForRoom,
            (false, false, _) => Handshake::Done,
            (true, false, Received::Nothing) => Handshake::WaitsForPeer,
            (true, false, _) => Handshake::Again,
        })
    }

    /// Says goodbye on the TLS layer, once everything is flushed.
    pub(crate) fn close_notify(&mut self, tcp: &TcpStream) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // The peer may be gone already; then nobody misses the alert.
            let _ = write_tls(tls, tcp);
        }
    }
}

/// What a handshake waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    Done,
    Again,
    WaitsForPeer,
    WaitsForRoom,
}

/// Lets rustls look at what was read; its answer to a protocol error is an alert.
fn process(tls: &mut ServerConnection, tcp: &TcpStream) -> io::Result<()> {
    let processed = tls.process_new_packets();
    let written = write_tls(tls, tcp);
    processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    written.map(drop)
}

/// Gives the kernel, through TLS if there is any, as much as it takes.
fn write_some(
    tls: &mut Option<Box<ServerConnection>>,
    tcp: &TcpStream,
    bytes: &[u8],
) -> io::Result<usize> {
    let mut taken = 0;
    let Some(tls) = tls else {
        while taken < bytes.len() {
            match received(tcp.try_write(&bytes[taken..]))? {
                Received::Bytes(count) => taken += count,
                Received::Nothing => break,
                Received::End => return Err(ErrorKind::WriteZero.into()),
            }
        }
        return Ok(taken);
    };
    loop {
        // At most one record waits encrypted; the rest is counted and bounded as plaintext.
        if !write_tls(tls, tcp)? || taken == bytes.len() {
            return Ok(taken);
        }
        let end = bytes.len().min(taken + READ_BYTES);
        taken += tls.writer().write(&bytes[taken..end])?;
    }
}

/// Sends the records that are ready; tells whether all went.
fn write_tls(tls: &mut ServerConnection, tcp: &TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match received(tls.write_tls(&mut TryIo(tcp)))? {
            Received::Bytes(_) => {}
            Received::Nothing => return Ok(false),
            Received::End => return Err(ErrorKind::WriteZero.into()),
        }
    }
    Ok(true)
}

fn received(result: io::Result<usize>) -> io::Result<Received> {
    match result {
        Ok(0) => Ok(Received::End),
        Ok(count) => Ok(Received::Bytes(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Received::Nothing),
        Err(error) => Err(error),
    }
}

/// Reads what is there. A read that leaves room has emptied the socket, so it is known without
/// asking the kernel again that there is nothing more until the next event; an event that comes
/// in between is not lost, because only the readiness that was seen before is taken back.
fn read_now(tcp: &TcpStream, into: &mut [u8]) -> io::Result<usize> {
    let room = into.len();
    let mut last = None;
    let outcome = tcp.try_io(Interest::READABLE, || {
        match rustix::io::read(tcp, &mut *into) {
            Ok(count) if count > 0 && count < room => {
                last = Some(count);
                Err(ErrorKind::WouldBlock.into())
            }
            Ok(count) => Ok(count),
            Err(error) => Err(error.into()),
        }
    });
    last.map_or(outcome, Ok)
}

/// The socket as rustls wants it.
struct TryIo<'a>(&'a TcpStream);

impl Read for TryIo<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_now(self.0, into)
    }
}

impl Write for TryIo<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
