//! What the server does for an account: the stanza is decided with the account's facts, and the
//! effects carried out.

use std::collections::VecDeque;
use std::sync::Arc;

use klatsch_protocol::effect::{Answer, Effect, Query};
use klatsch_protocol::facts::AccountData;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::pipeline;
use klatsch_protocol::stanza::{PresenceKind, Stanza, StanzaError};
use klatsch_store::StoreError;

use super::{STALE_MAX, ask, boxed_route, patiently, push, refusal_of, show_avatar};
use crate::faces;
use crate::world::World;

/// Acts for an account: decides the stanza with its facts and carries the effects out.
pub async fn decide_for_account(world: &Arc<World>, account: &BareJid, stanza: &Stanza, depth: u8) {
    if world.push.take_answer(world, account, stanza) {
        return;
    }
    for _ in 0..STALE_MAX {
        match decide_once(world, account, stanza, depth).await {
            Ok(()) => return,
            Err(StoreError::Conflict) => {}
            Err(StoreError::NoSuchAccount) => {
                for reply in answers_for_nobody(world, account, stanza).await {
                    boxed_route(world, reply, depth + 1).await;
                }
                return;
            }
            Err(error) => {
                let refusal = refusal_of(&error);
                if let Some(reply) = stanza.error_reply(&refusal) {
                    boxed_route(world, reply, depth + 1).await;
                }
                return;
            }
        }
    }
    tracing::warn!("an account changes faster than a decision can be taken");
    if let Some(reply) = stanza.error_reply(&StanzaError::resource_constraint()) {
        boxed_route(world, reply, depth + 1).await;
    }
}

async fn decide_once(
    world: &Arc<World>,
    account: &BareJid,
    stanza: &Stanza,
    depth: u8,
) -> Result<(), StoreError> {
    let cell = patiently(world.accounts.get(account)).await?;
    let data = cell.data();
    let mut effects: VecDeque<Effect> =
        pipeline::decide_account(stanza, &world.facts(account, &data, None)).into();
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::Reply(reply) | Effect::Route(reply) => boxed_route(world, reply, depth).await,
            Effect::Change(change) => {
                patiently(world.accounts.change(&cell, &data, change)).await?;
            }
            Effect::Load(query, go_on) => {
                let answer = ask(world, &cell, &account.clone().into(), &query).await;
                let data = cell.data();
                let more = go_on(stanza, answer, &world.facts(account, &data, None));
                more.into_iter()
                    .rev()
                    .for_each(|effect| effects.push_front(effect));
            }
            Effect::Push(interest, payload) => push(world, account, interest, payload),
            Effect::ShowAvatar(hash) => show_avatar(world, account, hash),
            Effect::Trace(what, why) => tracing::trace!(what, why),
            other => debug_assert!(false, "an account has no session for {other:?}"),
        }
    }
    Ok(())
}

/// What is said for an account that does not exist: the word for word answers of one that the
/// asker is a stranger to, so that nobody learns which names are taken (row A11). Of people in the
/// directory who have never been here it is said what the directory shows.
async fn answers_for_nobody(world: &World, account: &BareJid, stanza: &Stanza) -> Vec<Stanza> {
    let is_question = match stanza {
        Stanza::Presence(presence) => presence.kind == PresenceKind::Probe,
        Stanza::Iq(_) => true,
        Stanza::Message(_) => false,
    };
    if !is_question {
        // RFC 6121 §3.1.3: a request to subscribe waits for an answer that never comes.
        return Vec::new();
    }
    let strangers = AccountData::default();
    let decided = pipeline::decide_account(stanza, &world.facts(account, &strangers, None));
    let mut effects: VecDeque<Effect> = decided.into();
    let mut replies = Vec::new();
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::Reply(reply) | Effect::Route(reply) => replies.push(reply),
            // An account that is not there has what one has that has nothing.
            Effect::Load(query, go_on) => {
                if let Some(nothing) = query.nothing() {
                    let answer = shown_for_nobody(world, account, &query, nothing).await;
                    let facts = world.facts(account, &strangers, None);
                    effects.extend(go_on(stanza, answer, &facts));
                }
            }
            _ => {}
        }
    }
    replies
}

async fn shown_for_nobody(
    world: &World,
    account: &BareJid,
    query: &Query,
    mut nothing: Answer,
) -> Answer {
    let (ask, found) = match (query, &mut nothing) {
        (Query::Shown(_, ask), Answer::Pubsub(found)) => (ask, Some(&mut **found)),
        (Query::KeptAndShown(_, ask), Answer::Kept(kept)) => (ask, kept.found.as_mut()),
        _ => return nothing,
    };
    let Some(found) = found else {
        return nothing;
    };
    match patiently(faces::add(world, None, account, ask, found)).await {
        Ok(()) => nothing,
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
}
