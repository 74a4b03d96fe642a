//! Hashes, and who is believed.

use super::*;
use crate::testkit::{self, Given, facts};

/// The example of §5.2.
const EXODUS: &str = "<query xmlns='http://jabber.org/protocol/disco#info'>\
    <identity category='client' name='Exodus 0.9.1' type='pc'/>\
    <feature var='http://jabber.org/protocol/caps'/>\
    <feature var='http://jabber.org/protocol/disco#info'/>\
    <feature var='http://jabber.org/protocol/disco#items'/>\
    <feature var='http://jabber.org/protocol/muc'/></query>";
const EXODUS_HASH: &str = "QgayPKawpkPSDYmwT/WM94uAlu0=";

fn key(ver: &str) -> Key {
    Key {
        algorithm: "sha-1".into(),
        ver: ver.into(),
    }
}

fn verified(description: &str, ver: &str) -> Option<Capabilities> {
    Capabilities::verified(&testkit::element(description), &key(ver))
}

#[test]
fn the_example_of_section_five_two_has_its_hash() {
    let known = verified(EXODUS, EXODUS_HASH).expect("it is the hash");
    assert!(known.has("http://jabber.org/protocol/muc"));
}

#[test]
fn the_example_of_section_five_three_has_its_hash() {
    let psi = "<query xmlns='http://jabber.org/protocol/disco#info'>\
        <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
        <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>\
        <feature var='http://jabber.org/protocol/caps'/>\
        <feature var='http://jabber.org/protocol/disco#info'/>\
        <feature var='http://jabber.org/protocol/disco#items'/>\
        <feature var='http://jabber.org/protocol/muc'/>\
        <x xmlns='jabber:x:data' type='result'>\
        <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
        <field var='ip_version'><value>ipv4</value><value>ipv6</value></field>\
        <field var='os'><value>Mac</value></field>\
        <field var='os_version'><value>10.5.1</value></field>\
        <field var='software'><value>Psi</value></field>\
        <field var='software_version'><value>0.11</value></field></x></query>";
    assert!(verified(psi, "q07IKJEyjvHSyhy//CH0CxmKi8w=").is_some());
}

#[test]
fn a_feature_that_begins_another_comes_first() {
    let query = "<query xmlns='http://jabber.org/protocol/disco#info'>\
        <feature var='a+notify'/><feature var='a'/></query>";
    assert_eq!(
        canonical(&testkit::element(query)).as_deref(),
        Some("a<a+notify<")
    );
}

#[test]
fn r11_a_hash_that_is_not_that_of_the_answer_teaches_nothing() {
    let other = EXODUS.replace("Exodus", "Exodos");
    assert_eq!(verified(&other, EXODUS_HASH), None);
    assert_eq!(
        Capabilities::verified(
            &testkit::element(EXODUS),
            &Key {
                algorithm: "md5".into(),
                ver: EXODUS_HASH.into(),
            }
        ),
        None
    );
}

#[test]
fn r11_one_text_cannot_stand_for_two_descriptions() {
    let forged = "<query xmlns='http://jabber.org/protocol/disco#info'>\
        <identity category='client' name='Exodus 0.9.1&lt;http://jabber.org/protocol/caps' type='pc'/>\
        <feature var='http://jabber.org/protocol/disco#info'/>\
        <feature var='http://jabber.org/protocol/disco#items'/>\
        <feature var='http://jabber.org/protocol/muc'/></query>";
    assert_eq!(verified(forged, EXODUS_HASH), None);
    let twice = EXODUS.replace(
        "</query>",
        "<feature var='http://jabber.org/protocol/muc'/></query>",
    );
    assert_eq!(canonical(&testkit::element(&twice)), None);
}

fn presence() -> String {
    format!(
        "<presence><c xmlns='{NS}' hash='sha-1' node='urn:exodus' ver='{EXODUS_HASH}'/></presence>"
    )
}

fn asked(id: &str) -> Given {
    let mut given = facts().with_presence(&presence());
    given.session.capabilities_asked = Some(id.into());
    given
}

#[test]
fn an_unknown_hash_is_asked_for_once() {
    let effects = facts().sends(&presence());
    let asks = |effects: &[Effect]| {
        effects
            .iter()
            .filter(|it| matches!(it, Effect::Reply(Stanza::Iq(iq)) if iq.kind == IqKind::Get))
            .count()
    };
    assert_eq!(asks(&effects), 1, "{effects:?}");
    let again = facts().with_presence(&presence()).sends(&presence());
    assert_eq!(asks(&again), 0, "{again:?}");
}

#[test]
fn r11_only_the_answer_that_was_asked_for_is_learned_from() {
    let answer = |id: &str| format!("<iq type='result' id='{id}' to='example.org'>{EXODUS}</iq>");
    let learns = |effects: &[Effect]| effects.iter().any(|it| matches!(it, Effect::Learn(..)));
    assert!(learns(&asked("caps-1").sends(&answer("caps-1"))));
    assert!(!learns(&asked("caps-1").sends(&answer("caps-2"))));
    assert!(!learns(
        &facts().with_presence(&presence()).sends(&answer("caps-1"))
    ));
}
