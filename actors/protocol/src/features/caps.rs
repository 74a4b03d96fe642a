//! Entity Capabilities: XEP-0115 version 1.6.0,
//! <https://xmpp.org/extensions/xep-0115.html>
//!
//! The server's own capabilities, in its stream features (§6.3), so that a client that knows
//! them need not ask. And what clients can do: a presence with a hash that is not known makes
//! the server ask the client (§6.2). An answer counts when it has the hash of that presence
//! (§5.4), so nobody can say what somebody else's software does (row R11).
//!
//! Left out: the form before version 1.4, whose hash proves nothing.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use super::pubsub::pep;
use super::{Feature, Spec, data_forms, disco};
use crate::effect::{Effect, Flag};
use crate::facts::{Facts, Host, Resource, SessionFacts};
use crate::stanza::{Head, Iq, IqKind, Presence, Stanza};
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

/// What a client says it can do: the hash and how it was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The algorithm (§4).
    pub algorithm: Box<str>,
    /// The hash in base64.
    pub ver: Box<str>,
}

/// Bytes of an algorithm's name and of a hash: those of SHA-512 in base64.
const KEY_BYTES_MAX: usize = 88;

impl Key {
    /// What a presence says; `None` without capabilities, or in their old form.
    pub fn of(presence: &Presence) -> Option<Self> {
        let child = presence.payloads.get("c", NS)?.element()?;
        let (algorithm, ver) = (child.get("hash")?, child.get("ver")?);
        let fits = algorithm.len() <= KEY_BYTES_MAX && ver.len() <= KEY_BYTES_MAX;
        fits.then(|| Self {
            algorithm: algorithm.into(),
            ver: ver.into(),
        })
    }

    /// The node to ask for (§6.2).
    fn node_of(presence: &Presence) -> Option<String> {
        let child = presence.payloads.get("c", NS)?.element()?;
        Some(format!("{}#{}", child.get("node")?, child.get("ver")?))
    }
}

/// What software can do, verified.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capabilities {
    features: BTreeSet<Box<str>>,
}

/// Features of one software: more than any client announces.
const FEATURES_MAX: usize = 512;
/// Bytes of one feature's name.
const FEATURE_BYTES_MAX: usize = 512;

impl Capabilities {
    /// Software with these features.
    pub fn of(features: impl IntoIterator<Item = String>) -> Self {
        let features = features.into_iter().map(Into::into);
        Self {
            features: features.collect(),
        }
    }

    /// What it takes to remember it, about.
    pub fn bytes(&self) -> usize {
        let features = self.features.iter();
        256 + features.map(|feature| 32 + feature.len()).sum::<usize>()
    }

    /// Tells whether a feature is there.
    pub fn has(&self, feature: &str) -> bool {
        self.features.contains(feature)
    }

    /// The nodes it wants to hear of (XEP-0163 §4).
    pub fn notify(&self) -> impl Iterator<Item = &str> {
        let features = self.features.iter();
        features.filter_map(|feature| feature.strip_suffix("+notify"))
    }

    /// Reads a description, if it is the one with this hash.
    pub fn verified(description: &Element, key: &Key) -> Option<Self> {
        let text = canonical(description)?;
        let hash = match &*key.algorithm {
            "sha-1" => STANDARD.encode(Sha1::digest(text.as_bytes())),
            "sha-256" => STANDARD.encode(Sha256::digest(text.as_bytes())),
            "sha-512" => STANDARD.encode(Sha512::digest(text.as_bytes())),
            _ => return None,
        };
        if *hash != *key.ver {
            return None;
        }
        let features: BTreeSet<Box<str>> = features(description).map(Into::into).collect();
        let fits = features
            .iter()
            .all(|feature| feature.len() <= FEATURE_BYTES_MAX);
        (features.len() <= FEATURES_MAX && fits).then_some(Self { features })
    }
}

fn features(description: &Element) -> impl Iterator<Item = &str> {
    let features = description.children();
    let features = features.filter(|child| child.is("feature", disco::NS_INFO));
    features.filter_map(|feature| feature.get("var"))
}

/// Tells whether a resource wants to hear of a node.
pub(crate) fn wants(resource: &Resource, node: &str, facts: &Facts<'_>) -> bool {
    let key = resource.presence.as_deref().and_then(Key::of);
    let capabilities = key.and_then(|key| facts.views.capabilities(&key));
    capabilities.is_some_and(|it| it.has(&format!("{node}+notify")))
}

/// What is done when a client shows capabilities it has not shown before.
pub(crate) fn greet(presence: &Presence, session: &SessionFacts, facts: &Facts<'_>) -> Vec<Effect> {
    let before = session.presence.as_deref().and_then(Key::of);
    let Some(key) = Key::of(presence).filter(|key| before.as_ref() != Some(key)) else {
        return Vec::new();
    };
    if facts.views.capabilities(&key).is_some() {
        return pep::send_last_items();
    }
    let id: Box<str> = format!("caps-{:032x}", (facts.random)()).into();
    let head = Head {
        to: Some(session.jid.clone().into()),
        from: Some(facts.account.domain_jid().into()),
        id: Some(id.clone()),
        lang: None,
    };
    let query = Element::new("query", disco::NS_INFO).attr_opt("node", Key::node_of(presence));
    let ask = Iq {
        head,
        kind: IqKind::Get,
        payloads: [query].into_iter().collect(),
    };
    vec![
        Effect::Flag(Flag::CapabilitiesAsked(Some(id))),
        Effect::Reply(Stanza::Iq(ask)),
    ]
}

/// Takes a client's answer; `None`: it answers something else.
pub(crate) fn take_answer(iq: &Iq, facts: &Facts<'_>) -> Option<Vec<Effect>> {
    let session = facts.session?;
    // Row R19: only what was asked, once.
    if session.capabilities_asked.is_none() || session.capabilities_asked != iq.head.id {
        return None;
    }
    let mut effects = vec![Effect::Flag(Flag::CapabilitiesAsked(None))];
    let learned = session
        .presence
        .as_deref()
        .and_then(Key::of)
        .and_then(|key| {
            let description = iq.payloads.element("query", disco::NS_INFO)?;
            let capabilities = Capabilities::verified(&description, &key)?;
            Some(Effect::Learn(key, capabilities))
        });
    match learned {
        Some(learn) => {
            effects.push(learn);
            effects.extend(pep::send_last_items());
        }
        None => effects.push(Effect::Trace("capabilities", "not what the hash says")),
    }
    Some(effects)
}

/// `<c/>` for the stream features.
pub fn stream_feature(host: &Host) -> Element {
    Element::new("c", NS)
        .attr("hash", "sha-1")
        .attr("node", NODE)
        .attr("ver", server_hash(host))
}

/// The node by which the server's capabilities are asked for (§6.2).
pub fn server_node(host: &Host) -> String {
    format!("{NODE}#{}", server_hash(host))
}

/// Computed when it is asked for, which is rare: clients know it from the stream's features.
fn server_hash(host: &Host) -> String {
    hash(&disco::server_description(host)).unwrap_or_default()
}

/// The hash of a description with SHA-1 (§5.1); `None` when it is ill-formed (§5.4).
pub fn hash(description: &Element) -> Option<String> {
    let text = canonical(description)?;
    Some(STANDARD.encode(Sha1::digest(text.as_bytes())))
}

/// §5.1: identities, features and forms, sorted; `None` where §5.4 calls a description
/// ill-formed, or where it says `<`, which would let two descriptions be the same text.
fn canonical(description: &Element) -> Option<String> {
    let mut identities: Vec<[&str; 4]> = Vec::new();
    for child in description.children() {
        if child.is("identity", disco::NS_INFO) {
            let names = ["category", "type", "xml:lang", "name"];
            identities.push(names.map(|name| child.get(name).unwrap_or_default()));
        }
    }
    identities.sort_unstable();
    let mut features: Vec<&str> = features(description).collect();
    features.sort_unstable();
    let mut forms = forms(description);
    forms.sort();
    let has_twins = has_twins(&identities) || has_twins(&features);
    let types: Vec<&str> = forms
        .iter()
        .map(|(form_type, _)| form_type.as_str())
        .collect();
    if has_twins || self::has_twins(&types) {
        return None;
    }
    let mut text = String::new();
    let mut add = |part: &str| {
        text.push_str(part);
        text.push('<');
    };
    for identity in &identities {
        add(&identity.join("/"));
    }
    features.iter().for_each(|feature| add(feature));
    for (form_type, fields) in &forms {
        add(form_type);
        for (name, values) in fields {
            add(name);
            values.iter().for_each(|value| add(value));
        }
    }
    let parts = identities.iter().flatten().chain(&features);
    let in_forms = |(form_type, fields): &Form| {
        let has = |text: &String| text.contains('<');
        has(form_type)
            || fields
                .iter()
                .any(|(name, values)| has(name) || values.iter().any(has))
    };
    let is_ambiguous =
        parts.into_iter().any(|part| part.contains('<')) || forms.iter().any(in_forms);
    (!is_ambiguous).then_some(text)
}

fn has_twins<T: PartialEq>(sorted: &[T]) -> bool {
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

type Form = (String, Vec<(String, Vec<String>)>);

/// §5.4 step 3.6: forms whose type is hidden; the others are passed over.
fn forms(description: &Element) -> Vec<Form> {
    let forms = description
        .children()
        .filter(|child| child.is("x", data_forms::NS));
    forms.filter_map(form).collect()
}

fn form(form: &Element) -> Option<Form> {
    let mut form_type = None;
    let mut fields = Vec::new();
    for field in form.children().filter(|it| it.is("field", data_forms::NS)) {
        let values = field.children().filter(|it| it.is("value", data_forms::NS));
        let mut values: Vec<String> = values.map(Element::text_content).collect();
        values.sort();
        match field.get("var") {
            Some("FORM_TYPE") if field.get("type") == Some("hidden") => {
                form_type = values.into_iter().next();
            }
            Some("FORM_TYPE") => return None,
            name => fields.push((name.unwrap_or_default().to_owned(), values)),
        }
    }
    fields.sort();
    Some((form_type?, fields))
}

#[cfg(test)]
mod tests;
