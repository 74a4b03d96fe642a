//! The binary as an operator meets it: starts, stops, refuses, answers.
//!
//! Every server here listens on loopback only and on ports that were free a moment ago.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Longer than a start or a stop takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Place {
    folder: tempfile::TempDir,
    metrics_port: u16,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            metrics_port: free_port(),
        };
        let off =
            ["c2s", "c2s_tls", "http", "https", "stun"].map(|key| format!("{key} = \"off\"\n"));
        let metrics = format!("metrics = \"127.0.0.1:{}\"\n", place.metrics_port);
        place.configure(&format!(
            "domains = [\"a.example\"]\n[listen]\n{}{metrics}",
            off.concat()
        ));
        place
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.folder.path().join("klatsch.toml"), text).unwrap();
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_klatsch"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("klatsch.toml"));
        command
            .arg("--data")
            .arg(self.data())
            .stdin(Stdio::null())
            .env_remove("STATE_DIRECTORY");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn serve(&self) -> Server {
        let mut command = self.command(&["serve"]);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Server(child);
        server.until(|_| ready(self.metrics_port));
        server
    }
}

/// A running server; dropped without mercy where a test fails.
struct Server(Child);

impl Server {
    fn until(&mut self, is_so: impl Fn(&mut Child) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(&mut self.0) {
            assert!(
                self.0.try_wait().unwrap().is_none(),
                "the server ended by itself"
            );
            assert!(Instant::now() < end, "the server does not get there");
            std::thread::yield_now();
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Asks it to end, and tells how it ended.
    fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.0.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn ready(port: u16) -> bool {
    get(port, "/health/ready").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn is_there(path: &Path) -> bool {
    path.exists()
}

#[test]
fn server_makes_what_it_needs_and_stops_when_asked() {
    let place = Place::new();
    let server = place.serve();
    for name in [
        "admin.sock",
        "certificate.pem",
        "key.pem",
        "secrets.toml",
        "lock",
    ] {
        assert!(is_there(&place.data().join(name)), "{name}");
    }
    let metrics = get(place.metrics_port, "/metrics").unwrap();
    assert!(
        metrics.contains("klatsch_resident_memory_bytes"),
        "{metrics}"
    );
    assert_eq!(server.stop(), Some(0));
    assert!(!is_there(&place.data().join("admin.sock")));
}

/// The series `/metrics` shows, without their values.
fn series(port: u16) -> BTreeSet<String> {
    let answer = get(port, "/metrics").unwrap();
    let lines = answer.lines().filter(|line| line.starts_with("klatsch_"));
    lines
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

/// Says hello to a domain as somebody, and hears how it ends.
fn greet(port: u16, n: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let header = format!(
        "<?xml version='1.0'?><stream:stream to='a.example' from='user{n}@host{n}.example' \
         version='1.0' xml:lang='x-l{n}' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'><unknown{n} xmlns='urn:{n}'/>"
    );
    stream.write_all(header.as_bytes()).unwrap();
    // A reset is an end, too.
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn c10_what_strangers_write_makes_no_new_series() {
    let place = Place::new();
    let port = free_port();
    let text = std::fs::read_to_string(place.folder.path().join("klatsch.toml")).unwrap();
    let off = "c2s = \"off\"";
    assert!(text.contains(off));
    place.configure(&text.replace(off, &format!("c2s = \"127.0.0.1:{port}\"")));
    let server = place.serve();
    let strange = |n: usize| {
        greet(port, n);
        get(place.metrics_port, &format!("/path{n}?{n}"));
    };
    strange(0);
    let before = series(place.metrics_port);
    (1..100).for_each(strange);
    assert_eq!(series(place.metrics_port), before);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn second_server_is_refused_by_name() {
    let place = Place::new();
    let server = place.serve();
    // Another port, so that nothing but the lock stands in its way.
    let second = place
        .command(&["serve"])
        .env("KLATSCH__LISTEN__METRICS", "off")
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(
        text(&second.stderr).contains("another server uses"),
        "{}",
        text(&second.stderr)
    );
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn reload_of_a_broken_certificate_leaves_the_server_running() {
    let place = Place::new();
    let mut server = place.serve();
    std::fs::write(place.data().join("certificate.pem"), "none").unwrap();
    server.signal(Signal::HUP);
    // The certificate of our own making is made again.
    let chain = place.data().join("certificate.pem");
    server.until(|_| std::fs::read_to_string(&chain).is_ok_and(|text| text.contains("BEGIN")));
    assert!(ready(place.metrics_port));
    assert_eq!(server.stop(), Some(0));
}

impl Place {
    /// Sets where STUN and TURN listen.
    fn with_stun(self, port: u16) -> Self {
        let file = self.folder.path().join("klatsch.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let stun = format!("stun = \"127.0.0.1:{port}\"");
        self.configure(&text.replace("stun = \"off\"", &stun));
        self
    }
}

#[test]
fn server_goes_on_without_relays_where_their_port_is_taken_and_says_so() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port();
    let place = Place::new().with_stun(port);
    let server = place.serve();
    let health = get(place.metrics_port, "/health/ready").unwrap();
    let note = format!("ready\nturn: no STUN and TURN: listen.stun = 127.0.0.1:{port}: ");
    assert!(health.contains(&note), "{health}");
    let metrics = get(place.metrics_port, "/metrics").unwrap();
    assert!(metrics.contains("klatsch_turn_is_down 1"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn relays_are_there_from_the_first_start_and_the_doctor_finds_them() {
    // Nobody else gets this port: UDP and TCP have their own.
    let port = free_port();
    let place = Place::new().with_stun(port);
    let server = place.serve();
    // What else it finds is this machine's affair.
    let looks = place.run(&["doctor"]);
    let looks = text(&looks.stdout) + &text(&looks.stderr);
    let fine = format!("fine   listen.stun = 127.0.0.1:{port}: answers");
    assert!(looks.contains(&fine), "{looks}");
    let secrets = std::fs::read_to_string(place.data().join("secrets.toml")).unwrap();
    assert!(secrets.contains("turn_key"));
    let metrics = get(place.metrics_port, "/metrics").unwrap();
    assert!(metrics.contains("klatsch_turn_is_down 0"));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn unknown_key_stops_the_start_with_its_line() {
    let place = Place::new();
    place.configure("[listen]\nc3s = \"off\"\n");
    let output = place.run(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let complaint = text(&output.stderr);
    assert!(
        complaint.contains("klatsch.toml: line 2: unknown key `c3s`"),
        "{complaint}"
    );
}

#[test]
fn environment_goes_over_the_file() {
    let place = Place::new();
    let mut command = place.command(&["config", "print"]);
    command
        .env("KLATSCH__LIMITS__LOGIN_BAN", "77")
        .env("KLATSCH__DOMAINS", "b.example");
    let printed = text(&command.output().unwrap().stdout);
    assert!(
        printed.contains("login_ban = 77") && printed.contains("b.example"),
        "{printed}"
    );
    let output = place
        .command(&["config", "check"])
        .env("KLATSCH__C2S__REQUIRE", "1")
        .output()
        .unwrap();
    assert!(
        text(&output.stderr).contains("KLATSCH__C2S__REQUIRE: unknown key"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn check_notes_what_is_not_served_yet() {
    let place = Place::new();
    place.configure("domains = \"a.example\"\n[listen]\ns2s = \"127.0.0.1:5269\"\n");
    let output = place.run(&["config", "check"]);
    assert!(output.status.success());
    let answer = text(&output.stdout);
    assert!(
        answer.starts_with("note: listen.s2s") && answer.contains("\nfine: "),
        "{answer}"
    );
}

#[test]
fn sessions_without_a_server_are_refused() {
    let place = Place::new();
    let output = place.run(&["session", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr).trim(),
        "no server runs on this data directory"
    );
}

#[test]
fn example_is_a_configuration() {
    let place = Place::new();
    place.configure(&text(&place.run(&["config", "example"]).stdout));
    assert!(place.run(&["config", "check"]).status.success());
}

#[test]
fn accounts_are_exported_and_imported_beside_a_running_server() {
    let (from, to) = (Place::new(), Place::new());
    for name in ["anna@a.example", "bert@a.example"] {
        assert!(
            from.run(&["user", "add", name, "--password", "pencil"])
                .status
                .success()
        );
    }
    let at_rest = from.run(&["export", "--store"]);
    assert!(at_rest.status.success(), "{}", text(&at_rest.stderr));
    let server = from.serve();
    let running = from.run(&["export", "--store"]);
    assert_eq!(text(&running.stdout), text(&at_rest.stdout));
    server.stop();

    let file = to.folder.path().join("people.xml");
    std::fs::write(&file, &running.stdout).unwrap();
    let file = file.to_str().unwrap();
    let server = to.serve();
    let imported = to.run(&["import", file]);
    assert_eq!(text(&imported.stdout).trim(), "2 imported");
    assert_eq!(
        text(&to.run(&["export", "--store"]).stdout),
        text(&at_rest.stdout)
    );
    let again = to.run(&["import", file]);
    let told = text(&again.stdout);
    assert!(
        told.contains("anna@a.example: passed over: there is an account"),
        "{told}"
    );
    let nobody = to.run(&["export", "--account", "eve@a.example"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("there is no account eve@a.example"));
    server.stop();
}
