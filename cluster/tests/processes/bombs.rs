//! What a node with a certificate of the cluster, but no good intent, can do to another:
//! end its own connection. Row C04, through the whole reader.

use std::path::Path;
use std::sync::Arc;

use klatsch_cluster::codec;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::node::{Node, certificates};

/// The words of the handshake, as they are on the wire.
#[derive(Serialize)]
enum Word {
    Hello {
        lowest: u16,
        highest: u16,
        node: u16,
        incarnation: u64,
        name: &'static str,
        token: u128,
    },
    Open,
}

fn connector(dir: &Path) -> TlsConnector {
    let certificates = |file: &str| -> Vec<CertificateDer<'static>> {
        let pem = CertificateDer::pem_file_iter(dir.join(file)).unwrap();
        pem.map(Result::unwrap).collect()
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificates("authority.pem").remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_file(dir.join("two.key")).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates("two.pem"), key)
        .unwrap();
    Arc::new(config).into()
}

async fn say(stream: &mut TlsStream<TcpStream>, word: &Word) {
    let bytes = codec::encode(word).unwrap();
    stream.write_u16(bytes.len() as u16).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
}

async fn hear(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let length = stream.read_u16().await.unwrap();
    let mut bytes = vec![0; length.into()];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// A connection as node two, up to where ractor_cluster begins.
async fn connect(dir: &Path, address: &str) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let one = ServerName::try_from("one").unwrap();
    let mut stream = connector(dir).connect(one, tcp).await.unwrap();
    let hello = Word::Hello {
        lowest: 1,
        highest: 1,
        node: 2,
        incarnation: 1,
        name: "two",
        token: 1,
    };
    say(&mut stream, &hello).await;
    // The codec's version, and the number of `Hello`.
    assert_eq!(hear(&mut stream).await[..2], [1, 0]);
    say(&mut stream, &Word::Open).await;
    // `Accepted`.
    assert_eq!(hear(&mut stream).await, [1, 2]);
    stream
}

#[tokio::test]
async fn c04_frames_that_announce_more_than_there_may_be_end_their_connection_alone() {
    let dir = certificates();
    let mut one = Node::start(&dir, 1, 1, &[]);
    let before = one.resident();
    let bombs: [&[u8]; 4] = [
        &(1_u64 << 63).to_be_bytes(),
        &(1_u64 << 40).to_be_bytes(),
        &(2_u64 * 1024 * 1024).to_be_bytes(),
        // A frame that is no protocol buffer.
        b"\0\0\0\0\0\0\0\x04\xff\xff\xff\xff",
    ];
    for bomb in bombs {
        let mut stream = connect(dir.path(), &one.address).await;
        stream.write_all(bomb).await.unwrap();
        stream.flush().await.unwrap();
        let mut rest = Vec::new();
        // An end without a farewell is an error of TLS; that it ends is what counts.
        let _ = stream.read_to_end(&mut rest).await;
    }
    assert!(one.resident() < before + 16 * 1024, "it has allocated");
    let mut two = Node::start(&dir, 2, 2, &[&one.address]);
    two.wait("member 1 up");
    two.tell("send 1 bulk hello");
    assert_eq!(one.wait("got "), "2 Mail hello");
}
