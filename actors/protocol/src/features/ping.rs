//! XMPP Ping: XEP-0199 version 2.0.1,
//! <https://xmpp.org/extensions/xep-0199.html>

use super::{Feature, Scope, Service, Spec, get};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::stanza::{Iq, Stanza};

/// The namespace.
pub const NS: &str = "urn:xmpp:ping";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "ping",
    title: "XMPP Ping",
    spec: Spec::Xep {
        number: 199,
        version: "2.0.1",
    },
    disco: &[NS],
    disco_account: &[NS],
    services: &[(Service::Pubsub, &[NS]), (Service::Upload, &[NS])],
    iq: &[
        get(Scope::Server, NS, "ping", pong),
        get(Scope::Own, NS, "ping", pong),
        get(Scope::Service(Service::Pubsub), NS, "ping", pong),
        get(Scope::Service(Service::Upload), NS, "ping", pong),
    ],
    ..Feature::NONE
};

/// §4.2.
fn pong(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    vec![Effect::Reply(Stanza::Iq(iq.result(None)))]
}
