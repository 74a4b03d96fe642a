//! Who is in a group.

use klatsch_protocol::colleagues::Book;

use super::{
    GROUPS, group, group_of, jid, members, person, read, reasons, serve, tenant, wanted_of,
};
use crate::colleagues::wanted::{Former, Measures, wanted};
use crate::ldap::colleague::Unfit;
use crate::ldap::testkit::{self, BASE, entry};

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
