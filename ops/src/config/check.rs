//! What is wrong with settings that can be read, and what to know about them.

use super::{Config, Listen, cluster};
use klatsch_actors::session::RESUME_SECONDS_MAX;
use klatsch_gateways::http::web::{is_accent, is_origin};
use klatsch_protocol::features::Service;
use klatsch_protocol::features::web_push::is_host_rule;
use klatsch_protocol::jid::BareJid;

/// A name that still fits a window's title.
const NAME_CHARACTERS_MAX: usize = 64;

/// Something to say about a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The server does not start with this.
    Refused(String),
    /// The server starts, but this should be known.
    Noted(String),
}

impl Finding {
    /// Tells whether the server starts all the same.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Everything there is to say about settings, refusals first.
pub fn check(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    refuse_plain_logins(config, &mut found);
    refuse_long_absence(config, &mut found);
    refuse_half_certificate(config, &mut found);
    refuse_later_parts(config, &mut found);
    found.extend(config.login_complaints().into_iter().map(Finding::Refused));
    found.extend(
        cluster::complaints(config)
            .into_iter()
            .map(Finding::Refused),
    );
    found.extend(config.turn.complaints().into_iter().map(Finding::Refused));
    found.extend(config.documents.complaint().map(Finding::Refused));
    refuse_bad_domains(config, &mut found);
    refuse_bad_components(config, &mut found);
    refuse_bad_looks(config, &mut found);
    refuse_bad_push_services(config, &mut found);
    note_unserved_listeners(config, &mut found);
    note_public_plain_listeners(config, &mut found);
    found
}

/// The refusals, a line each.
pub fn refusals(config: &Config) -> Vec<String> {
    let only_refused = |finding| match finding {
        Finding::Refused(text) => Some(text),
        Finding::Noted(_) => None,
    };
    check(config).into_iter().filter_map(only_refused).collect()
}

// RFC 6120 §13.9.4: passwords in the clear only where nobody listens in: on this machine.
fn refuse_plain_logins(config: &Config, found: &mut Vec<Finding>) {
    if !config.c2s.require_tls && !config.listen.c2s.is_private() {
        found.push(Finding::Refused(format!(
            "c2s.require_tls = false needs a loopback address in listen.c2s, not {}",
            config.listen.c2s
        )));
    }
}

fn refuse_long_absence(config: &Config, found: &mut Vec<Finding>) {
    if config.c2s.resume_seconds > RESUME_SECONDS_MAX {
        found.push(Finding::Refused(format!(
            "c2s.resume_seconds is {RESUME_SECONDS_MAX} at most: whoever is away for longer logs in"
        )));
    }
}

fn refuse_half_certificate(config: &Config, found: &mut Vec<Finding>) {
    if config.tls.certificate.is_some() != config.tls.key.is_some() {
        found.push(Finding::Refused(
            "tls.certificate and tls.key go together".to_owned(),
        ));
    }
}

fn refuse_later_parts(config: &Config, found: &mut Vec<Finding>) {
    let url = config.store.url.as_str();
    let known = ["sqlite:", "memory:", "postgres://", "postgresql://"];
    let is_known = known.iter().any(|scheme| url.starts_with(scheme));
    if !is_known {
        found.push(Finding::Refused(
            "store.url: this version has sqlite:, postgres:// and memory:".to_owned(),
        ));
    }
}

fn refuse_bad_domains(config: &Config, found: &mut Vec<Finding>) {
    let domains = config.domains();
    let bad = domains.iter().filter(|domain| !is_domain(domain));
    found.extend(
        bad.map(|domain| Finding::Refused(format!("domains: \"{domain}\" is not a domain"))),
    );
    let mut seen = std::collections::BTreeSet::new();
    let twice = domains
        .iter()
        .filter(|domain| !seen.insert(domain.as_str()));
    found.extend(
        twice.map(|domain| Finding::Refused(format!("domains: {domain} stands there twice"))),
    );
}

/// A domain as it may stand in a JID and in a certificate.
pub(super) fn is_domain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 253 && !text.contains(['/', '@', ' ', ':', '"', '*'])
}

/// A component serves a host that nobody else does, and proves it with something.
fn refuse_bad_components(config: &Config, found: &mut Vec<Finding>) {
    let domains = config.domains();
    let is_service = |host: &str| {
        let service = host.split_once('.').is_some_and(|(label, domain)| {
            let is_ours = |it: &&Service| **it != Service::Push || config.web_push.enabled;
            let mut ours = Service::ALL.iter().filter(is_ours);
            let is_label = ours.any(|it| it.label() == label);
            is_label && domains.iter().any(|it| it == domain)
        });
        service || domains.iter().any(|it| it == host)
    };
    let mut seen = std::collections::BTreeSet::new();
    for (host, secret) in &config.components.secrets {
        let lower = host.to_lowercase();
        let wrong = if !is_domain(host) || BareJid::parse(host).is_err() {
            "is no host"
        } else if is_service(&lower) {
            "is served here already"
        } else if !seen.insert(lower) {
            "stands there twice"
        } else if secret.is_empty() {
            "needs a secret"
        } else {
            continue;
        };
        let text = format!("components.secrets: \"{host}\" {wrong}");
        found.push(Finding::Refused(text));
    }
}

/// What goes into style sheets, and into the policy that says who may show our pages (row H12).
fn refuse_bad_looks(config: &Config, found: &mut Vec<Finding>) {
    let web = &config.web;
    let bad = web.embed_origins.iter().filter(|origin| !is_origin(origin));
    found.extend(bad.map(|origin| {
        Finding::Refused(format!(
            "web.embed_origins: \"{origin}\" is no origin, as in https://mail.example.org"
        ))
    }));
    if let Some(accent) = web.accent.as_deref().filter(|accent| !is_accent(accent)) {
        found.push(Finding::Refused(format!(
            "web.accent: \"{accent}\" is no colour, as in #8a3b12"
        )));
    }
    if web.name.is_empty() || web.name.chars().count() > NAME_CHARACTERS_MAX {
        found.push(Finding::Refused(format!(
            "web.name has 1 to {NAME_CHARACTERS_MAX} characters"
        )));
    }
}

/// A rule that means something else than its writer thinks would let the server be sent anywhere
/// (row H07).
fn refuse_bad_push_services(config: &Config, found: &mut Vec<Finding>) {
    let hosts = config.web_push.hosts.iter();
    let bad = hosts.filter(|rule| !is_host_rule(rule));
    found.extend(bad.map(|rule| {
        Finding::Refused(format!(
            "web_push.hosts: \"{rule}\" is no host, as in push.example.org or *.example.org:8443"
        ))
    }));
}

fn note_unserved_listeners(config: &Config, found: &mut Vec<Finding>) {
    let listen = &config.listen;
    for (key, value) in [("s2s", listen.s2s), ("s2s_tls", listen.s2s_tls)] {
        if value != Listen::Off {
            let text = format!(
                "listen.{key} = {value}: this version does not serve it, nothing listens there"
            );
            found.push(Finding::Noted(text));
        }
    }
}

fn note_public_plain_listeners(config: &Config, found: &mut Vec<Finding>) {
    let listen = &config.listen;
    if !listen.metrics.is_private() {
        let text = format!(
            "listen.metrics = {}: anybody who reaches it reads the metrics",
            listen.metrics
        );
        found.push(Finding::Noted(text));
    }
    if !listen.component.is_private() {
        let text = format!(
            "listen.component = {}: without TLS, and not only for this machine",
            listen.component
        );
        found.push(Finding::Noted(text));
    }
    if !listen.http.is_private() {
        let text = format!(
            "listen.http = {}: without TLS, and not only for this machine",
            listen.http
        );
        found.push(Finding::Noted(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(toml: &str) -> Vec<String> {
        refusals(&toml::from_str(toml).unwrap())
    }

    #[test]
    fn defaults_are_fine() {
        assert_eq!(refusals(&Config::default()), Vec::<String>::new());
    }

    #[test]
    fn login_without_tls_needs_loopback() {
        assert_eq!(refused("[c2s]\nrequire_tls = false\n").len(), 1);
        let private = "[c2s]\nrequire_tls = false\n[listen]\nc2s = \"127.0.0.1:5222\"\n";
        assert!(refused(private).is_empty());
    }

    #[test]
    fn certificate_and_key_go_together() {
        assert_eq!(refused("[tls]\ncertificate = \"a.pem\"\n").len(), 1);
        assert!(refused("[tls]\ncertificate = \"a.pem\"\nkey = \"b.pem\"\n").is_empty());
    }

    #[test]
    fn what_this_version_lacks_is_refused_by_name() {
        assert!(refused("[store]\nurl = \"mysql://db/klatsch\"\n")[0].starts_with("store.url"));
        assert!(refused("[auth]\nbackends = []\n")[0].starts_with("auth.backends"));
    }

    #[test]
    fn listener_without_a_feature_is_noted() {
        let config: Config = toml::from_str("[listen]\ns2s = \"[::]:5269\"\n").unwrap();
        let found = check(&config);
        assert!(matches!(&found[..], [Finding::Noted(text)] if text.contains("listen.s2s")));
    }

    #[test]
    fn component_serves_a_host_of_its_own_and_has_a_secret() {
        let with = |host: &str, secret: &str| {
            refused(&format!(
                "domains = [\"a.example\"]\n[components]\nsecrets = {{ \"{host}\" = \"{secret}\" }}"
            ))
        };
        assert!(with("bot.a.example", "x").is_empty());
        assert!(with("conference.b.example", "x").is_empty());
        for bad in [
            "a.example",
            "conference.A.example",
            "b@a.example",
            "",
            "x y",
        ] {
            assert_eq!(with(bad, "x").len(), 1, "{bad}");
        }
        assert_eq!(with("bot.a.example", "").len(), 1);
    }

    #[test]
    fn h12_only_origins_may_show_our_pages() {
        let with = |origin: &str| refused(&format!("[web]\nembed_origins = \"{origin}\"\n"));
        assert!(with("https://mail.example.org").is_empty());
        for bad in [
            "*",
            "https:",
            "https://a.example/mail",
            "https://a; script-src *",
        ] {
            assert_eq!(with(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn h07_push_services_are_hosts() {
        let with = |host: &str| refused(&format!("[web_push]\nhosts = \"{host}\"\n"));
        assert!(with("push.example.org").is_empty() && with("*.example.org:8443").is_empty());
        for bad in [
            "*",
            "https://push.example.org",
            "10.0.0.0/8",
            "*.*.example.org",
        ] {
            assert_eq!(with(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn component_may_have_the_push_host_where_nothing_of_ours_does() {
        let component = "domains = [\"a.example\"]\n[components]\nsecrets = \
                         { \"push.a.example\" = \"x\" }\n";
        assert_eq!(refused(component).len(), 1);
        let off = format!("{component}[web_push]\nenabled = false\n");
        assert!(refused(&off).is_empty());
    }

    #[test]
    fn looks_are_a_name_and_a_colour() {
        assert!(refused("[web]\naccent = \"#8a3b12\"\nname = \"Tratsch\"\n").is_empty());
        assert_eq!(refused("[web]\naccent = \"red\"\n").len(), 1);
        assert_eq!(refused("[web]\nname = \"\"\n").len(), 1);
    }

    #[test]
    fn bad_or_double_domain_is_refused() {
        for bad in ["a b", "a@b", "a/b", "a:1", "*.a", ""] {
            assert_eq!(refused(&format!("domains = [\"{bad}\"]")).len(), 1, "{bad}");
        }
        assert_eq!(refused("domains = [\"a.example\", \"A.example\"]").len(), 1);
    }
}
