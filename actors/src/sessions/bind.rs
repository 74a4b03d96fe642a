//! How a session begins under a name of its account.

use std::sync::Arc;

use klatsch_protocol::facts::Resource;
use klatsch_protocol::features::mam;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{StanzaError, StreamCondition, StreamError};
use klatsch_protocol::stream::sm::{self, Sm};
use klatsch_protocol::stream::{Bound, Wishes};
use klatsch_protocol::xml::Element;
use ractor::{Actor, ActorRef};
use tokio::sync::oneshot;
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

use super::{REPLACE_PATIENCE, SessionHandle, Sessions, random_id};
use crate::directory::Place;
use crate::metrics;
use crate::presence_shard::{NotBound, PresenceShardMsg};
use crate::router::{patiently, refusal_of};
use crate::session::{
    Arguments, Beginning, Peer, Session, SessionActor, SessionMsg, Sink, Successor,
};
use crate::slot::Slot;

/// How a session comes by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// Whoever has it ends.
    Taken,
    /// If nobody has it; until its client comes, it goes to whoever turns out to have it.
    IfFree,
}

impl Sessions {
    /// Binds a resource (RFC 6120 §7). Nothing is written to the connection until
    /// [`SessionHandle::start`]. A session that has this resource ends with `<conflict/>`.
    ///
    /// # Errors
    /// What the client is told: the resource is no resourcepart, the account has too many
    /// resources, the node is short of memory, or the store does not answer.
    pub async fn bind(
        &self,
        account: BareJid,
        resource: Option<String>,
        sink: Arc<dyn Sink>,
        peer: Peer,
    ) -> Result<(FullJid, SessionHandle), StanzaError> {
        let bound = self.bind_as(account, resource, None, sink, peer).await;
        bound.map(|(bound, session)| (bound.jid, session))
    }

    /// The same for a client that says at once what its session is to be (XEP-0386). Its
    /// archive has what has waited for it.
    ///
    /// # Errors
    /// As [`Sessions::bind`].
    pub async fn bind_as(
        &self,
        account: BareJid,
        resource: Option<String>,
        wishes: Option<Wishes>,
        sink: Arc<dyn Sink>,
        peer: Peer,
    ) -> Result<(Bound, SessionHandle), StanzaError> {
        if self.world.strain.refuses_sessions() {
            metrics::session_refused();
            return Err(StanzaError::resource_constraint().with_text("short of memory"));
        }
        let resource = resource.filter(|resource| !resource.is_empty());
        let jid = account
            .with_resource(&resource.unwrap_or_else(random_id))
            .map_err(|_| StanzaError::bad_request())?;
        // What is committed between this look at the log's end and the moment the name is
        // known, the session finds when it compares its tail right after its start.
        let (cell, head) = patiently(self.world.accounts.hold(&account))
            .await
            .map_err(|e| refusal_of(&e))?;
        let slot = self.reserve(&jid);
        let session = Session::new(jid.clone(), wishes.unwrap_or_default(), head);
        let mut results = Vec::new();
        if wishes.is_some() {
            results.extend(self.archive_bounds(&account).await);
            results.extend(session.sm.as_ref().map(|sm| self.enabled(sm)));
        }
        let arguments = Arguments {
            world: self.world.clone(),
            slot,
            cell: cell.clone(),
            session,
            beginning: Beginning::Bound(sink),
        };
        match self.begin(arguments, Name::Taken).await {
            Ok(actor) if self.world.changed.is_since(&account, peer.proved) => {
                let error = StreamError::new(StreamCondition::NotAuthorized);
                // One that has ended by itself needs no end.
                let _ = actor.cast(SessionMsg::End(error));
                Err(StanzaError::not_authorized())
            }
            Ok(actor) => {
                if wishes.is_some() {
                    // XEP-0386 §3.2: what has waited is not sent, the client reads its archive.
                    self.world.accounts.delivered(&cell, head);
                }
                tracing::info!(%jid, peer = %peer.address, secure = peer.is_secure, "session bound");
                let session = SessionHandle::new(actor, 0, self.strain());
                Ok((Bound { jid, results }, session))
            }
            Err(error) => {
                self.world.accounts.release(cell);
                Err(error)
            }
        }
    }

    /// Starts a session under its name.
    pub(super) async fn begin(
        &self,
        arguments: Arguments,
        name: Name,
    ) -> Result<ActorRef<SessionMsg>, StanzaError> {
        let slot = arguments.slot;
        let (is_away, previd) = match arguments.beginning {
            Beginning::Bound(_) => (false, None),
            Beginning::Waiting(_) => (true, arguments.session.previd()),
        };
        let resource = arguments.session.resource(&arguments.cell, is_away);
        let named = match name {
            Name::Taken => self.take_name(&resource, slot, previd).await,
            Name::IfFree => self.take_free_name(&resource, slot).await,
        };
        let started = match named {
            Ok(()) => self.spawn(arguments).await,
            Err(error) => Err(error),
        };
        if started.is_err() {
            self.give_back(&resource.jid, slot);
        }
        started
    }

    /// Takes a name, for a session that has been elsewhere under this id.
    async fn take_name(
        &self,
        resource: &Resource,
        slot: Slot,
        previd: Option<&str>,
    ) -> Result<(), StanzaError> {
        let bound = match self.ask_for_name(resource, slot, false).await? {
            // A browser that was closed leaves sessions that may come back for minutes: they must
            // not keep out whoever is here.
            Err(_) if self.end_lost(&resource.jid.bare()).await => {
                self.ask_for_name(resource, slot, false).await?
            }
            bound => bound,
        };
        // Row A15; RFC 6120 §7.6.2.1.
        let replaced = bound.map_err(|_| StanzaError::resource_constraint())?;
        if let Some(place) = replaced {
            self.end_at(place, &resource.jid, previd).await;
        }
        Ok(())
    }

    /// Nobody ends for whoever is not there.
    async fn take_free_name(&self, resource: &Resource, slot: Slot) -> Result<(), StanzaError> {
        let bound = self.ask_for_name(resource, slot, true).await?;
        bound.map(drop).map_err(|not_bound| match not_bound {
            NotBound::Taken => StanzaError::conflict(),
            NotBound::TooManyResources => StanzaError::resource_constraint(),
        })
    }

    async fn ask_for_name(
        &self,
        resource: &Resource,
        slot: Slot,
        gives_way: bool,
    ) -> Result<Result<Option<Place>, NotBound>, StanzaError> {
        let (reply, bound) = oneshot::channel();
        let resources_max = self.world.settings.resources_max;
        let bind = PresenceShardMsg::Bind {
            resource: Box::new(resource.clone()),
            slot,
            resources_max,
            gives_way,
            reply,
        };
        self.world
            .shard(resource.jid.bare_str())
            .cast(bind)
            .map_err(|_| StanzaError::resource_constraint())?;
        bound.await.map_err(|_| StanzaError::resource_constraint())
    }

    /// Ends the session of an account that was bound first among those whose connection is lost;
    /// false: there is none.
    async fn end_lost(&self, account: &BareJid) -> bool {
        let Some(published) = self.world.directory.published(account.as_str()) else {
            return false;
        };
        let mut all = published.view.resources.iter().zip(&published.places);
        let Some((lost, place)) = all.find(|(resource, _)| resource.is_away) else {
            return false;
        };
        tracing::info!(jid = %lost.jid, "lost session gives way to another of its account");
        self.end_at(*place, &lost.jid, None).await;
        true
    }

    /// Ends a session and waits until its name is free, but not for long. The session that is
    /// resumed by this id gives way, for it goes on here.
    async fn end_at(&self, place: Place, jid: &FullJid, previd: Option<&str>) {
        match place {
            Place::Here(slot) => {
                let (ended, has_ended) = oneshot::channel();
                let successor = Successor {
                    previd: previd.map(str::to_owned),
                    node: None,
                    ended,
                };
                let slots = &self.world.directory.slots;
                slots.send(slot, SessionMsg::Replace(successor));
                let _ = timeout(REPLACE_PATIENCE, has_ended).await;
            }
            Place::There(node) => self.replace_there(node, jid, previd).await,
        }
    }

    pub(super) fn reserve(&self, jid: &FullJid) -> Slot {
        let spread = xxh3_64(jid.as_str().as_bytes());
        self.world.directory.slots.reserve(spread)
    }

    /// Where the archive begins and ends, as a client is told that begins a session with it.
    async fn archive_bounds(&self, account: &BareJid) -> Option<Element> {
        // A client that is not told asks.
        let bounds = patiently(self.world.store.bounds(account)).await.ok()?;
        self.world
            .host
            .archive
            .then(|| mam::metadata_element(bounds))
    }

    fn enabled(&self, sm: &Sm) -> Element {
        sm::enabled(sm, self.world.settings.resume_seconds)
    }

    async fn spawn(&self, arguments: Arguments) -> Result<ActorRef<SessionMsg>, StanzaError> {
        let (slot, jid) = (arguments.slot, arguments.session.facts.jid.clone());
        let supervisor = self
            .world
            .registry
            .session_supervisor(xxh3_64(jid.as_str().as_bytes()));
        let spawned = Actor::spawn_linked(None, SessionActor, arguments, supervisor).await;
        let (actor, _task) = spawned.map_err(|_| StanzaError::internal_server_error())?;
        self.world.directory.slots.fill(slot, actor.clone());
        Ok(actor)
    }

    fn give_back(&self, jid: &FullJid, slot: Slot) {
        let unbind = PresenceShardMsg::Unbind {
            jid: jid.clone(),
            slot,
            lingers: None,
            reply: None,
        };
        // A shard that is being started again knows nothing of this session.
        let _ = self.world.shard(jid.bare_str()).cast(unbind);
        self.world.directory.slots.release(slot);
    }
}
