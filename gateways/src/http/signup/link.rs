//! The sign-up link itself: a token that makes one account, whoever is first.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use sha2::{Digest, Sha256};

/// The account to make.
pub struct NewAdministrator {
    /// The name, as typed.
    pub localpart: String,
    /// One of the server's domains.
    pub domain: String,
    /// Its password, as typed.
    pub password: SecretString,
}

/// Why no account was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateError {
    /// The name cannot be used; the text says why to its owner.
    NotThisName(String),
    /// Somebody was first.
    Used,
    /// The store cannot be reached.
    Unavailable,
}

/// Makes the account; given by whoever has the store.
pub type Create = Box<dyn Fn(NewAdministrator) -> Created + Send + Sync>;
type Created = Pin<Box<dyn Future<Output = Result<(), CreateError>> + Send>>;

/// One link, while the server runs.
pub struct SignupLink {
    // A hash compares without telling by its time how much of a guess was right.
    token_hash: [u8; 32],
    state: Mutex<State>,
    create: Create,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Somebody's account is being made.
    Busy,
    Used,
}

impl SignupLink {
    /// A link that opens for the token and calls `create` until that succeeds once. The token
    /// is at least 128 random bits (row H05).
    pub fn new(token: &str, create: Create) -> Self {
        Self {
            token_hash: hash(token),
            state: Mutex::new(State::Open),
            create,
        }
    }

    /// Tells whether this is the link's token, used or not.
    pub fn opens(&self, token: &str) -> bool {
        hash(token) == self.token_hash
    }

    /// Tells whether an account was made.
    pub fn is_used(&self) -> bool {
        self.state() == State::Used
    }

    /// Makes the account. Of several at the same time the first wins; if making it fails, or
    /// its browser goes away, the link stays usable.
    pub async fn redeem(&self, token: &str, account: NewAdministrator) -> Result<(), CreateError> {
        if !self.opens(token) || !self.change(State::Open, State::Busy) {
            return Err(CreateError::Used);
        }
        let _reopen = Reopen(self);
        (self.create)(account).await?;
        self.change(State::Busy, State::Used);
        Ok(())
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, from: State, to: State) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = *state == from;
        if changes {
            *state = to;
        }
        changes
    }
}

/// Opens the link again unless an account was made.
struct Reopen<'a>(&'a SignupLink);

impl Drop for Reopen<'_> {
    fn drop(&mut self) {
        self.0.change(State::Busy, State::Open);
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn anna() -> NewAdministrator {
        NewAdministrator {
            localpart: "anna".into(),
            domain: "example.org".into(),
            password: "long enough".into(),
        }
    }

    fn link(create: Create) -> (SignupLink, &'static str) {
        (SignupLink::new("token", create), "token")
    }

    #[tokio::test]
    async fn fifty_at_once_make_one_account() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let (link, token) = link(Box::new(move |_| {
            let count = Arc::clone(&count);
            Box::pin(async move {
                tokio::task::yield_now().await;
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        }));
        let tries = (0..50).map(|_| link.redeem(token, anna()));
        let outcomes = futures_util::future::join_all(tries).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(made.load(Ordering::SeqCst), 1);
        assert!(link.is_used());
    }

    #[tokio::test]
    async fn failure_leaves_the_link_usable() {
        let (link, token) = link(Box::new(|_| {
            Box::pin(async { Err(CreateError::Unavailable) })
        }));
        assert_eq!(
            link.redeem(token, anna()).await,
            Err(CreateError::Unavailable)
        );
        assert!(!link.is_used());
        assert_eq!(link.redeem("guess", anna()).await, Err(CreateError::Used));
        assert_eq!(
            link.redeem(token, anna()).await,
            Err(CreateError::Unavailable)
        );
    }
}
