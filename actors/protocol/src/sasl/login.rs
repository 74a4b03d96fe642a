//! Who somebody says they are, before it is known whose account that is.
//!
//! People log in by what they know: their mail address, one of its aliases, or a short name.
//! Whose login a name is, the account backends say; what they answer is the account's one
//! address, and a session is bound to that.

use std::borrow::Cow;

use super::{Failure, FailureCondition};
use crate::jid::{BareJid, escape, unescape};

/// Nobody has a longer name: a localpart and a domain with their separator fit.
const NAME_BYTES_MAX: usize = 2047;

/// A name as typed, and the domain where it was typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Login {
    name: Box<str>,
    domain: BareJid,
}

impl Login {
    /// `None` for what is no name: nothing at all, too much, or with control characters.
    #[must_use]
    pub fn new(name: &str, domain: &BareJid) -> Option<Self> {
        let is_name =
            !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control);
        is_name.then(|| Self {
            name: name.into(),
            domain: domain.domain_jid(),
        })
    }

    /// The login of somebody who is asked for one name alone: at the domain that an address
    /// names, if it is one of these, or at the first of them.
    #[must_use]
    pub fn among(domains: &[BareJid], name: &str) -> Option<Self> {
        let domain = match name.rsplit_once('@') {
            Some((_, domain)) => BareJid::new(None, domain).ok()?,
            None => domains.first()?.clone(),
        };
        let is_ours = domains.contains(&domain);
        is_ours.then(|| Self::new(name, &domain)).flatten()
    }

    /// The login of an account by its address, at its own domain.
    #[must_use]
    pub fn of(account: &BareJid) -> Option<Self> {
        Self::new(account.localpart()?, account)
    }

    /// The name as typed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domain that was logged in at.
    #[must_use]
    pub const fn domain(&self) -> &BareJid {
        &self.domain
    }

    /// The address that the name is where names are localparts (RFC 6120 §6.3.7). COMPAT:
    /// many clients send the bare JID, and people type what their mail program takes
    /// (XEP-0106). It may be of another domain than was logged in at.
    #[must_use]
    pub fn address(&self) -> Option<BareJid> {
        let (name, domain) = match self.name.rsplit_once('@') {
            Some((name, domain)) => (name, domain),
            None => (&*self.name, self.domain.domain()),
        };
        let made = BareJid::new(Some(name), domain).ok();
        let made = made.or_else(|| BareJid::new(Some(&*escape(name)?), domain).ok());
        made.filter(|address| address.localpart().is_some())
    }

    /// The address where it is one of the domain that was logged in at.
    #[must_use]
    pub fn local_address(&self) -> Option<BareJid> {
        self.address()
            .filter(|address| address.domain() == self.domain.domain())
    }

    /// The same for the log and for counting failures: prepared where it can be, so that
    /// spellings count together.
    #[must_use]
    pub fn key(&self) -> Cow<'_, str> {
        match self.address() {
            Some(address) => Cow::Owned(address.as_str().to_owned()),
            None => Cow::Borrowed(&self.name),
        }
    }
}

/// The name that stands before the `@` of an address outside of XMPP (XEP-0106).
#[must_use]
pub fn mail_localpart(account: &BareJid) -> Option<Cow<'_, str>> {
    account.localpart().map(unescape)
}

/// A login by password, and whom it wants to act as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who it says it is.
    pub login: Login,
    wanted: Option<BareJid>,
}

impl Claim {
    /// The claim of an exchange.
    ///
    /// # Errors
    /// `not-authorized` for what is no name: nothing tells it from a wrong password.
    /// `invalid-authzid` for an authorization identity that is no account's address.
    pub fn new(authcid: &str, authzid: &str, domain: &BareJid) -> Result<Self, Failure> {
        let login = Login::new(authcid, domain).ok_or(Failure::NOT_AUTHORIZED)?;
        let wanted = match authzid {
            "" => None,
            authzid => Some(parse_account(authzid)?),
        };
        Ok(Self { login, wanted })
    }

    /// Whom it wants to act as, if it says so.
    #[must_use]
    pub const fn wanted(&self) -> Option<&BareJid> {
        self.wanted.as_ref()
    }

    /// Whether an identity is that of whoever logs in: written as the account's address, or as
    /// what was typed, which the backend has found to be the same person. There are no proxy
    /// rights (row A07).
    #[must_use]
    pub fn is_same(&self, identity: &BareJid, account: &BareJid) -> bool {
        identity == account || self.login.address().as_ref() == Some(identity)
    }
}

fn parse_account(authzid: &str) -> Result<BareJid, Failure> {
    BareJid::parse(authzid)
        .ok()
        .filter(|account| account.localpart().is_some())
        .ok_or(Failure::of(FailureCondition::InvalidAuthzid))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> BareJid {
        BareJid::parse("example.org").unwrap()
    }

    fn address(name: &str) -> Option<String> {
        let login = Login::new(name, &domain())?;
        login.address().map(|address| address.as_str().to_owned())
    }

    #[test]
    fn name_or_address_as_typed_is_an_address() {
        for (name, expected) in [
            ("doe", "doe@example.org"),
            ("Doe", "doe@example.org"),
            ("doe@Example.NET", "doe@example.net"),
            ("o'brien", "o\\27brien@example.org"),
            ("o\\27brien", "o\\27brien@example.org"),
            ("o'brien@example.net", "o\\27brien@example.net"),
        ] {
            assert_eq!(address(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn l09_composed_and_decomposed_names_are_one() {
        let composed = address("Müller").unwrap();
        assert_eq!(composed, "müller@example.org");
        assert_eq!(address("Mu\u{308}ller"), Some(composed));
        // These are two names, for us and for PRECIS; a directory that takes them for one says
        // itself whose it is.
        assert_ne!(address("gross"), address("groß"));
        assert_eq!(address("doe "), None);
    }

    #[test]
    fn l01_what_is_no_name_is_no_login() {
        for name in ["", "\0", "doe\0", "doe\n", "\u{7f}"] {
            assert_eq!(Login::new(name, &domain()), None, "{name:?}");
        }
        assert_eq!(Login::new(&"a".repeat(NAME_BYTES_MAX + 1), &domain()), None);
    }

    #[test]
    fn a07_authzid_is_the_account_or_what_was_typed() {
        let account = BareJid::parse("john.doe@example.org").unwrap();
        let is_allowed = |authzid: &str| {
            let claim = Claim::new("doe", authzid, &domain()).unwrap();
            claim
                .wanted()
                .is_none_or(|wanted| claim.is_same(wanted, &account))
        };
        for own in [
            "",
            "doe@example.org",
            "john.doe@example.org",
            "DOE@example.org",
        ] {
            assert!(is_allowed(own), "{own}");
        }
        for other in ["poe@example.org", "doe@example.net"] {
            assert!(!is_allowed(other), "{other}");
        }
        for broken in ["doe", "example.org", "doe@example.org/x", "@example.org"] {
            let claim = Claim::new("doe", broken, &domain());
            let condition = claim.unwrap_err().condition;
            assert_eq!(condition, FailureCondition::InvalidAuthzid, "{broken}");
        }
    }
}
