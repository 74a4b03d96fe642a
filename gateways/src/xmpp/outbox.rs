//! Elements on their way to a client that gets them one by one, over WebSocket or BOSH, bounded
//! by bytes.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klatsch_actors::session::{Pressure, Sink};
use klatsch_actors::strain::{self, Charge, Strain};
use klatsch_protocol::jid::Jid;
use klatsch_protocol::stanza::{Stanza, StreamCondition, StreamError};
use klatsch_protocol::stream::Transport;
use klatsch_protocol::stream::closing::{closing, render_element};
use klatsch_protocol::xml::Element;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::listener::Limits;
use crate::metrics;

/// What waits for one client.
pub(super) struct Outbox {
    transport: Transport,
    queue: Mutex<Queue>,
    changed: Notify,
    soft_bytes: usize,
    bytes_max: usize,
    is_trusted: bool,
}

struct Queue {
    frames: VecDeque<Utf8Bytes>,
    // The bytes in them, as the node counts them.
    waiting: Charge,
    is_closing: bool,
    // Somebody was told that too much waits.
    is_pressed: bool,
}

/// What the connection is to do next.
pub(super) enum Outgoing {
    Frame(Utf8Bytes),
    /// Everything was taken, and nothing more will come.
    Closing,
}

impl Outbox {
    pub(super) fn new(
        transport: Transport,
        client: IpAddr,
        limits: &Limits,
        strain: Arc<Strain>,
    ) -> Self {
        let queue = Queue {
            frames: VecDeque::new(),
            waiting: Charge::new(strain, strain::Queue::Outbound),
            is_closing: false,
            is_pressed: false,
        };
        Self {
            transport,
            queue: Mutex::new(queue),
            changed: Notify::new(),
            soft_bytes: limits.send_queue_soft_bytes,
            bytes_max: limits.send_queue_bytes_max,
            is_trusted: limits.trusts(client),
        }
    }

    /// Adds a frame.
    pub(super) fn push(&self, frame: &[u8]) -> Pressure {
        let pressure = self.add(frame);
        if pressure.is_none() {
            // The client reads too slowly for what it asked for. Everything worth keeping is in
            // its log; it catches up when it comes back.
            self.close(Some(StreamError::new(StreamCondition::PolicyViolation)));
        }
        pressure.unwrap_or(Pressure::Closed)
    }

    /// The next frame to send; cancelling loses none.
    pub(super) async fn next(&self) -> Outgoing {
        loop {
            {
                let mut queue = self.lock();
                if let Some(frame) = queue.frames.pop_front() {
                    let left = queue.bytes() - frame.len();
                    queue.count(left);
                    if queue.frames.is_empty() {
                        queue.frames = VecDeque::new();
                    }
                    return Outgoing::Frame(frame);
                }
                if queue.is_closing {
                    return Outgoing::Closing;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Frames of at most so many bytes together, but one at least if there is one; tells also
    /// whether somebody held back and may go on.
    pub(super) fn take(&self, bytes_max: usize) -> (Vec<Utf8Bytes>, bool) {
        let mut queue = self.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(frame) = queue.frames.front() {
            bytes += frame.len();
            if !taken.is_empty() && bytes > bytes_max {
                break;
            }
            let left = queue.bytes() - frame.len();
            taken.extend(queue.frames.pop_front());
            queue.count(left);
        }
        let is_empty = queue.frames.is_empty();
        if is_empty {
            queue.frames = VecDeque::new();
        }
        (taken, is_empty && std::mem::take(&mut queue.is_pressed))
    }

    /// Waits until something was added, or the end was. One at a time may wait.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Tells whether nothing more will come.
    pub(super) fn is_closing(&self) -> bool {
        self.lock().is_closing
    }

    /// Takes nothing more; what waits is still sent.
    pub(super) fn seal(&self) {
        self.lock().is_closing = true;
        self.changed.notify_one();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().frames.is_empty()
    }

    /// `None`: more would wait than may.
    fn add(&self, frame: &[u8]) -> Option<Pressure> {
        let mut queue = self.lock();
        if queue.is_closing {
            return Some(Pressure::Closed);
        }
        if queue.bytes() + frame.len() > self.bytes_max {
            return None;
        }
        queue.add(frame);
        self.changed.notify_one();
        Some(if queue.bytes() > self.soft_bytes {
            queue.is_pressed = true;
            Pressure::Queued(queue.bytes())
        } else {
            Pressure::Free
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn bytes(&self) -> usize {
        self.waiting.bytes()
    }

    fn count(&mut self, bytes: usize) {
        self.waiting.set(bytes);
    }

    fn add(&mut self, frame: &[u8]) {
        // Our writer writes UTF-8 only; a frame that were not would be no text frame.
        let Ok(frame) = Utf8Bytes::try_from(frame.to_vec()) else {
            debug_assert!(false, "frames are UTF-8");
            return;
        };
        self.count(self.bytes() + frame.len());
        self.frames.push_back(frame);
    }
}

impl Sink for Outbox {
    fn stanza(&self, stanza: &Stanza) -> Pressure {
        let mut frame = Vec::new();
        stanza.write_framed(&mut frame);
        self.push(&frame)
    }

    fn stanza_to(&self, stanza: &Stanza, to: &Jid) -> Pressure {
        let mut frame = Vec::new();
        stanza.write_framed_to(&mut frame, to);
        self.push(&frame)
    }

    fn nonza(&self, element: &Element) -> Pressure {
        self.push(&render_element(self.transport, element))
    }

    fn close(&self, error: Option<StreamError>) {
        let mut queue = self.lock();
        if queue.is_closing {
            return;
        }
        if let Some(error) = &error {
            metrics::stream_error(error.condition.as_str());
        }
        for frame in closing(self.transport, error.as_ref()) {
            queue.add(&frame);
        }
        queue.is_closing = true;
        self.changed.notify_one();
    }

    fn queued(&self) -> usize {
        self.lock().bytes()
    }

    fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    fn cut(&self) {
        let mut queue = self.lock();
        queue.frames = VecDeque::new();
        queue.count(0);
        // A WebSocket just closes; over BOSH the client has to be told by an answer.
        if self.transport == Transport::Bosh && !queue.is_closing {
            let error = StreamError::new(StreamCondition::ResourceConstraint);
            for frame in closing(self.transport, Some(&error)) {
                queue.add(&frame);
            }
        }
        queue.is_closing = true;
        self.changed.notify_one();
    }
}
