//! Who this node is to others: its certificate, made anew before it ends, while everything runs.
//!
//! Handshakes ask for the certificate of the moment, so links that are up go on and new ones
//! take the new certificate: nothing has to be restarted.

use super::authority::NODE_GOOD_FOR;
use super::secret::ClusterSecret;
use crate::error::Error;
use crate::metrics;
use klatsch_cluster::credentials::Credentials;
use klatsch_cluster::error::ClusterError;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{SignatureScheme, crypto};
use secrecy::SecretString;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

/// What is left of a certificate when a new one is made: ten days, in which a node whose clock
/// or randomness fails can be looked after.
const RENEW_BEFORE: Duration = Duration::from_secs(NODE_GOOD_FOR.as_secs() / 3);

/// How often that is looked at: a clock may be set at any time.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// This node's certificate, now and later.
pub struct Identity {
    secret: Arc<ClusterSecret>,
    name: String,
    now: RwLock<Held>,
}

struct Held {
    /// As the link reads it.
    chain_pem: String,
    key_pem: SecretString,
    /// As a handshake of ours uses it.
    key: Arc<CertifiedKey>,
    ends: SystemTime,
}

impl Identity {
    /// Makes a certificate for the node of this name.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(
        secret: Arc<ClusterSecret>,
        name: &str,
        now: SystemTime,
    ) -> Result<Arc<Self>, Error> {
        let held = held(&secret, name, now)?;
        metrics::cluster_certificate(held.ends);
        Ok(Arc::new(Self {
            secret,
            name: name.to_owned(),
            now: RwLock::new(held),
        }))
    }

    /// The certificate for a handshake of this moment.
    pub fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.read().key)
    }

    /// What the link shows others, and knows them by.
    pub fn credentials(&self) -> Credentials {
        let held = self.read();
        Credentials {
            chain: held.chain_pem.clone(),
            key: held.key_pem.clone(),
            authority: self.secret.authority().certificate_pem().to_owned(),
            secret: self.secret.link_secret(),
        }
    }

    /// When the certificate of this moment ends.
    pub fn ends(&self) -> SystemTime {
        self.read().ends
    }

    /// Makes a new certificate when the present one ends soon; tells whether it did.
    ///
    /// # Errors
    /// None could be made; the present one stays.
    pub fn renew(&self, now: SystemTime) -> Result<bool, Error> {
        let ends = self.ends();
        // A clock that was ahead when it was made leaves one that is good much longer than it
        // may be, and perhaps not yet.
        let is_good = now + RENEW_BEFORE < ends && ends <= now + NODE_GOOD_FOR;
        if is_good {
            return Ok(false);
        }
        let held = held(&self.secret, &self.name, now)?;
        metrics::cluster_certificate(held.ends);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(true)
    }

    /// Renews for as long as it is polled; `take` gives a new certificate to the link.
    pub async fn keep(
        self: Arc<Self>,
        take: impl Fn(&Credentials) -> Result<(), ClusterError> + Send,
    ) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let renewed = match self.renew(SystemTime::now()) {
                Ok(false) => continue,
                Ok(true) => take(&self.credentials()).map_err(Error::from),
                Err(error) => Err(error),
            };
            match renewed {
                Ok(()) => tracing::info!("the node has a new certificate"),
                Err(error) => tracing::error!(%error, "the node's certificate is not renewed"),
            }
        }
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Held> {
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held(secret: &ClusterSecret, name: &str, now: SystemTime) -> Result<Held, Error> {
    let made = secret.authority().issue(name, now)?;
    let key = CertifiedKey::from_der(made.chain, made.key, &crypto::ring::default_provider());
    let key = key.map_err(|error| Error::Certificate(error.to_string()))?;
    Ok(Held {
        chain_pem: made.chain_pem,
        key_pem: made.key_pem,
        key: Arc::new(key),
        ends: made.ends,
    })
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Identity({})", self.name)
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _roots: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.key())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(now: SystemTime) -> Arc<Identity> {
        let secret = Arc::new(ClusterSecret::make(now).unwrap());
        Identity::make(secret, "node1", now).unwrap()
    }

    #[test]
    fn certificate_is_renewed_ten_days_before_it_ends_and_not_sooner() {
        let now = SystemTime::now();
        let identity = identity(now);
        let first = identity.key();
        assert!(
            !identity
                .renew(now + NODE_GOOD_FOR - RENEW_BEFORE - LOOK_EVERY)
                .unwrap()
        );
        assert!(Arc::ptr_eq(&identity.key(), &first));
        let late = now + NODE_GOOD_FOR - RENEW_BEFORE;
        assert!(identity.renew(late).unwrap());
        assert!(!Arc::ptr_eq(&identity.key(), &first));
        assert_eq!(identity.ends(), late + NODE_GOOD_FOR);
    }

    #[test]
    fn certificate_made_by_a_clock_that_was_ahead_is_made_again() {
        let now = SystemTime::now();
        let ahead = identity(now + Duration::from_secs(24 * 3600));
        assert!(ahead.renew(now).unwrap());
        assert_eq!(ahead.ends(), now + NODE_GOOD_FOR);
        assert!(!ahead.renew(now).unwrap());
    }
}
