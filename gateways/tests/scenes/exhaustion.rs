//! A machine that runs out of descriptors (row C13).

use std::process::Command;

use tokio::net::TcpStream;

use crate::client::Client;
use crate::server::Server;

/// Set in the process that runs with few descriptors.
const INSIDE: &str = "KLATSCH_TEST_FEW_DESCRIPTORS";

#[test]
fn c13_server_survives_without_descriptors() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(exhaust());
    }
    let test = std::env::current_exe().unwrap();
    let name = "exhaustion::c13_server_survives_without_descriptors";
    let script = format!("ulimit -n 96 && exec \"$0\" --exact {name} --nocapture");
    let run = Command::new("sh")
        .args(["-c", &script])
        .arg(test)
        .env(INSIDE, "1")
        .output();
    let run = run.expect("a shell");
    let output = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success(),
        "{output}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(output.contains("1 passed"), "{output}");
}

/// Client and server share the process and its descriptors, so that the clients use up what
/// the server would need to accept.
async fn exhaust() {
    let server = Server::start().await;
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "home").await;
    let mut crowd = Vec::new();
    // The error says that the process has no descriptor left.
    while let Ok(tcp) = TcpStream::connect(server.c2s).await {
        crowd.push(tcp);
        assert!(crowd.len() < 200, "no end of descriptors");
    }
    client.ping().await;
    drop(crowd);
    let mut other = Client::connect(server.c2s).await;
    other.session("bert", "home").await;
    other.ping().await;
    client.ping().await;
}
