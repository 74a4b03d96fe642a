//! Keeps dialling where other nodes are to be found, until there is a connection with whoever
//! is there, and again when it is lost: where discovery says, and where nodes say of each other
//! that they listen.
//!
//! Pauses double from a tenth of a second to two seconds, each cut short at random by up to
//! half, so that nodes that lose the same node do not come back in step; two seconds, so that
//! the nodes of a healed split meet well within ten. A connection that did not last does not
//! count as a success: a flapping link is dialled thirty to sixty times a minute, not more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::addresses::Places;
use super::handshake::HandshakeError;
use super::transport::Transport;
use crate::membership::Refusal;
use crate::metrics;
use crate::node_id::NodeId;

/// The first pause.
const PAUSE_LEAST: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MOST: Duration = Duration::from_secs(2);

/// A connection that lasts so long was a success.
const LASTED: Duration = Duration::from_secs(10);

/// An address at which a known node answers is asked again after this time: somebody else may
/// be there by then.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// How long one looks for the addresses of a name.
const RESOLVE: Duration = Duration::from_secs(5);

/// Pauses between attempts.
#[derive(Debug, Default)]
struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The next pause; `dice` is random.
    fn next(&mut self, dice: u32) -> Duration {
        let whole = PAUSE_LEAST * 2_u32.pow(self.failures.min(8));
        self.failures += 1;
        let whole = whole.min(PAUSE_MOST);
        let cut = f64::from(dice) / f64::from(u32::MAX) / 2.0;
        whole.mul_f64(1.0 - cut)
    }

    fn lasted(&mut self, how_long: Duration) {
        if how_long >= LASTED {
            self.failures = 0;
        }
    }
}

/// Dials what discovery names, and stops dialling what it names no more.
pub(crate) async fn follow(
    transport: Arc<Transport>,
    mut targets: watch::Receiver<BTreeSet<String>>,
) {
    let mut dialling: HashMap<String, Dialling> = HashMap::new();
    loop {
        let named = targets.borrow_and_update().clone();
        dialling.retain(|target, _| named.contains(target));
        for target in named {
            let task = || tokio::spawn(keep(transport.clone(), target.clone(), None));
            dialling
                .entry(target.clone())
                .or_insert_with(|| Dialling(task()));
        }
        if targets.changed().await.is_err() {
            // Nothing new will be named; what is named is dialled for ever.
            std::future::pending::<()>().await;
        }
    }
}

/// Dials the nodes that have been told of, and stops dialling those that are no more.
pub(crate) async fn follow_told(transport: Arc<Transport>) {
    let mut places = transport.core.places();
    let mut dialling: HashMap<NodeId, (Box<str>, Dialling)> = HashMap::new();
    loop {
        let told: Places = places.borrow_and_update().clone();
        dialling.retain(|node, (target, _)| told.get(node) == Some(&*target));
        for (node, target) in told {
            let task = || tokio::spawn(keep(transport.clone(), target.to_string(), Some(node)));
            let entry = dialling.entry(node);
            entry.or_insert_with(|| (target.clone(), Dialling(task())));
        }
        if places.changed().await.is_err() {
            return;
        }
    }
}

/// One that dials; it stops when this is dropped.
struct Dialling(JoinHandle<()>);

impl Drop for Dialling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Keeps a connection with whoever is at `HOST:PORT`. While there is one with the node that is
/// expected there, nobody is dialled.
async fn keep(transport: Arc<Transport>, target: String, expected: Option<NodeId>) {
    let (mut pauses, mut said) = (Pauses::default(), String::new());
    loop {
        if let Some(node) = expected.filter(|node| transport.core.is_connected(*node)) {
            let began = Instant::now();
            transport.core.until_lost(node).await;
            pauses.lasted(began.elapsed());
            sleep(pauses.next(dice())).await;
        }
        let mut met = None;
        let result = dial(&transport, &target, &mut met).await;
        if let Err(error) = &result {
            say_once(&target, error, &mut said);
        }
        match (result, met) {
            (Ok(()), Some(node)) => {
                said.clear();
                let began = Instant::now();
                transport.core.until_lost(node).await;
                pauses.lasted(began.elapsed());
            }
            (Err(HandshakeError::Refused(Refusal::Itself)), _) => sleep(ASK_AGAIN).await,
            (_, Some(node)) if transport.core.is_connected(node) => {
                let _ = timeout(ASK_AGAIN, transport.core.until_lost(node)).await;
                pauses.failures = 0;
            }
            (Err(error), _) if expected.is_some() && is_everyday(&error) => {}
            _ => metrics::handshake_failed(),
        }
        sleep(pauses.next(dice())).await;
    }
}

/// A node that has been told of may be gone, or come by itself: nobody has to look into that.
fn is_everyday(error: &HandshakeError) -> bool {
    matches!(
        error,
        HandshakeError::Io(_)
            | HandshakeError::Deadline
            | HandshakeError::Refused(Refusal::Connected)
            | HandshakeError::RefusedUs(Refusal::Connected)
    )
}

/// Dials the addresses of a name, one after the other.
async fn dial(
    transport: &Transport,
    target: &str,
    met: &mut Option<NodeId>,
) -> Result<(), HandshakeError> {
    let resolving = timeout(RESOLVE, tokio::net::lookup_host(target));
    let addresses = resolving.await.map_err(|_| HandshakeError::Deadline)??;
    let mut result = Err(std::io::Error::other("the name has no address").into());
    for address in addresses {
        result = transport.dial(address, met).await;
        if result.is_ok() || met.is_some() {
            break;
        }
    }
    result
}

/// The same trouble is an operator's business once, not every two seconds.
fn say_once(target: &str, error: &HandshakeError, said: &mut String) {
    let text = error.to_string();
    if *said == text {
        return;
    }
    match error {
        HandshakeError::Refused(Refusal::Itself | Refusal::Connected)
        | HandshakeError::RefusedUs(Refusal::Connected) => {
            tracing::debug!(target, error = text, "no second connection");
        }
        _ => tracing::warn!(target, error = text, "cannot connect with a node"),
    }
    *said = text;
}

fn dice() -> u32 {
    // Without random numbers pauses are whole; TLS would not work either.
    getrandom::u32().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_two_seconds_and_are_cut_by_up_to_half() {
        let mut pauses = Pauses::default();
        let whole: Vec<u128> = (0..7).map(|_| pauses.next(0).as_millis()).collect();
        assert_eq!(whole, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(pauses.next(u32::MAX).as_millis(), 1000);
        pauses.failures = u32::MAX - 1;
        assert_eq!(pauses.next(0), PAUSE_MOST);
    }

    #[test]
    fn a_flapping_link_is_dialled_sixty_times_a_minute_at_most() {
        let (mut pauses, mut time, mut dials) = (Pauses::default(), Duration::ZERO, 0);
        while time < Duration::from_secs(600) {
            time += pauses.next(u32::MAX) + Duration::from_millis(1);
            pauses.lasted(Duration::from_millis(1));
            dials += 1;
        }
        assert!(dials <= 610, "{dials} in ten minutes");
        pauses.lasted(LASTED);
        assert_eq!(pauses.next(0), PAUSE_LEAST);
    }
}
