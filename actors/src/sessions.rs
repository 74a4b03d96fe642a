//! The handle by which gateways and operators reach the sessions of this node.

mod moving;
mod restart;

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::account::AccountChange;
use klatsch_protocol::facts::{Host, Views};
use klatsch_protocol::features::invitation::{Invitation, TokenHash};
use klatsch_protocol::features::mam;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{StanzaError, StreamCondition, StreamError};
use klatsch_protocol::stream::register::NewAccount;
use klatsch_protocol::stream::sm::{self, Sm};
use klatsch_protocol::stream::{Bound, NotResumed, Wishes};
use klatsch_protocol::xml::{Element, Fragment};
use klatsch_store::StoreError;
use ractor::{Actor, ActorRef};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

use crate::account_change::{self, AccountError, change_account};
use crate::claims;
use crate::directory::Place;
use crate::files::Files;
use crate::invitations;
use crate::mail::{Address, Mail};
use crate::metrics;
use crate::people::People;
use crate::presence_shard::{PresenceShardMsg, TooManyResources};
use crate::rooms::Rooms;
use crate::router::{patiently, refusal_of};
use crate::session::{
    Arguments, Beginning, Detach, Peer, Resumption, Session, SessionActor, SessionMsg, Sink,
};
use crate::slot::Slot;
use crate::strain::{Charge, Queue, Strain};
use crate::web_push::Outgoing;
use crate::world::World;

/// What a client may have sent and not yet seen dealt with: this many units, a stanza costing
/// one and another for each 4 KiB. While it has none left its socket is not read.
const CREDIT: u32 = 64;

/// What a stanza takes besides its content, about.
pub(crate) const STANZA_BYTES: usize = 256;

/// A session that is replaced has this long to tell its contacts.
pub(crate) const REPLACE_PATIENCE: Duration = Duration::from_secs(2);

/// The sessions of this node.
#[derive(Clone)]
pub struct Sessions {
    world: Arc<World>,
}

/// A connection's hold on its session.
#[derive(Clone)]
pub struct SessionHandle {
    actor: ActorRef<SessionMsg>,
    connection: u32,
    credit: Arc<Semaphore>,
    strain: Arc<Strain>,
}

/// What a stanza of the client costs until it has been dealt with.
pub struct Credit {
    _units: OwnedSemaphorePermit,
    _bytes: Charge,
}

/// A session goes on.
pub struct Resumed {
    /// Its address.
    pub jid: FullJid,
    /// The connection's hold on it.
    pub session: SessionHandle,
    /// What has been handled of the client's stanzas.
    pub h: u32,
}

impl Sessions {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// What the node shares.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The contents of files on other nodes.
    pub fn files(&self) -> Files {
        Files::new(self.world.clone())
    }

    /// What an account may see of others, and shows of itself.
    pub fn people(&self) -> People {
        People::new(self.world.clone())
    }

    /// The rooms.
    pub fn rooms(&self) -> Rooms {
        Rooms::new(self.world.clone())
    }

    /// How strained the node is.
    pub fn strain(&self) -> Arc<Strain> {
        Arc::clone(&self.world.strain)
    }

    /// Lets every client go for whom at least so many bytes wait: those who read too slowly
    /// lose their connection and may resume, those who acknowledge too little their session.
    pub fn let_go(&self, bytes: usize) {
        let slots = &self.world.directory.slots;
        slots.send_all(|| SessionMsg::LetGo(bytes));
    }

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
        match self.begin(arguments).await {
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
    async fn begin(&self, arguments: Arguments) -> Result<ActorRef<SessionMsg>, StanzaError> {
        let (slot, jid) = (arguments.slot, arguments.session.facts.jid.clone());
        let started = match self.take_name(&jid, slot).await {
            Ok(()) => self.spawn(arguments).await,
            Err(error) => Err(error),
        };
        if started.is_err() {
            self.give_back(&jid, slot);
        }
        started
    }

    async fn take_name(&self, jid: &FullJid, slot: Slot) -> Result<(), StanzaError> {
        let bound = match self.ask_for_name(jid, slot).await? {
            // A browser that was closed leaves sessions that may come back for minutes: they must
            // not keep out whoever is here.
            Err(_) if self.end_lost(&jid.bare()).await => self.ask_for_name(jid, slot).await?,
            bound => bound,
        };
        // Row A15; RFC 6120 §7.6.2.1.
        let replaced = bound.map_err(|_| StanzaError::resource_constraint())?;
        if let Some(place) = replaced {
            self.end_at(place, jid).await;
        }
        Ok(())
    }

    async fn ask_for_name(
        &self,
        jid: &FullJid,
        slot: Slot,
    ) -> Result<Result<Option<Place>, TooManyResources>, StanzaError> {
        let (reply, bound) = oneshot::channel();
        let resources_max = self.world.settings.resources_max;
        let bind = PresenceShardMsg::Bind {
            jid: jid.clone(),
            slot,
            resources_max,
            reply,
        };
        self.world
            .shard(jid.bare_str())
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
        self.end_at(*place, &lost.jid).await;
        true
    }

    /// Ends a session and waits until its name is free, but not for long.
    async fn end_at(&self, place: Place, jid: &FullJid) {
        match place {
            Place::Here(slot) => {
                let (ended, has_ended) = oneshot::channel();
                let slots = &self.world.directory.slots;
                slots.send(slot, SessionMsg::Replace(ended));
                let _ = timeout(REPLACE_PATIENCE, has_ended).await;
            }
            Place::There(node) => self.replace_there(node, jid).await,
        }
    }

    fn reserve(&self, jid: &FullJid) -> Slot {
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
            lingers: false,
            reply: None,
        };
        // A shard that is being started again knows nothing of this session.
        let _ = self.world.shard(jid.bare_str()).cast(unbind);
        self.world.directory.slots.release(slot);
    }

    /// Goes on with a session (XEP-0198 §5). Nothing is written to the connection until
    /// [`SessionHandle::start`].
    ///
    /// # Errors
    /// There is nothing to resume by this id for this account, or the client counts wrongly.
    pub async fn resume(
        &self,
        account: &BareJid,
        previd: &str,
        h: u32,
        sink: Arc<dyn Sink>,
    ) -> Result<Resumed, NotResumed> {
        if claims::may_come(&self.world) {
            claims::answer(self).await;
        }
        let here = self.world.resumables.slot(previd);
        let actor = match here {
            Some(slot) if self.owns(account, slot) => self.world.directory.slots.get(slot),
            Some(_) => None,
            None => self.take_over(account, previd, h).await,
        };
        let actor = actor.ok_or(NotResumed::Gone(None))?;
        let outcome = self.resume_by(actor, h, Arc::clone(&sink)).await;
        let has_left = here.is_some() && self.world.resumables.slot(previd).is_none();
        if !has_left || !matches!(outcome, Err(NotResumed::Gone(_))) {
            return outcome;
        }
        // It was just being handed over.
        let actor = self.take_over(account, previd, h).await;
        let actor = actor.ok_or(NotResumed::Gone(None))?;
        self.resume_by(actor, h, sink).await
    }

    async fn resume_by(
        &self,
        actor: ActorRef<SessionMsg>,
        h: u32,
        sink: Arc<dyn Sink>,
    ) -> Result<Resumed, NotResumed> {
        let (reply, answer) = oneshot::channel();
        let resumption = Resumption { h, sink, reply };
        actor
            .cast(SessionMsg::Resume(Box::new(resumption)))
            .map_err(|_| NotResumed::Gone(None))?;
        let answer = timeout(crate::world::STORE_PATIENCE * 4, answer).await;
        let answer = match answer {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(Some(too_high)))) => return Err(NotResumed::TooHigh(too_high)),
            _ => return Err(NotResumed::Gone(None)),
        };
        let session = SessionHandle::new(actor, answer.connection, self.strain());
        tracing::info!(jid = %answer.jid, "session resumed");
        Ok(Resumed {
            jid: answer.jid,
            session,
            h: answer.h,
        })
    }

    /// What browsers are to be told from now on, for whoever sends it; until somebody takes this,
    /// nothing is.
    pub fn web_pushes(&self) -> mpsc::Receiver<Outgoing> {
        self.world.web_push.open()
    }

    /// The server as decisions know it.
    pub fn host(&self) -> &Host {
        &self.world.host
    }

    /// Row A13: an id opens only its own account's session.
    fn owns(&self, account: &BareJid, slot: Slot) -> bool {
        let published = self.world.directory.published(account.as_str());
        published.is_some_and(|published| published.has(slot))
    }

    /// The bound resources of an account, or of everybody.
    pub fn list(&self, account: Option<&BareJid>) -> Vec<FullJid> {
        let all = match account {
            Some(account) => vec![self.world.directory.view(account)],
            None => self
                .world
                .directory
                .all(|_| true)
                .into_iter()
                .map(|(_, it)| it.view.clone())
                .collect(),
        };
        let resources = all.iter().flat_map(|view| &view.resources);
        resources.map(|resource| resource.jid.clone()).collect()
    }

    /// A session as data.
    pub async fn inspect(&self, jid: &FullJid) -> Option<Box<Session>> {
        let slot = self.world.directory.slot(jid)?;
        let (reply, session) = oneshot::channel();
        self.world
            .directory
            .slots
            .send(slot, SessionMsg::Inspect(reply));
        timeout(REPLACE_PATIENCE, session).await.ok()?.ok()
    }

    /// Ends a session; tells whether it was there.
    pub fn kick(&self, jid: &FullJid, error: StreamError) -> bool {
        self.world
            .directory
            .send(&Address::Session(jid.clone()), Mail::End(error))
    }

    /// Ends every session of an account.
    pub fn kick_account(&self, account: &BareJid, error: StreamError) -> bool {
        self.world
            .directory
            .send(&Address::Account(account.clone()), Mail::End(error))
    }

    /// Changes an account; its sessions end where the change says so.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change_account(&self, change: AccountChange) -> Result<(), AccountError> {
        change_account(&self.world, change, None).await
    }

    /// The accounts that have a session on this node.
    pub fn accounts_here(&self) -> Vec<BareJid> {
        let all = self.world.directory.all(|_| true).into_iter();
        all.filter(|(_, published)| published.here().next().is_some())
            .map(|(account, _)| account)
            .collect()
    }

    /// Admits an account that another system vouches for; it is made where there is none.
    /// False: an administrator of this server has disabled it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn admit_account(&self, account: &BareJid) -> Result<bool, StoreError> {
        account_change::admit(&self.world, account).await
    }

    /// Ends the sessions of an account, on every node, and takes its tokens away.
    ///
    /// # Errors
    /// The store has not taken the tokens away; the sessions have ended all the same.
    pub async fn revoke(&self, account: &BareJid) -> Result<(), StoreError> {
        account_change::revoke(&self.world, account).await
    }

    /// Ends the sessions of an account, on every node, for good; its tokens stay.
    pub fn end_account(&self, account: &BareJid) {
        account_change::end_sessions(&self.world, account, None);
    }

    /// An invitation that is good now.
    ///
    /// # Errors
    /// What whoever asks is told: the store does not answer.
    pub async fn invitation(&self, hash: TokenHash) -> Result<Option<Invitation>, StanzaError> {
        let found = invitations::find(&self.world, hash).await;
        found.map_err(|error| refusal_of(&error))
    }

    /// Makes an account for somebody who asks for it.
    ///
    /// # Errors
    /// [`AccountError`]; an invitation stays good then.
    pub async fn register(&self, new: NewAccount) -> Result<(), AccountError> {
        invitations::register(&self.world, new).await
    }
}

impl SessionHandle {
    fn new(actor: ActorRef<SessionMsg>, connection: u32, strain: Arc<Strain>) -> Self {
        Self {
            strain,
            actor,
            connection,
            credit: Arc::new(Semaphore::new(CREDIT as usize)),
        }
    }

    /// Hands over what the client has sent, if the session can take it now; false: the session
    /// is gone.
    ///
    /// # Errors
    /// The fragment, when the session has enough to deal with: [`SessionHandle::inbound`] waits.
    #[allow(
        clippy::result_large_err,
        reason = "the fragment comes back to wait where it was, and a box would cost each one"
    )]
    pub fn try_inbound(&self, fragment: Fragment) -> Result<bool, Fragment> {
        match self
            .credit
            .clone()
            .try_acquire_many_owned(units_of(&fragment))
        {
            Ok(credit) => Ok(self.hand_over(fragment, credit)),
            Err(TryAcquireError::NoPermits) => Err(fragment),
            Err(TryAcquireError::Closed) => Ok(false),
        }
    }

    /// Hands over what the client has sent; waits while the session has much of it to deal
    /// with. False: the session is gone.
    pub async fn inbound(&self, fragment: Fragment) -> bool {
        let credit = self.credit.clone();
        let Ok(units) = credit.acquire_many_owned(units_of(&fragment)).await else {
            return false;
        };
        self.hand_over(fragment, units)
    }

    fn hand_over(&self, fragment: Fragment, units: OwnedSemaphorePermit) -> bool {
        let mut waiting = Charge::new(Arc::clone(&self.strain), Queue::Inbound);
        waiting.set(STANZA_BYTES + fragment.payloads().bytes().len());
        let credit = Credit {
            _units: units,
            _bytes: waiting,
        };
        let message = SessionMsg::Inbound(Box::new(fragment), credit, self.connection);
        self.actor.cast(message).is_ok()
    }

    /// The connection has taken everything that was queued.
    pub fn writable(&self) {
        // A session that is gone has nothing to write.
        let _ = self.actor.cast(SessionMsg::Writable);
    }

    /// The client has been told that it is bound or resumed.
    pub fn start(&self) {
        let _ = self.actor.cast(SessionMsg::Start);
    }

    /// The connection is gone.
    pub fn detach(&self, how: Detach) {
        let _ = self.actor.cast(SessionMsg::Detach(how, self.connection));
    }
}

/// A large stanza counts for more than one.
fn units_of(fragment: &Fragment) -> u32 {
    let size = fragment.payloads().bytes().len() as u32;
    (1 + size / 4096).min(CREDIT)
}

/// 128 random bits, for names nobody may guess.
pub fn random_id() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
