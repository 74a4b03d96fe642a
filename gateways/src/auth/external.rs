//! Backends whose accounts are somebody else's: a directory's, a mail server's.
//!
//! They know names and passwords; the account, with its roster, its archive and whatever else
//! it has, is made in the store when its owner logs in for the first time. It has no keys there.

use std::time::{Duration, Instant};

use klatsch_actors::sessions::Sessions;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Login, Secret};
use klatsch_protocol::stream::Verdict;

use super::cache::Cache;
use super::{Answer, Attempt, Backend, BearerVerdict, Standing};

/// Whoever knows who somebody is.
pub trait Source: Send + Sync {
    /// What it is called in the log.
    fn name(&self) -> &'static str;

    /// Checks a login by password.
    fn check<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict>;

    /// Whose bearer token this is.
    fn check_bearer<'a>(&'a self, _token: Secret) -> Answer<'a, BearerVerdict> {
        Box::pin(async { BearerVerdict::Unknown })
    }

    /// Whose name this is.
    fn resolve<'a>(&'a self, _login: &'a Login) -> Answer<'a, Option<BareJid>> {
        Box::pin(async { None })
    }

    /// Whether an account may be logged in.
    fn standing<'a>(&'a self, _account: &'a BareJid) -> Answer<'a, Standing> {
        Box::pin(async { Standing::Silent })
    }
}

/// Whether an account that somebody else vouches for may be logged in here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may, and is there.
    Admitted,
    /// An administrator of this server has disabled it.
    Disabled,
    /// It cannot be told now.
    Unavailable,
}

/// The accounts of this server.
pub trait Members: Send + Sync {
    /// Admits an account that somebody vouches for, and makes it where there is none.
    fn admit<'a>(&'a self, account: &'a BareJid) -> Answer<'a, Admission>;
}

impl Members for Sessions {
    fn admit<'a>(&'a self, account: &'a BareJid) -> Answer<'a, Admission> {
        Box::pin(async move {
            match self.admit_account(account).await {
                Ok(true) => Admission::Admitted,
                Ok(false) => Admission::Disabled,
                Err(error) => {
                    tracing::warn!(jid = %account, error = %error, "account cannot be looked up");
                    Admission::Unavailable
                }
            }
        })
    }
}

/// A backend over a source.
pub struct External<S, M = Sessions> {
    source: S,
    members: M,
    domains: Vec<BareJid>,
    cache: Option<Cache>,
}

impl<S: Source, M: Members> External<S, M> {
    /// A backend for accounts of these domains.
    pub fn new(source: S, members: M, domains: Vec<BareJid>) -> Self {
        Self {
            source,
            members,
            domains,
            cache: Cache::new(),
        }
    }

    async fn check(&self, attempt: &Attempt) -> Verdict {
        let now = Instant::now();
        let known = self.cache.as_ref().and_then(|it| it.get(attempt, now));
        let account = match known {
            Some(account) => account,
            None => match self.source.check(attempt).await {
                Verdict::Right(account) => {
                    if let Some(cache) = &self.cache {
                        cache.put(attempt, &account, Instant::now());
                    }
                    account
                }
                verdict => return verdict,
            },
        };
        match self.admit(&account).await {
            Ok(()) => Verdict::Right(account),
            Err(verdict) => verdict,
        }
    }

    /// Whoever vouches for somebody of a domain that is not served here vouches in vain.
    async fn admit(&self, account: &BareJid) -> Result<(), Verdict> {
        let is_ours = self.domains.contains(&account.domain_jid()) && account.localpart().is_some();
        if !is_ours {
            let backend = self.source.name();
            tracing::warn!(jid = %account, backend, "account is of no domain served here");
            return Err(Verdict::Wrong);
        }
        match self.members.admit(account).await {
            Admission::Admitted => Ok(()),
            Admission::Disabled => Err(Verdict::Disabled),
            Admission::Unavailable => Err(Verdict::Unavailable),
        }
    }

    async fn bearer(&self, token: Secret) -> BearerVerdict {
        let account = match self.source.check_bearer(token).await {
            BearerVerdict::Of(account) => account,
            verdict => return verdict,
        };
        match self.admit(&account).await {
            Ok(()) => BearerVerdict::Of(account),
            Err(Verdict::Disabled) => BearerVerdict::Disabled,
            Err(Verdict::Unavailable) => BearerVerdict::Unavailable,
            Err(_) => BearerVerdict::Unknown,
        }
    }
}

impl<S: Source, M: Members> Backend for External<S, M> {
    fn check_password<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict> {
        Box::pin(self.check(attempt))
    }

    fn check_bearer<'a>(&'a self, token: Secret) -> Answer<'a, BearerVerdict> {
        Box::pin(self.bearer(token))
    }

    fn resolve<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<BareJid>> {
        self.source.resolve(login)
    }

    fn standing<'a>(&'a self, account: &'a BareJid) -> Answer<'a, Standing> {
        self.source.standing(account)
    }

    fn is_external(&self) -> bool {
        true
    }

    fn age(&self, account: &BareJid) -> Option<Duration> {
        self.cache.as_ref()?.age(account, Instant::now())
    }

    fn forget(&self, account: &BareJid) {
        if let Some(cache) = &self.cache {
            cache.forget(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A directory with `john.doe@example.org`, who is `doe`, and somebody of another domain.
    struct Book {
        asked: AtomicUsize,
    }

    impl Source for Book {
        fn name(&self) -> &'static str {
            "book"
        }

        fn check<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let account = match (attempt.login.name(), attempt.password.expose()) {
                ("doe", "secret") => "john.doe@example.org",
                ("mallory", "secret") => "ceo@elsewhere.example",
                _ => return Box::pin(async { Verdict::Wrong }),
            };
            let account = BareJid::parse(account).unwrap();
            Box::pin(async { Verdict::Right(account) })
        }
    }

    struct House(Admission);

    impl Members for House {
        fn admit<'a>(&'a self, _account: &'a BareJid) -> Answer<'a, Admission> {
            Box::pin(async { self.0 })
        }
    }

    fn external(admission: Admission) -> External<Book, House> {
        let asked = AtomicUsize::new(0);
        let domains = vec![BareJid::parse("example.org").unwrap()];
        External::new(Book { asked }, House(admission), domains)
    }

    fn attempt(name: &str, password: &str) -> Attempt {
        let domain = BareJid::parse("example.org").unwrap();
        Attempt {
            login: Login::new(name, &domain).unwrap(),
            password: Secret::new(password),
            peer: [192, 0, 2, 1].into(),
        }
    }

    #[tokio::test]
    async fn right_login_is_asked_once_a_minute_and_wrong_ones_each_time() {
        let backend = external(Admission::Admitted);
        let john = Verdict::Right(BareJid::parse("john.doe@example.org").unwrap());
        for _ in 0..3 {
            assert_eq!(
                backend.check_password(&attempt("doe", "secret")).await,
                john
            );
        }
        assert_eq!(backend.source.asked.load(Ordering::SeqCst), 1);
        for _ in 0..2 {
            let verdict = backend.check_password(&attempt("doe", "wrong")).await;
            assert_eq!(verdict, Verdict::Wrong);
        }
        assert_eq!(backend.source.asked.load(Ordering::SeqCst), 3);
        backend.forget(&BareJid::parse("john.doe@example.org").unwrap());
        backend.check_password(&attempt("doe", "secret")).await;
        assert_eq!(backend.source.asked.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn r14_nobody_of_a_domain_that_is_not_served_gets_in() {
        let backend = external(Admission::Admitted);
        let verdict = backend.check_password(&attempt("mallory", "secret")).await;
        assert_eq!(verdict, Verdict::Wrong);
    }

    #[tokio::test]
    async fn who_is_disabled_here_stays_so_whatever_the_directory_says() {
        let backend = external(Admission::Disabled);
        let verdict = backend.check_password(&attempt("doe", "secret")).await;
        assert_eq!(verdict, Verdict::Disabled);
        let backend = external(Admission::Unavailable);
        let verdict = backend.check_password(&attempt("doe", "secret")).await;
        assert_eq!(verdict, Verdict::Unavailable);
    }
}
