//! Ad-Hoc Commands: XEP-0050 version 1.3, <https://xmpp.org/extensions/xep-0050.html>
//!
//! What the server's domain can be asked to do, and who may ask. A command has one form or none,
//! so nothing has to be remembered between its two steps: the session is a name that the client
//! repeats. Rooms have commands of their own (`muc/hat_commands.rs`), and
//! so has the pubsub service (`pubsub/pending.rs`).
//!
//! Leaves out: commands of more than one form, and `session-expired`, as no session ends.

use super::data_forms::{self, Submitted};
use super::{Feature, Scope, Service, Spec, admin, disco, invitation, refuse, set};
use crate::effect::{Answer, Effect, Query};
use crate::facts::Facts;
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

/// The namespace; also the node under which commands are listed (§2.2).
pub const NS: &str = "http://jabber.org/protocol/commands";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "adhoc",
    title: "Ad-Hoc Commands",
    spec: Spec::Xep {
        number: 50,
        version: "1.3",
    },
    disco: &[NS],
    services: &[(Service::Pubsub, &[NS])],
    iq: &[set(Scope::Server, NS, "command", command)],
    ..Feature::NONE
};

/// Something the server's domain can be asked to do.
pub struct Command {
    /// Its node.
    pub node: &'static str,
    /// What people read.
    pub name: &'static str,
    /// Who may ask.
    pub who: Who,
    /// What has to be filled in; `None`: it is carried out at once, or asks for that itself.
    pub form: Option<fn(&Facts<'_>) -> Element>,
    /// Decides.
    pub execute: fn(&Request<'_>, &Facts<'_>) -> Result<Vec<Effect>, StanzaError>,
}

/// Who may ask for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Every account of the domain.
    Users,
    /// Its administrators.
    Administrators,
}

/// The commands.
fn all() -> impl Iterator<Item = &'static Command> {
    let of_users = invitation::COMMANDS.iter();
    admin::COMMANDS.iter().copied().flatten().chain(of_users)
}

/// A command somebody asks for.
pub struct Request<'a> {
    iq: &'a Iq,
    command: &'static Command,
    session: String,
    form: Option<Submitted>,
    is_canceled: bool,
}

impl<'a> Request<'a> {
    /// Reads it (§3, §4.4).
    fn read(iq: &'a Iq, facts: &Facts<'_>) -> Result<Self, StanzaError> {
        let element = iq.payloads.element("command", NS);
        let element = element.ok_or_else(StanzaError::bad_request)?;
        let node = element.get("node").unwrap_or_default();
        let command = all().find(|command| command.node == node);
        let command = command.ok_or_else(StanzaError::item_not_found)?;
        let is_canceled = match element.get("action") {
            None | Some("execute" | "complete") => false,
            Some("cancel") => true,
            // There is no other step.
            Some("prev" | "next") => return Err(bad("bad-action")),
            Some(_) => return Err(bad("malformed-action")),
        };
        let session = match element.get("sessionid") {
            Some(session) if is_session(session) => session.to_owned(),
            Some(_) => return Err(bad("bad-sessionid")),
            None => format!("{:032x}", (facts.random)()),
        };
        let form = match element.find("x", data_forms::NS) {
            None => None,
            Some(form) if form.get("type") == Some("cancel") => None,
            Some(form) => Some(Submitted::read(form).ok_or_else(|| bad("bad-payload"))?),
        };
        Ok(Self {
            iq,
            command,
            session,
            form,
            is_canceled,
        })
    }

    /// The same once something has been loaded.
    pub fn again(stanza: &'a Stanza, facts: &Facts<'_>) -> Option<Self> {
        match stanza {
            Stanza::Iq(iq) => Self::read(iq, facts).ok(),
            _ => None,
        }
    }

    /// The stanza.
    pub fn iq(&self) -> &'a Iq {
        self.iq
    }

    /// The node of the command.
    pub fn node(&self) -> &'static str {
        self.command.node
    }

    /// A field that has to be filled in.
    ///
    /// # Errors
    /// `bad-payload`, with the field's name.
    pub fn value(&self, name: &str) -> Result<&str, StanzaError> {
        let value = self.form.as_ref().and_then(|form| form.value(name));
        value.ok_or_else(|| bad("bad-payload").with_text(format!("{name} is missing")))
    }

    /// A field's values.
    pub fn values(&self, name: &str) -> &[String] {
        self.form.as_ref().map_or(&[], |form| form.values(name))
    }

    /// Tells whether a form was submitted.
    pub fn is_filled_in(&self) -> bool {
        self.form.is_some()
    }

    /// Something has to be filled in.
    pub fn asks(&self, form: Element) -> Effect {
        let actions = Element::new("actions", NS)
            .attr("execute", "complete")
            .child(Element::new("complete", NS));
        self.reply("executing", Some(actions), Some(form))
    }

    /// It is done; what came of it, if anything is to be shown.
    pub fn completed(&self, result: Option<Element>) -> Effect {
        self.reply("completed", None, result)
    }

    fn reply(
        &self,
        status: &'static str,
        actions: Option<Element>,
        form: Option<Element>,
    ) -> Effect {
        let command = Element::new("command", NS)
            .attr("node", self.command.node)
            .attr("sessionid", self.session.as_str())
            .attr("status", status)
            .children_from(actions)
            .children_from(form);
        Effect::Reply(Stanza::Iq(self.iq.result(Some(command))))
    }

    /// The form, or what was asked for (§3.4).
    fn decide(&self, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
        if self.is_canceled {
            return Ok(vec![self.reply("canceled", None, None)]);
        }
        match (self.command.form, &self.form) {
            (Some(form), None) => Ok(vec![self.asks(form(facts))]),
            _ => (self.command.execute)(self, facts),
        }
    }
}

/// Names that we have given look like this.
fn is_session(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// §4.4: `bad-request` with a condition of its own.
pub fn bad(condition: &'static str) -> StanzaError {
    StanzaError::bad_request().with_application(Element::new(condition, NS))
}

fn command(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let request = match Request::read(iq, facts) {
        Ok(request) => request,
        Err(error) => return refuse(iq, error),
    };
    if !is_own_domain(iq, facts) {
        return refuse(iq, StanzaError::forbidden());
    }
    match request.command.who {
        Who::Users => request
            .decide(facts)
            .unwrap_or_else(|error| refuse(iq, error)),
        Who::Administrators => vec![Effect::Load(Query::IsAdmin, for_administrator)],
    }
}

/// Rows R13, R14: who asks, and who is an administrator, belongs to the domain that is asked.
fn is_own_domain(iq: &Iq, facts: &Facts<'_>) -> bool {
    let to = iq.head.to.as_ref();
    to.is_none_or(|to| to.domain() == facts.account.domain())
}

fn for_administrator(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(request) = Request::again(stanza, facts) else {
        return Vec::new();
    };
    let decided = match answer {
        Answer::IsAdmin(true) => request.decide(facts),
        Answer::IsAdmin(false) => Err(StanzaError::forbidden()),
        Answer::Failed(error) => Err(error),
        _ => Err(StanzaError::internal_server_error()),
    };
    decided.unwrap_or_else(|error| refuse(request.iq, error))
}

/// §2.2: the commands that whoever asks may use.
pub(super) fn list(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    match is_own_domain(iq, facts) {
        true => vec![Effect::Load(Query::IsAdmin, listed)],
        false => vec![Effect::Reply(Stanza::Iq(iq.result(Some(items([], facts)))))],
    }
}

fn listed(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    let is_admin = match answer {
        Answer::IsAdmin(is_admin) => is_admin,
        Answer::Failed(error) => return refuse(iq, error),
        _ => return refuse(iq, StanzaError::internal_server_error()),
    };
    let offered = all().filter(|command| is_admin || command.who == Who::Users);
    vec![Effect::Reply(Stanza::Iq(
        iq.result(Some(items(offered, facts))),
    ))]
}

fn items(commands: impl IntoIterator<Item = &'static Command>, facts: &Facts<'_>) -> Element {
    let item = |command: &Command| {
        Element::new("item", disco::NS_ITEMS)
            .attr("jid", facts.account.domain())
            .attr("node", command.node)
            .attr("name", command.name)
    };
    Element::new("query", disco::NS_ITEMS)
        .attr("node", NS)
        .children_from(commands.into_iter().map(item))
}

/// §2.2.3, §2.3: what the list and each command are; `None` for another node.
pub(super) fn describe(node: &str) -> Option<Element> {
    let (kind, name) = match all().find(|command| command.node == node) {
        Some(command) => ("command-node", command.name),
        None if node == NS => ("command-list", "Commands"),
        None => return None,
    };
    Some(description(node, kind, name))
}

/// What a node of commands is: their list, or one of them.
pub(super) fn description(node: &str, kind: &'static str, name: &str) -> Element {
    let identity = Element::new("identity", disco::NS_INFO)
        .attr("category", "automation")
        .attr("type", kind)
        .attr("name", name);
    let features = [NS, data_forms::NS]
        .iter()
        .map(|var| Element::new("feature", disco::NS_INFO).attr("var", *var));
    Element::new("query", disco::NS_INFO)
        .attr("node", node)
        .child(identity)
        .children_from(features)
}

#[cfg(test)]
mod tests;
