//! The domains that a directory lists, as Kolab's does (`associatedDomain`, RFC 4524).
//!
//! An entry is an organisation: its first domain and further ones with the same people.

use ldap3_proto::proto::{
    LdapDerefAliases, LdapFilter, LdapSearchRequest, LdapSearchResultEntry, LdapSearchScope,
};

use super::person::values;
use super::{Directory, LdapError};

/// A host serves no more.
const DOMAINS_MAX: i32 = 500;

/// How domains are searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainSearch {
    /// The entry they are below.
    pub base_dn: String,
    /// What entries are domains.
    pub filter: LdapFilter,
    /// The attribute with their names.
    pub name_attribute: String,
    /// The attribute with the entry their people are below, where it is not made of the name.
    pub root_attribute: String,
}

/// Domains with the same people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// Their names, lower-case, the one first that is the entry's own.
    pub domains: Vec<String>,
    /// The entry that everything of theirs is below, if it says so.
    pub root_dn: Option<String>,
}

impl Directory {
    /// The domains that it lists.
    ///
    /// # Errors
    /// [`LdapError`].
    pub async fn organisations(
        &self,
        search: &DomainSearch,
    ) -> Result<Vec<Organisation>, LdapError> {
        let request = LdapSearchRequest {
            base: search.base_dn.clone(),
            scope: LdapSearchScope::Subtree,
            aliases: LdapDerefAliases::Never,
            sizelimit: DOMAINS_MAX,
            timelimit: 10,
            typesonly: false,
            filter: search.filter.clone(),
            attrs: vec![search.name_attribute.clone(), search.root_attribute.clone()],
        };
        let found = self.search(request).await?;
        if found.has_more {
            tracing::warn!(
                max = DOMAINS_MAX,
                "the directory lists more domains than are taken"
            );
        }
        let read = found.entries.iter().filter_map(|it| read(it, search));
        Ok(read.collect())
    }
}

fn read(entry: &LdapSearchResultEntry, search: &DomainSearch) -> Option<Organisation> {
    let names = values(entry, &search.name_attribute).map(|name| name.trim().to_lowercase());
    let mut domains: Vec<String> = names.collect();
    // Values have no order; the first part of the entry's name says which is its own.
    let own = entry
        .dn
        .split(',')
        .next()?
        .split_once('=')?
        .1
        .to_lowercase();
    domains.sort_by_key(|domain| *domain != own);
    let root_dn = values(entry, &search.root_attribute).next();
    (!domains.is_empty()).then(|| Organisation {
        domains,
        root_dn: root_dn.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ldap::filter;
    use crate::ldap::testkit::{Fake, entry, people};

    #[tokio::test]
    async fn domains_are_read_with_their_organisations() {
        let mut entries = people();
        entries.push(entry(
            "associatedDomain=example.org,cn=kolab,cn=config",
            "",
            &[
                ("associatedDomain", "localhost"),
                ("associatedDomain", "Example.ORG"),
                ("associatedDomain", "example.net"),
                ("inetDomainBaseDN", "dc=example,dc=org"),
            ],
        ));
        entries.push(entry(
            "associatedDomain=other.example,cn=kolab,cn=config",
            "",
            &[],
        ));
        let fake = Fake::start_at("127.0.0.1:0".parse().unwrap(), entries, false).await;
        let search = DomainSearch {
            base_dn: "cn=kolab,cn=config".to_owned(),
            filter: filter::parse("(objectClass=person)").unwrap(),
            name_attribute: "associateddomain".to_owned(),
            root_attribute: "inetdomainbasedn".to_owned(),
        };
        let found = fake.directory().organisations(&search).await.unwrap();
        let expected = Organisation {
            domains: ["example.org", "localhost", "example.net"]
                .map(str::to_owned)
                .to_vec(),
            root_dn: Some("dc=example,dc=org".to_owned()),
        };
        assert_eq!(found, [expected]);
    }
}
