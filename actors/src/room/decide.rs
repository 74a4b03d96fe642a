//! The order in which a room decides, and carries out what it has decided.

use klatsch_protocol::features::muc::effect::RoomEffect;
use klatsch_protocol::features::muc::owner;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::stanza::{Presence, PresenceKind, Stanza};

use super::{Live, Received, RoomAsk, Settled, Stage, Step, Word, keep};

impl Live {
    /// Takes something to decide.
    pub(super) fn receive(&mut self, received: Received) {
        // Whoever asks a room that is being put away asks again and finds its successor.
        if !self.is_closing {
            self.inbox.push_back(received);
            self.drive();
        }
    }

    /// The room goes to where it lives: after what waits before that, or at once while nothing can
    /// be decided, for whoever waits asks there.
    pub(super) fn go_home(&mut self) {
        match self.stage {
            Stage::Loading if !self.is_closing => {
                self.close();
                self.drive();
            }
            _ => self.receive(Received::Yield),
        }
    }

    /// Goes on until something has to be waited for.
    pub(super) fn drive(&mut self) {
        self.activity = self.activity.wrapping_add(1);
        loop {
            self.carry_out();
            if self.is_closing {
                // Whoever waits asks again. What this node thought of the others it need not say
                // any more: they are back.
                self.inbox.clear();
                break;
            }
            if !self.may_decide() {
                break;
            }
            let Some(received) = self.inbox.pop_front() else {
                break;
            };
            self.decide(received);
        }
        self.look_for_rest();
    }

    fn may_decide(&self) -> bool {
        if matches!(self.stage, Stage::Loading) || self.is_regathering {
            return false;
        }
        self.steps.is_empty() || self.overlaps && self.inbox.front().is_some_and(can_overlap)
    }

    fn decide(&mut self, received: Received) {
        let overlaps = can_overlap(&received) && matches!(self.stage, Stage::Here(_));
        self.overlaps = overlaps;
        self.decisions = 1;
        self.is_steward = false;
        match received {
            Received::Ask(ask) => {
                let ask = *ask;
                self.believe(&ask);
                self.counted.clone_from(&ask.counted);
                let again = self.enters_again(&ask.stanza);
                let mut effects = self.decide_stanza(&ask.stanza);
                if matches!(*ask.stanza, Stanza::Presence(_)) {
                    let sender = ask.stanza.from().and_then(|from| from.to_full());
                    self.stay_while_unsure(&mut effects, sender.as_ref());
                }
                let refusal = keep::take_refusal(&mut effects, &ask.stanza);
                let settled = refusal.map_or(Settled::Done, |it| Settled::Replied(Box::new(it)));
                self.plan(effects, overlaps, ask.counted.as_deref());
                self.show_all_of(again);
                self.steps.push_back(Step::Settle(ask.reply, settled));
            }
            Received::Stanza(stanza) => {
                let effects = self.decide_stanza(&stanza);
                self.plan(effects, overlaps, None);
            }
            // Word from the node it has left may be late.
            Received::Gone(session) if self.is_elsewhere(&session) => {}
            Received::Gone(session) => {
                let nick = self.room().and_then(|room| room.nick_of(session.as_jid()));
                let mut effects = self.with_room(|room, _| room.gone(&session));
                if self.world.directory.replica().is_some() {
                    nick.into_iter()
                        .for_each(|it| self.lately.note_gone(it, session.clone()));
                    // It is not there to hear it, and if it comes back it is inside.
                    let is_word = |it: &RoomEffect| matches!(it, RoomEffect::Forget(..));
                    effects.retain(|effect| !is_word(effect));
                }
                self.stay_while_unsure(&mut effects, Some(&session));
                self.plan(effects, false, None);
            }
            Received::Merge(session, occupancy, word) => self.merge(&session, &occupancy, word),
            Received::CatchUp(sessions, time) => {
                let nicks = self.lately.within(time);
                self.show_again(&sessions, &nicks);
            }
            Received::ShowAgain(sessions, nicks) => self.show_again(&sessions, &nicks),
            // What was decided before is carried out; whoever asks from here on asks there.
            Received::Yield => {
                self.take_back_farewells();
                self.close();
            }
            Received::Reread(account) => self.reread(&account),
            Received::Destroy(end) => {
                let reason = end.reason.as_deref();
                let effects = self.with_room(|room, _| room.destroy_by_operator(reason));
                self.plan(effects, false, None);
                self.steps.push_back(Step::Settle(end.reply, Settled::Done));
            }
            Received::Tick => {
                let effects = self.with_room(|room, facts| room.tick(facts));
                self.plan(effects, false, None);
            }
        }
    }

    /// A session that is inside says so with what it sends, should it be known no more.
    fn believe(&mut self, ask: &RoomAsk) {
        let session = ask.stanza.from().and_then(|from| from.to_full());
        if let (Some(session), Some(occupancy)) = (session, &ask.occupancy) {
            match self.world.directory.replica() {
                Some(_) => self.merge(&session, occupancy, Word::Said),
                None => self.take_back(&session, occupancy),
            }
        }
    }

    fn decide_stanza(&mut self, stanza: &Stanza) -> Vec<RoomEffect> {
        match &self.stage {
            Stage::Here(room) if room.wants_steward(stanza) => {
                self.ask_creator(stanza);
                Vec::new()
            }
            Stage::Here(_) => self.with_room(|room, facts| room.decide(stanza, facts)),
            _ if is_entry(stanza) => {
                self.ask_creator(stanza);
                Vec::new()
            }
            _ => owner::decide_absent(&self.jid, stanza),
        }
    }

    /// Puts effects at the end of what is to be carried out. Messages are given to the log
    /// writer at once when all before them are with it too.
    pub(super) fn plan(&mut self, effects: Vec<RoomEffect>, overlaps: bool, counted: Option<&str>) {
        for effect in effects {
            let step = match effect {
                RoomEffect::Keep(keep) if overlaps => self.start_keeping(keep, counted),
                effect => Step::Effect(effect),
            };
            self.steps.push_back(step);
        }
    }

    /// Puts effects where the one was that has been waited for.
    pub(super) fn prepend(&mut self, effects: Vec<RoomEffect>) {
        let steps = effects.into_iter().rev().map(Step::Effect);
        steps.for_each(|step| self.steps.push_front(step));
    }

    /// Carries out what can be, up to what has to be waited for.
    fn carry_out(&mut self) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                waiting @ (Step::Waiting(_) | Step::Keeping(..)) => {
                    self.steps.push_front(waiting);
                    return;
                }
                Step::Effect(effect) => self.perform(effect),
                Step::Kept(keep, kept) => self.settle_keep(*keep, kept),
                // Whoever asked may have gone.
                Step::Settle(reply, settled) => drop(reply.send(settled)),
            }
        }
    }

    /// A room that nobody is in any more ends (XEP-0045 §7.14), with its log. While somebody may
    /// be inside elsewhere it stays, and is looked after later.
    fn stay_while_unsure(&self, effects: &mut Vec<RoomEffect>, leaver: Option<&FullJid>) {
        let ends = effects.contains(&RoomEffect::Vanish);
        let is_locked = self.room().is_none_or(Room::is_locked);
        if ends && !is_locked && self.may_be_inhabited(leaver) {
            effects.retain(|effect| *effect != RoomEffect::Vanish);
        }
    }
}

fn can_overlap(received: &Received) -> bool {
    matches!(received, Received::Ask(ask) if Room::can_overlap(&ask.stanza))
}

fn is_entry(stanza: &Stanza) -> bool {
    let Stanza::Presence(Presence { head, kind, .. }) = stanza else {
        return false;
    };
    *kind == PresenceKind::Available && head.to.as_ref().is_some_and(|to| !to.is_bare())
}
