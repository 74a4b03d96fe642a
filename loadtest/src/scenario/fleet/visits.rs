//! The rooms of one client: which it is in, which it still wants to enter, and what it has to
//! say again there (XEP-0045 version 1.35.5, §7.2).

use std::collections::VecDeque;
use std::time::Duration;

use klatsch_protocol::xml::Fragment;
use tokio::time::Instant;

use super::circle::Circle;
use super::sender::Pending;
use crate::client::archive::STANZA_IDS;

/// Multi-user chat.
const NS: &str = "http://jabber.org/protocol/muc";

/// What occupants are told about each other.
const NS_USER: &str = "http://jabber.org/protocol/muc#user";

/// A room that does not let somebody in is asked again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// One that does not answer, after this: a fault may have eaten the question.
const SILENT: Duration = Duration::from_secs(5);

/// How a client stands to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is asked (again) at this time.
    Outside(Instant),
    /// Every occupant's presence has come.
    Inside,
}

/// One room of a client.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) room: u32,
    /// Which of the client's visits this is.
    pub(super) number: u32,
    state: State,
    /// What is to be said again before anything new.
    pub(super) backlog: VecDeque<Pending>,
}

/// What a room's presence means for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It is inside; and it has just made the room.
    Entered { is_new: bool },
    /// It is not inside any more.
    Left,
    /// Somebody else came or went, or nothing changed.
    Others,
}

/// All rooms of a client.
#[derive(Debug)]
pub(super) struct Visits(pub(super) Vec<Visit>);

impl Visits {
    /// None entered yet.
    pub(super) fn new(rooms: Vec<u32>) -> Self {
        let visit = |room| Visit {
            room,
            number: 0,
            state: State::Outside(Instant::now()),
            backlog: VecDeque::new(),
        };
        Self(rooms.into_iter().map(visit).collect())
    }

    /// A new session is in no room.
    pub(super) fn leave_all(&mut self) {
        for visit in &mut self.0 {
            visit.state = State::Outside(Instant::now());
        }
    }

    /// The rooms to ask now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        for visit in &mut self.0 {
            if matches!(visit.state, State::Outside(at) if at <= now) {
                visit.state = State::Outside(now + SILENT);
                due.push(visit.room);
            }
        }
        due
    }

    /// The rooms it is in.
    pub(super) fn inside(&self) -> impl Iterator<Item = u32> {
        let inside = self.0.iter().filter(|visit| visit.is_inside());
        inside.map(|visit| visit.room)
    }

    /// A room, if the client has it.
    pub(super) fn get(&mut self, room: u32) -> Option<&mut Visit> {
        self.0.iter_mut().find(|visit| visit.room == room)
    }
}

impl Visit {
    pub(super) fn is_inside(&self) -> bool {
        self.state == State::Inside
    }

    /// Takes a presence of the room in.
    pub(super) fn take(&mut self, presence: &Fragment) -> News {
        // §7.2.2: one's own comes behind all others', with this status.
        let is_own = has_status(presence, "110");
        match presence.attr("type") {
            Some("error") if !self.is_inside() => {
                self.state = State::Outside(Instant::now() + AGAIN);
                News::Others
            }
            None if is_own && !self.is_inside() => {
                self.state = State::Inside;
                self.number += 1;
                News::Entered {
                    is_new: has_status(presence, "201"),
                }
            }
            Some("unavailable") if is_own && self.is_inside() => {
                self.state = State::Outside(Instant::now() + AGAIN);
                News::Left
            }
            _ => News::Others,
        }
    }
}

/// Asks to be let in, without what was said before: that is read from the log.
pub(super) fn enter(circle: &Circle, room: u32, me: u32) -> String {
    let to = format!("{}/{}", circle.address(room), Circle::nick(me));
    format!("<presence to='{to}'><x xmlns='{NS}'><history maxstanzas='0'/></x></presence>")
}

/// Makes a new room one that outlives its occupants (§10.1.3): its log is read when all have left.
pub(super) fn configure(circle: &Circle, room: u32) -> String {
    let to = circle.address(room);
    format!(
        "<iq type='set' id='make-{room}' to='{to}'><query xmlns='{NS}#owner'>\
         <x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>{NS}#roomconfig</value></field>\
         <field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>"
    )
}

/// Something said in a room: one id as stanza id, as origin id and in the body.
pub(super) fn said(to: &str, kind: &str, id: &str) -> String {
    format!(
        "<message to='{to}' type='{kind}' id='{id}'><body>{id} {:x<150}</body>\
         <origin-id xmlns='{STANZA_IDS}' id='{id}'/></message>",
        ""
    )
}

fn has_status(presence: &Fragment, code: &str) -> bool {
    let told = presence.payloads().element("x", NS_USER);
    told.is_some_and(|told| {
        let mut children = told.children();
        children.any(|child| child.is("status", NS_USER) && child.get("code") == Some(code))
    })
}
