//! Accounts that people make for themselves, in band or in a browser: who may, and how many from
//! one address (row A16).
//!
//! Invitations are not counted here: each is good once, and so many has an inviter.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use klatsch_actors::account_change::AccountError;
use klatsch_actors::sessions::Sessions;
use klatsch_protocol::features::invitation::{Invitation, TokenHash};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::StanzaError;
use klatsch_protocol::stream::register::{Invited, NewAccount, Registration};

use super::throttle::make_room;
use crate::listener::{AddressKey, Bucket, Limits, Rate};

/// Lets people make accounts; shared by all transports.
pub struct Registrar {
    sessions: Sessions,
    limits: Arc<Limits>,
    addresses: Mutex<HashMap<AddressKey, Bucket>>,
}

/// Why no account is made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Too many come from this address.
    #[error("too many accounts have been made from your address, please try again later")]
    TooMany,
    /// It cannot be made.
    #[error(transparent)]
    Account(#[from] AccountError),
}

impl Refused {
    fn to_stanza_error(&self) -> StanzaError {
        match self {
            Self::TooMany => StanzaError::resource_constraint().with_text(self.to_string()),
            Self::Account(error) => error.to_stanza_error(),
        }
    }
}

impl Registrar {
    /// Makes accounts of the domains that these sessions are of.
    pub fn new(sessions: Sessions, limits: Arc<Limits>) -> Self {
        let addresses = Mutex::default();
        Self {
            sessions,
            limits,
            addresses,
        }
    }

    /// Who may register over a stream.
    pub fn offered(&self) -> Registration {
        let settings = &self.sessions.host().registration;
        Registration {
            is_open: settings.is_open,
            is_by_invitation: settings.invitations.is_enabled,
        }
    }

    /// An invitation that is good now.
    ///
    /// # Errors
    /// What whoever asks is told: the store does not answer.
    pub async fn invitation(&self, hash: TokenHash) -> Result<Option<Invitation>, StanzaError> {
        match self.offered().is_by_invitation {
            true => self.sessions.invitation(hash).await,
            false => Ok(None),
        }
    }

    /// What an invitation allows at a domain (XEP-0445 §4).
    ///
    /// # Errors
    /// What the client is told: it is no good, or nobody can tell now.
    pub async fn check(&self, domain: &BareJid, hash: TokenHash) -> Result<Invited, StanzaError> {
        let found = self.invitation(hash).await?;
        let found = found.filter(|found| found.domain == *domain);
        let text = "The provided token is invalid or expired";
        let found = found.ok_or_else(|| StanzaError::item_not_found().with_text(text))?;
        let reserved = found.reserved;
        Ok(Invited { reserved })
    }

    /// Makes an account for somebody at this address.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn register(&self, peer: IpAddr, new: NewAccount) -> Result<(), Refused> {
        if new.token.is_none() && !self.takes(peer, Instant::now()) {
            tracing::warn!(peer = %peer, "too many accounts made from this address");
            return Err(Refused::TooMany);
        }
        Ok(self.sessions.register(new).await?)
    }

    /// The same with an answer for a client.
    ///
    /// # Errors
    /// What the client is told.
    pub async fn register_in_band(&self, peer: IpAddr, new: NewAccount) -> Result<(), StanzaError> {
        let done = self.register(peer, new).await;
        done.map_err(|refused| refused.to_stanza_error())
    }

    fn takes(&self, peer: IpAddr, now: Instant) -> bool {
        if self.limits.trusts(peer) {
            return true;
        }
        let rate = Rate {
            per_second: f64::from(self.limits.registrations_per_address) / 3600.0,
            burst: f64::from(self.limits.registrations_per_address),
        };
        let mut addresses = self
            .addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        make_room(&mut addresses, |bucket| !bucket.is_full(rate, now));
        let bucket = addresses
            .entry(peer.into())
            .or_insert_with(|| Bucket::full(rate, now));
        bucket.take(rate, now)
    }
}
