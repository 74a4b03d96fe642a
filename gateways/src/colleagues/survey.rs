//! What a reading of the directory would find, for operators who look for what is wrong; nothing is
//! kept of it.

use klatsch_protocol::colleagues::{Book, Entry, EntryId, Photo};

use super::Tenant;
use super::reader::{PictureError, Pictures, ReadError, Reader};
use super::wanted::{Former, Measures, wanted};
use crate::ldap::Directory;
use crate::photo;

/// What would be found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Survey {
    /// People.
    pub people: usize,
    /// Groups.
    pub groups: usize,
    /// What would be passed over, by name, and why.
    pub skipped: Vec<(String, String)>,
}

/// Pictures are looked at.
struct Glance;

impl Pictures for Glance {
    async fn take(&self, _of: &EntryId, bytes: Vec<u8>) -> Result<Photo, PictureError> {
        let made = photo::rewrite(bytes).await;
        made.map(|(photo, _)| photo).map_err(|_| PictureError::Bad)
    }
}

/// Reads everything once.
///
/// # Errors
/// [`ReadError`].
pub async fn survey(
    directory: &Directory,
    tenants: &[Tenant],
    measures: &Measures,
) -> Result<Survey, ReadError> {
    let mut seen = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let mut reader = Reader::default();
        seen.push((tenant, reader.read(directory, tenant, &Glance).await?));
    }
    let wanted = wanted(&seen, &Book::default(), &Former::new(), measures);
    let is_person = |it: &&Entry| matches!(it, Entry::Person(_));
    let people = wanted.entries.values().filter(is_person).count();
    Ok(Survey {
        people,
        groups: wanted.entries.len() - people,
        skipped: wanted
            .skipped
            .into_iter()
            .map(|(name, why)| (name, why.to_string()))
            .collect(),
    })
}
