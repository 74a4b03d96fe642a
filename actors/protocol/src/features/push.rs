//! Push Notifications: XEP-0357 version 0.4.1,
//! <https://xmpp.org/extensions/xep-0357.html>
//!
//! A client names a node of an app server; while its device is away, something that calls for
//! a person ([`super::attention`]) is published there. Here: what clients ask for, and what a
//! notification says. When one is due, and what becomes of it, decide the actors.
//!
//! Leaves out the app server's notice that it stops (§8, a MAY): its refusal of the next
//! notification says the same.

use bytes::Bytes;

use super::{Feature, Scope, Spec, Status, data_forms, pubsub, refuse, set, web_push};
use crate::effect::{Change, Effect};
use crate::facts::Facts;
use crate::jid::{BareJid, Jid};
use crate::stanza::{Condition, Head, Iq, IqKind, Stanza, StanzaError};
use crate::xml::{Element, Payloads};

/// The namespace.
pub const NS: &str = "urn:xmpp:push:0";
/// The form in which a notification says what it is about (§7).
pub const NS_SUMMARY: &str = "urn:xmpp:push:summary";
const NS_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "push",
    title: "Push Notifications",
    spec: Spec::Xep {
        number: 357,
        version: "0.4.1",
    },
    status: Status::Partial("app servers of this server and its components, until federation"),
    disco_account: &[NS],
    iq: &[
        set(Scope::Own, NS, "enable", enable),
        set(Scope::Own, NS, "disable", disable),
    ],
    ..Feature::NONE
};

/// A node's name has so many bytes at most, as every node of ours.
const NODE_BYTES_MAX: usize = 1024;
/// What an app server wants to be told with each notification: some secrets, never more.
const OPTIONS_BYTES_MAX: usize = 8 * 1024;

/// A device that wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The app server.
    pub service: Jid,
    /// The node there; empty when the client names none.
    pub node: String,
    /// The resource that asked: notifications are for it while it is away.
    pub resource: String,
    /// The publish-options as the client gave them, canonical.
    pub options: Option<Bytes>,
}

/// A change of the devices that are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushChange {
    /// This one is, in the place of an earlier one with the same service and node (§5).
    Enable(Registration),
    /// Those at this service no longer, or the one at this node alone (§6).
    Disable(Jid, Option<String>),
}

fn enable(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let resource = facts.session.map_or("", |session| session.jid.resource());
    let asked = iq.payloads.element("enable", NS);
    let asked = asked.ok_or_else(StanzaError::bad_request);
    match asked.and_then(|asked| read_enable(&asked, facts.account, resource)) {
        Ok(registration) => changed(iq, PushChange::Enable(registration)),
        Err(error) => refuse(iq, error),
    }
}

fn disable(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    let element = iq.payloads.element("disable", NS);
    let asked = element.ok_or_else(StanzaError::bad_request);
    match asked.and_then(|element| Ok((read_service(&element)?, element))) {
        Ok((service, element)) => {
            let node = element.get("node").map(str::to_owned);
            changed(iq, PushChange::Disable(service, node))
        }
        Err(error) => refuse(iq, error),
    }
}

fn changed(iq: &Iq, change: PushChange) -> Vec<Effect> {
    vec![
        Effect::Change(Change::Push(change)),
        Effect::Reply(Stanza::Iq(iq.result(None))),
    ]
}

/// §5: the address is a MUST.
fn read_service(element: &Element) -> Result<Jid, StanzaError> {
    let service = element.get("jid").ok_or_else(StanzaError::bad_request)?;
    Jid::parse(service).map_err(|_| StanzaError::jid_malformed())
}

/// What a resource of an account asks for (§5).
///
/// # Errors
/// What it is told: the address or the form is missing or wrong, something is too long, or the
/// account asks to be told by itself.
pub fn read_enable(
    enable: &Element,
    account: &BareJid,
    resource: &str,
) -> Result<Registration, StanzaError> {
    let service = read_service(enable)?;
    if service.as_str() == account.as_str() {
        // Row R20: an account would be told by itself of what it is told.
        return Err(StanzaError::not_allowed());
    }
    let node = enable.get("node").unwrap_or_default().to_owned();
    if node.len() > NODE_BYTES_MAX {
        return Err(StanzaError::not_acceptable().with_text("the node's name is too long"));
    }
    Ok(Registration {
        service,
        node,
        resource: resource.to_owned(),
        options: read_options(enable)?,
    })
}

fn read_options(enable: &Element) -> Result<Option<Bytes>, StanzaError> {
    let Some(form) = enable.find("x", data_forms::NS) else {
        return Ok(None);
    };
    let read = data_forms::Submitted::read(form).ok_or_else(StanzaError::bad_request)?;
    if read.form_type() != Some(NS_OPTIONS) {
        return Err(StanzaError::bad_request().with_text("the form is for something else"));
    }
    let bytes = form.to_bytes();
    if bytes.len() > OPTIONS_BYTES_MAX {
        return Err(StanzaError::not_acceptable().with_text("the options are too long"));
    }
    Ok(Some(bytes))
}

/// What a notification tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many messages it stands for.
    pub messages: usize,
    /// How many people wait for an answer to their request to subscribe.
    pub pending: usize,
    /// Who has written last, where this may be told.
    pub sender: Option<Jid>,
    /// What, where this may be told.
    pub body: Option<String>,
    /// What our own app server is told besides, and no other.
    pub about: Option<web_push::About>,
}

/// §7: the request with which a notification is published.
pub fn notification(
    account: &BareJid,
    to: &Registration,
    summary: &Summary,
    id: Box<str>,
) -> Stanza {
    let about = summary.about.iter().map(web_push::About::to_element);
    let notification = Element::new("notification", NS).child(form(summary));
    let item = Element::new("item", pubsub::NS).child(notification.children_from(about));
    let publish = Element::new("publish", pubsub::NS).attr("node", to.node.clone());
    let mut pubsub = Element::new("pubsub", pubsub::NS).child(publish.child(item));
    if let Some(options) = &to.options {
        let options = Element::new("publish-options", pubsub::NS).raw_child(options.clone());
        pubsub = pubsub.child(options);
    }
    let mut payloads = Payloads::default();
    payloads.push(&pubsub);
    let head = Head {
        from: Some(account.clone().into()),
        to: Some(to.service.clone()),
        id: Some(id),
        ..Head::default()
    };
    Stanza::Iq(Iq {
        head,
        kind: IqKind::Set,
        payloads,
    })
}

fn form(summary: &Summary) -> Element {
    let field = |name: &str, value: String| {
        Element::new("field", data_forms::NS)
            .attr("var", name)
            .child(Element::new("value", data_forms::NS).text(value))
    };
    let mut form = Element::new("x", data_forms::NS)
        .attr("type", "submit")
        .child(field("FORM_TYPE", NS_SUMMARY.to_owned()))
        .child(field("message-count", summary.messages.to_string()))
        .child(field(
            "pending-subscription-count",
            summary.pending.to_string(),
        ));
    if let Some(sender) = &summary.sender {
        form = form.child(field("last-message-sender", sender.to_string()));
    }
    if let Some(body) = &summary.body {
        form = form.child(field("last-message-body", body.clone()));
    }
    form
}

/// What an app server's refusal means for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not told any more (§7.1).
    Disables,
    /// It may work another time: the app server, or the way there, is at fault.
    Passes,
}

/// §7.1: refusals that speak of the node or of rights will not change by themselves.
pub fn judge(error: &StanzaError) -> Refusal {
    match error.condition {
        Condition::ItemNotFound
        | Condition::Forbidden
        | Condition::NotAuthorized
        | Condition::NotAllowed
        | Condition::NotAcceptable
        | Condition::Gone
        | Condition::BadRequest
        | Condition::FeatureNotImplemented => Refusal::Disables,
        _ => Refusal::Passes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::facts;

    fn asks(payload: &str) -> Vec<Effect> {
        facts().sends(&format!("<iq type='set' id='x'>{payload}</iq>"))
    }

    fn changes(effects: &[Effect]) -> PushChange {
        match effects {
            [Effect::Change(Change::Push(change)), Effect::Reply(_)] => change.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_enabled_is_remembered_with_its_options() {
        let form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>\
            http://jabber.org/protocol/pubsub#publish-options</value></field>\
            <field var='secret'><value>s</value></field></x>";
        let enable =
            format!("<enable xmlns='{NS}' jid='push.example.org' node='n'>{form}</enable>");
        let PushChange::Enable(registration) = changes(&asks(&enable)) else {
            panic!("it was to be enabled");
        };
        assert_eq!(registration.service.as_str(), "push.example.org");
        assert_eq!(registration.node, "n");
        let options = String::from_utf8(registration.options.unwrap().to_vec()).unwrap();
        assert!(options.contains("secret"), "{options}");
    }

    #[test]
    fn one_node_or_all_of_a_service_are_disabled() {
        let one = asks("<disable xmlns='urn:xmpp:push:0' jid='push.example.org' node='n'/>");
        let service = Jid::parse("push.example.org").unwrap();
        let expected = PushChange::Disable(service.clone(), Some("n".into()));
        assert_eq!(changes(&one), expected);
        let all = asks("<disable xmlns='urn:xmpp:push:0' jid='push.example.org'/>");
        assert_eq!(changes(&all), PushChange::Disable(service, None));
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        let long = "n".repeat(2000);
        for (payload, condition) in [
            (
                "<enable xmlns='urn:xmpp:push:0'/>".to_owned(),
                "bad-request",
            ),
            (
                "<enable xmlns='urn:xmpp:push:0' jid='a@@b'/>".to_owned(),
                "jid-malformed",
            ),
            (
                format!("<enable xmlns='urn:xmpp:push:0' jid='p.x' node='{long}'/>"),
                "not-acceptable",
            ),
            (
                "<enable xmlns='urn:xmpp:push:0' jid='p.x'><x xmlns='jabber:x:data' \
                 type='submit'/></enable>"
                    .to_owned(),
                "bad-request",
            ),
        ] {
            let effects = asks(&payload);
            let [Effect::Reply(reply)] = effects.as_slice() else {
                panic!("{effects:?}");
            };
            let text = String::from_utf8(reply.to_bytes().to_vec()).unwrap();
            assert!(text.contains(condition), "{condition} in {text}");
        }
    }

    #[test]
    fn a_notification_says_what_it_may_and_gives_the_options_back() {
        let registration = Registration {
            service: Jid::parse("push.example.org").unwrap(),
            node: "n".into(),
            resource: "phone".into(),
            options: Some(Bytes::from_static(b"<x xmlns='jabber:x:data'/>")),
        };
        let account = BareJid::parse("alice@example.org").unwrap();
        let summary = Summary {
            messages: 2,
            ..Summary::default()
        };
        let stanza = notification(&account, &registration, &summary, "1".into());
        let text = String::from_utf8(stanza.to_bytes().to_vec()).unwrap();
        for part in [
            "to='push.example.org'",
            "node='n'",
            "message-count",
            "publish-options",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("last-message"), "{text}");
    }

    #[test]
    fn a_node_that_is_gone_disables_and_a_server_that_is_away_does_not() {
        assert_eq!(judge(&StanzaError::item_not_found()), Refusal::Disables);
        assert_eq!(judge(&StanzaError::forbidden()), Refusal::Disables);
        assert_eq!(
            judge(&StanzaError::remote_server_not_found()),
            Refusal::Passes
        );
        assert_eq!(judge(&StanzaError::service_unavailable()), Refusal::Passes);
    }
}
