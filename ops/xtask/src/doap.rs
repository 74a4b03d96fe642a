//! `doap.xml`: the project and what it speaks, for directories of software (XEP-0453 1.2.0).
//!
//! Made from the features themselves, like the README's table. Releases are left out until
//! there is one.

use std::collections::BTreeSet;

use klatsch_protocol::features::streams::STREAMS;
use klatsch_protocol::features::{ALL, Feature, Spec, Status};

/// Its place.
pub(crate) const DOAP: &str = "ops/doap.xml";

const HEAD: &str = r#"<?xml version='1.0' encoding='UTF-8'?>
<!-- Written by `cargo xtask doap` from the features; do not edit. -->
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'
         xmlns='http://usefulinc.com/ns/doap#'
         xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>
  <Project>
    <name>klatsch</name>
    <shortdesc xml:lang='en'>Real-time chat server of the Kolab groupware suite</shortdesc>
    <description xml:lang='en'>An XMPP server in which every session, room and presence shard is a supervised actor, and an acknowledged message is never lost</description>
    <programming-language>Rust</programming-language>
    <os>Linux</os>
    <license rdf:resource='https://www.gnu.org/licenses/agpl-3.0.html'/>
    <category rdf:resource='https://linkmauve.fr/ns/xmpp-doap#category-server'/>

"#;

const TAIL: &str = "  </Project>\n</rdf:RDF>\n";

/// The document as the features are now.
pub(crate) fn document() -> String {
    let features = || STREAMS.iter().chain(ALL.iter().copied());
    let rfcs: BTreeSet<u16> = features().filter_map(rfc).collect();
    let rfcs: String = rfcs.into_iter().map(implemented_rfc).collect();
    let mut xeps: Vec<(u16, String)> = features().filter_map(supported_xep).collect();
    xeps.sort();
    let xeps: String = xeps.into_iter().map(|(_, text)| text).collect();
    format!("{HEAD}{rfcs}\n{xeps}{TAIL}")
}

fn rfc(feature: &Feature) -> Option<u16> {
    match feature.spec {
        Spec::Rfc { number, .. } => Some(number),
        Spec::Xep { .. } => None,
    }
}

fn implemented_rfc(number: u16) -> String {
    format!("    <implements rdf:resource='https://xmpp.org/rfcs/rfc{number}.html'/>\n")
}

/// §3.2: the URL, how much of it is there, and in which version.
fn supported_xep(feature: &Feature) -> Option<(u16, String)> {
    let Spec::Xep { number, version } = feature.spec else {
        return None;
    };
    let (status, note) = match feature.status {
        Status::Complete => ("complete", String::new()),
        Status::Partial(missing) => ("partial", note(missing)),
    };
    let text = format!(
        "    <implements>
      <xmpp:SupportedXep>
        <xmpp:xep rdf:resource='https://xmpp.org/extensions/xep-{number:04}.html'/>
        <xmpp:status>{status}</xmpp:status>
        <xmpp:version>{version}</xmpp:version>
{note}      </xmpp:SupportedXep>
    </implements>\n"
    );
    Some((number, text))
}

fn note(missing: &str) -> String {
    let missing = missing.replace('&', "&amp;").replace('<', "&lt;");
    format!("        <xmpp:note xml:lang='en'>{missing}</xmpp:note>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_what_the_features_say() {
        let written = std::fs::read_to_string(crate::root().join(DOAP)).unwrap();
        assert!(written == document(), "cargo xtask doap writes it anew");
    }

    #[test]
    fn every_specification_stands_there_with_its_version() {
        let document = document();
        for feature in ALL {
            let line = match feature.spec {
                Spec::Rfc { number, .. } => format!("rfc{number}.html"),
                Spec::Xep { number, version } => format!(
                    "xep-{number:04}.html'/>\n        <xmpp:status>{}</xmpp:status>\n        <xmpp:version>{version}<",
                    match feature.status {
                        Status::Complete => "complete",
                        Status::Partial(_) => "partial",
                    }
                ),
            };
            assert!(document.contains(&line), "{}", feature.name);
        }
    }
}
