//! Everything that a directory has of a kind, read in parts (RFC 2696) under limits (row L07).
//!
//! Lists are cheap: names, ids and when something has changed. Whole entries are read one by one:
//! one that is too large, or cannot be read, is then known by its name and is nobody else's loss.

use std::collections::HashSet;
use std::time::Duration;

use ldap3_proto::proto::{
    LdapDerefAliases, LdapFilter, LdapResultCode, LdapSearchRequest, LdapSearchResultEntry,
    LdapSearchScope,
};
use tokio::time::timeout;

use super::connection::{Connection, Page};
use super::{Directory, LdapError};

/// Entries of one part: servers limit what they give at once, mostly to 500 or more.
const PAGE: usize = 500;

/// Parts without an entry: a server may answer so while it looks (RFC 2696 §3), but not for ever.
const EMPTY_PAGES_MAX: usize = 16;

/// A part takes its time where nothing is indexed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a list begins, how far down it goes, and what is in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scope {
    pub(crate) base: String,
    pub(crate) depth: LdapSearchScope,
    pub(crate) filter: LdapFilter,
}

/// A connection over which entries are read.
pub(crate) struct Reading<'a> {
    directory: &'a Directory,
    connection: Option<Connection>,
}

impl Directory {
    /// The attribute with the primary address, and those with further ones of the same people: all
    /// that they log in by and that are addresses.
    pub(crate) fn address_attributes(&self) -> (&str, Vec<String>) {
        let settings = &self.settings;
        let mail = settings.mail_attribute.as_str();
        let is_further =
            |it: &&String| !it.eq_ignore_ascii_case("uid") && !it.eq_ignore_ascii_case(mail);
        let further = settings.login_attributes.iter().filter(is_further);
        (mail, further.cloned().collect())
    }

    /// Begins to read; connects when the first question is asked.
    pub(crate) fn read(&self) -> Reading<'_> {
        Reading {
            directory: self,
            connection: None,
        }
    }
}

impl Reading<'_> {
    /// Everything in a scope with these attributes, `entries_max` at most.
    ///
    /// # Errors
    /// [`LdapError`]; `Nonsense` for a server that does not end, or repeats itself.
    pub(crate) async fn list(
        &mut self,
        scope: &Scope,
        attributes: &[&str],
        entries_max: usize,
    ) -> Result<Vec<LdapSearchResultEntry>, LdapError> {
        let request = request(scope, attributes, 0);
        let mut found: Vec<LdapSearchResultEntry> = Vec::new();
        let mut names = HashSet::new();
        let (mut cookie, mut empty) = (Vec::new(), 0);
        loop {
            let page = self.page(request.clone(), cookie).await?;
            empty = match page.entries.is_empty() {
                true => empty + 1,
                false => 0,
            };
            if empty > EMPTY_PAGES_MAX {
                return Err(LdapError::Nonsense("parts of a list without anything in them"));
            }
            for entry in page.entries {
                if !names.insert(entry.dn.clone()) {
                    return Err(LdapError::Nonsense("the same entry twice in a list"));
                }
                if found.len() >= entries_max {
                    return Err(LdapError::Nonsense("more entries than are read"));
                }
                found.push(entry);
            }
            if page.cookie.is_empty() {
                return Ok(found);
            }
            cookie = page.cookie;
        }
    }

    /// One entry with these attributes; `None`: there is none of this name that passes the filter.
    ///
    /// # Errors
    /// [`LdapError`]; `Unreadable` for an entry that cannot be read while others can.
    pub(crate) async fn entry(
        &mut self,
        dn: &str,
        filter: &LdapFilter,
        attributes: &[&str],
    ) -> Result<Option<LdapSearchResultEntry>, LdapError> {
        let scope = Scope {
            base: dn.to_owned(),
            depth: LdapSearchScope::Base,
            filter: filter.clone(),
        };
        let request = request(&scope, attributes, 1);
        for _ in 0..2 {
            match self.one(request.clone()).await {
                Err(error) if error.is_outage() => self.connection = None,
                answer => return answer,
            }
            // Whoever cannot be reached has no unreadable entry.
            self.connected().await?;
        }
        Err(LdapError::Unreadable)
    }

    async fn one(
        &mut self,
        request: LdapSearchRequest,
    ) -> Result<Option<LdapSearchResultEntry>, LdapError> {
        let connection = self.connected().await?;
        let found = match timeout(PATIENCE, connection.search(request)).await {
            Ok(found) => found,
            Err(_) => Err(LdapError::Slow),
        };
        match found {
            Ok(found) => Ok(found.entries.into_iter().next()),
            Err(LdapError::Refused(LdapResultCode::NoSuchObject)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn page(
        &mut self,
        request: LdapSearchRequest,
        cookie: Vec<u8>,
    ) -> Result<Page, LdapError> {
        let connection = self.connected().await?;
        let asking = connection.search_page(request, PAGE, cookie);
        match timeout(PATIENCE, asking).await {
            Ok(page) => page,
            Err(_) => Err(LdapError::Slow),
        }
    }

    async fn connected(&mut self) -> Result<&mut Connection, LdapError> {
        if self.connection.is_none() {
            let opened = self.directory.open(&self.directory.reading).await?;
            self.connection = Some(self.directory.bound(opened).await?);
        }
        self.connection.as_mut().ok_or(LdapError::Closed)
    }
}

fn request(scope: &Scope, attributes: &[&str], entries_max: i32) -> LdapSearchRequest {
    LdapSearchRequest {
        base: scope.base.clone(),
        scope: scope.depth.clone(),
        aliases: LdapDerefAliases::Never,
        sizelimit: entries_max,
        timelimit: i32::try_from(PATIENCE.as_secs()).unwrap_or(i32::MAX),
        typesonly: false,
        filter: scope.filter.clone(),
        attrs: attributes.iter().map(|it| (*it).to_owned()).collect(),
    }
}
