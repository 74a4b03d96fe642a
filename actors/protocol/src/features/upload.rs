//! HTTP File Upload: XEP-0363 version 1.2.0,
//! <https://xmpp.org/extensions/xep-0363.html>
//!
//! Decides who gets a slot at `upload.DOMAIN`, and for how long the file stays. The bytes
//! travel by HTTP, see `gateways/src/http/upload.rs`; [`slot`] is what both sides know of a
//! slot. Leaves out headers for the request (§4): the URL says everything.

mod name;
pub mod slot;

use std::time::Duration;

use super::{Feature, Scope, Service, Spec, get, refuse};
use crate::effect::{Answer, Effect, Query};
use crate::facts::Facts;
use crate::features::data_forms;
use crate::jid::BareJid;
use crate::stanza::{ErrorKind, Iq, Stanza, StanzaError};
use crate::time::Timestamp;
use crate::xml::Element;
use slot::{Key, Slot};

/// The namespace.
pub const NS: &str = "urn:xmpp:http:upload:0";
/// What a file is for (§5).
pub const NS_PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "upload",
    title: "HTTP File Upload",
    spec: Spec::Xep {
        number: 363,
        version: "1.2.0",
    },
    services: &[(
        Service::Upload,
        &[
            NS,
            "urn:xmpp:http:upload:purpose:0#message",
            "urn:xmpp:http:upload:purpose:0#profile",
            "urn:xmpp:http:upload:purpose:0#ephemeral",
            "urn:xmpp:http:upload:purpose:0#permanent",
        ],
    )],
    iq: &[get(
        Scope::Service(Service::Upload),
        NS,
        "request",
        decide_slot,
    )],
    ..Feature::NONE
};

/// A slot waits so long for its bytes: a client asks when it is about to send.
const SLOT_LIFE: Duration = Duration::from_secs(300);

/// What the uploads of a server may cost.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Signs slots.
    pub key: Key,
    /// Where files are reached, `{domain}` standing for the domain; `None`: nowhere.
    pub url: Option<String>,
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Bytes of all files of an account.
    pub account_bytes_max: u64,
    /// Number of its files, which bounds what single bytes cost.
    pub account_files_max: u64,
    /// How long the files of messages stay.
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: Key([0; 32]),
            url: None,
            // A minute of a phone's video.
            file_bytes_max: 100 * 1024 * 1024,
            account_bytes_max: 1024 * 1024 * 1024,
            // Thirty a day for a year.
            account_files_max: 10_000,
            // People look back for a year; the quota bounds the disk.
            retention: Duration::from_secs(365 * 86_400),
        }
    }
}

/// What a file is for (§5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be sent in a message.
    Message,
    /// An avatar and the like, which stays until its account goes.
    Profile,
    /// Not to be had after this.
    Ephemeral(Timestamp),
    /// Stays until its account goes.
    Permanent,
}

impl Purpose {
    /// When a file for this purpose is removed; `None`: with its account.
    fn expires(self, now: Timestamp, settings: &Settings) -> Option<Timestamp> {
        let regular = now.plus(settings.retention);
        match self {
            Self::Message => Some(regular),
            // §5.3: the service may remove it earlier, and must not show it later.
            Self::Ephemeral(before) => Some(before.min(regular)),
            Self::Profile | Self::Permanent => None,
        }
    }
}

/// A slot that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRequest {
    /// The slot.
    pub slot: Slot,
    /// Whose quota it goes to.
    pub owner: BareJid,
    /// What the file is, if that was said.
    pub content_type: Option<String>,
    /// When it is removed; `None`: with its account.
    pub expires: Option<Timestamp>,
    /// Bytes the account may have altogether.
    pub account_bytes_max: u64,
    /// Files the account may have altogether.
    pub account_files_max: u64,
}

/// What a service says of itself besides its features (§3).
pub(super) fn description(settings: &Settings) -> Element {
    let value = |text: String| Element::new("value", data_forms::NS).text(text);
    let size = Element::new("field", data_forms::NS).attr("var", "max-file-size");
    data_forms::form(NS)
        .attr("type", "result")
        .child(size.child(value(settings.file_bytes_max.to_string())))
}

fn decide_slot(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match request_of(iq, facts) {
        Ok(request) => vec![Effect::Load(Query::Slot(Box::new(request)), answer_slot)],
        Err(error) => refuse(iq, error),
    }
}

fn request_of(iq: &Iq, facts: &Facts<'_>) -> Result<SlotRequest, StanzaError> {
    let settings = &facts.host.upload;
    let (_, domain) = facts
        .host
        .service(facts.account.as_str())
        .filter(|_| settings.url.is_some())
        .ok_or_else(StanzaError::service_unavailable)?;
    // Row R14: a service stores what its own domain's accounts have, and nobody else's.
    let owner = iq.head.from.as_ref().map(|from| from.bare());
    let owner = owner
        .filter(|owner| owner.domain() == domain && owner.localpart().is_some())
        .ok_or_else(StanzaError::forbidden)?;
    let request = iq.payload().and_then(|payload| payload.element());
    let request = request.ok_or_else(StanzaError::bad_request)?;
    let size = size_of(&request, settings)?;
    let name = request.get("filename").map(name::tidied);
    let purpose = purpose_of(&request, facts.now)?;
    let name = name.ok_or_else(|| bad_request("a file has a name"))?;
    let id = (facts.random)().to_be_bytes();
    Ok(SlotRequest {
        slot: Slot::new(id, name, size, facts.now.plus(SLOT_LIFE)),
        owner,
        content_type: request.get("content-type").and_then(name::media_type),
        expires: purpose.expires(facts.now, settings),
        account_bytes_max: settings.account_bytes_max,
        account_files_max: settings.account_files_max,
    })
}

fn size_of(request: &Element, settings: &Settings) -> Result<u64, StanzaError> {
    let size = request.get("size").and_then(|size| size.parse().ok());
    let size: u64 = size.ok_or_else(|| bad_request("size is a number of bytes"))?;
    if size == 0 {
        return Err(bad_request("an empty file is none"));
    }
    match settings.file_bytes_max {
        max if size > max => Err(too_large(max)),
        _ => Ok(size),
    }
}

/// §5: without one it is for a message.
fn purpose_of(request: &Element, now: Timestamp) -> Result<Purpose, StanzaError> {
    let mut purposes = request.children().filter(|it| it.namespace() == NS_PURPOSE);
    let Some(purpose) = purposes.next() else {
        return Ok(Purpose::Message);
    };
    match purpose.name() {
        "message" => Ok(Purpose::Message),
        "profile" => Ok(Purpose::Profile),
        "permanent" => Ok(Purpose::Permanent),
        "ephemeral" => {
            let before = purpose.get("expire-before");
            let before = before.and_then(Timestamp::parse_xep0082);
            let before = before.filter(|before| *before > now);
            let missing = || bad_request("expire-before is a time to come");
            before.map(Purpose::Ephemeral).ok_or_else(missing)
        }
        _ => Err(StanzaError::feature_not_implemented().with_text("no such purpose")),
    }
}

/// §4: the two places of a file.
fn answer_slot(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match answer {
        Answer::Slot(slot) => vec![Effect::Reply(Stanza::Iq(
            iq.result(Some(places(&slot, facts))),
        ))],
        Answer::OverQuota(again) => refuse(iq, over_quota(again)),
        Answer::Failed(error) => refuse(iq, error),
        _ => refuse(iq, StanzaError::internal_server_error()),
    }
}

fn places(slot: &Slot, facts: &Facts<'_>) -> Element {
    let host = facts.host.service(facts.account.as_str());
    let domain = host.map_or("", |(_, domain)| domain);
    let settings = &facts.host.upload;
    let base = settings.url.as_deref().unwrap_or_default();
    let base = base.replace("{domain}", domain);
    let get = format!("{}/{}", base.trim_end_matches('/'), slot.path());
    let put = format!("{get}?{}", slot.query(&settings.key));
    Element::new("slot", NS)
        .child(Element::new("put", NS).attr("url", put))
        .child(Element::new("get", NS).attr("url", get))
}

fn bad_request(text: &'static str) -> StanzaError {
    StanzaError::bad_request().with_text(text)
}

/// §6
fn too_large(max: u64) -> StanzaError {
    let max_size = Element::new("max-file-size", NS).text(max.to_string());
    StanzaError::not_acceptable()
        .with_kind(ErrorKind::Modify)
        .with_text(format!("the largest file is {max} bytes"))
        .with_application(Element::new("file-too-large", NS).child(max_size))
}

/// §6: a quota, and when there will be room. Without a time the account has to make room.
fn over_quota(again: Option<Timestamp>) -> StanzaError {
    let error = StanzaError::resource_constraint()
        .with_kind(ErrorKind::Wait)
        .with_text("your files have no room for this one");
    match again {
        Some(again) => error.with_application(
            Element::new("retry", NS).attr("stamp", whole_second(again).to_xep0082()),
        ),
        None => error,
    }
}

/// The second after, for a stamp without fractions is not too early.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_seconds(time.micros().div_euclid(1_000_000).saturating_add(1))
}

#[cfg(test)]
mod tests;
