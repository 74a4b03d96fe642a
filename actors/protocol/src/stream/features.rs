//! Stream features (RFC 6120 §4.3.2): what is offered, and how that is announced.
//!
//! Features of others: XEP-0440 1.0.0 (channel-binding types), XEP-0478 0.2.0 (limits),
//! XEP-0198 1.6.3, XEP-0352 1.0.0, RFC 6121 §2.6 (roster versions) and §3.4 (pre-approval).

use super::{StreamSettings, TlsState, Transport, closing, register, sasl2, sm, starttls};
use crate::features::csi;
use crate::ns;
use crate::sasl::{BindingType, ChannelBindings, HtMechanism, Mechanism};
use crate::xml::Element;

const NS_CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";
const NS_LIMITS: &str = "urn:xmpp:stream-limits:0";
const NS_ROSTER_VERSIONS: &str = "urn:xmpp:features:rosterver";
const NS_PRE_APPROVAL: &str = "urn:xmpp:features:pre-approval";

/// What a stream offers before login.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Whether STARTTLS may be asked for.
    pub(super) starttls: bool,
    /// The mechanisms, in the order they are announced.
    pub(super) mechanisms: Vec<Mechanism>,
    /// The channel-binding types, if a mechanism uses them.
    pub(super) bindings: Vec<BindingType>,
    /// The mechanisms of tokens. They are there where SASL2 is: under TLS (XEP-0388 §3).
    pub(super) tokens: Vec<HtMechanism>,
}

impl Offer {
    /// Whether a mechanism with channel binding is among them.
    pub(super) fn has_plus(&self) -> bool {
        self.mechanisms.iter().any(|mechanism| mechanism.is_plus())
    }

    /// Whether SASL2 may be used.
    pub(super) fn has_sasl2(&self) -> bool {
        !self.tokens.is_empty()
    }
}

/// Decides what is offered.
pub(super) fn offer(
    settings: &StreamSettings,
    is_secure: bool,
    bindings: &ChannelBindings,
) -> Offer {
    let is_blocked = starttls::is_missing(settings.require_tls, is_secure);
    let is_possible = |mechanism: &Mechanism| match mechanism {
        // RFC 4616 §4, row A05: a password is not sent in the clear.
        Mechanism::Plain => is_secure,
        // RFC 7628 §5: nor is a token. Where TLS may be missing, nothing crosses a network.
        Mechanism::OauthBearer => is_secure || !settings.require_tls,
        Mechanism::Scram(_) => true,
        Mechanism::ScramPlus(_) => !bindings.is_empty(),
    };
    let mechanisms: Vec<_> = match is_blocked {
        true => Vec::new(),
        false => settings
            .mechanisms
            .iter()
            .copied()
            .filter(is_possible)
            .collect(),
    };
    let has_sasl2 = is_secure && !mechanisms.is_empty();
    let is_token = |it: &HtMechanism| has_sasl2 && it.is_possible(bindings);
    let has_plus = mechanisms.iter().any(|mechanism| mechanism.is_plus());
    Offer {
        // RFC 7395 §3.9: not over WebSocket.
        starttls: settings.tls == TlsState::Offered
            && !is_secure
            && settings.transport == Transport::Tcp,
        bindings: if has_plus {
            bindings.types().collect()
        } else {
            Vec::new()
        },
        tokens: HtMechanism::ALL.into_iter().filter(is_token).collect(),
        mechanisms,
    }
}

/// The features before login.
pub(super) fn before_login(settings: &StreamSettings, offer: &Offer) -> Vec<Element> {
    let mut features = Vec::new();
    if offer.starttls {
        features.push(starttls::feature(settings.require_tls));
    }
    if !offer.bindings.is_empty() {
        features.push(channel_binding(&offer.bindings));
    }
    if !offer.mechanisms.is_empty() {
        features.push(mechanisms(&offer.mechanisms));
    }
    if offer.has_sasl2() {
        features.push(sasl2::feature(offer));
    }
    if !offer.mechanisms.is_empty() {
        features.extend(register::features(settings.registration));
    }
    features.extend(limits(settings.limits.bytes_before_login, 0));
    features
}

/// The features after login.
pub(super) fn after_login(settings: &StreamSettings) -> Vec<Element> {
    // RFC 3921 §3 made <session/> a step; RFC 6120 dropped it, and clients of that time skip
    // it when it is optional.
    let session = Element::new("session", ns::SESSION).child(Element::new("optional", ns::SESSION));
    let mut features = vec![Element::new("bind", ns::BIND), session];
    features.extend(after_binding(settings, false));
    features
}

/// The features of a session that came with its login (XEP-0388 §2.6.1): nothing is bound
/// any more. COMPAT: @xmpp/client 0.14 resumes at once what it has just enabled when stream
/// management is offered again.
pub(super) fn after_binding(settings: &StreamSettings, has_sm: bool) -> Vec<Element> {
    let offered = (!has_sm).then(|| Element::new("sm", sm::NS));
    let mut features: Vec<Element> = offered.into_iter().collect();
    features.extend([
        Element::new("csi", csi::NS),
        Element::new("ver", NS_ROSTER_VERSIONS),
        Element::new("sub", NS_PRE_APPROVAL),
    ]);
    features.extend(limits(
        settings.limits.bytes_after_login,
        settings.limits.idle_seconds,
    ));
    features.extend_from_slice(&settings.extra_features);
    features
}

fn channel_binding(types: &[BindingType]) -> Element {
    types.iter().fold(
        Element::new("sasl-channel-binding", NS_CHANNEL_BINDING),
        |feature, kind| {
            feature.child(
                Element::new("channel-binding", NS_CHANNEL_BINDING).attr("type", kind.name()),
            )
        },
    )
}

fn mechanisms(names: &[Mechanism]) -> Element {
    names.iter().fold(
        Element::new("mechanisms", ns::SASL),
        |feature, mechanism| {
            feature.child(Element::new("mechanism", ns::SASL).text(mechanism.name()))
        },
    )
}

/// XEP-0478 §3.1; a limit of zero is none.
fn limits(max_bytes: usize, idle_seconds: u32) -> Option<Element> {
    let number = |name: &'static str, value: String| Element::new(name, NS_LIMITS).text(value);
    let mut element = Element::new("limits", NS_LIMITS);
    if max_bytes > 0 {
        element = element.child(number("max-bytes", max_bytes.to_string()));
    }
    if idle_seconds > 0 {
        element = element.child(number("idle-seconds", idle_seconds.to_string()));
    }
    (max_bytes > 0 || idle_seconds > 0).then_some(element)
}

/// `<stream:features/>` on the wire; a WebSocket frame declares the prefix itself
/// (RFC 7395 §3.3.3), and so does what stands in a BOSH answer.
pub(super) fn render(transport: Transport, features: &[Element]) -> Vec<u8> {
    let mut out = match transport {
        Transport::Tcp => b"<stream:features>".to_vec(),
        Transport::WebSocket | Transport::Bosh => {
            format!("<stream:features xmlns:stream='{}'>", ns::STREAMS).into_bytes()
        }
    };
    for feature in features {
        out.extend_from_slice(&closing::render_element(transport, feature));
    }
    out.extend_from_slice(b"</stream:features>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Hash;

    fn settings() -> StreamSettings {
        StreamSettings {
            mechanisms: vec![
                Mechanism::ScramPlus(Hash::Sha256),
                Mechanism::Scram(Hash::Sha256),
                Mechanism::Plain,
            ],
            ..StreamSettings::new(Vec::new(), [0; 32])
        }
    }

    fn names(offer: &Offer) -> Vec<&'static str> {
        offer
            .mechanisms
            .iter()
            .map(|mechanism| mechanism.name())
            .collect()
    }

    #[test]
    fn a05_plain_is_never_offered_without_tls() {
        let bound = ChannelBindings {
            exporter: Some([1; 32]),
            server_end_point: None,
        };
        let none = ChannelBindings::default();
        let mut settings = settings();
        assert_eq!(names(&offer(&settings, false, &none)), [""; 0]);
        settings.require_tls = false;
        assert_eq!(names(&offer(&settings, false, &none)), ["SCRAM-SHA-256"]);
        assert_eq!(
            names(&offer(&settings, true, &none)),
            ["SCRAM-SHA-256", "PLAIN"]
        );
        let all = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"];
        assert_eq!(names(&offer(&settings, true, &bound)), all);
    }

    #[test]
    fn bearer_tokens_are_taken_where_nobody_listens() {
        let none = ChannelBindings::default();
        let mut settings = settings();
        settings.mechanisms = vec![Mechanism::OauthBearer];
        assert_eq!(names(&offer(&settings, false, &none)), [""; 0]);
        assert_eq!(names(&offer(&settings, true, &none)), ["OAUTHBEARER"]);
        settings.require_tls = false;
        assert_eq!(names(&offer(&settings, false, &none)), ["OAUTHBEARER"]);
    }

    #[test]
    fn channel_binding_types_are_announced_with_plus_mechanisms_only() {
        let bound = ChannelBindings {
            exporter: Some([1; 32]),
            server_end_point: None,
        };
        let mut settings = settings();
        assert_eq!(
            offer(&settings, true, &bound).bindings,
            [BindingType::TlsExporter]
        );
        settings.mechanisms.retain(|mechanism| !mechanism.is_plus());
        assert_eq!(offer(&settings, true, &bound).bindings, []);
    }

    #[test]
    fn starttls_is_offered_over_plain_tcp_only() {
        let none = ChannelBindings::default();
        let mut settings = settings();
        assert!(offer(&settings, false, &none).starttls);
        assert!(!offer(&settings, true, &none).starttls);
        settings.transport = Transport::WebSocket;
        assert!(!offer(&settings, false, &none).starttls);
    }
}
