//! The topics of apps that one connection is on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use klatsch_actors::metrics;
use klatsch_actors::topics::{self, Limits, Subscriber, SubscriberId, Wish};
use klatsch_actors::world::World;
use klatsch_protocol::channels::{AppRefusal, Outgoing};
use klatsch_protocol::facts::Views;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::tenancy;

use crate::listener::{Bucket, Rate};

/// What one connection has to do with topics of apps.
pub(super) struct Membership {
    world: Arc<World>,
    id: SubscriberId,
    jid: FullJid,
    /// Whose topics these are (row R14).
    organisation: Option<Box<str>>,
    limits: Limits,
    rate: Rate,
    state: Mutex<State>,
}

struct State {
    topics: BTreeSet<Box<str>>,
    bucket: Bucket,
    has_ended: bool,
}

impl Membership {
    /// A connection that is on no topic yet.
    pub(super) fn new(world: Arc<World>, jid: FullJid, limits: Limits, rate: Rate) -> Self {
        let book = world.directory.book();
        let organisation = tenancy::side_of(jid.domain(), &world.host, &book);
        Self {
            id: world.topics.next_id(),
            organisation: organisation.map(Into::into),
            world,
            jid,
            limits,
            rate,
            state: Mutex::new(State {
                topics: BTreeSet::new(),
                bucket: Bucket::full(rate, Instant::now()),
                has_ended: false,
            }),
        }
    }

    /// Goes onto a topic, which tells the client.
    pub(super) fn enter(
        &self,
        topic: &str,
        me: Arc<dyn Subscriber>,
        shown: Option<Box<str>>,
        hears_itself: bool,
    ) -> Result<(), AppRefusal> {
        let mut state = self.lock();
        if state.has_ended {
            return Ok(());
        }
        // To show oneself is said to everybody there, like a push.
        if shown.is_some() {
            self.keep_pace(&mut state)?;
        }
        let wish = Wish {
            shown,
            hears_itself,
        };
        let who = (self.id, &self.jid);
        let topic = &*self.key(topic);
        self.world.topics.enter(topic, who, me, wish, self.limits)?;
        state.topics.insert(topic.into());
        Ok(())
    }

    pub(super) fn leave(&self, topic: &str) {
        let topic = &*self.key(topic);
        if self.lock().topics.remove(topic) {
            self.world.topics.leave(topic, (self.id, &self.jid));
        }
    }

    /// Shows something else on a topic.
    pub(super) fn show(&self, topic: &str, fields: Box<str>) -> Result<(), AppRefusal> {
        self.keep_pace(&mut self.lock())?;
        let who = (self.id, &self.jid);
        self.world.topics.show(&self.key(topic), who, fields)
    }

    /// Says something to everybody on a topic.
    pub(super) fn say(&self, topic: &str, frame: &Outgoing) -> Result<(), AppRefusal> {
        self.keep_pace(&mut self.lock())?;
        self.world.topics.say(&self.key(topic), self.id, frame);
        Ok(())
    }

    /// Leaves all topics; there are no more.
    pub(super) fn leave_all(&self) {
        let topics = {
            let mut state = self.lock();
            state.has_ended = true;
            std::mem::take(&mut state.topics)
        };
        for topic in topics {
            self.world.topics.leave(&topic, (self.id, &self.jid));
        }
    }

    fn key(&self, topic: &str) -> String {
        topics::key(self.organisation.as_deref(), topic)
    }

    fn keep_pace(&self, state: &mut State) -> Result<(), AppRefusal> {
        match state.bucket.take(self.rate, Instant::now()) {
            true => Ok(()),
            false => {
                metrics::topic_refused(AppRefusal::Pace);
                Err(AppRefusal::Pace)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
