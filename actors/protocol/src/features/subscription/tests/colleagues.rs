//! Subscription stanzas between people of one group of the directory.

use super::*;

fn office() -> Given {
    facts()
        .available()
        .interested(ME)
        .group("Office", &["romeo", "juliet"])
}

/// She stays what she is: a push for clients that believe otherwise.
fn stays(version: u64) -> Effect {
    push(
        Interest::Roster,
        &format!(
            "<query xmlns='jabber:iq:roster' ver='{version}'>\
             <item jid='{JULIET}' name='juliet' subscription='both'>\
             <group>Office</group></item></query>"
        ),
    )
}

#[test]
fn asking_a_colleague_is_answered_at_once_and_bothers_nobody() {
    let expected = [
        reply(&format!(
            "<presence type='subscribed' from='{JULIET}' to='{ME}'/>"
        )),
        stays(0),
        route(&format!(
            "<presence type='probe' from='{ME}' to='{JULIET}'/>"
        )),
    ];
    check(
        office(),
        &format!("<presence type='subscribe' to='{JULIET}'/>"),
        &expected,
    );
}

#[test]
fn colleague_who_asks_is_told_that_it_is_so() {
    check_account(
        office(),
        &hers("subscribe"),
        &[told("subscribed"), presence_of_me()],
    );
}

#[test]
fn ending_what_there_is_not_damages_no_roster() {
    for kind in ["unsubscribe", "unsubscribed", "subscribed"] {
        check(office(), &mine(kind), &[stays(0)]);
        let effects = office().account_gets(&hers(kind));
        assert!(
            matches!(effects[..], [Effect::Trace(..)]),
            "{kind}: {effects:?}"
        );
    }
}

#[test]
fn own_subscriptions_of_colleagues_end_quietly() {
    let given = office().contact(JULIET, Both);
    let expected = [
        put_item(item(JULIET, From)),
        stays(1 - 1),
        sent("unsubscribe"),
    ];
    let effects = given.sends(&mine("unsubscribe"));
    assert_eq!(effects.len(), expected.len(), "{effects:#?}");
    assert_eq!(effects[0], expected[0]);
    assert!(place(&effects, &sent("unsubscribe")).is_some());
    assert!(place(&effects, &stays(0)).is_some());
    let effects = given.sends(&mine("unsubscribed"));
    assert!(
        place(&effects, &absence_of_me()).is_none(),
        "she goes on seeing"
    );
    // And the other way round.
    let effects = given.account_gets(&hers("unsubscribe"));
    same(&effects, &[put_item(item(JULIET, To))]);
    let effects = given.account_gets(&hers("unsubscribed"));
    same(&effects, &[put_item(item(JULIET, From))]);
}

#[test]
fn r16_blocked_colleague_is_not_answered() {
    let given = office().blocks(JULIET);
    let effects = given.account_gets(&hers("subscribe"));
    assert!(matches!(effects[..], [Effect::Trace(..)]), "{effects:?}");
}
