//! What happened in a run with faults, one JSON object a line.
//!
//! An operation is one message. It begins with `invoke`, written before the
//! message goes to the socket, and ends once: `ok` when the server's `<a h>`
//! covers it, `fail` when the server refused it, `info` when the run ended
//! and nobody knows. Between the two a client may have sent it many times.
//! Sessions write down what they receive, and after the run every archive is
//! written down as it was read. Nothing is judged here; that is the checker's.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::error::{LoadError, Result};

mod event;

pub(crate) use event::{Event, Log, Subject, Truth};

/// One message: the account that sent it, and the how manieth of its messages it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Operation {
    /// The sender's number.
    pub(crate) sender: u32,
    /// Its messages count from 1.
    pub(crate) sequence: u32,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sender, self.sequence)
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let unreadable = || format!("no operation: {text}");
        let (sender, sequence) = text.split_once('-').ok_or_else(unreadable)?;
        let number = |text: &str| text.parse().map_err(|_| unreadable());
        Ok(Self {
            sender: number(sender)?,
            sequence: number(sequence)?,
        })
    }
}

impl From<Operation> for String {
    fn from(operation: Operation) -> Self {
        operation.to_string()
    }
}

impl TryFrom<String> for Operation {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

/// An event and when it happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    /// Microseconds since the run began.
    at: u64,
    #[serde(flatten)]
    event: Event,
}

/// Where all clients write what happens to them.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    lines: Sender<Line>,
    started: Instant,
}

impl Recorder {
    /// Opens a history; a thread of its own writes it.
    pub(crate) fn create(path: &Path) -> Result<(Self, History)> {
        let file = BufWriter::new(File::create(path)?);
        let (lines, received) = channel();
        let writer = std::thread::spawn(move || write_lines(file, &received));
        let history = History {
            path: Arc::new(path.to_owned()),
            writer,
        };
        Ok((
            Self {
                lines,
                started: Instant::now(),
            },
            history,
        ))
    }

    /// Writes an event down.
    pub(crate) fn record(&self, event: Event) {
        let at = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        // The writer only ends before its senders when the disk failed, and then it reports it.
        let _ = self.lines.send(Line { at, event });
    }
}

/// A history being written.
pub(crate) struct History {
    path: Arc<PathBuf>,
    writer: JoinHandle<std::io::Result<()>>,
}

impl History {
    /// Waits until every line is on disk; all recorders must be gone.
    pub(crate) fn finish(self) -> Result<Arc<PathBuf>> {
        match self.writer.join() {
            Ok(written) => written?,
            Err(_) => return Err(LoadError::protocol("the history's writer panicked")),
        }
        Ok(self.path)
    }
}

fn write_lines(mut file: BufWriter<File>, lines: &Receiver<Line>) -> std::io::Result<()> {
    while let Ok(line) = lines.recv() {
        serde_json::to_writer(&mut file, &line)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

/// Reads a history back, one event at a time, with the microseconds since the run began.
pub(crate) fn read(path: &Path) -> Result<impl Iterator<Item = Result<(u64, Event)>>> {
    let file = BufReader::new(File::open(path)?);
    Ok(file.lines().enumerate().map(|(number, line)| {
        let line: Line = serde_json::from_str(&line?).map_err(|error| {
            LoadError::protocol(format!("history line {}: {error}", number + 1))
        })?;
        Ok((line.at, line.event))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_reads_back_as_it_was_written() {
        let path =
            std::env::temp_dir().join(format!("klatsch-history-{}.jsonl", std::process::id()));
        let op = Operation {
            sender: 3,
            sequence: 7,
        };
        let events = [
            Event::Run {
                seed: 1,
                clients: 2,
                run: "r".into(),
                rooms: 1,
                nodes: 3,
            },
            Event::Invoke {
                op,
                to: Log::Account(4),
            },
            Event::Sees {
                viewer: 4,
                subject: Subject::Occupant {
                    room: 1,
                    account: 3,
                },
                seen: Some(0),
            },
            Event::Received {
                account: 4,
                session: 1,
                connection: 1,
                log: Log::Account(4),
                op,
                id: Some("9".into()),
            },
            Event::Archived {
                log: Log::Account(4),
                node: 2,
                id: "9".into(),
                op: Some(op),
                from: Some(3),
                to: Some(Log::Account(4)),
                text: None,
            },
        ];
        let (recorder, history) = Recorder::create(&path).expect("a writable folder");
        events
            .iter()
            .for_each(|event| recorder.record(event.clone()));
        drop(recorder);
        history.finish().expect("written");
        let back: Result<Vec<_>> = read(&path).expect("readable").collect();
        std::fs::remove_file(&path).expect("there");
        let back = back.expect("every line is good");
        assert!(back.is_sorted_by_key(|(at, _)| *at));
        let back: Vec<_> = back.into_iter().map(|(_, event)| event).collect();
        assert_eq!(back, events);
    }

    #[test]
    fn a_log_is_named_by_what_it_belongs_to() {
        for log in [Log::Account(3), Log::Room(12)] {
            assert_eq!(log.to_string().parse(), Ok(log));
        }
        for wrong in ["account", "account x", "house 3", "3"] {
            assert!(wrong.parse::<Log>().is_err(), "{wrong}");
        }
    }
}
