//! The requests of one session: taken in the order of their ids, held, and answered in the same
//! order; the last answers are kept, for connections break (XEP-0124 §10 to §14). Pure: knows
//! neither what requests say nor how answers travel.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use klatsch_protocol::stream::bosh::Condition;
use tokio::time::Instant;

use super::terms::Terms;

/// How often in a row a client may send a request again before it is taken for an attempt to
/// poll without end (§14.3).
const REPEATS_MAX: u32 = 16;

/// What the order of a request depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) rid: u64,
    /// The client has the answers up to this one.
    pub(super) ack: Option<u64>,
    pub(super) pause: Option<Duration>,
    pub(super) ends: bool,
    /// It says nothing: it only asks what there is.
    pub(super) is_empty: bool,
}

/// Requests with what they brought (`A`) and who waits for their answers (`W`).
pub(super) struct Window<A, W> {
    terms: Terms,
    /// The id that is taken next.
    next: u64,
    /// What came before its turn.
    early: BTreeMap<u64, Early<A, W>>,
    /// What was taken and is not answered.
    held: VecDeque<Held<W>>,
    /// The last answers.
    sent: VecDeque<(u64, Bytes)>,
    /// How long there may be no request here.
    patience: Duration,
    /// Since when there is none.
    idle_since: Instant,
    last: Option<Last>,
    repeats: u32,
}

struct Early<A, W> {
    place: Place,
    item: A,
    waiter: W,
    arrived: Instant,
}

struct Held<W> {
    rid: u64,
    waiter: W,
    until: Instant,
    /// Its client does not listen any more; it may ask again.
    is_gone: bool,
    pause: Option<Duration>,
}

/// The request that was taken last.
#[derive(Clone, Copy)]
struct Last {
    arrived: Instant,
    is_empty: bool,
    /// Its answer had nothing in it.
    got_nothing: bool,
}

/// What becomes of a request that arrives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival<W> {
    /// It is in its place.
    Placed,
    /// It is here a second time: who waited for the first is told to forget it.
    Again(W),
    /// It was answered already, like this.
    Answered(W, Bytes),
    /// It does not fit, and ends the session.
    Refused(W, Condition),
}

impl<A, W> Window<A, W> {
    /// The window of a session whose first request has this id.
    pub(super) fn new(terms: Terms, rid: u64, now: Instant) -> Self {
        Self {
            patience: terms.inactivity,
            terms,
            next: rid,
            early: BTreeMap::new(),
            held: VecDeque::new(),
            sent: VecDeque::new(),
            idle_since: now,
            last: None,
            repeats: 0,
        }
    }

    /// Puts a request in its place.
    pub(super) fn arrive(&mut self, place: Place, item: A, waiter: W, now: Instant) -> Arrival<W> {
        if place.rid < self.next || self.early.contains_key(&place.rid) {
            return self.repeat(place.rid, waiter, now);
        }
        // §14.2: as many ids as requests may be made at a time; §11: one more to go.
        let width = u64::from(self.terms.requests()) + u64::from(place.is_extra());
        if place.rid - self.next >= width {
            return Arrival::Refused(waiter, Condition::ItemNotFound);
        }
        let early = Early {
            place,
            item,
            waiter,
            arrived: now,
        };
        self.early.insert(place.rid, early);
        Arrival::Placed
    }

    /// §14.3.
    fn repeat(&mut self, rid: u64, waiter: W, now: Instant) -> Arrival<W> {
        self.repeats += 1;
        if self.repeats > REPEATS_MAX {
            return Arrival::Refused(waiter, Condition::PolicyViolation);
        }
        if let Some(early) = self.early.get_mut(&rid) {
            return Arrival::Again(std::mem::replace(&mut early.waiter, waiter));
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.rid == rid) {
            held.is_gone = false;
            held.until = now + self.terms.wait;
            return Arrival::Again(std::mem::replace(&mut held.waiter, waiter));
        }
        match self.sent.iter().find(|(known, _)| *known == rid) {
            Some((_, body)) => {
                self.idle_since = now;
                Arrival::Answered(waiter, body.clone())
            }
            None => Arrival::Refused(waiter, Condition::ItemNotFound),
        }
    }

    /// What the next request in order brought, if that is here; its client may also have come
    /// too often.
    pub(super) fn take(&mut self, now: Instant) -> Option<Result<A, Condition>> {
        let early = self.early.remove(&self.next)?;
        let place = early.place;
        self.next += 1;
        self.repeats = 0;
        // §10: back to normal.
        self.patience = self.terms.inactivity;
        if let Some(ack) = place.ack {
            self.sent.retain(|(rid, _)| *rid > ack);
        }
        let is_too_often = self.is_too_often(&place, early.arrived);
        self.last = Some(Last {
            arrived: early.arrived,
            is_empty: place.is_empty,
            got_nothing: false,
        });
        self.held.push_back(Held {
            rid: place.rid,
            waiter: early.waiter,
            until: now + self.terms.wait,
            is_gone: false,
            pause: place.pause,
        });
        Some(match is_too_often {
            true => Err(Condition::PolicyViolation),
            false => Ok(early.item),
        })
    }

    /// §11 and, for who polls, §12: nothing was said and nothing is due, and yet it asks.
    fn is_too_often(&self, place: &Place, arrived: Instant) -> bool {
        let Some(last) = self.last.filter(|_| place.is_empty) else {
            return false;
        };
        let is_soon = arrived.duration_since(last.arrived) < self.terms.polling;
        let is_needless = match self.terms.polls() {
            true => last.is_empty && last.got_nothing,
            false => self.listening().count() + 1 == self.terms.requests() as usize,
        };
        is_soon && is_needless
    }

    fn listening(&self) -> impl Iterator<Item = &Held<W>> {
        self.held.iter().filter(|held| !held.is_gone)
    }

    /// Tells whether somebody waits for an answer.
    pub(super) fn is_listened_to(&self) -> bool {
        self.listening().next().is_some()
    }

    /// Those who wait, with the mark that says that they do not any more.
    pub(super) fn waiters(&mut self) -> impl Iterator<Item = (&mut W, &mut bool)> {
        self.held
            .iter_mut()
            .map(|held| (&mut held.waiter, &mut held.is_gone))
    }

    /// Notes that somebody has gone.
    pub(super) fn note_gone(&mut self, now: Instant) {
        if !self.is_listened_to() {
            self.idle_since = now;
        }
    }

    /// Tells whether the oldest request is to be answered now, and whether with what there is
    /// to say (true) or empty. `has_news`: there is something to say.
    pub(super) fn due(&self, has_news: bool, now: Instant) -> Option<bool> {
        let front = self.held.front()?;
        // §10: the answer to a pause is empty. Who is gone hears nothing.
        let takes_news = front.pause.is_none() && !front.is_gone;
        let is_due = self.held.len() > self.terms.hold as usize
            || front.until <= now
            || self.held.iter().any(|held| held.pause.is_some())
            // In order: the gone one's answer first, then the one that somebody waits for.
            || (has_news && front.is_gone && self.is_listened_to());
        match has_news && takes_news {
            true => Some(true),
            false => is_due.then_some(false),
        }
    }

    /// What the client is told to have come, with the answer that is given next (§9.1).
    pub(super) fn ack(&self) -> Option<u64> {
        let rid = self.held.front()?.rid;
        let newest = self.next - 1;
        (self.terms.acks && newest != rid).then_some(newest)
    }

    /// The oldest request gets this answer; the one who waits for it is returned.
    pub(super) fn answer(&mut self, body: Bytes, has_news: bool, now: Instant) -> Option<W> {
        let held = self.held.pop_front()?;
        if held.rid + 1 == self.next
            && let Some(last) = &mut self.last
        {
            last.got_nothing = !has_news;
        }
        match held.pause {
            Some(pause) => self.patience = pause.min(self.terms.pause_max),
            None => self.sent.push_back((held.rid, body)),
        }
        while self.sent.len() > self.terms.requests() as usize {
            self.sent.pop_front();
        }
        if !self.is_listened_to() {
            self.idle_since = now;
        }
        Some(held.waiter)
    }

    /// Bytes of answers that are kept.
    pub(super) fn kept_bytes(&self) -> usize {
        self.sent.iter().map(|(_, body)| body.len()).sum()
    }

    /// When a request is to be answered, whatever there is to say.
    pub(super) fn answer_until(&self) -> Option<Instant> {
        self.held.front().map(|held| held.until)
    }

    /// When a client that does not come back has left; none while it is here.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        (!self.is_listened_to()).then(|| self.idle_since + self.patience)
    }

    /// Everybody who waits, those who listen first, in their order.
    pub(super) fn end(&mut self) -> Vec<W> {
        let (gone, mut all): (Vec<_>, Vec<_>) = self.held.drain(..).partition(|held| held.is_gone);
        all.extend(gone);
        let early = std::mem::take(&mut self.early);
        let early = early.into_values().map(|early| early.waiter);
        all.into_iter()
            .map(|held| held.waiter)
            .chain(early)
            .collect()
    }
}

impl Place {
    /// §11: one more request may be made to pause or end the session.
    fn is_extra(&self) -> bool {
        self.pause.is_some() || self.ends
    }
}

#[cfg(test)]
mod tests;
