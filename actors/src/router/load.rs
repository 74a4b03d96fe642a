//! What decisions ask the store.

use klatsch_protocol::archive::ArchiveQuery;
use klatsch_protocol::effect::{Answer, Kept, Query};
use klatsch_protocol::facts::Views;
use klatsch_protocol::features::pubsub::config::AccessModel;
use klatsch_protocol::features::pubsub::node::{Ask, Found, LastItem};
use klatsch_protocol::features::roster::sight::Showing;
use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::StanzaError;
use klatsch_store::{Reserved, StoreError};
use tokio::time::Instant;

use super::{patiently, refusal_of};
use crate::accounts::AccountCell;
use crate::administration;
use crate::faces;
use crate::invitations;
use crate::metrics;
use crate::web_push;
use crate::world::{World, now};

/// Asks the store about an account, for the account itself or one of its resources.
pub async fn ask(world: &World, cell: &AccountCell, asker: &Jid, query: &Query) -> Answer {
    if let Query::Archive(query) = query
        && let Err(error) = may_search(world, asker, query)
    {
        return Answer::Failed(error);
    }
    let answered = match query {
        Query::Archive(query) => patiently(world.store.query(&cell.jid, query))
            .await
            .map(Answer::Page),
        Query::ArchivePreferences => patiently(world.store.archive_preferences(&cell.jid))
            .await
            .map(|preferences| Answer::ArchivePreferences(Box::new(preferences))),
        Query::Bounds => patiently(world.store.bounds(&cell.jid))
            .await
            .map(Answer::Bounds),
        Query::Viewers => who_shows(world, asker).await.map(Answer::Viewers),
        Query::Pubsub(of, nodes) => patiently(ask_nodes(world, of, asker, nodes))
            .await
            .map(|found| Answer::Pubsub(Box::new(found))),
        Query::Shown(of, nodes) => patiently(ask_shown(world, cell, of, asker, nodes))
            .await
            .map(|found| Answer::Pubsub(Box::new(found))),
        Query::KeptAndShown(name, nodes) => {
            let asking = ask_kept_and_shown(world, cell, asker, name, nodes);
            patiently(asking)
                .await
                .map(|kept| Answer::Kept(Box::new(kept)))
        }
        Query::Kept(name, nodes) => patiently(ask_kept(world, cell, asker, name, nodes.as_deref()))
            .await
            .map(|kept| Answer::Kept(Box::new(kept))),
        Query::Slot(request) => return reserve_upload(world, request).await,
        Query::WebPush(ask) => return Box::pin(web_push::ask(world, ask)).await,
        Query::Invite(invite) => return invitations::make(world, invite).await,
        Query::Redeem(hash) => patiently(world.store.use_invitation(&cell.jid, *hash, now()))
            .await
            .map(Answer::Redeemed),
        Query::IsAdmin => administration::is_admin(world, &cell.jid).await,
        Query::Census(census) => administration::census(world, census).await,
        Query::Person(account) => administration::person(world, account).await,
    };
    failed_or(answered)
}

/// Who lets an account, or one of its resources, see their presence.
pub(crate) async fn who_shows(world: &World, asker: &Jid) -> Result<Showing, StoreError> {
    let by_roster = patiently(world.store.who_shows(asker)).await?;
    let book = world.directory.book();
    // Colleagues show themselves unless they block who asks: one question, however many they are.
    let has_colleagues = book.groups(&asker.bare()).next().is_some();
    let blocked_by = match has_colleagues {
        true => patiently(world.store.who_blocks(asker)).await?,
        false => Vec::new(),
    };
    Ok(Showing {
        by_roster,
        blocked_by,
    })
}

/// Asks about nodes; of those that go by groups it is found out in which ones the asker is.
pub(super) async fn ask_nodes(
    world: &World,
    service: &BareJid,
    asker: &Jid,
    ask: &Ask,
) -> Result<Found, StoreError> {
    let mut found = world.store.nodes(service, ask, now()).await?;
    if let Found::LastItems(items) = &mut found {
        for last in items {
            add_groups(world, asker, last).await?;
        }
    }
    Ok(found)
}

async fn add_groups(world: &World, asker: &Jid, last: &mut LastItem) -> Result<(), StoreError> {
    let by_groups = last.node.config.access_model == AccessModel::Roster;
    if !by_groups || last.service.as_str() == asker.bare_str() {
        return Ok(());
    }
    let data = match world.accounts.get(&last.service).await {
        Ok(owner) => owner.data(),
        Err(StoreError::NoSuchAccount) => return Ok(()),
        Err(error) => return Err(error),
    };
    let facts = world.facts(&last.service, &data, None);
    last.groups = facts.groups_of(&asker.bare());
    Ok(())
}

/// Asks about nodes for who reads them.
async fn ask_shown(
    world: &World,
    cell: &AccountCell,
    of: &BareJid,
    asker: &Jid,
    ask: &Ask,
) -> Result<Found, StoreError> {
    let mut found = ask_nodes(world, of, asker, ask).await?;
    faces::add(world, Some(cell), of, ask, &mut found).await?;
    Ok(found)
}

async fn ask_kept_and_shown(
    world: &World,
    cell: &AccountCell,
    asker: &Jid,
    name: &str,
    nodes: &Ask,
) -> Result<Kept, StoreError> {
    let mut kept = world.store.kept(&cell.jid, name).await?;
    kept.found = Some(ask_shown(world, cell, &cell.jid, asker, nodes).await?);
    Ok(kept)
}

async fn ask_kept(
    world: &World,
    cell: &AccountCell,
    asker: &Jid,
    name: &str,
    nodes: Option<&Ask>,
) -> Result<Kept, StoreError> {
    let mut kept = world.store.kept(&cell.jid, name).await?;
    if let Some(nodes) = nodes {
        kept.found = Some(ask_nodes(world, &cell.jid, asker, nodes).await?);
    }
    Ok(kept)
}

/// Takes room for a file from its account's quota.
pub(super) async fn reserve_upload(world: &World, request: &SlotRequest) -> Answer {
    // Row C13: what messages do not get, files do not get either.
    if world.strain.disk_is_low() {
        metrics::upload_slot("disk");
        return Answer::Failed(StanzaError::resource_constraint());
    }
    let reserved = patiently(world.store.reserve_upload(request, now())).await;
    metrics::upload_slot(match &reserved {
        Ok(Reserved::Granted) => "given",
        Ok(Reserved::OverQuota(_)) => "quota",
        Err(_) => "store",
    });
    match reserved {
        Ok(Reserved::Granted) => Answer::Slot(Box::new(request.slot.clone())),
        Ok(Reserved::OverQuota(again)) => Answer::OverQuota(again),
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
}

/// Row C08: tells whether somebody may ask this of an archive now, which searches are counted for.
pub fn may_search(world: &World, asker: &Jid, query: &ArchiveQuery) -> Result<(), StanzaError> {
    if query.search.is_none() {
        return Ok(());
    }
    let settings = world.settings.searches;
    world.searches.take(&asker.bare(), settings, Instant::now())
}

pub(super) fn answer_of(found: Result<Found, StoreError>) -> Answer {
    failed_or(found.map(|found| Answer::Pubsub(Box::new(found))))
}

fn failed_or(answered: Result<Answer, StoreError>) -> Answer {
    match answered {
        Ok(answer) => answer,
        Err(StoreError::NoSuchItem) => Answer::NoSuchItem,
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
}
