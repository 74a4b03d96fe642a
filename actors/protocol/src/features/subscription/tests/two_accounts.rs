//! Two accounts and everything they can say to each other: row R15.
//!
//! Walks through all states two rosters can reach together, by every stanza and every roster
//! set of either side, each delivered to the other before the next one is sent.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::facts::Facts;
use crate::testkit::facts_of;

const SESSIONS: [&str; 2] = ["romeo@example.org/balcony", "juliet@example.org/chamber"];
const ACCOUNTS: [&str; 2] = [ACCOUNT, JULIET];

/// What each account remembers of the other; `None`: nothing.
type Pair = [Option<RosterItem>; 2];

#[derive(Debug, Clone, Copy)]
enum Act {
    Send(Request),
    Add,
    Remove,
}

fn acts() -> impl Iterator<Item = Act> {
    Request::ALL
        .into_iter()
        .map(Act::Send)
        .chain([Act::Add, Act::Remove])
}

fn given(pair: &Pair, side: usize) -> Given {
    let mut given = facts_of(SESSIONS[side])
        .available()
        .interested(SESSIONS[side]);
    if let Some(item) = &pair[side] {
        given
            .data
            .roster
            .items
            .insert(item.jid.clone(), item.clone());
    }
    given
}

fn xml_of(act: Act, other: &str) -> String {
    let set = |item: &str| {
        format!("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{item}</query></iq>")
    };
    match act {
        Act::Send(request) => format!("<presence type='{}' to='{other}'/>", kind_name(request)),
        Act::Add => set(&format!("<item jid='{other}' name='N'/>")),
        Act::Remove => set(&format!("<item jid='{other}' subscription='remove'/>")),
    }
}

/// Carries out what one side decided; gives what is for the other side.
fn carry_out(pair: &mut Pair, side: usize, effects: Vec<Effect>) -> Vec<Presence> {
    let mut sent = Vec::new();
    for effect in effects {
        match effect {
            Effect::Change(Change::Roster(changes)) => {
                for change in changes {
                    pair[side] = match change {
                        RosterChange::Put(item) => Some(item),
                        RosterChange::Remove(_) => None,
                    };
                }
            }
            Effect::Route(Stanza::Presence(presence)) => {
                let to = presence.head.to.as_ref().expect("it has an address");
                if to.bare_str() == ACCOUNTS[1 - side] {
                    sent.push(presence);
                }
            }
            _ => {}
        }
    }
    sent
}

/// One act with all that follows from it. Also checks who sees what meanwhile.
fn play(pair: &Pair, side: usize, act: Act) -> Pair {
    let mut after = pair.clone();
    let effects = given(&after, side).sends(&xml_of(act, ACCOUNTS[1 - side]));
    let mut under_way: VecDeque<(usize, Presence)> = VecDeque::new();
    let sent = carry_out(&mut after, side, effects);
    under_way.extend(sent.into_iter().map(|presence| (1 - side, presence)));
    let mut count = 0;
    while let Some((to, presence)) = under_way.pop_front() {
        count += 1;
        assert!(count < 20, "{act:?} of {side} in {pair:?} makes a storm");
        if Request::of(presence.kind).is_none() {
            let shows = State::of(after[1 - to].as_ref()).shows();
            let is_shown = presence.kind == PresenceKind::Available;
            assert!(
                !is_shown || shows,
                "{act:?} of {side} in {pair:?} leaks presence"
            );
            continue;
        }
        let here = given(&after, to);
        let facts: Facts<'_> = here.account_facts();
        let effects = crate::pipeline::decide_account(&Stanza::Presence(presence), &facts);
        let sent = carry_out(&mut after, to, effects);
        under_way.extend(sent.into_iter().map(|presence| (1 - to, presence)));
    }
    after
}

fn state(pair: &Pair, side: usize) -> State {
    State::of(pair[side].as_ref())
}

#[test]
fn r15_two_rosters_never_disagree_on_who_sees_whom() {
    let mut seen: BTreeMap<String, Pair> = BTreeMap::new();
    let mut open = VecDeque::from([[None, None]]);
    while let Some(pair) = open.pop_front() {
        if seen.insert(format!("{pair:?}"), pair.clone()).is_some() {
            continue;
        }
        assert!(seen.len() < 2000, "the states do not end");
        for side in [0, 1] {
            let (mine, theirs) = (state(&pair, side), state(&pair, 1 - side));
            let sees = matches!(mine.subscription(), Subscription::To | Subscription::Both);
            assert_eq!(sees, theirs.shows(), "{pair:?}");
            assert_eq!(mine.is_pending_out(), theirs.is_pending_in(), "{pair:?}");
            for act in acts() {
                open.push_back(play(&pair, side, act));
            }
        }
    }
    // All nine states of one side are reached.
    for wanted in State::ALL {
        assert!(
            seen.values().any(|pair| state(pair, 0) == wanted),
            "{wanted:?}"
        );
    }
}

#[test]
fn r15_nobody_is_seen_without_having_said_so() {
    // Whatever the other side does, one who only looks on is seen by nobody.
    let mut seen: BTreeMap<String, Pair> = BTreeMap::new();
    let mut open = VecDeque::from([[None, None]]);
    while let Some(pair) = open.pop_front() {
        if seen.insert(format!("{pair:?}"), pair.clone()).is_some() {
            continue;
        }
        assert!(!state(&pair, 0).shows(), "{pair:?}");
        open.extend(acts().map(|act| play(&pair, 1, act)));
    }
    assert!(seen.len() > 3);
}
