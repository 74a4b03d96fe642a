//! Builds whoever is asked who somebody is, in the order of the settings.

use super::gates::Ground;
use crate::config::Backend as Kind;
use crate::error::Error;
use klatsch_gateways::auth::{Backend, External, HttpBasic, Internal, Ldap, Saslauthd, Source};
use klatsch_gateways::ldap::Directory;
use std::sync::Arc;

/// The backends, the first first.
pub(super) fn backends(ground: &Ground<'_>) -> Result<Vec<Box<dyn Backend>>, Error> {
    let kinds = &ground.foundation.config.auth.backends;
    kinds.iter().map(|kind| backend(*kind, ground)).collect()
}

fn backend(kind: Kind, ground: &Ground<'_>) -> Result<Box<dyn Backend>, Error> {
    let config = &ground.foundation.config;
    Ok(match kind {
        Kind::Internal => {
            let derivations = Arc::clone(&ground.sessions.world().derivations);
            let key = ground.foundation.secrets.fake_salt_key;
            Box::new(Internal::new(ground.store.clone(), derivations, key))
        }
        Kind::Ldap => {
            let directory = Directory::new(config.ldap.settings()?)
                .map_err(|error| Error::Config(format!("ldap.authorities: {error}")))?;
            external(Ldap::new(directory), ground)
        }
        Kind::Http => {
            let (service, method, header) = config.auth.http.service()?;
            external(HttpBasic::new(service, method, header), ground)
        }
        Kind::Saslauthd => {
            let settings = &config.auth.saslauthd;
            let source = Saslauthd::new(settings.socket.clone(), settings.patience());
            external(source, ground)
        }
        Kind::Token => external(config.auth.token.provider()?, ground),
    })
}

fn external(source: impl Source + 'static, ground: &Ground<'_>) -> Box<dyn Backend> {
    let (sessions, domains) = (ground.sessions.clone(), ground.domains.clone());
    Box::new(External::new(source, sessions, domains))
}
