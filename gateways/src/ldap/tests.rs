//! A directory asked over loopback: the rows of the attack corpus that are about directories.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::stream::Verdict;
use tokio::time::sleep;

use super::testkit::*;
use super::*;
use crate::auth::{Attempt, Ldap, Source, Standing};

fn attempt_at(name: &str, domain: &str, password: &str) -> Attempt {
    Attempt {
        login: login_at(name, domain),
        password: Secret::new(password),
        peer: [192, 0, 2, 1].into(),
    }
}

async fn check(directory: &Arc<Directory>, name: &str, password: &str) -> Verdict {
    let backend = Ldap::new(Arc::clone(directory));
    backend
        .check(&attempt_at(name, "example.org", password))
        .await
}

fn right(account: &str) -> Verdict {
    Verdict::Right(BareJid::parse(account).unwrap())
}

async fn standing(directory: &Arc<Directory>, account: &str) -> Standing {
    let account = BareJid::parse(account).unwrap();
    Ldap::new(Arc::clone(directory)).standing(&account).await
}

#[tokio::test]
async fn every_name_of_a_person_is_the_account_of_the_primary_address() {
    let fake = Fake::start().await;
    let directory = fake.directory();
    let john = right("john.doe@example.org");
    for name in [
        "john.doe",
        "John.Doe@example.org",
        "j.doe",
        "j.doe@example.org",
        "doe",
        "DOE",
        "doe@example.org",
    ] {
        assert_eq!(check(&directory, name, "doe-secret").await, john, "{name}");
    }
    assert_eq!(check(&directory, "doe", "wrong").await, Verdict::Wrong);
    assert_eq!(
        check(&directory, "nobody", "doe-secret").await,
        Verdict::Wrong
    );
    // One connection was enough to search; each bind had one of its own.
    let binds = fake.shared.binds.lock().unwrap();
    let services = binds.iter().filter(|dn| *dn == SERVICE).count();
    assert_eq!(services, 1);
    assert_eq!(fake.shared.connections.load(Ordering::SeqCst), binds.len());
}

#[tokio::test]
async fn l01_empty_password_never_reaches_the_directory() {
    let fake = Fake::start().await;
    let directory = fake.directory();
    // The directory itself would say yes.
    let dn = "uid=doe,ou=People,dc=example,dc=org";
    assert!(directory.prove(dn, &Secret::new("")).await.is_err());
    assert!(
        directory
            .prove("", &Secret::new("doe-secret"))
            .await
            .is_err()
    );
    assert_eq!(check(&directory, "doe", "").await, Verdict::Unavailable);
    assert!(!fake.shared.binds.lock().unwrap().iter().any(|it| it == dn));
}

#[tokio::test]
async fn l02_filter_in_a_name_finds_nobody() {
    let fake = Fake::start().await;
    let directory = fake.directory();
    for name in [
        "*",
        "*)(uid=*))(|(uid=*",
        "admin)(!(&(1=0",
        "doe)(objectClass=*",
        "d*",
        "\\2a",
        "doe\\00",
    ] {
        let verdict = check(&directory, name, "doe-secret").await;
        assert_eq!(verdict, Verdict::Wrong, "{name}");
    }
}

#[tokio::test]
async fn l03_name_that_is_a_dn_is_bound_as_only_if_the_directory_says_it() {
    let fake = Fake::start().await;
    let directory = fake.directory();
    for name in [
        "uid=doe,ou=People,dc=example,dc=org",
        "cn=a,ou=admins",
        "doe,ou=People",
        SERVICE,
    ] {
        assert_eq!(check(&directory, name, "doe-secret").await, Verdict::Wrong);
    }
    let binds = fake.shared.binds.lock().unwrap();
    let nobody = format!("cn=klatsch-nobody,{BASE}");
    assert!(
        binds.iter().all(|dn| *dn == SERVICE || *dn == nobody),
        "{binds:?}"
    );
}

#[tokio::test]
async fn l04_name_of_two_people_is_nobodys() {
    let fake = Fake::start().await;
    let twin = entry(
        "uid=doe,ou=Sub,ou=People,dc=example,dc=org",
        "doe-secret",
        &[("uid", "doe"), ("mail", "other.doe@example.org")],
    );
    fake.shared.entries.lock().unwrap().push(twin);
    let directory = fake.directory();
    assert_eq!(check(&directory, "doe", "doe-secret").await, Verdict::Wrong);
    let john = right("john.doe@example.org");
    assert_eq!(check(&directory, "john.doe", "doe-secret").await, john);
}

#[tokio::test]
async fn l05_references_to_elsewhere_are_not_followed() {
    let fake = Fake::start().await;
    fake.behaves(Manner::Refers);
    let directory = fake.directory();
    let john = right("john.doe@example.org");
    assert_eq!(check(&directory, "doe", "doe-secret").await, john);
    fake.behaves(Manner::Binds(10));
    assert_eq!(
        check(&directory, "doe", "doe-secret").await,
        Verdict::Unavailable
    );
}

#[tokio::test]
async fn l05_starttls_is_all_or_nothing() {
    let fake = Fake::start().await;
    let with = |authorities: &str| {
        let settings = LdapSettings {
            starttls: true,
            authorities: authorities.as_bytes().to_vec(),
            ..fake.settings()
        };
        Directory::new(settings).unwrap()
    };
    let john = right("john.doe@example.org");
    let directory = with(&fake.certificate);
    assert_eq!(check(&directory, "doe", "doe-secret").await, john);
    let before = fake.shared.binds.lock().unwrap().len();
    // Whoever the operator does not know hears no password, nor whoever has no TLS.
    let stranger = Fake::start().await;
    let unknown = with(&stranger.certificate);
    assert_eq!(
        check(&unknown, "doe", "doe-secret").await,
        Verdict::Unavailable
    );
    for manner in [Manner::Refuses, Manner::Injects] {
        fake.behaves(manner);
        let directory = with(&fake.certificate);
        assert_eq!(
            check(&directory, "doe", "doe-secret").await,
            Verdict::Unavailable
        );
    }
    assert_eq!(fake.shared.binds.lock().unwrap().len(), before);
}

#[tokio::test]
async fn l05_ldaps_is_spoken_with_whom_the_operator_names() {
    let fake = Fake::start_with_tls().await;
    let with = |server: String| {
        let settings = LdapSettings {
            servers: vec![server.parse().unwrap()],
            ..fake.settings()
        };
        Directory::new(settings).unwrap()
    };
    let directory = with(format!("ldaps://{}", fake.address));
    let john = right("john.doe@example.org");
    assert_eq!(check(&directory, "doe", "doe-secret").await, john);
    // Whoever has another certificate hears nothing.
    let other = Fake::start_with_tls().await;
    let settings = LdapSettings {
        servers: vec![format!("ldaps://{}", other.address).parse().unwrap()],
        ..fake.settings()
    };
    let other_directory = Directory::new(settings).unwrap();
    let verdict = check(&other_directory, "doe", "doe-secret").await;
    assert_eq!(verdict, Verdict::Unavailable);
    assert!(other.shared.binds.lock().unwrap().is_empty());
}

#[tokio::test]
async fn l06_disabled_person_does_not_log_in_and_only_the_owner_is_told() {
    let fake = Fake::start().await;
    let directory = fake.directory();
    fake.change("doe", "nsAccountLock", "TRUE");
    assert_eq!(
        check(&directory, "doe", "doe-secret").await,
        Verdict::Disabled
    );
    assert_eq!(check(&directory, "doe", "wrong").await, Verdict::Wrong);
    for code in [53, 19] {
        fake.behaves(Manner::Binds(code));
        let directory = fake.directory();
        let proof = directory.prove(BASE, &Secret::new("x")).await.ok();
        assert!(proof.is_none() || proof == Some(Proof::Disabled));
    }
}

#[tokio::test]
async fn l06_standing_follows_the_directory_and_not_its_outages() {
    let fake = Fake::start().await;
    let directory = fake.directory();
    let john = "john.doe@example.org";
    assert_eq!(standing(&directory, john).await, Standing::Good);
    // An address that the account had before is an alias of it.
    assert_eq!(
        standing(&directory, "j.doe@example.org").await,
        Standing::Good
    );
    // A short name is no address.
    assert_eq!(
        standing(&directory, "doe@example.org").await,
        Standing::Unknown
    );
    assert_eq!(
        standing(&directory, "nobody@example.org").await,
        Standing::Unknown
    );
    fake.change("doe", "inetUserStatus", "6");
    assert_eq!(standing(&directory, john).await, Standing::Barred);
    // A directory without anybody has lost everybody, which nobody believes.
    fake.shared.entries.lock().unwrap().truncate(1);
    assert_eq!(standing(&directory, john).await, Standing::Unavailable);
    fake.behaves(Manner::Silent);
    assert_eq!(standing(&directory, john).await, Standing::Unavailable);
    fake.stop().await;
    assert_eq!(standing(&directory, john).await, Standing::Unavailable);
}

#[tokio::test]
async fn directory_at_a_socket_of_this_machine_is_asked_without_tls() {
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ldap i");
    let serving = fake.serve_at(&path);
    let settings = || LdapSettings {
        servers: vec![LdapServer::Socket(path.clone())],
        // There is nothing to be hidden from anybody on the way.
        starttls: true,
        ..fake.settings()
    };
    let directory = Directory::new(settings()).unwrap();
    let john = right("john.doe@example.org");
    assert_eq!(check(&directory, "doe", "doe-secret").await, john);
    assert_eq!(check(&directory, "doe", "wrong").await, Verdict::Wrong);
    assert_eq!(fake.shared.connections.load(Ordering::SeqCst), 0);
    serving.abort();
    let _ = serving.await;
    let directory = Directory::new(settings()).unwrap();
    let verdict = check(&directory, "doe", "doe-secret").await;
    assert_eq!(verdict, Verdict::Unavailable);
}

#[tokio::test]
async fn l07_answers_without_end_end_the_connection() {
    let fake = Fake::start().await;
    for manner in [Manner::Floods, Manner::Nests] {
        fake.behaves(manner);
        let directory = fake.directory();
        let begun = Instant::now();
        assert_eq!(
            check(&directory, "doe", "doe-secret").await,
            Verdict::Unavailable
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "{manner:?}");
    }
    let searches = fake.shared.searches.lock().unwrap();
    assert!(searches.iter().all(|it| (1..=2).contains(&it.sizelimit)));
}

#[tokio::test]
async fn l08_directory_that_hangs_is_left_alone_and_holds_nobody_up() {
    let fake = Fake::start().await;
    fake.behaves(Manner::Silent);
    let directory = fake.directory();
    let begun = Instant::now();
    let all: Vec<_> = (0..200)
        .map(|_| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move { check(&directory, "doe", "doe-secret").await })
        })
        .collect();
    for one in all {
        assert_eq!(one.await.unwrap(), Verdict::Unavailable);
    }
    // Four connections, each given half a second, and then nobody asks any more.
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    let connections = fake.shared.connections.load(Ordering::SeqCst);
    assert!(connections <= 20, "{connections}");
    let again = Instant::now();
    assert_eq!(
        check(&directory, "doe", "doe-secret").await,
        Verdict::Unavailable
    );
    assert!(again.elapsed() < Duration::from_millis(100));
    // It is asked again, and found to be well.
    fake.behaves(Manner::Well);
    let john = right("john.doe@example.org");
    let mut verdict = Verdict::Unavailable;
    while verdict != john && begun.elapsed() < Duration::from_secs(30) {
        sleep(Duration::from_millis(50)).await;
        verdict = check(&directory, "doe", "doe-secret").await;
    }
    assert_eq!(verdict, john);
}

#[tokio::test]
async fn l08_directory_that_was_started_again_is_found_again() {
    let fake = Fake::start().await;
    let directory = fake.directory();
    let john = right("john.doe@example.org");
    assert_eq!(check(&directory, "doe", "doe-secret").await, john);
    let address = fake.stop().await;
    assert_eq!(
        check(&directory, "doe", "doe-secret").await,
        Verdict::Unavailable
    );
    let fake = Fake::start_at(address, people(), false).await;
    // The connection that was idle is closed; nobody who logs in notices.
    assert_eq!(check(&directory, "doe", "doe-secret").await, john);
    drop(fake);
}

#[tokio::test]
async fn l09_spellings_of_a_name_are_one_person() {
    let fake = Fake::start().await;
    let directory = fake.directory();
    let backend = Ldap::new(Arc::clone(&directory));
    let kaethe = right("kaethe.mueller@example.net");
    for name in [
        "müller",
        "Müller",
        "mu\u{308}ller",
        "Mu\u{308}ller@example.net",
    ] {
        let verdict = backend
            .check(&attempt_at(name, "example.net", "mueller-secret"))
            .await;
        assert_eq!(verdict, kaethe, "{name}");
    }
    for name in ["müller ", " müller", "muller"] {
        let verdict = backend
            .check(&attempt_at(name, "example.net", "mueller-secret"))
            .await;
        assert_eq!(verdict, Verdict::Wrong, "{name}");
    }
}

#[tokio::test]
async fn r14_tenants_do_not_find_each_others_people() {
    let fake = Fake::start().await;
    let intruder = entry(
        "uid=mallory,ou=People,dc=other,dc=example",
        "mallory-secret",
        &[("uid", "mallory"), ("mail", "john.doe@example.org")],
    );
    fake.shared.entries.lock().unwrap().push(intruder);
    let other = base("ou=People,dc=other,dc=example");
    let settings = LdapSettings {
        bases: [("other.example".to_owned(), other)].into(),
        ..fake.settings()
    };
    let backend = Ldap::new(Directory::new(settings).unwrap());
    for (name, domain, password) in [
        // Of the other tenant, under every name.
        ("doe", "other.example", "doe-secret"),
        ("john.doe@example.org", "other.example", "doe-secret"),
        // Who has given himself the address of somebody of the other tenant.
        ("mallory", "other.example", "mallory-secret"),
        ("mallory", "example.org", "mallory-secret"),
    ] {
        let verdict = backend.check(&attempt_at(name, domain, password)).await;
        assert_eq!(verdict, Verdict::Wrong, "{name} at {domain}");
    }
}

#[tokio::test]
async fn service_account_that_is_refused_is_no_wrong_password() {
    let fake = Fake::start().await;
    let settings = LdapSettings {
        password: Secret::new("old"),
        ..fake.settings()
    };
    let directory = Directory::new(settings).unwrap();
    let error = directory.find(&login("doe")).await.unwrap_err();
    assert!(error.to_string().contains("service account"), "{error}");
    assert_eq!(
        check(&directory, "doe", "doe-secret").await,
        Verdict::Unavailable
    );
}

#[tokio::test]
async fn next_server_is_asked_where_one_does_not_answer() {
    let fake = Fake::start().await;
    let nobody = "ldap://127.0.0.1:1".parse().unwrap();
    let mut settings = fake.settings();
    settings.servers.insert(0, nobody);
    let directory = Directory::new(settings).unwrap();
    let john = right("john.doe@example.org");
    assert_eq!(check(&directory, "doe", "doe-secret").await, john);
}
