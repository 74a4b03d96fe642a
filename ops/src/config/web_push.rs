//! What browsers are told while nobody looks (RFC 8030), and through whom.

use std::path::PathBuf;

use super::Config;
use super::settings::settings;
use crate::error::Error;
use klatsch_gateways::web_push::WebPushSettings;
use klatsch_protocol::features::web_push::Settings;

settings! {
    /// Notifications for the web client while nobody looks, through the push services of browsers. They say which conversation, how much and of which kind, encrypted for the browser.
    pub struct WebPush {
        /// False: the server connects to no push service, and push.DOMAIN is free for a component.
        enabled: bool = true;
        /// The push services that are spoken to: hosts, or with `*.` all below one; with a port where it is not 443.
        #[serde(deserialize_with = "super::one_or_many")]
        hosts: Vec<String> = Settings::default().hosts;
        /// Browsers are told who has written and what, as far as `[push]` lets app servers know.
        content: bool = Settings::default().has_content;
        /// Push services inside your network, and on this machine, are spoken to.
        private_addresses: bool = false;
        /// A file with certificates of authorities that are believed besides those of browsers, PEM.
        authorities: Option<PathBuf> = None, example "\"/etc/klatsch/push-authorities.pem\"";
    }
}

impl Config {
    /// What decisions know of it; `None`: there is none.
    pub fn web_pushes(&self) -> Option<Settings> {
        let web_push = &self.web_push;
        web_push.enabled.then(|| Settings {
            hosts: web_push.hosts.clone(),
            has_content: web_push.content,
        })
    }

    /// How push services are spoken to.
    ///
    /// # Errors
    /// The file of authorities cannot be read.
    pub fn push_services(&self) -> Result<WebPushSettings, Error> {
        let web_push = &self.web_push;
        let authorities = match &web_push.authorities {
            Some(path) => std::fs::read(path).map_err(Error::io("cannot read", path))?,
            None => Vec::new(),
        };
        Ok(WebPushSettings {
            hosts: web_push.hosts.clone(),
            contact: self.push_contact(),
            private_addresses: web_push.private_addresses,
            authorities,
        })
    }

    /// RFC 8292 §2.1: a mailto: or https: URI by which whoever runs this can be reached.
    fn push_contact(&self) -> String {
        let fits = |uri: &&String| uri.starts_with("mailto:") || uri.starts_with("https:");
        let contact = self.contacts.admin.iter().find(fits).cloned();
        let main = || self.domains().into_iter().next().unwrap_or_default();
        contact.unwrap_or_else(|| format!("https://{}", main()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_services_know_whom_to_turn_to() {
        let contact = |toml: &str| {
            let config: Config = toml::from_str(toml).unwrap();
            config.push_services().unwrap().contact
        };
        let domain = "domains = \"a.example\"\n";
        assert_eq!(contact(domain), "https://a.example");
        let named = "[contacts]\nadmin = [\"xmpp:root@a.example\", \"mailto:root@a.example\"]";
        assert_eq!(
            contact(&format!("{domain}{named}")),
            "mailto:root@a.example"
        );
    }

    #[test]
    fn h07_nobody_inside_is_spoken_to_unless_somebody_says_so() {
        let settings = Config::default().push_services().unwrap();
        assert!(!settings.private_addresses && settings.authorities.is_empty());
        let off: Config = toml::from_str("[web_push]\nenabled = false").unwrap();
        assert!(off.web_pushes().is_none());
    }
}
