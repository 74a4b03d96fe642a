//! Keeps the rooms of groups in step with the directory (`protocol/src/colleagues/rooms.rs` says
//! which and how): makes them, lets people in and puts them out, and puts the rooms among their
//! bookmarks.
//!
//! Each room is looked after by the node it lives on. What another one does at the same time meets
//! in the store; done twice is done once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::colleagues::Book;
use klatsch_protocol::colleagues::rooms::{self as plan, BY_GROUP, GroupRoom};
use klatsch_protocol::facts::Views;
use klatsch_protocol::features::bookmarks;
use klatsch_protocol::features::data_forms;
use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation};
use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::features::pubsub::node::{Ask, Found, Wanted};
use klatsch_protocol::features::pubsub::{self, NS as NS_PUBSUB};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{Head, Iq, IqKind};
use klatsch_protocol::xml::Element;
use klatsch_store::StoreError;
use tokio::time::timeout;

use super::Rooms;
use super::found::FoundError;
use crate::router::{self, patiently};
use crate::sessions::random_id;
use crate::world::World;

/// Rooms are looked at this often even when nothing changes: one may have come to this node, or
/// could not be kept in step before.
const INTERVAL: Duration = Duration::from_secs(300);

/// After a failure sooner.
const AGAIN: Duration = Duration::from_secs(15);

/// Under which name an account keeps what rooms of groups it has been given as bookmarks, one a
/// line: what it has removed since is not given again.
const GIVEN: &str = "rooms of groups";

/// Follows the directory for as long as the node runs.
pub(crate) async fn run(world: Arc<World>) {
    let mut books = world.directory.books();
    let rooms = Rooms::new(world.clone());
    loop {
        let book = books.borrow_and_update().clone();
        let patience = match keep_step(&rooms, &book).await {
            true => INTERVAL,
            false => AGAIN,
        };
        if let Ok(Err(_)) = timeout(patience, books.changed()).await {
            return;
        }
    }
}

/// Makes all rooms what their groups are; false: some could not be.
async fn keep_step(rooms: &Rooms, book: &Book) -> bool {
    let mut is_done = true;
    for group in plan::all(book) {
        if !is_ours(&rooms.world, &group) {
            continue;
        }
        if let Err(error) = rooms.follow(&group).await {
            tracing::warn!(room = %group.room, %error, "a group's room is not as its group");
            is_done = false;
        }
    }
    is_done
}

/// The room is of a domain that is served, and lives on this node.
fn is_ours(world: &World, group: &GroupRoom) -> bool {
    let is_served = world.host.serves(group.address.domain());
    let peers = world.directory.peers();
    is_served && peers.is_none_or(|peers| peers.home(&group.room).is_none())
}

impl Rooms {
    /// Makes one room what its group is.
    async fn follow(&self, group: &GroupRoom) -> Result<(), FoundError> {
        let record = match patiently(self.world.store.room(&group.room)).await? {
            Some(record) => record,
            None => return self.make(group).await,
        };
        if !group.is(&record) {
            tracing::info!(room = %group.room, group = %group.id, "a room that is not the group's");
            return Ok(());
        }
        self.rename(group, &record).await?;
        let differences = group.differences(&record);
        for wanted in [Affiliation::Owner, Affiliation::Member, Affiliation::None] {
            let these = differences.iter().filter(|(_, it)| **it == wanted);
            let these: Vec<BareJid> = these.map(|(jid, _)| jid.clone()).collect();
            let by = &group.address;
            self.affiliate_because(&group.room, by, &these, wanted, BY_GROUP)
                .await?;
        }
        for account in differences.keys() {
            greet_or_warn(&self.world, account).await;
        }
        Ok(())
    }

    async fn rename(&self, group: &GroupRoom, record: &RoomRecord) -> Result<(), FoundError> {
        if record.config.name == group.name {
            return Ok(());
        }
        let name = [("muc#roomconfig_roomname", &*group.name)];
        self.configure(&group.room, &group.address, &name).await
    }

    /// A group's room is there before anybody enters, and nobody has to be invited to it.
    async fn make(&self, group: &GroupRoom) -> Result<(), FoundError> {
        let store = &self.world.store;
        if patiently(store.credentials(&group.address))
            .await?
            .is_some()
        {
            tracing::warn!(group = %group.address, "the address of a group is an account's: no room");
            return Ok(());
        }
        let mut record = self.private_record(&group.address, &group.name);
        record
            .affiliations
            .insert(group.address.clone(), group.mark());
        for (jid, affiliation) in &group.people {
            let affiliate = Affiliate {
                affiliation: *affiliation,
                nick: None,
                reason: Some(BY_GROUP.into()),
            };
            record.affiliations.insert(jid.clone(), affiliate);
        }
        if self.save_new(&group.room, record).await? {
            tracing::info!(room = %group.room, group = %group.id, "room made for a group");
        }
        for account in group.people.keys() {
            // Others are greeted when they come.
            if !self.world.directory.view(account).resources.is_empty() {
                greet_or_warn(&self.world, account).await;
            }
        }
        Ok(())
    }
}

/// Greets somebody whom the directory knows and who has just come.
pub(crate) fn greet_soon(world: &Arc<World>, account: &BareJid) {
    if world.directory.book().holder(account).is_none() {
        return;
    }
    let (world, account) = (world.clone(), account.clone());
    tokio::spawn(async move { greet_or_warn(&world, &account).await });
}

/// [`greet`]; what fails is done the next time.
pub(crate) async fn greet_or_warn(world: &Arc<World>, account: &BareJid) {
    if let Err(error) = greet(world, account).await {
        tracing::warn!(jid = %account, %error, "a group's room is not among the bookmarks yet");
    }
}

/// Puts the rooms of an account's groups among its bookmarks, each once, and takes away those of
/// groups it is in no more.
async fn greet(world: &Arc<World>, account: &BareJid) -> Result<(), StoreError> {
    let book = world.directory.book();
    let rooms = book.rooms_of(account);
    let kept = match patiently(world.store.kept(account, GIVEN)).await {
        Ok(kept) => kept.value.unwrap_or_default(),
        // Whoever has never logged in is greeted when they do.
        Err(StoreError::NoSuchAccount) => return Ok(()),
        Err(error) => return Err(error),
    };
    let given = String::from_utf8_lossy(&kept);
    let given: BTreeSet<&str> = given.lines().collect();
    let mut wanted: BTreeSet<&str> = rooms.iter().map(|(room, _)| room.as_str()).collect();
    if given == wanted {
        return Ok(());
    }
    for (room, name) in rooms
        .iter()
        .filter(|(room, _)| !given.contains(room.as_str()))
    {
        if !may_enter(world, account, room).await? {
            // It is not the group's, or will be in a moment.
            wanted.remove(room.as_str());
        } else if !has_bookmark(world, account, room.as_str()).await? {
            ask_own(world, account, bookmark(room, name)).await;
        }
    }
    for room in given.difference(&wanted) {
        if has_bookmark(world, account, room).await? {
            ask_own(world, account, no_bookmark(room)).await;
        }
    }
    let lines: Vec<&str> = wanted.into_iter().collect();
    let value = (!lines.is_empty()).then(|| lines.join("\n").into());
    patiently(world.store.keep(account, GIVEN, value)).await
}

async fn may_enter(world: &World, account: &BareJid, room: &BareJid) -> Result<bool, StoreError> {
    let record = patiently(world.store.room(room)).await?;
    Ok(record.is_some_and(|it| it.affiliation(account) >= Affiliation::Member))
}

async fn has_bookmark(world: &World, account: &BareJid, room: &str) -> Result<bool, StoreError> {
    let ask = Ask::Node {
        node: bookmarks::NS.to_owned(),
        items: Wanted::Ids(vec![room.to_owned()]),
        creator: account.clone(),
    };
    match patiently(world.store.nodes(account, &ask, world.now())).await? {
        Found::Node(found) => Ok(!found.items.is_empty()),
        _ => Ok(false),
    }
}

/// XEP-0402 §3.2: the item is the room; the node is for nobody else, also when it is made now.
fn bookmark(room: &BareJid, name: &str) -> Element {
    let conference = Element::new("conference", bookmarks::NS)
        .attr("name", name)
        .attr("autojoin", "true");
    let item = Element::new("item", NS_PUBSUB)
        .attr("id", room.as_str())
        .child(conference);
    let publish = Element::new("publish", NS_PUBSUB)
        .attr("node", bookmarks::NS)
        .child(item);
    let value = |name: &'static str, value: &str| {
        let value = Element::new("value", data_forms::NS).text(value);
        Element::new("field", data_forms::NS)
            .attr("var", name)
            .child(value)
    };
    let options = Element::new("x", data_forms::NS)
        .attr("type", "submit")
        .child(value("FORM_TYPE", pubsub::NS_PUBLISH_OPTIONS))
        .child(value("pubsub#persist_items", "true"))
        .child(value("pubsub#max_items", "max"))
        .child(value("pubsub#send_last_published_item", "never"))
        .child(value("pubsub#access_model", "whitelist"));
    let options = Element::new("publish-options", NS_PUBSUB).child(options);
    Element::new("pubsub", NS_PUBSUB)
        .child(publish)
        .child(options)
}

fn no_bookmark(room: &str) -> Element {
    let item = Element::new("item", NS_PUBSUB).attr("id", room);
    let retract = Element::new("retract", NS_PUBSUB)
        .attr("node", bookmarks::NS)
        .attr("notify", "true")
        .child(item);
    Element::new("pubsub", NS_PUBSUB).child(retract)
}

/// Has an account do something with its own nodes, as one of its clients would. The answer goes to
/// nobody.
async fn ask_own(world: &Arc<World>, account: &BareJid, payload: Element) {
    let iq = Iq {
        head: Head {
            to: Some(account.clone().into()),
            from: Some(account.clone().into()),
            id: Some(random_id().into()),
            lang: None,
        },
        kind: IqKind::Set,
        payloads: [payload].into_iter().collect(),
    };
    router::decide_for_account(world, account, &iq.into(), 0).await;
}
