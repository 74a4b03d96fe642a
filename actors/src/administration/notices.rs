//! What everybody is told once: messages of the day and welcomes (XEP-0133 §4.24 to §4.28).
//!
//! The store has them; a copy is at hand, so that a login costs nothing while there is none. An
//! account keeps which message of the day it has got last. It is told to sessions, not kept in
//! logs: a day later it means nothing. A welcome is a message in the log of the new account, and
//! waits there for its first login.
//!
//! Leaves out: accounts that are made without the running server, which nobody welcomes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use klatsch_protocol::features::admin::notices::{Changed, Kind, Notice};
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::MessageKind;
use klatsch_store::StoreError;
use tokio::time::{MissedTickBehavior, interval};

use super::letters;
use crate::accounts::AccountCell;
use crate::mail::{Address, Mail};
use crate::router::patiently;
use crate::world::World;

/// What an account keeps the edition of the last message of the day under; names of private XML
/// begin with another word.
const NAME: &str = "message of the day";

/// How soon a change is noticed that another node has made.
const EVERY: Duration = Duration::from_secs(60);

/// The notices there are, at hand.
#[derive(Default)]
pub struct Notices(RwLock<HashMap<(BareJid, Kind), Arc<Notice>>>);

impl Notices {
    /// A domain's notice, if there is one.
    pub fn at_hand(&self, domain: &BareJid, kind: Kind) -> Option<Arc<Notice>> {
        let notices = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Hardly any server has one: then nothing is looked up.
        match notices.is_empty() {
            true => None,
            false => notices.get(&(domain.clone(), kind)).cloned(),
        }
    }

    fn put(&self, domain: BareJid, kind: Kind, notice: Option<Notice>) {
        let mut notices = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match notice {
            Some(notice) => notices.insert((domain, kind), Arc::new(notice)),
            None => notices.remove(&(domain, kind)),
        };
    }
}

/// Reads the notices now and then for as long as the node runs.
pub(crate) async fn run(world: Arc<World>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for domain in &world.host.domains {
            for kind in Kind::ALL {
                if let Err(error) = read(&world, domain, kind).await {
                    tracing::warn!(%error, %domain, "notices cannot be read");
                }
            }
        }
    }
}

async fn read(world: &World, domain: &BareJid, kind: Kind) -> Result<(), StoreError> {
    let ask = kind.ask(domain);
    let found = patiently(world.store.nodes(domain, &ask, world.now())).await?;
    world.notices.put(domain.clone(), kind, Notice::of(&found));
    Ok(())
}

/// A notice has changed; whoever is to be told of it at once is told.
pub(crate) async fn change(world: &Arc<World>, changed: &Changed) {
    let Changed {
        domain,
        kind,
        is_told,
    } = changed;
    if let Err(error) = read(world, domain, *kind).await {
        // It is read again before long.
        tracing::warn!(%error, %domain, "a notice cannot be read");
        return;
    }
    if *is_told && let Some(notice) = world.notices.at_hand(domain, *kind) {
        // Nobody waits until each account has noted it.
        tokio::spawn(tell_online(world.clone(), domain.clone(), notice));
    }
}

async fn tell_online(world: Arc<World>, domain: BareJid, notice: Arc<Notice>) {
    super::announce(&world, &domain, &notice.message(&domain));
    for (account, published) in world.directory.all(|it| it.domain() == domain.as_str()) {
        let is_told = published
            .view
            .resources
            .iter()
            .any(|it| it.takes_messages());
        if is_told && let Err(error) = note(&world, &account, &notice).await {
            tracing::warn!(%error, jid = %account, "a message of the day may come twice");
        }
    }
}

async fn note(world: &World, account: &BareJid, notice: &Notice) -> Result<(), StoreError> {
    let edition = Bytes::from(notice.edition.clone());
    patiently(world.store.keep(account, NAME, Some(edition))).await
}

/// A session of this account has just become available: it is told what the account does not
/// know yet.
pub(crate) fn tell_motd(world: &Arc<World>, cell: &Arc<AccountCell>, session: &FullJid) {
    let domain = cell.jid.domain_jid();
    let Some(notice) = world.notices.at_hand(&domain, Kind::Motd) else {
        return;
    };
    let (world, cell, session) = (world.clone(), cell.clone(), session.clone());
    tokio::spawn(async move {
        let told = tell(&world, &cell, &session, &notice).await;
        if let Err(error) = told {
            tracing::warn!(%error, jid = %session, "no message of the day");
        }
    });
}

async fn tell(
    world: &World,
    cell: &AccountCell,
    session: &FullJid,
    notice: &Notice,
) -> Result<(), StoreError> {
    let known = patiently(world.store.kept(&cell.jid, NAME)).await?;
    if known.value.as_deref() == Some(notice.edition.as_bytes()) {
        return Ok(());
    }
    note(world, &cell.jid, notice).await?;
    let mut message = notice.message(&cell.jid.domain_jid());
    message.head.to = Some(session.clone().into());
    let to = Address::Session(session.clone());
    world.directory.send(&to, Mail::Deliver(message.into()));
    Ok(())
}

/// Welcomes an account that has just been made; what goes wrong with that keeps nobody from
/// having one.
pub(crate) async fn welcome(world: &Arc<World>, account: &BareJid) {
    let domain = account.domain_jid();
    let Some(notice) = world.notices.at_hand(&domain, Kind::Welcome) else {
        return;
    };
    let mut message = notice.message(&domain);
    // A headline would not wait for the first login.
    message.kind = MessageKind::Normal;
    if let Err(error) = letters::write(world, vec![account.clone()], &message).await {
        tracing::warn!(condition = error.condition.as_str(), jid = %account, "no welcome");
    }
}
