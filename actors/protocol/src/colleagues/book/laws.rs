//! Laws of the book: whatever changes in whatever order, it says what the plain definition says
//! of what there is, and what it tells of changes leads from every version to the last.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::colleagues::testkit::account;
use crate::colleagues::{Card, Group};

const PEOPLE: usize = 5;
const GROUPS: usize = 3;

fn name_of(number: usize) -> String {
    format!("p{number}")
}

fn a_person() -> impl Strategy<Value = Change> {
    let id = 0..PEOPLE;
    let account_of = prop_oneof![4 => Just(None), 1 => (0..PEOPLE).prop_map(Some)];
    let rest = (any::<bool>(), 0..2usize, 0..8usize, 0..8usize);
    (id, account_of, rest).prop_map(|(id, has, (is_named, tenant, closed, gone))| {
        let entry = Entry::Person(Person {
            account: account(&name_of(has.unwrap_or(id))),
            aliases: vec![account("alias"), account(&name_of((id + 1) % PEOPLE))],
            name: if is_named { "Somebody" } else { "Nobody" }.into(),
            tenant: ["x", "y"][tenant * usize::from(closed > 5)].into(),
            is_disabled: closed == 0,
            is_admin: false,
            card: Card::default(),
            photo: None,
        });
        Change {
            id: name_of(id).into(),
            entry: (gone > 0).then_some(entry),
        }
    })
}

fn a_group() -> impl Strategy<Value = Change> {
    let members = prop::collection::vec(0..PEOPLE + 1, 0..PEOPLE + 2);
    (0..GROUPS, 0..2usize, members, 0..6usize).prop_map(|(id, name, members, kind)| {
        let entry = Entry::Group(Group {
            name: ["Office", "Choir"][name].into(),
            address: None,
            tenant: if kind == 0 { "y" } else { "x" }.into(),
            // Neither in order nor each once, whatever was promised.
            members: members.into_iter().map(|it| name_of(it).into()).collect(),
            is_shown: kind != 1,
        });
        Change {
            id: format!("g{id}").into(),
            entry: (kind != 2).then_some(entry),
        }
    })
}

fn some_changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![a_person(), a_group()];
    prop::collection::vec(prop::collection::vec(change, 1..5), 1..8)
}

type Roster = BTreeMap<BareJid, (String, Vec<String>)>;

fn roster(book: &Book, who: &BareJid) -> Roster {
    let all = book.colleagues(who).into_iter();
    let shown = all.map(|it| {
        let groups = it.groups.iter().map(ToString::to_string).collect();
        (it.account.clone(), (it.name.to_owned(), groups))
    });
    shown.collect()
}

/// Who sees whom, said as plainly as can be.
fn plainly(book: &Book, who: &BareJid) -> Roster {
    let entries: Vec<(&EntryId, &Entry)> = book.entries().map(|(id, it)| (id, &**it)).collect();
    let mut people: BTreeMap<&BareJid, (&EntryId, &Person)> = BTreeMap::new();
    for (id, entry) in &entries {
        if let Entry::Person(person) = entry {
            people.entry(&person.account).or_insert((*id, person));
        }
    }
    let Some((me_id, me)) = people.get(who).filter(|(_, me)| !me.is_disabled) else {
        return Roster::new();
    };
    let mut found = Roster::new();
    for (their_id, they) in people.values().filter(|(_, they)| !they.is_disabled) {
        let mut groups: Vec<String> = Vec::new();
        for (_, entry) in &entries {
            if let Entry::Group(group) = entry
                && group.is_shown
                && group.members.contains(me_id)
                && group.members.contains(their_id)
                && group.tenant == me.tenant
                && group.tenant == they.tenant
            {
                groups.push(group.name.to_string());
            }
        }
        groups.sort();
        groups.dedup();
        if they.account != me.account && !groups.is_empty() {
            found.insert(they.account.clone(), (they.name.to_string(), groups));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn book_says_what_the_plain_definition_says(steps in some_changes()) {
        let mut books = vec![Book::default()];
        for (version, changes) in steps.into_iter().enumerate() {
            books.push(books[version].after(version as u64 + 1, changes));
        }
        let last = &books[books.len() - 1];
        let entries = last.entries().map(|(id, entry)| Change {
            id: id.clone(),
            entry: Some(Entry::clone(entry)),
        });
        let anew = Book::default().after(last.version, entries.collect());
        for number in 0..PEOPLE {
            let me = account(&name_of(number));
            let now = roster(last, &me);
            prop_assert_eq!(&now, &plainly(last, &me));
            prop_assert_eq!(last.digest(&me), anew.digest(&me), "read at once");
            for other in (0..PEOPLE).map(|it| account(&name_of(it))) {
                let are = last.are_colleagues(me.as_str(), other.as_str());
                prop_assert_eq!(are, now.contains_key(&other));
                prop_assert_eq!(are, last.are_colleagues(other.as_str(), me.as_str()));
                let one = last.colleague(&me, &other).map(|it| it.name.to_owned());
                prop_assert_eq!(one.as_ref(), now.get(&other).map(|it| &it.0));
            }
            for old in &books {
                let shifts = last.changed_since(&me, old.digest(&me));
                let shifts = shifts.expect("so few are remembered");
                let mut told = roster(old, &me);
                for shift in shifts {
                    prop_assert_eq!(shift.is, now.contains_key(&shift.account));
                    match now.get(&shift.account) {
                        Some(shown) => told.insert(shift.account, shown.clone()),
                        None => told.remove(&shift.account),
                    };
                }
                prop_assert_eq!(&told, &now);
            }
        }
    }

    #[test]
    fn step_tells_all_who_see_something_else_and_nobody_of_a_stranger(steps in some_changes()) {
        let mut book = Book::default();
        for (version, changes) in steps.into_iter().enumerate() {
            let next = book.after(version as u64 + 1, changes);
            for number in 0..PEOPLE {
                let me = account(&name_of(number));
                let (before, after) = (roster(&book, &me), roster(&next, &me));
                let step = next.step();
                let shifts = step.as_ref().map(|step| step.shifts(&me)).unwrap_or_default();
                let changed = before.keys().chain(after.keys())
                    .filter(|it| before.get(*it) != after.get(*it));
                let changed: BTreeSet<&BareJid> = changed.collect();
                let told: BTreeSet<&BareJid> = shifts.iter().map(|it| &it.account).collect();
                prop_assert_eq!(&told, &changed);
                for shift in &shifts {
                    prop_assert_eq!(shift.was, before.contains_key(&shift.account));
                    prop_assert_eq!(shift.is, after.contains_key(&shift.account));
                }
                let concerned = step.map(|step| step.concerned(|_| true)).unwrap_or_default();
                prop_assert!(changed.is_empty() || concerned.contains(&me));
            }
            book = next;
        }
    }
}
