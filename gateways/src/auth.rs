//! Who may log in: asks the backends in their order, and the throttle before them.
//!
//! The exchange with the client is `klatsch_protocol::sasl`; here is where keys come from and
//! passwords are checked. `external.rs` is what backends have in common whose accounts are
//! somebody else's; `ldap.rs`, `http_basic.rs`, `saslauthd.rs` and `userinfo.rs` ask them,
//! `jwt.rs` asks nobody for what tokens say themselves.
//! `token_login.rs` are logins by a token that came with one of them; `standing.rs` looks whether
//! those who are logged in still may be.

pub mod api_token;
mod cache;
pub mod external;
pub mod http_basic;
pub mod internal;
pub mod jwt;
pub mod ldap;
pub mod outward;
pub mod registrar;
pub mod saslauthd;
pub mod sealed;
pub mod standing;
#[cfg(test)]
pub(crate) mod testkit;
pub mod throttle;
mod token_login;
pub mod tokens;
pub mod userinfo;

use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use klatsch_actors::world::now;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, Login, Mechanism, ScramCredentials, Secret};
pub use klatsch_protocol::stream::{BearerVerdict, Verdict};

pub use api_token::{ApiTokenName, ApiVerdict};
pub use external::{Admission, External, Members, Source};
pub use http_basic::HttpBasic;
pub use internal::Internal;
pub use ldap::Ldap;
pub use outward::{BadService, Service};
pub use registrar::Registrar;
pub use saslauthd::Saslauthd;
pub use sealed::Audience;
pub use standing::Standing;
pub use throttle::{Leave, Throttle};
pub use tokens::Tokens;
pub use userinfo::{Provider, UserInfo};

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

/// Somebody wants to log in by a password.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Who they say they are.
    pub login: Login,
    /// What they know.
    pub password: Secret,
    /// Where they are.
    pub peer: IpAddr,
}

/// Somewhere accounts are.
pub trait Backend: Send + Sync {
    /// An account's SCRAM keys; most backends have none.
    fn credentials<'a>(&'a self, _account: &'a BareJid, _hash: Hash) -> Answer<'a, Keys> {
        Box::pin(async { Keys::None })
    }

    /// Checks a login by password; says whose it is.
    fn check_password<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict>;

    /// Whose bearer token this is (RFC 7628).
    fn check_bearer<'a>(&'a self, _token: Secret) -> Answer<'a, BearerVerdict> {
        Box::pin(async { BearerVerdict::Unknown })
    }

    /// Whose name this is, without a password: `None` when it is nobody's here.
    fn resolve<'a>(&'a self, _login: &'a Login) -> Answer<'a, Option<BareJid>> {
        Box::pin(async { None })
    }

    /// Whether an account may be logged in.
    fn standing<'a>(&'a self, _account: &'a BareJid) -> Answer<'a, Standing> {
        Box::pin(async { Standing::Silent })
    }

    /// Whether its accounts are somebody else's.
    fn is_external(&self) -> bool {
        false
    }

    /// How long ago it was asked elsewhere what let an account in just now, if it was let in by
    /// what is remembered.
    fn age(&self, _account: &BareJid) -> Option<Duration> {
        None
    }

    /// What is remembered of an account is not true any more.
    fn forget(&self, _account: &BareJid) {}

    /// Which of these hashes an account has no keys of; `None` when it is not one of its own.
    fn lacking_keys<'a>(
        &'a self,
        _account: &'a BareJid,
        _hashes: &'a [Hash],
    ) -> Answer<'a, Option<Vec<Hash>>> {
        Box::pin(async { None })
    }

    /// Adds keys to an account of its own that has none of their hash.
    fn add_keys<'a>(
        &'a self,
        _account: &'a BareJid,
        _keys: &'a ScramCredentials,
    ) -> Answer<'a, ()> {
        Box::pin(async {})
    }
}

/// The mechanisms to offer.
///
/// A directory cannot do SCRAM, and clients take the strongest mechanism they know: most try no
/// other when it fails, so that where SCRAM is offered, people of a directory would never get
/// in. ejabberd and Prosody offer PLAIN alone on hosts whose accounts are external for this
/// reason; MongooseIM offers what any of its backends can, and leaves the trouble to clients.
/// Which accounts are whose must not be seen before a login (row A11), so the offer is the same
/// for all: PLAIN where any backend is external, under TLS, and tokens (XEP-0484) after it, which
/// keep the password off the wire. `keeps_scram` is for whose clients have pinned SCRAM, or all
/// fall back.
pub fn mechanisms(has_external: bool, keeps_scram: bool) -> Vec<Mechanism> {
    let is_offered = |it: &Mechanism| it.hash().is_none() || !has_external || keeps_scram;
    Mechanism::ALL.into_iter().filter(is_offered).collect()
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
        if !self.has_leave(peer, account.as_str()).await {
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
    pub async fn check_password(&self, peer: IpAddr, login: &Login, password: Secret) -> Verdict {
        // Row L01: some directories take an empty password for an anonymous login and say yes.
        if password.expose().is_empty() {
            return Verdict::Wrong;
        }
        let key = login.key();
        if !self.has_leave(peer, &key).await {
            return Verdict::Unavailable;
        }
        let (login, password) = (login.clone(), password);
        let attempt = Attempt {
            login,
            password,
            peer,
        };
        let verdict = self.ask_in_turn(&attempt).await;
        if let Verdict::Right(_) = verdict {
            // What counts against the account itself is forgotten with the login.
            self.throttle.succeeded(&key);
        }
        verdict
    }

    async fn ask_in_turn(&self, attempt: &Attempt) -> Verdict {
        for backend in &self.backends {
            match backend.check_password(attempt).await {
                Verdict::Wrong => {}
                verdict => return verdict,
            }
        }
        Verdict::Wrong
    }

    /// Whose a bearer token is that logs in (RFC 7628): one that this server has given out for
    /// one login, or one that a backend knows.
    pub async fn check_bearer(&self, peer: IpAddr, token: Secret) -> BearerVerdict {
        if token.expose().is_empty() {
            return BearerVerdict::Unknown;
        }
        let claimed = sealed::claimed(token.expose());
        if !self.has_leave_for(peer, claimed.as_ref()).await {
            return BearerVerdict::Unavailable;
        }
        if claimed.is_some() {
            // Whatever it is for: no backend is shown what is between us and the account.
            return self.tokens.unseal(&token, Audience::Xmpp, now()).await;
        }
        let mut verdict = BearerVerdict::Unknown;
        for backend in &self.backends {
            match backend.check_bearer(token.clone()).await {
                BearerVerdict::Unknown => {}
                // Another may know it all the same: tokens are nobody else's by chance.
                BearerVerdict::Unavailable => verdict = BearerVerdict::Unavailable,
                known => return known,
            }
        }
        verdict
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

    /// Whether an account may be logged in, as far as anybody can tell.
    pub async fn standing(&self, account: &BareJid) -> Standing {
        let mut said = Vec::with_capacity(self.backends.len());
        for backend in &self.backends {
            said.push(backend.standing(account).await);
        }
        Standing::of_all(&said)
    }

    /// Forgets what is remembered of an account's logins.
    pub fn forget(&self, account: &BareJid) {
        for backend in &self.backends {
            backend.forget(account);
        }
    }

    async fn resolve(&self, login: &Login) -> Option<BareJid> {
        for backend in &self.backends {
            if let Some(account) = backend.resolve(login).await {
                return Some(account);
            }
        }
        None
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

    /// Checks a token that an operator has made for a program; tells also whose it says it is.
    pub async fn check_api_token(
        &self,
        peer: IpAddr,
        token: &Secret,
    ) -> (Option<BareJid>, ApiVerdict) {
        let Some(name) = ApiTokenName::of(token.expose()) else {
            return (None, ApiVerdict::Wrong);
        };
        let verdict = match self.has_leave(peer, name.account.as_str()).await {
            true => self.tokens.check_api(&name, token, now()).await,
            false => ApiVerdict::Unavailable,
        };
        (Some(name.account), verdict)
    }

    /// Notes a login that succeeded.
    pub fn succeeded(&self, account: &BareJid) {
        metrics::login("accepted");
        self.throttle.succeeded(account.as_str());
    }

    /// Notes a login that failed; the line is for people and for fail2ban (row A12).
    pub fn failed(&self, peer: IpAddr, account: Option<&BareJid>) {
        metrics::login("refused");
        self.note_failure(peer, account.map(BareJid::as_str));
    }

    fn note_failure(&self, peer: IpAddr, jid: Option<&str>) {
        tracing::info!(peer = %peer, jid, "login failed");
        self.throttle.failed(peer, jid, Instant::now());
    }

    /// The same for who has not said whom the attempt is on.
    async fn has_leave_for(&self, peer: IpAddr, account: Option<&BareJid>) -> bool {
        match account {
            Some(account) => self.has_leave(peer, account.as_str()).await,
            None => matches!(self.throttle.ask(peer, "", Instant::now()), Leave::After(_)),
        }
    }

    /// Tells whether an address has tried too often, so that it is asked to come later.
    pub fn refuses(&self, peer: IpAddr) -> bool {
        self.throttle.refuses(peer, Instant::now())
    }

    async fn has_leave(&self, peer: IpAddr, account: &str) -> bool {
        match self.throttle.ask(peer, account, Instant::now()) {
            Leave::After(delay) => {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                true
            }
            Leave::TooFast | Leave::Banned => {
                metrics::login("throttled");
                // Whoever goes on guessing is nearer to a ban with each guess.
                self.note_failure(peer, Some(account).filter(|it| !it.is_empty()));
                false
            }
        }
    }
}
