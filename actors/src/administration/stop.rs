//! An administrator wants the server to stop (XEP-0133 §4.30, §4.31): whoever runs the process
//! hears it and does what it does at a signal.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::features::admin::Stop;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::world::World;

/// What is to become of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ends.
    Stop,
    /// It begins again.
    Restart,
}

/// What is to become of the process, once somebody wants that.
pub struct Stopping(watch::Sender<Option<Ending>>);

impl Default for Stopping {
    fn default() -> Self {
        Self(watch::channel(None).0)
    }
}

impl Stopping {
    /// Becomes something when the time has come.
    pub fn ending(&self) -> watch::Receiver<Option<Ending>> {
        self.0.subscribe()
    }

    /// The first one who wants it to end decides how.
    fn end(&self, ending: Ending) {
        self.0.send_if_modified(|wanted| {
            let is_first = wanted.is_none();
            wanted.get_or_insert(ending);
            is_first
        });
    }
}

/// Lets the server stop when the time has come.
pub(crate) fn stop(world: &Arc<World>, stop: Stop) {
    let world = world.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(stop.delay_seconds.into())).await;
        world.stopping.end(match stop.is_restart {
            true => Ending::Restart,
            false => Ending::Stop,
        });
    });
}
