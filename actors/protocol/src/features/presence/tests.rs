//! Presence, by section of RFC 6121 §4.

mod colleagues;

use bytes::Bytes;

use super::*;
use crate::features::presence::directed::DIRECTED_MAX;
use crate::features::roster::RosterItem;
use crate::features::roster::Subscription::{Both, From, None as Neither, To};
use crate::testkit::*;

const JULIET: &str = "juliet@example.org";
const NURSE: &str = "nurse@example.org";
const ORCHARD: &str = "romeo@example.org/orchard";

/// Presence of this session for somebody.
fn shown_to(to: &str) -> Effect {
    route(&format!("<presence from='{ME}' to='{to}'/>"))
}

/// Its absence.
fn gone_for(to: &str) -> Effect {
    route(&format!(
        "<presence type='unavailable' from='{ME}' to='{to}'/>"
    ))
}

/// Presence of this session for its own account, itself included.
fn own() -> Effect {
    shown_to(ACCOUNT)
}

fn load_viewers() -> Effect {
    Effect::Load(Query::Viewers, show_contacts)
}

fn viewers(given: &Given, accounts: &[&str]) -> Vec<Effect> {
    let showing = Showing {
        by_roster: accounts.iter().map(|account| bare(account)).collect(),
        ..Showing::default()
    };
    shown_by(given, showing)
}

fn shown_by(given: &Given, showing: Showing) -> Vec<Effect> {
    show_contacts(
        &parse("<presence/>"),
        Answer::Viewers(showing),
        &given.facts(),
    )
}

#[test]
fn initial_presence_of_somebody_alone_is_published_and_confirmed() {
    check(
        facts(),
        "<presence/>",
        &[
            publish("<presence/>"),
            own(),
            load_viewers(),
            Effect::DeliverOffline,
        ],
    );
}

#[test]
fn initial_presence_goes_to_those_who_may_see_it() {
    let given = facts()
        .contact("both@example.org", Both)
        .contact("from@example.org", From)
        .contact("none@example.org", Neither)
        .contact("to@example.org", To);
    let expected = [
        publish("<presence/>"),
        shown_to("both@example.org"),
        shown_to("from@example.org"),
        own(),
        load_viewers(),
        Effect::DeliverOffline,
    ];
    check(given, "<presence/>", &expected);
}

#[test]
fn own_resources_see_each_other() {
    let given = facts()
        .available()
        .online(ORCHARD, Some("<presence><show>dnd</show></presence>"))
        .online("romeo@example.org/silent", None);
    let other = format!("<presence from='{ORCHARD}' to='{ME}'><show>dnd</show></presence>");
    same(&viewers(&given, &[]), &[reply(&other)]);
}

#[test]
fn presence_is_passed_on_with_all_it_carries() {
    let inside = "<show>away</show><status>Gone</status><c xmlns='http://jabber.org/protocol/caps' \
                  hash='sha-1' node='n' ver='v'/>";
    let effects = facts()
        .contact(JULIET, From)
        .sends(&format!("<presence id='p'>{inside}</presence>"));
    let expected = route(&format!(
        "<presence id='p' from='{ME}' to='{JULIET}'>{inside}</presence>"
    ));
    assert_eq!(effects[1], expected);
}

#[test]
fn an_update_is_told_and_asks_for_nothing() {
    let given = facts()
        .available()
        .contact(JULIET, Both)
        .online(ORCHARD, Some("<presence/>"));
    let away = "<presence><show>away</show></presence>";
    let told = |to: &str| {
        route(&format!(
            "<presence from='{ME}' to='{to}'><show>away</show></presence>"
        ))
    };
    check(given, away, &[publish(away), told(JULIET), told(ACCOUNT)]);
}

#[test]
fn waiting_messages_come_with_the_first_presence_that_takes_messages() {
    let negative = "<presence><priority>-1</priority></presence>";
    let is_due = |given: Given, xml: &str| given.sends(xml).contains(&Effect::DeliverOffline);
    assert!(!is_due(facts(), negative));
    assert!(is_due(
        facts(),
        "<presence><priority>0</priority></presence>"
    ));
    assert!(is_due(facts().with_presence(negative), "<presence/>"));
    assert!(!is_due(facts().available(), "<presence/>"));
    assert!(!is_due(facts().with_presence(negative), negative));
}

#[test]
fn a_priority_is_a_number_from_minus_128_to_127() {
    let with = |priority: &str| {
        facts().sends(&format!(
            "<presence><priority>{priority}</priority></presence>"
        ))
    };
    for good in ["-128", "0", "127", " 5 "] {
        assert!(matches!(with(good)[0], Effect::Publish(Some(_))), "{good}");
    }
    for bad in ["-129", "128", "high", "", "1.5", "99999999999999999999"] {
        assert_eq!(refusal(&with(bad)), "bad-request", "{bad}");
    }
    let directed = "<presence to='juliet@example.org'><priority>x</priority></presence>";
    assert_eq!(refusal(&facts().sends(directed)), "bad-request");
}

#[test]
fn requests_that_wait_come_with_initial_presence_only() {
    let request = format!("<presence type='subscribe' from='{JULIET}' to='{ACCOUNT}'/>");
    let asking = RosterItem {
        pending_in: Some(Bytes::from(request.clone())),
        ..RosterItem::new(bare(JULIET))
    };
    let expected = [
        publish("<presence/>"),
        own(),
        load_viewers(),
        reply(&request),
        Effect::DeliverOffline,
    ];
    check(facts().item(asking.clone()), "<presence/>", &expected);
    let update = facts().available().item(asking.clone());
    check(update, "<presence/>", &[publish("<presence/>"), own()]);
    let blocked = facts().item(asking).blocks(JULIET);
    check(
        blocked,
        "<presence/>",
        &[
            publish("<presence/>"),
            own(),
            load_viewers(),
            Effect::DeliverOffline,
        ],
    );
}

// §4.3: whose presence the user sees.

#[test]
fn contacts_are_shown_with_each_of_their_resources() {
    let given = facts()
        .available()
        .contact(JULIET, Both)
        .online(
            "juliet@example.org/chamber",
            Some("<presence><show>chat</show></presence>"),
        )
        .online("juliet@example.org/garden", Some("<presence/>"))
        .online("juliet@example.org/silent", None);
    let expected = [
        reply(&format!(
            "<presence from='juliet@example.org/chamber' to='{ME}'><show>chat</show></presence>"
        )),
        reply(&format!(
            "<presence from='juliet@example.org/garden' to='{ME}'/>"
        )),
    ];
    same(&viewers(&given, &[JULIET]), &expected);
}

#[test]
fn r15_both_rosters_have_to_agree() {
    for (subscription, is_seen) in [(Neither, false), (From, false), (To, true), (Both, true)] {
        let given = facts()
            .available()
            .contact(JULIET, subscription)
            .online("juliet@example.org/chamber", Some("<presence/>"));
        // Her roster lets the user see her, and the user's says what it says.
        assert_eq!(
            viewers(&given, &[JULIET]).len(),
            usize::from(is_seen),
            "{subscription:?}"
        );
        // Hers does not: whatever the user's roster says, she is not seen.
        assert!(viewers(&given, &[]).is_empty(), "{subscription:?}");
    }
}

#[test]
fn r15_somebody_in_no_roster_is_not_seen() {
    let given = facts()
        .available()
        .online("tybalt@example.org/x", Some("<presence/>"));
    assert!(viewers(&given, &["tybalt@example.org"]).is_empty());
}

#[test]
fn r16_the_blocked_are_not_seen() {
    let given = |blocked: &str| {
        facts()
            .available()
            .contact(JULIET, Both)
            .online("juliet@example.org/chamber", Some("<presence/>"))
            .online("juliet@example.org/garden", Some("<presence/>"))
            .blocks(blocked)
    };
    assert!(viewers(&given(JULIET), &[JULIET]).is_empty());
    assert!(viewers(&given("example.org"), &[JULIET]).is_empty());
    let garden = reply(&format!(
        "<presence from='juliet@example.org/garden' to='{ME}'/>"
    ));
    same(
        &viewers(&given("juliet@example.org/chamber"), &[JULIET]),
        &[garden],
    );
}

#[test]
fn r16_the_blocked_see_nothing() {
    let given = |blocked: &str| {
        facts()
            .contact(JULIET, From)
            .online("juliet@example.org/chamber", Some("<presence/>"))
            .online("juliet@example.org/garden", Some("<presence/>"))
            .blocks(blocked)
    };
    let told = |blocked: &str| given(blocked).sends("<presence/>");
    let shown = |effects: Vec<Effect>| routed(&effects).len();
    // The own account, blocked with its domain, is told all the same.
    assert_eq!(shown(told(JULIET)), 1);
    assert_eq!(shown(told("example.org")), 1);
    let around = told("juliet@example.org/chamber");
    assert_eq!(around[1], shown_to("juliet@example.org/garden"));
    assert_eq!(shown(around), 2);
}

#[test]
fn a_store_that_does_not_answer_shows_nobody() {
    let given = facts().available().contact(JULIET, Both);
    let failed = Answer::Failed(StanzaError::resource_constraint());
    let effects = show_contacts(&parse("<presence/>"), failed, &given.facts());
    assert!(matches!(effects[..], [Effect::Trace(..)]));
}

#[test]
fn contacts_elsewhere_are_probed() {
    let given = facts().contact("juliet@capulet.example", To);
    let probe = format!("<presence type='probe' from='{ME}' to='juliet@capulet.example'/>");
    let expected = [
        publish("<presence/>"),
        own(),
        route(&probe),
        load_viewers(),
        Effect::DeliverOffline,
    ];
    check(given, "<presence/>", &expected);
}

// §4.3.2: answering probes.

fn probed(given: Given, by: &str) -> Vec<Effect> {
    given.account_gets(&format!(
        "<presence type='probe' from='{by}' to='{ACCOUNT}'/>"
    ))
}

fn in_state(state: State) -> RosterItem {
    let mut known = item(JULIET, state.subscription());
    known.ask = state.is_pending_out();
    known.pending_in = state
        .is_pending_in()
        .then(|| Bytes::from_static(b"<presence/>"));
    known
}

#[test]
fn r15_a_probe_is_answered_with_presence_in_the_three_states_that_show_it() {
    let refused = format!("<presence type='unsubscribed' from='{ACCOUNT}' to='{JULIET}'/>");
    for state in State::ALL {
        let effects = probed(
            facts().available().item(in_state(state)),
            "juliet@example.org/x",
        );
        if state.shows() {
            same(&effects, &[shown_to("juliet@example.org/x")]);
        } else if state.is_pending_in() {
            assert!(matches!(effects[..], [Effect::Trace(..)]), "{state:?}");
        } else {
            same(&effects, &[route(&refused)]);
        }
    }
}

#[test]
fn r15_a_strangers_probe_learns_the_same_whether_the_user_is_online_or_not() {
    let online = probed(facts().available(), "tybalt@example.org/x");
    let offline = probed(facts(), "tybalt@example.org/x");
    same(&online, &offline);
}

#[test]
fn a_probe_is_answered_for_each_resource() {
    let given = facts()
        .available()
        .online(ORCHARD, Some("<presence/>"))
        .contact(JULIET, From);
    let orchard = route(&format!("<presence from='{ORCHARD}' to='{JULIET}'/>"));
    same(&probed(given, JULIET), &[shown_to(JULIET), orchard]);
}

#[test]
fn a_probe_of_an_account_that_is_away_is_answered_so() {
    let away = format!("<presence type='unavailable' from='{ACCOUNT}' to='{JULIET}'/>");
    same(
        &probed(facts().contact(JULIET, Both), JULIET),
        &[route(&away)],
    );
}

#[test]
fn the_own_account_may_be_probed() {
    same(&probed(facts().available(), ORCHARD), &[shown_to(ORCHARD)]);
}

#[test]
fn r16_a_blocked_probe_gets_no_answer() {
    let given = facts().available().contact(JULIET, Both).blocks(JULIET);
    assert!(matches!(probed(given, JULIET)[..], [Effect::Trace(..)]));
}

#[test]
fn a_clients_probe_asks_the_account_and_the_answer_comes_to_that_client() {
    let probe = format!("<presence type='probe' from='{ME}' to='{JULIET}'/>");
    check(
        facts(),
        "<presence type='probe' to='juliet@example.org/chamber'/>",
        &[route(&probe)],
    );
    assert_eq!(
        refusal(&facts().sends("<presence type='probe'/>")),
        "bad-request"
    );
}

// §4.5: going.

#[test]
fn going_is_told_to_all_who_were_told_of_coming() {
    let given = facts()
        .available()
        .contact(JULIET, Both)
        .contact(NURSE, To)
        .online(ORCHARD, Some("<presence/>"))
        .directed("room@conference.example.org/romeo");
    let expected = [
        Effect::Publish(None),
        gone_for(JULIET),
        gone_for(ACCOUNT),
        gone_for("room@conference.example.org/romeo"),
        directed("room@conference.example.org/romeo", false),
        reply(&format!(
            "<presence type='unavailable' from='{ME}' to='{ME}'/>"
        )),
        last_activity::goes(),
    ];
    check(given, "<presence type='unavailable'/>", &expected);
}

#[test]
fn going_says_what_the_client_says() {
    let given = facts().available().contact(JULIET, Both).directed(NURSE);
    let told = routed(&given.sends("<presence type='unavailable'><status>Bed</status></presence>"));
    assert_eq!(told.len(), 3);
    assert!(
        told.iter()
            .all(|stanza| stanza.contains("<status>Bed</status>"))
    );
}

#[test]
fn who_was_not_there_does_not_go() {
    let effects = facts()
        .contact(JULIET, Both)
        .sends("<presence type='unavailable'/>");
    assert!(matches!(effects[..], [Effect::Trace(..)]));
}

#[test]
fn a_session_that_ends_without_a_word_goes_all_the_same() {
    let given = facts()
        .available()
        .contact(JULIET, From)
        .online(ORCHARD, Some("<presence/>"))
        .directed(NURSE);
    let expected = [
        Effect::Publish(None),
        gone_for(JULIET),
        gone_for(ACCOUNT),
        gone_for(NURSE),
        directed(NURSE, false),
    ];
    same(&decide_gone(&given.facts()), &expected);
}

#[test]
fn a_session_that_never_came_leaves_nobody_but_those_it_turned_to() {
    assert!(decide_gone(&facts().contact(JULIET, Both).facts()).is_empty());
    let given = facts().contact(JULIET, Both).directed(JULIET);
    same(
        &decide_gone(&given.facts()),
        &[gone_for(JULIET), directed(JULIET, false)],
    );
}

// §4.6: directed presence.

fn to(address: &str) -> String {
    format!("<presence to='{address}'/>")
}

fn not_to(address: &str) -> String {
    format!("<presence type='unavailable' to='{address}'/>")
}

#[test]
fn directed_presence_is_noted_once_and_passed_on() {
    check(
        facts(),
        &to(NURSE),
        &[directed(NURSE, true), shown_to(NURSE)],
    );
    check(facts().directed(NURSE), &to(NURSE), &[shown_to(NURSE)]);
}

#[test]
fn directed_presence_to_who_sees_the_user_anyway_is_not_noted() {
    check(
        facts().available().contact(JULIET, From),
        &to(JULIET),
        &[shown_to(JULIET)],
    );
    check(facts().available(), &to(ACCOUNT), &[shown_to(ACCOUNT)]);
    // Before initial presence there is no broadcast that would tell them.
    check(
        facts().contact(JULIET, From),
        &to(JULIET),
        &[directed(JULIET, true), shown_to(JULIET)],
    );
}

#[test]
fn directed_absence_ends_it() {
    check(
        facts().directed(NURSE),
        &not_to(NURSE),
        &[gone_for(NURSE), directed(NURSE, false)],
    );
    check(facts(), &not_to(NURSE), &[gone_for(NURSE)]);
}

#[test]
fn nobody_is_told_twice_of_the_end() {
    let given = facts().available().contact(JULIET, From).directed(JULIET);
    let told = routed(&given.sends("<presence type='unavailable'/>"));
    assert_eq!(told.len(), 2, "her and the own account: {told:?}");
}

#[test]
fn r16_who_was_blocked_since_is_not_told_again() {
    let given = facts().available().directed(NURSE).blocks(NURSE);
    let expected = [
        Effect::Publish(None),
        gone_for(ACCOUNT),
        directed(NURSE, false),
    ];
    same(&decide_gone(&given.facts()), &expected);
}

#[test]
fn r18_directed_presence_is_limited() {
    let mut given = facts();
    for n in 0..DIRECTED_MAX {
        given = given.directed(&format!("n{n}@example.org"));
    }
    assert_eq!(refusal(&given.sends(&to(NURSE))), "policy-violation");
    same(
        &given.sends(&to("n7@example.org")),
        &[shown_to("n7@example.org")],
    );
}

#[test]
fn r21_every_kind_of_presence_to_every_form_of_address_has_an_outcome() {
    let kinds = [
        "",
        "unavailable",
        "subscribe",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "probe",
        "error",
    ];
    let addresses = [
        "",
        ACCOUNT,
        ME,
        ORCHARD,
        JULIET,
        "juliet@example.org/chamber",
        "nobody@example.org",
        "example.org",
        "example.org/x",
        "elsewhere.example",
        "juliet@elsewhere.example/x",
    ];
    for given in [facts(), facts().available().contact(JULIET, Both)] {
        for kind in kinds {
            for address in addresses {
                let kind = if kind.is_empty() {
                    String::new()
                } else {
                    format!(" type='{kind}'")
                };
                let to = if address.is_empty() {
                    String::new()
                } else {
                    format!(" to='{address}'")
                };
                let xml = format!("<presence{kind}{to}/>");
                let effects = given.sends(&xml);
                assert!(!effects.is_empty(), "{xml}");
                for stanza in routed(&effects) {
                    assert!(
                        stanza.contains("from=") && stanza.contains("to="),
                        "{stanza}"
                    );
                }
            }
        }
    }
}

#[test]
fn errors_are_passed_on_and_never_answered() {
    let error = "<presence type='error' to='juliet@example.org'/>";
    let expected = format!("<presence type='error' from='{ME}' to='{JULIET}'/>");
    check(facts(), error, &[route(&expected)]);
    assert!(matches!(
        facts().sends("<presence type='error'/>")[..],
        [Effect::Trace(..)]
    ));
}

// Colleagues: people in a group of the organisation's directory.

const MERCUTIO: &str = "mercutio@example.org";
