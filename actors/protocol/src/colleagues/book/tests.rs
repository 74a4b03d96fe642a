//! What the book says of people and groups, and what follows from a change.

use super::*;
use crate::colleagues::testkit::{account, gone, group, person, put};

fn book(changes: Vec<Change>) -> Book {
    Book::default().after(1, changes)
}

fn people(names: &[&str]) -> Vec<Change> {
    names.iter().map(|name| put(name, person(name))).collect()
}

/// Three people, two of whom are in a group.
fn office() -> Book {
    let mut changes = people(&["doe", "poe", "roe"]);
    changes.push(put("g1", group("Office", &["doe", "poe"])));
    book(changes)
}

fn seen(book: &Book, who: &str) -> Vec<String> {
    let all = book.colleagues(&account(who)).into_iter();
    all.map(|it| {
        format!(
            "{} {:?}",
            it.account.localpart().unwrap_or_default(),
            it.groups
        )
    })
    .collect()
}

fn shifts(book: &Book, who: &str) -> Vec<(String, bool, bool)> {
    let step = book.step().expect("it is visible");
    let shifts = step.shifts(&account(who)).into_iter();
    shifts
        .map(|it| (it.account.as_str().to_owned(), it.was, it.is))
        .collect()
}

#[test]
fn alias_leads_to_its_owner_and_a_primary_address_to_nobody_else() {
    let mut doe = person("doe");
    if let Entry::Person(doe) = &mut doe {
        doe.aliases = vec![account("j.doe"), account("poe")];
    }
    let book = book(vec![put("1", doe), put("2", person("poe"))]);
    let owner = |it: &str| book.owner(&account(it)).map(BareJid::as_str);
    assert_eq!(owner("j.doe"), Some("doe@example.org"));
    assert_eq!(owner("doe"), None);
    assert_eq!(owner("poe"), None, "it is an account's own");
    assert_eq!(owner("nobody"), None);
    let book = book.after(2, vec![gone("2")]);
    let owner = |it: &str| book.owner(&account(it)).map(BareJid::as_str);
    assert_eq!(owner("poe"), Some("doe@example.org"), "nobody has it now");
    let book = book.leaving(&[], vec![account("j.doe")]);
    assert_eq!(book.owner(&account("j.doe")), None, "an account wins");
    assert_eq!(book.owner(&account("poe")), Some(&account("doe")));
    let book = book.leaving(&[account("j.doe")], vec![]);
    assert_eq!(book.owner(&account("j.doe")), Some(&account("doe")));
}

#[test]
fn entry_that_is_gone_takes_its_addresses_with_it() {
    let book = office().after(2, vec![gone("doe")]);
    assert!(book.person(&account("doe")).is_none());
    assert_eq!(book.version, 2);
    assert_eq!(seen(&book, "poe"), Vec::<String>::new());
}

#[test]
fn record_is_read_as_it_was_written() {
    let entry = person("doe");
    assert_eq!(Entry::read(&entry.to_bytes()), Some(entry));
    assert_eq!(Entry::read(b"{\"room\":{}}"), None);
}

#[test]
fn who_shares_a_shown_group_is_a_colleague_and_nobody_of_themselves() {
    let book = office();
    assert_eq!(seen(&book, "doe"), ["poe [\"Office\"]"]);
    assert_eq!(seen(&book, "roe"), Vec::<String>::new());
    assert!(book.are_colleagues("doe@example.org", "poe@example.org"));
    assert!(!book.are_colleagues("doe@example.org", "roe@example.org"));
    assert!(!book.are_colleagues("doe@example.org", "doe@example.org"));
}

#[test]
fn colleague_of_two_groups_is_one_with_both_names_in_order() {
    let again = group("Choir", &["poe", "doe"]);
    let book = office().after(2, vec![put("g2", again)]);
    assert_eq!(seen(&book, "doe"), ["poe [\"Choir\", \"Office\"]"]);
}

#[test]
fn group_that_is_not_shown_shows_nobody() {
    let mut hidden = group("All", &["doe", "poe", "roe"]);
    if let Entry::Group(hidden) = &mut hidden {
        hidden.is_shown = false;
    }
    let book = office().after(2, vec![put("g2", hidden)]);
    assert_eq!(seen(&book, "roe"), Vec::<String>::new());
    assert!(book.step().is_none(), "nobody sees anything else");
}

#[test]
fn whose_account_is_closed_is_shown_to_nobody() {
    let mut closed = person("poe");
    if let Entry::Person(closed) = &mut closed {
        closed.is_disabled = true;
    }
    let book = office().after(2, vec![put("poe", closed)]);
    assert_eq!(seen(&book, "doe"), Vec::<String>::new());
    assert_eq!(seen(&book, "poe"), Vec::<String>::new());
    assert_eq!(
        shifts(&book, "doe"),
        [("poe@example.org".to_owned(), true, false)]
    );
    let open = book.after(3, people(&["poe"]));
    assert_eq!(seen(&open, "doe"), ["poe [\"Office\"]"]);
}

#[test]
fn r14_people_of_another_organisation_are_no_colleagues() {
    let mut other = person("poe");
    if let Entry::Person(other) = &mut other {
        other.tenant = "example.net".into();
    }
    let book = office().after(2, vec![put("poe", other)]);
    assert!(!book.are_colleagues("doe@example.org", "poe@example.org"));
    assert!(!book.are_colleagues("poe@example.org", "doe@example.org"));
    assert_eq!(seen(&book, "poe"), Vec::<String>::new());
}

#[test]
fn of_two_who_say_that_an_account_is_theirs_one_has_it() {
    let mut changes = people(&["doe", "roe"]);
    changes.push(put("poe", person("roe")));
    changes.push(put("g1", group("Office", &["doe", "poe", "roe"])));
    let book = book(changes);
    assert_eq!(seen(&book, "doe"), ["roe [\"Office\"]"]);
    let book = book.after(2, vec![gone("poe")]);
    assert_eq!(seen(&book, "doe"), ["roe [\"Office\"]"], "the other has it");
}

#[test]
fn change_of_one_member_is_one_shift_for_each_other_member() {
    let book = office().after(2, vec![put("g1", group("Office", &["doe", "poe", "roe"]))]);
    let come = |who: &str| (format!("{who}@example.org"), false, true);
    assert_eq!(shifts(&book, "doe"), [come("roe")]);
    assert_eq!(shifts(&book, "roe"), [come("doe"), come("poe")]);
    let concerned = book.step().unwrap().concerned(|_| true);
    assert_eq!(concerned.len(), 3);
    let online = book.step().unwrap().concerned(|it| *it == account("poe"));
    assert_eq!(online.len(), 1);
}

#[test]
fn what_a_card_says_is_no_business_of_rosters() {
    let mut doe = person("doe");
    if let Entry::Person(doe) = &mut doe {
        doe.card.title = Some("Boss".into());
    }
    let before = office();
    let book = before.after(2, vec![put("doe", doe)]);
    assert!(book.step().is_none());
    assert_eq!(book.digest(&account("poe")), before.digest(&account("poe")));
}

#[test]
fn who_knows_an_older_digest_is_told_what_has_changed_since() {
    let me = account("doe");
    let first = office();
    let second = first.after(2, vec![put("g1", group("Office", &["doe", "poe", "roe"]))]);
    let third = second.after(3, vec![put("g1", group("Office", &["doe", "roe"]))]);
    let told = third.changed_since(&me, first.digest(&me)).unwrap();
    let told: Vec<_> = told.iter().map(|it| (it.account.as_str(), it.is)).collect();
    assert_eq!(
        told,
        [("poe@example.org", false), ("roe@example.org", true)]
    );
    assert_eq!(third.changed_since(&me, third.digest(&me)), Some(vec![]));
    assert_eq!(third.changed_since(&me, 77), None, "of no time");
    let new = third.changed_since(&me, 0).unwrap();
    assert_eq!(new.len(), 1, "who knew of nobody hears of everybody");
}

#[test]
fn change_elsewhere_is_none_for_who_is_not_concerned() {
    let me = account("doe");
    let first = office();
    let mut second = people(&["moe", "zoe"]);
    second.push(put("g2", group("Stage", &["moe", "zoe"])));
    let second = first.after(2, second);
    assert_eq!(second.changed_since(&me, first.digest(&me)), Some(vec![]));
}

#[test]
fn book_that_is_replaced_forgets_what_is_not_said_again() {
    let book = office().replaced_by(9, people(&["doe", "roe"]));
    assert_eq!(book.entries().count(), 2);
    assert_eq!(
        shifts(&book, "doe"),
        [("poe@example.org".to_owned(), true, false)]
    );
}

#[test]
fn past_is_bounded() {
    let mut book = office();
    let first = book.digest(&account("doe"));
    for version in 2..PAST_MAX as u64 + 10 {
        let name = format!("Office {version}");
        book = book.after(version, vec![put("g1", group(&name, &["doe", "poe"]))]);
    }
    assert_eq!(book.past.len(), PAST_MAX);
    assert_eq!(book.changed_since(&account("doe"), first), None);
}

#[test]
fn group_of_5000_costs_5000_entries_and_its_change_what_changes() {
    let names: Vec<String> = (0..5000).map(|n| format!("p{n:04}")).collect();
    let mut changes: Vec<Change> = names.iter().map(|it| put(it, person(it))).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    changes.push(put("all", group("All", &all[..4999])));
    let book = book(changes);
    let me = account("p0001");
    assert_eq!(book.colleagues(&me).len(), 4998);
    let next = book.after(2, vec![put("all", group("All", &all))]);
    let step = next.step().unwrap();
    assert_eq!(step.past.touched.weight(), 1, "one member has come");
    assert_eq!(step.shifts(&me).len(), 1);
    assert_eq!(step.shifts(&account("p4999")).len(), 4999);
    let once = book.after(2, vec![put("p0007", person("renamed"))]);
    assert_eq!(once.step().unwrap().past.touched.weight(), 1);
}
