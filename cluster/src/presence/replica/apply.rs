//! From one version of a copy to the next: what deltas and parts of answers do, checked before
//! anything is changed and carried out at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::presence::snapshot::{Entry, Snapshot, VERSION_MAX, mark};
use crate::presence::wire::{Add, Delta, Gone, Part, from_gaps, rise};

/// A node has at most so many entries in one shard, eight million in all: what goes beyond is
/// refused, so that one node cannot fill the memory of all.
pub const ENTRIES_MAX: usize = 32_768;

/// Why a message, or a part of it, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// It is said in a life that is over.
    OldLife,
    /// It is not what such a message looks like: numbers that do not rise, a shard of another
    /// group, bytes that cannot be decoded.
    Malformed,
    /// It is larger than it may be.
    TooLarge,
    /// It does not lead where it says.
    Fingerprint,
    /// Nobody has asked for it, or the sender cannot speak for that node.
    NotAsked,
    /// The sender counts other shards.
    OtherShards,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::OldLife,
        Self::Malformed,
        Self::TooLarge,
        Self::Fingerprint,
        Self::NotAsked,
        Self::OtherShards,
    ];

    /// What it is called in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::OldLife => "old_life",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Fingerprint => "fingerprint",
            Self::NotAsked => "not_asked",
            Self::OtherShards => "other_shards",
        }
    }
}

/// A change of a copy that has been checked.
#[derive(Debug, PartialEq)]
pub struct Step<K, V> {
    /// The version it leads to.
    pub version: u64,
    /// Dots that go; they are there.
    pub drops: Vec<u64>,
    /// Entries that come, by dot.
    pub adds: Vec<(u64, Arc<Entry<K, V>>)>,
    /// All dots removed on the way, if they are known.
    pub removed: Option<Vec<u64>>,
}

impl<K, V> Step<K, V> {
    /// Carries it out.
    pub fn carry_out(self, snapshot: &mut Snapshot<K, V>) {
        for dot in self.drops {
            snapshot.take(dot);
        }
        for (dot, entry) in self.adds {
            snapshot.put(dot, entry);
        }
        snapshot.arrive(self.version, self.removed.as_deref());
    }
}

/// What a delta means for a copy.
#[derive(Debug, PartialEq)]
pub enum Verdict<K, V> {
    /// It is known already.
    Old,
    /// Something before it has not arrived: it is asked for.
    Gap,
    /// It applies.
    Step(Step<K, V>),
}

/// Decides what a delta does to a copy.
///
/// `adds` is complete: of the dots between `from` and `to` all that are left. So what the copy
/// has after `from` and is not among them has gone, whether it was there when the delta
/// begins or not; that makes a delta apply that overlaps what is there.
pub fn judge<K, V>(
    snapshot: &Snapshot<K, V>,
    delta: &Delta<K, V>,
) -> Result<Verdict<K, V>, Refusal> {
    let (adds, removed) = read(delta)?;
    if delta.to <= snapshot.version() {
        return Ok(Verdict::Old);
    }
    if delta.from > snapshot.version() {
        return Ok(Verdict::Gap);
    }
    let left: BTreeSet<u64> = adds.iter().map(|(dot, _)| *dot).collect();
    let overlap = snapshot.dots(delta.from + 1, snapshot.version());
    let mut drops: BTreeSet<u64> = overlap.filter(|dot| !left.contains(dot)).collect();
    drops.extend(removed.iter().filter(|dot| snapshot.entry(**dot).is_some()));
    let step = Step {
        version: delta.to,
        drops: drops.into_iter().collect(),
        adds: news(snapshot, adds),
        removed: Some(removed),
    };
    leads_to(snapshot, &step, delta.fingerprint)?;
    Ok(Verdict::Step(step))
}

/// The rule that looks right and is not, for the simulator: an entry that was added and
/// removed within the overlap stays as a ghost.
pub(super) fn judge_without_overlap<K, V>(
    snapshot: &Snapshot<K, V>,
    delta: &Delta<K, V>,
) -> Result<Verdict<K, V>, Refusal> {
    let (adds, removed) = read(delta)?;
    if delta.to <= snapshot.version() {
        return Ok(Verdict::Old);
    }
    if delta.from > snapshot.version() {
        return Ok(Verdict::Gap);
    }
    let drops = removed.iter().copied();
    let drops = drops.filter(|dot| *dot <= delta.from && snapshot.entry(*dot).is_some());
    Ok(Verdict::Step(Step {
        version: delta.to,
        drops: drops.collect(),
        adds: news(snapshot, adds),
        removed: Some(removed),
    }))
}

/// Entries by dot.
type Entries<K, V> = Vec<(u64, Arc<Entry<K, V>>)>;

/// What a delta says: entries that come, dots that went.
type Read<K, V> = (Entries<K, V>, Vec<u64>);

fn read<K, V>(delta: &Delta<K, V>) -> Result<Read<K, V>, Refusal> {
    if delta.from >= delta.to || delta.to > VERSION_MAX {
        return Err(Refusal::Malformed);
    }
    let adds = read_adds(delta.from, delta.to, &delta.adds)?;
    let removed = from_gaps(0, &delta.removed).ok_or(Refusal::Malformed)?;
    match removed.last() {
        Some(last) if *last > delta.to => Err(Refusal::Malformed),
        _ => Ok((adds, removed)),
    }
}

/// Entries with dots above `after` and up to `upto`.
fn read_adds<K, V>(after: u64, upto: u64, adds: &[Add<K, V>]) -> Result<Entries<K, V>, Refusal> {
    let mut last = after;
    let mut entries = Vec::with_capacity(adds.len());
    for add in adds {
        last = rise(last, add.gap).ok_or(Refusal::Malformed)?;
        entries.push((last, add.entry.clone()));
    }
    match last <= upto {
        true => Ok(entries),
        false => Err(Refusal::Malformed),
    }
}

fn news<K, V>(snapshot: &Snapshot<K, V>, adds: Entries<K, V>) -> Entries<K, V> {
    let version = snapshot.version();
    let news = adds.into_iter().filter(|(dot, _)| *dot > version);
    news.collect()
}

fn leads_to<K, V>(
    snapshot: &Snapshot<K, V>,
    step: &Step<K, V>,
    fingerprint: u64,
) -> Result<(), Refusal> {
    let sum = |sum: u64, dot: u64| sum.wrapping_add(mark(dot));
    let gone = step.drops.iter().copied().fold(0, sum);
    let come = step.adds.iter().map(|(dot, _)| *dot).fold(0, sum);
    let result = snapshot.fingerprint().wrapping_sub(gone).wrapping_add(come);
    if result != fingerprint {
        return Err(Refusal::Fingerprint);
    }
    match snapshot.len() + step.adds.len() - step.drops.len() > ENTRIES_MAX {
        true => Err(Refusal::TooLarge),
        false => Ok(()),
    }
}

/// A later version that comes in parts. The copy stays what it is until all are there.
///
/// What has come so far is, like every part, everything up to a dot as it is at a version; so
/// the next part may come from wherever, and whoever answers keeps nothing in between.
#[derive(Debug)]
pub struct Stage<K, V> {
    version: u64,
    upto: u64,
    /// What the copy has is to be replaced.
    is_fresh: bool,
    adds: BTreeMap<u64, Arc<Entry<K, V>>>,
    drops: BTreeSet<u64>,
    removed: Option<Vec<u64>>,
    fingerprint: u64,
    count: usize,
}

impl<K, V> Stage<K, V> {
    /// Goes on from a copy.
    pub fn on(snapshot: &Snapshot<K, V>) -> Self {
        Self {
            version: snapshot.version(),
            upto: snapshot.version(),
            is_fresh: false,
            adds: BTreeMap::new(),
            drops: BTreeSet::new(),
            removed: Some(Vec::new()),
            fingerprint: snapshot.fingerprint(),
            count: snapshot.len(),
        }
    }

    /// Starts from nothing.
    pub fn fresh() -> Self {
        Self {
            is_fresh: true,
            removed: None,
            ..Self::on(&Snapshot::default())
        }
    }

    /// Where it stands: version, dot, how many dots, their fingerprint.
    pub fn position(&self) -> (u64, u64, usize, u64) {
        (self.version, self.upto, self.count, self.fingerprint)
    }

    /// Takes in a part that continues this. `snapshot` is the copy it goes on from. What
    /// refuses a part is to be given up.
    pub fn advance(&mut self, snapshot: &Snapshot<K, V>, part: &Part<K, V>) -> Result<(), Refusal> {
        let is_backward = part.version < part.from || part.upto < part.after;
        if is_backward || part.upto > part.version || part.version > VERSION_MAX {
            return Err(Refusal::Malformed);
        }
        let adds = read_adds(part.after, part.upto, &part.adds)?;
        self.let_go_of(snapshot, &part.gone)?;
        for (dot, entry) in adds {
            self.adds.insert(dot, entry);
            self.fingerprint = self.fingerprint.wrapping_add(mark(dot));
            self.count += 1;
        }
        (self.version, self.upto) = (part.version, part.upto);
        match self.count > ENTRIES_MAX {
            true => Err(Refusal::TooLarge),
            false => Ok(()),
        }
    }

    fn let_go_of(&mut self, snapshot: &Snapshot<K, V>, gone: &Gone) -> Result<(), Refusal> {
        match gone {
            Gone::Removed(gaps) => {
                let dots = from_gaps(0, gaps).ok_or(Refusal::Malformed)?;
                dots.iter().for_each(|dot| self.let_go(snapshot, *dot));
                if let Some(removed) = &mut self.removed {
                    removed.extend(dots);
                }
            }
            Gone::Nothing => self.removed = None,
            Gone::AllBut(gaps) => {
                let left = from_gaps(0, gaps).ok_or(Refusal::Malformed)?;
                let left: BTreeSet<u64> = left.into_iter().collect();
                let base = snapshot.dots(1, if self.is_fresh { 0 } else { u64::MAX });
                let all: Vec<u64> = base.chain(self.adds.keys().copied()).collect();
                let gone = all.into_iter().filter(|dot| !left.contains(dot));
                gone.for_each(|dot| self.let_go(snapshot, dot));
                self.removed = None;
            }
        }
        Ok(())
    }

    fn let_go(&mut self, snapshot: &Snapshot<K, V>, dot: u64) {
        let was_staged = self.adds.remove(&dot).is_some();
        let was_held = || !self.is_fresh && snapshot.entry(dot).is_some();
        if was_staged || (was_held() && self.drops.insert(dot)) {
            self.fingerprint = self.fingerprint.wrapping_sub(mark(dot));
            self.count -= 1;
        }
    }

    /// A part begins where this stands.
    pub fn is_continued_by(&self, part: &Part<K, V>) -> bool {
        (part.from, part.after) == (self.version, self.upto)
    }

    /// All parts are there.
    pub fn is_complete(&self) -> bool {
        self.upto == self.version
    }

    /// What has come so far as if it were all: how it must not be, for the simulator.
    pub(super) fn tear(self, snapshot: &Snapshot<K, V>) -> Step<K, V> {
        let removed = self.removed.clone();
        let fingerprint = self.fingerprint;
        let step = self.finish(snapshot, fingerprint);
        step.unwrap_or(Step {
            version: snapshot.version(),
            drops: Vec::new(),
            adds: Vec::new(),
            removed,
        })
    }

    /// The step that all parts make, if the fingerprint says that they are right.
    pub fn finish(
        self,
        snapshot: &Snapshot<K, V>,
        fingerprint: u64,
    ) -> Result<Step<K, V>, Refusal> {
        if self.fingerprint != fingerprint {
            return Err(Refusal::Fingerprint);
        }
        let drops = match self.is_fresh {
            true => snapshot.entries().map(|(dot, _)| dot).collect(),
            false => self.drops.into_iter().collect(),
        };
        Ok(Step {
            version: self.version,
            drops,
            adds: self.adds.into_iter().collect(),
            removed: self.removed,
        })
    }
}
