//! TLS to others: whom this server believes when it is the client.
//!
//! Authorities are those that the host trusts, or those an operator names: a directory of an
//! organisation has its certificate from the organisation, or has made one for itself.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

/// Why no connection can be made with TLS.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The authorities cannot be read.
    #[error("no certificates of authorities in PEM form")]
    Authorities,
    /// There are none at all.
    #[error("neither this host nor a setting names an authority to believe")]
    Nobody,
    /// TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Connects with TLS to whom the host trusts, or these authorities, PEM. Where authorities are
/// named, they alone are believed: whoever names them knows who signs.
///
/// # Errors
/// [`TrustError`].
pub fn connector(authorities: &[u8]) -> Result<TlsConnector, TrustError> {
    let (roots, own) = match authorities.is_empty() {
        true => (roots_of_host(), Vec::new()),
        false => roots_of(authorities)?,
    };
    let provider = Arc::new(ring::default_provider());
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let chain = chain.build().map_err(|_| TrustError::Nobody)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Named { chain, own }))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Believes chains as everybody does, and a certificate that its server has signed for itself
/// where the operator has named that very one. Tools like `openssl req -x509` make it an
/// authority's, which must not be a server's in a chain (RFC 5280 §4.2.1.9); here there is none.
#[derive(Debug)]
struct Named {
    chain: Arc<WebPkiServerVerifier>,
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_chain = self
            .chain
            .verify_server_cert(certificate, intermediates, name, ocsp, now);
        match by_chain {
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.own.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// What a host trusts may have a certificate that nobody can read; the others are good.
fn roots_of_host() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        // Containers have none of their own.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn roots_of(
    authorities: &[u8],
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TrustError> {
    let mut roots = RootCertStore::empty();
    let mut named = Vec::new();
    for authority in CertificateDer::pem_slice_iter(authorities) {
        let authority = authority.map_err(|_| TrustError::Authorities)?;
        roots.add(authority.clone())?;
        named.push(authority);
    }
    match roots.is_empty() {
        true => Err(TrustError::Authorities),
        false => Ok((roots, named)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio_rustls::TlsAcceptor;

    /// A server that has signed its certificate itself, and what it has signed, PEM.
    fn server(name: &str, is_authority: bool) -> (TlsAcceptor, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        if is_authority {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&key).unwrap();
        let chain = vec![certificate.der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let provider = Arc::new(ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key.into())
            .unwrap();
        (TlsAcceptor::from(Arc::new(config)), certificate.pem())
    }

    async fn is_believed(acceptor: &TlsAcceptor, named: &str, name: &'static str) -> bool {
        let (here, there) = tokio::io::duplex(16 * 1024);
        let connector = connector(named.as_bytes()).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let (client, _server) = tokio::join!(connector.connect(name, here), acceptor.accept(there));
        client.is_ok()
    }

    #[tokio::test]
    async fn l05_certificate_that_is_named_is_believed_for_its_name_alone() {
        for is_authority in [false, true] {
            let (acceptor, own) = server("ldap.example", is_authority);
            let (_, another) = server("ldap.example", is_authority);
            assert!(is_believed(&acceptor, &own, "ldap.example").await);
            assert!(!is_believed(&acceptor, &own, "mail.example").await);
            assert!(!is_believed(&acceptor, &another, "ldap.example").await);
        }
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(connector(broken).is_err());
        assert!(matches!(connector(b"text"), Err(TrustError::Authorities)));
        assert!(connector(&[]).is_ok());
    }
}
