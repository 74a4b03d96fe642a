//! Who is inside as others say: sessions after a failure of the room, other nodes, and whoever was
//! in another half of the room behind a cut.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::features::muc::nick::Nick;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Stanza;
use tokio::time::sleep;

use super::{Live, Received, RoomMsg, Stage, Word, keep};
use crate::absence::SHOWN_BY;
use crate::claims;
use crate::mail::RoomMail;
use crate::world::World;

/// When another half of the room is told whom this one has taken for gone: by the last time all
/// nodes know of each other.
const SAID_AGAIN_AFTER: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(4),
];

/// Whoever came in before a room moved, and so shortly before, may not have been shown to all:
/// more than a node takes to be given up, and than clocks are apart.
const UNSEEN_MAX: Duration = Duration::from_secs(60);

impl Live {
    /// A session that was inside before the room failed is inside; where there are other nodes, one
    /// may have come to this one from behind a cut.
    pub(super) fn rejoin(&mut self, session: FullJid, occupancy: Box<Occupancy>) {
        let has_others = self.world.directory.replica().is_some();
        match self.stage {
            Stage::Loading => self.rejoining.push((session, occupancy)),
            Stage::Here(_) if has_others => self.hear_of(session, occupancy, Word::Said),
            Stage::Here(_) => self.take_back(&session, &occupancy),
            // A new room that waited for its owner's form is remembered nowhere.
            Stage::Absent => self.tell(&[session], RoomMail::Remember(self.jid.clone(), None)),
            Stage::Unread => {}
        }
    }

    pub(super) fn take_back(&mut self, session: &FullJid, occupancy: &Occupancy) {
        let is_inside = |room: &Room| room.occupants().of_session(session).is_some();
        if !self.is_rejoining || self.room().is_none_or(is_inside) {
            return;
        }
        let effects = self.with_room(|room, facts| room.rejoin(session, occupancy, false, facts));
        self.plan(effects, false, None);
        self.drive();
    }

    pub(super) fn call_roll(&mut self) {
        let directory = &self.world.directory;
        let is_nowhere = |jid: &&FullJid| {
            let is_ours = self.world.host.serves(jid.domain());
            is_ours && directory.place(jid).is_none()
        };
        let occupants = self.room().map(Room::occupants);
        let sessions = occupants.into_iter().flat_map(|it| it.iter());
        let sessions = sessions.flat_map(|occupant| occupant.jids());
        let gone: Vec<FullJid> = sessions.filter(is_nowhere).cloned().collect();
        gone.into_iter()
            .for_each(|it| self.receive(Received::Gone(it)));
    }

    /// A session has gone on on another node, or is back: that node shows it as an occupant.
    pub(super) fn is_elsewhere(&self, session: &FullJid) -> bool {
        let directory = &self.world.directory;
        let replica = directory.replica();
        replica.is_some_and(|it| it.is_inside(&self.jid, session))
            && directory.place(session).is_some()
    }

    /// Whether somebody else may be inside whom this half of the room does not know: on a node that
    /// cannot be reached or was cut off until a moment ago, or shown by any.
    pub(super) fn may_be_inhabited(&self, leaver: Option<&FullJid>) -> bool {
        let (Some(peers), Some(replica)) =
            (self.world.directory.peers(), self.world.directory.replica())
        else {
            return false;
        };
        let is_inside = |(session, occupancy): &(FullJid, Occupancy)| {
            let is_late = self.departed.is_late(session, occupancy);
            leaver != Some(session) && !is_late && self.is_elsewhere(session)
        };
        let is_cut_off = peers.members().misses_somebody() || peers.were_cut_lately();
        is_cut_off || replica.insiders(&self.jid).iter().any(is_inside)
    }

    /// Another node shows a session as an occupant: in its turn, for one that has gone from a
    /// node may be on another by now.
    pub(super) fn hear_of(&mut self, session: FullJid, occupancy: Box<Occupancy>, word: Word) {
        match self.stage {
            Stage::Loading => self.rejoining.push((session, occupancy)),
            _ => self.receive(Received::Merge(session, occupancy, word)),
        }
    }

    /// A session that another node shows as an occupant is one. That is news when the room was
    /// in two halves: then it hears who else is there, and they of it.
    pub(super) fn merge(&mut self, session: &FullJid, occupancy: &Occupancy, word: Word) {
        let is_inside = |room: &Room| room.occupants().of_session(session).is_some();
        if word == Word::Conflict && self.room().is_some_and(is_inside) {
            self.hear_of_stranger(session);
        }
        // Whoever was cut off has not left.
        let is_late = word != Word::Back && self.departed.is_late(session, occupancy);
        if is_late || self.room().is_none_or(is_inside) {
            return;
        }
        let is_news = !self.is_rejoining;
        let effects = self.with_room(|room, facts| room.rejoin(session, occupancy, is_news, facts));
        self.plan(effects, false, None);
    }

    /// Another node has a session of this name, which may have begun anew in another half of the
    /// room. Until that node shows where it is, what it is shown goes where it was.
    fn hear_of_stranger(&self, session: &FullJid) {
        let peers = self.world.directory.peers();
        if peers.is_some_and(|peers| peers.were_cut_lately()) {
            let session = session.clone();
            self.me
                .send_after(SHOWN_BY, || RoomMsg::ShowAll(vec![session]));
        }
    }

    /// These may have seen another half of the room alone.
    pub(super) fn show_all(&mut self, sessions: Vec<FullJid>) {
        let occupants = self.room().map(Room::occupants);
        let nicks = occupants.into_iter().flat_map(|it| it.iter());
        let nicks = nicks.map(|occupant| occupant.nick.clone()).collect();
        self.receive(Received::ShowAgain(sessions, nicks));
    }

    /// The nick of whoever enters where they are already, around a cut: they may have left in
    /// another half, of which this one has not heard.
    pub(super) fn enters_again(&self, stanza: &Stanza) -> Option<Nick> {
        let again = self.room()?.enters_again(stanza)?;
        claims::are_around_cut(&self.world).then_some(again)
    }

    /// All others see such a one come, whatever they have been told by another half.
    pub(super) fn show_all_of(&mut self, again: Option<Nick>) {
        if let (Some(nick), Some(room)) = (again, self.room()) {
            let everybody: Vec<FullJid> = keep::everybody(room);
            self.show_again(&everybody, &[nick]);
        }
    }

    /// The room has moved, or was started again: who came in a moment before may not have been
    /// shown to everybody.
    pub(super) fn show_latest(&mut self) {
        let (Some(room), Some(_)) = (self.room(), self.world.directory.peers()) else {
            return;
        };
        let since = self.world.now();
        let lately = |nick: &Nick| {
            let joined = room.joined(nick);
            joined.is_some_and(|joined| joined.plus(UNSEEN_MAX) > since)
        };
        let occupants = room.occupants().iter();
        let nicks: Vec<Nick> = occupants.map(|it| it.nick.clone()).filter(lately).collect();
        if nicks.is_empty() {
            return;
        }
        let sessions: Vec<FullJid> = keep::everybody(room);
        for session in sessions {
            let effects = self.with_room(|room, _| room.show_again(&session, &nicks));
            self.plan(effects, false, None);
        }
        self.drive();
    }

    pub(super) fn show_again(&mut self, sessions: &[FullJid], nicks: &[Nick]) {
        for session in sessions {
            let effects = self.with_room(|room, _| room.show_again(session, nicks));
            self.plan(effects, false, None);
        }
    }

    /// The room goes to its home. When two nodes did not hear each other and both had it, this
    /// half took whoever was beyond the cut for gone, and has told so also those whose node
    /// heard both, and those whose clients have crossed the cut since. The other half knows whom
    /// it has.
    pub(super) fn take_back_farewells(&self) {
        let nicks = self.lately.gone();
        if let (Some(room), false) = (self.room(), nicks.is_empty()) {
            let mut sessions: BTreeSet<FullJid> = keep::everybody(room).into_iter().collect();
            sessions.extend(self.lately.gone_sessions().cloned());
            let sessions = sessions.into_iter().collect();
            tokio::spawn(have_shown(
                self.world.clone(),
                self.jid.clone(),
                sessions,
                nicks,
            ));
        }
    }
}

/// Has the room show what is true of these nicks, wherever it is. Nodes that come back one after
/// the other do not agree at once where that is, so it is said some times.
async fn have_shown(world: Arc<World>, room: BareJid, sessions: Vec<FullJid>, nicks: Vec<Nick>) {
    for pause in SAID_AGAIN_AFTER {
        sleep(pause).await;
        let Some(peers) = world.directory.peers() else {
            return;
        };
        if let Some(home) = peers.home(&room) {
            peers.show_again(home, room.clone(), sessions.clone(), &nicks);
        } else if let Some(place) = world.directory.room(room.as_str()) {
            // A room that begins shows everybody to its occupants.
            let shown = RoomMsg::ShowAgain(sessions.clone(), nicks.clone());
            let _ = place.actor.cast(shown);
        }
    }
}
