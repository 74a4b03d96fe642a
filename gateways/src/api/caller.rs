//! Who asks: an account by its address and password, or by a session's token.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Login, Secret, oauthbearer};

use std::sync::Arc;

use super::ApiGateway;
use super::answer::Refusal;
use crate::auth::throttle::make_room;
use crate::auth::{Audience, BearerVerdict, Verdict};
use crate::http::Requester;
use crate::listener::{Bucket, Rate};

/// How an account proves who it is.
enum Proof {
    Password(Login, Secret),
    Token(Secret),
}

/// An account that may ask for what is its own.
pub(super) struct Caller(pub(super) BareJid);

/// An account that has shown its password.
pub(super) struct WithPassword(pub(super) BareJid);

/// An account that has shown its password, or a token for one session.
pub(super) struct Beginner(pub(super) BareJid);

impl FromRequestParts<Arc<ApiGateway>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<ApiGateway>,
    ) -> Result<Self, Refusal> {
        let account = gateway.account(parts, Some(Audience::Api)).await?;
        Ok(Self(account))
    }
}

impl FromRequestParts<Arc<ApiGateway>> for WithPassword {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<ApiGateway>,
    ) -> Result<Self, Refusal> {
        gateway.account(parts, None).await.map(Self)
    }
}

impl FromRequestParts<Arc<ApiGateway>> for Beginner {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        gateway: &Arc<ApiGateway>,
    ) -> Result<Self, Refusal> {
        let account = gateway.account(parts, Some(Audience::Session)).await?;
        Ok(Self(account))
    }
}

impl ApiGateway {
    /// Whose request it is; `token` is for what a token may be that comes instead of a password.
    async fn account(&self, parts: &Parts, token: Option<Audience>) -> Result<BareJid, Refusal> {
        let requester = requester(&parts.extensions)?;
        if !requester.secure {
            return Err(Refusal::Encryption);
        }
        let account = match (self.proof(&parts.headers)?, token) {
            (Proof::Password(login, password), _) => {
                self.by_password(requester, &login, password).await?
            }
            (Proof::Token(token), Some(audience)) => self.by_token(&token, audience).await?,
            (Proof::Token(_), None) => return Err(Refusal::NotAuthorized),
        };
        match self.paces.take(&account, Instant::now()) {
            true => Ok(account),
            false => Err(Refusal::TooMany),
        }
    }

    /// The one place where a password is checked, and where an alias becomes its account.
    async fn by_password(
        &self,
        requester: Requester,
        login: &Login,
        password: Secret,
    ) -> Result<BareJid, Refusal> {
        let (authenticator, address) = (&self.authenticator, requester.address);
        let typed = login.address();
        match authenticator.check_password(address, login, password).await {
            Verdict::Right(account) => {
                authenticator.succeeded(&account);
                Ok(account)
            }
            Verdict::Wrong => {
                authenticator.failed(address, typed.as_ref());
                Err(Refusal::NotAuthorized)
            }
            Verdict::Disabled => {
                authenticator.failed(address, typed.as_ref());
                Err(Refusal::Disabled)
            }
            Verdict::Unavailable if authenticator.refuses(address) => Err(Refusal::TooMany),
            Verdict::Unavailable => Err(Refusal::TemporaryAuth),
        }
    }

    /// A token that is over is no guess, and nobody finds one by trying: it counts for no ban, or
    /// the server of a page would be shut out for sessions that have ended.
    async fn by_token(&self, token: &Secret, audience: Audience) -> Result<BareJid, Refusal> {
        match self.authenticator.check_sealed(token, audience).await {
            BearerVerdict::Of(account) => Ok(account),
            BearerVerdict::Disabled => Err(Refusal::Disabled),
            BearerVerdict::Unavailable => Err(Refusal::TemporaryAuth),
            BearerVerdict::Unknown => Err(Refusal::NotAuthorized),
        }
    }

    /// What stands in the header, once.
    fn proof(&self, headers: &HeaderMap) -> Result<Proof, Refusal> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(Refusal::NotAuthorized);
        };
        let line = line.to_str().map_err(|_| Refusal::NotAuthorized)?;
        let (scheme, rest) = line.split_once(' ').ok_or(Refusal::NotAuthorized)?;
        let rest = rest.trim();
        match scheme.to_ascii_lowercase().as_str() {
            "basic" => self.basic(rest).ok_or(Refusal::NotAuthorized),
            "bearer" if oauthbearer::is_token(rest) => Ok(Proof::Token(Secret::new(rest))),
            _ => Err(Refusal::NotAuthorized),
        }
    }

    /// RFC 7617 §2: the first colon ends the name.
    fn basic(&self, text: &str) -> Option<Proof> {
        let said = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (name, password) = said.split_once(':')?;
        if password.is_empty() {
            // Some directories take that for an anonymous login and say yes.
            return None;
        }
        let login = Login::among(&self.domains, name)?;
        Some(Proof::Password(login, Secret::new(password)))
    }
}

fn requester(extensions: &Extensions) -> Result<Requester, Refusal> {
    extensions.get().copied().ok_or(Refusal::Unavailable)
}

/// How fast accounts ask: a page that shows a list asks in bursts and rests.
#[derive(Default)]
pub(super) struct Paces(Mutex<HashMap<BareJid, Bucket>>);

const RATE: Rate = Rate {
    per_second: 10.0,
    burst: 200.0,
};

impl Paces {
    fn take(&self, account: &BareJid, now: Instant) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut known, |bucket| !bucket.is_full(RATE, now));
        let bucket = known.entry(account.clone());
        bucket
            .or_insert_with(|| Bucket::full(RATE, now))
            .take(RATE, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_asks_too_fast_waits_and_nobody_else_does() {
        let paces = Paces::default();
        let [anna, bert] = ["anna@x.test", "bert@x.test"].map(|it| BareJid::parse(it).unwrap());
        let now = Instant::now();
        let taken = (0..500).filter(|_| paces.take(&anna, now)).count();
        assert_eq!(taken, 200);
        assert!(paces.take(&bert, now));
        assert!(paces.take(&anna, now + Duration::from_secs(1)));
    }
}
