//! Invitations in memory.

use klatsch_protocol::features::invitation::{Invitation, Invite, TokenHash};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use super::{Memory, State};
use crate::accounts::Credentials;
use crate::error::{Result, StoreError};
use crate::invitations::Invitations;

impl Invitations for Memory {
    async fn add_invitation(&self, invite: &Invite) -> Result<bool> {
        let mut state = self.state();
        let invitation = &invite.invitation;
        let now = invitation.created;
        state.invitations.retain(|_, known| known.expiry > now);
        if let Some(inviter) = &invitation.inviter {
            if !state.accounts.contains_key(inviter) {
                return Err(StoreError::NoSuchAccount);
            }
            let own = state.invitations.values();
            let own = own.filter(|known| known.inviter.as_ref() == Some(inviter));
            if own.count() >= invite.max as usize {
                return Ok(false);
            }
        }
        let reserved = invitation.reserved.as_ref();
        if reserved.is_some_and(|reserved| state.is_taken(reserved, None, now)) {
            return Err(StoreError::Conflict);
        }
        state.invitations.insert(invite.hash(), invitation.clone());
        Ok(true)
    }

    async fn invitation(&self, hash: TokenHash, now: Timestamp) -> Result<Option<Invitation>> {
        let found = self.state().invitations.get(&hash).cloned();
        Ok(found.filter(|found| found.expiry > now))
    }

    async fn register_account(
        &self,
        account: &BareJid,
        credentials: &Credentials,
        invitation: Option<TokenHash>,
        now: Timestamp,
    ) -> Result<Option<Invitation>> {
        let mut state = self.state();
        let used = match invitation {
            Some(hash) => Some(
                state
                    .invitations
                    .get(&hash)
                    .filter(|it| it.is_for(account))
                    .cloned()
                    .ok_or(StoreError::NoSuchItem)?,
            ),
            None => None,
        };
        if state.is_taken(account, invitation, now) {
            return Err(StoreError::Conflict);
        }
        if let Some(hash) = invitation {
            state.invitations.remove(&hash);
        }
        state.create(account, credentials, false, now)?;
        Ok(used)
    }

    async fn use_invitation(
        &self,
        inviter: &BareJid,
        hash: TokenHash,
        now: Timestamp,
    ) -> Result<bool> {
        let mut state = self.state();
        let is_own = state.invitations.get(&hash).is_some_and(|known| {
            known.is_contact && known.inviter.as_ref() == Some(inviter) && known.expiry > now
        });
        if is_own {
            state.invitations.remove(&hash);
        }
        Ok(is_own)
    }
}

impl State {
    fn is_taken(&self, account: &BareJid, but: Option<TokenHash>, now: Timestamp) -> bool {
        let reserves = |(hash, known): (&TokenHash, &Invitation)| {
            known.reserved.as_ref() == Some(account) && known.expiry > now && Some(*hash) != but
        };
        self.accounts.contains_key(account)
            || self.past.contains_key(account)
            || self.invitations.iter().any(reserves)
    }
}
