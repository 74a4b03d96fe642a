//! New nodes at the desk, over sockets of this machine.

use super::*;
use crate::cluster::joining::join;
use crate::config::Config;
use std::path::Path;
use tokio::io::AsyncReadExt;

const HOUR: Duration = Duration::from_secs(3600);

/// A desk that keeps nothing but what it is told to.
fn desk(secret: &Arc<ClusterSecret>) -> Desk {
    let identity = Identity::make(Arc::clone(secret), "node1", std::time::SystemTime::now());
    let told = Joined {
        domains: vec!["a.example".to_owned()],
        store_url: "postgres://db/k".to_owned(),
        peers: vec!["10.0.0.1:5290".to_owned()],
        dns: None,
    };
    Desk::new(Ground {
        secret: Arc::clone(secret),
        identity: identity.unwrap(),
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        host: "127.0.0.1".to_owned(),
        told,
        keep: Box::new(|_| Ok(())),
        is_taken: Box::new(|name| name == "node1"),
    })
    .unwrap()
}

fn cluster() -> (Arc<ClusterSecret>, Desk) {
    let secret = Arc::new(ClusterSecret::make(std::time::SystemTime::now()).unwrap());
    let desk = desk(&secret);
    (secret, desk)
}

fn node(number: u8) -> Config {
    let text = format!("[cluster]\nname = \"node{number}\"\nlisten = \"10.0.0.{number}:5290\"\n");
    toml::from_str(&text).unwrap()
}

/// Joins as a node of this number into a folder of its own.
async fn joined(number: u8, data: &Path, token: &JoinToken) -> Result<Joined, String> {
    let joined = join(&node(number), data, token).await;
    joined.map_err(|error| error.to_string())
}

#[tokio::test]
async fn node_with_a_token_gets_all_it_needs_by_one_command() {
    let (secret, desk) = cluster();
    let token = desk.issue(1, HOUR).unwrap();
    let data = tempfile::tempdir().unwrap();
    let told = joined(2, data.path(), &token).await.unwrap();
    assert_eq!(Joined::read(data.path()).unwrap().as_ref(), Some(&told));
    assert_eq!(told.store_url, "postgres://db/k");
    let path = node(2).cluster.secret_file(data.path());
    let theirs = ClusterSecret::load_or_make(&path, std::time::SystemTime::now()).unwrap();
    assert_eq!(theirs.to_text(), secret.to_text());
}

#[tokio::test]
async fn later_node_is_told_of_the_earlier_ones() {
    let (_, desk) = cluster();
    let token = desk.issue(3, HOUR).unwrap();
    let mut peers = Vec::new();
    for number in [2, 3, 2] {
        let data = tempfile::tempdir().unwrap();
        peers.push(joined(number, data.path(), &token).await.unwrap().peers);
    }
    assert_eq!(peers[0], ["10.0.0.1:5290"]);
    assert_eq!(peers[1], ["10.0.0.1:5290", "10.0.0.2:5290"]);
    // Who joins again is not told of itself.
    assert_eq!(peers[2], ["10.0.0.1:5290", "10.0.0.3:5290"]);
}

#[tokio::test]
async fn used_token_is_refused_by_name() {
    let (_, desk) = cluster();
    let token = desk.issue(1, HOUR).unwrap();
    let data = tempfile::tempdir().unwrap();
    joined(2, data.path(), &token).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let refused = joined(3, other.path(), &token).await.unwrap_err();
    assert_eq!(refused, Refusal::Used.to_string());
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn expired_token_is_refused_by_name() {
    let (_, desk) = cluster();
    let token = desk.issue(1, Duration::ZERO).unwrap();
    let data = tempfile::tempdir().unwrap();
    let refused = joined(2, data.path(), &token).await.unwrap_err();
    assert_eq!(refused, Refusal::Expired.to_string());
}

#[tokio::test]
async fn wrong_token_is_refused_by_name() {
    let (_, desk) = cluster();
    let mut token = desk.issue(1, HOUR).unwrap();
    token.secret[0] ^= 1;
    let data = tempfile::tempdir().unwrap();
    let refused = joined(2, data.path(), &token).await.unwrap_err();
    assert_eq!(refused, Refusal::Unknown.to_string());
}

#[tokio::test]
async fn name_that_is_taken_is_refused_and_the_token_stays_good() {
    let (_, desk) = cluster();
    let token = desk.issue(1, HOUR).unwrap();
    let data = tempfile::tempdir().unwrap();
    let refused = joined(1, data.path(), &token).await.unwrap_err();
    assert_eq!(refused, Refusal::NameTaken.to_string());
    joined(2, data.path(), &token).await.unwrap();
}

#[tokio::test]
async fn c01_somebody_else_at_the_address_learns_nothing() {
    let (_, desk) = cluster();
    let mut token = desk.issue(1, HOUR).unwrap();
    token.fingerprint[0] ^= 1;
    let data = tempfile::tempdir().unwrap();
    let refused = joined(2, data.path(), &token).await.unwrap_err();
    assert!(refused.contains("not of the cluster"), "{refused}");
    // The handshake failed before the token's secret was said.
    token.fingerprint[0] ^= 1;
    joined(2, data.path(), &token).await.unwrap();
}

#[tokio::test]
async fn nobody_listens_before_there_is_a_token() {
    let (_, desk) = cluster();
    assert!(desk.state().port.is_none());
    let token = desk.issue(1, HOUR).unwrap();
    assert!(
        token
            .address
            .ends_with(&format!(":{}", desk.state().port.unwrap()))
    );
    let again = desk.issue(1, HOUR).unwrap();
    assert_eq!(again.address, token.address);
    assert_ne!(again.secret, token.secret);
}

#[tokio::test]
async fn node_of_another_cluster_does_not_use_a_token_up() {
    let (_, desk) = cluster();
    let (_, other) = cluster();
    let data = tempfile::tempdir().unwrap();
    joined(2, data.path(), &other.issue(1, HOUR).unwrap())
        .await
        .unwrap();
    let token = desk.issue(1, HOUR).unwrap();
    let refused = joined(2, data.path(), &token).await.unwrap_err();
    assert!(refused.contains("of another cluster: remove"), "{refused}");
    let fresh = tempfile::tempdir().unwrap();
    joined(2, fresh.path(), &token).await.unwrap();
}

#[tokio::test]
async fn c02_silent_strangers_do_not_keep_a_node_out() {
    let (_, desk) = cluster();
    let token = desk.issue(1, HOUR).unwrap();
    let mut silent = Vec::new();
    for _ in 0..AT_ONCE_MAX / 2 {
        silent.push(TcpStream::connect(&token.address).await.unwrap());
    }
    let data = tempfile::tempdir().unwrap();
    joined(2, data.path(), &token).await.unwrap();
}

#[tokio::test]
async fn stranger_without_a_question_is_hung_up_on() {
    let (_, desk) = cluster();
    let token = desk.issue(1, HOUR).unwrap();
    let mut stream = TcpStream::connect(&token.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
    // An alert of TLS (RFC 8446 §6), and nothing else.
    assert!(heard.len() < 16, "{heard:?}");
}

#[tokio::test]
async fn token_of_a_node_that_is_down_says_so() {
    let (secret, _) = cluster();
    let token = JoinToken {
        secret: [1; 32],
        fingerprint: secret.authority().fingerprint(),
        // The discard port, which nobody serves here.
        address: "127.0.0.1:9".to_owned(),
    };
    let data = tempfile::tempdir().unwrap();
    let refused = joined(2, data.path(), &token).await.unwrap_err();
    assert!(
        refused.contains("nobody takes new nodes in at 127.0.0.1:9"),
        "{refused}"
    );
}
