//! Topics of one node with clients that only listen.

use super::*;

const TOPIC: &str = "app:shop:door";
const LIMITS: Limits = Limits {
    topics_max: 2,
    subscribers_max: 3,
};

/// What a client has heard, as text.
#[derive(Default)]
struct Ear(Mutex<Vec<String>>);

impl Ear {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Ear {
    fn entered(&self, topic: &str, state: Option<CrowdState>) {
        let heard = format!("{topic} {}", state.is_some());
        self.0.lock().unwrap().push(heard);
    }

    fn said(&self, _topic: &str, frame: &Outgoing) {
        let (Outgoing::Text(bytes) | Outgoing::Binary(bytes)) = frame;
        let heard = String::from_utf8_lossy(bytes).into_owned();
        self.0.lock().unwrap().push(heard);
    }
}

struct Client<'a> {
    topics: &'a Topics,
    id: SubscriberId,
    jid: FullJid,
    ear: Arc<Ear>,
}

impl<'a> Client<'a> {
    fn new(topics: &'a Topics, resource: &str) -> Self {
        Self {
            topics,
            id: topics.next_id(),
            jid: FullJid::parse(&format!("anna@x.test/{resource}")).unwrap(),
            ear: Arc::default(),
        }
    }

    fn try_enter(&self, topic: &str, shown: Option<&str>) -> Result<(), AppRefusal> {
        let wish = Wish {
            shown: shown.map(Into::into),
            hears_itself: true,
        };
        let ear = Arc::clone(&self.ear) as Arc<dyn Subscriber>;
        self.topics
            .enter(topic, (self.id, &self.jid), ear, wish, LIMITS)
    }

    fn enter(&self, shown: Option<&str>) -> Vec<String> {
        self.try_enter(TOPIC, shown).unwrap();
        self.ear.take()
    }

    fn leave(&self) {
        self.topics.leave(TOPIC, (self.id, &self.jid));
    }
}

fn frame(text: &'static str) -> Outgoing {
    Outgoing::Text(text.as_bytes().into())
}

#[test]
fn everybody_on_a_topic_hears_the_same_bytes_and_nobody_else() {
    let topics = Topics::new(None);
    let [one, two, other] = ["a", "b", "c"].map(|it| Client::new(&topics, it));
    one.enter(None);
    two.enter(None);
    other.try_enter("app:shop:cellar", None).unwrap();
    other.ear.take();
    topics.say(TOPIC, one.id, &frame("hello"));
    for client in [&one, &two] {
        assert_eq!(client.ear.take(), ["hello"]);
    }
    assert!(other.ear.take().is_empty());
    two.leave();
    topics.say(TOPIC, one.id, &frame("gone?"));
    assert!(two.ear.take().is_empty());
    one.leave();
    assert_eq!(topics.count(), 1);
    assert!(topics.shelf(TOPIC).get(TOPIC).is_none());
}

#[test]
fn who_does_not_want_to_hears_nothing_of_what_it_says() {
    let topics = Topics::new(None);
    let client = Client::new(&topics, "a");
    let wish = Wish {
        shown: None,
        hears_itself: false,
    };
    let ear = Arc::clone(&client.ear) as Arc<dyn Subscriber>;
    let who = (client.id, &client.jid);
    topics.enter(TOPIC, who, ear, wish, LIMITS).unwrap();
    client.ear.take();
    topics.say(TOPIC, client.id, &frame("mine"));
    assert!(client.ear.take().is_empty());
    topics.said_elsewhere(TOPIC, &frame("theirs"));
    assert_eq!(client.ear.take(), ["theirs"]);
}

#[test]
fn who_enters_hears_the_state_then_of_itself_and_who_wants_no_presence_has_none() {
    let topics = Topics::new(None);
    let [one, hidden] = ["a", "b"].map(|it| Client::new(&topics, it));
    let heard = one.enter(Some(r#"{"n":1}"#));
    assert_eq!(heard[0], format!("{TOPIC} true"));
    assert!(heard[1].contains("presence_diff") && heard[1].contains(r#""n":1"#));
    assert_eq!(hidden.enter(None), [format!("{TOPIC} false")]);
    assert!(one.ear.take().is_empty());
    let who = (one.id, &one.jid);
    topics.show(TOPIC, who, r#"{"n":2}"#.into()).unwrap();
    let heard = one.ear.take();
    assert!(heard[0].contains("phx_ref_prev") && heard[0].contains(r#""n":2"#));
    let who = (hidden.id, &hidden.jid);
    let refused = topics.show(TOPIC, who, "{}".into());
    assert_eq!(refused, Err(AppRefusal::NotShown));
    assert!(hidden.ear.take().is_empty());
}

#[test]
fn connection_that_has_lost_its_name_takes_nobody_else_with_it() {
    let topics = Topics::new(None);
    let (first, second) = (Client::new(&topics, "a"), Client::new(&topics, "a"));
    first.enter(Some(r#"{"n":1}"#));
    second.enter(Some(r#"{"n":2}"#));
    second.ear.take();
    first.leave();
    assert!(second.ear.take().is_empty());
    second.leave();
    assert_eq!(topics.count(), 0);
}

#[test]
fn device_that_has_moved_is_shown_by_its_new_node_whatever_is_heard_first() {
    let topics = Topics::new(None);
    let [looker, mover] = ["looker", "mover"].map(|it| Client::new(&topics, it));
    looker.enter(Some("{}"));
    mover.enter(Some(r#"{"n":1}"#));
    looker.ear.take();
    let there = Shown {
        fields: r#"{"n":2}"#.into(),
        version: u64::MAX - 1,
        before: None,
    };
    topics.shown_elsewhere(TOPIC, &mover.jid, Some(there));
    assert!(looker.ear.take()[0].contains(r#""n":2"#));
    mover.leave();
    assert!(looker.ear.take().is_empty());
    topics.shown_elsewhere(TOPIC, &mover.jid, None);
    assert!(looker.ear.take()[0].contains(r#""joins":{}"#));
}

#[test]
fn full_node_and_full_topic_say_so() {
    let topics = Topics::new(None);
    let clients: Vec<Client> = (0..5)
        .map(|it| Client::new(&topics, &format!("{it}")))
        .collect();
    for client in &clients[..3] {
        client.enter(None);
    }
    let [.., late, last] = &*clients else {
        panic!("five");
    };
    assert_eq!(late.try_enter(TOPIC, None), Err(AppRefusal::Subscribers));
    assert_eq!(late.try_enter("app:shop:2", None), Ok(()));
    assert_eq!(last.try_enter("app:shop:3", None), Err(AppRefusal::Topics));
    clients[0].leave();
    assert_eq!(last.try_enter(TOPIC, None), Ok(()));
}

#[test]
fn r14_topics_of_organisations_are_not_the_same_topic_and_are_called_the_same() {
    let topics = Topics::new(None);
    let clients = [Some("one"), Some("two")].map(|organisation| {
        let client = Client::new(&topics, "desk");
        client.try_enter(&key(organisation, TOPIC), None).unwrap();
        assert_eq!(client.ear.take(), [format!("{TOPIC} false")]);
        client
    });
    let frame = Outgoing::Text(b"hi".to_vec().into());
    topics.say(&key(Some("one"), TOPIC), clients[0].id, &frame);
    assert_eq!(clients[0].ear.take(), ["hi"]);
    assert_eq!(clients[1].ear.take(), [""; 0]);
    // Nobody gets there by a name of their own.
    assert_eq!(
        name_of("app:shop:one\napp:shop:door"),
        "app:shop:one\napp:shop:door"
    );
}
