//! What calls need besides XMPP: STUN and TURN servers (XEP-0215).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::settings;
use crate::error::Error;
use klatsch_protocol::features::external_services::{ExternalService, Secret, Settings};

settings! {
    /// STUN and TURN servers instead of the one built in. Clients are told.
    pub struct Calls {
        /// The servers, as `stun:HOST:PORT`, `turn:HOST:PORT?transport=tcp` or `turns:HOST`.
        services: Vec<String> = Vec::new(), example "[\"stun:stun.example.org\", \"turn:turn.example.org\"]";
        /// A file with the secret shared with the TURN servers (use-auth-secret in coturn).
        turn_secret_file: Option<PathBuf> = None, example "\"/etc/klatsch/turn.secret\"";
        /// Seconds that a client may use what it was told: the longest call, and more.
        credentials_seconds: u64 = 43_200;
    }
}

impl Calls {
    /// What clients are told.
    pub fn services(&self) -> Result<Settings, Error> {
        let parse = |uri: &String| {
            let wrong =
                || Error::Config(format!("calls.services: \"{uri}\" is no STUN or TURN URI"));
            ExternalService::parse(uri).ok_or_else(wrong)
        };
        let secret = self.turn_secret_file.as_deref().map(read_secret);
        Ok(Settings {
            services: self.services.iter().map(parse).collect::<Result<_, _>>()?,
            secret: secret.transpose()?,
            lifetime: Duration::from_secs(self.credentials_seconds),
        })
    }
}

/// A secret without the line's end that editors put there.
fn read_secret(path: &Path) -> Result<Secret, Error> {
    let text = std::fs::read(path).map_err(Error::io("cannot read", path))?;
    let secret = text.trim_ascii();
    if secret.is_empty() {
        return Err(Error::Config(format!(
            "calls.turn_secret_file: {} is empty",
            path.display()
        )));
    }
    Ok(Secret(secret.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_secret_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hush\n").unwrap();
        let calls = Calls {
            services: vec!["turn:t.example".to_owned()],
            turn_secret_file: Some(file.clone()),
            ..Calls::default()
        };
        let settings = calls.services().unwrap();
        assert_eq!(settings.services[0].host, "t.example");
        assert_eq!(&*settings.secret.unwrap().0, b"hush");
        std::fs::write(&file, "\n").unwrap();
        assert!(calls.services().is_err());
    }

    #[test]
    fn what_is_no_service_is_refused_by_name() {
        let calls = Calls {
            services: vec!["turn.example".to_owned()],
            ..Calls::default()
        };
        let error = calls.services().unwrap_err().to_string();
        assert!(error.contains("turn.example"), "{error}");
    }
}
