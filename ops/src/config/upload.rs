//! Files that people send (XEP-0363): where they are reached, and what they may cost.

use std::time::Duration;

use super::Config;
use super::settings::settings;
use klatsch_protocol::features::upload::Settings;
use klatsch_protocol::features::upload::slot::Key;

/// Seconds of a day.
const DAY: u64 = 86_400;

settings! {
    /// Files that people send. They lie in the data directory.
    pub struct Upload {
        /// False: nobody can send files.
        enabled: bool = true;
        /// Where clients reach /upload of this server, `{domain}` standing for the domain. None: https at the domain and the port of listen.https.
        url: Option<String> = None, example "\"https://files.{domain}/upload\"";
        /// Bytes of one file.
        file_bytes_max: u64 = Settings::default().file_bytes_max;
        /// Bytes of all files of an account.
        account_bytes_max: u64 = Settings::default().account_bytes_max;
        /// Number of files of an account.
        account_files_max: u64 = Settings::default().account_files_max;
        /// Days that files sent in messages stay. Avatars stay with their account.
        retention_days: u64 = Settings::default().retention.as_secs() / DAY;
    }
}

impl Config {
    /// What decisions know of files.
    pub fn uploads(&self, key: [u8; 32]) -> Settings {
        let upload = &self.upload;
        Settings {
            key: Key(key),
            url: self.upload_url(),
            file_bytes_max: upload.file_bytes_max,
            account_bytes_max: upload.account_bytes_max,
            account_files_max: upload.account_files_max,
            retention: Duration::from_secs(upload.retention_days.saturating_mul(DAY)),
        }
    }

    /// Where files are reached. XEP-0363 §4 wants TLS: without an HTTPS listener it is reached
    /// through somebody else, who has to be named.
    pub(super) fn upload_url(&self) -> Option<String> {
        if !self.upload.enabled {
            return None;
        }
        let own = || match self.listen.https.port()? {
            443 => Some("https://{domain}/upload".to_owned()),
            port => Some(format!("https://{{domain}}:{port}/upload")),
        };
        self.upload.url.clone().or_else(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(toml: &str) -> Option<String> {
        toml::from_str::<Config>(toml).unwrap().upload_url()
    }

    #[test]
    fn files_are_where_https_is_unless_somebody_says_otherwise() {
        assert_eq!(url("").unwrap(), "https://{domain}:5443/upload");
        let usual = url("[listen]\nhttps = \"*:443\"").unwrap();
        assert_eq!(usual, "https://{domain}/upload");
        assert_eq!(url("[listen]\nhttps = \"off\""), None);
        assert_eq!(url("[upload]\nenabled = false"), None);
        let said = "[listen]\nhttps = \"off\"\n[upload]\nurl = \"https://f.example/u\"";
        assert_eq!(url(said).unwrap(), "https://f.example/u");
    }
}
