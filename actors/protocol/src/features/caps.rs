//! Entity Capabilities: XEP-0115 version 1.6.0,
//! <https://xmpp.org/extensions/xep-0115.html>
//!
//! The server's own capabilities, in its stream features (§6.3), so that a client that knows
//! them need not ask. Clients' capabilities travel in their presence, untouched.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::{Feature, Spec, disco};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "http://jabber.org/protocol/caps";

/// What identifies the software (§4).
const NODE: &str = "https://kolab.org/klatsch";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "caps",
    title: "Entity Capabilities",
    spec: Spec::Xep {
        number: 115,
        version: "1.6.0",
    },
    disco: &[NS],
    ..Feature::NONE
};

/// `<c/>` for the stream features.
pub fn stream_feature() -> Element {
    Element::new("c", NS)
        .attr("hash", "sha-1")
        .attr("node", NODE)
        .attr("ver", server_hash())
}

/// The node by which the server's capabilities are asked for (§6.2).
pub fn server_node() -> String {
    format!("{NODE}#{}", server_hash())
}

fn server_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash(&disco::server_description()))
}

/// §5.1: identities, then features, sorted; forms are not announced by the server.
fn hash(description: &Element) -> String {
    let get = |element: &Element, name: &str| element.get(name).unwrap_or_default().to_owned();
    let mut identities: Vec<String> = Vec::new();
    let mut features: Vec<String> = Vec::new();
    for child in description.children() {
        if child.is("identity", disco::NS_INFO) {
            let (category, kind) = (get(child, "category"), get(child, "type"));
            identities.push(format!(
                "{category}/{kind}/{}/{}<",
                get(child, "xml:lang"),
                get(child, "name")
            ));
        } else {
            features.push(format!("{}<", get(child, "var")));
        }
    }
    identities.sort();
    features.sort();
    let text: String = identities.into_iter().chain(features).collect();
    STANDARD.encode(Sha1::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_section_five_two_has_its_hash() {
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'>\
            <identity category='client' name='Exodus 0.9.1' type='pc'/>\
            <feature var='http://jabber.org/protocol/caps'/>\
            <feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/>\
            <feature var='http://jabber.org/protocol/muc'/></query>";
        let query = Element::parse(query.as_bytes()).unwrap();
        assert_eq!(hash(&query), "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }
}
