//! Conversations of a client with a connection, and of the connection with its session.

mod apps;
mod conversations;
mod crashes;
mod machine;
mod whereabouts;

use bytes::Bytes;
use serde_json::Value;

use super::app::Errand;
use super::grant::{AppRule, Grant};
use super::socket::{Action, Outgoing, Settings, Socket};
use crate::jid::FullJid;
use crate::stanza::Stanza;
use crate::xml::{Element, Fragment};

const ME: &str = "anna@x.test/web";
const ROOM: &str = "room:team@conference.x.test";

/// What one step has led to.
#[derive(Debug, Default)]
struct Heard {
    frames: Vec<Value>,
    stanzas: Vec<Fragment>,
    errands: Vec<Errand>,
}

impl Heard {
    fn of(actions: Vec<Action>) -> Self {
        let mut heard = Self::default();
        for action in actions {
            match action {
                Action::Send(Outgoing::Text(text)) => {
                    heard.frames.push(serde_json::from_slice(&text).unwrap());
                }
                Action::Send(Outgoing::Binary(_)) => panic!("nothing binary is sent"),
                Action::App(errand) => heard.errands.push(errand),
                Action::Stanza(fragment) => heard.stanzas.push(fragment),
            }
        }
        heard
    }

    /// The frames as they are on the wire.
    fn lines(&self) -> Vec<String> {
        self.frames.iter().map(Value::to_string).collect()
    }

    /// The only stanza of this name.
    fn stanza(&self, name: &str) -> &Fragment {
        let mut found = self.stanzas.iter().filter(|it| it.name() == name);
        let stanza = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert!(found.next().is_none(), "more than one {name}");
        stanza
    }

    fn events(&self) -> Vec<&str> {
        self.frames.iter().filter_map(|it| it[3].as_str()).collect()
    }
}

struct Talk(Socket);

impl Talk {
    fn begin() -> Self {
        Self::with_channels_max(10)
    }

    fn with_channels_max(channels_max: usize) -> Self {
        Self::with(channels_max, Grant::Account)
    }

    fn with(channels_max: usize, grant: Grant) -> Self {
        let apps = ["shop", "news:listen"].map(|it| it.parse::<AppRule>().unwrap());
        let settings = Settings {
            apps: apps.into(),
            app_payload_bytes_max: 1_000,
            channels_max,
            room_hosts: vec!["conference.x.test".into()],
            stanza_bytes_max: 64 * 1024,
        };
        let me = FullJid::parse(ME).unwrap();
        let mut talk = Self(Socket::new(me, settings.into(), grant, 7));
        assert_eq!(talk.0.begin().len(), 1);
        talk.nonza("<enabled xmlns='urn:xmpp:sm:3'/>");
        talk
    }

    fn hear(&mut self, text: &str) -> Heard {
        Heard::of(self.0.hear_text(text))
    }

    fn hear_binary(&mut self, bytes: &'static [u8]) -> Heard {
        Heard::of(self.0.hear_binary(&Bytes::from_static(bytes)))
    }

    fn get(&mut self, stanza: &str) -> Heard {
        Heard::of(
            self.0
                .take_stanza(&Stanza::parse(stanza.as_bytes()).unwrap()),
        )
    }

    fn nonza(&mut self, element: &str) -> Heard {
        let element = Element::parse(element.as_bytes()).unwrap();
        Heard::of(self.0.take_nonza(&element))
    }

    /// Joins the room and is let in.
    fn enter(&mut self) -> Heard {
        self.hear(&format!(r#"["1","1","{ROOM}","phx_join",{{}}]"#));
        self.get(&own_presence("anna", ""))
    }

    /// Joins a topic of presence, as somebody whose roster has two.
    fn look_at(&mut self, reference: &str, topic: &str) -> Heard {
        let asked = self.hear(&format!(
            r#"["{reference}","{reference}","presence:{topic}","phx_join",{{}}]"#
        ));
        let Some(roster) = asked
            .stanzas
            .iter()
            .find(|it| it.attr("type") == Some("get"))
        else {
            return asked;
        };
        let id = roster.attr("id").unwrap().to_owned();
        self.get(&format!(
            "<iq type='result' id='{id}'><query xmlns='jabber:iq:roster'>\
             <item jid='bert@x.test' subscription='both'><group>work</group></item>\
             <item jid='carl@x.test' subscription='to'/>\
             <item jid='dora@x.test' subscription='from'><group>work</group></item>\
             </query></iq>"
        ))
    }
}

/// The client's own presence in the room.
fn own_presence(nick: &str, more: &str) -> String {
    occupant(nick, &format!("<status code='110'/>{more}"))
}

fn occupant(nick: &str, more: &str) -> String {
    format!(
        "<presence from='team@conference.x.test/{nick}'>\
         <x xmlns='http://jabber.org/protocol/muc#user'>\
         <item affiliation='member' role='participant'/>{more}</x></presence>"
    )
}
