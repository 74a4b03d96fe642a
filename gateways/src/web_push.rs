//! Tells push services of browsers what their accounts are to hear: Web Push (RFC 8030), with the
//! message encrypted (RFC 8291) and the server identified (RFC 8292).
//!
//! What is due comes from `klatsch_actors::web_push`. The address it goes to was given by whoever
//! registered it: only hosts that the operator allows are spoken to, by https, at public
//! addresses, for some seconds, and what they say beyond a status is not read (row H07).
//!
//! Leaves out HTTP/2, which every push service can do without, connections that are kept for the
//! next notification, and turns by host: a push service that hangs delays the others until its
//! requests have timed out.

mod address;
mod message;
mod vapid;
mod way;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use klatsch_actors::web_push::Outgoing;
use klatsch_protocol::features::web_push::Endpoint;
use klatsch_store::Store;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

pub(crate) use address::is_public;
pub use vapid::VapidKey;

use crate::metrics;
use way::{Answer, Failure, Way};

/// Connections to push services at once.
const AT_ONCE_MAX: usize = 64;

/// Notifications being sent, those that wait to be sent again among them: a few kilobytes each.
const UNDER_WAY_MAX: usize = 2_048;

/// A push service answers within a second; one that has not within this time does not.
const PATIENCE: Duration = Duration::from_secs(15);

/// A notification is sent again so often.
const RETRIES_MAX: u32 = 3;

/// The first pause before it is sent again; each later one is four times as long.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// No longer is waited, whatever a push service asks for (RFC 9110 §10.2.3).
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// How push services are spoken to.
#[derive(Debug, Clone)]
pub struct WebPushSettings {
    /// The hosts that are; see `klatsch_protocol::features::web_push::Settings`.
    pub hosts: Vec<String>,
    /// Whom a push service turns to (RFC 8292 §2.1): a URI.
    pub contact: String,
    /// Addresses inside an organisation, and this machine's own, are spoken to.
    pub private_addresses: bool,
    /// Certificates of authorities that are believed besides those of browsers, PEM.
    pub authorities: Vec<u8>,
}

/// Why push services cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum WebPushError {
    /// The authorities cannot be read.
    #[error("no certificates of authorities in PEM form")]
    Authorities,
    /// TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Sends notifications.
pub struct WebPush {
    store: Store,
    key: VapidKey,
    hosts: Vec<String>,
    contact: String,
    way: Way,
    turns: Semaphore,
}

/// What became of an attempt.
enum Outcome {
    /// The push service has it.
    Taken,
    /// There is no such browser any more.
    Gone,
    /// It is not sent, and this is why.
    Refused(&'static str),
    /// It may work later, after this time if the push service has said so.
    Later(Option<Duration>),
}

impl WebPush {
    /// # Errors
    /// The authorities cannot be used.
    pub fn new(
        store: Store,
        key: VapidKey,
        settings: WebPushSettings,
    ) -> Result<Self, WebPushError> {
        Ok(Self {
            store,
            key,
            hosts: settings.hosts,
            contact: settings.contact,
            way: Way::new(settings.private_addresses, &settings.authorities)?,
            turns: Semaphore::new(AT_ONCE_MAX),
        })
    }

    /// Sends what is due, for as long as it is run.
    pub async fn run(self: Arc<Self>, mut due: mpsc::Receiver<Outgoing>) {
        let places = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        while let Some(outgoing) = due.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let web_push = Arc::clone(&self);
            tokio::spawn(async move {
                web_push.deliver(&outgoing).await;
                drop(place);
            });
        }
    }

    async fn deliver(&self, outgoing: &Outgoing) {
        let until = Instant::now() + outgoing.notice.about.kind.lifetime();
        for retry in 0..=RETRIES_MAX {
            let pause = match self.attempt(outgoing).await {
                Outcome::Taken => return metrics::web_push("taken"),
                Outcome::Gone => return self.forget(outgoing).await,
                Outcome::Refused(why) => return metrics::web_push(why),
                Outcome::Later(pause) => pause,
            };
            let pause = pause.unwrap_or(RETRY_AFTER * 4u32.pow(retry));
            let pause = pause.min(RETRY_AFTER_MAX);
            // Nobody needs to hear of a call that has stopped ringing.
            if retry == RETRIES_MAX || Instant::now() + pause >= until {
                break;
            }
            metrics::web_push("again");
            sleep(pause).await;
        }
        metrics::web_push("given_up");
    }

    /// RFC 8030 §7.3: with 404 or 410 the browser is no more. The account's server hears of it
    /// with the next notification (XEP-0357 §7.1).
    async fn forget(&self, outgoing: &Outgoing) {
        metrics::web_push("gone");
        let it = &outgoing.registration;
        if let Err(error) = self.store.forget_web_push(&it.owner, &it.node).await {
            tracing::warn!(%error, "a browser that is gone is not forgotten");
        }
    }

    async fn attempt(&self, outgoing: &Outgoing) -> Outcome {
        let registration = &outgoing.registration;
        // The operator may have changed their mind since it was registered.
        let endpoint = Endpoint::parse(&registration.endpoint);
        let endpoint = endpoint.filter(|endpoint| endpoint.is_allowed(&self.hosts));
        let Some(endpoint) = endpoint else {
            return Outcome::Refused("not_allowed");
        };
        // What cannot be encrypted for will not change.
        let Some(sealed) = message::sealed(registration, &outgoing.notice) else {
            return Outcome::Gone;
        };
        let authorization = self.key.authorization(&endpoint, &self.contact, now());
        let request = message::request(&endpoint, &outgoing.notice, sealed, &authorization);
        let Some(request) = request else {
            return Outcome::Refused("not_allowed");
        };
        let Ok(_turn) = self.turns.acquire().await else {
            return Outcome::Refused("stopped");
        };
        match timeout(PATIENCE, self.way.send(&endpoint, request)).await {
            Ok(Ok(answer)) => judge(&answer, endpoint.host),
            Ok(Err(Failure::NotPublic)) => {
                tracing::warn!(
                    peer = endpoint.host,
                    "a push service is at an address that is not public: web_push.private_addresses"
                );
                Outcome::Refused("not_public")
            }
            Ok(Err(Failure::Broken(error))) => {
                tracing::debug!(
                    peer = endpoint.host,
                    error,
                    "a push service does not answer"
                );
                Outcome::Later(None)
            }
            Err(_) => Outcome::Later(None),
        }
    }
}

/// RFC 8030 §5, §8.4.
fn judge(answer: &Answer, host: &str) -> Outcome {
    match answer.status {
        status if status.is_success() => Outcome::Taken,
        StatusCode::NOT_FOUND | StatusCode::GONE => Outcome::Gone,
        StatusCode::TOO_MANY_REQUESTS => Outcome::Later(answer.retry_after),
        status if status.is_server_error() => Outcome::Later(answer.retry_after),
        // Redirects among them: they could lead anywhere.
        status => {
            tracing::warn!(
                peer = host,
                status = status.as_u16(),
                "a push service refuses"
            );
            Outcome::Refused("refused")
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
