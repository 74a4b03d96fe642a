//! Presence between people of one group of the directory.

use super::*;

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
