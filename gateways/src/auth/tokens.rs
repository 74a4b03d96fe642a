//! Logins by token (XEP-0484): which tokens there are and what they are worth.
//!
//! The store has seeds, this has the key: who has one of them has no token (row A13).

use std::time::Duration;

use klatsch_protocol::channels::Grant;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{HtMechanism, Secret, ht};
use klatsch_protocol::stream::fast::{Issued, TokenLogin, TokenVerdict};
use klatsch_protocol::time::Timestamp;
use klatsch_store::tokens::Token;
use klatsch_store::{Store, StoreError};
use subtle::ConstantTimeEq;

use super::api_token::{self, ApiTokenName, ApiVerdict};

/// For so long a token can be used: a phone in a drawer for a season has to ask its owner again.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// A token of this age is renewed with the next login (§3.5): whoever has taken a copy loses
/// it then.
const RENEWED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Bytes of a seed: 256 random bits.
const SEED_BYTES: usize = 32;

/// Makes tokens and checks them.
pub struct Tokens {
    store: Store,
    key: [u8; 32],
}

impl Tokens {
    /// Tokens of the accounts in a store, made with the server's key.
    pub fn new(store: Store, key: [u8; 32]) -> Self {
        Self { store, key }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Checks a login, and notes it when it is right; tells also since when the token's owner has
    /// proved to be the account's.
    pub async fn check(&self, login: &TokenLogin, now: Timestamp) -> (TokenVerdict, Timestamp) {
        let found = match self.find(login).await {
            Ok(Some(found)) => found,
            Ok(None) => return (TokenVerdict::Wrong, Timestamp::default()),
            Err(error) => return (unavailable(&error), Timestamp::default()),
        };
        let issued = found.1.issued;
        (self.judge_token(login, found, now).await, issued)
    }

    async fn find(&self, login: &TokenLogin) -> Result<Option<(Secret, Token)>, StoreError> {
        let known = self.store.tokens(&login.account, &login.agent).await?;
        let mechanism = login.proof.mechanism();
        let texts = known
            .into_iter()
            .filter(|token| token.mechanism == mechanism.name())
            .map(|token| (self.text(login, mechanism, &token.seed), token));
        Ok(texts
            .into_iter()
            .find(|(text, _)| login.proof.is_of(text.expose())))
    }

    async fn judge_token(
        &self,
        login: &TokenLogin,
        (text, token): (Secret, Token),
        now: Timestamp,
    ) -> TokenVerdict {
        if token.expiry <= now {
            return TokenVerdict::Expired;
        }
        match self.note(login, &token).await {
            Ok(()) => TokenVerdict::Right {
                account: login.account.clone(),
                answer: login.proof.answer(text.expose()),
                is_old: token.issued.plus(RENEWED_AFTER) <= now,
            },
            Err(StoreError::Conflict) => TokenVerdict::Wrong,
            Err(error) => unavailable(&error),
        }
    }

    /// Checks a token of a program.
    pub async fn check_api(
        &self,
        name: &ApiTokenName,
        token: &Secret,
        now: Timestamp,
    ) -> ApiVerdict {
        let known = match self.store.tokens(&name.account, &name.agent()).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(error = %error, "cannot check a token");
                return ApiVerdict::Unavailable;
            }
        };
        let found = known.into_iter().find(|known| {
            let text = name.token(&self.key, &known.seed);
            let is_it = text.expose().as_bytes().ct_eq(token.expose().as_bytes());
            known.expiry > now && bool::from(is_it)
        });
        let grant = found.and_then(|known| api_token::grant_in(&known.mechanism));
        grant.map_or(ApiVerdict::Wrong, ApiVerdict::Right)
    }

    /// Makes a token for a program, which takes the place of one of the same name.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
    pub async fn issue_api(
        &self,
        name: &ApiTokenName,
        grant: &Grant,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<Secret, StoreError> {
        let mut seed = [0; SEED_BYTES];
        getrandom::fill(&mut seed).expect("the system has randomness");
        let token = Token {
            mechanism: api_token::mechanism_of(grant),
            seed: seed.to_vec(),
            issued: now,
            expiry: now.plus(lifetime),
            count: 0,
            is_new: true,
        };
        let agent = name.agent();
        // One that has been used would stay beside the new one.
        self.store
            .forget_tokens(&name.account, Some(&agent))
            .await?;
        self.store.give_token(&name.account, &agent, &token).await?;
        Ok(name.token(&self.key, &seed))
    }

    /// Takes the token of a program away.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
    pub async fn revoke_api(&self, name: &ApiTokenName) -> Result<(), StoreError> {
        let agent = name.agent();
        self.store.forget_tokens(&name.account, Some(&agent)).await
    }

    /// Takes the tokens of one client away.
    pub async fn forget_client(&self, account: &BareJid, agent: &str) {
        if let Err(error) = self.store.forget_tokens(account, Some(agent)).await {
            tracing::warn!(jid = %account, error = %error, "tokens could not be taken away");
        }
    }

    /// Takes all tokens of an account away, those of programs too.
    pub async fn forget(&self, account: &BareJid) {
        if let Err(error) = self.store.forget_tokens(account, None).await {
            tracing::warn!(jid = %account, error = %error, "tokens could not be taken away");
        }
    }

    fn text(&self, login: &TokenLogin, mechanism: HtMechanism, seed: &[u8]) -> Secret {
        let account = login.account.as_str();
        let text = ht::token(&self.key, seed, account, &login.agent, mechanism);
        Secret::new(text)
    }

    /// A login that changes nothing costs no commit.
    async fn note(&self, login: &TokenLogin, token: &Token) -> Result<(), StoreError> {
        let (account, agent, count) = (&login.account, &login.agent, login.usage.count);
        if token.is_new || count.is_some() {
            let seed = &token.seed;
            self.store.use_token(account, agent, seed, count).await?;
        }
        match login.usage.is_last {
            true => self.store.forget_tokens(account, Some(agent)).await,
            false => Ok(()),
        }
    }

    /// Makes a token for a client that has logged in, by a proof of such an age; none when that
    /// cannot be done now.
    pub async fn issue(
        &self,
        account: &BareJid,
        agent: &str,
        mechanism: HtMechanism,
        (now, age): (Timestamp, Duration),
    ) -> Option<Issued> {
        let mut seed = [0; SEED_BYTES];
        getrandom::fill(&mut seed).ok()?;
        let token = Token {
            mechanism: mechanism.name().to_owned(),
            seed: seed.to_vec(),
            issued: now.minus(age),
            expiry: now.plus(LIFETIME),
            count: 0,
            is_new: true,
        };
        if let Err(error) = self.store.give_token(account, agent, &token).await {
            tracing::warn!(jid = %account, error = %error, "no token could be given");
            return None;
        }
        let text = ht::token(&self.key, &seed, account.as_str(), agent, mechanism);
        Some(Issued {
            token: Secret::new(text),
            expiry: token.expiry,
        })
    }
}

fn unavailable(error: &StoreError) -> TokenVerdict {
    tracing::warn!(error = %error, "cannot check a token");
    TokenVerdict::Unavailable
}
