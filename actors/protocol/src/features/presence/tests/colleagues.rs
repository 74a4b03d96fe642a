//! Presence between people of one group of the directory.

use super::*;
use crate::features::pubsub::node::Ask;
use crate::features::pubsub::pep;

fn office() -> Given {
    facts().group("Office", &["romeo", "juliet", "mercutio"])
}

/// Whom a session's presence goes to when the colleagues are told.
fn told(given: &Given) -> Vec<String> {
    let presence = parse_presence("<presence/>");
    let all = announce::to_colleagues(&presence, &given.facts()).into_iter();
    all.filter_map(|stanza| Some(stanza.to()?.to_string()))
        .collect()
}

#[test]
fn presence_goes_to_colleagues_who_are_there_and_to_nobody_else() {
    let given = office()
        .online("juliet@example.org/chamber", None)
        .online("nurse@example.org/kitchen", Some("<presence/>"));
    let spread = |effect: &Effect| matches!(effect, Effect::Spread(_));
    assert_eq!(
        given
            .sends("<presence/>")
            .iter()
            .filter(|it| spread(it))
            .count(),
        1
    );
    assert_eq!(told(&given), [JULIET], "Mercutio has no session");
    let alone = facts().sends("<presence/>");
    assert!(
        !alone.iter().any(spread),
        "who has no colleagues tells none"
    );
}

#[test]
fn presence_is_published_before_colleagues_are_told() {
    let effects = office().sends("<presence/>");
    let place = |wanted: fn(&Effect) -> bool| effects.iter().position(wanted);
    let published = place(|effect| matches!(effect, Effect::Publish(_)));
    assert!(published < place(|effect| matches!(effect, Effect::Spread(_))));
}

#[test]
fn colleague_who_is_a_contact_too_is_told_once() {
    let given = office()
        .contact(JULIET, Both)
        .online("juliet@example.org/chamber", Some("<presence/>"));
    assert!(told(&given).is_empty());
    let routed = routed(&given.sends("<presence/>"));
    assert_eq!(routed.iter().filter(|it| it.contains(JULIET)).count(), 1);
}

#[test]
fn r16_blocked_colleague_sees_nothing() {
    let there = || office().online("juliet@example.org/chamber", Some("<presence/>"));
    assert!(told(&there().blocks(JULIET)).is_empty());
    let partly = there()
        .online("juliet@example.org/garden", Some("<presence/>"))
        .blocks("juliet@example.org/garden");
    assert_eq!(told(&partly), ["juliet@example.org/chamber"]);
}

#[test]
fn colleagues_who_are_there_are_shown_to_who_comes() {
    let given = office()
        .available()
        .online("juliet@example.org/chamber", Some("<presence/>"))
        .online("mercutio@example.org/street", Some("<presence/>"))
        .online("nurse@example.org/kitchen", Some("<presence/>"));
    let shown = |from: &str| reply(&format!("<presence from='{from}' to='{ME}'/>"));
    let expected = [
        shown("juliet@example.org/chamber"),
        shown("mercutio@example.org/street"),
    ];
    same(&viewers(&given, &[]), &expected);
    // Row R16, on their side and on ours.
    let showing = Showing {
        by_roster: Vec::new(),
        blocked_by: vec![bare(MERCUTIO)],
    };
    same(&shown_by(&given, showing), &expected[..1]);
    same(&viewers(&given.blocks(JULIET), &[]), &expected[1..]);
}

#[test]
fn colleague_is_answered_whatever_the_roster_says() {
    let given = office().available();
    let probe = format!("<presence type='probe' from='{JULIET}/chamber' to='{ACCOUNT}'/>");
    let shown = route(&format!("<presence from='{ME}' to='{JULIET}/chamber'/>"));
    check_account(given, &probe, &[shown]);
}

fn shift(account: &str, was: bool, is: bool) -> Shift {
    Shift {
        account: bare(account),
        was,
        is,
    }
}

#[test]
fn who_becomes_a_colleague_sees_the_session_and_who_is_none_any_more_sees_it_go() {
    let given = facts()
        .with_presence("<presence><show>away</show></presence>")
        .online("juliet@example.org/chamber", Some("<presence/>"))
        .online("mercutio@example.org/street", Some("<presence/>"));
    let shifts = [
        shift(JULIET, false, true),
        shift(MERCUTIO, true, false),
        shift("nurse@example.org", false, true),
        shift("paris@example.org", true, true),
    ];
    let expected = [
        route(&format!(
            "<presence from='{ME}' to='{JULIET}'><show>away</show></presence>"
        )),
        route(&format!(
            "<presence type='unavailable' from='{ME}' to='{MERCUTIO}'/>"
        )),
    ];
    same(&decide_shifts(&shifts, &given.facts()), &expected);
    let contact = given.contact(MERCUTIO, From);
    same(&decide_shifts(&shifts, &contact.facts()), &expected[..1]);
    let blocks = contact.blocks(JULIET);
    assert!(decide_shifts(&shifts, &blocks.facts()).is_empty());
    assert!(
        decide_shifts(&shifts, &facts().facts()).is_empty(),
        "shows nothing"
    );
}

/// Whose last items a session asks for, when these are the shifts and Mercutio blocks it.
fn asked_for(given: &Given, shifts: &[Shift]) -> Vec<String> {
    let showing = Showing {
        by_roster: vec![bare(JULIET)],
        blocked_by: vec![bare(MERCUTIO)],
    };
    let query = pep::ask_for_newcomers(shifts, &showing, &given.facts());
    let Some(Query::Shown(_, ask)) = query else {
        return Vec::new();
    };
    let Ask::LastItems { services, .. } = *ask else {
        panic!("{ask:?}")
    };
    services.iter().map(ToString::to_string).collect()
}

#[test]
fn last_items_are_asked_for_of_whom_the_session_sees_from_now_on() {
    let caps = "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='x' \
                ver='ver'/></presence>";
    let plays = || office().with_presence(caps).knows("ver", &["tune+notify"]);
    let come = [
        shift(JULIET, false, true),
        shift(MERCUTIO, false, true),
        shift("nurse@example.org", false, true),
    ];
    assert_eq!(asked_for(&plays(), &come), [JULIET]);
    assert!(pep::may_want_newcomers(&come, &plays().facts()));
    // Who was seen before is no new subscription, be it by the roster or the directory.
    assert!(asked_for(&plays().contact(JULIET, Both), &come).is_empty());
    let asks = plays().contact(JULIET, From);
    assert_eq!(asked_for(&asks, &come), [JULIET], "shown, not seen");
    let others = [shift(JULIET, true, true), shift(JULIET, true, false)];
    assert!(asked_for(&plays(), &others).is_empty());
    assert!(!pep::may_want_newcomers(&others, &plays().facts()));
    assert!(asked_for(&plays().blocks(JULIET), &come).is_empty());
    let deaf = office().with_presence(caps).knows("ver", &["tune"]);
    assert!(!pep::may_want_newcomers(&come, &deaf.facts()));
    assert!(asked_for(&deaf, &come).is_empty());
}
