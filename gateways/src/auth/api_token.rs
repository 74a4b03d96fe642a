//! Tokens of programs: what an integrator's page or server logs in with, made by an operator.
//!
//! A token says whose it is and what it is called, and behind that what only the server's key
//! makes of the seed in the store (row A13): `BASE64URL(account NUL name).SECRET`. They lie
//! among the tokens of clients (XEP-0484) and end with them, when the password changes. What a
//! token is for stands there in place of a mechanism: `API` for everything its account may,
//! `API shop news:listen` for the topics of these apps. A server that does not know the second
//! yet lets nobody in with it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use klatsch_protocol::channels::{AppRule, Grant};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{HtMechanism, Secret, ht};

/// What these tokens are for, in the store: no mechanism of clients.
const MECHANISM: &str = "API";

/// What became of a login by such a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiVerdict {
    /// It is right, and for this.
    Right(Grant),
    /// Nobody knows it.
    Wrong,
    /// It cannot be told now.
    Unavailable,
}

/// What the store knows of what a token is for.
pub(super) fn mechanism_of(grant: &Grant) -> String {
    match grant {
        Grant::Account => MECHANISM.to_owned(),
        Grant::Apps(apps) => apps
            .iter()
            .fold(MECHANISM.to_owned(), |known, app| format!("{known} {app}")),
    }
}

/// What a token is for; `None` when it is a client's, or for what nobody here knows.
pub(super) fn grant_in(mechanism: &str) -> Option<Grant> {
    let mut words = mechanism.split(' ');
    if words.next() != Some(MECHANISM) {
        return None;
    }
    let apps: Result<Vec<AppRule>, _> = words.map(str::parse).collect();
    apps.ok().map(Grant::of)
}

/// Clients' own ids are no such words.
const AGENT: &str = "api:";

/// A name is for people: a word or two.
const NAME_BYTES_MAX: usize = 64;

/// Whose a token is, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTokenName {
    /// Whose.
    pub account: BareJid,
    name: String,
}

impl ApiTokenName {
    /// A name for a token; `None` when it is empty, long, or has characters that nobody sees.
    pub fn new(account: BareJid, name: &str) -> Option<Self> {
        let is_name =
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
        let name = name.to_owned();
        is_name.then_some(Self { account, name })
    }

    /// Whose token a text says it is; `None` when it is no token.
    pub fn of(token: &str) -> Option<Self> {
        let (head, _) = token.split_once('.')?;
        let head = URL_SAFE_NO_PAD.decode(head).ok()?;
        let (account, name) = str::from_utf8(&head).ok()?.split_once('\0')?;
        let account = BareJid::parse(account).ok()?;
        account.localpart()?;
        Self::new(account, name)
    }

    /// What the store knows it by.
    pub(super) fn agent(&self) -> String {
        format!("{AGENT}{}", self.name)
    }

    /// The token that belongs to a seed.
    pub(super) fn token(&self, key: &[u8; 32], seed: &[u8]) -> Secret {
        let (account, agent) = (self.account.as_str(), self.agent());
        let head = URL_SAFE_NO_PAD.encode(format!("{account}\0{}", self.name));
        // Of all mechanisms, the one that binds to no channel; the agent is no client's.
        let [.., unbound] = HtMechanism::ALL;
        let secret = ht::token(key, seed, account, &agent, unbound);
        let secret = secret.replace('+', "-").replace('/', "_");
        Secret::new(format!("{head}.{}", secret.trim_end_matches('=')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(account: &str, name: &str) -> Option<ApiTokenName> {
        ApiTokenName::new(BareJid::parse(account).unwrap(), name)
    }

    #[test]
    fn token_says_whose_it_is_and_goes_into_an_address_as_it_is() {
        let known = name("anna@x.test", "our calendar").unwrap();
        let token = known.token(&[1; 32], &[2; 32]);
        assert_eq!(ApiTokenName::of(token.expose()), Some(known));
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_.".contains(it);
        assert!(token.expose().chars().all(is_plain));
    }

    #[test]
    fn what_a_token_is_for_is_read_as_it_was_written() {
        let apps = ["shop", "news:listen"].map(|app| app.parse().unwrap());
        for grant in [Grant::Account, Grant::of(apps.into())] {
            assert_eq!(grant_in(&mechanism_of(&grant)), Some(grant));
        }
        for foreign in ["", "HT-SHA-256-NONE", "APIS", "API ", "API shop:rule"] {
            assert_eq!(grant_in(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn what_is_no_token_is_nobodys() {
        for bad in ["", ".", "x", "x.y", "YQ.y", "YQBi", "AGE.y", "YUB4.z"] {
            assert_eq!(ApiTokenName::of(bad), None, "{bad}");
        }
        for bad in ["", "a\nb", &"x".repeat(65)] {
            assert_eq!(name("anna@x.test", bad), None, "{bad}");
        }
    }

    #[test]
    fn a13_other_seed_key_name_or_account_is_another_token() {
        let token = |account: &str, called: &str, key: u8, seed: u8| {
            let name = name(account, called).unwrap();
            name.token(&[key; 32], &[seed; 32]).expose().to_owned()
        };
        let secret = |token: String| token.split_once('.').unwrap().1.to_owned();
        let one = secret(token("anna@x.test", "a", 1, 2));
        for other in [
            token("anna@x.test", "b", 1, 2),
            token("bert@x.test", "a", 1, 2),
            token("anna@x.test", "a", 2, 2),
            token("anna@x.test", "a", 1, 1),
        ] {
            assert_ne!(secret(other), one);
        }
    }
}
