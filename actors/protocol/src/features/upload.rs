//! HTTP File Upload: XEP-0363 version 1.2.0,
//! <https://xmpp.org/extensions/xep-0363.html>
//!
//! Decides who gets a slot, and for how long what. Slots are signed (`slot.rs`): whoever has the
//! key can judge an upload without asking anybody; the store only keeps count of the quota.
//! The bytes travel over HTTP, which is the gateways' affair.
//!
//! Leaves out: the purpose `permanent` (§6.4, optional), because nobody could ever delete such
//! a file and its share of the quota again: the extension has no way to.

mod name;
mod request;
pub mod settings;
pub mod slot;

use super::{Feature, Scope, Service, Spec, Status, get, refuse};
use crate::effect::{Answer, Effect, Query};
use crate::facts::Facts;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::time::Timestamp;
use crate::xml::Element;

pub use settings::Settings;
pub use slot::{Key, Purpose, Slot};

/// Requests, slots and errors.
pub const NS: &str = "urn:xmpp:http:upload:0";
/// What a file is for (§6).
pub const NS_PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "upload",
    title: "HTTP File Upload",
    spec: Spec::Xep {
        number: 363,
        version: "1.2.0",
    },
    status: Status::Complete,
    services: &[(
        Service::Upload,
        &[
            NS,
            "urn:xmpp:http:upload:purpose:0#message",
            "urn:xmpp:http:upload:purpose:0#profile",
            "urn:xmpp:http:upload:purpose:0#ephemeral",
            super::ping::NS,
        ],
    )],
    iq: &[
        get(Scope::Service(Service::Upload), NS, "request", give_slot),
        get(
            Scope::Service(Service::Upload),
            super::ping::NS,
            "ping",
            pong,
        ),
    ],
    ..Feature::NONE
};

/// A slot that is wanted, and what its account may have in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The slot.
    pub slot: Slot,
    /// Bytes of the account's files of this kind, waiting slots counted in.
    pub bytes_max: u64,
    /// The number of the account's files of this kind, waiting slots counted in.
    pub files_max: u64,
}

/// What became of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// The slot is given.
    Granted(Box<Slot>),
    /// The account has no room; at this time enough of what it has will be gone.
    Full(Timestamp),
}

/// §4: the form that tells the size.
pub(super) fn form(settings: &Settings) -> Element {
    const NS_DATA: &str = super::data_forms::NS;
    let field = |var: &str, value: String| {
        Element::new("field", NS_DATA)
            .attr("var", var)
            .child(Element::new("value", NS_DATA).text(value))
    };
    Element::new("x", NS_DATA)
        .attr("type", "result")
        .child(field("FORM_TYPE", NS.to_owned()).attr("type", "hidden"))
        .child(field(
            "max-file-size",
            settings.size_max(Purpose::Message).to_string(),
        ))
}

fn pong(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    vec![Effect::Reply(Stanza::Iq(iq.result(None)))]
}

/// §5.
fn give_slot(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match wanted(iq, facts) {
        Ok(reservation) => vec![Effect::Load(
            Query::Reserve(Box::new(reservation)),
            slot_reserved,
        )],
        Err(error) => refuse(iq, error),
    }
}

fn wanted(iq: &Iq, facts: &Facts<'_>) -> Result<Reservation, StanzaError> {
    let settings = facts.host.upload.as_ref();
    let settings = settings.ok_or_else(StanzaError::service_unavailable)?;
    let served = facts.host.service(facts.account.domain());
    let (_, domain) = served.ok_or_else(StanzaError::service_unavailable)?;
    // Only this domain's own accounts (row R14): those of another have a service of their own.
    let from = iq.head.from.as_ref();
    let from = from.filter(|from| from.localpart().is_some() && from.domain() == domain);
    let from = from.ok_or_else(|| {
        StanzaError::forbidden().with_text("Only accounts of this domain can upload here")
    })?;
    let request = request::read(iq, facts.now)?;
    let purpose = request.purpose;
    let size_max = settings.size_max(purpose);
    if request.size > size_max {
        return Err(too_large(size_max));
    }
    let keep_until = request.keep_until(settings, facts.now);
    let slot = Slot {
        id: (facts.random)(),
        account: from.bare(),
        domain: domain.into(),
        name: request.name,
        content_type: request.content_type,
        size: request.size,
        purpose,
        put_until: facts.now.plus(settings.put_patience),
        keep_until,
    };
    Ok(Reservation {
        slot,
        bytes_max: settings.quota(purpose),
        files_max: settings.files_per_account_max,
    })
}

/// §7: with the size that would do.
fn too_large(size_max: u64) -> StanzaError {
    let max = Element::new("max-file-size", NS).text(size_max.to_string());
    StanzaError::not_acceptable()
        .with_text(format!(
            "File too large. The maximum file size is {size_max} bytes"
        ))
        .with_application(Element::new("file-too-large", NS).child(max))
}

/// §7: with the time at which there will be room.
fn quota_reached(retry: Timestamp) -> StanzaError {
    // Whole seconds, and never too early.
    let second = Timestamp::from_seconds(retry.micros().div_euclid(1_000_000) + 1);
    StanzaError::resource_constraint()
        .with_text("Quota reached")
        .with_application(Element::new("retry", NS).attr("stamp", second.to_xep0082()))
}

fn slot_reserved(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let error = match (answer, &facts.host.upload) {
        (Answer::Reserved(Reserved::Granted(slot)), Some(settings)) => {
            return vec![Effect::Reply(Stanza::Iq(
                iq.result(Some(told(&slot, settings))),
            ))];
        }
        (Answer::Reserved(Reserved::Full(retry)), _) => quota_reached(retry),
        (Answer::Failed(error), _) => error,
        _ => StanzaError::internal_server_error(),
    };
    refuse(iq, error)
}

/// §5: both addresses. The signature stands in the query of one and not in a header, which
/// scripts of other origins may not set without being asked first.
fn told(slot: &Slot, settings: &Settings) -> Element {
    let url = format!(
        "{}/upload/{:032x}/{}",
        settings.base(&slot.domain),
        slot.id,
        name::encode(&slot.name)
    );
    let put = format!("{url}?slot={}", slot.sign(&settings.key));
    Element::new("slot", NS)
        .child(Element::new("put", NS).attr("url", put))
        .child(Element::new("get", NS).attr("url", url))
}

#[cfg(test)]
mod tests;
