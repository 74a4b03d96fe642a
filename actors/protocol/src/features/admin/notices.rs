//! What everybody is told once: the message of the day (§4.24 to §4.26), which reaches those who
//! are online at once and the others at their next login, and the welcome of new accounts (§4.27,
//! §4.28).
//!
//! Both are items of nodes of the domain itself, which nobody can ask for: its address has no
//! pubsub service. The id of the item is the edition: an edited message (§4.25) keeps it, so that
//! whoever has read the message before is not told again.

use super::{announcement, form, lines, required};
use crate::effect::{Answer, Change, Effect, Query};
use crate::facts::Facts;
use crate::features::adhoc::{Command, Request, Who};
use crate::features::data_forms;
use crate::features::pubsub::config::Config;
use crate::features::pubsub::node::{Action, Ask, Found, FoundNode, Item, NodeChange, Wanted};
use crate::features::refuse;
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::{Message, Stanza, StanzaError};
use crate::xml::Element;

/// A kind of notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The message of the day.
    Motd,
    /// The welcome of new accounts.
    Welcome,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Motd, Self::Welcome];

    /// The node it is kept in.
    pub fn node(self) -> &'static str {
        match self {
            Self::Motd => "message of the day",
            Self::Welcome => "welcome",
        }
    }

    fn field(self) -> (&'static str, &'static str) {
        match self {
            Self::Motd => ("motd", "Message of the day"),
            Self::Welcome => ("welcome", "Welcome message"),
        }
    }

    /// What finds a domain's notice in the store.
    pub fn ask(self, domain: &BareJid) -> Ask {
        Ask::Node {
            node: self.node().to_owned(),
            items: Wanted::Before(None, 1),
            creator: domain.clone(),
        }
    }
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which edition: who has got it is not told again.
    pub edition: String,
    /// The text.
    pub text: String,
}

impl Notice {
    /// Finds it in what the store has found.
    pub fn of(found: &Found) -> Option<Self> {
        let Found::Node(FoundNode { items, .. }) = found else {
            return None;
        };
        let item = items.last()?;
        let body = Element::parse(&item.payload).ok()?;
        Some(Self {
            edition: item.id.clone(),
            text: body.text_content(),
        })
    }

    /// The message it becomes, without an address.
    pub fn message(&self, domain: &BareJid) -> Message {
        announcement(domain, None, &self.text)
    }
}

/// The notices of a domain have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The domain.
    pub domain: BareJid,
    /// What has changed.
    pub kind: Kind,
    /// Those who are online are to be told at once.
    pub is_told: bool,
}

/// A command, and what it does to which notice.
struct Asked {
    node: &'static str,
    kind: Kind,
    act: Act,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Set,
    Edit,
    Delete,
}

const NODES: [&str; 5] = [
    "http://jabber.org/protocol/admin#set-motd",
    "http://jabber.org/protocol/admin#edit-motd",
    "http://jabber.org/protocol/admin#delete-motd",
    "http://jabber.org/protocol/admin#set-welcome",
    "http://jabber.org/protocol/admin#delete-welcome",
];

const fn asked(place: usize, kind: Kind, act: Act) -> Asked {
    let node = NODES[place];
    Asked { node, kind, act }
}

const ASKED: [Asked; 5] = [
    asked(0, Kind::Motd, Act::Set),
    asked(1, Kind::Motd, Act::Edit),
    asked(2, Kind::Motd, Act::Delete),
    asked(3, Kind::Welcome, Act::Set),
    asked(4, Kind::Welcome, Act::Delete),
];

const fn command(place: usize, name: &'static str) -> Command {
    Command {
        node: NODES[place],
        name,
        who: Who::Administrators,
        // Some show what there is, which has to be loaded first.
        form: None,
        execute: load,
    }
}

pub(super) const COMMANDS: &[Command] = &[
    command(0, "Set the message of the day"),
    command(1, "Edit the message of the day"),
    command(2, "Delete the message of the day"),
    command(3, "Set the welcome message"),
    command(4, "Delete the welcome message"),
];

fn load(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let asked = of(request).ok_or_else(StanzaError::item_not_found)?;
    let domain = facts.account.domain_jid();
    let ask = Box::new(asked.kind.ask(&domain));
    Ok(vec![Effect::Load(Query::Pubsub(domain, ask), decide)])
}

fn of(request: &Request<'_>) -> Option<&'static Asked> {
    ASKED.iter().find(|asked| asked.node == request.node())
}

fn decide(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(request) = Request::again(stanza, facts) else {
        return Vec::new();
    };
    let found = match answer {
        Answer::Pubsub(found) => *found,
        Answer::Failed(error) => return refuse(request.iq(), error),
        _ => return refuse(request.iq(), StanzaError::internal_server_error()),
    };
    let Some(asked) = of(&request) else {
        return Vec::new();
    };
    let decided = match asked.act {
        Act::Delete => Ok(delete(asked, found, &request, facts)),
        Act::Set | Act::Edit if !request.is_filled_in() => Ok(offer(asked, &found, &request)),
        Act::Set | Act::Edit => put(asked, found, &request, facts),
    };
    decided.unwrap_or_else(|error| refuse(request.iq(), error))
}

/// §4.25, §4.27: with what there is. §4.24 begins anew.
fn offer(asked: &Asked, found: &Found, request: &Request<'_>) -> Vec<Effect> {
    let (name, label) = asked.kind.field();
    let is_new = asked.kind == Kind::Motd && asked.act == Act::Set;
    let notice = Notice::of(found).filter(|_| !is_new);
    let text = notice.map(|notice| notice.text).unwrap_or_default();
    let value = |line: &str| Element::new("value", data_forms::NS).text(line);
    let field = required(name, "text-multi", label).children_from(text.lines().map(value));
    vec![request.asks(form([field]))]
}

fn put(
    asked: &Asked,
    found: Found,
    request: &Request<'_>,
    facts: &Facts<'_>,
) -> Result<Vec<Effect>, StanzaError> {
    let (name, _) = asked.kind.field();
    request.value(name)?;
    let text = lines(request, name)?;
    let before = Notice::of(&found).filter(|_| asked.act == Act::Edit);
    let is_new = before.is_none();
    let item = Item {
        id: before.map_or_else(|| format!("{:032x}", (facts.random)()), |it| it.edition),
        publisher: facts.account.clone().into(),
        stamp: facts.now,
        payload: Element::new("body", ns::CLIENT).text(text).to_bytes(),
    };
    let publish = Action::Publish(vec![item], 1);
    let change = change(asked, found, publish, facts);
    let changed = changed(asked, is_new && asked.kind == Kind::Motd, facts);
    Ok(vec![change, changed, request.completed(None)])
}

fn delete(asked: &Asked, found: Found, request: &Request<'_>, facts: &Facts<'_>) -> Vec<Effect> {
    if Notice::of(&found).is_none() {
        return vec![request.completed(None)];
    }
    let change = change(asked, found, Action::Purge, facts);
    vec![
        change,
        changed(asked, false, facts),
        request.completed(None),
    ]
}

fn change(asked: &Asked, found: Found, action: Action, facts: &Facts<'_>) -> Effect {
    let node = match found {
        Found::Node(found) => found.node,
        _ => None,
    };
    let domain = facts.account.domain_jid();
    let create = Action::Create(domain.clone(), Config::of_service());
    let create = node.is_none().then_some(create);
    Effect::Change(Change::Pubsub(Box::new(NodeChange {
        service: domain,
        node: asked.kind.node().to_owned(),
        expected: node.map(|node| node.version),
        actions: create.into_iter().chain([action]).collect(),
    })))
}

fn changed(asked: &Asked, is_told: bool, facts: &Facts<'_>) -> Effect {
    Effect::Notice(Changed {
        domain: facts.account.domain_jid(),
        kind: asked.kind,
        is_told,
    })
}
