//! The certificate: the operator's, or one signed by itself that is made at the first start and kept.
//!
//! Leaves out ACME. Whether key and certificate belong together is for the TLS library to say.

use super::data_dir::write_secret;
use crate::config::Config;
use crate::error::Error;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate, parse_x509_pem};

/// How long one is good. Some systems take none that is good for more than 825 days.
const GOOD_FOR: Duration = Duration::from_secs(800 * 24 * 3600);

/// A new one is made at a start this long before the old one ends.
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The hosts of a domain (DESIGN section 9), beside itself.
const HOSTS: &[&str] = &["conference", "upload", "pubsub", "calls"];

/// A certificate with its chain and its key, both PEM.
pub struct Certificate {
    /// The certificate first, then its chain.
    pub chain: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The names it is for.
    pub names: BTreeSet<String>,
    /// When it ends.
    pub ends: SystemTime,
}

impl Certificate {
    /// Reads the operator's certificate, or the one made at the first start, which is made where it
    /// is missing, ends soon, or lacks a name.
    pub fn load_or_make(config: &Config, data: &Path) -> Result<Self, Error> {
        if let (Some(chain), Some(key)) = (&config.tls.certificate, &config.tls.key) {
            return Self::read(chain, key);
        }
        let (chain, key) = own_paths(data);
        let names = names(&config.domains())?;
        let kept = Self::read(&chain, &key)
            .ok()
            .filter(|kept| kept.is_good_for(&names));
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let made = Self::make(&names)?;
        // The key first: a certificate without its key would not be made again at the next start.
        write_secret(&key, &made.key)?;
        write_secret(&chain, &made.chain)?;
        tracing::info!(path = ?chain, "self-signed certificate made");
        Ok(made)
    }

    /// What the certificate says of itself.
    pub fn contents(&self) -> Result<Contents, Error> {
        let broken = || Error::Certificate("not a certificate in PEM".to_owned());
        let (_, pem) = parse_x509_pem(&self.chain).map_err(|_| broken())?;
        let (_, certificate) = X509Certificate::from_der(&pem.contents).map_err(|_| broken())?;
        let extension = certificate.subject_alternative_name().ok().flatten();
        let general = extension
            .iter()
            .flat_map(|extension| &extension.value.general_names);
        let names = general.filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_lowercase()),
            _ => None,
        });
        let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Contents {
            names: names.collect(),
            ends: UNIX_EPOCH + Duration::from_secs(seconds),
        })
    }

    fn read(chain: &Path, key: &Path) -> Result<Self, Error> {
        Ok(Self {
            chain: fs::read(chain).map_err(Error::io("cannot read", chain))?,
            key: fs::read(key).map_err(Error::io("cannot read", key))?,
        })
    }

    fn is_good_for(&self, names: &BTreeSet<String>) -> bool {
        let soon = SystemTime::now() + RENEW_BEFORE;
        self.contents()
            .is_ok_and(|contents| contents.ends > soon && contents.names.is_superset(names))
    }

    fn make(names: &BTreeSet<String>) -> Result<Self, Error> {
        let failed = |error: rcgen::Error| Error::Certificate(error.to_string());
        let mut params =
            CertificateParams::new(names.iter().cloned().collect::<Vec<_>>()).map_err(failed)?;
        if names.contains("localhost") {
            let loopback = [
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ];
            params
                .subject_alt_names
                .extend(loopback.map(SanType::IpAddress));
        }
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "klatsch, signed by itself");
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        // A clock that is an hour behind should not refuse it.
        params.not_before =
            rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(Duration::from_secs(3600));
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + now + GOOD_FOR;
        // P-256, rcgen's default: every client has it.
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            chain: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        })
    }
}

/// Where the certificate that we make is kept, and its key.
fn own_paths(data: &Path) -> (PathBuf, PathBuf) {
    (data.join("certificate.pem"), data.join("key.pem"))
}

/// Every name a certificate for these domains needs, as DNS writes them.
pub fn names(domains: &[String]) -> Result<BTreeSet<String>, Error> {
    let mut names = BTreeSet::new();
    for domain in domains {
        let wrong = |_| Error::Certificate(format!("no certificate can name \"{domain}\""));
        let domain = idna::domain_to_ascii(domain).map_err(wrong)?;
        names.extend(HOSTS.iter().map(|host| format!("{host}.{domain}")));
        names.insert(domain);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(domains: &str) -> Config {
        toml::from_str(&format!("domains = {domains}")).unwrap()
    }

    #[test]
    fn certificate_names_every_host_of_every_domain_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let config = config("[\"a.example\", \"b.example\"]");
        let made = Certificate::load_or_make(&config, folder.path()).unwrap();
        let contents = made.contents().unwrap();
        assert_eq!(contents.names.len(), 10);
        assert!(contents.names.contains("conference.b.example"));
        assert!(contents.ends > SystemTime::now() + RENEW_BEFORE);
        let again = Certificate::load_or_make(&config, folder.path()).unwrap();
        assert_eq!((again.chain, again.key), (made.chain, made.key));
    }

    #[test]
    fn key_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        Certificate::load_or_make(&config("[\"a.example\"]"), folder.path()).unwrap();
        assert!(!super::super::data_dir::is_open_to_others(
            &own_paths(folder.path()).1
        ));
    }

    #[test]
    fn new_domain_makes_a_new_certificate_and_a_removed_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let first = Certificate::load_or_make(&config("[\"a.example\"]"), folder.path()).unwrap();
        let both = config("[\"a.example\", \"b.example\"]");
        let second = Certificate::load_or_make(&both, folder.path()).unwrap();
        assert_ne!(first.chain, second.chain);
        let third = Certificate::load_or_make(&config("[\"b.example\"]"), folder.path()).unwrap();
        assert_eq!(second.chain, third.chain);
    }

    #[test]
    fn domain_outside_ascii_is_written_as_dns_does() {
        assert!(
            names(&["müller.example".to_owned()])
                .unwrap()
                .contains("xn--mller-kva.example")
        );
    }

    #[test]
    fn operators_certificate_is_read_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config("[\"a.example\"]");
        config.tls.certificate = Some(folder.path().join("c.pem"));
        config.tls.key = Some(folder.path().join("k.pem"));
        assert!(matches!(
            Certificate::load_or_make(&config, folder.path()),
            Err(Error::Io { .. })
        ));
        fs::write(folder.path().join("c.pem"), "C").unwrap();
        fs::write(folder.path().join("k.pem"), "K").unwrap();
        let read = Certificate::load_or_make(&config, folder.path()).unwrap();
        assert_eq!((&read.chain[..], &read.key[..]), (&b"C"[..], &b"K"[..]));
        assert!(read.contents().is_err());
    }
}
