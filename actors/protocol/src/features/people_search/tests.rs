//! Who is found by what, and who is not.

use std::sync::Arc;

use super::*;
use crate::colleagues::{Card, Change, Group};
use crate::pipeline;
use crate::testkit::{Given, bare, facts, parse};

fn person(given: &str, family: &str, address: &str, tenant: &str) -> Person {
    Person {
        account: bare(address),
        aliases: Vec::new(),
        name: format!("{family}, {given}").into(),
        tenant: tenant.into(),
        is_disabled: false,
        is_admin: false,
        card: Card {
            given: Some(given.into()),
            family: Some(family.into()),
            ..Card::default()
        },
        photo: None,
    }
}

fn given_people(people: Vec<Person>) -> Given {
    let group = Entry::Group(Group {
        name: "Doe fans".into(),
        address: None,
        tenant: "one".into(),
        members: Vec::new(),
        is_shown: true,
    });
    let entries = people.into_iter().map(Entry::Person).chain([group]);
    let changes = entries.enumerate().map(|(number, entry)| Change {
        id: number.to_string().into(),
        entry: Some(entry),
    });
    let mut given = facts();
    given.host.people = true;
    given.host.domains = vec![bare("example.org"), bare("two.example")];
    given.account = bare("people.example.org");
    given.online.2 = Arc::new(Book::default().after(1, changes.collect()));
    given
}

fn given() -> Given {
    let gone = Person {
        is_disabled: true,
        ..person("Jim", "Doe", "jim@example.org", "one")
    };
    given_people(vec![
        person("John", "Doe", "john.doe@example.org", "one"),
        person("Jane", "Poe", "jane.poe@example.org", "one"),
        person("Jürgen", "Müller", "mueller@example.org", "one"),
        person("Jack", "Doe", "jack@two.example", "two"),
        gone,
    ])
}

fn asked(given: &Given, kind: &str, from: &str, inner: &str) -> String {
    let iq = format!(
        "<iq type='{kind}' id='1' from='{from}' to='people.example.org'>\
         <query xmlns='{NS}'>{inner}</query></iq>"
    );
    let effects = pipeline::decide_service(&parse(&iq), Service::People, &given.account_facts());
    let [Effect::Reply(reply)] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    String::from_utf8(reply.to_bytes().to_vec()).unwrap()
}

const ME: &str = "romeo@example.org/balcony";

fn form(field: &str, value: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{NS}</value></field>\
         <field var='{field}'><value>{value}</value></field></x>"
    )
}

fn found(inner: &str) -> Vec<String> {
    let answer = asked(&given(), "set", ME, inner);
    let query = Element::parse(answer.as_bytes()).unwrap();
    let query = query.find("query", NS).expect("no error").clone();
    let items: Vec<&Element> = match query.find("x", data_forms::NS) {
        Some(form) => form.children().filter(|it| it.name() == "item").collect(),
        None => query.children().collect(),
    };
    let address = |item: &&Element| match item.get("jid") {
        Some(jid) => jid.to_owned(),
        // The first field is the address.
        None => item
            .children()
            .flat_map(Element::children)
            .next()
            .unwrap()
            .text_content(),
    };
    items.iter().map(address).collect()
}

#[test]
fn fields_and_form_are_offered() {
    let answer = asked(&given(), "get", ME, "");
    for part in [
        "<first/>",
        "<last/>",
        "<nick/>",
        "<email/>",
        "var='any'",
        "type='form'",
    ] {
        assert!(answer.contains(part), "{part} in {answer}");
    }
}

#[test]
fn people_are_found_by_the_beginnings_of_their_names_and_addresses() {
    let john = ["john.doe@example.org"];
    assert_eq!(found("<last>DO</last>"), john);
    assert_eq!(found("<nick>doe jo</nick>"), john);
    assert_eq!(found("<email>doe</email>"), john);
    assert_eq!(found("<email>john.doe@example.org</email>"), john);
    assert_eq!(found(&form("any", "john")), john);
    assert_eq!(found(&form("any", "mül")), ["mueller@example.org"]);
    assert_eq!(
        found("<first>j</first><last>poe</last>"),
        ["jane.poe@example.org"]
    );
    assert_eq!(found("<last>oe</last>"), [""; 0], "from within");
}

#[test]
fn r14_nobody_finds_people_of_another_organisation() {
    assert_eq!(found("<first>jack</first>"), [""; 0]);
    let theirs = asked(&given(), "set", "x@two.example/r", "<last>doe</last>");
    assert!(
        theirs.contains("jack@") && !theirs.contains("john"),
        "{theirs}"
    );
}

#[test]
fn directory_is_not_read_without_letters() {
    for inner in [
        "",
        "<last>*</last>",
        "<last>d</last>",
        "<last>d*</last>",
        "<first>a</first><last>b</last>",
    ] {
        let answer = asked(&given(), "set", ME, inner);
        assert!(answer.contains("<not-acceptable"), "{inner}: {answer}");
    }
    let answer = asked(&given(), "set", ME, &form("any", "*"));
    assert!(answer.contains("<not-acceptable"), "{answer}");
}

#[test]
fn no_more_than_fifty_are_shown() {
    let people = (0..60).map(|it| person("Al", "Smith", &format!("a{it}@example.org"), "one"));
    let answer = asked(
        &given_people(people.collect()),
        "set",
        ME,
        "<last>smith</last>",
    );
    assert_eq!(answer.matches("<item ").count(), HITS_MAX);
}

#[test]
fn component_does_not_read_the_directory() {
    for from in [
        "bot.example.org",
        "x@bot.example.org/r",
        "example.org",
        "x@elsewhere.example",
    ] {
        let answer = asked(&given(), "set", from, "<last>doe</last>");
        assert!(answer.contains("<forbidden"), "{from}: {answer}");
    }
}
