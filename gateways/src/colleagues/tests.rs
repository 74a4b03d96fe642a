//! What a directory says, and what the book makes of it.

use std::collections::HashMap;

use klatsch_protocol::colleagues::{Book, Change, Entry, EntryId, Group, Person, Photo};
use klatsch_protocol::jid::BareJid;

use super::guard::{Guard, REPEATS};
use super::reader::{PictureError, Pictures, Reader, Seen};
use super::wanted::{Former, Measures, Wanted, wanted};
use super::{Tenant, tenants};
use crate::ldap::colleague::{ALIASES_MAX, Unfit};
use crate::ldap::testkit::{self, BASE, Fake, Manner, entry};
use crate::ldap::{Directory, Groups, LdapSettings, filter};

const GROUPS: &str = "ou=Groups,dc=example,dc=org";

/// Pictures are what they are called.
struct Names;

impl Pictures for Names {
    async fn take(&self, _of: &EntryId, bytes: Vec<u8>) -> Result<Photo, PictureError> {
        match &*bytes {
            b"broken" => Err(PictureError::Bad),
            b"no room" => Err(PictureError::Unavailable("full".to_owned())),
            _ => Ok(Photo {
                hash: String::from_utf8_lossy(&bytes).into(),
                media_type: "image/jpeg".into(),
                bytes: 1,
                width: 1,
                height: 1,
                source: "source".into(),
            }),
        }
    }
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn domains() -> Vec<BareJid> {
    vec![jid("example.org"), jid("example.net")]
}

/// The directory of the tests, with a place for groups.
fn directory(fake: &Fake) -> std::sync::Arc<Directory> {
    let mut settings = fake.settings();
    settings.base.groups = Some(Groups {
        dn: GROUPS.to_owned(),
        filter: filter::parse("(objectClass=group)").unwrap(),
    });
    Directory::new(settings).unwrap()
}

fn person(uid: &str, attributes: &[(&str, &str)]) -> testkit::Entry {
    entry(&format!("uid={uid},{BASE}"), "", attributes)
}

fn group(name: &str, attributes: &[(&str, &str)]) -> testkit::Entry {
    let mut group = entry(&format!("cn={name},{GROUPS}"), "", attributes);
    group.attributes.retain(|(name, _)| name != "objectClass");
    group
        .attributes
        .push(("objectClass".into(), "group".into()));
    group.attributes.push(("cn".into(), name.into()));
    group
}

async fn serve(entries: Vec<testkit::Entry>) -> Fake {
    let mut all = testkit::people();
    all.truncate(1);
    all.extend(entries);
    Fake::start_at("127.0.0.1:0".parse().unwrap(), all, false).await
}

async fn read_with(reader: &mut Reader, fake: &Fake) -> Seen {
    let directory = directory(fake);
    let tenant = &tenants(&directory, &domains())[0];
    reader.read(&directory, tenant, &Names).await.unwrap()
}

async fn read(fake: &Fake) -> Seen {
    read_with(&mut Reader::default(), fake).await
}

fn tenant() -> Tenant {
    Tenant {
        name: "example.org".into(),
        domains: ["example.org".into(), "example.net".into()].into(),
        base: testkit::base(BASE),
    }
}

fn judge(seen: Seen, book: &Book, former: &Former) -> Wanted {
    wanted(&[(&tenant(), seen)], book, former, &Measures::default())
}

fn book_of(wanted: &Wanted) -> Book {
    Book::default().after(1, wanted.changes(&Book::default()))
}

/// What the book says of everybody: who they are, and their further addresses.
fn people(wanted: &Wanted) -> Vec<String> {
    let people = wanted.entries.values().filter_map(|it| match it {
        Entry::Person(person) => Some(person),
        Entry::Group(_) => None,
    });
    let text = |it: &Person| {
        let aliases = it.aliases.iter().map(|it| format!(" {it}"));
        format!("{}{}", it.account, aliases.collect::<String>())
    };
    let mut people: Vec<String> = people.map(text).collect();
    people.sort_unstable();
    people
}

fn group_of<'a>(wanted: &'a Wanted, name: &str) -> &'a Group {
    let groups = wanted.entries.values().filter_map(|it| match it {
        Entry::Group(group) => Some(group),
        Entry::Person(_) => None,
    });
    let mut named = groups.filter(|it| *it.name == *name);
    named.next().unwrap()
}

/// Who is in a group, by the first parts of their names.
fn members(wanted: &Wanted, name: &str) -> Vec<String> {
    let ids = group_of(wanted, name).members.iter();
    ids.map(|id| id.split(',').next().unwrap().to_owned())
        .collect()
}

fn reasons(wanted: &Wanted) -> HashMap<String, Unfit> {
    let short = |name: &String| name.split(',').next().unwrap().to_owned();
    wanted
        .skipped
        .iter()
        .map(|(it, why)| (short(it), *why))
        .collect()
}

async fn wanted_of(entries: Vec<testkit::Entry>) -> Wanted {
    let fake = serve(entries).await;
    judge(read(&fake).await, &Book::default(), &Former::new())
}

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

#[tokio::test]
async fn l04_address_of_two_people_is_whose_it_was() {
    let one = person("a", &[("mail", "same@example.org")]);
    let other = person("b", &[("mail", "same@example.org")]);
    let alone = wanted_of(vec![other.clone()]).await;
    let fake = serve(vec![one, other]).await;
    let wanted = judge(read(&fake).await, &book_of(&alone), &Former::new());
    assert_eq!(
        reasons(&wanted),
        [("uid=a".into(), Unfit::DoubleAddress)].into()
    );
    assert!(
        wanted
            .entries
            .contains_key("uid=b,ou=People,dc=example,dc=org")
    );
    assert_eq!(people(&wanted), ["same@example.org"]);
}

#[tokio::test]
async fn l04_further_address_leads_to_one_person_or_to_nobody() {
    let a = person(
        "a",
        &[("mail", "a@example.org"), ("alias", "x@example.org")],
    );
    let b = person(
        "b",
        &[
            ("mail", "b@example.org"),
            ("alias", "x@example.org"),
            ("alias", "a@example.org"),
        ],
    );
    let alone = wanted_of(vec![a.clone()]).await;
    let both = wanted_of(vec![a.clone(), b.clone()]).await;
    assert_eq!(people(&both), ["a@example.org", "b@example.org"]);
    let fake = serve(vec![a, b]).await;
    let wanted = judge(read(&fake).await, &book_of(&alone), &Former::new());
    let expected = ["a@example.org x@example.org", "b@example.org"];
    assert_eq!(people(&wanted), expected);
    assert_eq!(
        reasons(&wanted),
        [("uid=b".into(), Unfit::DoubleAlias)].into()
    );
}

#[tokio::test]
async fn address_that_was_somebodys_stays_theirs_unless_somebody_else_has_it() {
    let before = wanted_of(vec![person("a", &[("mail", "old@example.org")])]).await;
    let fake = serve(vec![person("a", &[("mail", "new@example.org")])]).await;
    let wanted = judge(read(&fake).await, &book_of(&before), &Former::new());
    assert_eq!(people(&wanted), ["new@example.org old@example.org"]);
    // Later the store knows, and the directory's own further addresses may go.
    let former: Former = [(jid("new@example.org"), vec![jid("old@example.org")])].into();
    let book = book_of(&wanted);
    let wanted = judge(read(&fake).await, &book, &former);
    assert_eq!(people(&wanted), ["new@example.org old@example.org"]);
    assert!(wanted.changes(&book).is_empty());
    let wanted = judge(read(&fake).await, &book, &Former::new());
    assert_eq!(people(&wanted), ["new@example.org"]);
    let heir = person("b", &[("mail", "old@example.org")]);
    fake.shared.entries.lock().unwrap().push(heir);
    let wanted = judge(read(&fake).await, &book, &former);
    assert_eq!(people(&wanted), ["new@example.org", "old@example.org"]);
}

#[tokio::test]
async fn nobody_has_more_addresses_than_anybody_needs() {
    let many: Vec<String> = (0..200).map(|it| format!("a{it}@example.org")).collect();
    let mut all = vec![("mail", "a@example.org")];
    all.extend(many.iter().map(|it| ("alias", it.as_str())));
    let wanted = wanted_of(vec![person("a", &all)]).await;
    let person = wanted.entries.get("uid=a,ou=People,dc=example,dc=org");
    let Some(Entry::Person(person)) = person else {
        panic!("nobody")
    };
    assert_eq!(person.aliases.len(), ALIASES_MAX);
    assert_eq!(
        reasons(&wanted),
        [("uid=a".into(), Unfit::ManyAliases)].into()
    );
}

fn abc() -> Vec<testkit::Entry> {
    ["a", "b", "c"]
        .map(|uid| {
            let mail = format!("{uid}@example.org");
            person(uid, &[("mail", mail.as_str()), ("ou", uid)])
        })
        .to_vec()
}

#[tokio::test]
async fn groups_have_the_people_of_groups_inside_them() {
    let mut entries = abc();
    entries.push(group(
        "all",
        &[
            ("mail", "all@example.org"),
            ("uniqueMember", "UID=A, OU=people,dc=example,dc=org"),
            ("member", "cn=inner,ou=Groups,dc=example,dc=org"),
            ("member", "uid=gone,ou=People,dc=example,dc=org"),
        ],
    ));
    entries.push(group(
        "inner",
        &[("member", "uid=b,ou=People,dc=example,dc=org")],
    ));
    entries.push(group("elsewhere", &[("mail", "g@elsewhere.example")]));
    entries.push(group("taken", &[("mail", "a@example.org")]));
    let wanted = wanted_of(entries).await;
    assert_eq!(members(&wanted, "all"), ["uid=a", "uid=b"]);
    assert_eq!(members(&wanted, "inner"), ["uid=b"]);
    assert_eq!(
        group_of(&wanted, "all").address,
        Some(jid("all@example.org"))
    );
    assert_eq!(group_of(&wanted, "elsewhere").address, None);
    assert_eq!(group_of(&wanted, "taken").address, None);
    assert!(wanted.skipped.is_empty(), "{:?}", wanted.skipped);
}

#[tokio::test]
async fn l07_group_in_itself_ends_and_is_named() {
    let inside = |name: &str| format!("cn={name},{GROUPS}");
    let mut entries = abc();
    let (one, two) = (inside("one"), inside("two"));
    entries.push(group(
        "one",
        &[
            ("member", two.as_str()),
            ("member", "uid=a,ou=People,dc=example,dc=org"),
        ],
    ));
    entries.push(group(
        "two",
        &[
            ("member", one.as_str()),
            ("member", "uid=b,ou=People,dc=example,dc=org"),
        ],
    ));
    let mut chain = Vec::new();
    for depth in 0..20 {
        let (name, next) = (
            format!("d{depth:02}"),
            inside(&format!("d{:02}", depth + 1)),
        );
        chain.push(group(&name, &[("member", next.as_str())]));
    }
    chain.push(group(
        "d20",
        &[("member", "uid=c,ou=People,dc=example,dc=org")],
    ));
    entries.extend(chain);
    entries.push(group(
        "bad",
        &[("member", "nonsense"), ("memberURL", "http://x/")],
    ));
    let wanted = wanted_of(entries).await;
    for name in ["one", "two"] {
        assert_eq!(members(&wanted, name), ["uid=a", "uid=b"]);
    }
    let reasons = reasons(&wanted);
    assert_eq!(reasons["cn=one"], Unfit::Cycle);
    assert_eq!(reasons["cn=d00"], Unfit::Deep);
    assert_eq!(reasons["cn=bad"], Unfit::BadMembers);
    assert!(!reasons.contains_key("cn=d15"));
    assert_eq!(members(&wanted, "d15"), ["uid=c"]);
}

#[tokio::test]
async fn dynamic_group_is_whom_its_search_finds_among_its_own_people() {
    let mut entries = abc();
    let stranger = entry(
        "uid=x,ou=People,dc=other",
        "",
        &[("mail", "x@example.org"), ("ou", "a")],
    );
    entries.push(stranger);
    for (name, url) in [
        ("below", "ldap:///ou=People,dc=example,dc=org??sub?(ou=a)"),
        (
            "above",
            "ldap://elsewhere.example/dc=example,dc=org??sub?(ou=b)",
        ),
        ("beside", "ldap:///ou=People,dc=other??sub?(ou=a)"),
        ("all", "ldap:///??sub?(objectClass=*)"),
    ] {
        entries.push(group(name, &[("memberURL", url)]));
    }
    let wanted = wanted_of(entries).await;
    assert_eq!(members(&wanted, "below"), ["uid=a"]);
    assert_eq!(members(&wanted, "above"), ["uid=b"]);
    assert_eq!(members(&wanted, "all"), ["uid=a", "uid=b", "uid=c"]);
    assert!(members(&wanted, "beside").is_empty());
    assert_eq!(
        reasons(&wanted),
        [("cn=beside".into(), Unfit::SearchesElsewhere)].into()
    );
}

#[tokio::test]
async fn organisation_without_groups_is_one_unless_it_is_large() {
    let fake = serve(abc()).await;
    let seen = read(&fake).await;
    let measures = |everybody_max| Measures {
        everybody_max,
        group_members_max: 2,
    };
    let tenant = tenant();
    let seen = [(&tenant, seen)];
    let book = Book::default();
    let small = wanted(&seen, &book, &Former::new(), &measures(4));
    assert_eq!(members(&small, "example.org").len(), 3);
    let large = wanted(&seen, &book, &Former::new(), &measures(3));
    assert_eq!(large.entries.len(), 3);
    let mut entries = abc();
    let all: Vec<String> = ["a", "b", "c"]
        .map(|it| format!("uid={it},{BASE}"))
        .to_vec();
    let all: Vec<_> = all.iter().map(|it| ("member", it.as_str())).collect();
    entries.push(group("staff", &all));
    let fake = serve(entries).await;
    let seen = [(&tenant, read(&fake).await)];
    let wanted = wanted(&seen, &book, &Former::new(), &measures(4));
    assert_eq!(wanted.entries.len(), 4, "it has a group");
    assert!(
        !group_of(&wanted, "staff").is_shown,
        "too large for a roster"
    );
    assert_eq!(group_of(&wanted, "staff").members.len(), 3);
}

#[tokio::test]
async fn r14_organisations_have_their_own_people_only() {
    let theirs = "ou=People,dc=other,dc=example";
    let fake = serve(vec![
        person(
            "a",
            &[("mail", "a@example.org"), ("alias", "a@other.example")],
        ),
        entry(&format!("uid=m,{theirs}"), "", &[("mail", "a@example.org")]),
        entry(
            &format!("uid=o,{theirs}"),
            "",
            &[("mail", "o@other.example")],
        ),
    ])
    .await;
    let settings = LdapSettings {
        bases: [("other.example".to_owned(), testkit::base(theirs))].into(),
        ..fake.settings()
    };
    let directory = Directory::new(settings).unwrap();
    let served = [domains(), vec![jid("other.example")]].concat();
    let tenants = tenants(&directory, &served);
    let names: Vec<_> = tenants.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["example.org", "other.example"]);
    let mut seen = Vec::new();
    for tenant in &tenants {
        let read = Reader::default().read(&directory, tenant, &Names).await;
        seen.push((tenant, read.unwrap()));
    }
    let measures = Measures::default();
    let wanted = wanted(&seen, &Book::default(), &Former::new(), &measures);
    assert_eq!(people(&wanted), ["a@example.org", "o@other.example"]);
    assert_eq!(members(&wanted, "other.example"), ["uid=o"]);
    assert_eq!(reasons(&wanted)["uid=m"], Unfit::OtherDomain);
}

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
