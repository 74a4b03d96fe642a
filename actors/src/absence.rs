//! What contacts see when a node is lost, when it is back, and what of others' presence they
//! may have missed: XEP-0198 and RFC 6121 §4 say nothing of it, D6 does.
//!
//! Each node tells the people it has itself, so both sides of a split hear of the other. Whether
//! they may see the sessions is read off their own rosters and the organisation's directory: the
//! rosters of those who are lost are not at hand.
//! Leaves out: whom a lost session had sent directed presence.

mod catch_up;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::facts::{AccountData, Views};
use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::stanza::{Head, Presence, PresenceKind};
use klatsch_store::StoreError;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

pub(crate) use self::catch_up::catch_up;
use crate::claims;
use crate::farewell;
use crate::mail::{Address, Mail};
use crate::presence_shard::{GivenUp, PresenceShardMsg, shard_of};
use crate::room::RoomMsg;
use crate::router::patiently;
use crate::world::World;

/// By then every node shows what has changed on another one, unless it cannot reach it, or is
/// far behind.
pub(crate) const SHOWN_BY: Duration = Duration::from_secs(2);

/// Mail may have been lost for so long before anybody notices: a node that is silent is given
/// up after five seconds.
const UNNOTICED: Duration = Duration::from_secs(10);

/// What contacts are to be told is gathered for so long: a lost node's sessions come slice by
/// slice, and rosters are gone through once for all of them.
const GATHERED: Duration = Duration::from_millis(50);

/// Whom an account blocks is looked up again after this when the store has not said it: nobody is
/// left with what was true before, however long the store is away.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// What became of a session that others could see.
pub(crate) struct Shown {
    pub(crate) session: FullJid,
    /// What it shows; nothing: it is gone.
    pub(crate) presence: Option<Arc<Presence>>,
}

/// What contacts here are told for others.
#[derive(Default)]
pub(crate) struct Told {
    /// What they have not been told yet.
    untold: Mutex<HashMap<FullJid, Option<Arc<Presence>>>>,
    /// Of whom they have been told lately.
    lately: Mutex<HashMap<FullJid, Instant>>,
}

impl Told {
    /// Mail overtakes what nodes show: contacts may have heard something newer than what they
    /// have just been told, so they are told the next thing, too.
    pub(crate) fn is_to_be_followed(&self, session: &FullJid) -> bool {
        let lately = self.lately.lock().expect("no holder panics");
        lately
            .get(session)
            .is_some_and(|at| at.elapsed() < SHOWN_BY)
    }

    fn take_untold(&self) -> HashMap<FullJid, Option<Arc<Presence>>> {
        std::mem::take(&mut *self.untold.lock().expect("no holder panics"))
    }

    fn note<'a>(&self, sessions: impl Iterator<Item = &'a FullJid>) {
        let now = Instant::now();
        let mut lately = self.lately.lock().expect("no holder panics");
        lately.retain(|_, at| now.duration_since(*at) < SHOWN_BY);
        lately.extend(sessions.map(|session| (session.clone(), now)));
    }
}

/// Tells the contacts here of sessions whose node was lost, or which are back from such a node.
pub(crate) fn tell_contacts(world: &Arc<World>, changes: impl IntoIterator<Item = Shown>) {
    let mut untold = world.told.untold.lock().expect("no holder panics");
    let was_empty = untold.is_empty();
    untold.extend(changes.into_iter().map(|it| (it.session, it.presence)));
    if was_empty && !untold.is_empty() {
        let world = world.clone();
        tokio::spawn(async move {
            sleep(GATHERED).await;
            let untold = world.told.take_untold();
            tell_all(&world, untold).await;
        });
    }
}

/// The same for sessions of a lost node that were never shown: they have spoken.
pub(crate) fn tell_contacts_of(world: &Arc<World>, gone: Vec<FullJid>) {
    let gone = gone.into_iter().map(|session| Shown {
        session,
        presence: None,
    });
    tell_contacts(world, gone);
}

/// Tells the contacts here once more what a session shows, when nodes have settled where it is:
/// what they have heard last may be older than what they had heard before. It sees itself, too.
pub(crate) fn tell_again(world: &Arc<World>, session: FullJid) {
    let world = world.clone();
    tokio::spawn(async move {
        sleep(SHOWN_BY).await;
        let mut now = sessions_now(&world, &session.bare(), vec![session]);
        now.retain(|shown| shown.presence.is_some());
        tell_these(&world, now).await;
    });
}

/// Nobody goes on with a session that has left this node, so nobody else says that it has gone. One
/// that its client may have taken across a cut is gone here alone, and every node on this side
/// tells its own people.
pub(crate) async fn tell_given_up(world: &Arc<World>, session: FullJid, given_up: GivenUp) {
    match given_up.presence {
        Some(presence) if !claims::may_have_come(world) => {
            farewell::tell_in_its_name(world, session, presence).await;
        }
        _ => tell_contacts_of(world, vec![session]),
    }
}

/// Tells everybody here what has become of others' sessions while mail between nodes may have
/// been lost.
pub(crate) async fn tell_missed(world: Arc<World>, node: NodeId) {
    let since = ago(UNNOTICED);
    sleep(SHOWN_BY).await;
    for room in rooms_there(&world, node) {
        let here = world.directory.replica().map(|it| it.insiders_here(&room));
        catch_up_in(&world, room, here.unwrap_or_default(), since.elapsed());
    }
    let mut missed = Vec::new();
    for (account, sessions) in world.directory.news.all(since) {
        // Those that are here may have shown where they were what nobody here has heard.
        missed.extend(sessions_now(&world, &account, sessions));
    }
    tell_these(&world, missed).await;
}

/// Shows a session that has come from behind a cut who is there: its node has told it that those on
/// the other side have gone, and of them nothing has changed here. Its rooms show it who is inside:
/// it knows what another half of each has told it, and what its own told where it was goes nowhere.
/// Said twice, for nodes do not see at once where it is. And contacts here are shown it, for what it
/// has shown on the other side they have not heard.
pub(crate) async fn show_all(world: Arc<World>, session: FullJid) {
    tell_again(&world, session.clone());
    for pause in [SHOWN_BY, 2 * SHOWN_BY] {
        sleep(pause).await;
        catch_up::show_contacts(&world, &session).await;
        let (Some(peers), Some(replica)) = (world.directory.peers(), world.directory.replica())
        else {
            return;
        };
        for room in replica.rooms_of(&session) {
            match (peers.home(&room), world.directory.room(room.as_str())) {
                (Some(home), _) => peers.show_again(home, room, vec![session.clone()], &[]),
                (None, Some(place)) => {
                    // A room that begins shows everybody to its occupants.
                    let _ = place.actor.cast(RoomMsg::ShowAll(vec![session.clone()]));
                }
                (None, None) => {}
            }
        }
    }
}

/// So long ago.
pub(crate) fn ago(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_sub(time).unwrap_or(now)
}

/// The rooms of another node that somebody here is inside.
fn rooms_there(world: &World, node: NodeId) -> Vec<BareJid> {
    let (Some(peers), Some(replica)) = (world.directory.peers(), world.directory.replica()) else {
        return Vec::new();
    };
    let mut rooms = replica.rooms();
    rooms.retain(|room| peers.home(room) == Some(node));
    rooms
}

/// Has a room show sessions here what they may have missed for such a time.
fn catch_up_in(world: &World, room: BareJid, sessions: Vec<FullJid>, time: Duration) {
    let Some(peers) = world.directory.peers() else {
        return;
    };
    match peers.home(&room) {
        _ if sessions.is_empty() => {}
        Some(node) => peers.catch_up(node, room, sessions, time),
        None => {
            if let Some(place) = world.directory.room(room.as_str()) {
                // A room that begins shows everybody to its occupants.
                let _ = place.actor.cast(RoomMsg::CatchUp(sessions, time));
            }
        }
    }
}

/// What these sessions of an account show now.
fn sessions_now(world: &World, account: &BareJid, sessions: Vec<FullJid>) -> Vec<Shown> {
    let view = world.directory.view(account);
    let presence = |session: &FullJid| view.resource(session)?.presence.clone();
    let shown = sessions.into_iter().map(|session| Shown {
        presence: presence(&session),
        session,
    });
    shown.collect()
}

async fn tell_all(world: &Arc<World>, mut untold: HashMap<FullJid, Option<Arc<Presence>>>) {
    // Whoever has come to this node meanwhile tells its contacts itself, or has done so.
    untold.retain(|session, _| world.directory.slot(session).is_none());
    published(world, untold.keys()).await;
    let untold = untold.into_iter();
    let untold = untold.map(|(session, presence)| Shown { session, presence });
    tell_these(world, untold.collect()).await;
}

/// Waits until what was said of sessions is published: who tells of a change hears of it before the
/// shard has.
async fn published(world: &World, sessions: impl Iterator<Item = &FullJid>) {
    let accounts: BTreeSet<BareJid> = sessions.map(FullJid::bare).collect();
    let shards: BTreeMap<u16, BareJid> = accounts.into_iter().map(by_shard).collect();
    for account in shards.values() {
        let (reply, is_published) = oneshot::channel();
        let asked = PresenceShardMsg::Publish(reply);
        // A shard that is being started again has nothing that is not published.
        if world.shard(account.as_str()).cast(asked).is_ok() {
            let _ = is_published.await;
        }
    }
}

fn by_shard(account: BareJid) -> (u16, BareJid) {
    (shard_of(account.as_str()), account)
}

async fn tell_these(world: &Arc<World>, changes: Vec<Shown>) {
    world.told.note(changes.iter().map(|it| &it.session));
    let mut shown: HashMap<BareJid, Vec<Shown>> = HashMap::new();
    for change in changes {
        let sessions = shown.entry(change.session.bare()).or_default();
        sessions.push(change);
    }
    let viewers = viewers(world, &shown).await;
    for (account, sessions) in shown {
        if let Some(viewers) = viewers.get(&account) {
            tell_viewers(world, &account, sessions, viewers).await;
        }
    }
}

/// The accounts here that see the presence of any of these, by their own rosters and by the
/// organisation's directory.
async fn viewers(
    world: &World,
    shown: &HashMap<BareJid, Vec<Shown>>,
) -> HashMap<BareJid, BTreeSet<BareJid>> {
    let mut viewers: HashMap<BareJid, BTreeSet<BareJid>> = HashMap::new();
    for cell in world.accounts.all() {
        let data = cell.data();
        let accounts = data.roster.seen().chain([&cell.jid]);
        for account in accounts.filter(|account| shown.contains_key(*account)) {
            let of_account = viewers.entry(account.clone()).or_default();
            of_account.insert(cell.jid.clone());
        }
    }
    let book = world.directory.book();
    for account in shown.keys() {
        // Asked of each of the lost: mostly that is one.
        let colleagues = book.colleagues_of(account, |it| world.directory.is_there(it));
        if !colleagues.is_empty() {
            let of_account = viewers.entry(account.clone()).or_default();
            of_account.extend(colleagues);
            yield_now().await;
        }
    }
    viewers
}

fn may_see(data: &AccountData, viewer: &BareJid) -> bool {
    !data.blocklist.covers(&Jid::from(viewer.clone()))
}

async fn tell_viewers(
    world: &Arc<World>,
    account: &BareJid,
    sessions: Vec<Shown>,
    viewers: &BTreeSet<BareJid>,
) {
    let is_there = |it: &Shown| it.presence.is_some();
    let (there, gone): (Vec<Shown>, Vec<Shown>) = sessions.into_iter().partition(is_there);
    // Whom the account blocks sees it go, as they did when they were blocked, and never come.
    for (viewer, shown) in viewers
        .iter()
        .flat_map(|it| gone.iter().map(move |shown| (it, shown)))
    {
        tell(world, viewer, shown);
    }
    if there.is_empty() {
        return;
    }
    // Read once, however many see it.
    match patiently(world.accounts.get(account)).await {
        Ok(cell) => {
            let data = cell.data();
            // Meanwhile it may show something else, which its own word has told already.
            let there = there.into_iter().map(|shown| shown.session).collect();
            let mut now = sessions_now(world, account, there);
            now.retain(is_there);
            for viewer in viewers.iter().filter(|viewer| may_see(&data, viewer)) {
                now.iter().for_each(|shown| tell(world, viewer, shown));
            }
        }
        Err(StoreError::Unavailable(_) | StoreError::Uncertain(_)) => tell_later(world, there),
        // Of one that is not there nobody sees anything.
        Err(_) => {}
    }
}

/// The store does not say now whom an account blocks.
fn tell_later(world: &Arc<World>, shown: Vec<Shown>) {
    let world = world.clone();
    tokio::spawn(async move {
        sleep(READ_AGAIN).await;
        tell_contacts(&world, shown);
    });
}

fn presence_of(shown: &Shown, to: &BareJid) -> Presence {
    let head = Head {
        from: Some(shown.session.clone().into()),
        to: Some(Jid::from(to.clone())),
        ..Head::default()
    };
    match &shown.presence {
        Some(presence) => Presence {
            head,
            ..(**presence).clone()
        },
        None => Presence {
            head,
            kind: PresenceKind::Unavailable,
            ..Presence::default()
        },
    }
}

/// Tells the sessions of this node only: the others hear it from theirs.
fn tell(world: &World, contact: &BareJid, shown: &Shown) {
    let presence = presence_of(shown, contact);
    let Some(published) = world.directory.published(contact.as_str()) else {
        return;
    };
    for (resource, _) in published.here() {
        if resource.presence.is_some() {
            tell_session(world, &resource.jid, &presence);
        }
    }
}

fn tell_session(world: &World, session: &FullJid, presence: &Presence) {
    let to = Address::Session(session.clone());
    let mail = Mail::Deliver(presence.clone().into());
    world.directory.deliver_here(&to, mail);
}
