//! What administrators ask about accounts, and tell everybody (XEP-0133). Who may ask is decided
//! before (`protocol/src/features/adhoc.rs`).

use klatsch_protocol::effect::Answer;
use klatsch_protocol::facts::{AccountView, Resource, Views};
use klatsch_protocol::features::admin::{Census, Group, Person};
use klatsch_protocol::features::last_activity;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::Message;
use klatsch_store::{Account, Credentials, StoreError};

use crate::mail::{Address, Mail};
use crate::router::patiently;
use crate::world::World;

mod letters;
pub mod notices;
mod reports;
pub mod stop;

pub(crate) use reports::report;

/// Accounts read from the store at once.
const PAGE: u32 = 500;

/// Whether an account may administer its domain now.
pub(crate) async fn is_admin(world: &World, account: &BareJid) -> Result<Answer, StoreError> {
    let credentials = patiently(world.store.credentials(account)).await?;
    let is_admin = |it: Credentials| !it.disabled && (it.admin || has_role(world, account));
    Ok(Answer::IsAdmin(credentials.is_some_and(is_admin)))
}

/// The directory says that the holder of this account administrates: for as long as it says so, and
/// beside whom an operator has made an administrator. Row R13: it is the whole address that counts,
/// and no alias.
pub(crate) fn has_role(world: &World, account: &BareJid) -> bool {
    let book = world.directory.book();
    book.holder(account).is_some_and(|person| person.is_admin)
}

/// Counts accounts, and names some.
pub(crate) async fn census(world: &World, census: &Census) -> Result<Answer, StoreError> {
    match census.group {
        Group::Registered => count_registered(world, census, |_| true).await,
        Group::Disabled => count_registered(world, census, |account| account.disabled).await,
        Group::Online => Ok(count_online(world, census, |_| true)),
        Group::Active => Ok(count_online(world, census, is_active)),
        Group::Idle => Ok(count_online(world, census, |view| !is_active(view))),
    }
}

async fn count_registered(
    world: &World,
    census: &Census,
    is_meant: impl Fn(&Account) -> bool,
) -> Result<Answer, StoreError> {
    let (mut count, mut named) = (0, Vec::new());
    let mut last: Option<BareJid> = None;
    loop {
        let store = &world.store;
        let page = patiently(store.list_accounts(census.domain.domain(), last.as_ref(), PAGE));
        let page = page.await?;
        let Some(end) = page.last() else {
            return Ok(Answer::Census(count, named));
        };
        last = Some(end.jid.clone());
        for account in page.into_iter().filter(|account| is_meant(account)) {
            count += 1;
            if named.len() < census.max as usize {
                named.push(account.jid);
            }
        }
    }
}

fn count_online(world: &World, census: &Census, is_meant: impl Fn(&AccountView) -> bool) -> Answer {
    let of_domain = |account: &BareJid| account.domain() == census.domain.as_str();
    let online = world.directory.all(of_domain).into_iter();
    let meant = online.filter(|(_, it)| !it.view.resources.is_empty() && is_meant(&it.view));
    let mut accounts: Vec<BareJid> = meant.map(|(account, _)| account).collect();
    accounts.sort_unstable();
    let count = accounts.len() as u64;
    accounts.truncate(census.max as usize);
    Answer::Census(count, accounts)
}

/// Somebody is there: available and neither away nor asleep (RFC 6121 §4.7.2.1).
fn is_active(view: &AccountView) -> bool {
    view.resources.iter().any(is_present)
}

fn is_present(resource: &Resource) -> bool {
    let presence = resource.presence.as_ref();
    let show = presence.and_then(|it| it.payloads.text_of("show", klatsch_protocol::ns::CLIENT));
    presence.is_some() && !resource.is_away && !matches!(show.as_deref(), Some("away" | "xa"))
}

/// What there is to be told of an account.
pub(crate) async fn person(world: &World, account: &BareJid) -> Result<Answer, StoreError> {
    let roster = match patiently(world.store.roster(account)).await {
        // Unlike others, an administrator may know that there is no such account.
        Err(StoreError::NoSuchAccount) => return Err(StoreError::NoSuchItem),
        other => other?,
    };
    let view = world.directory.view(account);
    let sessions = view.resources.iter().map(|it| it.jid.clone()).collect();
    let kept = patiently(world.store.kept(account, last_activity::NAME)).await?;
    let last_seen = kept.value.as_deref().and_then(last_activity::last_seen);
    Ok(Answer::Person(Box::new(Person {
        roster,
        sessions,
        last_seen,
    })))
}

/// Tells everybody of a domain who is online: each session that takes messages, once.
pub(crate) fn announce(world: &World, domain: &BareJid, message: &Message) {
    let online = world.directory.all(|it| it.domain() == domain.as_str());
    for (_, published) in online {
        for resource in published
            .view
            .resources
            .iter()
            .filter(|it| it.takes_messages())
        {
            let mut message = message.clone();
            message.head.to = Some(resource.jid.clone().into());
            let to = Address::Session(resource.jid.clone());
            world.directory.send(&to, Mail::Deliver(message.into()));
        }
    }
}
