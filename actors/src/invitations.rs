//! Accounts that people make for themselves, with an invitation or where anybody may (XEP-0077,
//! XEP-0401), and the invitations themselves.
//!
//! Owns nothing: the store has invitations by the hashes of their tokens. Leaves out: how many an
//! address may make; the gateway counts that.

use std::collections::VecDeque;
use std::sync::Arc;

use klatsch_protocol::effect::{Answer, Effect};
use klatsch_protocol::facts::Views;
use klatsch_protocol::features::invitation::{Invitation, Invite, TokenHash, hash_of};
use klatsch_protocol::features::subscription;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::StanzaError;
use klatsch_protocol::stream::register::NewAccount;
use klatsch_store::StoreError;

use crate::account_change::{AccountError, credentials};
use crate::administration::notices;
use crate::router::{self, STALE_MAX, patiently, refusal_of};
use crate::world::World;

/// Keeps an invitation, if there is a place among those of its inviter.
pub(crate) async fn make(world: &World, invite: &Invite) -> Answer {
    match patiently(world.store.add_invitation(invite)).await {
        Ok(true) => Answer::Invite(Some(Box::new(invite.clone()))),
        Ok(false) => Answer::Invite(None),
        Err(StoreError::Conflict) => {
            Answer::Failed(StanzaError::conflict().with_text("this name is taken"))
        }
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
}

/// An invitation that is good now.
///
/// # Errors
/// [`StoreError`]: the store does not answer.
pub(crate) async fn find(world: &World, hash: TokenHash) -> Result<Option<Invitation>, StoreError> {
    patiently(world.store.invitation(hash, world.now())).await
}

/// Makes an account for somebody who asks for it. Whoever has invited them is their contact
/// from now on.
///
/// # Errors
/// [`AccountError`]; the invitation stays good then.
pub(crate) async fn register(world: &Arc<World>, new: NewAccount) -> Result<(), AccountError> {
    let NewAccount {
        account,
        password,
        token,
    } = new;
    // Row R13: whoever the directory knows logs in by it; nobody else takes their place.
    let book = world.directory.book();
    if book.person(&account).is_some() || book.is_group(account.as_str()) {
        return Err(AccountError::Exists);
    }
    let hash = token.map(|token| hash_of(token.expose()));
    let credentials = credentials(world, password).await?;
    let now = world.now();
    let register = world
        .store
        .register_account(&account, &credentials, hash, now);
    let used = patiently(register).await?;
    tracing::info!(jid = %account, invited = used.is_some(), "account registered");
    let inviter = used
        .filter(|used| used.is_contact)
        .and_then(|it| it.inviter);
    if let Some(inviter) = inviter {
        for (one, other) in [(&account, &inviter), (&inviter, &account)] {
            if let Err(error) = befriend(world, one, other).await {
                tracing::warn!(%error, jid = %one, "an invitation makes no contact");
            }
        }
    }
    notices::welcome(world, &account).await;
    Ok(())
}

/// Puts a contact into a roster, decided again when that has changed meanwhile.
async fn befriend(
    world: &Arc<World>,
    account: &BareJid,
    contact: &BareJid,
) -> Result<(), StoreError> {
    for _ in 0..STALE_MAX {
        match befriend_once(world, account, contact).await {
            Err(StoreError::Conflict) => {}
            done => return done,
        }
    }
    Err(StoreError::Conflict)
}

async fn befriend_once(
    world: &Arc<World>,
    account: &BareJid,
    contact: &BareJid,
) -> Result<(), StoreError> {
    let cell = patiently(world.accounts.get(account)).await?;
    let data = cell.data();
    let decided = subscription::befriend(contact, &world.facts(account, &data, None));
    let mut effects: VecDeque<Effect> = decided.into();
    while let Some(effect) = effects.pop_front() {
        match effect {
            Effect::Change(change) => {
                patiently(world.accounts.change(&cell, &data, change)).await?;
            }
            Effect::Push(interest, payload) => router::push(world, account, interest, payload),
            Effect::Trace(what, why) => tracing::trace!(what, why),
            other => debug_assert!(false, "a new contact needs no {other:?}"),
        }
    }
    Ok(())
}
