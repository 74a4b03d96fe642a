//! What one node thinks of another, in scenes with a clock that is moved by hand.

use super::*;
use crate::node_id::Incarnation;

const TIMING: Timing = Timing {
    heartbeat: Duration::from_secs(1),
};
const SHORT: Duration = Duration::from_millis(1);

fn life(node: u16, incarnation: u64) -> Life {
    Life {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    }
}

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn one() -> Membership {
    Membership::new(life(1, 10), "one", TIMING)
}

/// Node one, in touch with node two since second 0.
fn in_touch() -> Membership {
    let mut one = one();
    one.connected(life(2, 5), "two", SHORT, at(0.0));
    one
}

fn state(membership: &Membership, node: u16) -> State {
    membership.members().member(NodeId(node)).unwrap().state
}

fn beat(sent: f64, silence: f64) -> Heartbeat {
    Heartbeat {
        sent: micros(at(sent)),
        echo: 0,
        held: 0,
        silence: micros(at(silence)),
        is_leaving: false,
    }
}

/// Looks four times a second until a time; answers who is to be closed.
fn look_until(membership: &mut Membership, from: f64, to: f64) -> Vec<Life> {
    let steps = ((to - from) * 4.0) as u32;
    let times = (0..=steps).map(|step| at(from + f64::from(step) / 4.0));
    times.flat_map(|now| membership.look(now)).collect()
}

#[test]
fn a_silent_node_is_suspect_after_three_seconds_and_down_after_five() {
    let mut one = in_touch();
    look_until(&mut one, 0.0, 2.9);
    assert_eq!(state(&one, 2), State::Up);
    look_until(&mut one, 3.0, 3.25);
    assert_eq!(state(&one, 2), State::Suspect);
    assert!(look_until(&mut one, 3.5, 4.9).is_empty());
    assert_eq!(state(&one, 2), State::Suspect);
    assert_eq!(look_until(&mut one, 5.0, 5.25), [life(2, 5)]);
    assert_eq!(state(&one, 2), State::Down);
    assert!(one.members().misses_somebody());
}

#[test]
fn a_suspect_that_is_heard_is_up() {
    let mut one = in_touch();
    look_until(&mut one, 0.0, 4.0);
    one.heard(life(2, 5), at(4.0));
    assert_eq!(state(&one, 2), State::Up);
}

#[test]
fn a_node_that_is_down_is_up_by_a_new_connection_alone() {
    let mut one = in_touch();
    look_until(&mut one, 0.0, 5.5);
    one.heartbeat(life(2, 5), beat(6.0, 0.0), at(6.0));
    assert_eq!(state(&one, 2), State::Down);
    one.connected(life(2, 5), "two", SHORT, at(7.0));
    assert_eq!(state(&one, 2), State::Up);
}

#[test]
fn a_lost_connection_makes_suspect_at_once_and_down_in_time() {
    let mut one = in_touch();
    one.heard(life(2, 5), at(1.0));
    one.disconnected(life(2, 5), at(1.5));
    assert_eq!(state(&one, 2), State::Suspect);
    look_until(&mut one, 1.5, 5.75);
    assert_eq!(state(&one, 2), State::Suspect);
    // It is closed already.
    assert!(look_until(&mut one, 6.0, 6.25).is_empty());
    assert_eq!(state(&one, 2), State::Down);
}

#[test]
fn a_node_that_does_not_hear_us_is_given_up_though_we_hear_it() {
    let mut one = in_touch();
    assert!(!one.heartbeat(life(2, 5), beat(1.0, 4.0), at(4.0)));
    assert_eq!(state(&one, 2), State::Up);
    assert!(one.heartbeat(life(2, 5), beat(2.0, 5.1), at(5.1)));
    assert_eq!(state(&one, 2), State::Down);
}

/// Only what one says to the other arrives; both judge as the server does.
#[test]
fn both_ends_of_a_link_that_carries_one_way_give_it_up_within_ten_seconds() {
    let (mut one, mut two) = (in_touch(), Membership::new(life(2, 5), "two", TIMING));
    two.connected(life(1, 10), "one", SHORT, at(0.0));
    let mut down_at = [None, None];
    for step in 0..40 {
        let now = at(f64::from(step) / 4.0);
        let is_closing = !one.look(now).is_empty();
        if is_closing || (step % 4 == 0 && state(&one, 2) != State::Down) {
            let said = one.beat_for(NodeId(2), now).unwrap();
            two.heartbeat(life(1, 10), said, now);
        }
        two.look(now);
        for (seen, membership) in [(0, (&one, 2)), (1, (&two, 1))] {
            if state(membership.0, membership.1) == State::Down {
                down_at[seen].get_or_insert(now);
            }
        }
    }
    assert!(
        down_at[0].is_some_and(|when| when <= at(5.25)),
        "{down_at:?}"
    );
    assert!(
        down_at[1].is_some_and(|when| when <= at(10.0)),
        "{down_at:?}"
    );
}

#[test]
fn a_later_life_replaces_an_earlier_one_which_is_refused() {
    let mut one = in_touch();
    assert_eq!(one.check(life(2, 6), "two"), Ok(()));
    one.connected(life(2, 6), "two", SHORT, at(1.0));
    assert_eq!(one.check(life(2, 5), "two"), Err(Refusal::Superseded(6)));
    // What still arrives of the earlier life changes nothing.
    one.disconnected(life(2, 5), at(2.0));
    assert_eq!(state(&one, 2), State::Up);
    assert_eq!(one.members().others.len(), 1);
}

#[test]
fn a_node_knows_itself_and_learns_that_it_lives_again_elsewhere() {
    let mut one = one();
    assert_eq!(one.check(life(1, 10), "one"), Err(Refusal::Itself));
    assert_eq!(one.check(life(1, 9), "one"), Err(Refusal::Superseded(10)));
    assert_eq!(one.check(life(1, 11), "one"), Err(Refusal::Taken));
    assert!(!one.is_superseded());
    assert!(one.superseded() && !one.superseded());
    assert!(one.is_superseded());
}

#[test]
fn c05_nobody_takes_the_name_or_the_number_of_another() {
    let one = in_touch();
    assert_eq!(one.check(life(2, 7), "three"), Err(Refusal::Taken));
    assert_eq!(one.check(life(3, 7), "two"), Err(Refusal::Taken));
    assert_eq!(one.check(life(3, 7), "one"), Err(Refusal::Taken));
    assert_eq!(one.check(life(3, 7), "three"), Ok(()));
}

#[test]
fn a_node_that_says_that_it_stops_is_leaving_and_down_as_soon_as_it_is_gone() {
    let mut one = in_touch();
    let says = Heartbeat {
        is_leaving: true,
        ..beat(1.0, 0.0)
    };
    one.heartbeat(life(2, 5), says, at(1.0));
    assert_eq!(state(&one, 2), State::Leaving);
    assert_eq!(one.members().homes(), [NodeId(1)]);
    one.disconnected(life(2, 5), at(1.5));
    assert_eq!(state(&one, 2), State::Down);
    look_until(&mut one, 1.5, 61.0);
    assert_eq!(one.members().others.len(), 1);
    look_until(&mut one, 61.0, 62.0);
    assert!(one.members().others.is_empty(), "it is not expected back");
}

#[test]
fn a_lost_node_is_expected_back_for_a_day() {
    let mut one = in_touch();
    look_until(&mut one, 0.0, 3600.0);
    assert_eq!(state(&one, 2), State::Down);
    look_until(&mut one, 86_400.0, 86_410.0);
    assert!(one.members().others.is_empty());
}

#[test]
fn who_has_slept_reads_what_has_come_before_judging() {
    let mut one = in_touch();
    look_until(&mut one, 0.0, 1.0);
    assert!(one.look(at(40.0)).is_empty());
    one.heard(life(2, 5), at(40.1));
    assert!(one.look(at(40.25)).is_empty());
    assert_eq!(state(&one, 2), State::Up);
    // Nothing has come: down with the next look.
    assert!(one.look(at(80.0)).is_empty());
    assert_eq!(one.look(at(80.25)), [life(2, 5)]);
}

#[test]
fn who_has_slept_takes_nobody_for_dead_who_has_hung_up_on_it() {
    let is_silent = |one: &Membership| one.members().member(NodeId(2)).unwrap().is_silent;
    let awake = || {
        let mut one = in_touch();
        look_until(&mut one, 0.0, 1.0);
        one
    };
    let mut one = awake();
    one.disconnected(life(2, 5), at(1.1));
    assert!(!is_silent(&one), "it has died");
    let mut one = awake();
    one.disconnected(life(2, 5), at(12.0));
    assert!(is_silent(&one), "it has given this node up");
    let mut one = awake();
    one.look(at(12.0));
    one.heard(life(2, 5), at(12.1));
    look_until(&mut one, 12.25, 13.0);
    one.disconnected(life(2, 5), at(13.0));
    assert!(is_silent(&one), "and that is noticed late");
}

#[test]
fn the_time_there_and_back_is_measured_without_what_the_other_waited() {
    let mut one = in_touch();
    for round in 1..=20 {
        let now = at(f64::from(round));
        let says = Heartbeat {
            echo: micros(now - Duration::from_millis(800)),
            held: 700_000,
            ..beat(0.0, 0.0)
        };
        one.heartbeat(life(2, 5), says, now);
    }
    let round_trip = one.vitals(NodeId(2)).unwrap().round_trip;
    assert!(
        (99..=100).contains(&round_trip.as_millis()),
        "{round_trip:?}"
    );
    // An echo of a time that has not been is no time.
    let says = Heartbeat {
        echo: u64::MAX,
        ..beat(0.0, 0.0)
    };
    one.heartbeat(life(2, 5), says, at(21.0));
    assert_eq!(one.vitals(NodeId(2)).unwrap().round_trip, round_trip);
}

/// A link of 2 s there and back on which every twentieth packet is lost, sent again as TCP does
/// (after 2.4 s, then twice as long), in order: heartbeats of half an hour, with losses of one
/// packet twice in a row as the worst.
#[test]
fn a_far_node_is_not_marked_down_for_lost_packets() {
    let mut one = one();
    one.connected(life(2, 5), "two", at(2.0), at(0.0));
    let (mut arrived, mut seed) = (0.0_f64, 7_u32);
    let mut arrivals = Vec::new();
    for sent in 1..1800 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let delay = match seed >> 16 {
            dice if dice % 400 == 0 => 1.0 + 2.4 + 4.8,
            dice if dice % 20 == 0 => 1.0 + 2.4,
            _ => 1.0,
        };
        arrived = arrived.max(f64::from(sent) + delay);
        arrivals.push(arrived);
    }
    assert!(arrivals.windows(2).any(|gap| gap[1] - gap[0] > 6.0));
    let mut waiting = arrivals.into_iter().peekable();
    for step in 0..7200 {
        let now = f64::from(step) / 4.0;
        while waiting.next_if(|when| *when <= now).is_some() {
            one.heartbeat(life(2, 5), beat(now, 1.0), at(now));
        }
        assert!(one.look(at(now)).is_empty(), "down at {now} s");
    }
}

#[test]
fn nodes_are_not_known_without_end() {
    let mut one = one();
    for node in 2..2 + NODES_MAX as u16 {
        let name = format!("node{node}");
        assert_eq!(one.check(life(node, 1), &name), Ok(()));
        one.connected(life(node, 1), &name, SHORT, at(0.0));
    }
    assert_eq!(one.check(life(5000, 1), "more"), Err(Refusal::Full));
    assert_eq!(one.check(life(2, 2), "node2"), Ok(()));
}
