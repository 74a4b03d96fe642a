//! Entity Time: XEP-0202 version 2.0,
//! <https://xmpp.org/extensions/xep-0202.html>
//!
//! The server's time zone is UTC: its people may be anywhere.

use super::{Feature, Scope, Spec, get};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::stanza::{Iq, Stanza};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:time";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "time",
    title: "Entity Time",
    spec: Spec::Xep {
        number: 202,
        version: "2.0",
    },
    disco: &[NS],
    iq: &[get(Scope::Server, NS, "time", time)],
    ..Feature::NONE
};

fn time(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let answer = Element::new("time", NS)
        .child(Element::new("tzo", NS).text("+00:00"))
        .child(Element::new("utc", NS).text(facts.now.to_xep0082()));
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(answer))))]
}
