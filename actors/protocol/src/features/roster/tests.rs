//! Reading the roster, by section of RFC 6121 §2.

use super::*;
use crate::testkit::*;

const GET: &str = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>";

fn get_with(version: &str) -> String {
    GET.replace("<query ", &format!("<query ver='{version}' "))
}

fn result(payload: &str) -> Effect {
    reply(&format!(
        "<iq type='result' id='r' to='{ME}'>{payload}</iq>"
    ))
}

fn at(version: u64, address: &str) -> RosterItem {
    RosterItem {
        version,
        ..item(address, Subscription::Both)
    }
}

fn pushed(id: &str, version: u64, address: &str, subscription: &str) -> Effect {
    reply(&format!(
        "<iq type='set' id='{id}' to='{ME}'><query xmlns='jabber:iq:roster' ver='{version}'>\
         <item jid='{address}' subscription='{subscription}'/></query></iq>"
    ))
}

const INTERESTED: Effect = Effect::Flag(Flag::Interested(Interest::Roster));

#[test]
fn an_empty_roster_is_an_empty_query() {
    check(
        facts(),
        GET,
        &[INTERESTED, result("<query xmlns='jabber:iq:roster'/>")],
    );
}

#[test]
fn the_roster_may_be_asked_of_the_own_account_by_name() {
    let ask = GET.replace("<iq ", "<iq to='romeo@example.org' ");
    let answer = format!(
        "<iq type='result' id='r' from='{ACCOUNT}' to='{ME}'>\
         <query xmlns='jabber:iq:roster'/></iq>"
    );
    check(facts(), &ask, &[INTERESTED, reply(&answer)]);
}

#[test]
fn every_attribute_of_a_contact_is_shown() {
    let juliet = RosterItem {
        name: Some("Juliet <3".into()),
        groups: vec!["Friends".into(), "Lovers".into()],
        ask: true,
        approved: true,
        ..item("juliet@example.org", Subscription::From)
    };
    let shown = "<query xmlns='jabber:iq:roster'>\
        <item jid='juliet@example.org' name='Juliet &lt;3' subscription='from' \
        ask='subscribe' approved='true'><group>Friends</group><group>Lovers</group></item>\
        <item jid='nurse@example.org' subscription='none'/></query>";
    let given = facts()
        .item(juliet)
        .contact("nurse@example.org", Subscription::None);
    check(given, GET, &[INTERESTED, result(shown)]);
}

#[test]
fn a_request_alone_makes_no_contact() {
    let stranger = RosterItem {
        pending_in: Some(Bytes::from_static(b"<presence/>")),
        ..RosterItem::new(bare("tybalt@example.org"))
    };
    check(
        facts().item(stranger),
        GET,
        &[INTERESTED, result("<query xmlns='jabber:iq:roster'/>")],
    );
}

#[test]
fn strangers_may_not_read_the_roster() {
    let ask = GET.replace(
        "<iq ",
        "<iq from='tybalt@example.org/x' to='romeo@example.org' ",
    );
    assert_eq!(refusal(&facts().account_gets(&ask)), "forbidden");
}

#[test]
fn the_version_is_told_to_those_who_ask_with_one() {
    let shown = "<query xmlns='jabber:iq:roster' ver='7'>\
        <item jid='juliet@example.org' subscription='both'/></query>";
    let given = || facts().item(at(7, "juliet@example.org"));
    check(given(), &get_with(""), &[INTERESTED, result(shown)]);
    check(given(), &get_with("made up"), &[INTERESTED, result(shown)]);
}

#[test]
fn who_knows_the_version_gets_nothing_again() {
    let given = facts().item(at(7, "juliet@example.org"));
    check(given, &get_with("7"), &[INTERESTED, result("")]);
}

#[test]
fn a_version_of_the_future_gets_the_whole_roster() {
    let shown = "<query xmlns='jabber:iq:roster' ver='7'>\
        <item jid='juliet@example.org' subscription='both'/></query>";
    check(
        facts().item(at(7, "juliet@example.org")),
        &get_with("8"),
        &[INTERESTED, result(shown)],
    );
}

#[test]
fn who_knows_an_older_version_is_told_what_has_changed() {
    let mut given = facts()
        .item(at(3, "nurse@example.org"))
        .item(at(5, "juliet@example.org"))
        .item(at(7, "mercutio@example.org"));
    given.data.roster.removed = vec![(bare("paris@example.org"), 6)];
    check(
        given,
        &get_with("5"),
        &[
            INTERESTED,
            result(""),
            pushed("roster-6-0", 6, "paris@example.org", "remove"),
            pushed("roster-7-1", 7, "mercutio@example.org", "both"),
        ],
    );
}

#[test]
fn of_changes_made_together_only_the_last_one_raises_the_version() {
    let given = facts()
        .item(at(4, "a@example.org"))
        .item(at(4, "b@example.org"));
    check(
        given,
        &get_with("2"),
        &[
            INTERESTED,
            result(""),
            pushed("roster-2-0", 2, "a@example.org", "both"),
            pushed("roster-4-1", 4, "b@example.org", "both"),
        ],
    );
}

#[test]
fn who_is_back_is_not_reported_as_removed() {
    let mut given = facts().item(at(9, "juliet@example.org"));
    given.data.roster.removed = vec![(bare("juliet@example.org"), 8)];
    let expected = [
        INTERESTED,
        result(""),
        pushed("roster-9-0", 9, "juliet@example.org", "both"),
    ];
    check(given, &get_with("7"), &expected);
}

#[test]
fn removals_forgotten_mean_the_whole_roster() {
    let mut given = facts().item(at(9, "juliet@example.org"));
    given.data.roster.removed = vec![(bare("paris@example.org"), 6)];
    let shown = "<query xmlns='jabber:iq:roster' ver='9'>\
        <item jid='juliet@example.org' subscription='both'/></query>";
    check(given, &get_with("4"), &[INTERESTED, result(shown)]);
}

#[test]
fn r04_pushes_of_others_never_reach_a_client() {
    let forged = |from: &str, payload: &str| {
        let xml = format!("<iq type='set' id='x' {from} to='{ME}'>{payload}</iq>");
        facts().session_gets(&xml)
    };
    let payloads = [
        "<query xmlns='jabber:iq:roster'><item jid='evil@example.org'/></query>",
        "<block xmlns='urn:xmpp:blocking'><item jid='juliet@example.org'/></block>",
        "<unblock xmlns='urn:xmpp:blocking'/>",
    ];
    let senders = [
        "from='evil@example.org/x'",
        "from='evil@example.org'",
        "from='example.org'",
        "from='romeo@example.org/orchard'",
    ];
    for payload in payloads {
        for from in senders {
            let effects = forged(from, payload);
            assert_eq!(refusal(&effects), "service-unavailable", "{from} {payload}");
            assert!(
                matches!(effects[..], [Effect::Route(_)]),
                "the sender is told"
            );
        }
        for own in ["", "from='romeo@example.org'"] {
            assert!(matches!(
                forged(own, payload)[..],
                [Effect::Reply(Stanza::Iq(_))]
            ));
        }
    }
}

#[test]
fn a_contact_of_whom_only_a_request_is_left_is_reported_as_removed() {
    let request = RosterItem {
        version: 7,
        pending_in: Some(Bytes::from_static(b"<presence/>")),
        ..RosterItem::new(bare("paris@example.org"))
    };
    let given = facts().item(at(3, "nurse@example.org")).item(request);
    let expected = [
        INTERESTED,
        result(""),
        pushed("roster-7-0", 7, "paris@example.org", "remove"),
    ];
    check(given, &get_with("5"), &expected);
}
