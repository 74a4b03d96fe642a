//! Whose login is it: from the names in a SASL exchange to an account of this domain
//! (RFC 6120 §6.3.7 and §6.3.8).
//!
//! There are no proxy rights: the identity acted for is the account that authenticates,
//! written as its bare JID or not at all (row A07 of the attack corpus).

use super::{Failure, FailureCondition};
use crate::jid::BareJid;

/// The account of an authentication identity and an authorization identity.
///
/// # Errors
/// `not-authorized` for a name that is no account name here: nothing tells it from a wrong
/// password. `invalid-authzid` for an authorization identity other than the account.
pub fn account(authcid: &str, authzid: &str, domain: &BareJid) -> Result<BareJid, Failure> {
    let account = authenticated(authcid, domain).ok_or(Failure::NOT_AUTHORIZED)?;
    if authzid.is_empty() || BareJid::parse(authzid).is_ok_and(|wanted| wanted == account) {
        return Ok(account);
    }
    Err(Failure::of(FailureCondition::InvalidAuthzid))
}

/// RFC 6120 §6.3.7: a simple user name is the localpart. COMPAT: many clients send the bare
/// JID; an address of this stream's domain means the same account.
fn authenticated(authcid: &str, domain: &BareJid) -> Option<BareJid> {
    if !authcid.contains('@') {
        return BareJid::new(Some(authcid), domain.domain()).ok();
    }
    let account = BareJid::parse(authcid).ok()?;
    (account.localpart().is_some() && account.domain() == domain.domain()).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account_of(authcid: &str, authzid: &str) -> Result<String, FailureCondition> {
        let domain = BareJid::parse("example.org").unwrap();
        account(authcid, authzid, &domain)
            .map(|account| account.as_str().to_owned())
            .map_err(|failure| failure.condition)
    }

    #[test]
    fn a_localpart_or_an_address_of_the_domain_names_the_account() {
        for name in [
            "juliet",
            "Juliet",
            "juliet@example.org",
            "juliet@EXAMPLE.org",
            "\u{ff4a}uliet",
        ] {
            assert_eq!(
                account_of(name, "").as_deref(),
                Ok("juliet@example.org"),
                "{name}"
            );
        }
    }

    #[test]
    fn names_that_are_no_account_here_look_like_a_wrong_password() {
        for name in [
            "",
            "juliet@evil.example",
            "@example.org",
            "a b",
            "juliet@example.org/x",
            "a/b",
        ] {
            assert_eq!(
                account_of(name, ""),
                Err(FailureCondition::NotAuthorized),
                "{name}"
            );
        }
    }

    #[test]
    fn a07_the_authzid_is_the_account_or_nothing() {
        assert!(account_of("juliet", "juliet@example.org").is_ok());
        assert!(account_of("juliet", "JULIET@Example.org").is_ok());
        for other in [
            "romeo",
            "romeo@example.org",
            "juliet",
            "juliet@evil.example",
            "example.org",
            "juliet@example.org/balcony",
            "\u{ff52}omeo@example.org",
            "juliet@@example.org",
            "a b@c",
        ] {
            assert_eq!(
                account_of("juliet", other),
                Err(FailureCondition::InvalidAuthzid),
                "{other}"
            );
        }
    }
}
