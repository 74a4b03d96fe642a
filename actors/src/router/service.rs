//! What the services of a domain answer.

use std::collections::VecDeque;
use std::sync::Arc;

use klatsch_protocol::effect::{Answer, Change, Effect, Query};
use klatsch_protocol::facts::AccountData;
use klatsch_protocol::features::Service;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::pipeline;
use klatsch_protocol::stanza::{IqKind, Stanza, StanzaError};
use klatsch_store::StoreError;
use tokio::time::Instant;

use super::load::{answer_of, ask_nodes, reserve_upload};
use super::{STALE_MAX, boxed_route, patiently};
use crate::web_push;
use crate::world::{World, now};

/// Answers for a service of a domain, on whichever node the sender is: what it changes goes
/// to the store with the version it was decided on.
pub async fn decide_for_service(
    world: &Arc<World>,
    service: Service,
    host: &BareJid,
    stanza: &Stanza,
    depth: u8,
) {
    if let Some(error) = refuse_search(world, service, stanza) {
        if let Some(reply) = stanza.error_reply(&error) {
            boxed_route(world, reply, depth + 1).await;
        }
        return;
    }
    for _ in 0..STALE_MAX {
        match decide_service_once(world, service, host, stanza, depth).await {
            Ok(()) => return,
            Err(StoreError::Conflict) => {}
            Err(error) => {
                tracing::warn!(%error, %host, "a service cannot answer");
                break;
            }
        }
    }
    if let Some(reply) = stanza.error_reply(&StanzaError::resource_constraint()) {
        boxed_route(world, reply, depth + 1).await;
    }
}

async fn decide_service_once(
    world: &Arc<World>,
    service: Service,
    host: &BareJid,
    stanza: &Stanza,
    depth: u8,
) -> Result<(), StoreError> {
    // A service is nobody's account: it has no roster and blocks nobody.
    let nobody = AccountData::default();
    let decided = pipeline::decide_service(stanza, service, &world.facts(host, &nobody, None));
    let mut effects: VecDeque<Effect> = decided.into();
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::Reply(reply) | Effect::Route(reply) => boxed_route(world, reply, depth).await,
            Effect::Change(Change::Pubsub(change)) => {
                patiently(world.store.change_node(&change, now())).await?;
            }
            Effect::Load(query, go_on) => {
                let answer = ask_for_service(world, host, &query).await;
                let more = go_on(stanza, answer, &world.facts(host, &nobody, None));
                more.into_iter()
                    .rev()
                    .for_each(|effect| effects.push_front(effect));
            }
            Effect::Trace(what, why) => tracing::trace!(what, why),
            other => debug_assert!(false, "a service has nothing for {other:?}"),
        }
    }
    Ok(())
}

/// Asks the store for a service.
async fn ask_for_service(world: &World, host: &BareJid, query: &Query) -> Answer {
    match query {
        Query::Pubsub(of, nodes) | Query::Shown(of, nodes) => {
            answer_of(patiently(ask_nodes(world, of, host.as_jid(), nodes)).await)
        }
        Query::Slot(request) => reserve_upload(world, request).await,
        // Asked seldom, and larger than all the others.
        Query::WebPush(ask) => Box::pin(web_push::ask(world, ask)).await,
        other => {
            debug_assert!(false, "a service has nothing to ask with {other:?}");
            Answer::Failed(StanzaError::internal_server_error())
        }
    }
}

/// Row C08: who looks for people reads a directory, and is counted like who searches archives.
fn refuse_search(world: &World, service: Service, stanza: &Stanza) -> Option<StanzaError> {
    let is_search = matches!(stanza, Stanza::Iq(iq) if iq.kind == IqKind::Set);
    if service != Service::People || !is_search {
        return None;
    }
    let asker = stanza.from()?.bare();
    let settings = world.settings.searches;
    world.searches.take(&asker, settings, Instant::now()).err()
}
