//! Files that accounts upload over HTTP (XEP-0363).

use super::settings::settings;
use super::{Config, Listen};
use klatsch_protocol::features::upload::{Key, Settings};
use std::path::PathBuf;
use std::time::Duration;

const DAY_SECONDS: u64 = 24 * 3600;

settings! {
    /// Files that clients upload over HTTP to share them.
    pub struct Upload {
        /// False: nobody can upload.
        enabled: bool = true;
        /// What addresses of files begin with, `{domain}` standing for the account's domain. None: https, the domain and the port of listen.https.
        /// Set it where a proxy takes HTTPS, or where the domain's name leads to another host than this.
        url: Option<String> = None, example "\"https://files.example.org\"";
        /// Where files are kept, in the data directory unless absolute.
        folder: PathBuf = PathBuf::from("uploads");
        /// Bytes of one file.
        size_bytes_max: u64 = Settings::default().size_bytes_max;
        /// Bytes of all files of an account.
        quota_bytes_per_account: u64 = Settings::default().quota_bytes_per_account;
        /// Number of files of an account.
        files_per_account_max: u64 = Settings::default().files_per_account_max;
        /// Days that a file is kept.
        retention_days: u64 = Settings::default().retention.as_secs() / DAY_SECONDS;
        /// Bytes of one file of a profile, such as an avatar.
        profile_size_bytes_max: u64 = Settings::default().profile_size_bytes_max;
        /// Bytes of all files of an account's profile.
        profile_quota_bytes: u64 = Settings::default().profile_quota_bytes;
        /// Days that a file of a profile is kept.
        profile_retention_days: u64 = Settings::default().profile_retention.as_secs() / DAY_SECONDS;
    }
}

impl Config {
    /// What decisions about uploads go by; `None` when there are none.
    pub fn uploads(&self, key: [u8; 32]) -> Option<Settings> {
        let upload = &self.upload;
        let url = upload.url.clone().or_else(|| self.derived_url());
        let url = url.filter(|_| upload.enabled)?;
        let days = |days: u64| Duration::from_secs(days.saturating_mul(DAY_SECONDS));
        Some(Settings {
            url,
            key: Key::new(key),
            size_bytes_max: upload.size_bytes_max,
            quota_bytes_per_account: upload.quota_bytes_per_account,
            files_per_account_max: upload.files_per_account_max,
            retention: days(upload.retention_days),
            profile_size_bytes_max: upload.profile_size_bytes_max,
            profile_quota_bytes: upload.profile_quota_bytes,
            profile_retention: days(upload.profile_retention_days),
            put_patience: Settings::default().put_patience,
        })
    }

    /// HTTPS of our own; without it a proxy must have it, at the usual port.
    fn derived_url(&self) -> Option<String> {
        match (self.listen.https, self.listen.http) {
            (Listen::Off, Listen::Off) => None,
            (Listen::Off, _) => Some("https://{domain}".to_owned()),
            (https, _) => match https.port()? {
                443 => Some("https://{domain}".to_owned()),
                port => Some(format!("https://{{domain}}:{port}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Option<String> {
        let config: Config = toml::from_str(text).unwrap();
        let uploads = config.uploads([0; 32]);
        uploads.map(|uploads| uploads.base("example.org"))
    }

    #[test]
    fn addresses_of_files_are_where_https_is() {
        for (text, wanted) in [
            ("", Some("https://example.org:5443")),
            ("[listen]\nhttps = '*:443'", Some("https://example.org")),
            ("[listen]\nhttps = 'off'", Some("https://example.org")),
            ("[listen]\nhttps = 'off'\nhttp = 'off'", None),
            (
                "[upload]\nurl = 'https://f.{domain}/x/'",
                Some("https://f.example.org/x"),
            ),
            ("[upload]\nurl = 'https://f'\nenabled = false", None),
        ] {
            assert_eq!(url(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_decisions() {
        let ours = Config::default().uploads([0; 32]).unwrap();
        let url = ours.url.clone();
        assert_eq!(
            ours,
            Settings {
                url,
                ..Settings::default()
            }
        );
    }
}
