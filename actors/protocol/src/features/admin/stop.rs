//! The server is restarted or shut down: §4.30, §4.31.
//!
//! A server may have several domains, and an administrator administers one (row R14): only those
//! of the main domain, the first one, may do this to all of them. Everybody who is online is told
//! what the administrator says about it.

use super::{announcement, form, lines};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::features::adhoc::{Command, Request, Who, bad};
use crate::features::data_forms::{self, field};
use crate::stanza::StanzaError;
use crate::xml::Element;

/// What is to become of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// It comes back at once.
    pub is_restart: bool,
    /// In so many seconds.
    pub delay_seconds: u32,
}

const RESTART: &str = "http://jabber.org/protocol/admin#restart";
const SHUTDOWN: &str = "http://jabber.org/protocol/admin#shutdown";

/// The delays of the example, in seconds, with their labels.
const DELAYS: [(&str, &str); 7] = [
    ("30 seconds", "30"),
    ("60 seconds", "60"),
    ("90 seconds", "90"),
    ("2 minutes", "120"),
    ("3 minutes", "180"),
    ("4 minutes", "240"),
    ("5 minutes", "300"),
];

/// Nobody remembers tomorrow what they asked for today.
const DELAY_MAX_SECONDS: u32 = 3600;

const fn command(node: &'static str, name: &'static str) -> Command {
    Command {
        node,
        name,
        who: Who::Administrators,
        form: Some(stop_form),
        execute: stop,
    }
}

pub(super) const COMMANDS: &[Command] = &[
    command(RESTART, "Restart the server"),
    command(SHUTDOWN, "Shut the server down"),
];

fn stop_form(_facts: &Facts<'_>) -> Element {
    let option = |(label, value): (&str, &str)| {
        let value = Element::new("value", data_forms::NS).text(value);
        Element::new("option", data_forms::NS)
            .attr("label", label)
            .child(value)
    };
    let delay = field("delay", "list-single")
        .attr("label", "Time until then")
        .children_from(DELAYS.into_iter().map(option));
    let announcement = field("announcement", "text-multi").attr("label", "Announcement");
    form([delay, announcement])
}

fn stop(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let main = facts.host.domains.first();
    if main.map(|main| main.as_str()) != Some(facts.account.domain()) {
        let text = "only administrators of the server's main domain stop it";
        return Err(StanzaError::forbidden().with_text(text));
    }
    let delay_seconds = match request.value("delay") {
        // §4.30 has no default; the shortest of its delays lets everybody read the announcement.
        Err(_) => 30,
        Ok(text) => text.parse().map_err(|_| bad("bad-payload"))?,
    };
    if delay_seconds > DELAY_MAX_SECONDS {
        return Err(bad("bad-payload").with_text("not later than in an hour"));
    }
    let text = lines(request, "announcement")?;
    let is_said = !text.trim().is_empty();
    let domains = facts.host.domains.iter().filter(|_| is_said);
    let said = domains.map(|domain| {
        let message = announcement(domain, None, &text);
        Effect::Announce(domain.clone(), Box::new(message))
    });
    let stop = Effect::Stop(Stop {
        is_restart: request.node() == RESTART,
        delay_seconds,
    });
    Ok(said.chain([stop, request.completed(None)]).collect())
}
