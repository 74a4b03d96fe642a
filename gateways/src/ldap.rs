//! A directory (LDAP version 3, RFC 4511), asked for people and for whether a password is theirs.
//!
//! Somebody is searched for by what they have typed, as a service account; then a bind as the
//! entry that was found says whether the password is right. `filter.rs` is what is searched for,
//! `person.rs` what is found, `connection.rs` how a server is spoken to, `breaker.rs` when it is
//! left alone. `paged.rs` reads all people and groups, `colleague.rs` says what they are.
//!
//! The messages are those of `ldap3_proto`. The client library `ldap3` was not taken: it panics
//! at answers it does not expect, has no limit for what it reads, and nests as deep as it is told
//! to; a directory's entries are written by many people. Leaves out SASL binds (EXTERNAL over a
//! Unix socket, too), and changes of any kind.

mod address;
mod breaker;
pub mod colleague;
mod connection;
pub mod dn;
mod domains;
mod escapes;
pub mod filter;
mod paged;
mod password;
mod person;
#[cfg(test)]
pub(crate) mod testkit;
#[cfg(test)]
mod tests;
pub mod url;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use klatsch_protocol::jid::{BareJid, unescape};
use klatsch_protocol::sasl::{Login, Secret, mail_localpart};
use ldap3_proto::proto::{
    LdapDerefAliases, LdapFilter, LdapResultCode, LdapSearchRequest, LdapSearchScope,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub use address::{LdapServer, NoServer};
pub use domains::{DomainSearch, Organisation};
pub(crate) use paged::{Reading, Scope};
pub(crate) use person::account_of;
pub use person::{NoPerson, Person};

use crate::tls::trust::{self, TrustError};
use breaker::Breaker;
use connection::{Connection, Found, Way};

/// Connections for searches: a search takes a millisecond, and a storm of logins waits its turn.
const SEARCHES: usize = 4;

/// Connections for binds, each opened for one: the directory hashes a password at each.
const BINDS: usize = 8;

/// Whoever waits longer than this for the directory is told to try again.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// An answer with the few attributes that a login asks for has some hundred bytes.
const LOGIN_BYTES_MAX: usize = 256 * 1024;

/// An entry with a picture, or a group of some ten thousand members.
const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where people are.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// The entry they are below.
    pub dn: String,
    /// What entries are people.
    pub people: LdapFilter,
    /// Where their groups are, if anywhere.
    pub groups: Option<Groups>,
}

/// Where groups are.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// The entry they are below.
    pub dn: String,
    /// What entries are groups.
    pub filter: LdapFilter,
}

/// How a directory is asked.
#[derive(Debug, Clone)]
pub struct LdapSettings {
    /// Its servers; the next is asked where one does not answer.
    pub servers: Vec<LdapServer>,
    /// StartTLS even where the server is on this machine.
    pub starttls: bool,
    /// Certificates of authorities, PEM; none: those that the host trusts.
    pub authorities: Vec<u8>,
    /// The account that may search.
    pub bind_dn: String,
    /// Its password.
    pub password: Secret,
    /// Where people are whose domain is not among `bases`.
    pub base: Base,
    /// Where the people of a domain are.
    pub bases: HashMap<String, Base>,
    /// The attributes that people may be called by.
    pub login_attributes: Vec<String>,
    /// The attribute with the primary address.
    pub mail_attribute: String,
    /// How long a step may take.
    pub patience: Duration,
}

/// Why a directory gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    /// The way to it is broken.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It has closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// It does not answer in time.
    #[error("no answer in time")]
    Slow,
    /// It has not answered lately, and is left alone for a while.
    #[error("it has not answered lately")]
    Resting,
    /// Too many people wait for it.
    #[error("too many wait for it")]
    Busy,
    /// It refuses what it was asked.
    #[error("it refuses: {0:?}")]
    Refused(LdapResultCode),
    /// It does not take the service account.
    #[error("it does not take the service account: {0:?}")]
    Service(LdapResultCode),
    /// An entry cannot be read, while others can.
    #[error("the entry is too large, or no text where there should be one")]
    Unreadable,
    /// It says what makes no sense.
    #[error("{0}")]
    Nonsense(&'static str),
}

impl LdapError {
    /// Whether it is as if the directory were not there.
    const fn is_outage(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Closed | Self::Slow)
    }

    /// Whether what it refuses is the place where people should be.
    pub const fn is_about_base(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// Whether the connection may have been closed while nobody used it.
    const fn is_stale(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Closed)
    }
}

/// What a bind says about a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// The directory lets nobody in by this entry.
    Disabled,
}

/// A directory.
pub struct Directory {
    settings: LdapSettings,
    way: Way,
    /// The same for who reads whole entries.
    reading: Way,
    searches: Semaphore,
    idle: Mutex<Vec<Connection>>,
    binds: Semaphore,
    breaker: Mutex<Breaker>,
}

impl Directory {
    /// A directory; it is not asked anything yet.
    ///
    /// # Errors
    /// TLS cannot be used as the settings want it.
    pub fn new(settings: LdapSettings) -> Result<Arc<Self>, TrustError> {
        let tls = trust::connector(&settings.authorities)?;
        let way = |message_bytes_max| Way {
            tls: tls.clone(),
            starttls: settings.starttls,
            message_bytes_max,
        };
        Ok(Arc::new(Self {
            way: way(LOGIN_BYTES_MAX),
            reading: way(ENTRY_BYTES_MAX),
            settings,
            searches: Semaphore::new(SEARCHES),
            idle: Mutex::default(),
            binds: Semaphore::new(BINDS),
            breaker: Mutex::default(),
        }))
    }

    /// Whose login this is. Nobody's, if it is several people's (row L04), or somebody's of
    /// another tenant (row R14).
    ///
    /// # Errors
    /// [`LdapError`].
    pub async fn find(&self, login: &Login) -> Result<Option<Person>, LdapError> {
        let Some(names) = names(login) else {
            return Ok(None);
        };
        let base = self.base_of(login.domain());
        let named = filter::any_of(&self.settings.login_attributes, &names);
        let found = self.find_one(base, named, 2).await?;
        let is_of_tenant = |person: &Person| {
            let is_same = self.base_of(&person.account.domain_jid()) == base;
            if !is_same {
                tracing::warn!(dn = person.dn, "person of another tenant's domain, refused");
            }
            is_same
        };
        Ok(found.one().filter(is_of_tenant))
    }

    /// Whether there is an account of this address, and whose.
    ///
    /// # Errors
    /// [`LdapError`].
    pub async fn find_account(&self, account: &BareJid) -> Result<Few, LdapError> {
        let Some(name) = mail_localpart(account) else {
            return Ok(Few::Nobody);
        };
        let address = format!("{name}@{}", account.domain());
        let base = self.base_of(&account.domain_jid());
        // An address that was the primary one is an alias after a change of name.
        let is_address = |it: &&String| !it.eq_ignore_ascii_case("uid");
        let mut attributes: Vec<String> = self.settings.login_attributes.clone();
        attributes.push(self.settings.mail_attribute.clone());
        let attributes: Vec<String> = attributes.iter().filter(is_address).cloned().collect();
        let named = filter::any_of(&attributes, &[address]);
        self.find_one(base, named, 2).await
    }

    /// Whether there is anybody at all where the people of a domain are.
    ///
    /// # Errors
    /// [`LdapError`].
    pub async fn has_people(&self, domain: &BareJid) -> Result<bool, LdapError> {
        let base = self.base_of(domain);
        let everybody = LdapFilter::Present("objectClass".to_owned());
        let found = self.find_one(base, everybody, 1).await?;
        Ok(found != Few::Nobody)
    }

    /// Whether this is the password of an entry that was found.
    ///
    /// # Errors
    /// [`LdapError`].
    pub async fn prove(&self, dn: &str, password: &Secret) -> Result<Proof, LdapError> {
        let _turn = turn(&self.binds, self.settings.patience).await?;
        let result = self.guarded(self.bind_as(dn, password)).await?;
        match result {
            LdapResultCode::Success => Ok(Proof::Right),
            LdapResultCode::InvalidCredentials
            | LdapResultCode::InappropriateAuthentication
            | LdapResultCode::NoSuchObject
            | LdapResultCode::InvalidDNSyntax => Ok(Proof::Wrong),
            // 389-DS and OpenLDAP: inactivated; locked or expired.
            LdapResultCode::UnwillingToPerform | LdapResultCode::ConstraintViolation => {
                Ok(Proof::Disabled)
            }
            code => Err(LdapError::Refused(code)),
        }
    }

    /// A name that nobody has: a bind as it takes as long as one as somebody (row A10).
    pub(crate) fn nobody(&self, domain: &BareJid) -> String {
        format!("cn=klatsch-nobody,{}", self.base_of(domain).dn)
    }

    /// Where the people of a domain are.
    pub fn base_of(&self, domain: &BareJid) -> &Base {
        let settings = &self.settings;
        settings
            .bases
            .get(domain.domain())
            .unwrap_or(&settings.base)
    }

    async fn find_one(
        &self,
        base: &Base,
        named: LdapFilter,
        entries_max: i32,
    ) -> Result<Few, LdapError> {
        let mail = &self.settings.mail_attribute;
        let mut attrs = vec![mail.clone()];
        attrs.extend(person::ATTRIBUTES.map(str::to_owned));
        attrs.extend(password::ATTRIBUTES.map(str::to_owned));
        let request = LdapSearchRequest {
            base: base.dn.clone(),
            scope: LdapSearchScope::Subtree,
            aliases: LdapDerefAliases::Never,
            sizelimit: entries_max,
            timelimit: i32::try_from(self.settings.patience.as_secs().max(1)).unwrap_or(1),
            typesonly: false,
            filter: filter::both(base.people.clone(), named),
            attrs,
        };
        let found = self.search(request).await?;
        if found.has_more || found.entries.len() > 1 {
            return Ok(Few::Several);
        }
        let Some(entry) = found.entries.first() else {
            return Ok(Few::Nobody);
        };
        match Person::read(entry, mail) {
            Ok(person) => Ok(Few::One(person)),
            Err(error) => {
                tracing::warn!(dn = entry.dn, error = %error, "entry of the directory skipped");
                Ok(Few::Several)
            }
        }
    }

    async fn search(&self, request: LdapSearchRequest) -> Result<Found, LdapError> {
        let _turn = turn(&self.searches, self.settings.patience).await?;
        self.guarded(self.search_by_any(request)).await
    }

    /// A connection that nobody has used for a while may be closed: then another is opened.
    async fn search_by_any(&self, request: LdapSearchRequest) -> Result<Found, LdapError> {
        let idle = self.idle().pop();
        if let Some(connection) = idle {
            match self.search_by(connection, request.clone()).await {
                Err(error) if error.is_stale() => self.idle().clear(),
                answer => return answer,
            }
        }
        let connection = self.open_bound().await?;
        self.search_by(connection, request).await
    }

    async fn search_by(
        &self,
        mut connection: Connection,
        request: LdapSearchRequest,
    ) -> Result<Found, LdapError> {
        let found = self.within(connection.search(request)).await;
        // After an answer, even one that refuses, the connection is as good as before.
        if matches!(found, Ok(_) | Err(LdapError::Refused(_))) {
            self.idle().push(connection);
        }
        found
    }

    async fn open_bound(&self) -> Result<Connection, LdapError> {
        let connection = self.open(&self.way).await?;
        self.bound(connection).await
    }

    /// The connection, which is the service account's then.
    async fn bound(&self, mut connection: Connection) -> Result<Connection, LdapError> {
        let settings = &self.settings;
        let bind = connection.bind(&settings.bind_dn, &settings.password);
        match self.within(bind).await?.code {
            LdapResultCode::Success => Ok(connection),
            code => Err(LdapError::Service(code)),
        }
    }

    async fn bind_as(&self, dn: &str, password: &Secret) -> Result<LdapResultCode, LdapError> {
        let mut connection = self.open(&self.way).await?;
        Ok(self.within(connection.bind(dn, password)).await?.code)
    }

    /// Opens a connection to the first server that takes one.
    async fn open(&self, way: &Way) -> Result<Connection, LdapError> {
        let mut failure = LdapError::Closed;
        for server in &self.settings.servers {
            match self.within(way.open(server)).await {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    tracing::debug!(server = %server, error = %error, "directory not reached");
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    async fn within<T>(
        &self,
        step: impl Future<Output = Result<T, LdapError>>,
    ) -> Result<T, LdapError> {
        match timeout(self.settings.patience, step).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LdapError::Slow),
        }
    }

    /// Row L08: a directory that does not answer is left alone for a while.
    async fn guarded<T>(
        &self,
        asking: impl Future<Output = Result<T, LdapError>>,
    ) -> Result<T, LdapError> {
        if !self.breaker().allows(Instant::now()) {
            return Err(LdapError::Resting);
        }
        let outcome = asking.await;
        match &outcome {
            Err(error) if error.is_outage() => {
                if self.breaker().failed(Instant::now()) {
                    tracing::warn!(error = %error, "the directory does not answer");
                }
            }
            _ => {
                if self.breaker().answered() {
                    tracing::info!("the directory answers again");
                }
            }
        }
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Few {
    /// Nobody.
    Nobody,
    /// One person.
    One(Person),
    /// More than one, or somebody who cannot have an account: nobody can tell who is meant.
    Several,
}

impl Few {
    fn one(self) -> Option<Person> {
        match self {
            Self::One(person) => Some(person),
            Self::Nobody => None,
            Self::Several => {
                tracing::warn!("login that several entries have, or none that can log in: refused");
                None
            }
        }
    }
}

/// Waits for a place, but not for long.
async fn turn(
    places: &Semaphore,
    patience: Duration,
) -> Result<tokio::sync::SemaphorePermit<'_>, LdapError> {
    match timeout(patience, places.acquire()).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(LdapError::Busy),
    }
}

/// What somebody may be called in the directory who has typed this, prepared (row L09): the
/// name, and the address with it. An address of another domain stands for itself alone.
fn names(login: &Login) -> Option<Vec<String>> {
    let address = login.address()?;
    let name = unescape(address.localpart()?).into_owned();
    let whole = format!("{name}@{}", address.domain());
    Some(match address.domain() == login.domain().domain() {
        true => vec![name, whole],
        false => vec![whole],
    })
}
