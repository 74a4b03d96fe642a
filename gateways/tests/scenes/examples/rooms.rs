//! Rooms: XEP-0045 version 1.35.5, sections 6 to 10. The examples after those are of faults and
//! of the service's end (§11: `features/muc/leave/tests.rs`) and of links, which clients follow
//! (§16.6).
//!
//! Steps that set a scene, after which nobody has anything left to read: `anna makes coven as
//! firstwitch`, `bert enters coven as secondwitch`, `anna names bert admin in coven`, `anna
//! configures coven` with fields (`membersonly 1`) in the lines below. `nobody may make rooms`
//! is what the operator says before the server starts.

use super::{Elsewhere, Stage, Step, assert_complete, play, show};
use crate::server::Setup;

/// Where the rooms are.
const SERVICE: &str = "conference.klatsch.test";

fn address(room: &str) -> String {
    format!("{room}@{SERVICE}")
}

/// What a step says of the server, before it starts.
pub(super) fn set_up(setup: &mut Setup, step: &Step<'_>) {
    if (step.who, step.does) == ("nobody", "may make rooms") {
        setup.settings.rooms.restrict_creation = true;
    }
}

impl Stage {
    /// Does what only scripts about rooms say; `false`: it is something else.
    pub(super) async fn perform_in_rooms(&mut self, step: &Step<'_>) -> bool {
        let words: Vec<&str> = step.does.split(' ').collect();
        match words[..] {
            ["makes", room, "as", nick] => {
                self.enter(step.who, room, nick).await;
                self.configure(step.who, room, "").await;
            }
            ["enters", room, "as", nick] => self.enter(step.who, room, nick).await,
            ["configures", room] => self.configure(step.who, room, &step.xml).await,
            ["names", name, affiliation, "in", room] => {
                let item = format!("<item affiliation='{affiliation}' jid='{name}@klatsch.test'/>");
                self.set(step.who, room, "admin", &item).await;
            }
            ["receives", "more"] if step.who == "nobody" => self.assert_all_read().await,
            // Done before the server started.
            ["may", "make", "rooms"] if step.who == "nobody" => {}
            _ => return false,
        }
        true
    }

    async fn enter(&mut self, who: &str, room: &str, nick: &str) {
        self.rooms.insert(address(room));
        let client = &mut self.clients.get_mut(who).expect("somebody").client;
        let to = format!("{}/{nick}", address(room));
        let x = "<x xmlns='http://jabber.org/protocol/muc'/>";
        let presence = format!("<presence to='{to}'>{x}</presence>");
        client.send(&presence).await;
        // The subject comes last (§7.1).
        let is_subject = |it: &klatsch_protocol::xml::Fragment| {
            it.payloads().iter().any(|child| child.name() == "subject")
        };
        client.expect(is_subject).await;
        self.read_all().await;
    }

    async fn configure(&mut self, who: &str, room: &str, fields: &str) {
        let fields = fields.lines().filter_map(|line| line.split_once(' '));
        let field = |(name, value): (&str, &str)| {
            format!("<field var='muc#roomconfig_{name}'><value>{value}</value></field>")
        };
        let fields: String = fields.map(field).collect();
        let form = format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x>"
        );
        self.set(who, room, "owner", &form).await;
    }

    /// Asks a room for something that it must grant.
    async fn set(&mut self, who: &str, room: &str, namespace: &str, payload: &str) {
        let client = &mut self.clients.get_mut(who).expect("somebody").client;
        let query = format!(
            "<iq type='set' id='scenery' to='{}'>\
             <query xmlns='http://jabber.org/protocol/muc#{namespace}'>{payload}</query></iq>",
            address(room)
        );
        client.send(&query).await;
        let answer = client.expect(|it| it.attr("id") == Some("scenery")).await;
        assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
        self.read_all().await;
    }

    /// Everybody reads up to where every room answers them: it has said all before that.
    async fn read_up(&mut self) {
        for actor in self.clients.values_mut() {
            for room in &self.rooms {
                let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
                let query = format!("<iq type='get' id='quiet' to='{room}'>{query}</iq>");
                actor.client.send(&query).await;
                loop {
                    let next = actor.next().await;
                    if next.get("id") == Some("quiet") {
                        break;
                    }
                    assert!(next.name() != "end", "the stream has ended");
                    actor.waiting.push(next);
                }
            }
        }
    }

    async fn read_all(&mut self) {
        self.read_up().await;
        let actors = self.clients.values_mut();
        actors.for_each(|actor| actor.waiting.clear());
    }

    /// Whatever a room, or somebody by message, has said was asked for.
    async fn assert_all_read(&mut self) {
        self.read_up().await;
        for (who, actor) in &self.clients {
            let left = actor.waiting.iter().find(|it| {
                let from = it.get("from").unwrap_or_default();
                from.contains(SERVICE) || it.name() == "message"
            });
            assert!(
                left.is_none(),
                "{who} receives more: {}",
                left.map_or_else(String::new, show)
            );
        }
    }
}

scripts! {
    "xep-0045":
    admin
    availability
    ban
    change_nick
    configure
    conversion
    create
    create_refused
    destroy
    discover
    enter
    exit
    grant_voice
    history
    invite
    kick
    member
    member_list
    moderator
    owner
    register
    speak
    subject
    turned_away
    voice
    voice_list
}

/// A test that plays a script and wants it to fail with this.
macro_rules! fails {
    ($name:ident, $message:literal, $last:literal) => {
        #[tokio::test]
        #[should_panic(expected = $message)]
        async fn $name() {
            let start = "anna is online as a\nanna makes coven as one\n\
                         bert is online as b\nbert enters coven as two\n\
                         anna sends\n <message type='groupchat' id='1' \
                         to='coven@conference.klatsch.test'><body>Hi</body></message>\n";
            play(&format!("{start}{}", $last)).await;
        }
    };
}

fails!(
    what_comes_and_is_not_in_the_script_fails_it,
    "anna receives more: <message",
    "bert receives\n <message id='1'><body>Hi</body>...</message>\nnobody receives more"
);
fails!(
    what_one_of_many_does_not_ask_for_fails_a_script,
    "bert receives more: <message",
    "anna receives\n <message id='1'>...</message>\nnobody receives more"
);
fails!(
    something_else_than_what_is_next_fails_a_script,
    "not that, but <message",
    "bert receives next\n <message id='2'>...</message>"
);
fails!(
    another_answer_than_in_the_script_fails_it,
    "not that, but <iq",
    "anna sends\n <iq type='get' id='2' to='coven@conference.klatsch.test'><ping \
     xmlns='urn:xmpp:ping'/></iq>\nanna receives\n <iq type='error' id='2'>...</iq>"
);

const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere {
        examples: "34",
        why: "the log knows accounts, and §7.2.13 leaves it open to tell them (MAY)",
    },
    Elsewhere {
        examples: "53",
        why: "nicks are not locked down here",
    },
    Elsewhere {
        examples: "73",
        why: "registration is there in every room",
    },
    Elsewhere {
        examples: "86",
        why: "what a client shows to people",
    },
    Elsewhere {
        examples: "151",
        why: "who registers is registered, nobody has to approve of it (§9.9: MAY)",
    },
    Elsewhere {
        examples: "158",
        why: "every room can be configured",
    },
];

#[test]
fn every_example_of_sections_6_to_10_is_shown_or_has_a_reason() {
    assert_complete("XEP-0045", 1..=204, SCRIPTS, ELSEWHERE);
}
