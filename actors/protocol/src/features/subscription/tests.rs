//! Subscriptions, by section of RFC 6121 §3.

mod colleagues;
mod two_accounts;

use bytes::Bytes;

use super::*;
use crate::effect::Interest;
use crate::features::roster::Subscription::{Both, From, None as Neither, To};
use crate::testkit::*;

const JULIET: &str = "juliet@example.org";
const HERS: &str =
    "<presence type='KIND' id='x' from='juliet@example.org' to='romeo@example.org'/>";

/// What Romeo sends.
fn mine(kind: &str) -> String {
    format!("<presence type='{kind}' id='x' to='{JULIET}'/>")
}

/// What Juliet sends.
fn hers(kind: &str) -> String {
    HERS.replace("KIND", kind)
}

/// What goes to Juliet.
fn sent(kind: &str) -> Effect {
    route(&format!(
        "<presence type='{kind}' id='x' from='{ACCOUNT}' to='{JULIET}'/>"
    ))
}

/// What the server says to Juliet in Romeo's name.
fn told(kind: &str) -> Effect {
    route(&format!(
        "<presence type='{kind}' from='{ACCOUNT}' to='{JULIET}'/>"
    ))
}

/// What comes to a resource of Romeo.
fn delivered(kind: &str, to: &str) -> Effect {
    route(&format!(
        "<presence type='{kind}' id='x' from='{JULIET}' to='{to}'/>"
    ))
}

fn pushed(attributes: &str) -> Effect {
    let item = format!("<item jid='{JULIET}' {attributes}/>");
    push(
        Interest::Roster,
        &format!("<query xmlns='jabber:iq:roster' ver='1'>{item}</query>"),
    )
}

fn presence_of_me() -> Effect {
    route(&format!("<presence from='{ME}' to='{JULIET}'/>"))
}

fn absence_of_me() -> Effect {
    route(&format!(
        "<presence type='unavailable' from='{ME}' to='{JULIET}'/>"
    ))
}

fn her_request() -> Bytes {
    parse(&hers("subscribe")).to_bytes()
}

fn asking(item: RosterItem) -> RosterItem {
    RosterItem {
        pending_in: Some(her_request()),
        ..item
    }
}

fn asked(item: RosterItem) -> RosterItem {
    RosterItem { ask: true, ..item }
}

fn stranger() -> RosterItem {
    asking(RosterItem::new(bare(JULIET)))
}

fn in_state(state: State) -> RosterItem {
    let mut known = item(JULIET, state.subscription());
    known.ask = state.is_pending_out();
    known.pending_in = state.is_pending_in().then(her_request);
    known
}

/// The state the roster is in after the effects.
fn state_after(given: &Given, effects: &[Effect]) -> State {
    let changed = effects.iter().find_map(|effect| match effect {
        Effect::Change(Change::Roster(changes)) => Some(&changes[0]),
        _ => None,
    });
    match changed {
        Some(RosterChange::Put(item)) => State::of(Some(item)),
        Some(RosterChange::Remove(_)) => State::None,
        None => State::of(given.data.roster.items.get(&bare(JULIET))),
    }
}

fn kind_name(request: Request) -> &'static str {
    match request {
        Request::Subscribe => "subscribe",
        Request::Unsubscribe => "unsubscribe",
        Request::Subscribed => "subscribed",
        Request::Unsubscribed => "unsubscribed",
    }
}

/// The place of an effect, if it is there.
fn place(effects: &[Effect], wanted: &Effect) -> Option<usize> {
    effects.iter().position(|effect| effect == wanted)
}

fn assert_kept_first(effects: &[Effect], case: &str) {
    let change = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Change(_)));
    assert!(
        matches!(change, None | Some(0)),
        "kept before anybody hears of it: {case}"
    );
}

#[test]
fn r15_outbound_every_state_and_stanza_decides_as_the_table_says() {
    for state in State::ALL {
        for request in Request::ALL {
            let given = facts().available().item(in_state(state));
            let effects = given.sends(&mine(kind_name(request)));
            let (passes, next) = table::outbound(state, request);
            let case = format!("{state:?} {request:?}: {effects:#?}");
            assert_eq!(state_after(&given, &effects), next, "{case}");
            let stanza = place(&effects, &sent(kind_name(request)));
            assert_eq!(stanza.is_some(), passes, "{case}");
            let gone = place(&effects, &absence_of_me());
            assert_eq!(gone.is_some(), state.shows() && !next.shows(), "{case}");
            assert!(
                gone.is_none() || gone < stanza,
                "gone before the subscription is: {case}"
            );
            let shown = place(&effects, &presence_of_me());
            assert_eq!(shown.is_some(), !state.shows() && next.shows(), "{case}");
            assert!(
                shown.is_none() || shown > stanza,
                "subscribed before shown: {case}"
            );
            assert_kept_first(&effects, &case);
        }
    }
}

#[test]
fn r15_inbound_every_state_and_stanza_decides_as_the_table_says() {
    for state in State::ALL {
        for request in Request::ALL {
            let given = facts().available().interested(ME).item(in_state(state));
            let effects = given.account_gets(&hers(kind_name(request)));
            let (passes, next) = table::inbound(state, request);
            let case = format!("{state:?} {request:?}: {effects:#?}");
            assert_eq!(state_after(&given, &effects), next, "{case}");
            let delivery = place(&effects, &delivered(kind_name(request), ME));
            assert_eq!(delivery.is_some(), passes, "{case}");
            let gone = place(&effects, &absence_of_me()).is_some();
            assert_eq!(gone, state.shows() && !next.shows(), "{case}");
            let is_answered = request == Request::Subscribe && state.shows();
            assert_eq!(
                place(&effects, &told("subscribed")).is_some(),
                is_answered,
                "{case}"
            );
            assert_eq!(
                place(&effects, &presence_of_me()).is_some(),
                is_answered,
                "{case}"
            );
            assert_kept_first(&effects, &case);
        }
    }
}

#[test]
fn r15_no_stanza_of_theirs_shows_the_user_to_them() {
    for state in State::ALL.into_iter().filter(|state| !state.shows()) {
        for request in Request::ALL {
            let given = facts().available().interested(ME).item(in_state(state));
            let effects = given.account_gets(&hers(kind_name(request)));
            let to_her = format!("to='{JULIET}'");
            let leaked: Vec<_> = routed(&effects)
                .into_iter()
                .filter(|stanza| stanza.contains(&to_her))
                .collect();
            assert!(leaked.is_empty(), "{state:?} {request:?}: {leaked:?}");
        }
    }
}

#[test]
fn asking_makes_a_contact_that_is_pending_out() {
    let after = asked(item(JULIET, Neither));
    let expected = [
        put_item(after),
        pushed("subscription='none' ask='subscribe'"),
        sent("subscribe"),
    ];
    check(facts(), &mine("subscribe"), &expected);
}

#[test]
fn asking_a_resource_asks_its_account() {
    let after = asked(item(JULIET, Neither));
    let expected = [
        put_item(after),
        pushed("subscription='none' ask='subscribe'"),
        sent("subscribe"),
    ];
    check(
        facts(),
        "<presence type='subscribe' id='x' to='Juliet@example.org/chamber'/>",
        &expected,
    );
}

#[test]
fn asking_again_is_passed_on_and_changes_nothing() {
    for known in [
        asked(item(JULIET, Neither)),
        item(JULIET, To),
        item(JULIET, Both),
    ] {
        check(
            facts().item(known),
            &mine("subscribe"),
            &[sent("subscribe")],
        );
    }
}

#[test]
fn what_a_request_says_reaches_the_contact() {
    let greeting =
        format!("<presence type='subscribe' to='{JULIET}'><status>It's me</status></presence>");
    let effects = facts().sends(&greeting);
    let stanza = routed(&effects).remove(0);
    assert!(
        stanza.contains("<status>It's me</status>")
            || stanza.contains("<status>It&apos;s me</status>")
    );
}

#[test]
fn subscriptions_need_somebody_else() {
    for kind in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
        let to_nobody = format!("<presence type='{kind}'/>");
        assert_eq!(refusal(&facts().sends(&to_nobody)), "bad-request");
        for me in [ACCOUNT, ME] {
            let to_me = format!("<presence type='{kind}' to='{me}'/>");
            assert_eq!(refusal(&facts().sends(&to_me)), "not-allowed");
        }
        let from_me = format!("<presence type='{kind}' from='{ACCOUNT}' to='{ACCOUNT}'/>");
        assert!(matches!(
            facts().account_gets(&from_me)[..],
            [Effect::Trace(..)]
        ));
    }
}

#[test]
fn a_request_goes_to_available_resources_and_waits() {
    let given = facts()
        .available()
        .online("romeo@example.org/orchard", None);
    check_account(
        given,
        &hers("subscribe"),
        &[put_item(stranger()), delivered("subscribe", ME)],
    );
}

#[test]
fn a_request_waits_where_nobody_is_online() {
    check_account(facts(), &hers("subscribe"), &[put_item(stranger())]);
}

#[test]
fn a_request_is_kept_once() {
    let again = facts()
        .available()
        .item(stranger())
        .account_gets(&hers("subscribe"));
    assert!(matches!(again[..], [Effect::Trace(..)]));
}

#[test]
fn a_request_is_kept_whole_unless_it_is_huge() {
    let with = |status: &str| {
        let xml =
            hers("subscribe").replace("/>", &format!("><status>{status}</status></presence>"));
        let effects = facts().account_gets(&xml);
        let Effect::Change(Change::Roster(changes)) = &effects[0] else {
            panic!("{effects:?}")
        };
        let RosterChange::Put(item) = &changes[0] else {
            panic!("{changes:?}")
        };
        Stanza::parse(item.pending_in.as_ref().expect("it waits")).expect("it parses")
    };
    let whole = with("hello").to_bytes();
    assert!(String::from_utf8_lossy(&whole).contains("<status>hello</status>"));
    assert_eq!(
        with(&"x".repeat(WAITING_BYTES_MAX)),
        parse(&hers("subscribe"))
    );
}

#[test]
fn requests_of_strangers_are_limited_and_those_of_contacts_are_not() {
    let mut given = facts();
    for n in 0..WAITING_MAX {
        let jid = bare(&format!("s{n}@example.org"));
        given = given.item(RosterItem {
            pending_in: Some(her_request()),
            ..RosterItem::new(jid)
        });
    }
    assert!(matches!(
        given.account_gets(&hers("subscribe"))[..],
        [Effect::Trace(..)]
    ));
    let given = given.item(item(JULIET, To));
    assert_eq!(
        given.account_gets(&hers("subscribe")),
        [put_item(asking(item(JULIET, To)))]
    );
}

#[test]
fn approving_a_stranger_makes_a_contact_and_shows_current_presence() {
    let given = facts()
        .with_presence("<presence><show>away</show></presence>")
        .online(
            "romeo@example.org/orchard",
            Some("<presence><priority>5</priority></presence>"),
        )
        .item(stranger());
    let shown = |resource: &str, inside: &str| {
        route(&format!(
            "<presence from='{ACCOUNT}/{resource}' to='{JULIET}'>{inside}</presence>"
        ))
    };
    let expected = [
        put_item(item(JULIET, From)),
        pushed("subscription='from'"),
        sent("subscribed"),
        shown("balcony", "<show>away</show>"),
        shown("orchard", "<priority>5</priority>"),
    ];
    check(given, &mine("subscribed"), &expected);
}

#[test]
fn approving_while_asking_oneself_keeps_the_question() {
    let after = asked(item(JULIET, From));
    let expected = [
        put_item(after),
        pushed("subscription='from' ask='subscribe'"),
        sent("subscribed"),
    ];
    check(
        facts().item(asked(asking(item(JULIET, Neither)))),
        &mine("subscribed"),
        &expected,
    );
}

#[test]
fn denying_a_stranger_forgets_them() {
    check(
        facts().item(stranger()),
        &mine("unsubscribed"),
        &[remove_item(JULIET), sent("unsubscribed")],
    );
}

#[test]
fn denying_a_contact_keeps_the_contact_as_it_was() {
    let given = facts().item(asking(item(JULIET, To)));
    check(
        given,
        &mine("unsubscribed"),
        &[put_item(item(JULIET, To)), sent("unsubscribed")],
    );
}

#[test]
fn cancelling_shows_absence_first() {
    let expected = [
        put_item(item(JULIET, To)),
        pushed("subscription='to'"),
        absence_of_me(),
        sent("unsubscribed"),
    ];
    check(
        facts().available().contact(JULIET, Both),
        &mine("unsubscribed"),
        &expected,
    );
}

#[test]
fn unsubscribing_withdraws_what_was_asked() {
    let expected = [
        put_item(item(JULIET, Neither)),
        pushed("subscription='none'"),
        sent("unsubscribe"),
    ];
    check(
        facts().item(asked(item(JULIET, Neither))),
        &mine("unsubscribe"),
        &expected,
    );
    check(facts().contact(JULIET, To), &mine("unsubscribe"), &expected);
}

#[test]
fn approval_reaches_interested_resources() {
    let given = facts()
        .available()
        .online("romeo@example.org/orchard", None)
        .interested("romeo@example.org/orchard")
        .item(asked(item(JULIET, Neither)));
    let expected = [
        put_item(item(JULIET, To)),
        pushed("subscription='to'"),
        delivered("subscribed", "romeo@example.org/orchard"),
    ];
    check_account(given, &hers("subscribed"), &expected);
}

#[test]
fn approval_nobody_asked_for_is_ignored() {
    for known in [
        item(JULIET, Neither),
        item(JULIET, From),
        item(JULIET, To),
        stranger(),
    ] {
        let effects = facts()
            .available()
            .interested(ME)
            .item(known)
            .account_gets(&hers("subscribed"));
        assert!(matches!(effects[..], [Effect::Trace(..)]), "{effects:?}");
    }
}

#[test]
fn a_stranger_who_withdraws_is_forgotten() {
    let given = facts().available().interested(ME).item(stranger());
    check_account(
        given,
        &hers("unsubscribe"),
        &[remove_item(JULIET), delivered("unsubscribe", ME)],
    );
}

#[test]
fn who_unsubscribes_sees_the_user_go() {
    let given = facts().available().contact(JULIET, Both);
    let expected = [
        put_item(item(JULIET, To)),
        pushed("subscription='to'"),
        absence_of_me(),
    ];
    check_account(given, &hers("unsubscribe"), &expected);
}

// §3.4: approval in advance.

fn approved(item: RosterItem) -> RosterItem {
    RosterItem {
        approved: true,
        ..item
    }
}

#[test]
fn approving_in_advance_tells_nobody_else() {
    let new = [
        put_item(approved(item(JULIET, Neither))),
        pushed("subscription='none' approved='true'"),
    ];
    check(facts(), &mine("subscribed"), &new);
    let known = [
        put_item(approved(item(JULIET, To))),
        pushed("subscription='to' approved='true'"),
    ];
    check(facts().contact(JULIET, To), &mine("subscribed"), &known);
}

#[test]
fn approving_who_sees_the_user_already_is_ignored() {
    for subscription in [From, Both] {
        let effects = facts()
            .contact(JULIET, subscription)
            .sends(&mine("subscribed"));
        assert!(matches!(effects[..], [Effect::Trace(..)]), "{effects:?}");
    }
}

#[test]
fn a_request_approved_in_advance_is_answered_and_not_delivered() {
    let cases = [
        (
            item(JULIET, Neither),
            item(JULIET, From),
            "subscription='from' approved='true'",
        ),
        (
            asked(item(JULIET, Neither)),
            asked(item(JULIET, From)),
            "subscription='from' ask='subscribe' approved='true'",
        ),
        (
            item(JULIET, To),
            item(JULIET, Both),
            "subscription='both' approved='true'",
        ),
    ];
    for (before, after, shown) in cases {
        let given = facts().available().interested(ME).item(approved(before));
        let expected = [
            put_item(approved(after)),
            pushed(shown),
            told("subscribed"),
            presence_of_me(),
        ];
        check_account(given, &hers("subscribe"), &expected);
    }
}

#[test]
fn an_approval_in_advance_is_taken_back_without_telling() {
    let given = facts().item(approved(item(JULIET, Neither)));
    let expected = [
        put_item(item(JULIET, Neither)),
        pushed("subscription='none'"),
    ];
    check(given, &mine("unsubscribed"), &expected);
}

#[test]
fn r15_cancelling_takes_the_approval_back_too() {
    let given = facts().item(approved(item(JULIET, From)));
    let expected = [
        put_item(item(JULIET, Neither)),
        pushed("subscription='none'"),
        sent("unsubscribed"),
    ];
    check(given, &mine("unsubscribed"), &expected);
}

#[test]
fn who_sees_the_user_already_is_told_so_again() {
    let given = facts().available().contact(JULIET, From);
    check_account(
        given,
        &hers("subscribe"),
        &[told("subscribed"), presence_of_me()],
    );
}

// Row R16.

#[test]
fn r16_blocked_requests_are_dropped_without_an_answer() {
    for kind in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
        let given = facts()
            .available()
            .blocks(JULIET)
            .item(approved(item(JULIET, Neither)));
        assert!(
            matches!(given.account_gets(&hers(kind))[..], [Effect::Trace(..)]),
            "{kind}"
        );
    }
}

#[test]
fn a_full_roster_takes_no_more_contacts() {
    let mut given = facts();
    for n in 0..CONTACTS_MAX {
        given = given.contact(&format!("c{n}@example.org"), Neither);
    }
    assert_eq!(
        refusal(&given.sends(&mine("subscribe"))),
        "policy-violation"
    );
}
