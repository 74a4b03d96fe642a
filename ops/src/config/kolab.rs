//! Kolab on this host: what its settings say of domains, directory and logins.
//!
//! With `/etc/kolab/kolab.conf` nothing has to be set. What is set goes over it. Leaves out what
//! klatsch has no use for: quotas, mail servers, and the directory manager's account.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::components::Hidden;
use super::ini::{Ini, Section, value};
use super::ldap::LdapDomain;
use super::settings::settings;
use super::{Backend, Config, Ldap};
use crate::error::Error;
use klatsch_gateways::ldap::{DomainSearch, filter};

settings! {
    /// Kolab on this host.
    pub struct Kolab {
        /// Its settings, from which domains, directory and backends are taken where none are set. "": none.
        file: PathBuf = PathBuf::from("/etc/kolab/kolab.conf");
    }
}

/// Names that every Kolab has among its domains, and nobody an address at.
const NOT_DOMAINS: [&str; 2] = ["localhost", "localhost.localdomain"];

/// What was found of Kolab on this host.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// What was taken, in words.
    pub taken: Vec<String>,
    /// What cannot be used, in words.
    pub wrong: Vec<String>,
    /// Where the directory lists domains, if those it lists are to be served.
    pub(crate) listing: Option<Listing>,
}

/// How the directory lists domains.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Kolab's settings of the directory.
    ldap: Section,
}

impl std::fmt::Debug for Listing {
    /// There are passwords among them.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Listing")
    }
}

impl Listing {
    fn of(ini: &Ini) -> Option<Self> {
        let ldap = ini.over("ldap", &[]);
        value(&ldap, "domain_base_dn").map(|_| Self { ldap })
    }

    /// What to search for.
    ///
    /// # Errors
    /// The filter is none.
    pub(crate) fn search(&self) -> Result<DomainSearch, Error> {
        let get = |key, usual: &str| value(&self.ldap, key).unwrap_or_else(|| usual.to_owned());
        let text: String = get("domain_filter", "(associatedDomain=*)")
            .lines()
            .collect();
        let filter = filter::parse(&text)
            .map_err(|error| Error::Config(format!("domain_filter: \"{text}\" is {error}")))?;
        Ok(DomainSearch {
            base_dn: get("domain_base_dn", ""),
            filter,
            name_attribute: get("domain_name_attribute", "associateddomain"),
            root_attribute: get("domain_rootdn_attribute", "inetdomainbasedn"),
        })
    }

    /// Where the people of a domain are, whose entries are below this one; Kolab makes its name
    /// of the domain's where nobody says.
    pub(crate) fn people_of(&self, domain: &str, root_dn: Option<&str>) -> Option<LdapDomain> {
        let made = || format!("dc={}", domain.split('.').collect::<Vec<_>>().join(",dc="));
        let mut section = self.ldap.clone();
        let root_dn = root_dn.map_or_else(made, str::to_owned);
        section.insert("base_dn".to_owned(), root_dn);
        people(&section).map(|base_dn| LdapDomain {
            base_dn,
            user_filter: None,
            group_base_dn: groups(&section),
        })
    }
}

impl Kolab {
    /// Takes what Kolab's settings say into ours; `None` on a host without Kolab.
    pub(super) fn apply(config: &mut Config) -> Option<Found> {
        let file = config.kolab.file.clone();
        if file.as_os_str().is_empty() {
            return None;
        }
        let mut found = Found::default();
        match std::fs::read_to_string(&file) {
            Ok(text) => take(&Ini::parse(&text), config, &mut found),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => found
                .wrong
                .push(format!("cannot read {}: {error}", file.display())),
        }
        Some(found)
    }
}

fn take(ini: &Ini, config: &mut Config, found: &mut Found) {
    let are_domains_kolabs = config.domains.is_empty();
    if are_domains_kolabs {
        config.domains = domains(ini);
        match config.domains.is_empty() {
            true => found
                .wrong
                .push("[kolab] names no primary_domain".to_owned()),
            false => found
                .taken
                .push(format!("domains {}", config.domains.join(", "))),
        }
    }
    if config.ldap == Ldap::default() {
        match directory(ini) {
            Ok(ldap) => {
                found.taken.push(format!(
                    "directory {} at {}",
                    ldap.base_dn,
                    ldap.servers.join(", ")
                ));
                config.ldap = ldap;
                found.listing = Listing::of(ini).filter(|_| are_domains_kolabs);
            }
            Err(why) => found.wrong.push(why),
        }
    }
    if config.auth.backends == [Backend::Internal] && !config.ldap.servers.is_empty() {
        config.auth.backends = vec![Backend::Internal, Backend::Ldap];
        found.taken.push("backends internal, ldap".to_owned());
    }
}

/// The primary domain, and those with sections of their own.
fn domains(ini: &Ini) -> Vec<String> {
    let primary = value(&ini.over("kolab", &[]), "primary_domain");
    let others = ini.sections().filter(|name| name.contains('.'));
    let mut domains = Vec::new();
    for domain in primary.into_iter().chain(others.map(str::to_owned)) {
        let domain = domain.to_lowercase();
        if is_domain(&domain) && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
}

/// Whether people may have addresses at a domain of Kolab's.
pub(crate) fn is_domain(domain: &str) -> bool {
    super::check::is_domain(domain) && !NOT_DOMAINS.contains(&domain)
}

/// Kolab's directory, asked by its service account.
fn directory(ini: &Ini) -> Result<Ldap, String> {
    let ldap = ini.over("ldap", &[]);
    let need = |key: &str| value(&ldap, key).ok_or_else(|| format!("[ldap] has no {key}"));
    let servers = need("ldap_uri")?;
    let mut taken = Ldap {
        servers: words(&servers),
        bind_dn: need("service_bind_dn")?,
        password: Hidden::new(need("service_bind_pw")?),
        base_dn: people(&ldap).ok_or("[ldap] has no base_dn")?,
        ..Ldap::default()
    };
    if let Some(filter) = people_filter(&ldap) {
        taken.user_filter = filter;
    }
    taken.group_base_dn = groups(&ldap).unwrap_or_default();
    if let Some(filter) = group_filter(&ldap) {
        taken.group_filter = filter;
    }
    if let Some(names) = value(&ldap, "auth_attributes") {
        taken.login_attributes = words(&names);
    }
    if let Some(first) =
        value(&ldap, "mail_attributes").and_then(|it| words(&it).into_iter().next())
    {
        taken.mail_attribute = first;
    }
    for domain in ini.sections().filter(|name| name.contains('.')) {
        let own = ini.over(domain, &["ldap"]);
        let base_dn = people(&own).unwrap_or_default();
        if !base_dn.is_empty() && base_dn != taken.base_dn {
            let user_filter = people_filter(&own).filter(|it| *it != taken.user_filter);
            let tenant = LdapDomain {
                base_dn,
                user_filter,
                group_base_dn: groups(&own),
            };
            taken.domains.insert(domain.to_lowercase(), tenant);
        }
    }
    match taken.complaints().is_empty() {
        true => Ok(taken),
        false => Err(format!("[ldap]: {}", taken.complaints().join("; "))),
    }
}

/// Where people are: who uses Kolab, or else everybody.
fn people(section: &Section) -> Option<String> {
    ["kolab_user_base_dn", "user_base_dn", "base_dn"]
        .iter()
        .find_map(|key| value(section, key))
}

fn people_filter(section: &Section) -> Option<String> {
    first_filter(section, ["kolab_user_filter", "user_filter"])
}

/// Where groups are: nowhere, unless it is said.
fn groups(section: &Section) -> Option<String> {
    ["kolab_group_base_dn", "group_base_dn"]
        .iter()
        .find_map(|key| value(section, key))
}

fn group_filter(section: &Section) -> Option<String> {
    first_filter(section, ["kolab_group_filter", "group_filter"])
}

fn first_filter(section: &Section, keys: [&str; 2]) -> Option<String> {
    let found = keys.iter().find_map(|key| value(section, key))?;
    // Long ones go over several lines.
    Some(found.lines().collect())
}

fn words(text: &str) -> Vec<String> {
    text.split([',', ' ', '\n'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Kolab 3.4 writes it, shortened.
    const CONF: &str = "\
[kolab]
primary_domain = example.org
auth_mechanism = ldap
[ldap]
ldap_uri = ldap://localhost:389
timeout = 10
base_dn = dc=example,dc=org
bind_dn = cn=Directory Manager
bind_pw = manager-canary
service_bind_dn = uid=kolab-service,ou=Special Users,dc=example,dc=org
service_bind_pw = service-canary
user_base_dn = ou=People,%(base_dn)s
user_filter = (objectclass=inetorgperson)
kolab_user_base_dn = ou=People,%(base_dn)s
kolab_user_filter = (objectclass=kolabinetorgperson)
group_base_dn = ou=Groups,%(base_dn)s
group_filter = (|(objectclass=groupofuniquenames)(objectclass=groupofurls))
kolab_group_filter = (|(objectclass=kolabgroupofuniquenames)(objectclass=kolabgroupofurls))
mail_attributes = mail, alias
auth_attributes = mail, alias, uid
[example.org]
default_quota = 1048576
[example.net]
base_dn = dc=example,dc=net
[localhost.localdomain]
base_dn = dc=example,dc=org
[cyrus-imap]
uri = imaps://localhost:993
";

    fn load(conf: &str, toml: &str) -> (Config, Option<Found>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kolab.conf");
        std::fs::write(&file, conf).unwrap();
        let mut config: Config = toml::from_str(toml).unwrap();
        config.kolab.file = file;
        let found = Kolab::apply(&mut config);
        (config, found)
    }

    #[test]
    fn host_with_kolab_needs_no_settings() {
        let (config, found) = load(CONF, "");
        assert_eq!(config.domains, ["example.org", "example.net"]);
        assert_eq!(config.auth.backends, [Backend::Internal, Backend::Ldap]);
        let ldap = &config.ldap;
        assert_eq!(ldap.servers, ["ldap://localhost:389"]);
        assert_eq!(ldap.base_dn, "ou=People,dc=example,dc=org");
        assert_eq!(ldap.user_filter, "(objectclass=kolabinetorgperson)");
        assert_eq!(ldap.password.expose(), "service-canary");
        let tenant = &ldap.domains["example.net"];
        assert_eq!(tenant.base_dn, "ou=People,dc=example,dc=net");
        let groups = tenant.group_base_dn.as_deref();
        assert_eq!(groups, Some("ou=Groups,dc=example,dc=net"));
        assert_eq!(ldap.group_base_dn, "ou=Groups,dc=example,dc=org");
        assert!(ldap.group_filter.contains("kolabgroupofurls"));
        assert!(ldap.settings().is_ok());
        let found = found.unwrap();
        assert_eq!((found.taken.len(), found.wrong.len()), (3, 0), "{found:?}");
        assert!(!format!("{found:?}{config:?}").contains("canary"), "a18");
        assert_eq!(
            crate::config::check::refusals(&config),
            Vec::<String>::new()
        );
    }

    #[test]
    fn what_is_set_goes_over_kolabs_settings() {
        let toml = "domains = \"chat.example\"\n[auth]\nbackends = [\"internal\", \"saslauthd\"]\n\
                    [ldap]\nbase_dn = \"dc=mine\"\n";
        let (config, found) = load(CONF, toml);
        assert_eq!(config.domains, ["chat.example"]);
        assert_eq!(
            config.auth.backends,
            [Backend::Internal, Backend::Saslauthd]
        );
        assert_eq!(config.ldap.base_dn, "dc=mine");
        assert_eq!(found, Some(Found::default()));
    }

    #[test]
    fn host_without_kolab_is_as_before() {
        let mut config: Config =
            toml::from_str("[kolab]\nfile = \"/nowhere/kolab.conf\"\n").unwrap();
        assert_eq!(Kolab::apply(&mut config), None);
        config.kolab.file = PathBuf::new();
        assert_eq!(Kolab::apply(&mut config), None);
        assert_eq!(config.auth.backends, [Backend::Internal]);
    }

    #[test]
    fn domains_of_the_directory_have_their_people_where_kolab_has_them() {
        let conf = CONF.replace(
            "timeout = 10",
            "domain_base_dn = cn=kolab,cn=config\ndomain_filter = (&(associatedDomain=*))",
        );
        let (_, found) = load(&conf, "");
        let listing = found.unwrap().listing.unwrap();
        assert_eq!(listing.search().unwrap().base_dn, "cn=kolab,cn=config");
        let below = |domain, root| listing.people_of(domain, root).unwrap().base_dn;
        assert_eq!(
            below("shop.example.com", None),
            "ou=People,dc=shop,dc=example,dc=com"
        );
        assert_eq!(below("example.com", Some("o=hosted")), "ou=People,o=hosted");
        // Whoever names the domains is served those.
        let (_, found) = load(&conf, "domains = \"chat.example\"\n");
        assert_eq!(found.unwrap().listing, None);
    }

    #[test]
    fn broken_settings_are_told_by_name_and_change_nothing() {
        let lacking = CONF.replace("service_bind_pw", "other_pw");
        let (config, found) = load(&lacking, "");
        assert_eq!(config.auth.backends, [Backend::Internal]);
        assert_eq!(found.unwrap().wrong, ["[ldap] has no service_bind_pw"]);
        let bad = CONF.replace("ldap://localhost:389", "localhost");
        let (_, found) = load(&bad, "");
        assert!(found.unwrap().wrong[0].contains("ldap.servers"));
        let (config, found) = load("[kolab]\n", "");
        assert!(config.domains.is_empty());
        assert_eq!(found.unwrap().wrong.len(), 2);
    }
}
