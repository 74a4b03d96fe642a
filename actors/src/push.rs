//! Push notifications (XEP-0357 version 0.4.1): who is told of what, and what becomes of it.
//!
//! D4: a notification is due when an entry is committed and no session of the account is
//! there to take it, and when a session loses its connection with entries its client may never
//! have got. A session whose connection is lost counts as away for its own device, though it
//! may come back: that is when a phone sleeps. So an entry is pushed to a device once.
//!
//! Of what is said in rooms, a device is told that lost its connection while inside, and an
//! account that has a part in the room (member, admin, owner) and no session at all. Told is what
//! the chat's setting in the account's bookmarks says (XEP-0492); without any, everything in
//! rooms of members alone, and mentions elsewhere. Whoever has no affiliation and is not inside
//! has left, and is told nothing, whatever a bookmark says: the specification knows no other way
//! to have a part in a room, and to look into all bookmarks of the server at every message of a
//! public room would be another one. To be told there, one registers with the room (XEP-0045
//! §7.10).
//!
//! Nobody waits for this: what is due goes into a bounded queue, and what does not fit is
//! counted and dropped; the message itself stands in the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klatsch_protocol::archive::Direction;
use klatsch_protocol::facts::{Resource, Views};
use klatsch_protocol::features::muc::affiliation::Affiliation;
use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::features::notification_settings::{self, Notify};
use klatsch_protocol::features::pubsub::node::{Ask, Found, Wanted};
use klatsch_protocol::features::push::{self, PushChange, Refusal, Registration, Summary};
use klatsch_protocol::features::web_push::{self, About, Kind};
use klatsch_protocol::features::{Service, attention, bookmarks};
use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::stanza::{Iq, IqKind, Message, Stanza, StanzaError};
use klatsch_store::StoreError;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::mail::Committed;
use crate::metrics;
use crate::router::{patiently, route_to_end};
use crate::sessions::random_id;
use crate::world::World;

/// So much may be due at once: some seconds of messages to people who are all away.
const DUE_MAX: usize = 16_384;

/// So many answers are waited for at once.
const PENDING_MAX: usize = 16_384;

/// An app server that has not answered within this time does not.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// A notification is sent again so often when the app server says `wait`.
const RETRIES_MAX: u32 = 3;

/// The first pause before it is sent again; each later one is four times as long.
const RETRY_AFTER: Duration = Duration::from_secs(15);

/// Entries looked at for a device that has lost its connection.
const BEHIND_MAX: u32 = 50;

/// What an operator may tune of notifications.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// App servers are told who has written.
    pub sender: bool,
    /// App servers are told what, unless it is encrypted.
    pub body: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sender: true,
            // App servers are mostly somebody else's, and so is what stands behind them.
            body: false,
        }
    }
}

/// Something devices are to be told of.
#[derive(Debug)]
pub struct Due {
    /// Whose.
    pub account: BareJid,
    /// The device that asked from this resource alone; all devices when there is none.
    pub resource: Option<String>,
    /// Of what.
    pub what: What,
}

/// What devices are told of.
#[derive(Debug)]
pub enum What {
    /// This message.
    Message(Box<Message>),
    /// What stands in the log after the one id, up to the other.
    After(u64, u64),
    /// This was said in a room.
    Said(Box<Said>),
}

/// Something said in a room, as it concerns one account.
#[derive(Debug)]
pub struct Said {
    /// The message, from the occupant.
    pub message: Message,
    /// It mentions the account.
    pub is_mention: bool,
    /// What counts if the account has said nothing about this room (XEP-0492 §3).
    pub usual: Notify,
}

/// What is due, and the answers that are waited for.
pub struct Push {
    due: mpsc::Sender<Due>,
    pending: Mutex<HashMap<Box<str>, Pending>>,
}

/// A notification that is on its way.
struct Pending {
    account: BareJid,
    registration: Registration,
    summary: Summary,
    retries: u32,
    since: Instant,
}

impl Push {
    /// Nothing yet, and where what is due comes out.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Due>) {
        let (due, receiver) = mpsc::channel(DUE_MAX);
        let pending = Mutex::default();
        (Self { due, pending }, receiver)
    }

    /// Asks for devices to be told. Never waits.
    pub(crate) fn ask(&self, due: Due) {
        if self.due.try_send(due).is_err() {
            metrics::push_dropped();
        }
    }

    /// Takes an app server's answer; false: it is none.
    pub(crate) fn take_answer(
        &self,
        world: &Arc<World>,
        account: &BareJid,
        stanza: &Stanza,
    ) -> bool {
        let Stanza::Iq(iq) = stanza else { return false };
        if !matches!(iq.kind, IqKind::Result | IqKind::Error) {
            return false;
        }
        let Some(pending) = self.answered(account, iq) else {
            return false;
        };
        if iq.kind == IqKind::Error {
            let world = world.clone();
            let error = error_of(iq);
            tokio::spawn(async move { refused(&world, pending, &error).await });
        }
        true
    }

    /// What this answers: only the app server itself can answer for itself.
    fn answered(&self, account: &BareJid, iq: &Iq) -> Option<Pending> {
        let id = iq.head.id.as_deref()?;
        let mut pending = self.pending.lock().expect("no holder panics");
        let waiting = pending.get(id)?;
        let is_its = waiting.account == *account
            && iq.head.from.as_ref() == Some(&waiting.registration.service);
        is_its.then(|| pending.remove(id)).flatten()
    }

    /// Waits for an answer; false: for too many already.
    fn expect(&self, id: Box<str>, waiting: Pending) -> bool {
        let mut pending = self.pending.lock().expect("no holder panics");
        if pending.len() >= PENDING_MAX {
            pending.retain(|_, waiting| waiting.since.elapsed() < ANSWER_PATIENCE);
        }
        let has_room = pending.len() < PENDING_MAX;
        if has_room {
            pending.insert(id, waiting);
        }
        has_room
    }
}

fn error_of(iq: &Iq) -> StanzaError {
    let error = iq.payloads.element("error", klatsch_protocol::ns::CLIENT);
    error.map_or_else(StanzaError::undefined_condition, |error| {
        StanzaError::from_element(&error)
    })
}

/// A message has been committed to an account's log: asks for the devices that are away.
pub(crate) fn ask_for(world: &World, account: &BareJid, message: &Message) {
    if !attention::is_called_for(message) {
        return;
    }
    let view = world.directory.view(account);
    let takers = || view.resources.iter().filter(|it| it.takes_messages());
    let due = |resource: Option<&str>| Due {
        account: account.clone(),
        resource: resource.map(str::to_owned),
        what: What::Message(Box::new(message.clone())),
    };
    if takers().all(|resource| resource.is_away) {
        world.push.ask(due(None));
        return;
    }
    for resource in takers().filter(|resource| resource.is_away) {
        world.push.ask(due(Some(resource.jid.resource())));
    }
}

/// Something has been said in a room with this account's session, whose connection is lost.
pub(crate) fn ask_for_occupant(world: &World, session: &FullJid, nick: &str, message: &Message) {
    let is_own = message.head.from.as_ref().and_then(Jid::resource) == Some(nick);
    if is_own || !attention::is_called_for(message) {
        return;
    }
    world.push.ask(Due {
        account: session.bare(),
        resource: Some(session.resource().to_owned()),
        what: What::Said(Box::new(Said {
            message: message.clone(),
            is_mention: attention::is_mention(message, Some(nick), session.bare_str()),
            usual: Notify::OnMention,
        })),
    });
}

/// Something has been said in a room: asks for those who have a part in it and are not there.
pub(crate) fn ask_for_room(world: &World, record: &RoomRecord, sender: &BareJid, said: &Message) {
    if !attention::is_called_for(said) {
        return;
    }
    let is_private = record.config.members_only;
    let all = record.affiliations.iter();
    let belongs = all.filter(|(account, affiliate)| {
        let is_account = account.localpart().is_some() && world.host.serves(account.domain());
        is_account && affiliate.affiliation >= Affiliation::Member && *account != sender
    });
    for (account, affiliate) in belongs {
        let is_mention = attention::is_mention(said, affiliate.nick.as_deref(), account.as_str());
        // In a public room there may be many, and nearly all want to hear of mentions alone.
        if !is_mention && !is_private {
            continue;
        }
        let view = world.directory.view(account);
        if view.resources.iter().any(Resource::takes_messages) {
            continue;
        }
        let usual = match is_private {
            true => Notify::Always,
            false => Notify::OnMention,
        };
        let message = said.clone();
        world.push.ask(Due {
            account: account.clone(),
            resource: None,
            what: What::Said(Box::new(Said {
                message,
                is_mention,
                usual,
            })),
        });
    }
}

/// What the account has said about the chat a message is of, in the chat's bookmark.
async fn setting(
    world: &World,
    account: &BareJid,
    message: &Message,
) -> Result<Option<Notify>, StoreError> {
    let Some(chat) = message.head.from.as_ref().map(Jid::bare) else {
        return Ok(None);
    };
    let ask = Ask::Node {
        node: bookmarks::NS.to_owned(),
        items: Wanted::Ids(vec![chat.to_string()]),
        creator: account.clone(),
    };
    let found = patiently(world.store.nodes(account, &ask, world.now())).await?;
    Ok(match found {
        Found::Node(found) => {
            let bookmark = found.items.first();
            bookmark.and_then(|item| notification_settings::of_bookmark(&item.payload))
        }
        _ => None,
    })
}

/// Tells whether the account wants to hear of what was said in a room.
async fn wants(world: &World, account: &BareJid, said: &Said) -> Result<bool, StoreError> {
    let setting = setting(world, account, &said.message).await?;
    Ok(match setting.unwrap_or(said.usual) {
        Notify::Always => true,
        Notify::OnMention => said.is_mention,
        Notify::Never => false,
    })
}

/// Tells devices, one thing after the other, for as long as the node runs.
pub(crate) async fn run(world: Arc<World>, mut due: mpsc::Receiver<Due>) {
    while let Some(due) = due.recv().await {
        if let Err(error) = tell(&world, &due).await {
            metrics::push_dropped();
            tracing::warn!(%error, "devices are not told");
        }
    }
}

async fn tell(world: &Arc<World>, due: &Due) -> Result<(), StoreError> {
    let account = &due.account;
    let mut devices = patiently(world.store.registrations(account)).await?;
    if let Some(resource) = &due.resource {
        devices.retain(|device| device.resource == *resource);
    }
    if devices.is_empty() {
        return Ok(());
    }
    let Some(mut summary) = summarise(world, due).await? else {
        return Ok(());
    };
    let data = patiently(world.accounts.get(account)).await?.data();
    let contacts = data.roster.items.values();
    summary.pending = contacts.filter(|it| it.pending_in.is_some()).count();
    for registration in devices {
        let waiting = Pending {
            account: account.clone(),
            registration,
            summary: summary.clone(),
            retries: 0,
            since: Instant::now(),
        };
        publish(world, waiting);
    }
    Ok(())
}

/// What devices are told; `None` when nothing of it calls for anybody.
async fn summarise(world: &World, due: &Due) -> Result<Option<Summary>, StoreError> {
    let messages = match &due.what {
        What::Said(said) if !wants(world, &due.account, said).await? => return Ok(None),
        What::Said(said) => vec![said.message.clone()],
        What::Message(message) => unmuted(world, &due.account, vec![(**message).clone()]).await?,
        What::After(after, until) => {
            let entries = world.store.entries(&due.account, *after, BEHIND_MAX);
            let entries = patiently(entries).await?;
            let received = entries
                .iter()
                .filter(|entry| entry.id <= *until && entry.direction == Direction::Received);
            let messages = received.filter_map(Committed::from_entry);
            let messages = messages
                .map(|it| it.message)
                .filter(attention::is_called_for)
                .collect();
            unmuted(world, &due.account, messages).await?
        }
    };
    let is_mention = matches!(&due.what, What::Said(said) if said.is_mention);
    Ok(messages.last().map(|last| Summary {
        messages: messages.len(),
        pending: 0,
        sender: sender(&world.settings.push, last),
        body: body(&world.settings.push, last),
        about: about(&due.account, last, is_mention),
    }))
}

/// What our own app server is told besides.
fn about(account: &BareJid, message: &Message, is_mention: bool) -> Option<About> {
    let chat = message.head.from.as_ref()?.bare();
    Some(About {
        conversation: web_push::conversation(account, &chat),
        kind: Kind::of(message, is_mention),
    })
}

/// Without those of chats that the account wants to hear nothing of. What is sent to it alone
/// mentions it.
async fn unmuted(
    world: &World,
    account: &BareJid,
    messages: Vec<Message>,
) -> Result<Vec<Message>, StoreError> {
    let mut told = Vec::with_capacity(messages.len());
    for message in messages {
        if setting(world, account, &message).await? != Some(Notify::Never) {
            told.push(message);
        }
    }
    Ok(told)
}

fn sender(settings: &Settings, message: &Message) -> Option<Jid> {
    message.head.from.clone().filter(|_| settings.sender)
}

fn body(settings: &Settings, message: &Message) -> Option<String> {
    if !settings.body || attention::is_encrypted(message) {
        return None;
    }
    message.body().map(|body| body.into_owned())
}

/// Publishes a notification; its answer comes to the account.
fn publish(world: &Arc<World>, waiting: Pending) {
    let id: Box<str> = format!("push-{}", random_id()).into();
    let (account, to) = (&waiting.account, &waiting.registration);
    let service = world.host.service(to.service.as_str());
    let is_ours = service.is_some_and(|(service, _)| service == Service::Push);
    let summary = Summary {
        about: waiting.summary.about.clone().filter(|_| is_ours),
        ..waiting.summary.clone()
    };
    let stanza = push::notification(account, to, &summary, id.clone());
    if !world.push.expect(id, waiting) {
        metrics::push_dropped();
        return;
    }
    metrics::push_sent();
    let world = world.clone();
    // An app server of this server may take its time; the next device need not wait for it.
    tokio::spawn(async move { route_to_end(&world, stanza, 0).await });
}

/// §7.1: an app server refuses.
async fn refused(world: &Arc<World>, mut pending: Pending, error: &StanzaError) {
    if push::judge(error) == Refusal::Disables {
        let Registration { service, node, .. } = pending.registration;
        let change = PushChange::Disable(service, Some(node));
        let changed = patiently(world.store.change_push(&pending.account, change)).await;
        if let Err(error) = changed {
            tracing::warn!(%error, "a device that is refused stays enabled");
        }
        return;
    }
    if error.kind != klatsch_protocol::stanza::ErrorKind::Wait || pending.retries >= RETRIES_MAX {
        return;
    }
    sleep(RETRY_AFTER * 4u32.pow(pending.retries)).await;
    pending.retries += 1;
    pending.since = Instant::now();
    publish(world, pending);
}
