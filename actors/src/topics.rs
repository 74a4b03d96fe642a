//! Who is on which topic of an app (`app:NAME:…` of the JSON channels), and what they show each
//! other there.
//!
//! Owns: the clients of this node on each topic, and who is shown there, here and on other nodes.
//! Does not own: how that gets from node to node (`replica` does, like all presence), nor what
//! frames mean. A broadcast is written once by whoever pushes it: the same bytes go to every
//! client here, and once to every other node. It is a hint like all that is not kept: it may be
//! lost, and never comes twice. On one node everybody hears the same order.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klatsch_protocol::channels::{AppRefusal, Crowd, CrowdState, Outgoing, Shown};
use klatsch_protocol::jid::FullJid;

use crate::metrics;
use crate::peers::Peers;
use crate::presence_shard::shard_of;
use crate::world::now;

/// What topics of apps begin with; in front of it stands whose they are, if they are not
/// everybody's.
const APP: &str = "app:";

/// By what a topic is known here: topics of organisations that are kept apart are not the same
/// topic (row R14).
#[must_use]
pub fn key(organisation: Option<&str>, topic: &str) -> String {
    match organisation {
        Some(organisation) => format!("{organisation}\n{topic}"),
        None => topic.to_owned(),
    }
}

/// What the clients on a topic call it.
fn name_of(key: &str) -> &str {
    match key.split_once('\n') {
        Some((_, topic)) if !key.starts_with(APP) => topic,
        _ => key,
    }
}

/// Topics are looked up under so many locks.
const SHELVES: usize = 64;

/// A client on topics. It is called while its topic is locked, so it must neither wait nor come
/// back here.
pub trait Subscriber: Send + Sync {
    /// It is on a topic from now on, and who is shown there, if it wants to see that.
    fn entered(&self, topic: &str, state: Option<CrowdState>);

    /// Something was said on a topic.
    fn said(&self, topic: &str, frame: &Outgoing);
}

/// Tells a connection from every other of this node, also from one that has the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubscriberId(u64);

/// What an operator allows on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Topics with clients.
    pub topics_max: usize,
    /// Clients on one topic.
    pub subscribers_max: usize,
}

/// How somebody wants to be on a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What it shows of itself; `None`: it neither is seen nor sees.
    pub shown: Option<Box<str>>,
    /// Whether it hears what it says itself.
    pub hears_itself: bool,
}

/// The topics this node has to do with.
pub struct Topics {
    shelves: Box<[Mutex<Shelf>]>,
    peers: Option<Arc<Peers>>,
    /// Those with clients here.
    count: AtomicUsize,
    next: AtomicU64,
}

type Shelf = HashMap<Box<str>, Topic>;

struct Topic {
    seats: BTreeMap<SubscriberId, Seat>,
    crowd: Crowd,
    present: HashMap<FullJid, Present>,
}

struct Seat {
    subscriber: Arc<dyn Subscriber>,
    sees: bool,
    hears_itself: bool,
}

/// What is shown of somebody, by a connection here and by another node. Both only while a client
/// moves; what is later counts.
#[derive(Default)]
struct Present {
    here: Option<(SubscriberId, Shown)>,
    there: Option<Shown>,
}

impl Present {
    fn visible(&self) -> Option<&Shown> {
        let here = self.here.as_ref().map(|(_, shown)| shown);
        here.into_iter()
            .chain(&self.there)
            .max_by_key(|shown| shown.version)
    }
}

impl Topics {
    /// Nobody is on any topic.
    pub fn new(peers: Option<Arc<Peers>>) -> Self {
        Self {
            shelves: (0..SHELVES).map(|_| Mutex::default()).collect(),
            peers,
            count: AtomicUsize::new(0),
            next: AtomicU64::new(0),
        }
    }

    /// An id for a connection.
    pub fn next_id(&self) -> SubscriberId {
        SubscriberId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Topics with clients of this node.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Lets somebody onto a topic: tells them who is there, and those who are there of them.
    ///
    /// # Errors
    /// The node or the topic is full.
    pub fn enter(
        &self,
        topic: &str,
        (id, who): (SubscriberId, &FullJid),
        subscriber: Arc<dyn Subscriber>,
        wish: Wish,
        limits: Limits,
    ) -> Result<(), AppRefusal> {
        let mut shelf = self.shelf(topic);
        let seats = shelf.get(topic).map_or(0, |topic| topic.seats.len());
        let refusal = match seats {
            0 if self.count() >= limits.topics_max => Some(AppRefusal::Topics),
            seats if seats >= limits.subscribers_max => Some(AppRefusal::Subscribers),
            _ => None,
        };
        if let Some(refusal) = refusal {
            metrics::topic_refused(refusal);
            return Err(refusal);
        }
        let known = shelf
            .entry(topic.into())
            .or_insert_with(|| Topic::new(topic));
        if seats == 0 {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        let state = wish.shown.is_some().then(|| known.crowd.state());
        subscriber.entered(name_of(topic), state);
        let seat = Seat {
            subscriber,
            sees: wish.shown.is_some(),
            hears_itself: wish.hears_itself,
        };
        known.seats.insert(id, seat);
        if let Some(fields) = wish.shown {
            let shown = known.show(topic, (id, who), fields);
            self.tell_nodes(topic, who, Some(&shown));
        }
        Ok(())
    }

    /// Somebody is on a topic no longer.
    pub fn leave(&self, topic: &str, (id, who): (SubscriberId, &FullJid)) {
        let mut shelf = self.shelf(topic);
        let Some(known) = shelf.get_mut(topic) else {
            return;
        };
        if known.seats.remove(&id).is_none() {
            return;
        }
        if known.hide_here(topic, (id, who)) {
            self.tell_nodes(topic, who, None);
        }
        if known.seats.is_empty() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        if known.is_empty() {
            shelf.remove(topic);
        }
    }

    /// Somebody who is on a topic shows something else of themself.
    ///
    /// # Errors
    /// They are not shown there.
    pub fn show(
        &self,
        topic: &str,
        (id, who): (SubscriberId, &FullJid),
        fields: Box<str>,
    ) -> Result<(), AppRefusal> {
        let mut shelf = self.shelf(topic);
        let known = shelf.get_mut(topic);
        let known = known.filter(|topic| topic.seats.get(&id).is_some_and(|seat| seat.sees));
        let Some(known) = known else {
            return Err(AppRefusal::NotShown);
        };
        let shown = known.show(topic, (id, who), fields);
        self.tell_nodes(topic, who, Some(&shown));
        Ok(())
    }

    /// Somebody here says something to everybody on a topic, on all nodes.
    pub fn say(&self, topic: &str, from: SubscriberId, frame: &Outgoing) {
        metrics::topic_broadcast();
        self.say_here(topic, Some(from), frame);
        if let Some(peers) = &self.peers {
            peers.broadcast(topic, frame);
        }
    }

    /// Somebody on another node has said something.
    pub(crate) fn said_elsewhere(&self, topic: &str, frame: &Outgoing) {
        self.say_here(topic, None, frame);
    }

    /// What another node shows of somebody on a topic has changed.
    pub(crate) fn shown_elsewhere(&self, topic: &str, who: &FullJid, shown: Option<Shown>) {
        let mut shelf = self.shelf(topic);
        if shown.is_none() && !shelf.contains_key(topic) {
            return;
        }
        let known = shelf
            .entry(topic.into())
            .or_insert_with(|| Topic::new(topic));
        known.change(topic, who, |present| present.there = shown);
        if known.is_empty() {
            shelf.remove(topic);
        }
    }

    fn say_here(&self, topic: &str, from: Option<SubscriberId>, frame: &Outgoing) {
        let shelf = self.shelf(topic);
        let Some(known) = shelf.get(topic) else {
            return;
        };
        let hears = |(id, seat): &(&SubscriberId, &Seat)| seat.hears_itself || Some(**id) != from;
        let mut count = 0;
        for (_, seat) in known.seats.iter().filter(hears) {
            seat.subscriber.said(name_of(topic), frame);
            count += 1;
        }
        metrics::topic_deliveries(count);
    }

    fn tell_nodes(&self, topic: &str, who: &FullJid, shown: Option<&Shown>) {
        if let Some(replica) = self.peers.as_ref().and_then(|peers| peers.replica()) {
            replica.on_topic(topic, who, shown);
        }
    }

    fn shelf(&self, topic: &str) -> MutexGuard<'_, Shelf> {
        let at = usize::from(shard_of(topic)) % SHELVES;
        self.shelves[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topic {
    fn new(topic: &str) -> Self {
        Self {
            seats: BTreeMap::new(),
            crowd: Crowd::new(name_of(topic)),
            present: HashMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.present.is_empty()
    }

    /// Shows something in a version behind all that were shown of this device.
    fn show(
        &mut self,
        topic: &str,
        (id, who): (SubscriberId, &FullJid),
        fields: Box<str>,
    ) -> Shown {
        let before = self.present.get(who).and_then(Present::visible);
        let before = before.map(|shown| shown.version);
        let clock = u64::try_from(now().0).unwrap_or(0);
        let shown = Shown {
            fields,
            version: before.map_or(clock, |before| clock.max(before + 1)),
            before,
        };
        let here = (id, shown.clone());
        self.change(topic, who, |present| present.here = Some(here));
        shown
    }

    /// True: it was this connection that was shown.
    fn hide_here(&mut self, topic: &str, (id, who): (SubscriberId, &FullJid)) -> bool {
        let here = self.present.get(who).and_then(|it| it.here.as_ref());
        if here.is_none_or(|(shown_by, _)| *shown_by != id) {
            return false;
        }
        self.change(topic, who, |present| present.here = None);
        true
    }

    /// Changes what is shown of somebody and tells those who see it.
    fn change(&mut self, topic: &str, who: &FullJid, change: impl FnOnce(&mut Present)) {
        let present = self.present.entry(who.clone()).or_default();
        change(present);
        let news = match present.visible() {
            Some(shown) => self.crowd.show(who, shown),
            None => {
                self.present.remove(who);
                self.crowd.hide(who)
            }
        };
        let Some(news) = news else { return };
        for seat in self.seats.values().filter(|seat| seat.sees) {
            seat.subscriber.said(name_of(topic), &news);
        }
    }
}
