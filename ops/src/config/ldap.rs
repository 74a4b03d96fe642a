//! A directory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::auth::read_authorities;
use super::components::Hidden;
use super::one_or_many;
use super::settings::settings;
use crate::error::Error;
use klatsch_gateways::ldap::{Base, LdapServer, LdapSettings, filter};
use klatsch_protocol::sasl::Secret;
use serde::{Deserialize, Serialize};

/// Kolab's attribute for addresses elsewhere, where passwords are sent that somebody has forgotten:
/// whoever writes it must not become somebody by it.
const EXTERNAL_ADDRESS: &str = "mailAlternateAddress";

settings! {
    /// A directory with people. /etc/kolab/kolab.conf sets what is not set here.
    pub struct Ldap {
        /// Its servers, the first first, as in "ldaps://ldap.example.org". ldap:// means StartTLS, unless the
        /// server is on this machine; "ldapi://%2Frun%2Fslapd%2Fldapi" is a Unix socket.
        #[serde(deserialize_with = "one_or_many")]
        servers: Vec<String> = Vec::new();
        /// StartTLS with a server on this machine, too.
        starttls: bool = false;
        /// Certificates of the authorities it has its own from, or its own, PEM. None: those that the host trusts.
        authorities: Option<PathBuf> = None, example "\"/etc/klatsch/authority.pem\"";
        /// The account that may search.
        bind_dn: String = String::new();
        /// Its password.
        password: Hidden = Hidden::default();
        /// A file with its password instead.
        password_file: Option<PathBuf> = None, example "\"/etc/klatsch/ldap.password\"";
        /// The entry that people are below, as in "ou=People,dc=example,dc=org".
        base_dn: String = String::new();
        /// What entries are people.
        user_filter: String = "(objectClass=kolabInetOrgPerson)".to_owned();
        /// Domains whose people are elsewhere, as in { "example.net" = { base_dn = "ou=People,dc=example,dc=net" } }.
        domains: BTreeMap<String, LdapDomain> = BTreeMap::new();
        /// The attributes that people log in by.
        login_attributes: Vec<String> = ["mail", "alias", "uid"].map(str::to_owned).to_vec();
        /// The attribute with the address that is the account's.
        mail_attribute: String = "mail".to_owned();
        /// Seconds that each step may take.
        timeout_seconds: u64 = 2;
    }
}

/// Where the people of a domain are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapDomain {
    /// The entry that they are below.
    pub base_dn: String,
    /// What entries are people; none: as everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_filter: Option<String>,
}

impl Ldap {
    /// The settings as the directory takes them.
    ///
    /// # Errors
    /// Something in them cannot be used.
    pub fn settings(&self) -> Result<LdapSettings, Error> {
        let complaints = self.complaints();
        if !complaints.is_empty() {
            return Err(Error::Config(complaints.join("\n")));
        }
        let bases = self.domains.iter().map(|(domain, it)| {
            let filter = it.user_filter.as_deref().unwrap_or(&self.user_filter);
            Ok((
                domain.to_lowercase(),
                base("ldap.domains", &it.base_dn, filter)?,
            ))
        });
        Ok(LdapSettings {
            servers: self.parsed_servers()?,
            starttls: self.starttls,
            authorities: read_authorities(self.authorities.as_deref())?,
            bind_dn: self.bind_dn.clone(),
            password: self.secret()?,
            base: base("ldap.user_filter", &self.base_dn, &self.user_filter)?,
            bases: bases.collect::<Result<_, Error>>()?,
            login_attributes: self.login_attributes.clone(),
            mail_attribute: self.mail_attribute.clone(),
            patience: Duration::from_secs(self.timeout_seconds.max(1)),
        })
    }

    fn parsed_servers(&self) -> Result<Vec<LdapServer>, Error> {
        let parse = |text: &String| {
            text.parse()
                .map_err(|error| Error::Config(format!("ldap.servers: {error}")))
        };
        self.servers.iter().map(parse).collect()
    }

    fn secret(&self) -> Result<Secret, Error> {
        let Some(file) = &self.password_file else {
            return Ok(Secret::new(self.password.expose()));
        };
        let text = std::fs::read_to_string(file).map_err(Error::io("cannot read", file))?;
        Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
    }

    /// What is wrong with them.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut need = |is_missing: bool, key: &str| {
            if is_missing {
                found.push(format!("ldap.{key}: the backend ldap needs it"));
            }
        };
        need(self.servers.is_empty(), "servers");
        need(self.bind_dn.is_empty(), "bind_dn");
        let has_no_password = self.password.is_empty() && self.password_file.is_none();
        need(has_no_password, "password");
        need(self.base_dn.is_empty(), "base_dn");
        need(self.login_attributes.is_empty(), "login_attributes");
        need(self.mail_attribute.is_empty(), "mail_attribute");
        if let Err(error) = self.parsed_servers() {
            found.push(error.to_string());
        }
        let filters = self
            .domains
            .values()
            .filter_map(|it| it.user_filter.as_ref());
        for text in filters.chain([&self.user_filter]) {
            if let Err(error) = filter::parse(text) {
                found.push(format!("ldap.user_filter: \"{text}\" is {error}"));
            }
        }
        let is_external = |name: &&String| name.eq_ignore_ascii_case(EXTERNAL_ADDRESS);
        let mut names = self.login_attributes.iter().chain([&self.mail_attribute]);
        if names.any(|name| is_external(&name)) {
            found.push(format!(
                "ldap.login_attributes: {EXTERNAL_ADDRESS} is an address of somewhere else"
            ));
        }
        found
    }

    /// To be printed.
    pub(super) fn without_secrets(&self) -> Self {
        let password = match self.password.is_empty() {
            true => Hidden::default(),
            false => Hidden::new("hidden"),
        };
        Self {
            password,
            ..self.clone()
        }
    }
}

fn base(key: &str, dn: &str, people: &str) -> Result<Base, Error> {
    let people = filter::parse(people)
        .map_err(|error| Error::Config(format!("{key}: \"{people}\" is {error}")))?;
    Ok(Base {
        dn: dn.to_owned(),
        people,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const WHOLE: &str = "servers = \"ldap://127.0.0.1\"\nbind_dn = \"uid=s,dc=x\"\n\
                         password = \"canary\"\nbase_dn = \"dc=x\"\n";

    fn ldap(toml: &str) -> Ldap {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn directory_needs_a_server_a_service_account_and_a_base() {
        assert_eq!(ldap("").complaints().len(), 4);
        assert_eq!(ldap(WHOLE).complaints(), Vec::<String>::new());
        assert!(ldap(WHOLE).settings().is_ok());
        for bad in [
            "user_filter = \"objectClass=*\"\n",
            "login_attributes = [\"mail\", \"mailalternateaddress\"]\n",
            "mail_attribute = \"mailAlternateAddress\"\n",
            "domains = { \"x.example\" = { base_dn = \"dc=x\", user_filter = \"(\" } }\n",
        ] {
            assert_eq!(
                ldap(&format!("{WHOLE}{bad}")).complaints().len(),
                1,
                "{bad}"
            );
        }
        let server = WHOLE.replace("ldap://127.0.0.1", "127.0.0.1");
        assert!(ldap(&server).complaints()[0].starts_with("ldap.servers"));
    }

    #[test]
    fn a18_password_is_not_printed() {
        let config: Config = toml::from_str(&format!("[ldap]\n{WHOLE}")).unwrap();
        assert!(!config.print().contains("canary") && config.print().contains("hidden"));
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn password_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "s e cret \n").unwrap();
        let mut ldap = ldap(WHOLE);
        ldap.password_file = Some(file);
        let settings = ldap.settings().unwrap();
        assert_eq!(settings.password.expose(), "s e cret ");
    }
}
