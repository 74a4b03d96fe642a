//! Accounts that follow an organisation's directory: made before anybody has logged in, and
//! renamed with their people.
//!
//! Owns nothing. Leaves out when that is: whoever reads the directory knows.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::facts::Views;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_store::{Credentials, StoreError};
use tokio::time::{sleep, timeout};

use crate::administration::notices;
use crate::mail::{Address, Mail};
use crate::peers::envelope::Aspect;
use crate::rooms;
use crate::router::patiently;
use crate::sessions::Sessions;
use crate::world::World;

/// Sessions that are told to end do so at once; those of a node that is not heard are given up
/// before.
const ENDING_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether they have.
const ENDING_LOOK: Duration = Duration::from_millis(10);

impl Sessions {
    /// Makes an account without keys where there is none, so that messages wait for somebody who
    /// has never logged in; tells whether there was none.
    ///
    /// # Errors
    /// `Unavailable`, `Uncertain`.
    pub async fn provide_account(&self, account: &BareJid) -> Result<bool, StoreError> {
        let world = self.world();
        let (none, now) = (Credentials::default(), world.now());
        match patiently(world.store.create_account(account, &none, false, now)).await {
            Ok(()) => {
                tracing::debug!(jid = %account, "account made for who is in the directory");
                notices::welcome(world, account).await;
                Ok(true)
            }
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives an account another address, with all it has. Its sessions end, and find themselves
    /// under the new address when they come back (RFC 6120 §4.9.3.16).
    ///
    /// # Errors
    /// As [`klatsch_store::Store::rename_account`]; nothing has changed then, unless the store is
    /// uncertain.
    pub async fn rename_account(&self, from: &BareJid, to: &BareJid) -> Result<(), StoreError> {
        let world = self.world();
        let contacts = patiently(world.store.who_shows(&Jid::from(from))).await?;
        patiently(world.store.rename_account(from, to, world.now())).await?;
        tell_renamed(world, from, to, &contacts);
        Ok(())
    }

    /// Whether this node is the one that does what one of all is to do, as a room of this name
    /// would be here. In a split there is one on each side.
    pub fn is_in_charge(&self, of: &BareJid) -> bool {
        let peers = self.world().directory.peers();
        peers.is_none_or(|peers| peers.home(of).is_none())
    }
}

/// Gives each of these accounts the address of the next one, and the last that of the first, and
/// changes the directory's entries with it; answers their version.
///
/// Sessions go by their address, and with an exchange there is somebody of that address at any
/// moment: so they end before it, and those that have come meanwhile after it.
pub(crate) async fn exchange(
    world: &Arc<World>,
    circle: &[BareJid],
    expected: u64,
    changes: Vec<Change>,
) -> Result<u64, StoreError> {
    end_all(world, circle).await?;
    patiently(world.accounts.write_cursors()).await?;
    let mut contacts = Vec::with_capacity(circle.len());
    for account in circle {
        contacts.push(patiently(world.store.who_shows(&Jid::from(account))).await?);
    }
    let exchanging = world
        .store
        .exchange_addresses(circle, expected, changes, world.now());
    let version = patiently(exchanging).await?;
    let next = circle.iter().cycle().skip(1);
    for ((from, to), contacts) in circle.iter().zip(next).zip(&contacts) {
        tell_renamed(world, from, to, contacts);
    }
    Ok(version)
}

/// Ends the sessions of these accounts on all nodes, and waits until there is none.
async fn end_all(world: &World, accounts: &[BareJid]) -> Result<(), StoreError> {
    for account in accounts {
        let error = StreamError::new(StreamCondition::Reset);
        let everywhere = Address::Account(account.clone());
        world.directory.send(&everywhere, Mail::End(error));
    }
    let have_ended = |account: &BareJid| {
        let is_seen = !world.directory.view(account).resources.is_empty();
        // What a session that has just ended here still leaves behind.
        !is_seen && world.accounts.at_hand(account).is_none()
    };
    let ending = async {
        while !accounts.iter().all(have_ended) {
            sleep(ENDING_LOOK).await;
        }
    };
    let late = |_| StoreError::Unavailable("sessions of accounts do not end".to_owned());
    timeout(ENDING_PATIENCE, ending).await.map_err(late)
}

fn tell_renamed(world: &Arc<World>, from: &BareJid, to: &BareJid, contacts: &[BareJid]) {
    tracing::info!(jid = %to, before = %from, "account has another address");
    // First the note, then the sessions: one that is just being bound sees one or the other.
    world.changed.note(from);
    world.accounts.part(from);
    rooms::reread_here(world, from);
    world.accounts.invalidate_all();
    if let Some(peers) = world.directory.peers() {
        peers.changed(from, Aspect::Removed);
        for contact in contacts {
            peers.changed(contact, Aspect::Data);
        }
    }
    let mut error = StreamError::new(StreamCondition::Reset);
    error.text = Some(format!("the address is {to} now").into());
    let everywhere = Address::Account(from.clone());
    world.directory.send(&everywhere, Mail::End(error));
}
