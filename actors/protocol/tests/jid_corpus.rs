//! Addresses: row R12 of the attack corpus, and laws of RFC 7622.

use klatsch_protocol::jid::{
    BareJid, FullJid, Jid, JidError, prepare_domain, prepare_localpart, prepare_resource,
};
use proptest::prelude::*;
use std::collections::HashMap;

fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_parts_are_found_by_the_first_slash_and_the_at_sign_before_it() {
    let full = jid("a@b/c@d/e");
    assert_eq!(
        (full.localpart(), full.domain(), full.resource()),
        (Some("a"), "b", Some("c@d/e"))
    );
    let domain = jid("example.org/a@b");
    assert_eq!(
        (domain.localpart(), domain.domain(), domain.resource()),
        (None, "example.org", Some("a@b"))
    );
    assert_eq!(full.bare(), BareJid::parse("a@b").expect("valid"));
    assert_eq!(full.bare_str(), "a@b");
    assert_eq!(full.bare().domain_jid().as_str(), "b");
    assert_eq!(full.bare().with_resource("c@d/e").map(Jid::from), Ok(full));
}

#[test]
fn empty_parts_are_refused() {
    for text in ["", "@b", "a@", "a@/c", "a@b/", "/c", "b/", "@", "/"] {
        assert_eq!(Jid::parse(text), Err(JidError::Empty), "{text}");
    }
    for text in [".", "a@b..c", "a@.b", "a@b.."] {
        assert_eq!(Jid::parse(text), Err(JidError::Domain), "{text}");
    }
}

#[test]
fn forms_are_told_apart() {
    assert_eq!(BareJid::parse("a@b/c"), Err(JidError::Form));
    assert_eq!(FullJid::parse("a@b"), Err(JidError::Form));
    assert_eq!(jid("a@b").to_full(), None);
}

#[test]
fn r12_spellings_of_one_address_are_the_same_bytes() {
    for (text, prepared) in [
        ("Romeo@EXAMPLE.org", "romeo@example.org"),
        ("ROMÉO@example.org", "roméo@example.org"),
        // Decomposed and composed, wide and narrow.
        ("rome\u{301}o@example.org", "rom\u{E9}o@example.org"),
        ("\u{FF52}\u{FF4F}meo@example.org", "romeo@example.org"),
        ("romeo@example.org.", "romeo@example.org"),
        ("romeo@B\u{FC}cher.example", "romeo@b\u{FC}cher.example"),
        ("romeo@xn--bcher-kva.example", "romeo@b\u{FC}cher.example"),
        ("romeo@XN--BCHER-KVA.example", "romeo@b\u{FC}cher.example"),
        ("romeo@fa\u{DF}.example", "romeo@fa\u{DF}.example"),
        ("romeo@example\u{3002}org\u{3002}", "romeo@example.org"),
        ("romeo@\u{FF45}xample.org", "romeo@example.org"),
        ("romeo@[::0001]", "romeo@[::1]"),
        ("romeo@127.0.0.1", "romeo@127.0.0.1"),
        ("a@b/C d", "a@b/C d"),
        ("a@b/c\u{A0}d", "a@b/c d"),
        ("a@b/e\u{301}", "a@b/\u{E9}"),
        ("\u{3A3}@b", "\u{3C3}@b"),
        ("\u{130}@b", "i\u{307}@b"),
    ] {
        assert_eq!(jid(text).as_str(), prepared, "{text}");
    }
}

#[test]
fn r12_lookalikes_and_invisibles_are_refused_in_localparts() {
    for part in [
        "\u{17F}",    // long s: compatibility form of s
        "\u{212A}",   // Kelvin sign: K
        "a\u{200D}b", // zero width joiner without a virama before
        "\u{202E}a",  // right-to-left override
        "\u{200B}",
        "\u{AD}",
        "a b",
        " ",
        "\u{A0}",
        "\u{1F600}",
        "\u{FB01}",
        "\u{2160}",
        "a\u{7F}",
        "\t",
        "\0",
        "\u{5D0}a", // right-to-left and left-to-right mixed
        "\u{FF20}", // wide @
        "\u{FF0F}", // wide /
        "\u{FFFD}",
        "\u{378}",
        "\"",
        "&",
        "'",
        ":",
        "<",
        ">",
    ] {
        assert_eq!(
            prepare_localpart(part),
            Err(JidError::Localpart),
            "{part:?}"
        );
    }
}

#[test]
fn r12_lookalikes_and_invisibles_are_refused_or_mapped_in_domains() {
    for part in [
        "a b",
        "a_b\u{202E}c",
        "a\u{200D}b",
        "-a",
        "a-",
        "xn--",
        "xn--a",
        "xn--\u{FC}",
        "a@b",
        "a:b",
        "a<b",
        "[::1",
        "[::1].",
        "[127.0.0.1]",
        "[]",
        "[v1.a]",
        "\u{FFFD}",
        "a%b",
        "a\\b",
        "\u{2024}",
        "a\u{FF0F}b",
        "\u{AD}",
        "xn--example-.org",
    ] {
        assert!(
            prepare_domain(part).is_err(),
            "{part:?}: {:?}",
            prepare_domain(part)
        );
    }
    // UTS 46 maps these compatibility forms.
    assert_eq!(prepare_domain("\u{17F}.org").as_deref(), Ok("s.org"));
    assert_eq!(prepare_domain("\u{212A}.org").as_deref(), Ok("k.org"));
}

#[test]
fn r12_controls_and_unassigned_are_refused_in_resources() {
    for part in [
        "\0",
        "\t",
        "\u{7F}",
        "\u{200B}",
        "\u{202E}a",
        "\u{378}",
        "\u{FFFE}",
    ] {
        assert_eq!(prepare_resource(part), Err(JidError::Resource), "{part:?}");
    }
    assert_eq!(
        prepare_resource("\u{1F600} \u{17F}").as_deref(),
        Ok("\u{1F600} \u{17F}")
    );
}

#[test]
fn r12_parts_have_1023_bytes_at_most() {
    let (fits, is_long) = ("a".repeat(1023), "a".repeat(1024));
    let full = jid(&format!("{fits}@{fits}/{fits}"));
    assert_eq!(full.as_str().len(), 3 * 1023 + 2);
    assert_eq!(full.resource(), Some(&*fits));
    for text in [
        format!("{is_long}@b"),
        format!("a@{is_long}"),
        format!("a@b/{is_long}"),
    ] {
        assert_eq!(Jid::parse(&text), Err(JidError::TooLong));
    }
    // Counted in bytes, once prepared.
    assert_eq!(
        prepare_resource(&"\u{E9}".repeat(512)),
        Err(JidError::TooLong)
    );
    assert!(prepare_resource(&"e\u{301}".repeat(511)).is_ok());
    assert_eq!(Jid::parse(&"a".repeat(1 << 20)), Err(JidError::TooLong));
}

#[test]
fn accounts_are_found_by_their_text() {
    let accounts = HashMap::from([(BareJid::parse("a@b").expect("valid"), 1)]);
    assert_eq!(
        accounts.get(FullJid::parse("a@b/c").expect("valid").bare_str()),
        Some(&1)
    );
}

/// Text that is a valid part more often than not, with the odd characters of row R12.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9._-]{1,12}",
        "[a-zA-Z\u{DF}\u{E9}\u{130}\u{131}\u{17F}\u{212A}\u{3A3}\u{3C2}\u{1E9E}\u{FF21}\u{3002}\u{301}\u{307}]{1,8}",
        "\\PC{1,8}",
    ]
}

proptest! {
    #[test]
    fn preparing_twice_is_preparing_once(localpart in part(), domain in part(), resource in part()) {
        if let Ok(once) = prepare_localpart(&localpart) {
            prop_assert_eq!(prepare_localpart(&once), Ok(once.clone()));
        }
        if let Ok(once) = prepare_domain(&domain) {
            prop_assert_eq!(prepare_domain(&once), Ok(once.clone()));
        }
        if let Ok(once) = prepare_resource(&resource) {
            prop_assert_eq!(prepare_resource(&once), Ok(once.clone()));
        }
        if let Ok(jid) = Jid::parse(&format!("{localpart}@{domain}/{resource}")) {
            let again = Jid::parse(jid.as_str()).expect("prepared");
            prop_assert_eq!(again.localpart(), jid.localpart());
            prop_assert_eq!(again.domain(), jid.domain());
            prop_assert_eq!(again.resource(), jid.resource());
            prop_assert_eq!(again.as_str(), jid.as_str());
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        if let Ok(jid) = Jid::parse(&text) {
            prop_assert_eq!(Jid::parse(jid.as_str()), Ok(jid));
        }
    }
}
