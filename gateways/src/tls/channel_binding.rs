//! Channel bindings of a TLS connection: `tls-exporter` (RFC 9266) and `tls-server-end-point`
//! (RFC 5929 §4). `tls-unique` is left out: it is undefined for TLS 1.3.

use rustls::{ProtocolVersion, ServerConnection};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_parser::signature_algorithm::SignatureAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

/// RFC 9266 §2: the exporter's label; its context is empty and its length 32 bytes.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The `tls-exporter` binding of a finished handshake.
pub(crate) fn exporter(connection: &ServerConnection) -> Option<[u8; 32]> {
    // COMPAT: on TLS 1.2 an empty context differs from none (RFC 5705 §4), RFC 9266 §2 means
    // the former and GnuTLS takes the latter; on 1.3 they are the same (RFC 8446 §7.5).
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    connection
        .export_keying_material([0; 32], EXPORTER_LABEL, Some(b""))
        .ok()
}

/// The hash of the server's certificate, with the hash function of its signature; MD5 and
/// SHA-1 are replaced by SHA-256 (RFC 5929 §4.1). Signatures without a hash function of their
/// own, such as Ed25519, leave the binding undefined.
pub(crate) fn server_end_point(
    certificate: &[u8],
    signature: &AlgorithmIdentifier<'_>,
) -> Option<Vec<u8>> {
    let hash = match SignatureAlgorithm::try_from(signature).ok()? {
        SignatureAlgorithm::RSASSA_PSS(parameters) => {
            parameters.hash_algorithm_oid().to_id_string()
        }
        _ => signature.algorithm.to_id_string(),
    };
    Some(match hash.as_str() {
        // md5, sha1, sha256 with RSA; with ECDSA; DSA with SHA-1; the plain hashes of RSASSA-PSS
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2"
        | "1.2.840.10040.4.3"
        | "1.3.14.3.2.26"
        | "2.16.840.1.101.3.4.2.1" => Sha256::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => {
            Sha384::digest(certificate).to_vec()
        }
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" => {
            Sha512::digest(certificate).to_vec()
        }
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "2.16.840.1.101.3.4.2.4" => {
            Sha224::digest(certificate).to_vec()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer, X509Certificate};

    fn binding(algorithm: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, Option<Vec<u8>>) {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        let hash = server_end_point(&der, &parsed.signature_algorithm);
        (der, hash)
    }

    #[test]
    fn certificate_is_hashed_with_the_function_of_its_signature() {
        let (der, hash) = binding(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(hash.unwrap(), Sha256::digest(der).to_vec());
        let (der, hash) = binding(&rcgen::PKCS_ECDSA_P384_SHA384);
        assert_eq!(hash.unwrap(), Sha384::digest(der).to_vec());
    }

    #[test]
    fn ed25519_certificate_defines_no_end_point() {
        assert_eq!(binding(&rcgen::PKCS_ED25519).1, None);
    }
}
