//! The word that it is time to go, passed from the one who stops the server to everyone.

use tokio::sync::watch;

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

    /// Tells whether the word was given.
    pub fn is_triggered(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}
