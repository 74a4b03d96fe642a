//! The server's process: started from a command, killed with -9 or stopped, started again.
//!
//! Kills and stops that one process by its handle, never by a name; whoever it started
//! itself is its own affair.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::Target;

/// How long a server may take until it answers a stream header.
const START_MAX: Duration = Duration::from_secs(60);

/// How long it may take to stop.
const STOP_MAX: Duration = Duration::from_secs(30);

/// Between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often a start is repeated: after a kill, a client's outgoing connection
/// may hold the listener's port for a moment.
const TRIES: usize = 5;

/// A server under test.
pub(crate) struct Server {
    command: Vec<String>,
    log: PathBuf,
    child: Child,
    started: Instant,
}

impl Server {
    /// Starts the server with the words of its command.
    pub(crate) fn start(command: Vec<String>, log: &Path) -> Result<Self> {
        File::create(log)?;
        let child = spawn(&command, log)?;
        Ok(Self {
            command,
            log: log.to_owned(),
            child,
            started: Instant::now(),
        })
    }

    /// Another command, from the next start on.
    pub(crate) fn run_next(&mut self, command: Vec<String>) {
        self.command = command;
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        Ok(kill_process(pid, signal).map_err(std::io::Error::from)?)
    }

    /// Whether the process has ended.
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.child = spawn(&self.command, &self.log)?;
        self.started = Instant::now();
        Ok(())
    }

    /// Waits until it answers; tells the milliseconds since its start.
    pub(crate) async fn ready(&mut self, target: &Arc<Target>) -> Result<u64> {
        let deadline = Instant::now() + START_MAX;
        let mut tries = 1;
        while Instant::now() < deadline {
            if answers(target).await {
                return Ok(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
            }
            if let Some(status) = self.child.try_wait()? {
                if tries == TRIES {
                    let log = self.log.display();
                    return Err(LoadError::Usage(format!(
                        "the server ended with {status}, see {log}"
                    )));
                }
                tries += 1;
                tokio::time::sleep(Duration::from_millis(500)).await;
                self.restart()?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(LoadError::Timeout("the server does not answer"))
    }

    /// Tells it to stop, with SIGTERM as an operator would, and waits until it is gone.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        if self.has_ended()? {
            return Ok(());
        }
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_MAX;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err(LoadError::Timeout("the server does not stop"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Best effort: it may be gone already.
        let _ = self.kill();
    }
}

async fn answers(target: &Arc<Target>) -> bool {
    let look = async {
        let mut connection = Connection::connect(target).await?;
        connection.open_stream().await.map(drop)
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(2), look).await,
        Ok(Ok(()))
    )
}

fn spawn(command: &[String], log: &Path) -> Result<Child> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| LoadError::Usage("the server's command is empty".into()))?;
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    Ok(child)
}
