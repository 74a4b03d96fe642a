//! Who may make an account (XEP-0077), and invitations (XEP-0401).

use std::time::Duration;

use super::Config;
use super::settings::settings;
use klatsch_protocol::features::{invitation, registration};

/// Seconds of a day.
const DAY: u64 = 86_400;

settings! {
    /// Who may make an account for themselves. Operators make accounts with klatsch user add.
    pub struct Registration {
        /// Anybody, from any app. Otherwise an invitation is needed.
        open: bool = false;
        /// Invitations: from klatsch invite, and from users. None where accounts are elsewhere (auth.backends):
        /// whoever was invited could take the address of somebody who has not logged in yet.
        invitations: bool = invitation::Settings::default().is_enabled;
        /// Invitations of one user that may wait at once; 0: only klatsch invite makes them.
        invitations_per_account_max: u32 = invitation::Settings::default().per_account_max;
        /// Days that an invitation is good.
        invitation_days: u64 = invitation::Settings::default().lifetime.as_secs() / DAY;
        /// Where browsers reach /invite of this server, `{domain}` standing for the domain. None: https at the domain and the port of listen.https.
        invitation_url: Option<String> = None, example "\"https://chat.{domain}/invite\"";
    }
}

impl Config {
    /// What decisions know of registration.
    pub fn registrations(&self) -> registration::Settings {
        let settings = &self.registration;
        let lifetime = settings.invitation_days.saturating_mul(DAY);
        registration::Settings {
            is_open: settings.open,
            invitations: invitation::Settings {
                is_enabled: settings.invitations && !self.auth.has_external(),
                per_account_max: settings.invitations_per_account_max,
                lifetime: Duration::from_secs(lifetime),
                url: self.invitation_url(),
            },
        }
    }

    /// Where invitations are opened: a password is typed there, so by https alone.
    fn invitation_url(&self) -> Option<String> {
        let own = || match self.listen.https.port()? {
            443 => Some("https://{domain}/invite".to_owned()),
            port => Some(format!("https://{{domain}}:{port}/invite")),
        };
        self.registration.invitation_url.clone().or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_invited_where_accounts_are_elsewhere() {
        let toml = "[auth]\nbackends = [\"internal\", \"saslauthd\"]\n";
        let config: Config = toml::from_str(toml).unwrap();
        assert!(!config.registrations().invitations.is_enabled);
        assert!(Config::default().registrations().invitations.is_enabled);
    }

    #[test]
    fn nobody_registers_without_an_invitation_unless_somebody_says_so() {
        let settings = Config::default().registrations();
        assert!(!settings.is_open && settings.invitations.is_enabled);
        let url = settings.invitations.url.unwrap();
        assert_eq!(url, "https://{domain}:5443/invite");
        let open: Config = toml::from_str("[registration]\nopen = true").unwrap();
        assert!(open.registrations().is_open);
    }
}
