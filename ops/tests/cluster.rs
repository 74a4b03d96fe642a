//! Nodes as an operator makes, sees and stops them: real processes over one PostgreSQL, where
//! `KLATSCH_TEST_POSTGRES` names a server; elsewhere there is nothing to test.
//!
//! Every port was free a moment ago, and all are of this machine alone.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than a start, a join or a stop takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine on which a node may run.
struct Machine {
    folder: tempfile::TempDir,
    metrics_port: u16,
    running: Option<Child>,
}

impl Machine {
    /// A machine with nothing but addresses: no domain, no store, no other node.
    fn new(number: u8) -> Self {
        let machine = Self {
            folder: tempfile::tempdir().unwrap(),
            metrics_port: free_port(),
            running: None,
        };
        let mut text = String::from("[listen]\n");
        for key in ["c2s", "c2s_tls", "http", "https", "stun"] {
            writeln!(text, "{key} = \"off\"").unwrap();
        }
        let (metrics, link) = (machine.metrics_port, free_port());
        writeln!(text, "metrics = \"127.0.0.1:{metrics}\"").unwrap();
        writeln!(text, "[cluster]\nname = \"node{number}\"\njoin_port = 0").unwrap();
        writeln!(text, "listen = \"127.0.0.1:{link}\"").unwrap();
        std::fs::write(machine.config(), text).unwrap();
        machine
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("klatsch.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_klatsch"));
        command.args(arguments).arg("--config").arg(self.config());
        command.arg("--data").arg(self.folder.path().join("data"));
        command.stdin(Stdio::null()).env_remove("STATE_DIRECTORY");
        command
    }

    /// What a command answers.
    fn say(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            complaint(&output)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Why a command is refused.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        complaint(&output)
    }

    /// Starts the server and waits until it is ready.
    fn start(&mut self, variables: &[(&str, &str)]) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = self.command(&["serve"]);
        command.envs(variables.iter().copied());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.running = Some(command.spawn().unwrap());
        self.until("is ready", |machine| {
            let ended = machine.running.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {}", machine.log());
            get(machine.metrics_port, "/health/ready").starts_with("HTTP/1.1 200")
        });
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The nodes that this one sees, each with its state.
    fn sees(&self) -> Vec<(String, String)> {
        let status = self.say(&["cluster", "status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let nodes = status["nodes"].as_array().unwrap().iter();
        let text = |it: &serde_json::Value| it.as_str().unwrap().to_owned();
        nodes
            .map(|node| (text(&node["name"]), text(&node["state"])))
            .collect()
    }

    /// Waits until this node sees these others so.
    fn until_it_sees(&mut self, others: &[(&str, &str)]) {
        self.until(&format!("sees {others:?}"), |machine| {
            let seen = machine.sees();
            let mut seen: Vec<(&str, &str)> = seen
                .iter()
                .skip(1)
                .map(|(name, state)| (&**name, &**state))
                .collect();
            seen.sort_unstable();
            seen == others
        });
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < end, "it never {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&mut self, signal: Signal) -> Option<i32> {
        let mut child = self.running.take().unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap().code()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return String::new();
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn nodes_join_by_one_command_see_each_other_and_leave() {
    let Ok(store) = std::env::var("KLATSCH_TEST_POSTGRES") else {
        return;
    };
    let (mut one, mut two, mut three) = (Machine::new(1), Machine::new(2), Machine::new(3));
    let settings = [
        ("KLATSCH__STORE__URL", store.as_str()),
        ("KLATSCH__DOMAINS", "a.example"),
    ];
    one.start(&settings);
    assert_eq!(one.sees(), [("node1".to_owned(), "up".to_owned())]);

    // One command on each new machine, and it needs no settings but its addresses.
    let token = one.say(&["cluster", "token", "--uses", "2"]);
    let joined = two.say(&["cluster", "join", &token]);
    assert_eq!(
        joined,
        "node2 has joined a.example: klatsch serve starts it"
    );
    two.start(&[]);
    three.say(&["cluster", "join", &token]);
    three.start(&[]);
    one.until_it_sees(&[("node2", "up"), ("node3", "up")]);
    two.until_it_sees(&[("node1", "up"), ("node3", "up")]);
    three.until_it_sees(&[("node1", "up"), ("node2", "up")]);

    // All have the one store.
    two.say(&["user", "add", "anna@a.example", "--password", "pencil"]);
    assert!(three.say(&["user", "list"]).contains("anna@a.example"));

    // The token is used up.
    let four = Machine::new(4);
    assert!(
        four.refused(&["cluster", "join", &token])
            .contains("has been used")
    );

    // A node that drains and stops has left; one that is killed is down.
    assert_eq!(three.say(&["cluster", "drain", "--stop"]), "stopped");
    assert!(three.running.take().unwrap().wait().unwrap().success());
    assert_eq!(two.kill(Signal::KILL), None);
    one.until("sees node2 down", |machine| {
        machine
            .sees()
            .contains(&("node2".to_owned(), "down".to_owned()))
    });

    // It comes back with its number, in another life, and without another token.
    two.start(&[]);
    one.until("sees node2 again", |machine| {
        machine
            .sees()
            .contains(&("node2".to_owned(), "up".to_owned()))
    });
    let status = one.say(&["cluster", "status"]);
    assert!(
        status.starts_with("node ") && status.contains("\nnode2  2 "),
        "{status}"
    );
    assert_eq!(two.kill(Signal::TERM), Some(0));
}

#[test]
fn server_alone_is_no_cluster_and_says_what_would_make_it_one() {
    let machine = Machine::new(1);
    let refused = machine.refused(&["serve"]);
    assert!(
        refused.contains("store.url") && refused.contains("klatsch import"),
        "{refused}"
    );
    assert!(
        machine
            .refused(&["cluster", "status"])
            .contains("no server runs")
    );
    assert!(
        machine
            .refused(&["cluster", "join", "token"])
            .contains("not a join token")
    );
    let secret = machine.say(&["cluster", "secret"]);
    assert!(secret.contains("seed = ") && secret.contains("BEGIN CERTIFICATE"));
}
