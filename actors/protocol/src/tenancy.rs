//! Who is kept apart: people of different organisations (row R14).
//!
//! A domain belongs to an organisation as the directory says ([`Book::organisation`]), with its
//! services and the components below it. Domains that no directory knows are the operator's own:
//! they reach everybody, and each other, unless the configuration says `isolated`, which makes
//! each of them an organisation. Without a directory and without that, all domains are one.
//!
//! Nothing passes between two organisations. Each is to the other what a server is that does not
//! exist: whoever writes to it hears `remote-server-not-found`, as of any domain that is not
//! served here. What is asked for by other means than its address, such as a file by its URL or a
//! picture by its hash, nobody finds who has not been told.

use crate::colleagues::Book;
use crate::facts::Host;
use crate::jid::Jid;
use crate::stanza::Stanza;

/// Tells whether two addresses belong to different organisations. It says no of what is not
/// served here: that is found out elsewhere.
#[must_use]
pub fn are_apart(one: &Jid, other: &Jid, host: &Host, book: &Book) -> bool {
    // Nearly everywhere there is one organisation, and most is said within a domain.
    let may_be = host.isolated || book.is_split();
    if !may_be || one.domain() == other.domain() {
        return false;
    }
    let organisation = |of| organisation(of, host, book);
    match (organisation(one.domain()), organisation(other.domain())) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    }
}

/// Tells whether a stanza must not get to where it is addressed.
#[must_use]
pub fn keeps_back(stanza: &Stanza, host: &Host, book: &Book) -> bool {
    match (stanza.from(), stanza.to()) {
        (Some(from), Some(to)) => are_apart(from, to, host, book),
        // Who says nothing of itself is the server.
        _ => false,
    }
}

/// The organisation of a host, where there are several that are kept apart: what is not asked for
/// by an address is kept apart by it.
#[must_use]
pub fn side_of<'a>(host_name: &'a str, host: &'a Host, book: &'a Book) -> Option<&'a str> {
    let may_be = host.isolated || book.is_split();
    let organisation = organisation(host_name, host, book);
    organisation.filter(|_| may_be)
}

/// The organisation that a host belongs to; `None`: none, or it is not served here.
fn organisation<'a>(of: &'a str, host: &'a Host, book: &'a Book) -> Option<&'a str> {
    let domain = host.domain_behind(of)?;
    let own = host.isolated.then_some(domain);
    book.organisation(domain).or(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colleagues::{Card, Change, Entry, Person};
    use crate::testkit::facts;

    const DOMAINS: [&str; 4] = [
        "one.example",
        "alias.example",
        "two.example",
        "free.example",
    ];

    fn host(isolated: bool) -> Host {
        let domain = |it: &str| it.parse().unwrap();
        Host {
            domains: DOMAINS.into_iter().map(domain).collect(),
            components: vec![domain("bot.one.example"), domain("gateway.example")],
            isolated,
            ..facts().facts().host.clone()
        }
    }

    fn book() -> Book {
        let person = |id: &str, account: &str, alias: &str, tenant: &str| Change {
            id: id.into(),
            entry: Some(Entry::Person(Person {
                account: account.parse().unwrap(),
                aliases: vec![alias.parse().unwrap()],
                name: id.into(),
                tenant: tenant.into(),
                is_disabled: false,
                is_admin: false,
                card: Card::default(),
                photo: None,
            })),
        };
        Book::default().after(
            1,
            vec![
                person("1", "a@one.example", "a@alias.example", "one"),
                person("2", "b@two.example", "bb@two.example", "two"),
            ],
        )
    }

    fn apart(one: &str, other: &str, host: &Host, book: &Book) -> bool {
        let parse = |it: &str| Jid::parse(it).unwrap();
        let is_apart = are_apart(&parse(one), &parse(other), host, book);
        let turned = are_apart(&parse(other), &parse(one), host, book);
        assert_eq!(is_apart, turned, "{one} and {other} do not agree");
        is_apart
    }

    #[test]
    fn r14_organisations_are_kept_apart_with_all_that_is_theirs() {
        let (host, book) = (host(false), book());
        for theirs in [
            "b@two.example",
            "b@two.example/phone",
            "two.example",
            "room@conference.two.example/nick",
            "conference.two.example",
            "upload.two.example",
            "pubsub.two.example",
        ] {
            for ours in [
                "a@one.example/desk",
                "x@alias.example",
                "room@conference.alias.example",
                "one.example",
                "bot.one.example",
            ] {
                assert!(apart(ours, theirs, &host, &book), "{ours} {theirs}");
            }
            for anybody in ["c@free.example", "gateway.example", "x@elsewhere.example"] {
                assert!(!apart(anybody, theirs, &host, &book), "{anybody} {theirs}");
            }
        }
        for ours in ["x@one.example", "alias.example", "bot.one.example"] {
            assert!(!apart("a@one.example", ours, &host, &book), "{ours}");
        }
    }

    #[test]
    fn r14_without_a_directory_all_domains_are_one_unless_they_are_isolated() {
        let (host, nothing) = (host(false), Book::default());
        assert!(!apart("a@one.example", "b@two.example", &host, &nothing));
        let host = super::tests::host(true);
        assert!(apart("a@one.example", "b@two.example", &host, &nothing));
        assert!(apart(
            "a@one.example",
            "conference.two.example",
            &host,
            &nothing
        ));
        assert!(!apart("a@one.example", "b@one.example", &host, &nothing));
    }

    #[test]
    fn r14_what_the_directory_says_goes_before_isolation() {
        let (host, book) = (host(true), book());
        assert!(!apart("a@one.example", "x@alias.example", &host, &book));
        assert!(apart("a@one.example", "c@free.example", &host, &book));
    }
}
