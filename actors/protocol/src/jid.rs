//! Addresses: RFC 7622, with PRECIS (RFC 8264, 8265) for localpart and resource and UTS 46
//! (non-transitional, lower case, U-labels) for the domain.
//!
//! An address past the parser is normalised once and for all: two spellings of one address
//! are the same bytes. Tables come from `precis-profiles` and `idna`, none are ours.
//! Leaves out: whether characters of different scripts may be mixed; that is for
//! registration and nicks.

mod escaping;
mod prepare;

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use escaping::{escape, unescape};
pub use prepare::{prepare_domain, prepare_localpart, prepare_resource};

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// A part that is there by its separator has no characters (RFC 7622 §3.3.1, §3.4.1).
    #[error("empty part of an address")]
    Empty,
    /// A part has more than 1023 bytes once prepared (RFC 7622 §3.2 to §3.4).
    #[error("part of an address longer than 1023 bytes")]
    TooLong,
    /// Characters that a localpart must not have (RFC 7622 §3.3).
    #[error("invalid localpart")]
    Localpart,
    /// No domain name and no IP literal (RFC 7622 §3.2).
    #[error("invalid domain")]
    Domain,
    /// Characters that a resource must not have (RFC 7622 §3.4).
    #[error("invalid resource")]
    Resource,
    /// A resource where there must be none, or none where there must be one.
    #[error("wrong form of address")]
    Form,
}

/// An address of any form. A clone shares the text, and so does the address without its resource:
/// a server has many of both.
#[derive(Clone)]
pub struct Jid {
    /// Begins with the address; whoever shares it may have more behind that.
    text: Arc<str>,
    /// Where the domain starts: 0, or behind the `@`. Three parts of 1023 bytes fit 16 bits.
    domain_start: u16,
    /// Where the domain ends: at the `/`, or with the address.
    domain_end: u16,
    /// Where the address ends.
    end: u16,
}

/// An address without resource: an account (`l@d`) or a domain (`d`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BareJid(Jid);

/// An address with resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FullJid(Jid);

impl Jid {
    /// Reads and prepares an address (RFC 7622 §3.1).
    pub fn parse(text: &str) -> Result<Self, JidError> {
        // §3.2: the first slash ends the domain; the first at-sign before it starts it.
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (localpart, domain) = match bare.split_once('@') {
            Some((localpart, domain)) => (Some(localpart), domain),
            None => (None, bare),
        };
        Self::assemble(localpart, domain, resource)
    }

    fn assemble(
        localpart: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        let localpart = localpart.map(prepare_localpart).transpose()?;
        let domain = prepare_domain(domain)?;
        let resource = resource.map(prepare_resource).transpose()?;
        let mut text = String::with_capacity(
            localpart.as_ref().map_or(0, |part| part.len() + 1)
                + domain.len()
                + resource.as_ref().map_or(0, |part| part.len() + 1),
        );
        if let Some(localpart) = &localpart {
            text.push_str(localpart);
            text.push('@');
        }
        let domain_start = text.len();
        text.push_str(&domain);
        let domain_end = text.len();
        if let Some(resource) = &resource {
            text.push('/');
            text.push_str(resource);
        }
        Ok(Self {
            domain_start: u16::try_from(domain_start).map_err(|_| JidError::TooLong)?,
            domain_end: u16::try_from(domain_end).map_err(|_| JidError::TooLong)?,
            end: u16::try_from(text.len()).map_err(|_| JidError::TooLong)?,
            text: text.into(),
        })
    }

    /// The part before the `@`.
    pub fn localpart(&self) -> Option<&str> {
        let end = usize::from(self.domain_start).checked_sub(1)?;
        Some(&self.text[..end])
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.domain_start)..usize::from(self.domain_end)]
    }

    /// The part behind the `/`.
    pub fn resource(&self) -> Option<&str> {
        self.as_str().get(usize::from(self.domain_end) + 1..)
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text[..usize::from(self.end)]
    }

    /// The address without its resource, as text: costs nothing.
    pub fn bare_str(&self) -> &str {
        &self.text[..usize::from(self.domain_end)]
    }

    /// The address without its resource.
    pub fn bare(&self) -> BareJid {
        BareJid(Self {
            end: self.domain_end,
            ..self.clone()
        })
    }

    /// Tells whether there is no resource.
    pub fn is_bare(&self) -> bool {
        self.domain_end == self.end
    }

    /// This address if it has a resource.
    pub fn to_full(&self) -> Option<FullJid> {
        (!self.is_bare()).then(|| FullJid(self.clone()))
    }
}

impl BareJid {
    /// Reads an address that must not have a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        let jid = Jid::parse(text)?;
        jid.is_bare().then_some(Self(jid)).ok_or(JidError::Form)
    }

    /// Prepares the parts and puts them together.
    pub fn new(localpart: Option<&str>, domain: &str) -> Result<Self, JidError> {
        Jid::assemble(localpart, domain, None).map(Self)
    }

    /// The part before the `@`; `None` for a domain.
    pub fn localpart(&self) -> Option<&str> {
        self.0.localpart()
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// This address with a resource, which is prepared.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        let resource = prepare_resource(resource)?;
        let mut text = String::with_capacity(self.as_str().len() + 1 + resource.len());
        text.push_str(self.as_str());
        text.push('/');
        text.push_str(&resource);
        Ok(FullJid(Jid {
            end: u16::try_from(text.len()).map_err(|_| JidError::TooLong)?,
            text: text.into(),
            ..self.0
        }))
    }

    /// The domain as an address.
    pub fn domain_jid(&self) -> BareJid {
        if self.0.domain_start == 0 {
            return self.clone();
        }
        let domain = self.domain();
        BareJid(Jid {
            text: domain.into(),
            domain_start: 0,
            domain_end: self.0.domain_end - self.0.domain_start,
            end: self.0.domain_end - self.0.domain_start,
        })
    }

    /// This address as one of any form.
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }
}

impl FullJid {
    /// Reads an address that must have a resource.
    pub fn parse(text: &str) -> Result<Self, JidError> {
        Jid::parse(text)?.to_full().ok_or(JidError::Form)
    }

    /// The account.
    pub fn bare(&self) -> BareJid {
        self.0.bare()
    }

    /// The account as text: costs nothing.
    pub fn bare_str(&self) -> &str {
        self.0.bare_str()
    }

    /// The part before the `@`.
    pub fn localpart(&self) -> Option<&str> {
        self.0.localpart()
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The part behind the `/`.
    pub fn resource(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// This address as one of any form.
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }
}

// The text tells the parts, for neither localpart nor domain can contain a separator: it
// alone is compared and hashed. The hash is that of the text, as `Borrow<str>` demands.
impl PartialEq for Jid {
    fn eq(&self, other: &Self) -> bool {
        let is_shared = Arc::ptr_eq(&self.text, &other.text) && self.end == other.end;
        is_shared || self.as_str() == other.as_str()
    }
}

impl Eq for Jid {}

impl PartialOrd for Jid {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Jid {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl std::hash::Hash for Jid {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<BareJid> for Jid {
    fn from(jid: BareJid) -> Self {
        jid.0
    }
}

impl From<FullJid> for Jid {
    fn from(jid: FullJid) -> Self {
        jid.0
    }
}

impl From<&BareJid> for Jid {
    fn from(jid: &BareJid) -> Self {
        jid.0.clone()
    }
}

impl From<&FullJid> for Jid {
    fn from(jid: &FullJid) -> Self {
        jid.0.clone()
    }
}

// Account maps are looked into by the text of a full address's account.
impl Borrow<str> for BareJid {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

// Occupants of a room are found by their account, which is how their addresses begin.
impl Borrow<str> for FullJid {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

// Block lists are looked into by the forms of an address, which need no parsing again.
impl Borrow<str> for Jid {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

/// What all three forms have in common.
macro_rules! address {
    ($($form:ident),*) => {$(
        impl fmt::Display for $form {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $form {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), formatter)
            }
        }

        impl AsRef<str> for $form {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::str::FromStr for $form {
            type Err = JidError;

            fn from_str(text: &str) -> Result<Self, JidError> {
                Self::parse(text)
            }
        }

        impl PartialEq<str> for $form {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $form {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl Serialize for $form {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $form {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

address!(Jid, BareJid, FullJid);
