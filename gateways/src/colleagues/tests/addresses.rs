//! Whose an address is.

use klatsch_protocol::colleagues::{Book, Entry};

use super::{
    Names, book_of, domains, jid, judge, members, people, person, read, reasons, serve, wanted_of,
};
use crate::colleagues::reader::Reader;
use crate::colleagues::tenants;
use crate::colleagues::wanted::{Former, Measures, wanted};
use crate::ldap::colleague::{ALIASES_MAX, Unfit};
use crate::ldap::testkit::{self, entry};
use crate::ldap::{Directory, LdapSettings};

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
