//! Certificates, and the TLS settings made from them: TLS 1.2 and 1.3 only (RFC 9325 §3.1.1).
//!
//! A new certificate serves new handshakes; connections that stand keep theirs.
//! Leaves out: where the PEM text comes from, and ACME.

pub(crate) mod channel_binding;
pub mod trust;
mod turns;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConfig};
use x509_parser::prelude::{FromDer, X509Certificate};

pub use turns::HandshakeTurns;

/// What the listeners present; shared and replaceable.
pub struct CertificateStore {
    current: RwLock<Arc<Identity>>,
    // Outlives certificates, so that a reload does not cost every client its resumption.
    ticketer: Arc<dyn ProducesTickets>,
}

/// One certificate with what is made from it.
pub struct Identity {
    /// For XMPP, both STARTTLS and direct TLS.
    pub xmpp: Arc<ServerConfig>,
    /// For HTTPS.
    pub http: Arc<ServerConfig>,
    /// The `tls-server-end-point` channel binding, unless the certificate defines none.
    pub end_point: Option<Vec<u8>>,
    /// When the certificate ends.
    pub not_after: SystemTime,
    not_before: SystemTime,
}

/// Why a certificate is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file holds no certificate, or something that is none.
    #[error("no certificate in PEM form")]
    NoCertificate,
    /// The file holds no private key, or something that is none.
    #[error("no private key in PEM form")]
    NoKey,
    /// The leaf cannot be read.
    #[error("certificate is broken: {0}")]
    Broken(String),
    /// Key and certificate do not belong together, or cannot be used.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
    /// The new certificate is out of its time and the present one is not.
    #[error("certificate is expired or not yet valid")]
    OutOfTime,
}

impl CertificateStore {
    /// Takes the first certificate. One out of its time is taken with a warning: clients that
    /// do not check can still log in, and the operator sees why the others cannot.
    pub fn from_pem(chain: &[u8], key: &[u8], now: SystemTime) -> Result<Self, CertificateError> {
        let ticketer = ring::Ticketer::new()?;
        let identity = Identity::from_pem(chain, key, &ticketer)?;
        if !identity.is_valid(now) {
            tracing::warn!("the TLS certificate is expired or not yet valid");
        }
        Ok(Self {
            current: RwLock::new(Arc::new(identity)),
            ticketer,
        })
    }

    /// Replaces the certificate for new handshakes; on an error the present one stays.
    pub fn reload(
        &self,
        chain: &[u8],
        key: &[u8],
        now: SystemTime,
    ) -> Result<(), CertificateError> {
        let identity = Identity::from_pem(chain, key, &self.ticketer)?;
        // Experiment 18: never serve an expired certificate while a valid one is at hand.
        if !identity.is_valid(now) && self.current().is_valid(now) {
            return Err(CertificateError::OutOfTime);
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
        Ok(())
    }

    /// What a new handshake uses.
    pub fn current(&self) -> Arc<Identity> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Identity {
    fn from_pem(
        chain: &[u8],
        key: &[u8],
        ticketer: &Arc<dyn ProducesTickets>,
    ) -> Result<Self, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CertificateError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        let leaf = chain.first().ok_or(CertificateError::NoCertificate)?;
        let broken = |error: &dyn std::fmt::Display| CertificateError::Broken(error.to_string());
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| broken(&error))?;
        let end_point = channel_binding::server_end_point(leaf, &parsed.signature_algorithm);
        let validity = parsed.validity();
        let (not_before, not_after) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        let base = config(chain.clone(), key, ticketer)?;
        Ok(Self {
            // XEP-0368 §3: direct TLS may name its protocol; STARTTLS clients name none.
            xmpp: Arc::new(with_protocols(base.clone(), &[b"xmpp-client"])),
            http: Arc::new(with_protocols(base, &[b"http/1.1"])),
            end_point,
            not_before: from_unix(not_before),
            not_after: from_unix(not_after),
        })
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

fn config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    ticketer: &Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // Tickets carry the state themselves: nothing is remembered for each client.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::clone(ticketer);
    config.send_tls13_tickets = 1;
    Ok(config)
}

fn with_protocols(mut config: ServerConfig, protocols: &[&[u8]]) -> ServerConfig {
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

fn from_unix(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    moved.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pem {
        chain: String,
        key: String,
    }

    fn certificate(first_year: i32, last_year: i32) -> Pem {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(first_year, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Pem {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn store(pem: &Pem) -> Result<CertificateStore, CertificateError> {
        CertificateStore::from_pem(pem.chain.as_bytes(), pem.key.as_bytes(), SystemTime::now())
    }

    fn reload(store: &CertificateStore, pem: &Pem) -> Result<(), CertificateError> {
        store.reload(pem.chain.as_bytes(), pem.key.as_bytes(), SystemTime::now())
    }

    #[test]
    fn new_certificate_serves_new_handshakes_and_old_ones_keep_theirs() {
        let store = store(&certificate(2020, 2099)).unwrap();
        let before = store.current();
        reload(&store, &certificate(2020, 2099)).unwrap();
        assert!(!Arc::ptr_eq(&before, &store.current()));
        assert_ne!(before.end_point, store.current().end_point);
    }

    #[test]
    fn valid_certificate_is_never_replaced_by_an_expired_or_broken_one() {
        let store = store(&certificate(2020, 2099)).unwrap();
        let before = store.current();
        let expired = reload(&store, &certificate(2010, 2011));
        assert!(matches!(expired, Err(CertificateError::OutOfTime)));
        let mixed = Pem {
            key: certificate(2020, 2099).key,
            ..certificate(2020, 2099)
        };
        assert!(matches!(
            reload(&store, &mixed),
            Err(CertificateError::Unusable(_))
        ));
        let empty = Pem {
            chain: String::new(),
            key: String::new(),
        };
        assert!(reload(&store, &empty).is_err());
        assert!(Arc::ptr_eq(&before, &store.current()));
    }

    #[test]
    fn expired_certificate_is_served_only_for_want_of_a_better_one() {
        let store = store(&certificate(2010, 2011)).unwrap();
        reload(&store, &certificate(2010, 2012)).unwrap();
        reload(&store, &certificate(2020, 2099)).unwrap();
        assert!(reload(&store, &certificate(2010, 2012)).is_err());
    }
}
