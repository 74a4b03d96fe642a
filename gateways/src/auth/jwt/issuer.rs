//! A provider whose tokens are verified here: where its keys are (OpenID Connect Discovery 1.0
//! §4), and how they are kept.
//!
//! Its keys are fetched when the first token comes, again every hour, and when a token names a
//! key that is not known: at most once a minute, whoever makes up names. A provider that does not
//! answer changes nothing for a day; then nobody can tell whose its tokens are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use klatsch_actors::world::now;
use serde::Deserialize;
use tokio::time::Instant;

use super::keys::KeySet;
use super::{BadToken, Expected, Parts};
use crate::auth::BearerVerdict;
use crate::auth::outward::{BadService, Service, Unheard};

/// Keys are asked for again so soon at the earliest.
const ASK_AGAIN: Duration = Duration::from_secs(60);

/// A key that the provider has taken back is good for so long.
const FRESH: Duration = Duration::from_secs(3600);

/// Keys of a provider that does not answer are good for so long.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Where a provider says what it has (OpenID Connect Discovery 1.0 §4).
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// A provider.
pub struct Issuer {
    expected: Expected,
    discovery: Service,
    authorities: Vec<u8>,
    patience: Duration,
    kept: Mutex<Kept>,
    /// One asks, the others wait for what comes.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    keys: Arc<KeySet>,
    /// When they came.
    fetched: Option<Instant>,
    /// When they were asked for.
    asked: Option<Instant>,
}

/// What the provider says of itself.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
enum NoKeys {
    #[error(transparent)]
    Unheard(#[from] Unheard),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("what it says makes no sense")]
    Nonsense,
    #[error("it calls itself \"{0}\"")]
    OtherIssuer(String),
    #[error("its keys are at an address that cannot be used: {0}")]
    Address(#[from] BadService),
    #[error("its keys are where nobody proves that they are its")]
    Downgrade,
}

impl Issuer {
    /// A provider, which is not asked anything yet.
    ///
    /// # Errors
    /// [`BadService`]: its name is no address.
    pub fn new(
        expected: Expected,
        authorities: &[u8],
        patience: Duration,
    ) -> Result<Self, BadService> {
        let base = expected.issuer.trim_end_matches('/');
        // RFC 8414 §2: the name of an issuer has no query and no fragment.
        if base.contains(['?', '#']) {
            return Err(BadService::Url(expected.issuer));
        }
        let discovery = Service::new(&format!("{base}{DISCOVERY}"), authorities, patience)?;
        Ok(Self {
            expected,
            discovery,
            authorities: authorities.to_vec(),
            patience,
            kept: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.expected.issuer
    }

    /// How many keys it has that can be used.
    ///
    /// # Errors
    /// Why they are not to be had, in words.
    pub async fn look(&self) -> Result<usize, String> {
        let keys = self.fetch().await.map_err(|error| error.to_string())?;
        Ok(keys.len())
    }

    /// Whose a token is.
    pub async fn check(&self, token: &str) -> BearerVerdict {
        let parts = match Parts::read(token) {
            Ok(parts) => parts,
            Err(error) => return refuse(error),
        };
        let Some(keys) = self.keys_for(parts.kid.as_deref()).await else {
            return BearerVerdict::Unavailable;
        };
        match parts.verify(&keys, &self.expected, now()) {
            Ok(account) => BearerVerdict::Of(account),
            // Its key may be a new one, which nobody could ask for.
            Err(BadToken::UnknownKey) if self.kept().has_failed() => BearerVerdict::Unavailable,
            Err(error) => refuse(error),
        }
    }

    /// The keys, asked for again if that may help; `None`: nobody can tell now.
    async fn keys_for(&self, kid: Option<&str>) -> Option<Arc<KeySet>> {
        if !self.kept().suffices(kid, Instant::now()) {
            let _turn = self.asking.lock().await;
            // Whoever had the turn before may have brought them.
            let is_due = {
                let kept = self.kept();
                !kept.suffices(kid, Instant::now()) && kept.may_ask(Instant::now())
            };
            if is_due {
                self.ask().await;
            }
        }
        self.kept().usable(Instant::now())
    }

    async fn ask(&self) {
        self.kept().asked = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                let mut kept = self.kept();
                kept.keys = Arc::new(keys);
                kept.fetched = Some(Instant::now());
                // What has been answered was not in vain.
                kept.asked = kept.fetched;
            }
            Err(error) => {
                let issuer = &self.expected.issuer;
                tracing::warn!(issuer, error = %error, "the provider's keys are not to be had");
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, NoKeys> {
        let said = get(&self.discovery).await?;
        let metadata: Metadata = serde_json::from_slice(&said).map_err(|_| NoKeys::Nonsense)?;
        // §4.3: to the letter, or somebody else's keys would be this one's.
        if metadata.issuer != self.expected.issuer {
            return Err(NoKeys::OtherIssuer(metadata.issuer));
        }
        let is_safe = |url: &str| url.starts_with("https://");
        if is_safe(&self.expected.issuer) && !is_safe(&metadata.jwks_uri) {
            return Err(NoKeys::Downgrade);
        }
        let service = Service::new(&metadata.jwks_uri, &self.authorities, self.patience)?;
        KeySet::read(&get(&service).await?).ok_or(NoKeys::Nonsense)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether nothing has to be asked for a key of this name.
    fn suffices(&self, kid: Option<&str>, now: Instant) -> bool {
        self.is_younger(FRESH, now) && self.keys.has(kid)
    }

    fn may_ask(&self, now: Instant) -> bool {
        let is_late = |asked: Instant| now.duration_since(asked) >= ASK_AGAIN;
        self.asked.is_none_or(is_late)
    }

    /// Whether they were asked for in vain since they came.
    fn has_failed(&self) -> bool {
        self.asked > self.fetched
    }

    fn usable(&self, now: Instant) -> Option<Arc<KeySet>> {
        self.is_younger(KEPT, now).then(|| Arc::clone(&self.keys))
    }

    fn is_younger(&self, age: Duration, now: Instant) -> bool {
        let is = |fetched: Instant| now.duration_since(fetched) < age;
        self.fetched.is_some_and(is)
    }
}

async fn get(service: &Service) -> Result<Vec<u8>, NoKeys> {
    let said = service.ask(Method::GET, HeaderMap::new()).await?;
    match said.status {
        StatusCode::OK => Ok(said.body),
        status => Err(NoKeys::Status(status)),
    }
}

/// The token itself, and what it says, stay out of the log.
fn refuse(error: BadToken) -> BearerVerdict {
    tracing::debug!(error = %error, "token of the provider refused");
    BearerVerdict::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_set() -> Arc<KeySet> {
        let key = "A".repeat(43);
        let json = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{key}"}}]}}"#);
        Arc::new(KeySet::read(json.as_bytes()).unwrap())
    }

    #[test]
    fn keys_are_asked_for_when_unknown_or_old_and_at_most_once_a_minute() {
        let begin = Instant::now();
        let mut kept = Kept::default();
        assert!(!kept.suffices(None, begin) && kept.may_ask(begin));
        kept.asked = Some(begin);
        assert!(!kept.may_ask(begin + ASK_AGAIN / 2) && kept.may_ask(begin + ASK_AGAIN));
        kept.keys = key_set();
        kept.fetched = Some(begin);
        assert!(kept.suffices(Some("a"), begin) && !kept.suffices(Some("b"), begin));
        assert!(!kept.suffices(Some("a"), begin + FRESH));
    }

    #[test]
    fn keys_of_a_provider_that_does_not_answer_are_good_for_a_day() {
        let begin = Instant::now();
        let mut kept = Kept::default();
        assert_eq!(kept.usable(begin), None);
        kept.keys = key_set();
        kept.fetched = Some(begin);
        assert!(kept.usable(begin + KEPT / 2).is_some());
        assert_eq!(kept.usable(begin + KEPT), None);
    }
}
