//! What an envelope costs on the link between two processes of one machine.
//!
//! `cargo run --release -p klatsch-cluster --example node bench`

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Outcome;

/// How messages are sent, how many, and how large.
const RUNS: [(&str, u64, usize); 5] = [
    ("flood", 3_000_000, 100),
    ("flood", 2_000_000, 300),
    ("flood", 1_000_000, 1000),
    ("trickle", 5_000, 100),
    ("flood", 3_000_000, 100),
];

/// Prints a table.
pub(crate) fn run() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    crate::certificates::make(dir.path(), &["one", "two"])?;
    let mut one = Node::start(dir.path(), &["1", "1", "one"])?;
    let address = one.wait("listening ")?;
    let mut two = Node::start(dir.path(), &["2", "1", "two", &address])?;
    one.wait("member 2 up")?;
    two.wait("member 1 up")?;
    println!("| how | bytes | messages a second | sender, CPU µs each | receiver, CPU µs each |");
    println!("| --- | --- | --- | --- | --- |");
    let mut expected = 0;
    for (how, count, bytes) in RUNS {
        let before = (one.cpu()?, two.cpu()?);
        let began = Instant::now();
        one.say(&format!("{how} 2 {count} {bytes}"))?;
        one.wait(how)?;
        expected += count;
        two.until_counted(expected)?;
        let seconds = began.elapsed().as_secs_f64();
        let each = |before: u64, after: u64| 1000.0 * (after - before) as f64 / count as f64;
        let (sender, receiver) = (each(before.0, one.cpu()?), each(before.1, two.cpu()?));
        let rate = count as f64 / seconds;
        println!("| {how} | {bytes} | {rate:.0} | {sender:.2} | {receiver:.2} |");
    }
    Ok(())
}

/// A node in a process of its own.
struct Node {
    process: Child,
    commands: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Node {
    fn start(dir: &std::path::Path, arguments: &[&str]) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("run")
            .arg(dir)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let commands = process.stdin.take().ok_or("no standard input")?;
        let lines = process.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            process,
            commands,
            lines: BufReader::new(lines),
        })
    }

    fn say(&mut self, command: &str) -> Outcome<()> {
        Ok(writeln!(self.commands, "{command}")?)
    }

    /// What follows a beginning, on the next line that has it.
    fn wait(&mut self, beginning: &str) -> Outcome<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line)? > 0 {
            if let Some(rest) = line.trim_end().strip_prefix(beginning) {
                return Ok(rest.to_owned());
            }
            line.clear();
        }
        Err(format!("no line begins with {beginning:?}").into())
    }

    fn cpu(&mut self) -> Outcome<u64> {
        self.say("cpu")?;
        Ok(self.wait("cpu ")?.parse()?)
    }

    fn until_counted(&mut self, count: u64) -> Outcome<()> {
        loop {
            self.say("counted")?;
            if self.wait("counted ")?.parse::<u64>()? >= count {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
