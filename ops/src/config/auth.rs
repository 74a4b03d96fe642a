//! Who checks passwords.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::settings;
use super::{Config, one_or_many};
use crate::error::Error;
use axum::http::{HeaderName, Method};
use klatsch_gateways::auth::jwt::Expected;
use klatsch_gateways::auth::jwt::issuer::Issuer;
use klatsch_gateways::auth::standing::{LOOK_EVERY, LOOK_EVERY_MAX};
use klatsch_gateways::auth::{self, Provider, Service, UserInfo};
use klatsch_protocol::sasl::Mechanism;
use serde::{Deserialize, Serialize};

settings! {
    /// Who checks passwords.
    pub struct Auth {
        /// In the order asked: internal, ldap, http, saslauthd, token. Where one cannot tell now, those
        /// behind it are not asked: internal stands first, so that its accounts get in while a directory is down.
        /// Where nothing is set here, http and token are asked behind it if their addresses are set.
        #[serde(deserialize_with = "one_or_many")]
        backends: Vec<Backend> = vec![Backend::Internal];
        /// Offers SCRAM beside backends that cannot do it, for clients of internal accounts that insist on
        /// it. Accounts of the others then need clients that try PLAIN when SCRAM has failed; most do not.
        scram_beside_external: bool = false;
        /// Seconds from one look to the next whether those who are logged in still may be; 240 at most.
        /// Who was disabled elsewhere loses sessions and tokens then.
        recheck_seconds: u64 = LOOK_EVERY.as_secs();
    }
    sections {
        /// The backend http.
        http: AuthHttp;
        /// The backend saslauthd.
        saslauthd: AuthSaslauthd;
        /// The backend token.
        token: AuthToken;
    }
}

settings! {
    /// The backend http: a web service that says 200 or 401 to a name and a password (RFC 7617).
    pub struct AuthHttp {
        /// Where it is. http:// only on this machine and in private networks.
        url: Option<String> = None, example "\"http://webapp:8000/api/webhooks/nginx-httpauth\"";
        /// How it is asked: GET, or PROPFIND for iRony.
        method: String = "GET".to_owned();
        /// A header of its answer that names the account, where the name typed may be an alias.
        account_header: Option<String> = None, example "\"X-Account\"";
        /// Certificates of the authorities it has its own from, PEM. None: those that the host trusts.
        authorities: Option<PathBuf> = None, example "\"/etc/klatsch/authority.pem\"";
        /// Seconds that it may take. A second factor on a telephone takes some.
        timeout_seconds: u64 = 10;
    }
}

settings! {
    /// The backend saslauthd: Cyrus' password server, or Kolab 3's in its place.
    pub struct AuthSaslauthd {
        /// Its socket.
        socket: PathBuf = PathBuf::from("/run/saslauthd/mux");
        /// Seconds that it may take.
        timeout_seconds: u64 = 5;
    }
}

settings! {
    /// The backend token: an OpenID provider whose bearer tokens (OAUTHBEARER) log in.
    pub struct AuthToken {
        /// Its name, as its tokens have it: signed tokens (JWT with RS256, ES256 or EdDSA) are verified here by the
        /// keys that it publishes.
        issuer: Option<String> = None, example "\"https://id.example.org/realms/staff\"";
        /// What klatsch is called in its tokens (aud); one of these is enough. With an issuer it must be set.
        #[serde(deserialize_with = "one_or_many")]
        audience: Vec<String> = Vec::new();
        /// Its userinfo, which is asked whose a token is: every one, or with an issuer those that are not signed.
        userinfo_url: Option<String> = None, example "\"https://kolab.example.org/oauth/userinfo\"";
        /// Certificates of the authorities it has its own from, PEM. None: those that the host trusts.
        authorities: Option<PathBuf> = None, example "\"/etc/klatsch/authority.pem\"";
        /// Seconds that it may take.
        timeout_seconds: u64 = 5;
    }
}

/// Who checks a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The store's own accounts.
    Internal,
    /// A directory.
    Ldap,
    /// A web service.
    Http,
    /// Cyrus saslauthd.
    Saslauthd,
    /// Tokens of another service.
    Token,
}

impl Auth {
    /// Asks services whose addresses are set, where nobody has said whom to ask.
    pub(super) fn ask_who_is_named(&mut self) {
        if self.backends != Self::default().backends {
            return;
        }
        if self.http.url.is_some() {
            self.backends.push(Backend::Http);
        }
        if self.token.is_set() {
            self.backends.push(Backend::Token);
        }
    }

    /// Whether accounts may be somebody else's.
    pub fn has_external(&self) -> bool {
        self.backends.iter().any(|it| *it != Backend::Internal)
    }

    /// From one look at those who are logged in to the next.
    pub fn look_every(&self) -> Duration {
        Duration::from_secs(self.recheck_seconds)
    }

    /// The mechanisms to offer. Tokens come besides passwords.
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        let cannot_scram = |it: &Backend| !matches!(it, Backend::Internal | Backend::Token);
        let has_external = self.backends.iter().any(cannot_scram);
        auth::mechanisms(has_external, self.scram_beside_external)
    }

    /// What is wrong with the settings of the backends that are asked.
    pub(super) fn complaints(&self) -> Vec<String> {
        let asks = |backend| self.backends.contains(&backend);
        let mut found = Vec::new();
        if self.backends.is_empty() {
            found.push("auth.backends: nobody could log in".to_owned());
        }
        let twice =
            (1..self.backends.len()).find(|at| self.backends[..*at].contains(&self.backends[*at]));
        if twice.is_some() {
            found.push("auth.backends: one stands there twice".to_owned());
        }
        if !(1..=LOOK_EVERY_MAX.as_secs()).contains(&self.recheck_seconds) {
            let max = LOOK_EVERY_MAX.as_secs();
            found.push(format!("auth.recheck_seconds is 1 to {max}"));
        }
        if asks(Backend::Http) {
            found.extend(self.http_complaints());
        }
        if asks(Backend::Token) {
            found.extend(self.token.complaint());
        }
        found
    }

    fn http_complaints(&self) -> Vec<String> {
        let http = &self.http;
        let mut found = Vec::new();
        if http.url.is_none() {
            found.push("auth.http.url: the backend http needs it".to_owned());
        }
        if !["GET", "HEAD", "POST", "PROPFIND"].contains(&http.method.as_str()) {
            found.push("auth.http.method: GET, HEAD, POST or PROPFIND".to_owned());
        }
        let header = http.account_header.as_deref();
        if header.is_some_and(|name| name.parse::<HeaderName>().is_err()) {
            found.push("auth.http.account_header: no name of a header".to_owned());
        }
        found
    }
}

impl AuthHttp {
    /// The service, how it is asked, and where it names the account.
    ///
    /// # Errors
    /// Something in the settings cannot be used.
    pub fn service(&self) -> Result<(Service, Method, Option<HeaderName>), Error> {
        let url = self.url.as_deref().unwrap_or_default();
        let service = service(
            "auth.http.url",
            url,
            self.authorities.as_deref(),
            self.timeout_seconds,
        )?;
        let method = Method::from_bytes(self.method.as_bytes());
        let method = method.map_err(|error| Error::Config(format!("auth.http.method: {error}")))?;
        let header = self.account_header.as_deref();
        Ok((service, method, header.and_then(|name| name.parse().ok())))
    }
}

impl AuthSaslauthd {
    /// How long it may take.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds.max(1))
    }
}

impl AuthToken {
    fn is_set(&self) -> bool {
        self.issuer.is_some() || self.userinfo_url.is_some()
    }

    fn complaint(&self) -> Option<String> {
        match (self.is_set(), &self.issuer) {
            (false, _) => {
                Some("auth.token: the backend token needs an issuer or a userinfo_url".to_owned())
            }
            // RFC 8725 §3.9: a token for another service must not log in here.
            (true, Some(_)) if self.audience.is_empty() => {
                Some("auth.token.audience: tokens of an issuer need it".to_owned())
            }
            _ => None,
        }
    }

    /// The provider.
    ///
    /// # Errors
    /// Something in the settings cannot be used.
    pub fn provider(&self) -> Result<Provider, Error> {
        Ok(Provider {
            issuer: self.issuer()?,
            userinfo: self.userinfo()?.map(UserInfo::new),
        })
    }

    /// The provider's userinfo, if it is asked.
    ///
    /// # Errors
    /// Something in the settings cannot be used.
    pub fn userinfo(&self) -> Result<Option<Service>, Error> {
        let authorities = self.authorities.as_deref();
        let service = |url: &String| {
            service(
                "auth.token.userinfo_url",
                url,
                authorities,
                self.timeout_seconds,
            )
        };
        self.userinfo_url.as_ref().map(service).transpose()
    }

    /// The provider's keys, if tokens are verified by them.
    ///
    /// # Errors
    /// Something in the settings cannot be used.
    pub fn issuer(&self) -> Result<Option<Issuer>, Error> {
        let Some(issuer) = &self.issuer else {
            return Ok(None);
        };
        let expected = Expected {
            issuer: issuer.clone(),
            audience: self.audience.clone(),
        };
        let authorities = read_authorities(self.authorities.as_deref())?;
        let patience = Duration::from_secs(self.timeout_seconds.max(1));
        Issuer::new(expected, &authorities, patience)
            .map(Some)
            .map_err(|error| Error::Config(format!("auth.token.issuer: {error}")))
    }
}

fn service(
    key: &str,
    url: &str,
    authorities: Option<&Path>,
    timeout_seconds: u64,
) -> Result<Service, Error> {
    let authorities = read_authorities(authorities)?;
    let patience = Duration::from_secs(timeout_seconds.max(1));
    Service::new(url, &authorities, patience)
        .map_err(|error| Error::Config(format!("{key}: {error}")))
}

/// Certificates, or nothing where none are named.
pub(super) fn read_authorities(file: Option<&Path>) -> Result<Vec<u8>, Error> {
    match file {
        None => Ok(Vec::new()),
        Some(file) => std::fs::read(file).map_err(Error::io("cannot read", file)),
    }
}

impl Config {
    /// What is wrong with who checks passwords.
    pub(super) fn login_complaints(&self) -> Vec<String> {
        let mut found = self.auth.complaints();
        if self.auth.backends.contains(&Backend::Ldap) {
            found.extend(self.ldap.complaints());
        }
        // Whoever came first could take the address of somebody who has not logged in yet.
        if self.auth.has_external() && self.registration.open {
            let text = "registration.open: people whose accounts are elsewhere could lose their \
                        addresses to strangers";
            found.push(text.to_owned());
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(toml: &str) -> Vec<String> {
        toml::from_str::<Config>(toml).unwrap().login_complaints()
    }

    #[test]
    fn backends_need_what_they_ask() {
        assert_eq!(complaints(""), Vec::<String>::new());
        assert_eq!(complaints("[auth]\nbackends = []\n").len(), 1);
        assert_eq!(
            complaints("[auth]\nbackends = [\"internal\", \"internal\"]\n").len(),
            1
        );
        assert!(complaints("[auth]\nbackends = \"http\"\n")[0].starts_with("auth.http.url"));
        assert!(complaints("[auth]\nbackends = \"token\"\n")[0].starts_with("auth.token"));
        let issuer =
            "[auth]\nbackends = \"token\"\n[auth.token]\nissuer = \"https://id.example\"\n";
        assert!(complaints(issuer)[0].starts_with("auth.token.audience"));
        let whole = format!("{issuer}audience = \"klatsch\"\n");
        assert!(complaints(&whole).is_empty());
        assert!(complaints("[auth]\nbackends = \"ldap\"\n")[0].starts_with("ldap."));
        assert!(complaints("[auth]\nbackends = \"saslauthd\"\n").is_empty());
        assert_eq!(complaints("[auth]\nrecheck_seconds = 241\n").len(), 1);
        let http = "[auth]\nbackends = \"http\"\n[auth.http]\nurl = \"http://127.0.0.1/\"\n";
        assert!(complaints(http).is_empty());
        assert_eq!(complaints(&format!("{http}method = \"DELETE\"\n")).len(), 1);
    }

    #[test]
    fn address_of_a_service_is_enough() {
        let backends = |toml: &str| {
            let mut config: Config = toml::from_str(toml).unwrap();
            config.auth.ask_who_is_named();
            config.auth.backends
        };
        let http = "[auth.http]\nurl = \"http://webapp:8000/api/webhooks/nginx-httpauth\"\n";
        let token = "[auth.token]\nuserinfo_url = \"https://kolab.example/oauth/userinfo\"\n";
        assert_eq!(backends(""), [Backend::Internal]);
        assert_eq!(backends(http), [Backend::Internal, Backend::Http]);
        let both = format!("{http}{token}");
        assert_eq!(
            backends(&both),
            [Backend::Internal, Backend::Http, Backend::Token]
        );
        let chosen = format!("[auth]\nbackends = \"saslauthd\"\n{both}");
        assert_eq!(backends(&chosen), [Backend::Saslauthd]);
    }

    #[test]
    fn strangers_do_not_take_the_addresses_of_a_directorys_people() {
        let open = "[auth]\nbackends = \"saslauthd\"\n[registration]\nopen = true\n";
        assert!(complaints(open)[0].starts_with("registration.open"));
        assert!(complaints("[registration]\nopen = true\n").is_empty());
    }

    #[test]
    fn scram_is_offered_where_every_backend_can_do_it() {
        let mechanisms = |toml: &str| {
            let config: Config = toml::from_str(toml).unwrap();
            config.auth.mechanisms()
        };
        assert_eq!(mechanisms(""), Mechanism::ALL);
        let tokens = "[auth]\nbackends = [\"internal\", \"token\"]\n";
        assert_eq!(mechanisms(tokens), Mechanism::ALL);
        let mixed = "[auth]\nbackends = [\"internal\", \"ldap\"]\n";
        let offered = mechanisms(mixed);
        assert!(offered.contains(&Mechanism::Plain));
        assert!(offered.iter().all(|it| it.hash().is_none()));
        let kept = format!("{mixed}scram_beside_external = true\n");
        assert_eq!(mechanisms(&kept), Mechanism::ALL);
    }
}
