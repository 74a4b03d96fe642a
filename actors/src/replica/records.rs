//! Resume records: what another node needs to go on with a session whose node is gone
//! (XEP-0198 §5).
//!
//! A record is a little old, and nothing is lost by that: what the client has not acknowledged
//! is read from the logs again, what it sends again is recognised there (D2). What stands in no
//! log is lost with the node.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::facts::{Resource, SessionFacts};
use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stream::sm::Sm;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::session::{Cursor, Membership, Session, Waiting};

/// The resume record of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What it knows of itself, but for its presence, which is shown anyway.
    pub facts: SessionFacts,
    /// What has been handled of its client's stanzas.
    pub handled: u32,
    /// Entries of its account's log before this one are acknowledged.
    pub next: u64,
    /// The same for the rooms it is in.
    pub rooms: Box<[(BareJid, u64)]>,
}

impl Record {
    /// The record of a session.
    pub fn of(session: &Session, sm: &Sm) -> Self {
        let mut facts = session.facts.clone();
        facts.presence = None;
        let position = session.cursor.position() + 1;
        let rooms = session.rooms.iter().filter_map(|(room, inside)| {
            let next = inside.cursor.as_ref()?.position() + 1;
            let unacked = sm.first_unacked_in_room(room).unwrap_or(next);
            Some((room.clone(), next.min(unacked)))
        });
        Self {
            facts,
            handled: sm.handled(),
            next: position.min(sm.first_unacked_entry().unwrap_or(position)),
            rooms: rooms.collect(),
        }
    }

    /// The session, for a client that has handled so many stanzas.
    fn revive(self, previd: String, h: u32, left: Left) -> Waiting {
        let mut facts = self.facts;
        let presence = left.resource.and_then(|resource| resource.presence);
        facts.presence = presence.map(|presence| Box::new((*presence).clone()));
        let next: BTreeMap<BareJid, u64> = self.rooms.into_iter().collect();
        let rooms = left.rooms.into_values().map(|occupancy| {
            let next = next.get(&occupancy.room);
            let cursor = next.map(|next| Cursor::at(next.saturating_sub(1)));
            let membership = Membership { occupancy, cursor };
            (membership.occupancy.room.clone(), membership)
        });
        Waiting {
            session: Session {
                facts,
                sm: Some(Sm::revived(previd, self.handled, h)),
                cursor: Cursor::at(self.next.saturating_sub(1)),
                rooms: rooms.collect(),
            },
            held: Vec::new(),
        }
    }
}

/// What else is known of a session whose node is gone.
#[derive(Default, Clone)]
pub(super) struct Left {
    resource: Option<Resource>,
    rooms: BTreeMap<BareJid, Occupancy>,
}

impl Left {
    pub(super) fn new(resource: Option<Resource>, rooms: Vec<Occupancy>) -> Self {
        let rooms = rooms.into_iter().map(|it| (it.room.clone(), it));
        Self {
            resource,
            rooms: rooms.collect(),
        }
    }

    /// With what is still seen: a node's loss is told part by part.
    fn and(mut self, seen: Self) -> Self {
        self.rooms.extend(seen.rooms);
        Self {
            resource: self.resource.or(seen.resource),
            ..self
        }
    }
}

/// Who has a session.
pub struct Holder {
    /// The node.
    pub node: NodeId,
    /// The session.
    pub session: FullJid,
    /// The node was lost, or that life of it.
    pub is_over: bool,
}

/// A session that goes on from its record.
pub struct Revived {
    /// The session.
    pub waiting: Waiting,
    /// Contacts have seen it go.
    pub has_gone: bool,
    /// What it is made from.
    pub taken: Taken,
}

/// What was known of a session that is to go on. It is known again when this goes without a word:
/// the session was not to be had, or its client has not waited.
pub struct Taken {
    records: Arc<Records>,
    previd: Arc<str>,
    known: Option<(Known, bool)>,
    left: Option<Left>,
}

impl Taken {
    /// The session goes on.
    pub(crate) fn settle(mut self) {
        self.known = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some((known, is_over)) = self.known.take() {
            let left = self.left.take();
            self.records.put_back(&self.previd, known, is_over, left);
        }
    }
}

/// A session of another node.
#[derive(Clone)]
struct Known {
    node: NodeId,
    /// As it is shown: there are many of them.
    record: Arc<Record>,
}

impl Known {
    fn is_of(&self, account: &BareJid) -> bool {
        self.record.facts.jid.bare_str() == account.as_str()
    }
}

/// The records of other nodes' sessions, and what was left by nodes that are gone. Found by their
/// resumption ids, of which no two are the same, and given to the account whose they are alone
/// (row A13).
#[derive(Default)]
pub(super) struct Records {
    known: Mutex<HashMap<Arc<str>, Known>>,
    left: Mutex<HashMap<FullJid, (Left, Instant)>>,
    over: Mutex<HashMap<Arc<str>, (Known, Instant)>>,
}

impl Records {
    /// A node says how far a session is.
    pub(super) fn put(&self, previd: &Arc<str>, node: NodeId, record: Arc<Record>) {
        self.over.lock().expect("no holder panics").remove(previd);
        let mut known = self.known.lock().expect("no holder panics");
        known.insert(Arc::clone(previd), Known { node, record });
    }

    /// A node has a session no longer; true: because it is gone itself.
    pub(super) fn take(&self, previd: &Arc<str>, node: NodeId, is_lost: bool) {
        let mut known = self.known.lock().expect("no holder panics");
        if known.get(previd).is_none_or(|it| it.node != node) {
            return;
        }
        let taken = known.remove(previd);
        if let (Some(known), true) = (taken, is_lost) {
            let mut over = self.over.lock().expect("no holder panics");
            over.insert(Arc::clone(previd), (known, Instant::now()));
        }
    }

    pub(super) fn handled(&self, account: &BareJid, previd: &str) -> Option<u32> {
        let known = self.known.lock().expect("no holder panics");
        let known = known.get(previd).filter(|it| it.is_of(account))?;
        Some(known.record.handled)
    }

    pub(super) fn holder(&self, account: &BareJid, previd: &str) -> Option<Holder> {
        let holder = |known: &Known, is_over| Holder {
            node: known.node,
            session: known.record.facts.jid.clone(),
            is_over,
        };
        let known = self.known.lock().expect("no holder panics");
        if let Some(known) = known.get(previd).filter(|it| it.is_of(account)) {
            return Some(holder(known, false));
        }
        let over = self.over.lock().expect("no holder panics");
        let (known, _) = over.get(previd).filter(|(it, _)| it.is_of(account))?;
        Some(holder(known, true))
    }

    /// What a node showed of a session that is gone with it.
    pub(super) fn leave_resource(&self, session: &FullJid, resource: &Resource) {
        self.leave(session, |left| left.resource = Some(resource.clone()));
    }

    /// A room in which such a session was.
    pub(super) fn leave_room(&self, session: &FullJid, occupancy: &Occupancy) {
        let room = occupancy.room.clone();
        self.leave(session, |left| {
            drop(left.rooms.insert(room, occupancy.clone()))
        });
    }

    fn leave(&self, session: &FullJid, change: impl FnOnce(&mut Left)) {
        let mut all = self.left.lock().expect("no holder panics");
        let entry = all.entry(session.clone());
        let (left, at) = entry.or_insert_with(|| (Left::default(), Instant::now()));
        *at = Instant::now();
        change(left);
    }

    /// The session is somewhere again; true: contacts have been told that it had gone with its
    /// node.
    pub(super) fn found(&self, session: &FullJid) -> bool {
        let mut left = self.left.lock().expect("no holder panics");
        let left = left.remove(session);
        left.is_some_and(|(left, _)| left.resource.is_some())
    }

    /// The session of a node that is gone or does not answer, from its record: with what that node
    /// has left, and what is still `seen` of it.
    pub(super) fn revive(
        self: &Arc<Self>,
        account: &BareJid,
        previd: &str,
        h: u32,
        seen: impl FnOnce(&FullJid) -> Left,
    ) -> Option<Revived> {
        let (known, is_over) = self.pick(account, previd)?;
        let session = known.record.facts.jid.clone();
        // Before it is looked what was left: what goes meanwhile is in one of the two.
        let seen = seen(&session);
        let mut all = self.left.lock().expect("no holder panics");
        let left = all.remove(&session).map(|(left, _)| left);
        let has_gone = is_over || left.as_ref().is_some_and(|it| it.resource.is_some());
        let record = Record::clone(&known.record);
        let all_left = left.clone().unwrap_or_default().and(seen);
        Some(Revived {
            waiting: record.revive(previd.to_owned(), h, all_left),
            has_gone,
            taken: Taken {
                records: Arc::clone(self),
                previd: previd.into(),
                known: Some((known, is_over)),
                left,
            },
        })
    }

    /// A session does not go on after all. What its node says meanwhile counts more.
    fn put_back(&self, previd: &Arc<str>, taken: Known, is_over: bool, left: Option<Left>) {
        let mut known = self.known.lock().expect("no holder panics");
        if known.contains_key(previd) {
            return;
        }
        let now = Instant::now();
        let session = taken.record.facts.jid.clone();
        if is_over {
            let mut over = self.over.lock().expect("no holder panics");
            over.insert(Arc::clone(previd), (taken, now));
        } else {
            known.insert(Arc::clone(previd), taken);
        }
        if let Some(left) = left {
            let mut all = self.left.lock().expect("no holder panics");
            all.entry(session).or_insert((left, now));
        }
    }

    /// Takes a record of an account out; true: its node is gone.
    fn pick(&self, account: &BareJid, previd: &str) -> Option<(Known, bool)> {
        let mut known = self.known.lock().expect("no holder panics");
        if known.get(previd).is_some_and(|it| it.is_of(account)) {
            return Some((known.remove(previd)?, false));
        }
        let mut over = self.over.lock().expect("no holder panics");
        over.get(previd).filter(|(it, _)| it.is_of(account))?;
        Some((over.remove(previd)?.0, true))
    }

    /// Forgets what was left longer ago than a session is kept for its client.
    pub(super) fn sweep(&self, now: Instant, kept: Duration) {
        let is_kept = |at: &Instant| now.duration_since(*at) < kept;
        let mut left = self.left.lock().expect("no holder panics");
        left.retain(|_, (_, at)| is_kept(at));
        let mut over = self.over.lock().expect("no holder panics");
        over.retain(|_, (_, at)| is_kept(at));
    }
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::features::muc::role::Role;
    use klatsch_protocol::stream::sm::Unacked;
    use klatsch_protocol::time::Timestamp;

    use super::*;

    fn account() -> BareJid {
        BareJid::parse("a@x").unwrap()
    }

    fn session() -> Session {
        let jid = FullJid::parse("a@x/phone").unwrap();
        let mut session = Session::new(jid, Default::default(), 9);
        let mut sm = Sm::new("previd".into());
        sm.count_handled();
        sm.count_sent(Unacked::Entry {
            id: 7,
            share: klatsch_protocol::routing::Share::Nothing,
        });
        session.sm = Some(sm);
        session
    }

    fn record() -> Arc<Record> {
        let session = session();
        Arc::new(Record::of(&session, session.sm.as_ref().unwrap()))
    }

    fn nothing(_: &FullJid) -> Left {
        Left::default()
    }

    fn resource(priority: i8) -> Resource {
        Resource {
            presence: Some(Arc::default()),
            priority,
            ..Resource::unseen(session().facts.jid)
        }
    }

    fn inside(room: &str) -> Occupancy {
        Occupancy {
            room: BareJid::parse(room).unwrap(),
            nick: "a".into(),
            role: Role::Participant,
            joined: Timestamp(1),
            presence: Box::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_goes_on_before_what_its_client_has_not_acknowledged() {
        let records = Arc::new(Records::default());
        records.put(&"previd".into(), NodeId(2), record());
        let revived = records.revive(&account(), "previd", 40, nothing).unwrap();
        assert!(!revived.has_gone);
        assert_eq!(revived.waiting.session.cursor.position(), 6);
        let mut sm = revived.waiting.session.sm.unwrap();
        assert_eq!((sm.handled(), sm.unacked_len()), (1, 0));
        assert!(sm.acknowledge(40).is_ok(), "the client's own count holds");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_does_not_go_on_is_known_as_before() {
        let records = Arc::new(Records::default());
        records.put(&"previd".into(), NodeId(2), record());
        records.leave_resource(&session().facts.jid, &resource(1));
        records.leave_room(&session().facts.jid, &inside("r@c.x"));
        records.take(&"previd".into(), NodeId(2), true);
        let revive = || records.revive(&account(), "previd", 0, nothing);
        drop(revive().unwrap());
        let again = revive().unwrap();
        assert!(again.has_gone && again.waiting.session.facts.presence.is_some());
        assert_eq!(again.waiting.session.rooms.len(), 1);
        again.taken.settle();
        assert!(revive().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_of_a_node_that_is_gone_is_kept_as_long_as_a_session() {
        let records = Arc::new(Records::default());
        records.put(&"previd".into(), NodeId(2), record());
        records.take(&"previd".into(), NodeId(2), true);
        let kept = Duration::from_secs(300);
        records.sweep(Instant::now(), kept);
        let revived = records.revive(&account(), "previd", 0, nothing).unwrap();
        assert!(revived.has_gone);
        records.put(&"previd".into(), NodeId(2), record());
        records.take(&"previd".into(), NodeId(2), true);
        tokio::time::advance(kept).await;
        records.sweep(Instant::now(), kept);
        assert!(records.revive(&account(), "previd", 0, nothing).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a13_a_record_opens_for_its_own_account_alone() {
        let records = Arc::new(Records::default());
        records.put(&"previd".into(), NodeId(2), record());
        let other = BareJid::parse("b@x").unwrap();
        assert!(records.revive(&other, "previd", 0, nothing).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_has_ended_leaves_no_record() {
        let records = Arc::new(Records::default());
        records.put(&"previd".into(), NodeId(2), record());
        records.take(&"previd".into(), NodeId(2), false);
        assert!(records.revive(&account(), "previd", 0, nothing).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_goes_on_with_what_was_left_and_what_is_still_seen() {
        for is_resource_left in [true, false] {
            let records = Arc::new(Records::default());
            records.put(&"previd".into(), NodeId(2), record());
            let session = session().facts.jid;
            records.leave_room(&session, &inside("left@r.x"));
            if is_resource_left {
                records.leave_resource(&session, &resource(1));
            }
            let seen = |_: &FullJid| Left::new(Some(resource(2)), vec![inside("seen@r.x")]);
            let revived = records.revive(&account(), "previd", 0, seen).unwrap();
            assert_eq!(revived.has_gone, is_resource_left);
            let session = revived.waiting.session;
            assert!(session.facts.presence.is_some());
            let rooms: Vec<&str> = session.rooms.keys().map(BareJid::as_str).collect();
            assert_eq!(rooms, ["left@r.x", "seen@r.x"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_left_wins_over_what_is_still_seen_of_the_session() {
        let left = Left::new(Some(resource(1)), Vec::new());
        let seen = Left::new(Some(resource(2)), Vec::new());
        assert_eq!(left.and(seen).resource, Some(resource(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_of_which_rooms_alone_were_left_has_not_gone() {
        let records = Arc::new(Records::default());
        let session = session().facts.jid;
        records.leave_room(&session, &inside("left@r.x"));
        assert!(!records.found(&session));
        records.leave_resource(&session, &resource(1));
        assert!(records.found(&session));
        assert!(!records.found(&session));
    }
}
