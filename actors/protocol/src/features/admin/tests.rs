//! Tests of service administration.

use super::*;
use crate::account::AccountAct;
use crate::effect::{Answer, Change, Effect, Query};
use crate::features::adhoc;
use crate::features::pubsub::node::{Action, Found, FoundNode, Item};
use crate::features::roster::{Roster, RosterItem};
use crate::testkit::*;

fn submit(command: &str, fields: &[(&str, &[&str])]) -> String {
    let field = |(name, values): &(&str, &[&str])| {
        let values: String = values
            .iter()
            .map(|it| format!("<value>{it}</value>"))
            .collect();
        format!("<field var='{name}'>{values}</field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<iq type='set' id='c' to='example.org'><command xmlns='{}' node='{FORM_TYPE}#{command}'>\
         <x xmlns='jabber:x:data' type='submit'>{fields}</x></command></iq>",
        adhoc::NS
    )
}

fn by_admin(given: &Given, sent: &str) -> Vec<Effect> {
    match &*given.sends(sent) {
        [Effect::Load(Query::IsAdmin, go_on)] => {
            go_on(&stanza(sent), Answer::IsAdmin(true), &given.facts())
        }
        other => panic!("{other:?}"),
    }
}

/// The changes, and whether the command is said to be completed behind them.
fn changes(effects: &[Effect]) -> (Vec<(String, &'static str)>, bool) {
    let changed = effects.iter().filter_map(|effect| match effect {
        Effect::ChangeAccount(it) => Some((it.account.to_string(), it.act.name())),
        _ => None,
    });
    let is_completed = matches!(effects.last(), Some(Effect::Reply(_)));
    (changed.collect(), is_completed)
}

#[test]
fn section_4_1_an_account_is_made_with_the_password_that_was_given_twice() {
    let fields = |again| {
        submit(
            "add-user",
            &[
                ("accountjid", &["juliet@example.org"]),
                ("password", &["R0m30"]),
                ("password-verify", &[again]),
            ],
        )
    };
    let effects = by_admin(&facts(), &fields("R0m30"));
    let Effect::ChangeAccount(change) = &effects[0] else {
        panic!("{effects:?}")
    };
    assert_eq!(change.account.as_str(), "juliet@example.org");
    let AccountAct::Create { password, is_admin } = &change.act else {
        panic!("{change:?}")
    };
    assert_eq!((password.expose(), *is_admin), ("R0m30", false));
    assert!(changes(&effects).1);
    assert_eq!(
        refusal(&by_admin(&facts(), &fields("R0m3O"))),
        "bad-request"
    );
}

#[test]
fn sections_4_2_to_4_4_each_account_named_is_changed() {
    for (command, act) in [
        ("delete-user", "remove"),
        ("disable-user", "disable"),
        ("reenable-user", "enable"),
    ] {
        let named = submit(
            command,
            &[("accountjids", &["a@example.org", "b@example.org"])],
        );
        let expected = ["a@example.org", "b@example.org"].map(|it| (it.to_owned(), act));
        let effects = by_admin(&facts(), &named);
        assert_eq!(changes(&effects), (expected.to_vec(), true), "{command}");
        let own = submit(command, &[("accountjids", &[ACCOUNT])]);
        assert_eq!(refusal(&by_admin(&facts(), &own)), "not-allowed");
    }
}

#[test]
fn r14_accounts_of_another_domain_are_not_found() {
    let mut given = facts();
    given.host.domains.push(bare("other.example"));
    let sent = submit("delete-user", &[("accountjids", &["a@other.example"])]);
    assert_eq!(refusal(&by_admin(&given, &sent)), "item-not-found");
    let sent = submit("edit-admin", &[("adminjids", &["romeo@other.example"])]);
    assert_eq!(refusal(&by_admin(&given, &sent)), "item-not-found");
}

#[test]
fn section_4_5_all_sessions_end_or_the_one_that_is_named() {
    let given = facts()
        .online("juliet@example.org/balcony", None)
        .online("juliet@example.org/chamber", None);
    for (address, count) in [("juliet@example.org", 2), ("juliet@example.org/chamber", 1)] {
        let sent = submit("end-user-session", &[("accountjids", &[address])]);
        let effects = by_admin(&given, &sent);
        let [Effect::Reply(_), Effect::Kick(sessions, _)] = &*effects else {
            panic!("{effects:?}")
        };
        assert_eq!(sessions.len(), count, "{address}");
    }
}

#[test]
fn section_4_29_administrators_are_made_and_unmade() {
    let lines: &[&str] = &["juliet@example.org", "-nurse@example.org"];
    let effects = by_admin(&facts(), &submit("edit-admin", &[("adminjids", lines)]));
    let expected = [
        ("juliet@example.org".to_owned(), "promote"),
        ("nurse@example.org".to_owned(), "demote"),
    ];
    assert_eq!(changes(&effects), (expected.to_vec(), true));
}

#[test]
fn section_4_23_an_announcement_is_a_headline_of_the_domain() {
    let lines: &[&str] = &["Attention!", "Supper"];
    let effects = by_admin(&facts(), &submit("announce", &[("announcement", lines)]));
    let [Effect::Announce(domain, message), Effect::Reply(_)] = &*effects else {
        panic!("{effects:?}")
    };
    assert_eq!(domain.as_str(), "example.org");
    assert_eq!(message.body().unwrap(), "Attention!\nSupper");
    let long = "x".repeat(10_000);
    let sent = submit("announce", &[("announcement", &[&long])]);
    assert_eq!(refusal(&by_admin(&facts(), &sent)), "policy-violation");
}

#[test]
fn sections_4_12_to_4_21_numbers_and_lists_are_told() {
    let given = facts();
    let number = submit("get-online-users-num", &[]);
    let effects = by_admin(&given, &number);
    let [Effect::Load(Query::Census(census), go_on)] = &*effects else {
        panic!("{effects:?}")
    };
    assert_eq!((census.group, census.max), (Group::Online, 0));
    let told = go_on(
        &stanza(&number),
        Answer::Census(7, Vec::new()),
        &given.facts(),
    );
    let told = format!("{told:?}");
    assert!(
        told.contains("onlineusersnum") && told.contains('7'),
        "{told}"
    );

    let list = submit("get-disabled-users-list", &[("max_items", &["25"])]);
    let effects = by_admin(&given, &list);
    let [Effect::Load(Query::Census(census), go_on)] = &*effects else {
        panic!("{effects:?}")
    };
    assert_eq!((census.group, census.max), (Group::Disabled, 25));
    let found = Answer::Census(40, vec![bare("a@example.org")]);
    let told = format!("{:?}", go_on(&stanza(&list), found, &given.facts()));
    assert!(told.contains("disableduserjids") && told.contains("a@example.org"));
    let wrong = submit("get-disabled-users-list", &[("max_items", &["many"])]);
    assert_eq!(refusal(&by_admin(&given, &wrong)), "bad-request");
}

#[test]
fn sections_4_7_and_4_9_a_user_is_told_of_and_one_who_is_not_there_is_not_found() {
    let given = facts();
    let mut roster = Roster::default();
    let item = RosterItem::new(bare("romeo@example.net"));
    roster.items.insert(
        item.jid.clone(),
        RosterItem {
            listed: true,
            ..item
        },
    );
    let person = Person {
        roster,
        sessions: vec![full("juliet@example.org/balcony")],
        last_seen: None,
    };
    for (command, field, part) in [
        ("get-user-lastlogin", "accountjids", "1970-01-01T00:00:01"),
        ("get-user-roster", "accountjids", "romeo@example.net"),
        ("user-stats", "accountjid", "balcony"),
    ] {
        let sent = submit(command, &[(field, &["juliet@example.org"])]);
        let effects = by_admin(&given, &sent);
        let [Effect::Load(Query::Person(account), go_on)] = &*effects else {
            panic!("{effects:?}")
        };
        assert_eq!(account.as_str(), "juliet@example.org");
        let answer = Answer::Person(Box::new(person.clone()));
        let told = format!("{:?}", go_on(&stanza(&sent), answer, &given.facts()));
        assert!(told.contains(part), "{command}: {told}");
        let told = go_on(&stanza(&sent), Answer::NoSuchItem, &given.facts());
        assert_eq!(refusal(&told), "item-not-found");
    }
}

/// What a command about a notice does when the domain has this one.
fn noticed(given: &Given, sent: &str, before: Option<(&str, &str)>) -> Vec<Effect> {
    let effects = by_admin(given, sent);
    let [Effect::Load(Query::Pubsub(domain, _), go_on)] = &*effects else {
        panic!("{effects:?}")
    };
    assert_eq!(domain.as_str(), "example.org");
    let item = before.map(|(id, text)| Item {
        id: id.into(),
        publisher: jid(ACCOUNT),
        stamp: given.now,
        payload: Element::new("body", crate::ns::CLIENT)
            .text(text)
            .to_bytes(),
    });
    let found = Found::Node(FoundNode {
        items: item.into_iter().collect(),
        ..FoundNode::default()
    });
    go_on(
        &stanza(sent),
        Answer::Pubsub(Box::new(found)),
        &given.facts(),
    )
}

/// The item that is published, and whether everybody is told.
fn published(effects: &[Effect]) -> (Item, bool) {
    let [
        Effect::Change(Change::Pubsub(change)),
        Effect::Notice(changed),
        Effect::Reply(_),
    ] = effects
    else {
        panic!("{effects:?}")
    };
    let [Action::Create(..), Action::Publish(items, 1)] = &*change.actions else {
        panic!("{change:?}")
    };
    (items[0].clone(), changed.is_told)
}

#[test]
fn sections_4_24_to_4_26_a_message_of_the_day_is_told_once_in_each_edition() {
    let given = facts();
    let lines: &[&str] = &["Don't forget", "the tea"];
    let before = Some(("one", "Globe Stuff"));
    let (item, is_told) = published(&noticed(
        &given,
        &submit("set-motd", &[("motd", lines)]),
        before,
    ));
    assert!(is_told && item.id != "one");
    let body = Element::parse(&item.payload).unwrap();
    assert_eq!(body.text_content(), "Don't forget\nthe tea");

    let edited = submit("edit-motd", &[("motd", &["Globe Staff"])]);
    let (item, is_told) = published(&noticed(&given, &edited, before));
    assert_eq!((item.id.as_str(), is_told), ("one", false));
    // There was none to edit: it is a new one.
    assert!(published(&noticed(&given, &edited, None)).1);

    let deleted = noticed(&given, &submit("delete-motd", &[]), before);
    assert!(matches!(
        &*deleted,
        [Effect::Change(_), Effect::Notice(_), Effect::Reply(_)]
    ));
    let nothing = noticed(&given, &submit("delete-motd", &[]), None);
    assert!(matches!(&*nothing, [Effect::Reply(_)]));
}

#[test]
fn sections_4_25_and_4_27_the_form_has_what_there_is() {
    let ask = |command: &str| {
        format!(
            "<iq type='set' id='c' to='example.org'><command xmlns='{}' \
             node='{FORM_TYPE}#{command}'/></iq>",
            adhoc::NS
        )
    };
    for (command, is_shown) in [
        ("set-motd", false),
        ("edit-motd", true),
        ("set-welcome", true),
    ] {
        let offered = noticed(&facts(), &ask(command), Some(("one", "Globe Stuff")));
        let [Effect::Reply(offered)] = &*offered else {
            panic!("{offered:?}")
        };
        let offered = String::from_utf8(offered.to_bytes().to_vec()).unwrap();
        assert!(offered.contains("status='executing'"), "{offered}");
        assert_eq!(offered.contains("Globe Stuff"), is_shown, "{command}");
    }
}

#[test]
fn sections_4_30_and_4_31_the_server_stops_when_all_have_been_told() {
    let mut given = facts();
    given.host.domains.push(bare("other.example"));
    let fields: &[(&str, &[&str])] = &[("delay", &["120"]), ("announcement", &["Log off!"])];
    for (command, is_restart) in [("restart", true), ("shutdown", false)] {
        let effects = by_admin(&given, &submit(command, fields));
        let [
            Effect::Announce(..),
            Effect::Announce(..),
            Effect::Stop(stop),
            Effect::Reply(_),
        ] = &*effects
        else {
            panic!("{effects:?}")
        };
        assert_eq!((stop.is_restart, stop.delay_seconds), (is_restart, 120));
    }
    let quiet = by_admin(&given, &submit("shutdown", &[("delay", &["30"])]));
    assert!(matches!(&*quiet, [Effect::Stop(_), Effect::Reply(_)]));
    for delay in ["soon", "-1", "100000"] {
        let sent = submit("shutdown", &[("delay", &[delay])]);
        assert_eq!(refusal(&by_admin(&given, &sent)), "bad-request");
    }
}

#[test]
fn r14_an_administrator_of_another_domain_does_not_stop_the_server() {
    let mut given = facts();
    given.host.domains.insert(0, bare("main.example"));
    for command in ["restart", "shutdown"] {
        let sent = submit(command, &[("delay", &["30"])]);
        assert_eq!(refusal(&by_admin(&given, &sent)), "forbidden");
    }
}
