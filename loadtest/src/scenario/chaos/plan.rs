//! What is broken when: a list that follows from a seed, the nodes and the means alone, so that
//! a run can be repeated. The numbers are those of the experiments they belong to.

use std::fmt;
use std::time::Duration;

use clap::ValueEnum;

use crate::random::Random;

/// Behind every heal it is calm for so long: what clients see has ten seconds to become true
/// (D6), and two are for the checker to see that it did.
const CALM: f64 = 12.0;

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// 1: kill -9 of a node, which is started again
    Kill,
    /// 2: a node stands still (SIGSTOP), and goes on
    Pause,
    /// 3: one node is cut off from the others
    Split,
    /// 4: one node hears another, and is not heard
    OneWay,
    /// 5: two nodes are cut off from each other, and the third reaches both
    Partial,
    /// 6: a cut that comes and goes
    Flap,
    /// 7: packets between nodes are lost
    Loss,
    /// 7: packets between nodes are late, overtake each other, are lost or come twice
    Delay,
    /// 8: PostgreSQL is stopped in the middle of its work, and started again
    StoreStop,
    /// 8: nobody reaches PostgreSQL
    StoreCut,
    /// 8: one node does not reach PostgreSQL
    StoreCutOne,
    /// 8: one node reaches neither PostgreSQL nor the others
    Isolate,
    /// 9: PostgreSQL's processes stand still
    StoreFreeze,
    /// 9: a table is locked
    StoreLock,
    /// 12: a node's clock is wrong by most of a minute
    Clock,
    /// 13: connections of clients that nobody ends
    HalfOpen,
    /// 16: all nodes are stopped and started again, one after the other
    Rolling,
    /// 17: actors panic
    Panic,
}

impl Kind {
    /// The name, as the command line and reports have it.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it can be done.
    fn is_possible(self, means: &Means) -> bool {
        match self {
            Self::Kill | Self::Pause | Self::Rolling => true,
            Self::HalfOpen => means.network,
            Self::Split | Self::OneWay | Self::Flap | Self::Loss => {
                means.network && means.nodes > 1
            }
            Self::Delay => means.network && means.nodes > 1 && means.tun,
            Self::Partial => means.network && means.nodes > 2,
            Self::StoreStop | Self::StoreFreeze | Self::StoreLock => means.postgres,
            Self::StoreCut => means.network && means.postgres,
            Self::StoreCutOne | Self::Isolate => means.network && means.postgres && means.nodes > 1,
            Self::Clock => means.faketime,
            Self::Panic => means.broken,
        }
    }

    /// Whether all nodes live through it and reach each other.
    pub(super) fn takes_nobody(self) -> bool {
        matches!(self, Self::Loss | Self::Delay)
    }

    /// How long it lasts, at least and at most, in seconds.
    fn lasts(self) -> (f64, f64) {
        match self {
            // Until it is started again; a rolling restart lasts as long as it takes.
            Self::Kill => (0.0, 8.0),
            Self::Rolling => (0.0, 1.0),
            // Two kinds: too short to be noticed by the others, and long enough to be down.
            Self::Pause => (3.0, 30.0),
            Self::Flap => (12.0, 25.0),
            Self::StoreStop | Self::StoreCut | Self::StoreCutOne => (3.0, 15.0),
            Self::StoreFreeze | Self::StoreLock => (2.0, 8.0),
            // A client takes an answer for lost after fifteen seconds.
            Self::HalfOpen => (18.0, 25.0),
            // Some times as long as the silence for which a node is called down.
            Self::Delay => (20.0, 30.0),
            Self::Panic | Self::Clock => (15.0, 25.0),
            _ => (6.0, 20.0),
        }
    }
}

/// What a machine and a run can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Means {
    /// How many nodes there are.
    pub(crate) nodes: u32,
    /// Namespaces and cuts.
    pub(crate) network: bool,
    /// A PostgreSQL of the run's own.
    pub(crate) postgres: bool,
    /// Tun devices, by which packets go a detour.
    pub(crate) tun: bool,
    /// libfaketime is installed.
    pub(crate) faketime: bool,
    /// There is a klatsch whose actors panic.
    pub(crate) broken: bool,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// What is done.
    pub(crate) kind: Kind,
    /// To which node, where it is about one.
    pub(crate) node: u32,
    /// And which other, where it is about two.
    pub(crate) other: u32,
    /// For how long.
    pub(crate) lasts: Duration,
    /// How long it is calm afterwards.
    pub(crate) calm: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, other, .. } = self;
        let seconds = self.lasts.as_secs_f64();
        match self.kind {
            Kind::Kill | Kind::Pause => write!(f, "node {node} for {seconds:.1} s"),
            Kind::OneWay => write!(f, "from node {node} to node {other}, {seconds:.1} s"),
            Kind::Partial => write!(f, "nodes {node} and {other}, {seconds:.1} s"),
            Kind::Split | Kind::Flap | Kind::StoreCutOne | Kind::Isolate => {
                write!(f, "node {node}, {seconds:.1} s")
            }
            Kind::HalfOpen | Kind::Clock | Kind::Panic => {
                write!(f, "node {node}, {seconds:.1} s")
            }
            _ => write!(f, "{seconds:.1} s"),
        }
    }
}

/// The faults of a run: every kind that is wanted and possible once, in an order of the seed's,
/// and again as long as there is time; what does not fit is left to another seed.
pub(crate) fn plan(seed: u64, means: &Means, wanted: &[Kind], time: Duration) -> Vec<Step> {
    let mut random = Random::new(seed);
    let mut kinds = wanted.to_vec();
    kinds.retain(|kind| kind.is_possible(means));
    let mut steps = Vec::new();
    let mut left = time.as_secs_f64();
    while !kinds.is_empty() {
        shuffle(&mut kinds, &mut random);
        for kind in &kinds {
            let step = draw(*kind, means.nodes, &mut random);
            left -= (step.lasts + step.calm).as_secs_f64();
            if left < 0.0 && !steps.is_empty() {
                return steps;
            }
            steps.push(step);
        }
    }
    steps
}

fn draw(kind: Kind, nodes: u32, random: &mut Random) -> Step {
    let node = random.below(u64::from(nodes)) as u32;
    let distance = 1 + random.below(u64::from(nodes.saturating_sub(1))) as u32;
    let (least, most) = kind.lasts();
    Step {
        kind,
        node: node + 1,
        other: (node + distance) % nodes.max(1) + 1,
        lasts: Duration::from_secs_f64(random.between(least, most)),
        calm: Duration::from_secs_f64(CALM),
    }
}

/// Every order is as likely as any other (Durstenfeld, 1964).
fn shuffle(kinds: &mut [Kind], random: &mut Random) {
    for last in (1..kinds.len()).rev() {
        kinds.swap(last, random.below(last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: Means = Means {
        nodes: 3,
        network: true,
        postgres: true,
        tun: true,
        faketime: true,
        broken: true,
    };

    fn hours(count: u64) -> Duration {
        Duration::from_secs(count * 3600)
    }

    fn kinds(steps: &[Step]) -> BTreeSet<Kind> {
        steps.iter().map(|step| step.kind).collect()
    }

    #[test]
    fn a_seed_makes_one_plan() {
        let plan_of = |seed| plan(seed, &ALL, Kind::value_variants(), hours(1));
        assert_eq!(plan_of(7), plan_of(7));
        assert_ne!(plan_of(7), plan_of(8));
    }

    #[test]
    fn with_time_every_kind_has_its_turn_before_any_has_a_second() {
        let steps = plan(3, &ALL, Kind::value_variants(), hours(1));
        let every = Kind::value_variants().len();
        assert!(steps.len() > every);
        assert_eq!(kinds(&steps[..every]).len(), every);
    }

    #[test]
    fn a_short_run_breaks_something_and_ends_in_time() {
        for seed in 0..50 {
            let time = Duration::from_secs(150);
            let steps = plan(seed, &ALL, Kind::value_variants(), time);
            let takes: Duration = steps.iter().map(|step| step.lasts + step.calm).sum();
            assert!(!steps.is_empty() && takes <= time, "{seed}: {takes:?}");
        }
        let steps = plan(1, &ALL, &[Kind::Kill], Duration::from_secs(1));
        assert_eq!(steps.len(), 1);
    }

    #[test]
    fn what_is_impossible_is_left_out() {
        let alone = Means {
            nodes: 1,
            network: false,
            postgres: false,
            tun: false,
            faketime: false,
            broken: false,
        };
        let steps = plan(1, &alone, Kind::value_variants(), hours(1));
        let possible = [Kind::Kill, Kind::Pause, Kind::Rolling];
        assert_eq!(kinds(&steps), BTreeSet::from(possible));
        let two = Means { nodes: 2, ..ALL };
        let steps = plan(1, &two, Kind::value_variants(), hours(1));
        assert!(!kinds(&steps).contains(&Kind::Partial));
        assert!(kinds(&steps).contains(&Kind::Isolate));
        let slow = |tun| plan(1, &Means { tun, ..ALL }, &[Kind::Delay], hours(1));
        assert!(!slow(true).is_empty() && slow(false).is_empty());
        assert!(plan(1, &alone, &[Kind::Split], hours(1)).is_empty());
    }

    #[test]
    fn faults_are_about_nodes_that_are_there_and_pairs_of_two() {
        for step in plan(5, &ALL, Kind::value_variants(), hours(3)) {
            assert!((1..=3).contains(&step.node) && (1..=3).contains(&step.other));
            assert_ne!(step.node, step.other);
        }
    }

    #[test]
    fn names_are_those_of_the_command_line() {
        assert_eq!(Kind::StoreCutOne.name(), "store-cut-one");
        assert_eq!(Kind::OneWay.name(), "one-way");
    }
}
