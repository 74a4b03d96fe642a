//! What the directory shows of people: put into the answers about their nodes, with pictures from
//! the store, and told to whoever wants to hear of avatars when a picture is another.
//!
//! What is shown is decided in `protocol` (`features/avatar/directory.rs`). Each node tells the
//! sessions that it holds, so that everybody is told once whichever nodes hear of it.

use std::collections::HashMap;
use std::slice;
use std::sync::Arc;

use klatsch_protocol::colleagues::{Book, Entry, Photo};
use klatsch_protocol::effect::Effect;
use klatsch_protocol::facts::Views;
use klatsch_protocol::features::avatar::directory::{Shown, decide_changed, wants_image};
use klatsch_protocol::features::pubsub::node::{Ask, Found};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::Stanza;
use klatsch_store::StoreError;

use crate::accounts::AccountCell;
use crate::directory::Place;
use crate::mail::{Address, Mail};
use crate::router::patiently;
use crate::world::{World, now};

/// Puts what the directory shows into what has been found of somebody's nodes, or of several
/// people's.
pub(crate) async fn add(
    world: &World,
    cell: Option<&AccountCell>,
    of: &BareJid,
    ask: &Ask,
    found: &mut Found,
) -> Result<(), StoreError> {
    let book = world.directory.book();
    let people = match ask {
        Ask::LastItems { services, .. } => services.as_slice(),
        _ => slice::from_ref(of),
    };
    // Nobody is sent the bytes of all their contacts' pictures unasked.
    let wants_image = wants_image(ask) && people.len() == 1;
    for account in people {
        let Some(person) = book.holder(account) else {
            continue;
        };
        let image = match (&person.photo, wants_image) {
            (Some(photo), true) => world.store.photo(&photo.hash).await?,
            _ => None,
        };
        let own = cell.filter(|cell| cell.jid == *account);
        let shown = Shown {
            person,
            image,
            has_own_avatar: own.is_some_and(|cell| cell.data().avatar.is_some()),
            now: now(),
        };
        shown.add_to(ask, found);
    }
    Ok(())
}

/// Follows the book, and tells of pictures that are others, for as long as the node runs.
pub(crate) async fn run(world: Arc<World>) {
    let mut books = world.directory.books();
    let mut before = books.borrow_and_update().clone();
    while books.changed().await.is_ok() {
        let after = books.borrow_and_update().clone();
        for (account, photo) in changed(&before, &after) {
            tell(&world, account, photo).await;
        }
        before = after;
    }
}

/// Whose picture is another, with what it is now.
fn changed<'a>(before: &'a Book, after: &'a Book) -> Vec<(&'a BareJid, Option<&'a Photo>)> {
    let (before, after) = (pictures(before), pictures(after));
    let is_new = |account: &&BareJid| before.get(account).map(|it| &it.hash);
    let new = after
        .iter()
        .filter(|(account, photo)| is_new(account) != Some(&photo.hash))
        .map(|(account, photo)| (*account, Some(*photo)));
    let gone = before
        .keys()
        .filter(|account| !after.contains_key(*account));
    new.chain(gone.map(|account| (*account, None))).collect()
}

fn pictures(book: &Book) -> HashMap<&BareJid, &Photo> {
    let people = book.entries().filter_map(|(_, entry)| match &**entry {
        Entry::Person(person) if !person.is_disabled => Some(person),
        _ => None,
    });
    let shown = people.filter_map(|person| Some((&person.account, person.photo.as_ref()?)));
    shown.collect()
}

/// Somebody has another picture: their sessions here show it in their presence, and sessions here
/// that want to hear of avatars are told.
async fn tell(world: &World, account: &BareJid, photo: Option<&Photo>) {
    let cell = match patiently(world.accounts.get(account)).await {
        Ok(cell) => cell,
        // Whoever has never logged in has nobody who would have heard of their avatar.
        Err(StoreError::NoSuchAccount) => return,
        Err(error) => {
            tracing::warn!(%error, "an avatar is shown late: at the next login");
            return;
        }
    };
    let data = cell.data();
    for effect in decide_changed(photo, &world.facts(account, &data, None)) {
        match effect {
            Effect::Route(stanza) => deliver_here(world, stanza),
            Effect::ShowAvatar(hash) => {
                for resource in &world.directory.view(account).resources {
                    send_here(world, resource.jid.as_jid(), Mail::Avatar(hash.clone()));
                }
            }
            Effect::Trace(what, why) => tracing::trace!(what, why),
            other => debug_assert!(false, "a picture does not ask for {other:?}"),
        }
    }
}

fn deliver_here(world: &World, stanza: Stanza) {
    if let Some(to) = stanza.to().cloned() {
        send_here(world, &to, Mail::Deliver(stanza));
    }
}

fn send_here(world: &World, to: &Jid, mail: Mail) {
    let Some(session) = to.to_full() else {
        return;
    };
    if matches!(world.directory.place(&session), Some(Place::Here(_))) {
        world.directory.send(&Address::Session(session), mail);
    }
}
