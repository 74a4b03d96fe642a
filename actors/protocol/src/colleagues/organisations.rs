//! Which organisation a domain belongs to, as the entries of the directory tell.
//!
//! Every domain belongs to one. Where entries of several organisations name the same domain, what
//! somebody has written into an address must not move a whole domain: the organisation that is
//! called like the domain has it, or else the one with the most accounts there, or else the one
//! with the most other addresses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Entry;

/// The organisations of all domains that entries name.
#[derive(Debug, Clone, Default)]
pub(super) struct Organisations {
    of: HashMap<Box<str>, Box<str>>,
    /// There are several.
    pub(super) are_several: bool,
}

impl Organisations {
    /// The organisation of a domain.
    pub(super) fn of(&self, domain: &str) -> Option<&str> {
        self.of.get(domain).map(AsRef::as_ref)
    }
}

/// What speaks for an organisation at a domain, the weightiest first.
#[derive(Default, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    is_named_so: bool,
    accounts: usize,
    others: usize,
}

/// Finds them for all domains that entries name.
pub(super) fn of_domains<'a>(entries: impl Iterator<Item = &'a Entry>) -> Organisations {
    let mut claims: BTreeMap<&str, BTreeMap<&str, Claim>> = BTreeMap::new();
    let mut claim = |domain: &'a str, tenant: &'a str, is_account: bool| {
        let claim = claims.entry(domain).or_default().entry(tenant).or_default();
        claim.is_named_so = domain == tenant;
        match is_account {
            true => claim.accounts += 1,
            false => claim.others += 1,
        }
    };
    for entry in entries {
        match entry {
            Entry::Person(person) => {
                claim(person.account.domain(), &person.tenant, true);
                let aliases = person.aliases.iter();
                aliases.for_each(|it| claim(it.domain(), &person.tenant, false));
            }
            Entry::Group(group) => {
                let address = group.address.iter();
                address.for_each(|it| claim(it.domain(), &group.tenant, false));
            }
        }
    }
    let heaviest = |claims: BTreeMap<&str, Claim>| {
        let heaviest = claims.into_iter().max_by(|one, other| one.1.cmp(&other.1));
        heaviest.map(|(tenant, _)| Box::from(tenant))
    };
    let found = claims.into_iter();
    let found = found.filter_map(|(domain, claims)| Some((domain.into(), heaviest(claims)?)));
    let of: HashMap<Box<str>, Box<str>> = found.collect();
    let distinct: BTreeSet<&str> = of.values().map(AsRef::as_ref).collect();
    let are_several = distinct.len() > 1;
    Organisations { of, are_several }
}
