//! External Service Discovery: XEP-0215 version 1.0.0,
//! <https://xmpp.org/extensions/xep-0215.html>
//!
//! Tells clients where STUN and TURN are, so that calls find their way, with credentials for
//! some hours. Leaves out pushes (§3.2): what is configured changes with a restart.

use std::fmt;
use std::time::Duration;

use super::{Feature, Scope, Spec, get, refuse};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::jid::BareJid;
use crate::sasl::Hash;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::time::Timestamp;
use crate::xml::Element;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The namespace.
pub const NS: &str = "urn:xmpp:extdisco:2";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "external_services",
    title: "External Service Discovery",
    spec: Spec::Xep {
        number: 215,
        version: "1.0.0",
    },
    disco: &[NS],
    iq: &[
        get(Scope::Server, NS, "services", services),
        get(Scope::Server, NS, "credentials", credentials),
    ],
    ..Feature::NONE
};

/// What an operator has said of external services.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The services.
    pub services: Vec<ExternalService>,
    /// What TURN servers and this one alone know.
    pub secret: Option<Secret>,
    /// How long credentials are good.
    pub lifetime: Duration,
}

/// A secret shared with TURN servers.
#[derive(Clone)]
pub struct Secret(pub Box<[u8]>);

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(hidden)")
    }
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalService {
    /// `stun`, `stuns`, `turn` or `turns`.
    pub kind: &'static str,
    /// A name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// `udp` or `tcp`.
    pub transport: &'static str,
}

impl ExternalService {
    /// Reads `turn:host:port?transport=tcp` and its kin (RFC 7064, RFC 7065); `None` for what
    /// is none.
    pub fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        let kinds = ["stun", "stuns", "turn", "turns"];
        let kind = *kinds.iter().find(|kind| **kind == scheme)?;
        let is_secure = kind.ends_with('s');
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let transport = match query {
            "" if is_secure => "tcp",
            "" | "transport=udp" => "udp",
            "transport=tcp" => "tcp",
            _ => return None,
        };
        // RFC 7064 §3.2: the ports when none is named.
        let usual = if is_secure { 5349 } else { 3478 };
        let (host, port) = split_port(place, usual)?;
        Some(Self {
            kind,
            host,
            port,
            transport,
        })
    }

    /// Tells whether it wants to know who comes.
    fn is_restricted(&self) -> bool {
        self.kind.starts_with("turn")
    }

    fn element(&self) -> Element {
        Element::new("service", NS)
            .attr("host", self.host.as_str())
            .attr("port", self.port.to_string())
            .attr("transport", self.transport)
            .attr("type", self.kind)
    }
}

fn split_port(place: &str, usual: u16) -> Option<(String, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte);
    let is_host = !host.is_empty() && host.bytes().all(fits);
    let port = port.map_or(Some(usual), |port| port.parse().ok())?;
    is_host.then(|| (host.to_owned(), port))
}

/// §3.1, §3.2: all of them, or those of a type.
fn services(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let asked = iq.payload().and_then(|payload| payload.element());
    let kind = asked.as_ref().and_then(|asked| asked.get("type"));
    let wanted = |it: &&ExternalService| kind.is_none_or(|kind| kind == it.kind);
    answer(iq, facts, |all| {
        let found = all.iter().filter(wanted).map(|it| with_key(it, facts));
        let services = Element::new("services", NS).attr_opt("type", kind);
        Ok(services.children_from(found))
    })
}

/// §3.3: the key to services that are known already.
fn credentials(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let asked = iq.payload().and_then(|payload| payload.element());
    let asked = asked.as_ref().and_then(|asked| asked.find("service", NS));
    answer(iq, facts, |all| {
        let asked = asked.ok_or_else(StanzaError::bad_request)?;
        let (Some(host), Some(kind)) = (asked.get("host"), asked.get("type")) else {
            return Err(StanzaError::bad_request());
        };
        let port = asked.get("port");
        let is_it = |it: &&ExternalService| {
            let is_port = port.is_none_or(|port| port == it.port.to_string());
            it.host == host && it.kind == kind && is_port && it.is_restricted()
        };
        let mut found = all.iter().filter(is_it).peekable();
        if found.peek().is_none() || facts.host.external_services.secret.is_none() {
            return Err(StanzaError::item_not_found());
        }
        let found = found.map(|it| with_key(it, facts));
        Ok(Element::new("credentials", NS).children_from(found))
    })
}

/// Accounts of this server alone are let in: relays cost bandwidth.
fn answer(
    iq: &Iq,
    facts: &Facts<'_>,
    make: impl FnOnce(&[ExternalService]) -> Result<Element, StanzaError>,
) -> Vec<Effect> {
    let from = iq.head.from.as_ref();
    let is_ours = from.is_some_and(|it| it.localpart().is_some() && facts.host.serves(it.domain()));
    if !is_ours {
        return refuse(iq, StanzaError::forbidden());
    }
    match make(&facts.host.external_services.services) {
        Ok(payload) => vec![Effect::Reply(Stanza::Iq(iq.result(Some(payload))))],
        Err(error) => refuse(iq, error),
    }
}

/// A service with credentials that end by themselves: the name says when, and the password
/// proves that we wrote it. TURN servers know this way as their REST interface.
fn with_key(service: &ExternalService, facts: &Facts<'_>) -> Element {
    let settings = &facts.host.external_services;
    let element = service.element();
    if !service.is_restricted() {
        return element;
    }
    let Some(secret) = &settings.secret else {
        return element.attr("restricted", "true");
    };
    let seconds = facts.now.plus(settings.lifetime).micros() / 1_000_000;
    let username = format!("{seconds}:{}", alias(secret, facts.account));
    let password = STANDARD.encode(Hash::Sha1.hmac(&secret.0, username.as_bytes()));
    element
        .attr("restricted", "true")
        .attr("expires", Timestamp::from_seconds(seconds).to_xep0082())
        .attr("username", username)
        .attr("password", password)
}

/// What relays know an account by: their logs need not know who calls.
pub fn alias(secret: &Secret, account: &BareJid) -> String {
    let mac = Hash::Sha256.hmac(&secret.0, account.as_str().as_bytes());
    mac.iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Given, facts};

    fn given() -> Given {
        let mut given = facts();
        let uris = [
            "stun:stun.example.org",
            "turn:relay.example.org:9999?transport=udp",
        ];
        given.host.external_services = Settings {
            services: uris.map(|it| ExternalService::parse(it).unwrap()).to_vec(),
            secret: Some(Secret((*b"secret").into())),
            lifetime: Duration::from_secs(3600),
        };
        given
    }

    fn said(given: &Given, request: &str) -> String {
        let iq = format!("<iq type='get' id='1' to='example.org'>{request}</iq>");
        match &given.sends(&iq)[..] {
            [Effect::Reply(reply)] => String::from_utf8(reply.to_bytes().to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn section_3_1_services_are_listed_with_credentials_that_end() {
        let text = said(&given(), "<services xmlns='urn:xmpp:extdisco:2'/>");
        let stun = "<service host='stun.example.org' port='3478' transport='udp' type='stun'/>";
        assert!(text.contains(stun), "{text}");
        let turn = "<service host='relay.example.org' port='9999' transport='udp' type='turn' \
                    restricted='true' expires='1970-01-01T01:00:01Z' username='3601:";
        assert!(text.contains(turn), "{text}");
        let (_, services) = text.split_once("<services").unwrap();
        assert!(!services.contains("romeo"), "nobody is named: {text}");
    }

    #[test]
    fn the_password_is_the_names_mac_as_turn_servers_compute_it() {
        let text = said(
            &given(),
            "<services xmlns='urn:xmpp:extdisco:2' type='turn'/>",
        );
        let value = |name: &str| {
            let rest = text.split(&format!("{name}='")).nth(1).unwrap();
            rest.split('\'').next().unwrap().to_owned()
        };
        let mac = Hash::Sha1.hmac(b"secret", value("username").as_bytes());
        assert_eq!(value("password"), STANDARD.encode(mac));
    }

    #[test]
    fn section_3_2_a_type_is_asked_for() {
        let text = said(
            &given(),
            "<services xmlns='urn:xmpp:extdisco:2' type='stun'/>",
        );
        assert!(text.contains("<services xmlns='urn:xmpp:extdisco:2' type='stun'>"));
        assert!(text.contains("stun.example.org") && !text.contains("relay.example.org"));
    }

    #[test]
    fn section_3_3_credentials_are_for_services_we_know() {
        let ask = |service: &str| {
            let request =
                format!("<credentials xmlns='urn:xmpp:extdisco:2'>{service}</credentials>");
            said(&given(), &request)
        };
        let known = ask("<service host='relay.example.org' type='turn'/>");
        assert!(known.contains("password='"), "{known}");
        for unknown in [
            "<service host='relay.example.net' type='turn'/>",
            "<service host='relay.example.org' type='turn' port='1'/>",
            "<service host='stun.example.org' type='stun'/>",
        ] {
            assert!(ask(unknown).contains("<item-not-found"), "{unknown}");
        }
        assert!(ask("").contains("<bad-request"));
        assert!(ask("<service host='relay.example.org'/>").contains("<bad-request"));
    }

    #[test]
    fn without_a_secret_a_relay_is_named_and_nothing_else() {
        let mut given = given();
        given.host.external_services.secret = None;
        let text = said(
            &given,
            "<services xmlns='urn:xmpp:extdisco:2' type='turn'/>",
        );
        assert!(text.contains("restricted='true'/>"), "{text}");
    }

    #[test]
    fn addresses_are_read_as_their_specifications_write_them() {
        let read = |uri| ExternalService::parse(uri).map(|it| (it.host, it.port, it.transport));
        let of = |host: &str, port, transport| Some((host.to_owned(), port, transport));
        assert_eq!(read("turns:a.example"), of("a.example", 5349, "tcp"));
        assert_eq!(read("turn:a:1?transport=tcp"), of("a", 1, "tcp"));
        assert_eq!(read("stun:[2001:db8::1]:2"), of("2001:db8::1", 2, "udp"));
        assert_eq!(read("stun:[2001:db8::1]"), of("2001:db8::1", 3478, "udp"));
        for bad in [
            "",
            "http:a",
            "stun:",
            "stun:a:b",
            "stun:a?x=y",
            "stun:a'b",
            "stun:a:70000",
        ] {
            assert_eq!(ExternalService::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn r14_strangers_get_no_credentials() {
        let given = given();
        let stanza = "<iq type='get' id='1' from='a@example.net/x' to='example.org'>\
                      <services xmlns='urn:xmpp:extdisco:2'/></iq>";
        let stanza = crate::testkit::parse(stanza);
        let Stanza::Iq(iq) = &stanza else { panic!() };
        let refused = services(iq, &given.account_facts());
        assert_eq!(crate::testkit::refusal(&refused), "forbidden");
    }
}
