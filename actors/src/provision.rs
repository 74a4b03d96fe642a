//! Accounts that follow an organisation's directory: made before anybody has logged in, and
//! renamed with their people.
//!
//! Owns nothing. Leaves out when that is: whoever reads the directory knows.

use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_store::{Credentials, StoreError};

use crate::administration::notices;
use crate::mail::{Address, Mail};
use crate::peers::envelope::Aspect;
use crate::rooms;
use crate::router::patiently;
use crate::sessions::Sessions;

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
        tracing::info!(jid = %to, before = %from, "account has another address");
        // First the note, then the sessions: one that is just being bound sees one or the other.
        world.changed.note(from);
        rooms::reread_here(world, from);
        world.accounts.invalidate_all();
        if let Some(peers) = world.directory.peers() {
            peers.changed(from, Aspect::Removed);
            for contact in &contacts {
                peers.changed(contact, Aspect::Data);
            }
        }
        let mut error = StreamError::new(StreamCondition::Reset);
        error.text = Some(format!("the address is {to} now").into());
        let everywhere = Address::Account(from.clone());
        world.directory.send(&everywhere, Mail::End(error));
        Ok(())
    }

    /// Whether this node is the one that does what one of all is to do, as a room of this name
    /// would be here. In a split there is one on each side.
    pub fn is_in_charge(&self, of: &BareJid) -> bool {
        let peers = self.world().directory.peers();
        peers.is_none_or(|peers| peers.home(of).is_none())
    }
}
