//! Keeps the book of people and groups in step with an organisation's directory.
//!
//! One node of the cluster reads the directory now and then (`reader.rs`), decides what the book is
//! to say (`wanted.rs`, `membership.rs`, both pure), and has the actors keep what is otherwise
//! (`sync.rs`). `guard.rs` doubts a directory that has lost most of its people; `follower.rs` says
//! when. Whatever goes wrong, the last state stays.
//!
//! Leaves out changes of the directory, and being told of its changes (RFC 4533): it is asked.

mod follower;
mod guard;
mod membership;
mod pictures;
mod reader;
mod survey;
mod sync;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::BTreeSet;

use klatsch_protocol::jid::BareJid;

use crate::ldap::{Base, Directory};

pub use follower::{Follower, Pace, Status, follow};
pub use guard::{Loss, REPEATS};
pub use reader::ReadError;
pub use survey::{Survey, survey};
pub use sync::{Outcome, Sync, SyncError};
pub use wanted::Measures;

/// An organisation: domains with the same people.
#[derive(Debug, Clone, PartialEq)]
pub struct Tenant {
    /// Its first domain, by which it is called.
    pub name: Box<str>,
    /// All of them.
    pub domains: BTreeSet<Box<str>>,
    /// Where its people and groups are.
    pub base: Base,
}

impl Tenant {
    /// Whether an address is of one of its domains.
    pub fn serves(&self, address: &BareJid) -> bool {
        address.localpart().is_some() && self.domains.contains(address.domain())
    }
}

/// The organisations of a directory: these domains, by where their people are.
pub fn tenants(directory: &Directory, domains: &[BareJid]) -> Vec<Tenant> {
    let mut tenants: Vec<Tenant> = Vec::new();
    for domain in domains {
        let base = directory.base_of(domain);
        match tenants.iter_mut().find(|it| it.base == *base) {
            Some(tenant) => {
                tenant.domains.insert(domain.domain().into());
            }
            None => tenants.push(Tenant {
                name: domain.domain().into(),
                domains: [domain.domain().into()].into(),
                base: base.clone(),
            }),
        }
    }
    tenants
}
