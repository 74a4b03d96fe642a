//! Accounts made, changed and removed, with what that means for their sessions (row A14).
//!
//! Owns nothing: the store has the accounts, the pool of [`crate::derivation`] makes keys of
//! passwords. Leaves out: who may do what; whoever asks has decided that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use klatsch_protocol::account::{AccountAct, AccountChange};
use klatsch_protocol::effect::Effect;
use klatsch_protocol::facts::Views;
use klatsch_protocol::features::roster;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::stanza::{Stanza, StanzaError, StreamCondition, StreamError};
use klatsch_store::{Credentials, StoreError};
use tokio::sync::broadcast;

use crate::administration::notices;
use crate::derivation::KeysError;
use crate::mail::{Address, Mail};
use crate::peers::envelope::Aspect;
use crate::rooms;
use crate::router::{self, patiently};
use crate::world::World;

/// Why an account is not changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AccountError {
    /// There is one of this name.
    #[error("there is such an account already")]
    Exists,
    /// There is none of this name.
    #[error("there is no such account")]
    Nobody,
    /// The invitation is not good any more.
    #[error("the invitation has been used")]
    Used,
    /// The password cannot be used, or not now.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The store does not do it.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Exists,
            StoreError::NoSuchAccount => Self::Nobody,
            StoreError::NoSuchItem => Self::Used,
            error => Self::Store(error),
        }
    }
}

impl AccountError {
    /// What whoever asked is told.
    pub fn to_stanza_error(&self) -> StanzaError {
        match self {
            Self::Exists => StanzaError::conflict(),
            Self::Used => StanzaError::forbidden().with_text("the invitation has been used"),
            Self::Nobody => StanzaError::item_not_found(),
            Self::Keys(KeysError::Password(why)) => {
                StanzaError::not_acceptable().with_text(why.to_string())
            }
            Self::Keys(KeysError::Busy) | Self::Store(_) => StanzaError::resource_constraint(),
        }
    }
}

/// Changes an account. Its sessions have been told to end when this returns, all but the one
/// that is spared.
///
/// # Errors
/// [`AccountError`]; nothing has changed then, unless the store is uncertain.
pub async fn change_account(
    world: &Arc<World>,
    change: AccountChange,
    spared: Option<&FullJid>,
) -> Result<(), AccountError> {
    let AccountChange { account, act } = change;
    match act {
        AccountAct::Create { password, is_admin } => {
            create(world, &account, password, is_admin).await
        }
        AccountAct::Password(password) => {
            let credentials = credentials(world, password).await?;
            patiently(world.store.set_credentials(&account, &credentials)).await?;
            tracing::info!(jid = %account, "password changed");
            end_sessions(world, &account, spared);
            Ok(())
        }
        AccountAct::Remove => remove(world, &account, spared).await,
        AccountAct::Disable(is_disabled) => {
            patiently(world.store.set_disabled(&account, is_disabled)).await?;
            tracing::info!(jid = %account, is_disabled, "account may log in or not");
            if is_disabled {
                end_sessions(world, &account, spared);
            }
            Ok(())
        }
        AccountAct::Administrator(is_admin) => {
            patiently(world.store.set_admin(&account, is_admin)).await?;
            tracing::info!(jid = %account, is_admin, "account administers or not");
            Ok(())
        }
    }
}

/// Admits an account that another system vouches for: makes it, without keys, where there is
/// none. False: an administrator of this server has disabled it.
pub(crate) async fn admit(world: &Arc<World>, account: &BareJid) -> Result<bool, StoreError> {
    if let Some(found) = patiently(world.store.credentials(account)).await? {
        return Ok(!found.disabled);
    }
    let (none, now) = (Credentials::default(), world.now());
    match patiently(world.store.create_account(account, &none, false, now)).await {
        Ok(()) => {
            tracing::info!(jid = %account, "account made at its first login");
            notices::welcome(world, account).await;
            Ok(true)
        }
        // By another connection of the same person, just now.
        Err(StoreError::Conflict) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Ends the sessions of an account and takes its tokens away; who logs in again has to prove
/// anew who they are.
pub(crate) async fn revoke(world: &Arc<World>, account: &BareJid) -> Result<(), StoreError> {
    let forgotten = patiently(world.store.forget_tokens(account, None)).await;
    end_sessions(world, account, None);
    forgotten
}

async fn create(
    world: &Arc<World>,
    account: &BareJid,
    password: Secret,
    is_admin: bool,
) -> Result<(), AccountError> {
    let credentials = credentials(world, password).await?;
    let now = world.now();
    patiently(
        world
            .store
            .create_account(account, &credentials, is_admin, now),
    )
    .await?;
    tracing::info!(jid = %account, is_admin, "account made");
    notices::welcome(world, account).await;
    Ok(())
}

pub(crate) async fn credentials(world: &World, password: Secret) -> Result<Credentials, KeysError> {
    let scram = world.derivations.keys(password).await?;
    Ok(Credentials {
        scram,
        ..Credentials::default()
    })
}

async fn remove(
    world: &Arc<World>,
    account: &BareJid,
    spared: Option<&FullJid>,
) -> Result<(), AccountError> {
    // Known before it is gone: to whom it has to say good-bye (RFC 6121 §2.5.2).
    let cell = patiently(world.accounts.get(account)).await?;
    let data = cell.data();
    let goodbyes = roster::set::part_with_all(&world.facts(account, &data, None));
    patiently(world.store.remove_account(account, world.now())).await?;
    tracing::info!(jid = %account, "account removed");
    rooms::reread_here(world, account);
    end_sessions(world, account, spared);
    if let Some(peers) = world.directory.peers() {
        peers.changed(account, Aspect::Removed);
    }
    let goodbyes = goodbyes.into_iter().filter_map(|effect| match effect {
        Effect::Route(stanza) => Some(stanza),
        _ => None,
    });
    say(world.clone(), goodbyes.collect());
    Ok(())
}

/// A roster may be long: nobody waits until each contact has heard of it.
fn say(world: Arc<World>, stanzas: Vec<Stanza>) {
    tokio::spawn(async move {
        for stanza in stanzas {
            router::route_to_end(&world, stanza, 0).await;
        }
    });
}

/// RFC 6120 §4.9.3.12: whoever is there has not proved to be who they are now (XEP-0077 §3.2).
pub(crate) fn end_sessions(world: &World, account: &BareJid, spared: Option<&FullJid>) {
    // First the note, then the sessions: one that is just being bound sees one or the other.
    world.changed.note(account);
    if let Some(peers) = world.directory.peers() {
        peers.changed(account, Aspect::Credentials);
    }
    let error = || Mail::End(StreamError::new(StreamCondition::NotAuthorized));
    for resource in &world.directory.view(account).resources {
        if spared != Some(&resource.jid) {
            let to = Address::Session(resource.jid.clone());
            world.directory.send(&to, error());
        }
    }
}

/// Which accounts have changed lately, so that whoever has proved before to own one, and has
/// no session yet, does not get one after.
pub struct Changed {
    accounts: Mutex<HashMap<BareJid, Instant>>,
    /// Whoever has given accounts something that must end with it.
    heard: broadcast::Sender<BareJid>,
}

/// Changes that a listener may be behind: removing this many accounts at once is a migration.
const HEARD_MAX: usize = 4096;

impl Default for Changed {
    fn default() -> Self {
        Self {
            accounts: Mutex::default(),
            heard: broadcast::Sender::new(HEARD_MAX),
        }
    }
}

/// A login takes no longer, whatever its deadline is set to.
const LOGIN_MAX: Duration = Duration::from_secs(600);

impl Changed {
    /// The account has changed just now.
    pub(crate) fn note(&self, account: &BareJid) {
        self.note_at(account, Instant::now());
        // Nobody may be listening.
        let _ = self.heard.send(account.clone());
    }

    /// Hears of every account that changes from now on, on whichever node.
    pub fn listen(&self) -> broadcast::Receiver<BareJid> {
        self.heard.subscribe()
    }

    fn note_at(&self, account: &BareJid, now: Instant) {
        let mut accounts = self.accounts.lock().expect("no holder panics");
        accounts.retain(|_, changed| now.duration_since(*changed) < LOGIN_MAX);
        accounts.insert(account.clone(), now);
    }

    /// Tells whether what an account's owner has proved then is worth nothing any more.
    pub fn is_since(&self, account: &BareJid, proved: Instant) -> bool {
        let accounts = self.accounts.lock().expect("no holder panics");
        accounts
            .get(account)
            .is_some_and(|changed| *changed >= proved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a14_what_was_proved_before_a_change_is_worth_nothing_after_it() {
        let changed = Changed::default();
        let account = BareJid::parse("anna@example.org").unwrap();
        let begun = Instant::now();
        assert!(!changed.is_since(&account, begun));
        let then = begun + Duration::from_secs(1);
        changed.note_at(&account, then);
        assert!(changed.is_since(&account, begun));
        assert!(!changed.is_since(&account, then + Duration::from_secs(1)));
        let another = BareJid::parse("bert@example.org").unwrap();
        changed.note_at(&another, then + LOGIN_MAX);
        assert!(
            !changed.is_since(&account, begun),
            "nothing is noted for ever"
        );
    }
}
