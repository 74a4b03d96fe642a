//! Software Version: XEP-0092 version 1.1,
//! <https://xmpp.org/extensions/xep-0092.html>
//!
//! The operating system is not told (§5): it helps nobody but an attacker.

use super::{Feature, Scope, Spec, get};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::stanza::{Iq, Stanza};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "jabber:iq:version";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "version",
    title: "Software Version",
    spec: Spec::Xep {
        number: 92,
        version: "1.1",
    },
    disco: &[NS],
    iq: &[get(Scope::Server, NS, "query", version)],
    ..Feature::NONE
};

fn version(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let answer = Element::new("query", NS)
        .child(Element::new("name", NS).text("klatsch"))
        .child(Element::new("version", NS).text(facts.host.version));
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(answer))))]
}
