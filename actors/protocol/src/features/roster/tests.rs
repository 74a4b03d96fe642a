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

/// What is done, but for what the session notes of the version: [`session_notes`] looks at that.
#[track_caller]
fn check(given: Given, sent: &str, effects: &[Effect]) {
    let mut got = given.sends(sent);
    got.retain(|effect| !matches!(effect, Effect::Flag(Flag::Roster(_))));
    same(&got, effects);
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

// What the organisation's directory adds.

/// Romeo and Juliet work in the same office, where the nurse comes and goes.
fn office() -> Given {
    facts().group("Office", &["romeo", "juliet"])
}

fn version(own: u64, given: &Given) -> String {
    Version {
        own,
        shared: given.digest(),
    }
    .to_string()
}

const JULIET_OF_OFFICE: &str = "<item jid='juliet@example.org' name='juliet' subscription='both'>\
                                <group>Office</group></item>";

#[test]
fn session_notes_the_version_its_client_is_told() {
    let given = office().item(at(7, "nurse@example.org"));
    let noted = Version {
        own: 7,
        shared: given.digest(),
    };
    assert_ne!(noted.shared, 0);
    let effects = given.sends(GET);
    assert_eq!(effects[1], Effect::Flag(Flag::Roster(noted)));
}

#[test]
fn versions_are_read_as_they_are_written_and_those_of_before_mean_no_directory() {
    for version in [
        Version { own: 7, shared: 0 },
        Version {
            own: 0,
            shared: 0xabc,
        },
    ] {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    assert_eq!("7".parse(), Ok(Version { own: 7, shared: 0 }));
    for bad in ["", "-", "7-", "7-xyz", "-7", "7-7-7", "made up"] {
        assert_eq!(bad.parse::<Version>(), Err(()), "{bad}");
    }
}

#[test]
fn colleague_is_a_contact_of_both_without_an_item() {
    let shown = format!("<query xmlns='jabber:iq:roster'>{JULIET_OF_OFFICE}</query>");
    check(office(), GET, &[INTERESTED, result(&shown)]);
}

#[test]
fn what_the_user_has_added_to_a_colleague_is_merged() {
    let own = RosterItem {
        name: Some("Jules".into()),
        groups: vec!["Friends".into()],
        ask: true,
        approved: true,
        ..item("juliet@example.org", Subscription::None)
    };
    let shown = "<query xmlns='jabber:iq:roster'>\
        <item jid='juliet@example.org' name='Jules' subscription='both'>\
        <group>Friends</group><group>Office</group></item></query>";
    check(office().item(own), GET, &[INTERESTED, result(shown)]);
}

#[test]
fn request_of_a_colleague_from_before_makes_no_difference() {
    let asked = RosterItem {
        pending_in: Some(Bytes::from_static(b"<presence/>")),
        ..RosterItem::new(bare("juliet@example.org"))
    };
    let shown = format!("<query xmlns='jabber:iq:roster'>{JULIET_OF_OFFICE}</query>");
    check(office().item(asked), GET, &[INTERESTED, result(&shown)]);
}

#[test]
fn who_knows_both_versions_gets_nothing_again() {
    let given = office().item(at(7, "nurse@example.org"));
    let ask = get_with(&version(7, &given));
    check(given, &ask, &[INTERESTED, result("")]);
}

#[test]
fn who_knows_the_directory_of_before_is_told_what_has_changed_alone() {
    let before = office().item(at(7, "nurse@example.org"));
    let ask = get_with(&version(7, &before));
    let given = before.group("Office", &["juliet", "mercutio", "romeo"]);
    let now = version(7, &given);
    let pushed = reply(&format!(
        "<iq type='set' id='roster-{now}-0' to='{ME}'>\
         <query xmlns='jabber:iq:roster' ver='{now}'>\
         <item jid='mercutio@example.org' name='mercutio' subscription='both'>\
         <group>Office</group></item></query></iq>"
    ));
    check(given, &ask, &[INTERESTED, result(""), pushed]);
}

#[test]
fn only_the_last_of_several_pushes_says_that_all_is_there() {
    let before = office().item(at(7, "nurse@example.org"));
    let known = version(7, &before);
    let given = before
        .item(at(8, "paris@example.org"))
        .group("Office", &["romeo", "mercutio"]);
    let versions: Vec<String> = given
        .sends(&get_with(&known))
        .iter()
        .filter_map(|effect| match effect {
            Effect::Reply(Stanza::Iq(iq)) => iq.payloads.element("query", NS),
            _ => None,
        })
        .map(|query| query.get("ver").unwrap_or_default().to_owned())
        .collect();
    let eight = known.replacen('7', "8", 1);
    let last = version(8, &given);
    // Paris, then Juliet who has left, then Mercutio who has come.
    assert_eq!(versions, [eight.clone(), eight, last]);
}

#[test]
fn client_from_before_the_directory_is_told_of_all_colleagues() {
    let given = office().item(at(7, "nurse@example.org"));
    let now = version(7, &given);
    let pushed = reply(&format!(
        "<iq type='set' id='roster-{now}-0' to='{ME}'>\
         <query xmlns='jabber:iq:roster' ver='{now}'>{JULIET_OF_OFFICE}</query></iq>"
    ));
    check(given, &get_with("7"), &[INTERESTED, result(""), pushed]);
}

#[test]
fn directory_of_no_known_time_means_the_whole_roster() {
    let given = office();
    let now = version(0, &given);
    let shown = format!("<query xmlns='jabber:iq:roster' ver='{now}'>{JULIET_OF_OFFICE}</query>");
    check(given, &get_with("0-77"), &[INTERESTED, result(&shown)]);
}
