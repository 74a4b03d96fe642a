//! The domains of a Kolab that its directory alone knows: asked once, at the start.
//!
//! When the directory does not answer then, those of the settings are served, and the others
//! after the next start: a server that waited for it would serve nobody.

use crate::config::Config;
use crate::config::kolab::{Found, is_domain};
use crate::error::Error;
use klatsch_gateways::ldap::Directory;

/// Adds the domains that the directory lists to those of Kolab's settings; answers with them.
///
/// # Errors
/// The directory does not say; nothing is added then.
pub(crate) async fn complete(config: &mut Config, found: &Found) -> Result<Vec<String>, Error> {
    let Some(listing) = &found.listing else {
        return Ok(Vec::new());
    };
    let directory = Directory::new(config.ldap.settings()?)
        .map_err(|error| Error::Config(format!("ldap.authorities: {error}")))?;
    let listed = directory.organisations(&listing.search()?).await;
    let listed = listed.map_err(|error| Error::Refused(format!("its domains: {error}")))?;
    let mut added = Vec::new();
    for organisation in listed {
        let mut domains = organisation.domains;
        domains.retain(|domain| is_domain(domain));
        let Some(first) = domains.first() else {
            continue;
        };
        let tenant = listing.people_of(first, organisation.root_dn.as_deref());
        for domain in domains {
            if let Some(tenant) = tenant
                .clone()
                .filter(|it| it.base_dn != config.ldap.base_dn)
            {
                config.ldap.domains.entry(domain.clone()).or_insert(tenant);
            }
            if !config.domains.contains(&domain) {
                config.domains.push(domain.clone());
                added.push(domain);
            }
        }
    }
    Ok(added)
}
