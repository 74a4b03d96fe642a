//! Tasks after a login (XEP-0480), byte for byte.

use super::sasl2::{AGENT, BIND, NS, authenticate, plain, secure, success, token};
use crate::sasl::credentials::DEFAULT_ITERATIONS;
use crate::sasl::scram::{ClientBinding, ScramClient};
use crate::sasl::{Hash, Secret, encoding};
use crate::stream::Action;
use crate::stream::testkit::*;

fn upgrade(hashes: &[&str]) -> String {
    let upgrade =
        |hash| format!("<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-{hash}</upgrade>");
    hashes.iter().map(upgrade).collect()
}

fn proceed(task: &str) -> String {
    format!("<continue xmlns='{NS}'><tasks><task>UPGR-SCRAM-{task}</task></tasks></continue>")
}

fn next(task: &str) -> String {
    format!("<next xmlns='{NS}' task='UPGR-SCRAM-{task}'/>")
}

fn hash(salted: &[u8]) -> String {
    let salted = encoding::encode(salted);
    format!(
        "<task-data xmlns='{NS}'><hash xmlns='urn:xmpp:scram-upgrade:0'>{salted}</hash></task-data>"
    )
}

/// The salt of a task.
fn salt(task_data: &str) -> Vec<u8> {
    let begin = format!(
        "<task-data xmlns='{NS}'><salt xmlns='urn:xmpp:scram-upgrade:0' \
         iterations='{DEFAULT_ITERATIONS}'>"
    );
    let rest = task_data.strip_prefix(&begin).expect("a salt");
    encoding::decode(rest.strip_suffix("</salt></task-data>").expect("no more")).unwrap()
}

fn salted(hash: Hash, salt: &[u8]) -> Vec<u8> {
    hash.salted_password(PASSWORD.as_bytes(), salt, DEFAULT_ITERATIONS)
}

#[test]
fn section_3_missing_keys_are_derived_one_by_one_before_the_login_is_done() {
    // SHA-512 is not among the mechanisms here.
    let (mut script, asked) = plain(&(upgrade(&["SHA-512", "SHA-256", "SHA-256"]) + BIND));
    assert_eq!(asked, proceed("SHA-256"));
    let task = script.send(&next("SHA-256"));
    let salt = salt(&task);
    let done = script.send(&hash(&salted(Hash::Sha256, &salt)));
    assert!(
        done.contains("<bound xmlns='urn:xmpp:bind:0'/></success>"),
        "{done}"
    );
    let added = script.performed.iter().find_map(|action| match action {
        Action::AddKeys { account, keys } => Some((account.to_string(), keys.clone())),
        _ => None,
    });
    let (account, keys) = added.expect("keys were added");
    assert_eq!(account, "juliet@example.org");
    assert!(keys.verify_password(PASSWORD));
}

#[test]
fn the_last_message_of_the_mechanism_comes_with_the_first_task() {
    let (mut script, _) = secure();
    let password = Secret::new(PASSWORD);
    let binding = ClientBinding::Unsupported;
    let mut client = ScramClient::new(Hash::Sha1, "juliet", password, binding, &[200; 16]);
    let wishes = upgrade(&["SHA-256"]);
    let asked = script.send(&authenticate("SCRAM-SHA-1", &client.first(), &wishes));
    let between = |text: &str, begin: &str, end: &str| {
        let rest = text.split_once(begin).expect("it begins").1;
        encoding::decode(rest.split_once(end).expect("it ends").0).unwrap()
    };
    let challenge = between(&asked, "'>", "</challenge>");
    let answer = encoding::encode(&client.answer(&challenge, None).unwrap());
    let task = script.send(&format!("<response xmlns='{NS}'>{answer}</response>"));
    let data = between(&task, "<additional-data>", "</additional-data>");
    assert_eq!(client.verify(&data), Ok(()));
    let salt = salt(&script.send(&next("SHA-256")));
    let done = script.send(&hash(&salted(Hash::Sha256, &salt)));
    // It was said, and is not said again.
    assert!(
        done.starts_with(&success("juliet@example.org", "")),
        "{done}"
    );
}

#[test]
fn nothing_is_asked_of_who_has_all_keys_or_wants_none_we_know() {
    let (mut script, _) = secure();
    script.has_keys = Hash::ALL.to_vec();
    let plain = b"\0juliet\0balcony";
    let done = script.send(&authenticate("PLAIN", plain, &upgrade(&["SHA-256"])));
    assert!(
        done.starts_with(&success("juliet@example.org", "")),
        "{done}"
    );
    for unknown in ["SHA-1", "SHA3-512", "SHA-256-PLUS"] {
        let (mut script, _) = secure();
        let done = script.send(&authenticate("PLAIN", plain, &upgrade(&[unknown])));
        assert!(
            done.starts_with(&success("juliet@example.org", "")),
            "{done}"
        );
        assert_eq!(
            script.count(|it| matches!(it, Action::FindLackingKeys { .. })),
            0
        );
    }
}

#[test]
fn a14_a_login_by_token_adds_no_keys() {
    let (mut script, _) = secure();
    let name = "HT-SHA-256-NONE";
    let wishes = format!(
        "<fast xmlns='urn:xmpp:fast:0'/>{AGENT}{}",
        upgrade(&["SHA-256"])
    );
    let done = script.send(&authenticate(name, &token(name, TOKEN, &[]), &wishes));
    assert!(done.contains("<success"), "{done}");
    assert_eq!(
        script.count(|it| matches!(it, Action::FindLackingKeys { .. })),
        0
    );
}

#[test]
fn whatever_is_no_part_of_a_task_ends_the_login() {
    let wishes = upgrade(&["SHA-256"]);
    let at_first = [
        (next("SHA-512"), "malformed-request"),
        (hash(&[1; 32]), "malformed-request"),
        (format!("<abort xmlns='{NS}'/>"), "aborted"),
        (format!("<response xmlns='{NS}'/>"), "malformed-request"),
    ];
    let in_a_task = [
        (next("SHA-256"), "malformed-request"),
        (hash(&[1; 31]), "malformed-request"),
        (hash(b""), "malformed-request"),
        (format!("<task-data xmlns='{NS}'/>"), "malformed-request"),
        (format!("<abort xmlns='{NS}'/>"), "aborted"),
    ];
    let begun = |is_begun| {
        let (mut script, _) = plain(&wishes);
        if is_begun {
            script.send(&next("SHA-256"));
        }
        script
    };
    let cases = at_first.map(|case| (false, case)).into_iter();
    for (is_begun, (sent, condition)) in cases.chain(in_a_task.map(|case| (true, case))) {
        let mut script = begun(is_begun);
        let answer = script.send(&sent);
        let end = format!("<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        let begin = format!("<failure xmlns='{NS}'>{end}");
        assert!(answer.starts_with(&begin), "{sent}: {answer}");
        assert_eq!(script.count(|it| matches!(it, Action::AddKeys { .. })), 0);
        assert_eq!(
            script.count(|it| matches!(it, Action::LoginFailed { .. })),
            1
        );
    }
}

#[test]
fn x16_tasks_come_in_their_place_alone_and_nothing_else_comes_there() {
    for early in [next("SHA-256"), hash(&[1; 32])] {
        let (mut script, _) = secure();
        let end = script.send(&early);
        assert!(end.contains("<policy-violation"), "{end}");
    }
    let (mut script, _) = plain(&upgrade(&["SHA-256"]));
    let end = script.send("<message to='romeo@example.org'><body>hi</body></message>");
    assert!(end.contains("<policy-violation"), "{end}");
    let (mut script, _) = plain("");
    let end = script.send(&next("SHA-256"));
    assert!(end.contains("<policy-violation"), "{end}");
}
