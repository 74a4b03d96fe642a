//! Topics of an integrator's own.

use serde_json::json;

use super::*;
use crate::channels::{AppRefusal, Crowd, Origin};

const TOPIC: &str = "app:shop:door";

fn frame_of(errand: &Errand) -> (Origin, Outgoing) {
    match errand {
        Errand::Publish(origin, frame) => (origin.clone(), frame.clone()),
        other => panic!("{other:?}"),
    }
}

fn response(heard: &Heard) -> (&str, &Value) {
    let [frame] = &*heard.frames else {
        panic!("one answer: {heard:?}");
    };
    assert_eq!(frame[3], "phx_reply");
    (frame[4]["status"].as_str().unwrap(), &frame[4]["response"])
}

impl Talk {
    fn try_join(&mut self, topic: &str, params: Value) -> Heard {
        self.hear(&json!(["1", "1", topic, "phx_join", params]).to_string())
    }

    fn is_refused(&mut self, topic: &str, params: Value, why: &str) {
        let heard = self.try_join(topic, params);
        assert!(heard.errands.is_empty(), "{heard:?}");
        assert_eq!(
            response(&heard),
            ("error", &json!({"reason": why})),
            "{topic}"
        );
    }

    fn is_on_topic(&mut self, topic: &str, params: Value) -> Heard {
        let heard = self.try_join(topic, params);
        assert!(
            matches!(&*heard.errands, [Errand::Enter { .. }]),
            "{heard:?}"
        );
        assert!(
            heard.frames.is_empty(),
            "not before it is known who else is there"
        );
        let state = Crowd::new(topic).state();
        Heard::of(self.0.entered(topic, Ok(Some(state))))
    }

    fn push(&mut self, event: &str, payload: Value) -> Heard {
        self.hear(&json!(["1", "2", TOPIC, event, payload]).to_string())
    }
}

#[test]
fn app_is_joined_and_its_state_comes_behind_the_answer() {
    let mut talk = Talk::begin();
    let heard = talk.is_on_topic(TOPIC, json!({}));
    assert_eq!(heard.events(), ["phx_reply", "presence_state"]);
    assert_eq!(
        heard.frames[0][4]["response"],
        json!({"jid": ME, "push": true})
    );
    assert_eq!(heard.frames[1][0], "1");
    assert!(talk.0.is_on(TOPIC));
}

#[test]
fn who_is_shown_says_what_and_the_server_says_which_device() {
    let mut talk = Talk::begin();
    let meta = json!({"colour": "red", "resource": "other", "phx_ref": "x"});
    let heard = talk.try_join(TOPIC, json!({"meta": meta, "self": false}));
    let [
        Errand::Enter {
            shown: Some(shown),
            hears_itself: false,
            ..
        },
    ] = &*heard.errands
    else {
        panic!("{heard:?}");
    };
    let shown: Value = serde_json::from_str(shown).unwrap();
    assert_eq!(shown, json!({"colour": "red", "resource": "web"}));
    let mut hidden = Talk::begin();
    let heard = hidden.try_join(TOPIC, json!({"presence": false}));
    assert!(matches!(
        &*heard.errands,
        [Errand::Enter { shown: None, .. }]
    ));
    Heard::of(hidden.0.entered(TOPIC, Ok(None)));
    let refused = hidden.push("presence", json!({}));
    assert_eq!(response(&refused).1["reason"], "not shown");
}

#[test]
fn push_is_written_once_for_all_and_answered_when_it_is_out() {
    let mut talk = Talk::begin();
    talk.is_on_topic(TOPIC, json!({}));
    // Nothing of it becomes XML, so it may have what XML cannot.
    let heard = talk.push("moved", json!([1, "\u{1}"]));
    let (origin, frame) = frame_of(&heard.errands[0]);
    let Outgoing::Text(text) = frame else {
        panic!("JSON stays JSON");
    };
    let wanted = json!([null, null, TOPIC, "moved", [1, "\u{1}"]]);
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), wanted);
    let done = Heard::of(talk.0.app_done(&origin, Ok(())));
    assert_eq!(response(&done), ("ok", &json!({})));
    let slow = Heard::of(talk.0.app_done(&origin, Err(AppRefusal::Pace)));
    assert_eq!(
        response(&slow),
        ("error", &json!({"reason": "too many pushes"}))
    );
}

#[test]
fn bytes_are_passed_on_as_bytes() {
    let mut talk = Talk::begin();
    talk.is_on_topic(TOPIC, json!({}));
    let heard = talk.hear_binary(b"\x00\x01\x01\x0d\x0412app:shop:doordraw\x00\xff");
    let (_, frame) = frame_of(&heard.errands[0]);
    let wanted = b"\x02\x0d\x04app:shop:doordraw\x00\xff";
    assert_eq!(frame, Outgoing::Binary(Bytes::from_static(wanted)));
    let presence = talk.hear_binary(b"\x00\x01\x01\x0d\x0812app:shop:doorpresence\x01");
    assert_eq!(response(&presence).1["reason"], "meta is no object");
}

#[test]
fn who_may_not_is_told_so() {
    let mut talk = Talk::begin();
    talk.is_refused("app:board:x", json!({}), "unauthorized");
    for topic in [
        "app:",
        "app:shop",
        "app:shop:",
        "app::x",
        "app:Shop:x",
        "app:shop:\u{7}",
    ] {
        talk.is_refused(topic, json!({}), "not a topic of an app");
    }
    talk.is_refused(
        &format!("app:shop:{}", "x".repeat(300)),
        json!({}),
        "topic too long",
    );
    talk.is_on_topic("app:news:today", json!({}));
    let heard = talk.hear(r#"["1","2","app:news:today","say",{}]"#);
    assert_eq!(
        response(&heard),
        ("error", &json!({"reason": "unauthorized"}))
    );
}

#[test]
fn token_for_an_app_is_for_nothing_else() {
    let apps = vec!["board".parse().unwrap()];
    let mut talk = Talk::with(10, Grant::of(apps));
    for topic in [
        ROOM,
        "user:anna@x.test",
        "presence:*",
        TOPIC,
        "app:news:today",
    ] {
        let heard = talk.try_join(topic, json!({}));
        assert_eq!(
            response(&heard),
            ("error", &json!({"reason": "unauthorized"}))
        );
        assert!(heard.stanzas.is_empty());
    }
    talk.is_on_topic("app:board:x", json!({}));
}

#[test]
fn bounds_have_names() {
    let mut talk = Talk::begin();
    talk.is_refused(
        TOPIC,
        json!({"meta": {"a": "x".repeat(2_000)}}),
        "meta too large",
    );
    talk.is_refused(TOPIC, json!({"meta": []}), "meta is no object");
    talk.is_refused(TOPIC, json!({"presence": 1}), "presence is true or false");
    talk.try_join(TOPIC, json!({}));
    let full = Heard::of(talk.0.entered(TOPIC, Err(AppRefusal::Subscribers)));
    assert_eq!(
        response(&full),
        ("error", &json!({"reason": "too many subscribers"}))
    );
    assert!(!talk.0.is_on(TOPIC));
    talk.is_on_topic(TOPIC, json!({}));
    for event in ["phx_error", "presence_diff", ""] {
        let heard = talk.push(event, json!({}));
        assert_eq!(response(&heard).1["reason"], "unknown event", "{event}");
    }
    let large = talk.push("say", json!("x".repeat(1_050)));
    assert_eq!(response(&large).1["reason"], "payload too large");
    assert_eq!(talk.push("say", json!("x".repeat(900))).errands.len(), 1);
}

#[test]
fn leave_and_join_again_leave_the_first_life_behind() {
    let mut talk = Talk::begin();
    talk.is_on_topic(TOPIC, json!({}));
    let again = talk.try_join(TOPIC, json!({}));
    assert!(matches!(
        &*again.errands,
        [Errand::Leave(_), Errand::Enter { .. }]
    ));
    assert_eq!(again.events(), ["phx_close"]);
    Heard::of(talk.0.entered(TOPIC, Ok(None)));
    let left = talk.hear(&format!(r#"["1","3","{TOPIC}","phx_leave",{{}}]"#));
    assert_eq!(left.events(), ["phx_reply", "phx_close"]);
    assert!(matches!(&*left.errands, [Errand::Leave(_)]));
    let late = talk.0.entered(TOPIC, Ok(None));
    assert!(late.is_empty());
}
