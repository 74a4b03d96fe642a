//! Presence: of occupants, of contacts, and who may see whom.

use super::*;

fn presence(from: &str, show: &str) -> String {
    format!("<presence from='{from}'><show>{show}</show></presence>")
}

fn gone(from: &str) -> String {
    format!("<presence from='{from}' type='unavailable'/>")
}

#[test]
fn room_is_entered_when_the_own_presence_comes_and_its_state_follows() {
    let mut talk = Talk::begin();
    let asked = talk.hear(&format!(
        r#"["1","1","{ROOM}","phx_join",{{"nick":"Anna","history":5,"password":"secret"}}]"#
    ));
    let enter = asked.stanza("presence");
    assert_eq!(enter.attr("to"), Some("team@conference.x.test/Anna"));
    let x = enter
        .payloads()
        .element("x", "http://jabber.org/protocol/muc")
        .unwrap();
    assert_eq!(x.children().count(), 2);
    assert!(talk.get(&occupant("bert", "")).frames.is_empty());
    let heard = talk.get(&own_presence("Anna", ""));
    assert_eq!(heard.events(), ["phx_reply", "presence_state"]);
    assert_eq!(heard.frames[0][4]["response"]["nick"], "Anna");
    assert_eq!(heard.frames[1][0], "1");
    let state = heard.frames[1][4].as_object().unwrap();
    assert_eq!(Vec::from_iter(state.keys()), ["Anna", "bert"]);
    assert_eq!(state["bert"]["metas"][0]["role"], "participant");
}

#[test]
fn who_comes_and_goes_is_a_difference() {
    let mut talk = Talk::begin();
    talk.enter();
    let came = talk.get(&occupant("bert", ""));
    assert_eq!(came.events(), ["presence_diff"]);
    let reference = came.frames[0][4]["joins"]["bert"]["metas"][0]["phx_ref"].clone();
    let left = talk.get(&occupant("bert", "").replace("<presence", "<presence type='unavailable'"));
    let leaves = &left.frames[0][4]["leaves"]["bert"]["metas"][0];
    assert_eq!(leaves["phx_ref"], reference);
}

#[test]
fn room_that_was_made_by_entering_is_opened() {
    let mut talk = Talk::begin();
    talk.hear(&format!(r#"["1","1","{ROOM}","phx_join",{{}}]"#));
    let heard = talk.get(&own_presence("anna", "<status code='201'/>"));
    let form = heard.stanza("iq");
    assert!(
        form.payloads()
            .has("query", "http://jabber.org/protocol/muc#owner")
    );
}

#[test]
fn new_nick_of_the_client_is_not_an_end() {
    let mut talk = Talk::begin();
    talk.enter();
    let change = own_presence("anna", "<status code='303'/>")
        .replace("<presence", "<presence type='unavailable'")
        .replace("role='participant'", "role='participant' nick='Ann'");
    assert_eq!(talk.get(&change).events(), ["presence_diff"]);
    assert_eq!(
        talk.get(&own_presence("Ann", "")).events(),
        ["presence_diff"]
    );
    let heard = talk.hear(&format!(r#"["1","8","{ROOM}","phx_leave",{{}}]"#));
    let to = heard.stanza("presence").attr("to");
    assert_eq!(to, Some("team@conference.x.test/Ann"));
}

#[test]
fn looker_is_seen_but_gets_no_messages() {
    let mut talk = Talk::begin();
    let heard = talk.hear(r#"["1","1","presence:*","phx_join",{}]"#);
    assert!(heard.frames.is_empty());
    let priority = heard
        .stanza("presence")
        .payloads()
        .text_of("priority", "jabber:client");
    assert_eq!(priority.unwrap(), "-1");
}

#[test]
fn state_follows_the_answer_to_every_join() {
    let mut talk = Talk::begin();
    assert_eq!(
        talk.look_at("1", "*").events(),
        ["phx_reply", "presence_state"]
    );
    let again = talk.look_at("2", "*");
    assert_eq!(again.events(), ["phx_close", "phx_reply", "presence_state"]);
    assert_eq!(again.frames[2][0], "2");
}

#[test]
fn two_devices_are_two_metas_under_one_key_and_an_update_names_what_it_replaces() {
    let mut talk = Talk::begin();
    talk.look_at("1", "bert@x.test");
    let first = talk.get(&presence("bert@x.test/desk", "away"));
    let reference = first.frames[0][4]["joins"]["bert@x.test"]["metas"][0]["phx_ref"].clone();
    talk.get(&presence("bert@x.test/phone", "dnd"));
    let update = talk.get(&presence("bert@x.test/desk", "xa"));
    let difference = &update.frames[0][4];
    let new = &difference["joins"]["bert@x.test"]["metas"][0];
    assert_eq!(new["phx_ref_prev"], reference);
    assert_eq!(new["show"], "xa");
    assert_eq!(
        difference["leaves"]["bert@x.test"]["metas"][0]["phx_ref"],
        reference
    );
    let state = talk.look_at("2", "*");
    let metas = &state.frames[1][4]["bert@x.test"]["metas"];
    assert_eq!(metas.as_array().unwrap().len(), 2);
    let left = talk.get(&gone("bert@x.test/desk"));
    assert_eq!(left.frames.len(), 2, "both topics hear of it");
}

#[test]
fn groups_have_the_contacts_who_let_themselves_be_seen() {
    let mut talk = Talk::begin();
    talk.look_at("1", "work");
    assert_eq!(
        talk.get(&presence("bert@x.test/p", "away")).events(),
        ["presence_diff"]
    );
    for other in ["carl@x.test/p", "dora@x.test/p", "anna@x.test/phone"] {
        assert!(
            talk.get(&presence(other, "away")).frames.is_empty(),
            "{other}"
        );
    }
}

#[test]
fn who_lets_nobody_see_them_cannot_be_looked_at() {
    let mut talk = Talk::begin();
    for (reference, whom, status) in [
        ("1", "dora@x.test", "error"),
        ("2", "stranger@x.test", "error"),
        ("3", "anna@x.test", "ok"),
        ("4", "carl@x.test", "ok"),
    ] {
        let heard = talk.look_at(reference, whom);
        assert_eq!(heard.frames[0][4]["status"], status, "{whom}");
    }
}

#[test]
fn strangers_who_show_themselves_are_not_seen() {
    let mut talk = Talk::begin();
    talk.look_at("1", "*");
    assert!(
        talk.get(&presence("stranger@x.test/p", "chat"))
            .frames
            .is_empty()
    );
    assert!(talk.get(&presence("bert@x.test", "chat")).frames.is_empty());
}

fn roster_push(from: &str, item: &str) -> String {
    format!("<iq type='set' id='push-1'{from}><query xmlns='jabber:iq:roster'>{item}</query></iq>")
}

#[test]
fn contact_who_changes_groups_leaves_one_topic_and_joins_another() {
    let mut talk = Talk::begin();
    talk.look_at("1", "work");
    talk.look_at("2", "friends");
    talk.get(&presence("bert@x.test/p", "away"));
    let item = "<item jid='bert@x.test' subscription='both'><group>friends</group></item>";
    let heard = talk.get(&roster_push("", item));
    let topics: Vec<&Value> = heard.frames.iter().map(|it| &it[2]).collect();
    assert_eq!(topics, ["presence:work", "presence:friends"]);
    assert!(heard.frames[0][4]["leaves"].get("bert@x.test").is_some());
    assert!(heard.frames[1][4]["joins"].get("bert@x.test").is_some());
    assert_eq!(heard.stanza("iq").attr("type"), Some("result"));
}

#[test]
fn r04_roster_of_somebody_else_changes_nothing() {
    let mut talk = Talk::begin();
    talk.look_at("1", "*");
    let item = "<item jid='evil@x.test' subscription='both'/>";
    let heard = talk.get(&roster_push(" from='evil@x.test/p'", item));
    assert_eq!(heard.stanza("iq").attr("type"), Some("error"));
    assert!(
        talk.get(&presence("evil@x.test/p", "chat"))
            .frames
            .is_empty()
    );
}

#[test]
fn status_of_the_user_is_shown_and_nonsense_is_refused() {
    let mut talk = Talk::begin();
    talk.look_at("1", "*");
    let push = |fields: &str| format!(r#"["1","5","presence:*","status",{fields}]"#);
    let heard = talk.hear(&push(r#"{"show":"dnd","status":"in a meeting"}"#));
    let payloads = heard.stanza("presence").payloads().clone();
    assert_eq!(payloads.text_of("show", "jabber:client").unwrap(), "dnd");
    assert_eq!(heard.frames[0][4]["status"], "ok");
    for bad in [
        r#"{"show":"busy"}"#,
        r#"{"show":1}"#,
        r#"{"status":[]}"#,
        r#"{"status":"\u0000"}"#,
    ] {
        let heard = talk.hear(&push(bad));
        assert!(heard.stanzas.is_empty(), "{bad}");
        assert_eq!(heard.frames[0][4]["status"], "error", "{bad}");
    }
    assert_eq!(
        talk.hear(&push(r#"{"show":"online"}"#)).frames[0][4]["status"],
        "ok"
    );
}

#[test]
fn request_to_be_seen_is_told_to_the_user() {
    let mut talk = Talk::begin();
    talk.hear(r#"["2","2","user:anna@x.test","phx_join",{}]"#);
    let heard = talk.get("<presence from='bert@x.test' type='subscribe'/>");
    assert_eq!(heard.events(), ["request"]);
    let heard = talk.hear(r#"[null,"3","user:anna@x.test","approve",{"jid":"bert@x.test"}]"#);
    assert_eq!(heard.stanza("presence").attr("type"), Some("subscribed"));
}
