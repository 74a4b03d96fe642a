//! Documents of offices.

use std::path::PathBuf;

use super::auth::read_authorities;
use super::one_or_many;
use super::settings::settings;
use crate::error::Error;
use klatsch_gateways::api::wopi::DocumentHosts;
use klatsch_protocol::jid::BareJid;

settings! {
    /// Documents whose hosts say by WOPI who may open them: whoever may belongs to the document's room.
    pub struct Documents {
        /// Their origins, as in `https://files.example.org`; no other host is asked. http:// only on this machine
        /// and in private networks.
        #[serde(deserialize_with = "one_or_many")]
        hosts: Vec<String> = Vec::new();
        /// The domain of people whose ids (UserId) have none. None: an id is an address.
        domain: Option<String> = None, example "\"example.org\"";
        /// Certificates of the authorities they have theirs from, PEM. None: those that the host trusts.
        authorities: Option<PathBuf> = None, example "\"/etc/klatsch/authority.pem\"";
    }
}

impl Documents {
    /// What is wrong with them.
    pub(super) fn complaint(&self) -> Option<String> {
        self.hosts().err().map(|error| error.to_string())
    }

    /// The hosts.
    ///
    /// # Errors
    /// Something in the settings cannot be used.
    pub fn hosts(&self) -> Result<DocumentHosts, Error> {
        let domain = self.domain.as_deref().map(|text| {
            let domain = BareJid::parse(text)
                .ok()
                .filter(|it| it.localpart().is_none());
            domain
                .ok_or_else(|| Error::Config(format!("documents.domain: \"{text}\" is no domain")))
        });
        let authorities = read_authorities(self.authorities.as_deref())?;
        DocumentHosts::new(&self.hosts, domain.transpose()?, &authorities)
            .map_err(|error| Error::Config(format!("documents.hosts: {error}")))
    }
}
