//! Frames on their way to a WebSocket client, bounded by bytes.

use std::collections::VecDeque;
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
    queue: Mutex<Queue>,
    changed: Notify,
    soft_bytes: usize,
    bytes_max: usize,
}

struct Queue {
    frames: VecDeque<Utf8Bytes>,
    // The bytes in them, as the node counts them.
    waiting: Charge,
    is_closing: bool,
}

/// What the connection is to do next.
pub(super) enum Outgoing {
    Frame(Utf8Bytes),
    /// Everything was taken, and nothing more will come.
    Closing,
}

impl Outbox {
    pub(super) fn new(limits: &Limits, strain: Arc<Strain>) -> Self {
        let queue = Queue {
            frames: VecDeque::new(),
            waiting: Charge::new(strain, strain::Queue::Outbound),
            is_closing: false,
        };
        Self {
            queue: Mutex::new(queue),
            changed: Notify::new(),
            soft_bytes: limits.send_queue_soft_bytes,
            bytes_max: limits.send_queue_bytes_max,
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
        self.push(&render_element(Transport::WebSocket, element))
    }

    fn close(&self, error: Option<StreamError>) {
        let mut queue = self.lock();
        if queue.is_closing {
            return;
        }
        if let Some(error) = &error {
            metrics::stream_error(error.condition.as_str());
        }
        for frame in closing(Transport::WebSocket, error.as_ref()) {
            queue.add(&frame);
        }
        queue.is_closing = true;
        self.changed.notify_one();
    }

    fn queued(&self) -> usize {
        self.lock().bytes()
    }

    fn cut(&self) {
        let mut queue = self.lock();
        queue.frames = VecDeque::new();
        queue.count(0);
        queue.is_closing = true;
        self.changed.notify_one();
    }
}
