//! Turns at TLS handshakes (row A04).

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::{Semaphore, SemaphorePermit};

/// What all handshakes share: turns at computing. A turn is held while computing and never
/// while waiting for a peer, so that silent clients hold none; there is one turn less than
/// cores, so that a storm of handshakes leaves one to those who are logged in.
pub struct HandshakeTurns(Semaphore);

impl Default for HandshakeTurns {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Semaphore::new(cores.saturating_sub(1).max(1)))
    }
}

impl HandshakeTurns {
    /// Waits for a turn; it ends when the answer is dropped.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        self.0
            .acquire()
            .await
            .expect("the semaphore is never closed")
    }

    /// Carries out a handshake that knows nothing of turns: each time it has something to
    /// compute it waits for a turn first, and gives it back as soon as it waits for its peer.
    pub(crate) async fn take<T>(&self, handshake: impl Future<Output = T>) -> T {
        let mut handshake = pin!(handshake);
        loop {
            let turn = self.turn().await;
            let step = poll_fn(|context| Poll::Ready(handshake.as_mut().poll(context))).await;
            drop(turn);
            if let Poll::Ready(done) = step {
                return done;
            }
            until_woken().await;
        }
    }
}

/// Ends when the task is polled again: whatever was polled before this wakes it.
async fn until_woken() {
    let mut was_polled = false;
    poll_fn(|_| match std::mem::replace(&mut was_polled, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn a04_handshake_that_waits_for_its_peer_holds_no_turn() {
        let turns = HandshakeTurns(Semaphore::new(1));
        let (answer, answered) = oneshot::channel();
        let mut silent = pin!(turns.take(answered));
        let waits = timeout(Duration::from_secs(1), &mut silent).await;
        assert!(waits.is_err(), "it waits for its peer");
        assert_eq!(turns.take(async { 7 }).await, 7);
        answer.send(8).unwrap();
        assert_eq!(silent.await, Ok(8));
    }

    #[tokio::test(start_paused = true)]
    async fn a04_handshake_waits_for_its_turn_before_it_computes() {
        let turns = HandshakeTurns(Semaphore::new(1));
        let held = turns.turn().await;
        let has_begun = std::cell::Cell::new(false);
        let mut second = pin!(turns.take(async { has_begun.set(true) }));
        let waits = timeout(Duration::from_secs(1), &mut second).await;
        assert!(waits.is_err() && !has_begun.get());
        drop(held);
        second.await;
        assert!(has_begun.get());
    }
}
