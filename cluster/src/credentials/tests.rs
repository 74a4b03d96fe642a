//! Which credentials are taken, and that they are shown nowhere.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Credentials of a node under an authority of its own, with these purposes.
fn credentials_for(name: &str, purposes: Vec<ExtendedKeyUsagePurpose>) -> Credentials {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = purposes;
    let key = KeyPair::generate().unwrap();
    Credentials {
        chain: params.signed_by(&key, &authority).unwrap().pem(),
        key: key.serialize_pem().into(),
        authority: authority.pem(),
        secret: SECRET.into(),
    }
}

fn credentials() -> Credentials {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    credentials_for("node1", vec![ServerAuth, ClientAuth])
}

fn refused(change: impl FnOnce(&mut Credentials)) -> String {
    let mut credentials = credentials();
    change(&mut credentials);
    match credentials.tls() {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

/// What becomes of a connection from one to the other: what each side says.
async fn connect(client: &Credentials, server: &Credentials) -> (bool, bool) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (near, far) = tokio::io::duplex(16 * 1024);
    let (client, server) = (client.tls().unwrap(), server.tls().unwrap());
    let nobody = ServerName::try_from("192.0.2.1").unwrap();
    let dial = async {
        let mut stream = client.connector.connect(nobody, near).await?;
        stream.read_u8().await
    };
    let accept = async {
        let mut stream = server.acceptor.accept(far).await?;
        stream.write_u8(7).await?;
        stream.flush().await
    };
    let (dialled, accepted) = tokio::join!(dial, accept);
    (dialled.is_ok(), accepted.is_ok())
}

#[test]
fn c01_without_certificates_there_is_no_link() {
    assert!(refused(|it| it.chain.clear()).contains("certificate: there is none"));
    assert!(refused(|it| it.authority.clear()).contains("authority: there is none"));
    assert!(refused(|it| it.key = "".into()).contains("key"));
    let other = KeyPair::generate().unwrap().serialize_pem();
    assert!(refused(|it| it.key = other.into()).starts_with("cluster credentials"));
}

#[test]
fn c01_a_secret_that_can_be_guessed_is_refused() {
    let mut credentials = credentials();
    let cookie = credentials.cookie().unwrap();
    assert_eq!(cookie.len(), 64);
    assert!(!cookie.contains(SECRET));
    credentials.secret = SECRET[1..].into();
    assert!(credentials.cookie().is_err());
}

#[test]
fn a18_credentials_are_never_shown() {
    assert_eq!(format!("{:?}", credentials()), "Credentials { .. }");
}

#[test]
fn a_node_is_named_by_its_certificate() {
    assert_eq!(&*credentials().tls().unwrap().name, "node1");
}

#[tokio::test]
async fn c01_both_sides_show_a_certificate_of_the_cluster() {
    let (ours, theirs) = (credentials(), credentials());
    assert_eq!(connect(&ours, &ours).await, (true, true));
    // Each distrusts the other's authority.
    assert_eq!(connect(&theirs, &ours).await, (false, false));
    let believes_ours = Credentials {
        authority: ours.authority.clone(),
        ..theirs
    };
    assert_eq!(connect(&believes_ours, &ours).await, (false, false));
}

#[tokio::test]
async fn c01_a_certificate_for_servers_alone_is_no_nodes() {
    let ours = credentials_for("node1", vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(connect(&ours, &ours).await, (false, false));
}

/// A certificate with this subject and these names.
fn certificate(
    subject: &[(rcgen::DnType, &str)],
    names: Vec<rcgen::SanType>,
) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.subject_alt_names = names;
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

#[test]
fn a17_the_subject_of_a_certificate_names_nobody() {
    use rcgen::DnType::{CommonName, OrganizationalUnitName};
    let subject = [(CommonName, "node1"), (OrganizationalUnitName, "CN=node2,")];
    assert_eq!(node_name(&certificate(&subject, Vec::new())), None);
    let address = rcgen::SanType::IpAddress([127, 0, 0, 1].into());
    assert_eq!(node_name(&certificate(&subject, vec![address])), None);
    let name = rcgen::SanType::DnsName("node3".try_into().unwrap());
    let named = node_name(&certificate(&subject, vec![name]));
    assert_eq!(named.as_deref(), Some("node3"));
}
