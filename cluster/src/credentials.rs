//! What nodes know each other by: certificates under one authority, and a secret.
//!
//! Both sides of a connection show a certificate that the cluster's authority has signed; there
//! is no link without one, not even on loopback (row C01). The first DNS name of the
//! certificate's subject alternative names is the node's name; the certificate must be good for
//! a server and for a client. Which address a node was found under proves nothing and is not
//! compared.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, Mac};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::error::ClusterError;

/// Fewer bytes of secret could be guessed from one overheard login of ractor_cluster, whose
/// challenge has 32 bits (row C01).
const SECRET_BYTES_LEAST: usize = 32;

/// What a node shows others, and knows them by.
pub struct Credentials {
    /// The node's certificate and what is between it and the authority, PEM.
    pub chain: String,
    /// The certificate's key, PEM.
    pub key: SecretString,
    /// The cluster's authority, PEM; several while one is being replaced.
    pub authority: String,
    /// What all nodes of the cluster share, at least 32 bytes.
    pub secret: SecretString,
}

/// Credentials as the link uses them.
pub(crate) struct Tls {
    pub(crate) name: Box<str>,
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) connector: TlsConnector,
}

// Keys and secrets are never shown (row A18).
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

fn unfit(what: impl fmt::Display) -> ClusterError {
    ClusterError::Credentials(what.to_string())
}

impl Credentials {
    /// What ractor_cluster's nodes prove to each other that they know: derived, so that nothing
    /// is learnt from it about the secret.
    pub(crate) fn cookie(&self) -> Result<String, ClusterError> {
        let secret = self.secret.expose_secret().trim().as_bytes();
        if secret.len() < SECRET_BYTES_LEAST {
            let least = SECRET_BYTES_LEAST;
            return Err(unfit(format!("the secret has less than {least} bytes")));
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(unfit)?;
        mac.update(b"klatsch cluster cookie 1");
        let digest = mac.finalize().into_bytes();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(crate) fn tls(&self) -> Result<Tls, ClusterError> {
        let chain = certificates("certificate", &self.chain)?;
        let name = node_name(&chain[0]).ok_or_else(|| unfit("the certificate names no node"))?;
        let roots = Arc::new(self.roots()?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = server(&provider, &roots, chain.clone(), self.key()?)?;
        let client = client(&provider, &roots, chain, self.key()?)?;
        Ok(Tls {
            name: name.into(),
            acceptor: Arc::new(server).into(),
            connector: Arc::new(client).into(),
        })
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, ClusterError> {
        let pem = self.key.expose_secret().as_bytes();
        PrivateKeyDer::from_pem_slice(pem).map_err(|error| unfit(format!("key: {error}")))
    }

    fn roots(&self) -> Result<RootCertStore, ClusterError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("authority", &self.authority)? {
            roots.add(certificate).map_err(unfit)?;
        }
        Ok(roots)
    }
}

fn certificates(what: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, ClusterError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(unfit(format!("{what}: there is none"))),
        Ok(found) => Ok(found),
        Err(error) => Err(unfit(format!("{what}: {error}"))),
    }
}

fn server(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, ClusterError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
    let verifier = verifier.build().map_err(unfit)?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unfit)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    // Links live long: a ticket would only be another way in.
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, ClusterError> {
    let authority = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone());
    let verifier = AnyNode(authority.build().map_err(unfit)?);
    ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unfit)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, key)
        .map_err(unfit)
}

/// The name of the node a certificate is for.
pub(crate) fn node_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names
        .value
        .general_names
        .iter()
        .find_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
}

/// Any node of the cluster: who dials an address learns from the certificate who is there.
#[derive(Debug)]
struct AnyNode(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyNode {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let name = node_name(end_entity).ok_or(CertificateError::BadEncoding)?;
        let name = ServerName::try_from(name).map_err(|_| CertificateError::BadEncoding)?;
        let authority = &self.0;
        authority.verify_server_cert(end_entity, intermediates, &name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
