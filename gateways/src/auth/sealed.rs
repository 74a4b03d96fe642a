//! Tokens that carry what they say with them, sealed with the server's key: for a minute and one
//! login, or for an hour of requests to the API.
//!
//! Every node can check every token, and only the use of one that is good once is written down,
//! as its hash. A token has a mark of what its account logs in with: with another password, or in
//! another life of its name, it is nobody's. Apps' tokens (`api_token.rs`) and those of clients
//! (XEP-0484) are no such tokens, nor is one of these ever one of those.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, Secret};
use klatsch_protocol::stream::BearerVerdict;
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Credentials, Store, StoreError};
use subtle::ConstantTimeEq;

use super::tokens::Tokens;

/// What a token is for. A name is part of the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// One login by OAUTHBEARER.
    Xmpp,
    /// One exchange for a session of the API.
    Session,
    /// Requests to the API, and nothing else.
    Api,
}

impl Audience {
    fn name(self) -> &'static str {
        match self {
            Self::Xmpp => "xmpp",
            Self::Session => "session",
            Self::Api => "api",
        }
    }

    /// For how long a token is good: to fetch a page with it and log in takes seconds; a session
    /// of the API is asked for again by whoever has the password.
    #[must_use]
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Xmpp | Self::Session => Duration::from_secs(60),
            Self::Api => Duration::from_secs(3600),
        }
    }

    fn is_good_once(self) -> bool {
        matches!(self, Self::Xmpp | Self::Session)
    }
}

/// What all of these tokens begin with. Those of apps have a dot later, and another alphabet
/// before it.
const PREFIX: &str = "klatsch1.";

/// No token of ours is longer: an address has 3,071 bytes at most.
const BYTES_MAX: usize = 8 * 1024;

/// Bytes of what makes two tokens of one moment differ.
const NONCE_BYTES: usize = 16;

/// Bytes of the mark of what an account logs in with: nobody can aim at a collision who has not
/// got the key.
const MARK_BYTES: usize = 16;

/// What a token says, before anybody has looked whether it is true.
struct Claim<'a> {
    account: BareJid,
    expiry: Timestamp,
    /// Of what the account logged in with when the token was made.
    mark: Vec<u8>,
    /// All of it but the seal.
    head: &'a str,
    seal: Vec<u8>,
}

/// Whose a token says it is, if it is one of these.
pub(super) fn claimed(token: &str) -> Option<BareJid> {
    Claim::read(token).map(|claim| claim.account)
}

impl<'a> Claim<'a> {
    fn read(token: &'a str) -> Option<Self> {
        if token.len() > BYTES_MAX {
            return None;
        }
        let (head, seal) = token.strip_prefix(PREFIX)?.split_once('.')?;
        let said = URL_SAFE_NO_PAD.decode(head).ok()?;
        let (_nonce, said) = said.split_at_checked(NONCE_BYTES)?;
        let (mark, said) = said.split_at_checked(MARK_BYTES)?;
        let (expiry, account) = str::from_utf8(said).ok()?.split_once(' ')?;
        let account = BareJid::parse(account).ok()?;
        account.localpart()?;
        Some(Self {
            account,
            expiry: Timestamp(expiry.parse().ok()?),
            mark: mark.to_vec(),
            head,
            seal: URL_SAFE_NO_PAD.decode(seal).ok()?,
        })
    }

    /// Tells whether we have made it, for this, and its time is not over.
    fn is_ours(&self, key: &[u8; 32], audience: Audience, now: Timestamp) -> bool {
        let seal = seal(key, audience, self.head);
        bool::from(seal.ct_eq(&self.seal)) && self.expiry > now
    }
}

/// A MAC under a key for this purpose alone, so that nothing that is made with the server's key
/// elsewhere can be taken for it.
fn mac(key: &[u8; 32], purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
    let key = Hash::Sha256.hmac(key, format!("klatsch sealed tokens: {purpose}").as_bytes());
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    Hash::Sha256.hmac(&key, &all)
}

fn seal(key: &[u8; 32], audience: Audience, head: &str) -> Vec<u8> {
    mac(key, audience.name(), &[head.as_bytes()])
}

/// The mark of what an account logs in with: its keys, and which life of its name it is.
fn mark(key: &[u8; 32], credentials: &Credentials) -> Vec<u8> {
    let epoch = credentials.epoch.to_be_bytes();
    let keys = credentials.scram.iter();
    let keys = keys.flat_map(|keys| [keys.salt.as_slice(), &keys.stored_key]);
    let parts: Vec<&[u8]> = std::iter::once(epoch.as_slice()).chain(keys).collect();
    let mut mark = mac(key, "credentials", &parts);
    mark.truncate(MARK_BYTES);
    mark
}

/// A token for an account with these credentials.
fn sealed(
    key: &[u8; 32],
    audience: Audience,
    account: &BareJid,
    credentials: &Credentials,
    nonce: [u8; NONCE_BYTES],
    now: Timestamp,
) -> Secret {
    let expiry = now.plus(audience.lifetime());
    let mut said = nonce.to_vec();
    said.extend(mark(key, credentials));
    said.extend(format!("{} {account}", expiry.0).into_bytes());
    let head = URL_SAFE_NO_PAD.encode(said);
    let seal = URL_SAFE_NO_PAD.encode(seal(key, audience, &head));
    Secret::new(format!("{PREFIX}{head}.{seal}"))
}

impl Tokens {
    /// Makes a token for an account that has logged in; none when that cannot be done now, or
    /// there is no such account any more.
    pub async fn seal(
        &self,
        account: &BareJid,
        audience: Audience,
        now: Timestamp,
    ) -> Option<Secret> {
        let credentials = match self.store().credentials(account).await {
            Ok(credentials) => credentials?,
            Err(error) => {
                tracing::warn!(jid = %account, error = %error, "no token could be made");
                return None;
            }
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok()?;
        Some(sealed(
            self.key(),
            audience,
            account,
            &credentials,
            nonce,
            now,
        ))
    }

    /// Whose a token is. One that is good once is used up by this.
    pub async fn unseal(
        &self,
        token: &Secret,
        audience: Audience,
        now: Timestamp,
    ) -> BearerVerdict {
        let Some(claim) = Claim::read(token.expose()) else {
            return BearerVerdict::Unknown;
        };
        // What we have not made costs no question to the store.
        if !claim.is_ours(self.key(), audience, now) {
            return BearerVerdict::Unknown;
        }
        match self.judge(&claim, token, audience, now).await {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::warn!(error = %error, "cannot check a token");
                BearerVerdict::Unavailable
            }
        }
    }

    async fn judge(
        &self,
        claim: &Claim<'_>,
        token: &Secret,
        audience: Audience,
        now: Timestamp,
    ) -> Result<BearerVerdict, StoreError> {
        let known = self.store().credentials(&claim.account).await?;
        let is_as_then = |it: &Credentials| bool::from(mark(self.key(), it).ct_eq(&claim.mark));
        let known = known.filter(is_as_then);
        let Some(credentials) = known else {
            return Ok(BearerVerdict::Unknown);
        };
        if audience.is_good_once() && !spend(self.store(), token, claim.expiry, now).await? {
            return Ok(BearerVerdict::Unknown);
        }
        Ok(match credentials.disabled {
            true => BearerVerdict::Disabled,
            false => BearerVerdict::Of(claim.account.clone()),
        })
    }
}

async fn spend(
    store: &Store,
    token: &Secret,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let digest = Hash::Sha256.digest(token.expose().as_bytes());
    let hash = digest.try_into().expect("SHA-256 has 32 bytes");
    store.spend(hash, until, now).await
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::sasl::ScramCredentials;

    use super::*;
    use crate::auth::ApiTokenName;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn credentials(password: &str, epoch: u64) -> Credentials {
        let scram = ScramCredentials::derive(Hash::Sha256, password, b"salt", 4096).unwrap();
        Credentials {
            scram: vec![scram],
            epoch,
            ..Credentials::default()
        }
    }

    fn anna() -> BareJid {
        BareJid::parse("anna@x.test").unwrap()
    }

    fn token(audience: Audience) -> Secret {
        sealed(
            &[1; 32],
            audience,
            &anna(),
            &credentials("a", 1),
            [7; 16],
            NOW,
        )
    }

    fn is_good(token: &Secret, key: u8, audience: Audience, now: Timestamp) -> bool {
        let claim = Claim::read(token.expose()).unwrap();
        claim.is_ours(&[key; 32], audience, now)
    }

    #[test]
    fn token_is_good_for_what_it_was_made_for_until_its_time_is_over() {
        for audience in [Audience::Xmpp, Audience::Session, Audience::Api] {
            let token = token(audience);
            assert_eq!(claimed(token.expose()), Some(anna()));
            for other in [Audience::Xmpp, Audience::Session, Audience::Api] {
                assert_eq!(is_good(&token, 1, other, NOW), other == audience);
            }
            assert!(!is_good(&token, 2, audience, NOW));
            let end = NOW.plus(audience.lifetime());
            assert!(is_good(&token, 1, audience, Timestamp(end.0 - 1)));
            assert!(!is_good(&token, 1, audience, end));
        }
    }

    #[test]
    fn a14_another_password_or_another_life_of_the_name_is_another_mark() {
        let known = mark(&[1; 32], &credentials("a", 1));
        let claimed = token(Audience::Xmpp);
        assert_eq!(Claim::read(claimed.expose()).unwrap().mark, known);
        assert_ne!(mark(&[1; 32], &credentials("b", 1)), known);
        assert_ne!(mark(&[1; 32], &credentials("a", 2)), known);
        assert_ne!(mark(&[2; 32], &credentials("a", 1)), known);
    }

    #[test]
    fn nothing_in_a_token_can_be_changed() {
        let good = token(Audience::Xmpp);
        let good = good.expose();
        for place in PREFIX.len()..good.len() {
            let mut bytes = good.as_bytes().to_vec();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            let claim = Claim::read(&changed);
            let is_ours = claim.is_some_and(|it| it.is_ours(&[1; 32], Audience::Xmpp, NOW));
            assert!(!is_ours, "{changed}");
        }
    }

    #[test]
    fn what_is_no_token_is_nobodys() {
        let long = format!("{PREFIX}{}.AAAA", "A".repeat(BYTES_MAX));
        for bad in ["", "klatsch1.", "klatsch1.a.b", "klatsch1..", "x.y", &long] {
            assert!(claimed(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn tokens_of_apps_and_these_are_not_taken_for_each_other() {
        let name = ApiTokenName::new(anna(), "page").unwrap();
        let of_app = name.token(&[1; 32], &[2; 32]);
        assert!(claimed(of_app.expose()).is_none());
        let ours = token(Audience::Api);
        assert_eq!(ApiTokenName::of(ours.expose()), None);
    }
}
