//! What goes out of a session: news from the outbox into the answers that requests wait for.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use klatsch_actors::strain::{Charge, Queue, Strain};
use klatsch_protocol::stream::bosh::{
    Condition, is_stream_error, wrap, wrap_end, wrap_nothing, wrap_refusal,
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until};

use super::arrived::Load;
use super::table::Entry;
use super::window::Window;
use crate::xmpp::outbox::Outbox;

/// Bytes of one answer, unless a single stanza has more: what is kept for a repeated request
/// is a few of these.
const ANSWER_BYTES: usize = 64 * 1024;

/// Who waits for an answer, on its seat.
pub(super) struct Waiter {
    answer: oneshot::Sender<(u16, Bytes)>,
    _seat: OwnedSemaphorePermit,
}

impl Waiter {
    pub(super) fn new(answer: oneshot::Sender<(u16, Bytes)>, seat: OwnedSemaphorePermit) -> Self {
        Self {
            answer,
            _seat: seat,
        }
    }

    pub(super) fn tell(self, status: u16, body: impl Into<Bytes>) {
        // A client that has gone asks again (XEP-0124 §14.3).
        let _ = self.answer.send((status, body.into()));
    }
}

/// The way to the client.
pub(super) struct Line {
    pub(super) window: Window<Load, Waiter>,
    pub(super) outbox: Arc<Outbox>,
    entry: Arc<Entry>,
    /// What the first answer says of the session.
    greeting: Vec<(&'static str, String)>,
    kept: Charge,
    is_over: bool,
}

impl Line {
    pub(super) fn new(
        window: Window<Load, Waiter>,
        outbox: Arc<Outbox>,
        entry: Arc<Entry>,
        greeting: Vec<(&'static str, String)>,
        strain: Arc<Strain>,
    ) -> Self {
        Self {
            window,
            outbox,
            entry,
            greeting,
            kept: Charge::new(strain, Queue::Outbound),
            is_over: false,
        }
    }

    /// Tells whether the client knows that the session has ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Answers what can or must be answered; tells whether the session may go on writing.
    pub(super) fn deliver(&mut self) -> bool {
        let mut has_drained = false;
        loop {
            if self.outbox.is_closing() && self.window.is_listened_to() {
                self.end(None);
                return false;
            }
            let now = Instant::now();
            let Some(has_news) = self.window.due(!self.outbox.is_empty(), now) else {
                return has_drained;
            };
            let (news, drained) = match has_news {
                true => self.outbox.take(ANSWER_BYTES),
                false => (Vec::new(), false),
            };
            has_drained |= drained;
            let body: Bytes = wrap(&self.attributes(), &news).into();
            if let Some(waiter) = self.window.answer(body.clone(), has_news, now) {
                waiter.tell(200, body);
            }
            self.kept.set(self.window.kept_bytes());
        }
    }

    /// What the next answer says of the session; the first one's acknowledgement is in the
    /// greeting (XEP-0124 §9.1).
    fn attributes(&mut self) -> Vec<(&'static str, String)> {
        let mut attributes = std::mem::take(&mut self.greeting);
        if attributes.is_empty()
            && let Some(ack) = self.window.ack()
        {
            attributes.push(("ack", ack.to_string()));
        }
        attributes
    }

    /// Ends the session for everybody who waits. Without a condition it ends as the client
    /// wanted it, or with the error that waits in the outbox (§13, §17.2, XEP-0206 §6).
    pub(super) fn end(&mut self, condition: Option<Condition>) {
        let (last_words, _) = self.outbox.take(usize::MAX);
        let is_error = last_words
            .last()
            .is_some_and(|it| is_stream_error(it.as_ref()));
        let condition = condition.or(is_error.then_some(Condition::RemoteStreamError));
        let mut waiters = self.window.end().into_iter();
        if let Some(first) = waiters.next() {
            first.tell(
                self.entry.status(condition),
                wrap_end(condition, &last_words),
            );
        }
        self.dismiss(waiters, condition);
    }

    /// Ends the session because of a request that does not belong to it.
    pub(super) fn end_by(&mut self, waiter: Waiter, condition: Condition) {
        let status = self.entry.status(Some(condition));
        waiter.tell(status, wrap_refusal(condition));
        let waiters = self.window.end();
        self.dismiss(waiters.into_iter(), Some(condition));
    }

    fn dismiss(&mut self, waiters: impl Iterator<Item = Waiter>, why: Option<Condition>) {
        for waiter in waiters {
            let body = match why {
                Some(_) => wrap_refusal(Condition::OtherRequest),
                None => wrap_nothing(&[]),
            };
            waiter.tell(200, body);
        }
        self.outbox.seal();
        self.is_over = true;
    }

    /// Waits until somebody who waited has gone.
    pub(super) async fn gone(&mut self) {
        poll_fn(|context| {
            let mut has_gone = false;
            for (waiter, is_gone) in self.window.waiters() {
                if !*is_gone && waiter.answer.poll_closed(context).is_ready() {
                    *is_gone = true;
                    has_gone = true;
                }
            }
            match has_gone {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        self.window.note_gone(Instant::now());
    }

    /// Answers what is due while something else is awaited, and says when a session may go on.
    pub(super) async fn deliver_while<T>(
        &mut self,
        work: impl Future<Output = T>,
        drained: impl Fn(),
    ) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            if self.deliver() {
                drained();
            }
            let until = self.window.answer_until();
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.outbox.changed() => {}
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
            }
        }
    }
}
