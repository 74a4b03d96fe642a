//! Requests that wait for an owner, by ad-hoc command: XEP-0060 §8.7.
//!
//! For the services; who waits for an account's own nodes, its lists of subscriptions show.

use super::access::{Operation, Relation, allow};
use super::node::{Affiliation, Ask, Found, SubscriptionState, Wanted};
use super::{approval, load, request, settle};
use crate::effect::{Answer, Effect};
use crate::facts::Facts;
use crate::features::adhoc::{self, bad};
use crate::features::data_forms::{self, Submitted};
use crate::features::disco::NS_ITEMS;
use crate::features::refuse;
use crate::jid::Jid;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

const NAME: &str = "Who waits for approval";

/// XEP-0050 §2.2: the commands of a service.
pub(crate) fn list(facts: &Facts<'_>) -> Element {
    let item = Element::new("item", NS_ITEMS)
        .attr("jid", facts.account.as_str())
        .attr("node", NODE)
        .attr("name", NAME);
    Element::new("query", NS_ITEMS)
        .attr("node", adhoc::NS)
        .child(item)
}

/// XEP-0050 §2.2.3, §2.3: what the list and the command are; `None` for another node.
pub(crate) fn describe(node: &str) -> Option<Element> {
    match node {
        adhoc::NS => Some(adhoc::description(node, "command-list", "Commands")),
        NODE => Some(adhoc::description(node, "command-node", NAME)),
        _ => None,
    }
}

/// The command's node.
const NODE: &str = "http://jabber.org/protocol/pubsub#get-pending";

/// A name that whoever asks may have given to the session (XEP-0050 §3.2); it means nothing here
/// and is repeated.
const SESSION_BYTES_MAX: usize = 64;

/// The command as somebody asks for it.
struct Command<'a> {
    iq: &'a Iq,
    who: &'a Jid,
    session: String,
    is_canceled: bool,
    /// The node that was chosen.
    node: Option<String>,
}

impl<'a> Command<'a> {
    fn read(iq: &'a Iq, facts: &Facts<'_>) -> Result<Self, StanzaError> {
        let command = iq.payloads.element("command", adhoc::NS);
        let command = command.ok_or_else(StanzaError::bad_request)?;
        if command.get("node") != Some(NODE) {
            return Err(StanzaError::item_not_found());
        }
        let form = match command.find("x", data_forms::NS) {
            None => None,
            Some(form) => Some(Submitted::read(form).ok_or_else(|| bad("bad-payload"))?),
        };
        let node = form.map(|form| {
            let node = form
                .value("pubsub#node")
                .ok_or_else(|| bad("bad-payload"))?;
            request::name(node)
        });
        let session = command.get("sessionid");
        Ok(Self {
            iq,
            who: iq.head.from.as_ref().ok_or_else(StanzaError::bad_request)?,
            session: match session {
                Some(session) if session.len() <= SESSION_BYTES_MAX => session.to_owned(),
                Some(_) => return Err(bad("bad-sessionid")),
                None => format!("{:032x}", (facts.random)()),
            },
            is_canceled: command.get("action") == Some("cancel"),
            node: node.transpose()?,
        })
    }

    fn reply(&self, status: &str, form: Option<Element>) -> Effect {
        let actions = form.is_some().then(|| {
            Element::new("actions", adhoc::NS)
                .attr("execute", "complete")
                .child(Element::new("complete", adhoc::NS))
        });
        let command = Element::new("command", adhoc::NS)
            .attr("node", NODE)
            .attr("sessionid", self.session.as_str())
            .attr("status", status)
            .children_from(actions)
            .children_from(form);
        Effect::Reply(Stanza::Iq(self.iq.result(Some(command))))
    }

    fn ask(&self) -> Ask {
        let creator = self.who.bare();
        match &self.node {
            None => Ask::Affiliations(creator),
            Some(node) => Ask::Node {
                node: node.clone(),
                items: Wanted::Nothing,
                creator,
            },
        }
    }

    /// §8.7.2: the nodes whose owner asks.
    fn nodes(&self, affiliations: Vec<(String, Affiliation)>) -> Result<Vec<Effect>, StanzaError> {
        let owned = affiliations.into_iter();
        let owned = owned.filter(|(_, affiliation)| *affiliation == Affiliation::Owner);
        let option = |(node, _): (String, Affiliation)| {
            let value = Element::new("value", data_forms::NS).text(node);
            Element::new("option", data_forms::NS).child(value)
        };
        let options: Vec<Element> = owned.map(option).collect();
        if options.is_empty() {
            // §8.7.3.3.
            return Err(StanzaError::forbidden());
        }
        let field = data_forms::field("pubsub#node", "list-single").children_from(options);
        let form = data_forms::form(approval::FORM_TYPE).child(field);
        Ok(vec![self.reply("executing", Some(form))])
    }

    /// §8.7.4: as when the requests came.
    fn requests(&self, found: Found, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
        let Found::Node(found) = found else {
            return Err(StanzaError::internal_server_error());
        };
        let node = found.node.ok_or_else(StanzaError::item_not_found)?;
        let relation = Relation::of(self.who, &node, facts);
        allow(Operation::ManageSubscriptions, &relation, &node.config)?;
        let subscriptions = node.subscriptions.iter();
        let pending = subscriptions.filter(|it| it.state == SubscriptionState::Pending);
        let ask = |jid: &Jid| approval::ask_owner(&node, jid, self.who.clone(), facts);
        let requests: Vec<Effect> = pending.map(|it| ask(&it.jid)).collect();
        let done = self.reply("completed", None);
        Ok([done].into_iter().chain(requests).collect())
    }
}

/// Decides the command.
pub(super) fn command(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match Command::read(iq, facts) {
        Ok(command) if command.is_canceled => vec![command.reply("canceled", None)],
        Ok(command) => vec![load(command.ask(), facts, go_on)],
        Err(error) => refuse(iq, error),
    }
}

fn go_on(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let decided = Command::read(iq, facts).and_then(|command| match answer {
        Answer::Pubsub(found) => match *found {
            Found::Affiliations(list) => command.nodes(list),
            found => command.requests(found, facts),
        },
        Answer::Failed(error) => Err(error),
        _ => Err(StanzaError::internal_server_error()),
    });
    settle(iq, decided)
}
