//! The word that it is time to go, passed from the one who stops the server to everyone.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// What a peer has for closing its side once the server stops and everything is sent to it:
/// as much as a far-away client needs to answer. A server that is told to go should go.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Heard by loops and connections; cheap to clone.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// Held by whoever may stop the server; dropping it stops it, too.
pub struct ShutdownTrigger(watch::Sender<bool>);

impl ShutdownTrigger {
    /// A trigger and its first listener.
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Tells everyone.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Waits for the word; returns at once if it was given already.
    pub async fn triggered(&mut self) {
        // An error means that the trigger is gone, and with it the server.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Ends when a closing connection has waited long enough for its peer: so long usually, and
    /// not much longer once the server stops.
    pub(crate) async fn closing_is_over(&mut self, usual: Duration) {
        let stops = async {
            self.triggered().await;
            sleep(STOP_PATIENCE).await;
        };
        tokio::select! {
            () = stops => {}
            () = sleep(usual) => {}
        }
    }

    /// Tells whether the word was given.
    pub fn is_triggered(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn stopping_server_waits_a_second_for_those_who_do_not_close() {
        let (trigger, mut shutdown) = ShutdownTrigger::new();
        let usual = Duration::from_secs(5);
        let start = Instant::now();
        shutdown.closing_is_over(usual).await;
        assert_eq!(start.elapsed(), usual);
        let start = Instant::now();
        let stop = async {
            sleep(Duration::from_secs(2)).await;
            trigger.trigger();
        };
        tokio::join!(shutdown.closing_is_over(usual), stop);
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        let start = Instant::now();
        shutdown.closing_is_over(usual).await;
        assert_eq!(start.elapsed(), STOP_PATIENCE);
    }
}
