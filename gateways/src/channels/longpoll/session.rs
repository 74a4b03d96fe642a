//! One session of a client that polls: a task that takes its requests in their order.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use klatsch_actors::session::Detach;
use klatsch_protocol::channels::Outgoing;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::table::{ARRIVALS_MAX, Entry, Seat};
use super::{Answer, TRANSPORT};
use crate::channels::ChannelsGateway;
use crate::channels::client::Client;
use crate::channels::line::Closing;
use crate::http::Requester;
use crate::metrics;

/// How long a question waits when there is nothing to say, as in Phoenix.
const WINDOW: Duration = Duration::from_secs(10);

/// Bytes of one answer, unless a single frame has more.
const ANSWER_BYTES: usize = 64 * 1024;

/// A request of the client.
pub(super) enum Arrived {
    /// It asks for frames.
    Poll(oneshot::Sender<Answer>),
    /// It says something; it is told when that has been heard.
    Frames(Vec<Bytes>, oneshot::Sender<()>),
}

/// Begins a session, which ends by itself; its token.
pub(super) fn spawn(
    gateway: &Arc<ChannelsGateway>,
    client: Client,
    seat: Seat,
    requester: Requester,
) -> String {
    let (arrivals, arrived) = mpsc::channel(ARRIVALS_MAX);
    seat.take(Entry {
        arrivals,
        is_encrypted: requester.encrypted,
    });
    let token = seat.token().to_owned();
    let session = Session {
        client,
        seat,
        idle: gateway.settings.idle(),
        frame_bytes_max: gateway.settings.frame_bytes_max,
        waiter: None,
        until: Instant::now() + gateway.settings.idle(),
    };
    tokio::spawn(async move {
        let _open = metrics::Open::new(TRANSPORT);
        session.run(arrived).await;
    });
    token
}

struct Session {
    client: Client,
    seat: Seat,
    idle: Duration,
    frame_bytes_max: usize,
    /// Who waits for frames.
    waiter: Option<oneshot::Sender<Answer>>,
    /// Until then: for frames while somebody waits, for the client while nobody does.
    until: Instant,
}

impl Session {
    async fn run(mut self, mut arrived: mpsc::Receiver<Arrived>) {
        let line = Arc::clone(&self.client.line);
        while self.pump().await {
            self.deliver();
            if line.closing().is_some() && !line.has_frames() {
                break;
            }
            tokio::select! {
                biased;
                arrived = arrived.recv() => match arrived {
                    Some(Arrived::Poll(waiter)) => {
                        self.waiter = Some(waiter);
                        self.until = Instant::now() + WINDOW;
                    }
                    Some(Arrived::Frames(frames, done)) => {
                        if self.waiter.is_none() {
                            self.until = Instant::now() + self.idle;
                        }
                        self.hear(frames).await;
                        // A client that has gone does not mind.
                        let _ = done.send(());
                    }
                    None => break,
                },
                () = line.changed() => {}
                () = sleep_until(self.until) => match self.waiter.take() {
                    Some(waiter) => self.answer(waiter, 204, Vec::new()),
                    // The client is gone.
                    None => break,
                },
            }
        }
        line.seal(Closing::GoingAway);
        line.leave_topics();
        if let Some(waiter) = self.waiter.take() {
            let _ = waiter.send(Answer::failed());
        }
        self.client.hold.release(Detach::Closed);
    }

    /// Hands over what the session is to hear; false: it is gone.
    async fn pump(&mut self) -> bool {
        while let Some(errand) = self.client.line.take_errand() {
            if !self.client.hold.session().inbound(errand).await {
                return false;
            }
        }
        true
    }

    async fn hear(&mut self, frames: Vec<Bytes>) {
        for frame in frames {
            metrics::received(TRANSPORT, frame.len());
            self.client.count(frame.len());
            let now = || Instant::now().into_std();
            while let Some(wait) = self.client.pace.as_mut().and_then(|pace| pace.wait(now)) {
                sleep(wait).await;
            }
            if let Some(rest) = self.client.strain.reader_rest() {
                sleep(rest).await;
            }
            self.hear_one(&frame);
            if !self.pump().await {
                return;
            }
        }
    }

    /// A text frame begins with a bracket; anything else is a binary one in Base64.
    fn hear_one(&self, frame: &Bytes) {
        let line = &self.client.line;
        let text = str::from_utf8(frame).ok();
        match text {
            _ if frame.len() > self.frame_bytes_max => line.refuse("the frame is too large"),
            Some(text) if text.starts_with('[') => line.hear_text(text),
            Some(text) => match STANDARD.decode(text.trim()) {
                Ok(bytes) => line.hear_binary(&bytes.into()),
                Err(_) => line.refuse("malformed frame: neither an array nor Base64"),
            },
            None => line.refuse("malformed frame: not UTF-8"),
        }
    }

    /// Gives what there is to who waits for it.
    fn deliver(&mut self) {
        if self.waiter.as_ref().is_some_and(oneshot::Sender::is_closed) {
            // Its connection has gone; it asks again.
            self.waiter = None;
            self.until = Instant::now() + self.idle;
        }
        if !self.client.line.has_frames() {
            return;
        }
        let Some(waiter) = self.waiter.take() else {
            return;
        };
        let frames = self.client.line.take_frames(ANSWER_BYTES);
        let texts = frames.into_iter().filter_map(|frame| match frame {
            Outgoing::Text(text) => Some(text),
            Outgoing::Binary(_) => None,
        });
        self.answer(waiter, 200, texts.collect());
        if self.client.line.has_drained() {
            self.client.hold.session().writable();
        }
    }

    fn answer(&mut self, waiter: oneshot::Sender<Answer>, status: u16, messages: Vec<Bytes>) {
        self.until = Instant::now() + self.idle;
        // A client that has gone in this moment misses it, as from a socket that breaks.
        let _ = waiter.send(Answer::messages(status, self.seat.token(), messages));
    }
}
