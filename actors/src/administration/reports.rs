//! Reports of spam and abuse (XEP-0377) on their way to those who look after a domain.

use std::sync::Arc;

use klatsch_protocol::archive::{ArchiveQuery, Entry};
use klatsch_protocol::features::reporting::{self, Report};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::StanzaError;
use klatsch_store::{Account, StoreError};

use super::{PAGE, has_role, letters};
use crate::metrics;
use crate::router::{patiently, refusal_of};
use crate::world::World;

/// So many administrators of a domain are told at most; each of them gets a copy.
const TOLD_MAX: usize = 20;

/// Hands a report to those who look after the domain; comes back when it stands in their logs.
///
/// # Errors
/// The store could not take it.
pub(crate) async fn report(world: &Arc<World>, report: &Report) -> Result<(), StanzaError> {
    metrics::reported(report.kind());
    let refused = |error: StoreError| refusal_of(&error);
    let message = report.message(&shown(world, report).await.map_err(refused)?);
    let contacts = reporting::contacts(&world.host);
    if letters::write(world, contacts, &message).await? {
        return Ok(());
    }
    let administrators = administrators(world, report.domain().as_str()).await;
    if !letters::write(world, administrators.map_err(refused)?, &message).await? {
        tracing::warn!(domain = %report.domain(), "nobody is there to read a report");
    }
    Ok(())
}

/// The messages a report names, as far as they are there.
async fn shown(world: &World, report: &Report) -> Result<Vec<Entry>, StoreError> {
    let mut shown = Vec::new();
    for id in &report.ids {
        let query = ArchiveQuery {
            ids: vec![*id],
            max: 1,
            ..ArchiveQuery::default()
        };
        match patiently(world.store.query(&report.reporter, &query)).await {
            Ok(page) => shown.extend(page.entries),
            Err(StoreError::NoSuchItem) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(shown)
}

async fn administrators(world: &World, domain: &str) -> Result<Vec<BareJid>, StoreError> {
    let mut administrators = Vec::new();
    let mut last: Option<BareJid> = None;
    loop {
        let page = patiently(world.store.list_accounts(domain, last.as_ref(), PAGE)).await?;
        let Some(end) = page.last() else {
            return Ok(administrators);
        };
        last = Some(end.jid.clone());
        let is_admin = |it: &Account| it.admin || has_role(world, &it.jid);
        let found = page.into_iter().filter(|it| !it.disabled && is_admin(it));
        administrators.extend(found.map(|account| account.jid));
        if administrators.len() >= TOLD_MAX {
            administrators.truncate(TOLD_MAX);
            return Ok(administrators);
        }
    }
}
