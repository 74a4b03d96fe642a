//! The authority of a cluster: the key that signs the certificates of its nodes (RFC 5280).
//!
//! It is made from nothing by the first node and known to nobody outside the cluster. Leaves out
//! revocation: whoever must be shut out is shut out by a new secret on all nodes.

use crate::error::Error;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How long the authority itself is good: it ends with the cluster, not before.
const AUTHORITY_GOOD_FOR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// How long a node's certificate is good. A node makes a new one when a third of it is left.
pub const NODE_GOOD_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate is good since before it was made: other nodes' clocks may be behind.
const CLOCKS_APART_MAX: Duration = Duration::from_secs(3600);

/// The name that every node's certificate has beside the node's own, so that it can be checked
/// by a new node, which does not know yet who answers.
pub const CLUSTER_NAME: &str = "cluster.klatsch.internal";

/// What signs.
pub struct Authority {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

/// A node's certificate, with the authority's behind it, and its key.
pub struct NodeCertificate {
    /// The certificate, then the authority's.
    pub chain: Vec<CertificateDer<'static>>,
    /// The same, PEM.
    pub chain_pem: String,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
    /// The same, PEM.
    pub key_pem: SecretString,
    /// When it ends.
    pub ends: SystemTime,
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn make(now: SystemTime) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = params();
        set_times(&mut params, now, AUTHORITY_GOOD_FOR);
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key,
        })
    }

    /// Reads an authority; certificate and key must belong together.
    ///
    /// # Errors
    /// They do not, or are none.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::Certificate(format!("of the cluster: {what}"));
        let der = CertificateDer::from_pem_slice(certificate.as_bytes());
        let der = der.map_err(|_| wrong("no certificate in PEM"))?;
        // Not what the parser says: it could show the key.
        let key = KeyPair::from_pem(key).map_err(|_| wrong("no key in PEM"))?;
        let (_, parsed) =
            X509Certificate::from_der(&der).map_err(|_| wrong("no certificate in PEM"))?;
        if parsed.public_key().raw != key.subject_public_key_info().as_slice() {
            return Err(wrong("certificate and key do not belong together"));
        }
        Ok(Self {
            certificate_pem: certificate.to_owned(),
            certificate: der.clone(),
            key,
        })
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The same, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's key, PEM.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// By which new nodes know the cluster.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.certificate)
    }

    /// Makes a key and a certificate for the node of this name.
    ///
    /// # Errors
    /// The name cannot stand in a certificate, or there is no randomness.
    pub fn issue(&self, name: &str, now: SystemTime) -> Result<NodeCertificate, Error> {
        // The first name is the node's: the link takes it from there.
        let names = vec![name.to_owned(), CLUSTER_NAME.to_owned()];
        let mut params = CertificateParams::new(names).map_err(failed)?;
        params.distinguished_name = called(name);
        set_times(&mut params, now, NODE_GOOD_FOR);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Each node is both: it dials and is dialled.
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let issuer = Issuer::new(self::params(), &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        let private = PrivateKeyDer::try_from(key.serialize_der());
        Ok(NodeCertificate {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            chain_pem: format!("{}{}", certificate.pem(), self.certificate_pem),
            key_pem: key.serialize_pem().into(),
            key: private.map_err(|error| Error::Certificate(error.to_owned()))?,
            ends: now + NODE_GOOD_FOR,
        })
    }
}

/// What a certificate is known by: the SHA-256 of its DER.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// What an authority's certificate says, but for the times: an issuer is made of it again.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = called("klatsch cluster");
    // It signs nodes and no other authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// Sets from and until when something made now is good.
fn set_times(params: &mut CertificateParams, now: SystemTime, good_for: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = epoch + since.saturating_sub(CLOCKS_APART_MAX);
    params.not_after = epoch + since + good_for;
}

fn failed(error: rcgen::Error) -> Error {
    Error::Certificate(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::sync::Arc;

    fn is_good(authority: &Authority, chain: &[CertificateDer<'static>], at: SystemTime) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let name = ServerName::try_from(CLUSTER_NAME).unwrap();
        let at = UnixTime::since_unix_epoch(at.duration_since(UNIX_EPOCH).unwrap());
        let verifier = verifier.build().unwrap();
        let verified = verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], at);
        verified.is_ok()
    }

    #[test]
    fn node_is_known_by_its_own_authority_and_no_other() {
        let now = SystemTime::now();
        let (ours, other) = (Authority::make(now).unwrap(), Authority::make(now).unwrap());
        let node = ours.issue("node1", now).unwrap();
        assert!(is_good(&ours, &node.chain, now));
        assert!(!is_good(&other, &node.chain, now));
    }

    #[test]
    fn certificate_is_good_for_thirty_days_and_for_clocks_an_hour_behind() {
        let now = SystemTime::now();
        let authority = Authority::make(now).unwrap();
        let node = authority.issue("node1", now).unwrap();
        let minute = Duration::from_secs(60);
        assert!(is_good(
            &authority,
            &node.chain,
            now - CLOCKS_APART_MAX + minute
        ));
        assert!(is_good(&authority, &node.chain, node.ends - minute));
        assert!(!is_good(&authority, &node.chain, node.ends + minute));
    }

    #[test]
    fn node_is_no_authority() {
        let now = SystemTime::now();
        let authority = Authority::make(now).unwrap();
        let node = authority.issue("node1", now).unwrap();
        let key = KeyPair::try_from(&node.key).unwrap();
        let mut params = CertificateParams::new(vec![CLUSTER_NAME.to_owned()]).unwrap();
        set_times(&mut params, now, NODE_GOOD_FOR);
        let mut as_issuer = CertificateParams::default();
        as_issuer.distinguished_name = called("node1");
        let forged_key = KeyPair::generate().unwrap();
        let forged = params
            .signed_by(&forged_key, &Issuer::new(as_issuer, key))
            .unwrap();
        let mut chain = vec![forged.der().clone()];
        chain.extend(node.chain.iter().cloned());
        assert!(!is_good(&authority, &chain, now));
    }

    #[test]
    fn authority_that_was_read_again_signs_for_the_same_nodes() {
        let now = SystemTime::now();
        let made = Authority::make(now).unwrap();
        let read = Authority::from_pem(made.certificate_pem(), &made.key_pem()).unwrap();
        assert_eq!(read.fingerprint(), made.fingerprint());
        let node = read.issue("node2", now).unwrap();
        assert!(is_good(&made, &node.chain, now));
    }

    #[test]
    fn certificate_and_key_of_different_authorities_are_refused() {
        let now = SystemTime::now();
        let (one, two) = (Authority::make(now).unwrap(), Authority::make(now).unwrap());
        let mixed = Authority::from_pem(one.certificate_pem(), &two.key_pem());
        assert!(
            mixed
                .err()
                .unwrap()
                .to_string()
                .contains("do not belong together")
        );
        for (certificate, key) in [
            ("", ""),
            (one.certificate_pem(), "x"),
            ("x", &one.key_pem()),
        ] {
            assert!(Authority::from_pem(certificate, key).is_err());
        }
    }
}
