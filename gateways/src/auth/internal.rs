//! Accounts of our own, with their keys in the store.

use std::sync::Arc;

use klatsch_actors::derivation::Derivations;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, ScramCredentials, Secret};
use klatsch_store::{Credentials, Store, StoreError};

use super::{Answer, Attempt, Backend, Keys, Standing, Verdict};

/// The hash of the strongest keys that every account gets.
const STRONGEST: Hash = Hash::Sha512;

/// The `internal` backend.
pub struct Internal {
    store: Store,
    derivations: Arc<Derivations>,
    /// Makes the keys of accounts that do not exist, the same for the same name.
    fake_salt_key: [u8; 32],
}

impl Internal {
    /// A backend over a store.
    pub fn new(store: Store, derivations: Arc<Derivations>, fake_salt_key: [u8; 32]) -> Self {
        Self {
            store,
            derivations,
            fake_salt_key,
        }
    }

    async fn look_up(&self, account: &BareJid) -> Result<Option<Credentials>, StoreError> {
        let found = self.store.credentials(account).await;
        if let Err(error) = &found {
            tracing::warn!(jid = %account, error = %error, "cannot read credentials");
        }
        found
    }

    async fn find(&self, account: &BareJid, hash: Hash) -> Keys {
        let Ok(found) = self.look_up(account).await else {
            return Keys::Unavailable;
        };
        let Some(found) = found else {
            return Keys::None;
        };
        let keys = found.scram.into_iter().find(|keys| keys.hash == hash);
        match keys {
            None => Keys::None,
            Some(keys) if found.disabled => Keys::OfDisabled(keys),
            Some(keys) => Keys::Some(keys),
        }
    }

    async fn lacking(&self, account: &BareJid, hashes: &[Hash]) -> Option<Vec<Hash>> {
        let found = self.look_up(account).await.ok()??;
        // An account without any is another backend's: keys made of its password would outlive
        // the password there.
        if found.scram.is_empty() {
            return None;
        }
        let has = |hash: &&Hash| found.scram.iter().any(|keys| keys.hash == **hash);
        Some(hashes.iter().filter(|hash| !has(hash)).copied().collect())
    }

    async fn add(&self, account: &BareJid, keys: &ScramCredentials) {
        match self.store.add_keys(account, keys).await {
            Ok(true) => tracing::info!(jid = %account, hash = keys.hash.name(), "keys added"),
            // Another password has come meanwhile, with all its keys.
            Ok(false) => {}
            Err(error) => tracing::warn!(jid = %account, error = %error, "cannot add keys"),
        }
    }

    async fn standing_of(&self, account: &BareJid) -> Standing {
        match self.look_up(account).await {
            Err(_) => Standing::Unavailable,
            Ok(Some(found)) if found.disabled => Standing::Barred,
            Ok(Some(found)) if !found.scram.is_empty() => Standing::Good,
            Ok(_) => Standing::Unknown,
        }
    }

    async fn check(&self, attempt: &Attempt) -> Verdict {
        // Its own accounts have no other names, and none at other domains.
        let Some(account) = attempt.login.local_address() else {
            return Verdict::Wrong;
        };
        self.check_account(account, attempt.password.clone()).await
    }

    async fn check_account(&self, account: BareJid, password: Secret) -> Verdict {
        let Ok(found) = self.look_up(&account).await else {
            return Verdict::Unavailable;
        };
        let disabled = found.as_ref().is_some_and(|found| found.disabled);
        // The strongest keys are the last; any of them proves the password.
        let known = found.and_then(|found| found.scram.into_iter().next_back());
        let exists = known.is_some();
        // Rows A10, A11: an account that does not exist takes as long to refuse as any other,
        // whose strongest keys are these.
        let keys = known.unwrap_or_else(|| {
            ScramCredentials::fake(STRONGEST, &self.fake_salt_key, account.as_str())
        });
        let work = move || keys.verify_password(password.expose());
        match self.derivations.run(work).await {
            Ok(true) if exists && disabled => Verdict::Disabled,
            Ok(true) if exists => Verdict::Right(account),
            Ok(_) => Verdict::Wrong,
            Err(_) => Verdict::Unavailable,
        }
    }
}

impl Backend for Internal {
    fn credentials<'a>(&'a self, account: &'a BareJid, hash: Hash) -> Answer<'a, Keys> {
        Box::pin(self.find(account, hash))
    }

    fn check_password<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict> {
        Box::pin(self.check(attempt))
    }

    fn standing<'a>(&'a self, account: &'a BareJid) -> Answer<'a, Standing> {
        Box::pin(self.standing_of(account))
    }

    fn lacking_keys<'a>(
        &'a self,
        account: &'a BareJid,
        hashes: &'a [Hash],
    ) -> Answer<'a, Option<Vec<Hash>>> {
        Box::pin(self.lacking(account, hashes))
    }

    fn add_keys<'a>(&'a self, account: &'a BareJid, keys: &'a ScramCredentials) -> Answer<'a, ()> {
        Box::pin(self.add(account, keys))
    }
}
