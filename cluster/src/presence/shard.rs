//! One slice of the keys on one node: what the node itself has written, its copies of what
//! others have, what readers see of them, and what they have not been told yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::replica::apply::{Stage, Step};
use super::snapshot::{Entry, Snapshot};
use super::view::{Claim, View};
use super::wire::{Beaten, Delta, Rank, to_adds, to_gaps};
use super::{Change, GIVES_WAY, Key, Lost, Value, Why};
use crate::node_id::{Incarnation, Life, NodeId};

/// Readers are told so many differences at a time: more follow a moment later, so that other
/// work of the actor gets its turn.
const CHANGES_MAX: usize = 4096;

/// That moment.
const CHANGES_PAUSE: Duration = Duration::from_millis(20);

/// Whether a session has lost to one of a node that has just come back is judged so much
/// later, when it is known what that node has now.
const JUDGE_LATER: Duration = Duration::from_millis(200);

/// A slice.
#[derive(Debug)]
pub struct Shard<K, V> {
    number: u16,
    me: Life,
    own: Snapshot<K, V>,
    sent: u64,
    pub(super) copies: BTreeMap<NodeId, Held<K, V>>,
    view: View<K, V>,
    pending: BTreeMap<K, Pending<K, V>>,
    urgent: Vec<K>,
    due: Option<Duration>,
    beaten: BTreeSet<K>,
    /// The nodes that have a copy, this one among them if it is one.
    pub(super) replicas: Vec<NodeId>,
    pub(super) first_comes_wins: bool,
}

/// A copy of what another node has written.
#[derive(Debug)]
pub struct Held<K, V> {
    /// The life of the node.
    pub incarnation: Incarnation,
    /// What it has written.
    pub snapshot: Snapshot<K, V>,
    /// What has come of a later version, while it comes in parts.
    pub(super) stage: Option<Stage<K, V>>,
    /// The fingerprint was wrong: all of it is asked for.
    pub(super) is_doubtful: bool,
    /// Its entries are claims of the view.
    pub(super) is_shown: bool,
}

/// A key whose readers have not been told what they see now.
#[derive(Debug)]
struct Pending<K, V> {
    /// What they saw of another node.
    before: Option<Claim<K, V>>,
    why: Why,
}

/// Why something changes, and when readers are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    pub(super) why: Why,
    /// `None`: at once.
    pub(super) due: Option<Duration>,
}

impl Cause {
    pub(super) const SAID: Self = Self {
        why: Why::Said,
        due: None,
    };
}

/// What is to be said about a shard now.
#[derive(Debug)]
pub(super) struct Told<K, V> {
    pub(super) changes: Vec<Change<K, V>>,
    pub(super) lost: Vec<Lost<K>>,
    pub(super) beaten: Vec<(NodeId, Beaten)>,
}

/// What this node has written since it last told others.
#[derive(Debug)]
pub(super) enum Unsent<K, V> {
    Nothing,
    Delta(Delta<K, V>),
    /// So much that others had better ask for it.
    TooMuch,
}

impl<K: Key, V: Value> Held<K, V> {
    fn claim(&self, node: NodeId, dot: u64, entry: &Arc<Entry<K, V>>) -> Claim<K, V> {
        Claim {
            entry: Arc::clone(entry),
            incarnation: self.incarnation,
            node,
            dot,
        }
    }

    /// Where it stands, or what comes in parts does: version, dot, how many, fingerprint.
    pub(super) fn position(&self) -> (u64, u64, usize, u64) {
        if let Some(stage) = &self.stage {
            return stage.position();
        }
        if self.is_doubtful {
            return (0, 0, 0, 0);
        }
        let (version, len) = (self.snapshot.version(), self.snapshot.len());
        (version, version, len, self.snapshot.fingerprint())
    }

    fn claims(&self, node: NodeId) -> Vec<Claim<K, V>> {
        let entries = self.snapshot.entries();
        let claims = entries.map(|(dot, entry)| self.claim(node, dot, entry));
        claims.collect()
    }
}

/// Something else is to be claimed than is.
fn differs<K, V: Value>(old: Option<&Claim<K, V>>, value: Option<&V>, since: u64) -> bool {
    match old {
        Some(old) => value != Some(&old.entry.value) || since != old.entry.since,
        None => value.is_some(),
    }
}

impl<K: Key, V: Value> Shard<K, V> {
    pub(super) fn new(number: u16, me: Life) -> Self {
        Self {
            number,
            me,
            own: Snapshot::default(),
            sent: 0,
            copies: BTreeMap::new(),
            view: View::default(),
            pending: BTreeMap::new(),
            urgent: Vec::new(),
            due: None,
            beaten: BTreeSet::new(),
            replicas: vec![me.node],
            first_comes_wins: false,
        }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// What this node has written.
    pub fn own(&self) -> &Snapshot<K, V> {
        &self.own
    }

    /// The copy of what another node has written.
    pub fn copy(&self, node: NodeId) -> Option<&Held<K, V>> {
        self.copies.get(&node)
    }

    /// The copies of what other nodes have written.
    pub fn copies(&self) -> impl Iterator<Item = (NodeId, &Held<K, V>)> {
        self.copies.iter().map(|(node, held)| (*node, held))
    }

    /// The nodes that have a copy.
    pub fn replicas(&self) -> &[NodeId] {
        &self.replicas
    }

    /// This node has copies of what others write here.
    pub fn is_wanted(&self) -> bool {
        self.replicas.contains(&self.me.node)
    }

    /// What is seen, of this node and of others: key, claim, value; in no order.
    pub fn visible(&self) -> impl Iterator<Item = (&K, Rank, &V)> {
        let winners = self.view.winners();
        winners.map(|claim| (&claim.entry.key, claim.rank(), &claim.entry.value))
    }

    /// An entry of this node; tells whether that changes anything.
    pub(super) fn set(&mut self, key: K, value: Option<V>, since: u64) -> bool {
        let old = self.own_claim(&key).cloned();
        let since = self.began(&key, since);
        if !differs(old.as_ref(), value.as_ref(), since) {
            return false;
        }
        if self.is_claimed_elsewhere(&key) {
            self.touch(&key, Cause::SAID);
        }
        if let Some(claim) = &old {
            self.view.remove(claim);
        }
        match (value, old) {
            (Some(value), old) => self.write(Entry { key, value, since }, old.map(|it| it.dot)),
            (None, Some(old)) => self.erase(&old),
            (None, None) => {}
        }
        true
    }

    /// When what is claimed here now began. A node that knows of another's claim comes after
    /// it, whatever the clocks of the two say; between claims that know nothing of each other
    /// clocks decide. What goes on here began when it did, and what is to give way does.
    fn began(&self, key: &K, since: u64) -> u64 {
        match self.own_since(key) {
            Some(began) if began >= since => began,
            _ if since == GIVES_WAY => since,
            _ => since.max(self.since_elsewhere(key).map_or(0, |it| it + 1)),
        }
    }

    /// When this node's entry under a key began.
    pub(super) fn own_since(&self, key: &K) -> Option<u64> {
        self.own_claim(key).map(|claim| claim.entry.since)
    }

    fn since_elsewhere(&self, key: &K) -> Option<u64> {
        let claims = self.view.claims(key);
        let others = claims.filter(|claim| claim.node != self.me.node);
        others.map(|claim| claim.entry.since).max()
    }

    fn write(&mut self, entry: Entry<K, V>, old: Option<u64>) {
        let entry = Arc::new(entry);
        let dot = self.own.write(Arc::clone(&entry), old);
        self.claim(Claim {
            entry,
            incarnation: self.me.incarnation,
            node: self.me.node,
            dot,
        });
    }

    fn erase(&mut self, claim: &Claim<K, V>) {
        self.own.erase(claim.dot);
        self.beaten.remove(&claim.entry.key);
    }

    /// The claim of this node: all it has written are claims, seen or not.
    fn own_claim(&self, key: &K) -> Option<&Claim<K, V>> {
        let mut claims = self.view.claims(key);
        claims.find(|claim| claim.node == self.me.node)
    }

    fn claim(&mut self, claim: Claim<K, V>) {
        if self.first_comes_wins {
            self.view.add_behind(claim);
        } else {
            self.view.add(claim);
        }
    }

    fn is_claimed_elsewhere(&self, key: &K) -> bool {
        let mut claims = self.view.claims(key);
        claims.any(|claim| claim.node != self.me.node)
    }

    /// What this node has written since the last time.
    pub(super) fn take_unsent(&mut self, adds_max: usize) -> Unsent<K, V> {
        let (from, to) = (self.sent, self.own.version());
        if from == to {
            return Unsent::Nothing;
        }
        self.sent = to;
        let Some(removed) = self.own.removed_since(from) else {
            return Unsent::TooMuch;
        };
        let adds = to_adds(from, self.own.after(from).take(adds_max + 1));
        if adds.len() > adds_max {
            return Unsent::TooMuch;
        }
        Unsent::Delta(Delta {
            shard: self.number,
            from,
            to,
            adds,
            removed: to_gaps(0, removed),
            fingerprint: self.own.fingerprint(),
        })
    }

    /// The copy of a node, made if there is none. `is_shown`: its entries are to be seen.
    pub(super) fn hold(&mut self, node: NodeId, incarnation: Incarnation, is_shown: bool) {
        self.copies.entry(node).or_insert_with(|| Held {
            incarnation,
            snapshot: Snapshot::default(),
            stage: None,
            is_doubtful: false,
            is_shown,
        });
    }

    /// A copy goes from one version to another, all at once.
    pub(super) fn commit(&mut self, node: NodeId, step: Step<K, V>, cause: Cause) {
        let Some(held) = self.copies.get(&node) else {
            return;
        };
        if held.is_shown {
            let leaving = step.drops.iter();
            let leaving =
                leaving.filter_map(|dot| Some(held.claim(node, *dot, held.snapshot.entry(*dot)?)));
            let coming = step.adds.iter();
            let coming = coming.map(|(dot, entry)| held.claim(node, *dot, entry));
            let (leaving, coming): (Vec<_>, Vec<_>) = (leaving.collect(), coming.collect());
            self.unclaim_all(&leaving, cause);
            self.claim_all(coming, cause);
        }
        if let Some(held) = self.copies.get_mut(&node) {
            step.carry_out(&mut held.snapshot);
            held.stage = None;
            held.is_doubtful = false;
        }
    }

    /// The entries of a node are seen from now on.
    pub(super) fn show(&mut self, node: NodeId, cause: Cause) {
        let Some(held) = self.copies.get_mut(&node).filter(|held| !held.is_shown) else {
            return;
        };
        held.is_shown = true;
        let claims = held.claims(node);
        self.claim_all(claims, cause);
    }

    /// The entries of a node are not seen any more.
    pub(super) fn hide(&mut self, node: NodeId, cause: Cause) {
        let Some(held) = self.copies.get(&node).filter(|held| held.is_shown) else {
            return;
        };
        let claims = held.claims(node);
        self.unclaim_all(&claims, cause);
        if let Some(held) = self.copies.get_mut(&node) {
            held.is_shown = false;
        }
    }

    /// The copy of a node goes.
    pub(super) fn forget(&mut self, node: NodeId, cause: Cause) {
        self.hide(node, cause);
        self.copies.remove(&node);
    }

    fn claim_all(&mut self, claims: Vec<Claim<K, V>>, cause: Cause) {
        for claim in claims {
            self.touch(&claim.entry.key, cause);
            self.claim(claim);
        }
    }

    fn unclaim_all(&mut self, claims: &[Claim<K, V>], cause: Cause) {
        for claim in claims {
            self.touch(&claim.entry.key, cause);
            self.view.remove(claim);
        }
    }

    /// What is seen of a key is about to change: readers are told what it was before, and not
    /// at all if it becomes that again.
    fn touch(&mut self, key: &K, cause: Cause) {
        if let Some(pending) = self.pending.get_mut(key) {
            // What was seen went with its node, whoever says something under the key since.
            if (pending.why, cause.why) != (Why::NodeDown, Why::Said) {
                pending.why = cause.why;
            }
            return;
        }
        let pending = Pending {
            before: self.seen(key),
            why: cause.why,
        };
        self.pending.insert(key.clone(), pending);
        match cause.due {
            None => self.urgent.push(key.clone()),
            Some(due) => self.due = Some(self.due.map_or(due, |earlier| earlier.min(due))),
        }
    }

    /// What readers see of other nodes under a key.
    fn seen(&self, key: &K) -> Option<Claim<K, V>> {
        let claim = self.view.winner(key)?;
        (claim.node != self.me.node).then(|| claim.clone())
    }

    /// When something is to be said next.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.urgent.is_empty() {
            true => self.due,
            false => Some(Duration::ZERO),
        }
    }

    /// How many keys wait for their readers to be told.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// What is to be said now. A session does not end because of what a node in `returning`
    /// had before it was away: it may be over since.
    pub(super) fn tell(&mut self, at: Duration, returning: &BTreeSet<NodeId>) -> Told<K, V> {
        let mut keys = std::mem::take(&mut self.urgent);
        if self.due.is_some_and(|due| due <= at) {
            keys.extend(self.pending.keys().take(CHANGES_MAX).cloned());
            let more = self.pending.len() > CHANGES_MAX;
            self.due = more.then_some(at + CHANGES_PAUSE);
        }
        let mut told = Told {
            changes: Vec::new(),
            lost: Vec::new(),
            beaten: Vec::new(),
        };
        for key in keys {
            let Some(pending) = self.pending.remove(&key) else {
                continue;
            };
            match self.view.winner(&key).map(Claim::rank) {
                Some(winner) if returning.contains(&winner.node) => {
                    self.judge_later(&key, pending.why, at);
                }
                Some(winner) => self.tell_losers(&key, winner, &mut told),
                None => {}
            }
            told.changes.extend(self.change(key, pending));
        }
        told
    }

    fn change(&self, key: K, pending: Pending<K, V>) -> Option<Change<K, V>> {
        let after = self.seen(&key);
        let seen = [&pending.before, &after];
        let nodes = seen.map(|claim| claim.as_ref().map(|it| it.node));
        let [before, after] = seen.map(|claim| claim.as_ref().map(|it| &it.entry.value));
        let is_same = nodes[0] == nodes[1] && before == after;
        let moved = nodes[0]
            .zip(nodes[1])
            .is_some_and(|(one, other)| one != other);
        let is_conflict = moved || !self.view.rivals(&key).is_empty();
        let node = nodes[1].or(nodes[0]).filter(|_| !is_same)?;
        Some(Change {
            node,
            before: before.cloned(),
            after: after.cloned(),
            why: match pending.why {
                _ if is_conflict => Why::Conflict,
                Why::NodeDown if after.is_some() => Why::Said,
                why => why,
            },
            key,
        })
    }

    /// Who has an entry under this key and does not win, ends it: this node itself, or one
    /// that cannot see it for want of copies.
    fn tell_losers(&mut self, key: &K, winner: Rank, told: &mut Told<K, V>) {
        if winner.node == self.me.node {
            self.beaten.remove(key);
        }
        for rival in self.view.rivals(key) {
            if rival.node != self.me.node {
                told.beaten.extend(self.beaten(rival, winner));
            } else if self.beaten.insert(key.clone()) {
                told.lost.push(Lost {
                    key: key.clone(),
                    since: rival.entry.since,
                });
            }
        }
    }

    fn judge_later(&mut self, key: &K, why: Why, at: Duration) {
        if self.view.rivals(key).is_empty() {
            return;
        }
        let before = self.seen(key);
        self.pending.insert(key.clone(), Pending { before, why });
        let due = at + JUDGE_LATER;
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    fn beaten(&self, loser: &Claim<K, V>, winner: Rank) -> Option<(NodeId, Beaten)> {
        let beaten = Beaten {
            shard: self.number,
            dot: loser.dot,
            winner,
        };
        let sees_it_itself = self.replicas.contains(&loser.node);
        (!sees_it_itself && self.is_wanted()).then_some((loser.node, beaten))
    }

    /// The losers that do not see it themselves, once more, for messages get lost.
    pub(super) fn remind(&self) -> Vec<(NodeId, Beaten)> {
        let mut all: Vec<_> = self
            .view
            .contested()
            .flat_map(|key| self.losers(key))
            .collect();
        all.sort_by_key(|(node, beaten)| (*node, beaten.dot));
        all
    }

    fn losers(&self, key: &K) -> Vec<(NodeId, Beaten)> {
        let Some(winner) = self.view.winner(key).map(Claim::rank) else {
            return Vec::new();
        };
        let rivals = self.view.rivals(key).iter();
        let others = rivals.filter(|rival| rival.node != self.me.node);
        others
            .filter_map(|rival| self.beaten(rival, winner))
            .collect()
    }

    /// Another node says that an entry of this one has lost; answers it if that is so and news.
    pub(super) fn hear_beaten(&mut self, beaten: &Beaten) -> Option<Lost<K>> {
        let key = self.own.entry(beaten.dot)?.key.clone();
        let mine = self.own_claim(&key)?.rank();
        let is_news = beaten.winner > mine && beaten.winner.node != self.me.node;
        let since = mine.since;
        (is_news && self.beaten.insert(key.clone())).then_some(Lost { key, since })
    }
}
