//! Carries out the effects of what the client has sent.

use klatsch_protocol::account::AccountChange;
use klatsch_protocol::effect::{Change, Effect, Flag, Interest};
use klatsch_protocol::features::reporting::Report;
use klatsch_protocol::stanza::{Presence, Stanza, StanzaError};
use klatsch_protocol::stream::sm::Unacked;
use klatsch_store::StoreError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::inbound::Current;
use super::message::Answered;
use super::outbound::write_nonza;
use super::{Connection, Live, SessionMsg};
use crate::absence::SHOWN_BY;
use crate::account_change::change_account;
use crate::administration::{self, notices};
use crate::mail::{Address, Mail};
use crate::metrics;
use crate::presence_shard::PresenceShardMsg;
use crate::router::{self, Way, ask, patiently, refusal_of};
use crate::timers::Wake;

impl Live {
    /// Carries out one effect; tells whether it is still under way. Its end comes as
    /// [`SessionMsg::Answered`].
    pub(super) fn perform(&mut self, effect: Effect, current: &Current) -> bool {
        match effect {
            Effect::Reply(stanza) => self.reply(stanza),
            Effect::Nonza(element) => write_nonza(&self.connection, &element),
            Effect::Route(stanza) => return self.route(stanza, current),
            Effect::Spread(presence) => self.spread(&presence),
            Effect::Load(query, go_on) => {
                let (world, cell) = (self.world.clone(), self.cell.clone());
                let asker = self.session.facts.jid.clone().into();
                self.later(async move {
                    Answered::Loaded(ask(&world, &cell, &asker, &query).await, go_on)
                });
                return true;
            }
            Effect::Change(change) => {
                self.change(change, current);
                return true;
            }
            Effect::ChangeAccount(change) => {
                self.change_account(*change);
                return true;
            }
            Effect::Push(interest, payload) => {
                router::push(&self.world, &self.cell.jid, interest, payload);
            }
            Effect::Flag(flag) => return self.set_flag(flag),
            Effect::Publish(presence) => {
                self.publish(presence);
                return true;
            }
            Effect::Announce(domain, message) => {
                tracing::info!(target: "audit", by = %self.session.facts.jid, %domain, act = "announce");
                administration::announce(&self.world, &domain, &message);
            }
            Effect::Notice(changed) => {
                let world = self.world.clone();
                self.later(async move {
                    notices::change(&world, &changed).await;
                    Answered::Done
                });
                return true;
            }
            Effect::Stop(stop) => {
                tracing::info!(target: "audit", by = %self.session.facts.jid, ?stop, act = "stop");
                administration::stop::stop(&self.world, stop);
            }
            Effect::Report(report) => {
                self.report(*report);
                return true;
            }
            Effect::DeliverOffline => {
                self.go_on_reading();
            }
            Effect::Release => self.wake(),
            Effect::Hold(_, stanza) => self.reply(stanza),
            Effect::Close(error) => self.end(Some(error)),
            Effect::Kick(sessions, error) => {
                for session in sessions {
                    tracing::info!(target: "audit", by = %self.session.facts.jid, jid = %session, act = "end session");
                    self.world
                        .directory
                        .send(&Address::Session(session), Mail::End(error.clone()));
                }
            }
            Effect::Learn(key, capabilities) => self.world.directory.learn(key, capabilities),
            Effect::ShowAvatar(hash) => router::show_avatar(&self.world, &self.cell.jid, hash),
            Effect::Trace(what, why) => tracing::trace!(what, why),
            Effect::Keep(_) => debug_assert!(false, "commits are batched"),
        }
        false
    }

    /// An answer to the client: it goes to where the client is, or waits for it.
    fn reply(&mut self, stanza: Stanza) {
        self.hand_over(stanza);
    }

    fn route(&mut self, stanza: Stanza, current: &Current) -> bool {
        match router::route(&self.world, &stanza) {
            Way::Done => false,
            Way::Refused(error) => {
                if let Some(reply) = stanza.error_reply(&error) {
                    self.hand_over(reply);
                }
                false
            }
            Way::Room if self.is_in_too_many_rooms(&stanza) => {
                let error = StanzaError::resource_constraint().with_text("in too many rooms");
                if let Some(reply) = stanza.error_reply(&error) {
                    self.hand_over(reply);
                }
                false
            }
            Way::Room if self.is_behind_refused(&stanza, current.known) => {
                self.refuse_behind(&stanza);
                false
            }
            Way::Room => {
                self.ask_room(stanza);
                true
            }
            Way::Account(account) => {
                let world = self.world.clone();
                self.later(async move {
                    router::decide_for_account(&world, &account, &stanza, 0).await;
                    Answered::Done
                });
                true
            }
            Way::Service(service, host) => {
                let world = self.world.clone();
                self.later(async move {
                    router::decide_for_service(&world, service, &host, &stanza, 0).await;
                    Answered::Done
                });
                true
            }
        }
    }

    fn change(&self, change: Change, current: &Current) {
        let (world, cell, data) = (self.world.clone(), self.cell.clone(), current.data.clone());
        self.later(async move {
            match patiently(world.accounts.change(&cell, &data, change)).await {
                Ok(()) => Answered::Changed,
                Err(StoreError::Conflict) => Answered::Stale,
                Err(error) => Answered::Refused(refusal_of(&error)),
            }
        });
    }

    fn change_account(&self, change: AccountChange) {
        let (world, me) = (self.world.clone(), self.session.facts.jid.clone());
        let act = change.act.name();
        tracing::info!(target: "audit", by = %me, jid = %change.account, act, "account change asked for");
        self.later(async move {
            match change_account(&world, change, Some(&me)).await {
                Ok(()) => Answered::Changed,
                Err(error) => Answered::Refused(error.to_stanza_error()),
            }
        });
    }

    /// XEP-0377. A report is a message to people who do not know the reporter, and counted as
    /// one (row R17): too many are dropped, for nobody would read them.
    fn report(&self, report: Report) {
        let (world, is_trusted) = (self.world.clone(), self.is_trusted());
        self.later(async move {
            let domain = report.domain();
            let (by, jid, reason) = (&report.reporter, &report.reported, &report.reason);
            let settings = &world.settings.strangers;
            let take = || world.strangers.take(by, &domain, settings, Instant::now());
            if !is_trusted && take().is_err() {
                metrics::stranger_refused();
                return Answered::Done;
            }
            tracing::info!(target: "audit", %by, %jid, reason, act = "report");
            match administration::report(&world, &report).await {
                Ok(()) => Answered::Done,
                Err(error) => Answered::Refused(error),
            }
        });
    }

    fn set_flag(&mut self, flag: Flag) -> bool {
        let facts = &mut self.session.facts;
        match flag {
            Flag::Roster(version) => {
                self.contacts.know(version);
                return false;
            }
            Flag::Interested(Interest::Roster) => facts.roster_interest = true,
            Flag::Interested(Interest::Blocklist) => facts.blocklist_interest = true,
            Flag::Carbons(is_on) => facts.carbons = is_on,
            Flag::Inactive(is_inactive) => {
                facts.inactive = is_inactive;
                return false;
            }
            Flag::CapabilitiesAsked(id) => {
                facts.capabilities_asked = id;
                return false;
            }
            Flag::Directed(to, is_available) => {
                facts.directed.retain(|directed| *directed != to);
                if is_available {
                    facts.directed.push(to);
                }
                return false;
            }
        }
        self.show();
        true
    }

    fn publish(&mut self, presence: Option<Box<Presence>>) {
        let takes = |presence: &Option<Box<Presence>>| {
            presence
                .as_ref()
                .is_some_and(|presence| presence.priority() >= 0)
        };
        let appears = takes(&presence) && !takes(&self.session.facts.presence);
        if presence.is_some() && self.session.facts.presence.is_none() {
            self.catch_up_since(Instant::now());
        }
        self.session.facts.presence = presence;
        if appears {
            // XEP-0160: what waits comes first. From here on entries are for this session, so
            // none may be taken before those that wait, nor before everybody sees that it
            // takes them.
            self.session.cursor.go_back_to(self.cell.delivered());
            self.is_appearing = true;
            notices::tell_motd(&self.world, &self.cell, &self.session.facts.jid);
        }
        self.show();
    }

    /// Somebody who comes to another node at this moment is not known here yet, nor this session
    /// there: later it is looked at what has become of the contacts since.
    pub(super) fn catch_up_since(&self, since: Instant) {
        if self.world.directory.peers().is_some() {
            let wake = Wake::CatchUp(self.session.facts.jid.clone(), since);
            self.world.timers.wake_after(SHOWN_BY, self.slot, wake);
        }
    }

    /// Lets the presence shard publish what this session shows; goes on once it has, so that
    /// what the client sends next is decided with it.
    fn show(&self) {
        let published = self.show_unheard();
        self.later(async move {
            // A shard that is being started again publishes what the directory has: the
            // presence is late by a restart, not lost, since the next one carries it.
            if let Some(published) = published {
                let _ = published.await;
            }
            Answered::Done
        });
    }

    /// The same for whoever need not wait until it is published.
    pub(super) fn show_unheard(&self) -> Option<oneshot::Receiver<()>> {
        let is_away = matches!(self.connection, Connection::Away);
        let resource = self.session.resource(&self.cell, is_away);
        let (reply, published) = oneshot::channel();
        let shard = self.world.shard(self.cell.jid.as_str());
        let sent = shard.cast(PresenceShardMsg::Show {
            resource: Box::new(resource),
            slot: self.slot,
            reply,
        });
        sent.is_ok().then_some(published)
    }

    /// Lets the current stanza go on with the answer of something that takes time.
    pub(super) fn later(&self, answer: impl Future<Output = Answered> + Send + 'static) {
        let (world, slot) = (self.world.clone(), self.slot);
        tokio::spawn(async move {
            let answered = answer.await;
            world
                .directory
                .slots
                .send(slot, SessionMsg::Answered(Box::new(answered)));
        });
    }

    /// What has been written and not acknowledged, other than entries of the log.
    pub(super) fn unacked_stanzas(&mut self) -> Vec<Stanza> {
        let Some(sm) = &mut self.session.sm else {
            return Vec::new();
        };
        let mut stanzas = Vec::new();
        for unacked in sm.take_unacked() {
            match unacked {
                Unacked::Stanza(stanza) => stanzas.push(*stanza),
                Unacked::Refusal(_) => {}
                Unacked::Entry { id, .. } => self.session.cursor.rewind_to(id),
                Unacked::RoomEntry { room, id } => {
                    let inside = self.session.rooms.get_mut(&room);
                    let cursor = inside.and_then(|inside| inside.cursor.as_mut());
                    if let Some(cursor) = cursor {
                        cursor.rewind_to(id);
                    }
                }
            }
        }
        stanzas
    }
}
