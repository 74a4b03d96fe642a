//! The `ldap` backend: accounts of a directory.
//!
//! Whoever is found by what they have typed, and nobody else with them, is asked to bind. The
//! account is the one of their primary address, whichever name they came by.

use std::sync::Arc;

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::Login;
use klatsch_protocol::stream::Verdict;

use super::{Answer, Attempt, Source, Standing};
use crate::ldap::{Directory, Few, LdapError, Person, Proof};

/// The `ldap` backend.
pub struct Ldap {
    directory: Arc<Directory>,
}

impl Ldap {
    /// A backend over a directory.
    pub fn new(directory: Arc<Directory>) -> Self {
        Self { directory }
    }

    async fn check_login(&self, attempt: &Attempt) -> Result<Verdict, LdapError> {
        let found = self.directory.find(&attempt.login).await?;
        let Some(person) = found else {
            // Row A10: who is not there takes as long to refuse, nearly.
            let nobody = self.directory.nobody(attempt.login.domain());
            self.directory.prove(&nobody, &attempt.password).await?;
            return Ok(Verdict::Wrong);
        };
        let proof = self.directory.prove(&person.dn, &attempt.password).await?;
        Ok(verdict(person, proof))
    }

    async fn look_at(&self, account: &BareJid) -> Result<Standing, LdapError> {
        Ok(match self.directory.find_account(account).await? {
            Few::One(person) if person.is_disabled => Standing::Barred,
            Few::One(Person {
                password_changed: Some(changed),
                ..
            }) => Standing::GoodSince(changed),
            Few::One(_) => Standing::Good,
            Few::Several => Standing::Unavailable,
            // A directory that is being restored, or that the service account may not read any
            // more, has lost nobody.
            Few::Nobody => match self.directory.has_people(&account.domain_jid()).await? {
                true => Standing::Unknown,
                false => Standing::Unavailable,
            },
        })
    }
}

/// Row A11: only who knows the password is told that the account is disabled, unless the
/// directory tells everybody.
fn verdict(person: Person, proof: Proof) -> Verdict {
    match proof {
        Proof::Wrong => Verdict::Wrong,
        Proof::Disabled => Verdict::Disabled,
        Proof::Right if person.is_disabled => Verdict::Disabled,
        Proof::Right => Verdict::Right(person.account),
    }
}

impl Source for Ldap {
    fn name(&self) -> &'static str {
        "ldap"
    }

    fn check<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict> {
        Box::pin(async move {
            self.check_login(attempt).await.unwrap_or_else(|error| {
                tracing::warn!(error = %error, "the directory cannot say who somebody is");
                Verdict::Unavailable
            })
        })
    }

    fn resolve<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<BareJid>> {
        Box::pin(async move {
            let found = self.directory.find(login).await;
            found.ok().flatten().map(|person| person.account)
        })
    }

    fn standing<'a>(&'a self, account: &'a BareJid) -> Answer<'a, Standing> {
        Box::pin(async move {
            self.look_at(account).await.unwrap_or_else(|error| {
                tracing::debug!(jid = %account, error = %error, "the directory cannot say");
                Standing::Unavailable
            })
        })
    }
}
