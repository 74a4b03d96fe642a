//! Personal Eventing Protocol: XEP-0163 version 1.2.2,
//! <https://xmpp.org/extensions/xep-0163.html>
//!
//! Every account is a service of its own. Here: what is particular to that. Resources that
//! say `NODE+notify` hear of the nodes of their own account and of their contacts, and get the
//! last items when they come online, and those of new colleagues at once; what some nodes mean to other features is handed on.
//! Persistent storage of public and private data (XEP-0222, XEP-0223) is nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::{Operation, Relation, allow};
use super::config::{AccessModel, Config, SendLast};
use super::node::{Affiliation, Ask, Found, Item, LastItem, Node};
use super::request::{NewItem, Request};
use super::{load_shown, notify};
use crate::colleagues::Shift;
use crate::effect::{Answer, Effect, Query};
use crate::facts::{Facts, Resource, SessionFacts};
use crate::features::roster::sight::Showing;
use crate::features::{Feature, Spec, avatar, bookmarks, caps};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Iq, Message, Stanza};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "pep",
    title: "Personal Eventing Protocol",
    spec: Spec::Xep {
        number: 163,
        version: "1.2.2",
    },
    // §6: the account says that it is one.
    identities_account: &[("pubsub", "pep")],
    ..Feature::NONE
};

/// What is nothing but nodes of an account: features of their own in the table, and nothing to
/// do for the server.
macro_rules! carried {
    ($($(#[$about:meta])* $module:ident $number:literal $version:literal $title:literal;)*) => {
        $($(#[$about])*
        pub mod $module {
            use super::{Feature, Spec};

            /// The feature.
            pub const FEATURE: Feature = Feature {
                name: "pep",
                title: $title,
                spec: Spec::Xep {
                    number: $number,
                    version: $version,
                },
                ..Feature::NONE
            };
        })*
    };
}

carried! {
    /// What everybody may read.
    public_data 222 "1.0" "Persistent Storage of Public Data via PubSub";
    /// What nobody else may read.
    private_data 223 "1.1.1" "Persistent Storage of Private Data via PubSub";
    /// What people call themselves.
    nickname 172 "1.1" "User Nickname";
    /// Who people are.
    vcard4 292 "0.12.0" "vCard4 over XMPP, carried as nodes";
}

/// Last items of one login, bytes: a connection that has more than a megabyte waiting is
/// closed, and there is presence and mail beside them. The account's own come first.
const LAST_ITEMS_BYTES_MAX: usize = 384 * 1024;

/// A node for nobody but the account itself (XEP-0223 §2).
pub(crate) fn private_config() -> Config {
    Config {
        access_model: AccessModel::Whitelist,
        max_items: None,
        send_last: SendLast::Never,
        ..Config::of_account()
    }
}

/// A request for a node that is only another face of something else.
pub(super) fn converted(iq: &Iq, request: &Request, facts: &Facts<'_>) -> Option<Vec<Effect>> {
    let is_own = iq.head.from.as_ref().map(Jid::bare_str) == Some(facts.account.as_str());
    let is_face = request.node() == Some(bookmarks::NS_LEGACY);
    (facts.account.localpart().is_some() && is_own && is_face)
        .then(|| bookmarks::decide_pep(iq, request, facts))
}

/// What else follows when something has been published.
pub(super) fn published(
    node: &Node,
    item: Option<&Item>,
    new: Option<&NewItem>,
    facts: &Facts<'_>,
) -> Vec<Effect> {
    if facts.account.localpart().is_none() {
        return Vec::new();
    }
    match (node.name.as_str(), item) {
        (avatar::NS_METADATA, Some(_)) => {
            let element = new.and_then(|new| new.element.as_ref());
            let shown = element.and_then(avatar::shown);
            shown.map(Effect::ShowAvatar).into_iter().collect()
        }
        (bookmarks::NS, _) => bookmarks::tell_legacy(facts),
        _ => Vec::new(),
    }
}

/// What else follows when something has been taken back.
pub(super) fn retracted(node: &Node, facts: &Facts<'_>) -> Vec<Effect> {
    match node.name.as_str() {
        bookmarks::NS if facts.account.localpart().is_some() => bookmarks::tell_legacy(facts),
        _ => Vec::new(),
    }
}

/// What else follows when a node has nothing more.
pub(super) fn emptied(node: &Node, facts: &Facts<'_>) -> Vec<Effect> {
    match node.name.as_str() {
        avatar::NS_METADATA if facts.account.localpart().is_some() => {
            // What the directory has is to be seen again.
            let book = facts.book();
            let photo = book.holder(facts.account).and_then(|it| it.photo.as_ref());
            let hash = photo.map_or_else(Box::default, |photo| photo.hash.clone());
            vec![Effect::ShowAvatar(hash)]
        }
        _ => retracted(node, facts),
    }
}

/// §4.3.2: the last items, for a resource that has come online and whose wishes are known.
pub(crate) fn send_last_items() -> Vec<Effect> {
    vec![Effect::Load(Query::Viewers, ask_for_last_items)]
}

fn ask_for_last_items(_stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(nodes) = facts.session.and_then(|session| wishes(session, facts)) else {
        return Vec::new();
    };
    let Answer::Viewers(showing) = answer else {
        return vec![Effect::Trace(
            "last items",
            "it is not known who may be seen",
        )];
    };
    // Row R15: both have to agree; row R16: nobody who is blocked. What somebody shows holds also
    // while they are away.
    let agreed = facts.seen_by_both(&showing, |_| true);
    let services: Vec<BareJid> = std::iter::once(facts.account.clone())
        .chain(agreed)
        .collect();
    let bytes_max = LAST_ITEMS_BYTES_MAX;
    let ask = Ask::LastItems {
        services,
        nodes,
        bytes_max,
    };
    vec![load_shown(ask, facts, deliver_last_items)]
}

/// The nodes a session wants to hear of.
fn wishes(session: &SessionFacts, facts: &Facts<'_>) -> Option<Vec<String>> {
    let presence = session.presence.as_deref()?;
    let capabilities = facts.views.capabilities(&caps::Key::of(presence)?)?;
    let nodes: Vec<String> = capabilities.notify().map(str::to_owned).collect();
    (!nodes.is_empty()).then_some(nodes)
}

fn deliver_last_items(_stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let (Some(session), Answer::Pubsub(found)) = (facts.session, answer) else {
        return vec![Effect::Trace("last items", "not known, or nobody is there")];
    };
    let Found::LastItems(found) = *found else {
        return Vec::new();
    };
    let mut effects: Vec<Effect> = found
        .iter()
        .filter_map(|last| last_item(last, session, facts))
        .collect();
    if wishes(session, facts).is_some_and(|nodes| nodes.iter().any(|it| it == bookmarks::NS_LEGACY))
    {
        effects.extend(bookmarks::last_for_session(facts));
    }
    effects
}

fn last_item(last: &LastItem, session: &SessionFacts, facts: &Facts<'_>) -> Option<Effect> {
    item_for_session(last, session, facts).map(Effect::Reply)
}

fn item_for_session(last: &LastItem, session: &SessionFacts, facts: &Facts<'_>) -> Option<Stanza> {
    let relation = relation(last, facts);
    allow(Operation::Retrieve, &relation, &last.node.config).ok()?;
    let message = message_of(last, session.jid.clone().into(), facts)?;
    Some(Stanza::Message(message))
}

/// Tells whether a session is to ask for last items because the directory has shown its account
/// others.
pub fn may_want_newcomers(shifts: &[Shift], facts: &Facts<'_>) -> bool {
    let have_come = shifts.iter().any(|shift| shift.is && !shift.was);
    let wishes = |session| wishes(session, facts);
    have_come && facts.session.and_then(wishes).is_some()
}

/// §4.3.4: what it asks for then. Whoever becomes a colleague is a new subscriber, and so is the
/// account to them; each session asks for itself, so that nobody is told for each of theirs.
/// `None`: there is nobody whom it has not seen before.
pub fn ask_for_newcomers(shifts: &[Shift], showing: &Showing, facts: &Facts<'_>) -> Option<Query> {
    let nodes = facts.session.and_then(|session| wishes(session, facts))?;
    let services = facts.newly_seen(shifts, showing);
    if services.is_empty() {
        return None;
    }
    let ask = Ask::LastItems {
        services,
        nodes,
        bytes_max: LAST_ITEMS_BYTES_MAX,
    };
    Some(Query::Shown(facts.account.clone(), Box::new(ask)))
}

/// What the session gets of what was found.
pub fn items_of_newcomers(found: &Found, facts: &Facts<'_>) -> Vec<Stanza> {
    let (Some(session), Found::LastItems(found)) = (facts.session, found) else {
        return Vec::new();
    };
    let items = found.iter();
    items
        .filter_map(|last| item_for_session(last, session, facts))
        .collect()
}

/// A last item for somebody who has just come to hear of it.
fn message_of(last: &LastItem, to: Jid, facts: &Facts<'_>) -> Option<Message> {
    let (node, item) = (&last.node, last.item.as_ref()?);
    if node.config.send_last != SendLast::OnSubAndPresence || !node.config.deliver_notifications {
        return None;
    }
    Some(notify::last_item(&last.service, node, item, to, facts))
}

/// XEP-0163 §4.3.2: the last items of the deciding account, for a contact who sees it from
/// now on and is there.
pub(crate) fn introduce(contact: &BareJid, facts: &Facts<'_>) -> Vec<Effect> {
    let view = facts.views.view(contact);
    let known = view.available().filter_map(|it| capabilities_of(it, facts));
    let nodes = known.flat_map(|it| it.notify().map(str::to_owned).collect::<Vec<_>>());
    let nodes: BTreeSet<String> = nodes.collect();
    if nodes.is_empty() {
        return Vec::new();
    }
    let ask = Ask::LastItems {
        services: vec![facts.account.clone()],
        nodes: nodes.into_iter().collect(),
        bytes_max: LAST_ITEMS_BYTES_MAX,
    };
    vec![load_shown(ask, facts, deliver_introduction)]
}

fn capabilities_of(resource: &Resource, facts: &Facts<'_>) -> Option<Arc<caps::Capabilities>> {
    let key = caps::Key::of(resource.presence.as_deref()?)?;
    facts.views.capabilities(&key)
}

fn deliver_introduction(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Answer::Pubsub(found) = answer else {
        return Vec::new();
    };
    // The subscription is between the account and the other end of this stanza.
    let ends = [stanza.to(), stanza.from()];
    let other = |jid: &&Jid| jid.bare_str() != facts.account.as_str();
    let (Found::LastItems(found), Some(contact)) = (
        *found,
        ends.into_iter().flatten().find(other).map(Jid::bare),
    ) else {
        return Vec::new();
    };
    let view = facts.views.view(&contact);
    let mut effects = Vec::new();
    for last in &found {
        let relation = Relation::of(contact.as_jid(), &last.node, facts);
        if allow(Operation::Retrieve, &relation, &last.node.config).is_err() {
            continue;
        }
        let wanting = view
            .available()
            .filter(|it| caps::wants(it, &last.node.name, facts));
        let messages = wanting.filter_map(|it| message_of(last, it.jid.clone().into(), facts));
        effects.extend(messages.map(|message| Effect::Route(Stanza::Message(message))));
    }
    effects
}

/// What the deciding account is to somebody's node; they let it see their presence.
fn relation(last: &LastItem, facts: &Facts<'_>) -> Relation {
    let is_own = last.service == *facts.account;
    let known = last.node.affiliations.get(facts.account).copied();
    Relation {
        affiliation: match is_own {
            true => Affiliation::Owner,
            false => known.unwrap_or(Affiliation::None),
        },
        sees_presence: true,
        groups: last.groups.clone(),
        is_subscribed: false,
    }
}
