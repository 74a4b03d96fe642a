//! What is read of a directory, and when.

use klatsch_protocol::colleagues::{Book, Change};

use super::{
    Names, book_of, directory, domains, jid, judge, members, people, person, read, read_with,
    reasons, serve,
};
use crate::colleagues::reader::Reader;
use crate::colleagues::tenants;
use crate::colleagues::wanted::Former;
use crate::ldap::colleague::Unfit;
use crate::ldap::testkit::{Manner, entry};

#[tokio::test]
async fn people_of_the_directory_are_read_in_parts_with_what_is_theirs() {
    let fake = serve(vec![
        person(
            "a",
            &[
                ("mail", "A@example.org"),
                ("alias", "a.a@example.net"),
                ("cn", "A A"),
            ],
        ),
        person("b", &[("mail", "b@example.org"), ("jpegPhoto", "face")]),
        person("c", &[("mail", "c@example.net"), ("nsAccountLock", "true")]),
        person("d", &[("mail", "d@elsewhere.example")]),
        person(
            "e",
            &[("mail", "e@example.org"), ("alias", "e@elsewhere.example")],
        ),
        person("f", &[]),
        entry(
            "uid=s,ou=Special Users,ou=People,dc=example,dc=org",
            "",
            &[("mail", "s@example.org")],
        ),
    ])
    .await;
    let wanted = judge(read(&fake).await, &Book::default(), &Former::new());
    let expected = [
        "a@example.org a.a@example.net",
        "b@example.org",
        "c@example.net",
        "e@example.org",
    ];
    assert_eq!(people(&wanted), expected);
    let book = book_of(&wanted);
    assert_eq!(&*book.person(&jid("a@example.org")).unwrap().name, "A A");
    let photo = book.person(&jid("b@example.org")).unwrap().photo.clone();
    assert_eq!(&*photo.unwrap().hash, "face");
    assert!(book.person(&jid("c@example.net")).unwrap().is_disabled);
    // Not everybody has an address, and that is no fault; one of elsewhere is.
    assert_eq!(
        reasons(&wanted),
        [("uid=d".into(), Unfit::OtherDomain)].into()
    );
}

#[tokio::test]
async fn whole_entries_are_read_only_where_something_has_changed() {
    let old = ("modifyTimestamp", "20200101000000Z");
    let fake = serve(vec![
        person("a", &[("mail", "a@example.org"), old]),
        person("b", &[("mail", "b@example.org"), old]),
        person(
            "new",
            &[
                ("mail", "n@example.org"),
                ("modifyTimestamp", "20260101000000Z"),
            ],
        ),
    ])
    .await;
    let mut reader = Reader::default();
    assert_eq!(read_with(&mut reader, &fake).await.read, 3);
    // What was changed just before it was read may have been changed again in the same second.
    assert_eq!(read_with(&mut reader, &fake).await.read, 1);
    fake.shared.entries.lock().unwrap()[1].attributes[1].1 = "20210101000000Z".to_owned();
    assert_eq!(read_with(&mut reader, &fake).await.read, 2);
    fake.shared.entries.lock().unwrap().remove(1);
    let seen = read_with(&mut reader, &fake).await;
    assert_eq!((seen.read, seen.entries.len()), (1, 2));
    reader.forget();
    assert_eq!(read_with(&mut reader, &fake).await.read, 2);
}

#[tokio::test]
async fn directory_without_times_is_read_whole_each_time() {
    let fake = serve(vec![person("a", &[("mail", "a@example.org")])]).await;
    let mut reader = Reader::default();
    for _ in 0..3 {
        assert_eq!(read_with(&mut reader, &fake).await.read, 1);
    }
}

#[tokio::test]
async fn l07_list_that_does_not_end_or_repeats_itself_is_given_up() {
    let some = (0..5).map(|it| person(&format!("u{it}"), &[("mail", "u@example.org")]));
    let fake = serve(some.collect()).await;
    let directory = directory(&fake);
    let tenant = &tenants(&directory, &domains())[0];
    for manner in [
        Manner::Loops,
        Manner::Promises,
        Manner::Floods,
        Manner::Nests,
    ] {
        fake.behaves(manner);
        let read = Reader::default().read(&directory, tenant, &Names).await;
        assert!(read.is_err(), "{manner:?}");
    }
    fake.behaves(Manner::Well);
    let seen = Reader::default().read(&directory, tenant, &Names).await;
    assert_eq!(seen.unwrap().entries.len(), 5);
}

#[tokio::test]
async fn l07_entry_that_is_too_large_is_left_as_it_was_and_stops_nothing() {
    let fake = serve(vec![person("a", &[("mail", "a@example.org")])]).await;
    let book = book_of(&judge(read(&fake).await, &Book::default(), &Former::new()));
    fake.behaves(Manner::Swells);
    let wanted = judge(read(&fake).await, &book, &Former::new());
    assert_eq!(
        reasons(&wanted),
        [("uid=a".into(), Unfit::Unreadable)].into()
    );
    let gone: Vec<Change> = wanted.changes(&book);
    let is_person = |it: &Change| &*it.id == "uid=a,ou=People,dc=example,dc=org";
    assert!(!gone.iter().any(is_person), "{gone:?}");
    assert!(members(&wanted, "example.org").contains(&"uid=a".to_owned()));
}

#[tokio::test]
async fn directory_that_is_gone_is_an_error_and_no_empty_one() {
    let fake = serve(vec![person("a", &[("mail", "a@example.org")])]).await;
    let directory = directory(&fake);
    let tenant = &tenants(&directory, &domains())[0];
    fake.stop().await;
    let read = Reader::default().read(&directory, tenant, &Names).await;
    assert!(read.is_err());
}

#[tokio::test]
async fn picture_that_is_none_is_named_and_one_that_cannot_be_kept_is_tried_again() {
    let fake = serve(vec![person(
        "a",
        &[("mail", "a@example.org"), ("jpegPhoto", "broken")],
    )])
    .await;
    let wanted = judge(read(&fake).await, &Book::default(), &Former::new());
    assert_eq!(reasons(&wanted), [("uid=a".into(), Unfit::BadPhoto)].into());
    assert_eq!(people(&wanted), ["a@example.org"]);
    fake.shared.entries.lock().unwrap()[1].attributes[1].1 = "no room".to_owned();
    let directory = directory(&fake);
    let tenant = &tenants(&directory, &domains())[0];
    assert!(
        Reader::default()
            .read(&directory, tenant, &Names)
            .await
            .is_err()
    );
}
