//! Notifications for browsers: the app server (XEP-0357 version 0.4.1) at `push.DOMAIN`, which
//! hands what it is told to the push service of the browser (RFC 8030), encrypted (RFC 8291).
//!
//! How a client registers with an app server is the app server's own affair; here it is
//! `urn:klatsch:web-push:0`, see `ops/docs/web-push.md`: a client says where its browser
//! subscribed, and is given a node and a secret for `<enable/>`. The notification that comes
//! back says which conversation it is of without naming it, and nothing of who wrote and what.
//! The bytes travel in `gateways/src/web_push.rs`; the store keeps who has registered.
//!
//! Leaves out registering by an ad-hoc command: nobody would fill that form in by hand.

mod endpoint;

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::push::{self, NS_SUMMARY};
use super::{Feature, Scope, Service, Spec, attention, data_forms, jingle, pubsub, refuse, set};
use crate::effect::{Answer, Effect, Query};
use crate::facts::Facts;
use crate::jid::BareJid;
use crate::sasl::Secret;
use crate::stanza::{Iq, Message, Stanza, StanzaError};
use crate::xml::Element;

pub use endpoint::{Endpoint, is_host_rule};

/// The namespace.
pub const NS: &str = "urn:klatsch:web-push:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "web_push",
    title: "Message Encryption for Web Push",
    spec: Spec::Rfc {
        number: 8291,
        section: "",
    },
    services: &[(Service::Push, &[NS, push::NS])],
    iq: &[
        set(Scope::Service(Service::Push), NS, "register", register),
        set(Scope::Service(Service::Push), NS, "unregister", unregister),
        set(Scope::Service(Service::Push), pubsub::NS, "pubsub", notify),
    ],
    ..Feature::NONE
};

/// Who sends.
pub const IDENTIFICATION: Feature = Feature {
    name: "web_push",
    title: "Voluntary Application Server Identification for Web Push",
    spec: Spec::Rfc {
        number: 8292,
        section: "",
    },
    ..Feature::NONE
};

/// Bytes of a public key on P-256, uncompressed (RFC 8291 §3.2).
const KEY_BYTES: usize = 65;
/// The first byte of such a key.
const UNCOMPRESSED: u8 = 4;
/// Bytes of the secret that the browser shares with us (RFC 8291 §3.2).
const AUTH_BYTES: usize = 16;

/// What an operator may tune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The push services that are spoken to; [`is_host_rule`] holds for each. Whoever runs a
    /// browser chooses the address, and the server connects to it: row H07.
    pub hosts: Vec<String>,
    /// Notifications say who has written and what, as far as app servers are told at all.
    pub has_content: bool,
}

impl Default for Settings {
    fn default() -> Self {
        // Those of Chromium, Firefox, Safari and Edge.
        let hosts = [
            "fcm.googleapis.com",
            "jmt17.google.com",
            "*.push.services.mozilla.com",
            "*.push.apple.com",
            "*.notify.windows.com",
        ];
        Self {
            hosts: hosts.map(str::to_owned).to_vec(),
            has_content: false,
        }
    }
}

/// A browser that is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    /// Whose.
    pub owner: BareJid,
    /// The node that stands for it.
    pub node: String,
    /// SHA-256 of the secret that has to come with each notification.
    pub secret: [u8; 32],
    /// Where its push service is told: whoever knows the address may.
    pub endpoint: String,
    /// The browser's public key.
    pub key: Vec<u8>,
    /// What only the browser and we know.
    pub auth: Vec<u8>,
}

impl fmt::Debug for Registration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Registration({} of {})", self.node, self.owner)
    }
}

/// What a notification is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Somebody wrote.
    Message,
    /// Somebody in a room meant the account.
    Mention,
    /// Somebody calls.
    Call,
    /// They have given up.
    CallEnded,
    /// Somebody invites to a room.
    Invitation,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Message,
        Self::Mention,
        Self::Call,
        Self::CallEnded,
        Self::Invitation,
    ];

    /// What a message is to one who is away.
    pub fn of(message: &Message, is_mention: bool) -> Self {
        if message.payloads.has("propose", jingle::NS) {
            Self::Call
        } else if message.payloads.has("retract", jingle::NS) {
            Self::CallEnded
        } else if attention::is_invitation(message) {
            Self::Invitation
        } else if is_mention {
            Self::Mention
        } else {
            Self::Message
        }
    }

    /// As clients read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Mention => "mention",
            Self::Call => "call",
            Self::CallEnded => "call-ended",
            Self::Invitation => "invitation",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    fn is_of_call(self) -> bool {
        matches!(self, Self::Call | Self::CallEnded)
    }

    /// RFC 8030 §5.3: whether a sleeping device is to be woken for it.
    pub fn urgency(self) -> &'static str {
        match self.is_of_call() {
            true => "high",
            false => "normal",
        }
    }

    /// RFC 8030 §5.2: for so long it is worth telling.
    pub fn lifetime(self) -> Duration {
        match self.is_of_call() {
            // Nobody lets it ring for longer.
            true => Duration::from_secs(30),
            // Over a night; whoever looks in later sees what is there.
            false => Duration::from_secs(86_400),
        }
    }
}

/// What a notification for our own app server says besides (XEP-0357 §7 leaves room for it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// [`conversation`].
    pub conversation: String,
    /// What it is of.
    pub kind: Kind,
}

impl About {
    pub(super) fn to_element(&self) -> Element {
        Element::new("about", NS)
            .attr("conversation", self.conversation.clone())
            .attr("kind", self.kind.as_str())
    }

    fn read(element: &Element) -> Option<Self> {
        let conversation = element.get("conversation")?;
        let is_one = conversation.len() <= 64
            && conversation
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        Some(Self {
            conversation: is_one.then(|| conversation.to_owned())?,
            kind: Kind::parse(element.get("kind")?)?,
        })
    }
}

/// What a conversation is called in notifications: whoever has both addresses can tell, and
/// nobody else. The first 16 bytes of SHA-256 of `ACCOUNT LF CHAT`, in base64url.
pub fn conversation(account: &BareJid, chat: &BareJid) -> String {
    let hash = Sha256::digest(format!("{account}\n{chat}"));
    URL_SAFE_NO_PAD.encode(&hash[..16])
}

/// What a browser is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which conversation, and what.
    pub about: About,
    /// How many messages it stands for.
    pub count: u32,
    /// Who has written last, where that may be told.
    pub sender: Option<String>,
    /// What, where that may be told.
    pub body: Option<String>,
}

impl Notice {
    /// RFC 8030 §5.4: it takes the place of an earlier one of this name that still waits.
    pub fn topic(&self) -> String {
        let of = match self.about.kind.is_of_call() {
            true => "call",
            false => "chat",
        };
        // 32 characters at most: 4 and 22, unless a client has called it otherwise.
        format!("{of}{}", self.about.conversation)
            .chars()
            .take(32)
            .collect()
    }
}

/// What is asked about registrations.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Keep this one, in the place of another with the same endpoint, whoever has it: a browser
    /// belongs to who uses it now.
    Register(Registration, Secret),
    /// Forget this account's node.
    Unregister(BareJid, String),
    /// Tell this account's node, if the hash of the secret is this one.
    Notify {
        /// Whose node.
        owner: BareJid,
        /// The node.
        node: String,
        /// The hash.
        secret: [u8; 32],
        /// Of what.
        notice: Notice,
    },
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// The node, and the secret that has to come with each notification.
    Registered(String, Secret),
    /// It is done, or on its way.
    Done,
    /// There is no such node, or the secret is another one.
    NoSuchNode,
    /// Too much waits to be sent.
    Busy,
}

fn register(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match registration_of(iq, facts) {
        Ok((registration, secret)) => load(Ask::Register(registration, secret)),
        Err(error) => refuse(iq, error),
    }
}

fn registration_of(iq: &Iq, facts: &Facts<'_>) -> Result<(Registration, Secret), StanzaError> {
    let owner = owner_of(iq, facts)?;
    let settings = facts.host.web_push.as_ref();
    let settings = settings.ok_or_else(StanzaError::service_unavailable)?;
    let register = iq.payloads.element("register", NS);
    let register = register.ok_or_else(StanzaError::bad_request)?;
    let url = register.get("endpoint").unwrap_or_default();
    let endpoint = Endpoint::parse(url).ok_or_else(|| bad("endpoint is no https address"))?;
    if !endpoint.is_allowed(&settings.hosts) {
        return Err(StanzaError::not_allowed().with_text("no push service that is spoken to"));
    }
    let key = bytes_of(&register, "p256dh", KEY_BYTES)?;
    if key[0] != UNCOMPRESSED {
        return Err(bad("p256dh is no uncompressed point"));
    }
    let auth = bytes_of(&register, "auth", AUTH_BYTES)?;
    let secret = format!("{:032x}", (facts.random)());
    let registration = Registration {
        owner,
        node: format!("{:032x}", (facts.random)()),
        secret: hash_of(&secret),
        endpoint: url.to_owned(),
        key,
        auth,
    };
    Ok((registration, Secret::new(secret)))
}

/// Row R14: an app server of a domain tells that domain's accounts, and nobody else's.
fn owner_of(iq: &Iq, facts: &Facts<'_>) -> Result<BareJid, StanzaError> {
    let (_, domain) = facts
        .host
        .service(facts.account.as_str())
        .ok_or_else(StanzaError::service_unavailable)?;
    let owner = iq.head.from.as_ref().map(|from| from.bare());
    owner
        .filter(|owner| owner.domain() == domain && owner.localpart().is_some())
        .ok_or_else(StanzaError::forbidden)
}

fn hash_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn load(ask: Ask) -> Vec<Effect> {
    vec![Effect::Load(Query::WebPush(Box::new(ask)), answered)]
}

fn bad(text: &str) -> StanzaError {
    StanzaError::bad_request().with_text(text.to_owned())
}

fn bytes_of(element: &Element, name: &str, count: usize) -> Result<Vec<u8>, StanzaError> {
    let text = element.get(name).unwrap_or_default().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    let bytes = bytes.filter(|bytes| bytes.len() == count);
    bytes.ok_or_else(|| bad(&format!("{name} is {count} bytes in base64url")))
}

fn unregister(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let owner = match owner_of(iq, facts) {
        Ok(owner) => owner,
        Err(error) => return refuse(iq, error),
    };
    let unregister = iq.payloads.element("unregister", NS);
    match unregister.and_then(|it| it.get("node").map(str::to_owned)) {
        Some(node) => load(Ask::Unregister(owner, node)),
        None => refuse(iq, StanzaError::bad_request()),
    }
}

/// XEP-0357 §7: an account's server publishes to a node.
fn notify(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    // Only the server itself speaks for the bare address: a client with a node would otherwise
    // have its browser told as fast as it can write.
    let is_server = iq
        .head
        .from
        .as_ref()
        .is_some_and(|it| it.resource().is_none());
    let owner = match owner_of(iq, facts) {
        Ok(owner) if is_server => owner,
        Ok(_) => return refuse(iq, StanzaError::forbidden()),
        Err(error) => return refuse(iq, error),
    };
    let pubsub = iq.payloads.element("pubsub", pubsub::NS);
    match pubsub.as_ref().and_then(|pubsub| read(pubsub, facts)) {
        Some((node, secret, notice)) => load(Ask::Notify {
            owner,
            node,
            secret,
            notice,
        }),
        None => refuse(iq, StanzaError::bad_request()),
    }
}

/// Node, hash of the secret, and notice of a notification.
fn read(pubsub: &Element, facts: &Facts<'_>) -> Option<(String, [u8; 32], Notice)> {
    let publish = pubsub.find("publish", pubsub::NS)?;
    let node = publish.get("node")?.to_owned();
    let options = pubsub.find("publish-options", pubsub::NS)?;
    let options = data_forms::Submitted::read(options.find("x", data_forms::NS)?)?;
    let secret = hash_of(options.value("secret")?);
    let notification = publish
        .find("item", pubsub::NS)?
        .find("notification", push::NS)?;
    let summary = data_forms::Submitted::read(notification.find("x", data_forms::NS)?)?;
    if summary.form_type() != Some(NS_SUMMARY) {
        return None;
    }
    let settings = facts.host.web_push.as_ref()?;
    let content = |name: &str| {
        let value = summary.value(name).filter(|_| settings.has_content);
        value.map(str::to_owned)
    };
    let notice = Notice {
        about: About::read(notification.find("about", NS)?)?,
        count: summary.value("message-count")?.parse().ok()?,
        sender: content("last-message-sender"),
        body: content("last-message-body"),
    };
    Some((node, secret, notice))
}

fn answered(stanza: &Stanza, answer: Answer, _facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match answer {
        Answer::WebPush(Told::Registered(node, secret)) => {
            let registered = Element::new("registered", NS)
                .attr("node", node)
                .attr("secret", secret.expose());
            vec![Effect::Reply(Stanza::Iq(iq.result(Some(registered))))]
        }
        Answer::WebPush(Told::Done) => vec![Effect::Reply(Stanza::Iq(iq.result(None)))],
        // XEP-0357 §7.1: with this the account's server gives the node up.
        Answer::WebPush(Told::NoSuchNode) => refuse(iq, StanzaError::item_not_found()),
        Answer::WebPush(Told::Busy) => refuse(iq, StanzaError::resource_constraint()),
        Answer::Failed(error) => refuse(iq, error),
        _ => refuse(iq, StanzaError::internal_server_error()),
    }
}

#[cfg(test)]
mod tests;
