//! The errors of XEP-0060: §14 and the error cases of each use case.

use super::NS_ERRORS;
use crate::stanza::{ErrorKind, StanzaError};
use crate::xml::Element;

fn with(error: StanzaError, condition: &'static str) -> StanzaError {
    error.with_application(Element::new(condition, NS_ERRORS))
}

/// §6.1.3.2: the node is for those who see the owner's presence.
pub(super) fn presence_subscription_required() -> StanzaError {
    with(
        StanzaError::not_authorized(),
        "presence-subscription-required",
    )
}

/// §6.1.3.3: the node is for some groups of the owner's roster.
pub(super) fn not_in_roster_group() -> StanzaError {
    with(StanzaError::not_authorized(), "not-in-roster-group")
}

/// §6.1.3.4: the node is for those on its list.
pub(super) fn closed_node() -> StanzaError {
    with(StanzaError::not_allowed(), "closed-node")
}

/// §6.5.9.3: the node is for those who have subscribed.
pub(super) fn not_subscribed() -> StanzaError {
    with(StanzaError::not_authorized(), "not-subscribed")
}

/// §6.2.3.2: there is no such subscription to end or to configure.
pub(super) fn no_such_subscription() -> StanzaError {
    let error = StanzaError::unexpected_request().with_kind(ErrorKind::Cancel);
    with(error, "not-subscribed")
}

/// §6.1.3.1: nobody subscribes somebody else.
pub(super) fn invalid_jid() -> StanzaError {
    with(StanzaError::bad_request(), "invalid-jid")
}

/// §6.1.3.5: an owner has not answered yet.
pub(super) fn pending_subscription() -> StanzaError {
    with(StanzaError::not_authorized(), "pending-subscription")
}

/// §6.3.4.3: whose options?
pub(super) fn jid_required() -> StanzaError {
    with(StanzaError::bad_request(), "jid-required")
}

/// §6.3.4.5: the options are none.
pub(super) fn invalid_options() -> StanzaError {
    with(StanzaError::bad_request(), "invalid-options")
}

/// A request without the node's name.
pub(super) fn nodeid_required() -> StanzaError {
    with(StanzaError::bad_request(), "nodeid-required")
}

/// §7.1.3.7: persistent nodes hold items.
pub(super) fn item_required() -> StanzaError {
    with(StanzaError::bad_request(), "item-required")
}

/// §7.1.3.7: nodes with payloads hold payloads.
pub(super) fn payload_required() -> StanzaError {
    with(StanzaError::bad_request(), "payload-required")
}

/// §7.1.3.7: a node that keeps and delivers nothing takes nothing.
pub(super) fn item_forbidden() -> StanzaError {
    with(StanzaError::bad_request(), "item-forbidden")
}

/// §7.1.3.6: one payload an item.
pub(super) fn invalid_payload() -> StanzaError {
    with(StanzaError::bad_request(), "invalid-payload")
}

/// §7.1.3.5.
pub(super) fn payload_too_big() -> StanzaError {
    with(StanzaError::not_acceptable(), "payload-too-big")
}

/// §7.1.3.4: the node is full and its owner wants it so.
pub(super) fn node_full() -> StanzaError {
    with(StanzaError::conflict(), "node-full")
}

/// §7.1.5: the node is not as the publisher demands.
pub(crate) fn precondition_not_met() -> StanzaError {
    with(StanzaError::conflict(), "precondition-not-met")
}

/// §8.1.2: a node of that model cannot be here.
pub(super) fn unsupported_access_model() -> StanzaError {
    with(StanzaError::not_acceptable(), "unsupported-access-model")
}

/// §14.1: the node shall keep more items than this server allows.
pub(super) fn max_items_exceeded() -> StanzaError {
    with(StanzaError::not_acceptable(), "max-items-exceeded")
}

/// §14.1: there are all the nodes there may be.
pub(super) fn max_nodes_exceeded() -> StanzaError {
    with(StanzaError::policy_violation(), "max-nodes-exceeded")
}

/// §6.1.3.9: the node has all the subscribers it may have.
pub(super) fn too_many_subscriptions() -> StanzaError {
    let error = StanzaError::policy_violation().with_kind(ErrorKind::Wait);
    with(error, "too-many-subscriptions")
}

/// This cannot be done at this node, or at all: the name of the feature says what.
pub(super) fn unsupported(feature: &'static str) -> StanzaError {
    let condition = Element::new("unsupported", NS_ERRORS).attr("feature", feature);
    StanzaError::feature_not_implemented().with_application(condition)
}
