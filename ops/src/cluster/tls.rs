//! TLS between a node of the cluster and one that joins: TLS 1.3 (RFC 8446), the node known by
//! its authority's fingerprint, the new one not yet by anything.

use super::authority::{CLUSTER_NAME, fingerprint};
use super::identity::Identity;
use crate::error::Error;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use std::sync::Arc;

/// The protocol's name and version (RFC 7301): whoever speaks another is refused in the handshake.
const ALPN: &[u8] = b"klatsch-join/1";

/// How a node answers those who join.
///
/// # Errors
/// The TLS library does not offer TLS 1.3.
pub(super) fn server(identity: Arc<Identity>) -> Result<Arc<ServerConfig>, Error> {
    let config = ServerConfig::builder_with_provider(provider());
    let config = config.with_protocol_versions(&[&TLS13]).map_err(failed)?;
    let mut config = config.with_no_client_auth().with_cert_resolver(identity);
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Nobody comes twice.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// How a new node asks one whose authority has this fingerprint.
///
/// # Errors
/// The TLS library does not offer TLS 1.3.
pub(super) fn client(fingerprint: [u8; 32]) -> Result<Arc<ClientConfig>, Error> {
    let verifier = Arc::new(Pinned {
        fingerprint,
        provider: provider(),
    });
    let config = ClientConfig::builder_with_provider(provider());
    let config = config.with_protocol_versions(&[&TLS13]).map_err(failed)?;
    let config = config
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// The name nodes are asked by.
pub(super) fn name() -> ServerName<'static> {
    ServerName::try_from(CLUSTER_NAME).expect("a constant that is a name of DNS")
}

/// Tells whether a handshake failed because somebody else than the cluster answered.
pub(super) fn is_other_cluster(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|it| it.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn failed(error: rustls::Error) -> Error {
    Error::Certificate(error.to_string())
}

/// Trusts the one authority with this fingerprint, which the other side sends with its certificate.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut sent = intermediates.iter();
        let authority = sent.find(|it| fingerprint(it) == self.fingerprint);
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let mut roots = RootCertStore::empty();
        roots.add(authority.ok_or_else(unknown)?.clone().into_owned())?;
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().map_err(|_| unknown())?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
