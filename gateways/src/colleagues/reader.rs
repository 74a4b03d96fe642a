//! What a directory has of people and groups, read from one time to the next: first a list of
//! names, ids and times of change, then whole entries of those that are new or have changed.
//!
//! A directory that tells no times is read whole each time.

use std::collections::HashMap;

use klatsch_protocol::colleagues::{EntryId, Photo};
use klatsch_protocol::jid::BareJid;
use ldap3_proto::proto::{LdapFilter, LdapSearchResultEntry, LdapSearchScope};

use super::Tenant;
use crate::ldap::colleague::{
    self, LISTED, OF_GROUP, OF_PERSON, Team, Unfit, Worker, photo_of, read_team, read_worker,
};
use crate::ldap::dn::Dn;
use crate::ldap::filter;
use crate::ldap::url::LdapUrl;
use crate::ldap::{Directory, LdapError, Reading, Scope};

/// People and groups that are read at most, of each organisation (row L07).
const ENTRIES_MAX: usize = 100_000;

/// An entry that was changed so shortly before the list was made, as its directory writes times
/// (`YYYYMMDDhhmmss`), may be changed again within the same second.
const FRESH: i64 = 100;

/// Makes pictures anew, and keeps them.
pub(super) trait Pictures: Send + Sync {
    /// The picture of somebody, from what the directory has of it.
    fn take(
        &self,
        of: &EntryId,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<Photo, PictureError>> + Send;
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum PictureError {
    /// What the directory has is no picture.
    Bad,
    /// It cannot be kept now.
    Unavailable(String),
}

/// What an entry is, as it was read last.
#[derive(Debug, Clone)]
pub(super) enum Read {
    Person(Box<Worker>, Option<Photo>),
    Group(Team),
    /// It is nobody's, for a reason that its owner can mend.
    Unfit(Unfit),
    /// It cannot be read: what was known of it before stands.
    Unreadable,
}

/// An entry.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// As the directory writes it, for people to find it.
    pub(super) name: String,
    pub(super) dn: Dn,
    pub(super) read: Read,
    /// Something of it was passed over.
    pub(super) blemish: Option<Unfit>,
    stamp: Option<String>,
    /// It may have changed again without telling another time.
    is_fresh: bool,
}

/// All entries of an organisation.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) entries: HashMap<EntryId, Known>,
    /// Whom the searches of dynamic groups have found, by group.
    pub(super) found: HashMap<EntryId, Vec<Dn>>,
    /// Entries that were passed over without being known.
    pub(super) nameless: Vec<(String, Unfit)>,
    /// Entries that were read whole.
    pub(super) read: u64,
}

/// Reads, and remembers.
#[derive(Default)]
pub(super) struct Reader {
    known: HashMap<EntryId, Known>,
}

/// What a list says of an entry.
struct Listed {
    id: EntryId,
    name: String,
    dn: Dn,
    stamp: Option<String>,
    is_group: bool,
}

impl Reader {
    /// Everything of an organisation, as it is now.
    pub(super) async fn read(
        &mut self,
        directory: &Directory,
        tenant: &Tenant,
        pictures: &impl Pictures,
    ) -> Result<Seen, ReadError> {
        let mut reading = directory.read();
        let mut seen = Seen::default();
        let people = list_people(&mut reading, tenant, &mut seen).await?;
        let groups = list_groups(&mut reading, tenant, &mut seen).await?;
        let newest = newest(people.iter().chain(&groups));
        for listed in people.into_iter().chain(groups) {
            let before = self.known.remove(&listed.id);
            let known = match before.filter(|it| it.stands(&listed)) {
                Some(known) => known,
                None => {
                    seen.read += 1;
                    let entries = &mut Entries {
                        reading: &mut reading,
                        directory,
                        tenant,
                        pictures,
                    };
                    entries.read(&listed, newest).await?
                }
            };
            seen.entries.insert(listed.id, known);
        }
        search_members(&mut reading, tenant, &mut seen).await?;
        self.known.clone_from(&seen.entries);
        Ok(seen)
    }

    /// Reads everything again the next time.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

/// Why an organisation is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The directory does not say.
    #[error(transparent)]
    Directory(#[from] LdapError),
    /// What it says cannot be kept.
    #[error("the store: {0}")]
    Store(String),
}

impl Known {
    /// Whether it is as it was when it was read.
    fn stands(&self, listed: &Listed) -> bool {
        let is_read = !matches!(self.read, Read::Unreadable) && !self.is_fresh;
        is_read && self.stamp.is_some() && self.stamp == listed.stamp && self.dn == listed.dn
    }
}

/// What whole entries are read with.
struct Entries<'a, 'b, P> {
    reading: &'a mut Reading<'b>,
    directory: &'a Directory,
    tenant: &'a Tenant,
    pictures: &'a P,
}

impl<P: Pictures> Entries<'_, '_, P> {
    async fn read(&mut self, listed: &Listed, newest: Option<i64>) -> Result<Known, ReadError> {
        let (read, blemish) = match listed.is_group {
            false => self.read_person(listed).await?,
            true => (self.read_group(listed).await?, None),
        };
        let stamp = listed.stamp.as_deref().and_then(number);
        let age = stamp.zip(newest).map(|(stamp, newest)| newest - stamp);
        Ok(Known {
            name: listed.name.clone(),
            dn: listed.dn.clone(),
            read,
            blemish,
            stamp: listed.stamp.clone(),
            is_fresh: age.is_none_or(|age| age <= FRESH),
        })
    }

    async fn read_person(&mut self, listed: &Listed) -> Result<(Read, Option<Unfit>), ReadError> {
        let (mail, further) = self.directory.address_attributes();
        let mut attributes = OF_PERSON.to_vec();
        attributes.push(mail);
        attributes.extend(further.iter().map(String::as_str));
        let filter = &self.tenant.base.people;
        let found = self.reading.entry(&listed.name, filter, &attributes).await;
        let entry = match found {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok((Read::Unfit(Unfit::Gone), None)),
            Err(LdapError::Unreadable) => return Ok((Read::Unreadable, Some(Unfit::Unreadable))),
            Err(error) => return Err(error.into()),
        };
        let worker = match read_worker(&entry, mail, &further) {
            Ok(worker) => Box::new(worker),
            Err(why) => return Ok((Read::Unfit(why), None)),
        };
        let Some(bytes) = photo_of(&entry).map(<[u8]>::to_vec) else {
            return Ok((Read::Person(worker, None), None));
        };
        match self.pictures.take(&listed.id, bytes).await {
            Ok(photo) => Ok((Read::Person(worker, Some(photo)), None)),
            Err(PictureError::Bad) => Ok((Read::Person(worker, None), Some(Unfit::BadPhoto))),
            Err(PictureError::Unavailable(why)) => Err(ReadError::Store(why)),
        }
    }

    async fn read_group(&mut self, listed: &Listed) -> Result<Read, ReadError> {
        let Some(groups) = &self.tenant.base.groups else {
            return Ok(Read::Unfit(Unfit::Gone));
        };
        let found = self.reading.entry(&listed.name, &groups.filter, &OF_GROUP);
        match found.await {
            Ok(Some(entry)) => Ok(read_team(&entry).map_or_else(Read::Unfit, Read::Group)),
            Ok(None) => Ok(Read::Unfit(Unfit::Gone)),
            Err(LdapError::Unreadable) => Ok(Read::Unreadable),
            Err(error) => Err(error.into()),
        }
    }
}

async fn list_people(
    reading: &mut Reading<'_>,
    tenant: &Tenant,
    seen: &mut Seen,
) -> Result<Vec<Listed>, LdapError> {
    let scope = scope(&tenant.base.dn, &tenant.base.people);
    let entries = reading.list(&scope, &LISTED, ENTRIES_MAX).await?;
    Ok(listed(entries, false, seen))
}

async fn list_groups(
    reading: &mut Reading<'_>,
    tenant: &Tenant,
    seen: &mut Seen,
) -> Result<Vec<Listed>, LdapError> {
    let Some(groups) = &tenant.base.groups else {
        return Ok(Vec::new());
    };
    let scope = scope(&groups.dn, &groups.filter);
    match reading.list(&scope, &LISTED, ENTRIES_MAX).await {
        Ok(entries) => Ok(listed(entries, true, seen)),
        // Not every organisation has a place for groups.
        Err(LdapError::Refused(ldap3_proto::proto::LdapResultCode::NoSuchObject)) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

fn scope(base: &str, filter: &LdapFilter) -> Scope {
    Scope {
        base: base.to_owned(),
        depth: LdapSearchScope::Subtree,
        filter: filter.clone(),
    }
}

/// What is in a list, in the order of the ids; each id once.
fn listed(entries: Vec<LdapSearchResultEntry>, is_group: bool, seen: &mut Seen) -> Vec<Listed> {
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(dn) = Dn::parse(&entry.dn) else {
            seen.nameless.push((entry.dn, Unfit::BadDn));
            continue;
        };
        if !is_group && colleague::is_nobody(&dn) {
            continue;
        }
        all.push(Listed {
            id: colleague::id_of(&entry),
            stamp: colleague::stamp_of(&entry).map(str::to_owned),
            name: entry.dn,
            dn,
            is_group,
        });
    }
    all.sort_by(|one, other| (&one.id, &one.dn).cmp(&(&other.id, &other.dn)));
    all.dedup_by(|one, other| one.id == other.id);
    all
}

/// Asks who is in dynamic groups; that changes without the group.
async fn search_members(
    reading: &mut Reading<'_>,
    tenant: &Tenant,
    seen: &mut Seen,
) -> Result<(), LdapError> {
    let dynamic = seen.entries.iter().filter_map(|(id, known)| match &known.read {
        Read::Group(team) if !team.searches.is_empty() => Some((id.clone(), team.searches.clone())),
        _ => None,
    });
    let dynamic: Vec<(EntryId, Vec<LdapUrl>)> = dynamic.collect();
    for (id, searches) in dynamic {
        let mut members = Vec::new();
        for url in searches {
            match within(&url, tenant) {
                Some(scope) => members.extend(find(reading, &scope).await?),
                None => blemish(seen, &id, Unfit::SearchesElsewhere),
            }
        }
        seen.found.insert(id, members);
    }
    Ok(())
}

fn blemish(seen: &mut Seen, id: &EntryId, why: Unfit) {
    if let Some(known) = seen.entries.get_mut(id) {
        known.blemish = Some(why);
    }
}

async fn find(reading: &mut Reading<'_>, scope: &Scope) -> Result<Vec<Dn>, LdapError> {
    use ldap3_proto::proto::LdapResultCode as Code;
    match reading.list(scope, &LISTED, ENTRIES_MAX).await {
        Ok(entries) => Ok(entries.iter().filter_map(|it| Dn::parse(&it.dn)).collect()),
        // Whoever has written it has the group they deserve.
        Err(LdapError::Refused(
            Code::NoSuchObject | Code::InvalidDNSyntax | Code::InappropriateMatching,
        )) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A search that goes no further than where the organisation's people are (row R14). Kolab's
/// begin above them: then it begins there.
pub(super) fn within(url: &LdapUrl, tenant: &Tenant) -> Option<Scope> {
    let (wanted, ours) = (Dn::parse(&url.base)?, Dn::parse(&tenant.base.dn)?);
    let filter = filter::both(tenant.base.people.clone(), url.filter.clone());
    let is_deep = url.scope == LdapSearchScope::Subtree;
    match (wanted.is_within(&ours), ours.is_within(&wanted)) {
        (true, _) => Some(Scope {
            base: url.base.clone(),
            depth: url.scope.clone(),
            filter,
        }),
        (false, true) if is_deep => Some(scope(&tenant.base.dn, &filter)),
        _ => None,
    }
}

fn newest<'a>(listed: impl Iterator<Item = &'a Listed>) -> Option<i64> {
    listed.filter_map(|it| number(it.stamp.as_deref()?)).max()
}

/// The digits of a time, without fractions (RFC 4517 §3.3.13).
fn number(stamp: &str) -> Option<i64> {
    stamp.get(..14)?.parse().ok()
}

/// Addresses of the people that are known.
pub(super) fn accounts(seen: &Seen) -> impl Iterator<Item = &BareJid> {
    seen.entries.values().filter_map(|known| match &known.read {
        Read::Person(worker, _) => Some(&worker.account),
        _ => None,
    })
}
