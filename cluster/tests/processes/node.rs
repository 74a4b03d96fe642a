//! Nodes in processes of their own: `examples/node` does what it is told.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything takes on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A silent death is known within this time (five seconds, and as long again for a machine
/// that is busy with something else).
pub(crate) const DOWN: Duration = Duration::from_secs(10);

/// The example, which `cargo test -p klatsch-cluster` builds with the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    profile.join("examples/node")
}

/// Certificates for three nodes.
pub(crate) fn certificates() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut make = Command::new(example());
    make.arg("certificates").arg(dir.path());
    assert!(
        make.args(["one", "two", "three"])
            .status()
            .unwrap()
            .success()
    );
    dir
}

/// A node in a process of its own.
pub(crate) struct Node {
    process: Child,
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Lines that nobody has waited for yet.
    pending: Vec<String>,
    /// All lines.
    pub(crate) said: Vec<String>,
    /// Where it listens.
    pub(crate) address: String,
}

impl Node {
    pub(crate) fn start(dir: &TempDir, number: u16, incarnation: u64, peers: &[&str]) -> Self {
        let name = ["one", "two", "three"][usize::from(number) - 1];
        let mut process = Command::new(example())
            .arg("run")
            .arg(dir.path())
            .args([&number.to_string(), &incarnation.to_string(), name])
            .args(peers)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).all(|sent| sent.is_ok())
        });
        let mut node = Self {
            process,
            commands,
            lines,
            pending: Vec::new(),
            said: Vec::new(),
            address: String::new(),
        };
        node.address = node.wait("listening ");
        node
    }

    pub(crate) fn tell(&mut self, command: &str) {
        let commands = self.commands.as_mut().unwrap();
        writeln!(commands, "{command}").unwrap();
    }

    /// Its input ends, and with it its part in the cluster.
    pub(crate) fn end(&mut self) {
        self.commands = None;
    }

    /// What follows a beginning, on the first line with it that nobody has waited for yet.
    pub(crate) fn wait(&mut self, beginning: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = |line: &String| line.starts_with(beginning);
            if let Some(at) = self.pending.iter().position(found) {
                return self.pending.remove(at)[beginning.len()..].to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {beginning:?} in {:?}", self.said);
            };
            self.said.push(line.clone());
            self.pending.push(line);
        }
    }

    pub(crate) fn ask(&mut self, command: &str, beginning: &str) -> String {
        self.tell(command);
        self.wait(beginning)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let kill = Command::new("kill").args([signal, &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// What the process has in memory, KiB.
    pub(crate) fn resident(&self) -> u64 {
        let file = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(file).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A stopped process is killed too.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two nodes that have met.
pub(crate) fn two(dir: &TempDir) -> (Node, Node) {
    let mut one = Node::start(dir, 1, 1, &[]);
    let mut two = Node::start(dir, 2, 1, &[&one.address]);
    for (node, line) in [(&mut one, "2"), (&mut two, "1")] {
        node.wait(&format!("member {line} up"));
        node.wait(&format!("missed {line}"));
    }
    (one, two)
}
