//! What a session writes to a TCP connection.

use std::cell::RefCell;

use klatsch_actors::session::{Pressure, Sink};
use klatsch_protocol::jid::Jid;
use klatsch_protocol::ns;
use klatsch_protocol::stanza::{Stanza, StreamCondition, StreamError};
use klatsch_protocol::xml::Element;

use super::socket::{Connection, Sent};
use crate::metrics;

/// RFC 6120 §4.4.
pub(crate) const FOOTER: &[u8] = b"</stream:stream>";

thread_local! {
    // Stanzas are rendered here and copied to the kernel or into what waits: an idle
    // connection owns no buffer.
    static RENDERED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A rendered stanza that left more capacity than this behind was a rare one.
const KEEP_BYTES: usize = 64 * 1024;

impl Connection {
    /// Sends what is written, unless too much waits already.
    pub(super) fn offer(&self, write: impl FnOnce(&mut Vec<u8>)) -> Pressure {
        let sent = RENDERED.with_borrow_mut(|buffer| {
            write(buffer);
            let sent = self.send(buffer);
            buffer.clear();
            if buffer.capacity() > KEEP_BYTES {
                buffer.shrink_to(KEEP_BYTES);
            }
            sent
        });
        match sent {
            Sent::Taken => Pressure::Free,
            Sent::Queued(bytes) => Pressure::Queued(bytes),
            Sent::Closed => Pressure::Closed,
            Sent::Overflow => Pressure::Full,
        }
    }

    fn render(&self, write: impl FnOnce(&mut Vec<u8>)) -> Pressure {
        let pressure = self.offer(write);
        if pressure != Pressure::Full {
            return pressure;
        }
        // The client reads too slowly for what it asked for. Everything worth keeping is in its
        // log; it catches up when it comes back.
        let error = StreamError::new(StreamCondition::PolicyViolation);
        Sink::close(self, Some(error));
        Pressure::Closed
    }
}

impl Sink for Connection {
    fn stanza(&self, stanza: &Stanza) -> Pressure {
        self.render(|buffer| stanza.write(buffer))
    }

    fn stanza_to(&self, stanza: &Stanza, to: &Jid) -> Pressure {
        self.render(|buffer| stanza.write_to(buffer, to))
    }

    fn nonza(&self, element: &Element) -> Pressure {
        self.render(|buffer| element.write(buffer, ns::CLIENT))
    }

    fn close(&self, error: Option<StreamError>) {
        let mut last = Vec::new();
        if let Some(error) = error {
            metrics::stream_error(error.condition.as_str());
            error.write(&mut last);
        }
        last.extend_from_slice(FOOTER);
        self.end(&last);
    }

    fn queued(&self) -> usize {
        Connection::queued(self)
    }

    fn is_trusted(&self) -> bool {
        Connection::is_trusted(self)
    }

    fn follows_hosts(&self) -> bool {
        true
    }

    fn cut(&self) {
        self.abandon();
    }
}
