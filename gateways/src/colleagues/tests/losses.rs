//! When a directory is believed that has lost people.

use klatsch_protocol::colleagues::{Book, Change, Entry, Person};

use super::jid;
use crate::colleagues::guard::{Guard, REPEATS};

fn many(count: usize) -> Book {
    let change = |number: usize| Change {
        id: format!("{number}").into(),
        entry: Some(Entry::Person(Person {
            account: jid(&format!("u{number}@example.org")),
            aliases: Vec::new(),
            name: "u".into(),
            tenant: "example.org".into(),
            is_disabled: false,
            is_admin: false,
            card: Default::default(),
            photo: None,
        })),
    };
    Book::default().after(1, (0..count).map(change).collect())
}

fn gone(ids: std::ops::Range<usize>) -> Vec<Change> {
    let change = |number: usize| Change {
        id: format!("{number}").into(),
        entry: None,
    };
    ids.map(change).collect()
}

#[test]
fn directory_that_has_lost_most_people_is_believed_when_it_insists() {
    let book = many(100);
    let mut guard = Guard::default();
    assert!(guard.judge(&book, &gone(0..50)).is_ok());
    for times in 1..REPEATS {
        let loss = guard.judge(&book, &gone(0..51)).unwrap_err();
        assert_eq!((loss.lost, loss.of, loss.times), (51, 100, times));
    }
    assert!(guard.judge(&book, &gone(0..51)).is_ok());
    // Somebody else each time is no insisting, nor is something else between.
    assert!(guard.judge(&book, &gone(0..60)).is_err());
    assert_eq!(guard.judge(&book, &gone(0..61)).unwrap_err().times, 1);
    assert!(guard.judge(&book, &[]).is_ok());
    assert_eq!(guard.judge(&book, &gone(0..61)).unwrap_err().times, 1);
}

#[test]
fn few_may_leave_and_not_all() {
    for (of, lost, is_believed) in [
        (1, 1, true),
        (3, 2, true),
        (3, 3, false),
        (6, 4, true),
        (6, 5, false),
    ] {
        let judged = Guard::default().judge(&many(of), &gone(0..lost));
        assert_eq!(judged.is_ok(), is_believed, "{lost} of {of}");
    }
}
