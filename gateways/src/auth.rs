//! Who may log in: asks the backends in their order, and the throttle before them.
//!
//! The exchange with the client is `klatsch_protocol::sasl`; here is where keys come from and
//! passwords are checked. Leaves out, for now: LDAP, HTTP and saslauthd.

pub mod api_token;
pub mod internal;
pub mod registrar;
pub mod sealed;
pub mod throttle;
pub mod tokens;

use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use klatsch_actors::world::now;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, HtMechanism, ScramCredentials, Secret};
use klatsch_protocol::stream::fast::{Issued, TokenLogin, TokenVerdict};
pub use klatsch_protocol::stream::{BearerVerdict, Verdict};

pub use api_token::{ApiTokenName, ApiVerdict};
pub use internal::Internal;
pub use registrar::Registrar;
pub use sealed::Audience;
pub use throttle::{Leave, Throttle};
pub use tokens::Tokens;

use crate::metrics;

/// A backend's answer.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a backend knows of an account's SCRAM keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// There is no such account here, or it has none of this kind.
    None,
    /// These.
    Some(ScramCredentials),
    /// These, but nobody may log in.
    OfDisabled(ScramCredentials),
    /// It cannot tell now.
    Unavailable,
}

/// Somewhere accounts are.
pub trait Backend: Send + Sync {
    /// An account's SCRAM keys.
    fn credentials<'a>(&'a self, account: &'a BareJid, hash: Hash) -> Answer<'a, Keys>;

    /// Checks a password.
    fn check_password<'a>(&'a self, account: &'a BareJid, password: Secret) -> Answer<'a, Verdict>;

    /// Whose bearer token this is (RFC 7628).
    fn check_bearer<'a>(&'a self, _token: Secret) -> Answer<'a, BearerVerdict> {
        Box::pin(async { BearerVerdict::Unknown })
    }

    /// Which of these hashes an account has no keys of; `None` when it is not one of its own.
    fn lacking_keys<'a>(
        &'a self,
        account: &'a BareJid,
        hashes: &'a [Hash],
    ) -> Answer<'a, Option<Vec<Hash>>>;

    /// Adds keys to an account of its own that has none of their hash.
    fn add_keys<'a>(&'a self, account: &'a BareJid, keys: &'a ScramCredentials) -> Answer<'a, ()>;
}

/// An exchange begins this long after it was asked for, however long its keys took to find:
/// rows that are there take some microseconds longer to read than rows that are not, which
/// would tell who has an account (row A10). Nobody notices two milliseconds.
const LOOK_UP_TIME: Duration = Duration::from_millis(2);

/// The backends in their order, and the throttle.
pub struct Authenticator {
    backends: Vec<Box<dyn Backend>>,
    tokens: Tokens,
    throttle: Throttle,
}

impl Authenticator {
    /// Asks these backends, the first first.
    pub fn new(backends: Vec<Box<dyn Backend>>, tokens: Tokens, throttle: Throttle) -> Self {
        Self {
            backends,
            tokens,
            throttle,
        }
    }

    /// An account's SCRAM keys from the first backend that has any. If a backend that is asked
    /// before cannot tell, nobody is asked further: the account may be another's.
    pub async fn credentials(&self, peer: IpAddr, account: &BareJid, hash: Hash) -> Keys {
        if !self.has_leave(peer, account).await {
            return Keys::Unavailable;
        }
        let due = tokio::time::Instant::now() + LOOK_UP_TIME;
        let found = self.find_credentials(account, hash).await;
        tokio::time::sleep_until(due).await;
        found
    }

    async fn find_credentials(&self, account: &BareJid, hash: Hash) -> Keys {
        for backend in &self.backends {
            match backend.credentials(account, hash).await {
                Keys::None => {}
                found => return found,
            }
        }
        Keys::None
    }

    /// Checks a password with each backend until one knows better than that it is wrong.
    pub async fn check_password(
        &self,
        peer: IpAddr,
        account: &BareJid,
        password: Secret,
    ) -> Verdict {
        if !self.has_leave(peer, account).await {
            return Verdict::Unavailable;
        }
        for backend in &self.backends {
            match backend.check_password(account, password.clone()).await {
                Verdict::Wrong => {}
                verdict => return verdict,
            }
        }
        Verdict::Wrong
    }

    /// Whose a bearer token is that logs in (RFC 7628): one that this server has given out for
    /// one login, or one that a backend knows.
    pub async fn check_bearer(&self, peer: IpAddr, token: Secret) -> BearerVerdict {
        let claimed = sealed::claimed(token.expose());
        if !self.has_leave_for(peer, claimed.as_ref()).await {
            return BearerVerdict::Unavailable;
        }
        if claimed.is_some() {
            // Whatever it is for: no backend is shown what is between us and the account.
            return self.tokens.unseal(&token, Audience::Xmpp, now()).await;
        }
        for backend in &self.backends {
            match backend.check_bearer(token.clone()).await {
                BearerVerdict::Unknown => {}
                verdict => return verdict,
            }
        }
        BearerVerdict::Unknown
    }

    /// Whose a token for the API is; one that is good once is used up by this. Whoever has a
    /// session may ask often, and what is forged is refused without a look at the store: nobody
    /// has to be slowed down.
    pub async fn check_sealed(&self, token: &Secret, audience: Audience) -> BearerVerdict {
        self.tokens.unseal(token, audience, now()).await
    }

    /// Makes a token for an account that has proved who it is; none when that cannot be done now.
    pub async fn seal(&self, account: &BareJid, audience: Audience) -> Option<Secret> {
        self.tokens.seal(account, audience, now()).await
    }

    /// Which of these hashes an account, which has logged in, has no keys of (XEP-0480); none
    /// when nobody can tell.
    pub async fn lacking_keys(&self, account: &BareJid, hashes: &[Hash]) -> Vec<Hash> {
        for backend in &self.backends {
            if let Some(lacking) = backend.lacking_keys(account, hashes).await {
                return lacking;
            }
        }
        Vec::new()
    }

    /// Adds keys to an account that has none of their hash, where it has its others.
    pub async fn add_keys(&self, account: &BareJid, keys: &ScramCredentials) {
        for backend in &self.backends {
            let lacking = backend.lacking_keys(account, &[keys.hash]).await;
            if lacking.is_some() {
                return backend.add_keys(account, keys).await;
            }
        }
    }

    /// Checks a token.
    pub async fn check_token(&self, peer: IpAddr, login: &TokenLogin) -> TokenVerdict {
        if !self.has_leave(peer, &login.account).await {
            return TokenVerdict::Unavailable;
        }
        self.tokens.check(login, now()).await
    }

    /// Checks a token that an operator has made for a program; tells also whose it says it is.
    pub async fn check_api_token(
        &self,
        peer: IpAddr,
        token: &Secret,
    ) -> (Option<BareJid>, ApiVerdict) {
        let Some(name) = ApiTokenName::of(token.expose()) else {
            return (None, ApiVerdict::Wrong);
        };
        let verdict = match self.has_leave(peer, &name.account).await {
            true => self.tokens.check_api(&name, token, now()).await,
            false => ApiVerdict::Unavailable,
        };
        (Some(name.account), verdict)
    }

    /// Makes a token for a client that has logged in; none when that cannot be done now.
    pub async fn issue_token(
        &self,
        account: &BareJid,
        agent: &str,
        mechanism: HtMechanism,
    ) -> Option<Issued> {
        self.tokens.issue(account, agent, mechanism, now()).await
    }

    /// Notes a login that succeeded.
    pub fn succeeded(&self, account: &BareJid) {
        metrics::login("accepted");
        self.throttle.succeeded(account.as_str());
    }

    /// Notes a login that failed; the line is for people and for fail2ban (row A12).
    pub fn failed(&self, peer: IpAddr, account: Option<&BareJid>) {
        metrics::login("refused");
        let jid = account.map(BareJid::as_str);
        tracing::info!(peer = %peer, jid, "login failed");
        self.throttle.failed(peer, jid, Instant::now());
    }

    /// The same for who has not said whom the attempt is on.
    async fn has_leave_for(&self, peer: IpAddr, account: Option<&BareJid>) -> bool {
        match account {
            Some(account) => self.has_leave(peer, account).await,
            None => matches!(self.throttle.ask(peer, "", Instant::now()), Leave::After(_)),
        }
    }

    /// Tells whether an address has tried too often, so that it is asked to come later.
    pub fn refuses(&self, peer: IpAddr) -> bool {
        self.throttle.refuses(peer, Instant::now())
    }

    async fn has_leave(&self, peer: IpAddr, account: &BareJid) -> bool {
        match self.throttle.ask(peer, account.as_str(), Instant::now()) {
            Leave::After(delay) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                true
            }
            Leave::TooFast | Leave::Banned => {
                metrics::login("throttled");
                false
            }
        }
    }
}
