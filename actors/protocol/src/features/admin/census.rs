//! Who there is: §4.7 to §4.9, §4.12 to §4.22.

use super::{account, addresses, form, required, result, shown};
use crate::effect::{Answer, Effect, Query};
use crate::facts::Facts;
use crate::features::adhoc::{Command, Request, Who, bad};
use crate::features::data_forms;
use crate::features::{refuse, roster};
use crate::jid::{BareJid, FullJid};
use crate::stanza::{Stanza, StanzaError};
use crate::time::Timestamp;
use crate::xml::Element;

/// Addresses in one list at most, so that the answer stays a stanza.
const LISTED_MAX: u32 = 1_000;

/// What a list may be limited to (§4.17).
const LIMITS: [&str; 6] = ["25", "50", "75", "100", "150", "200"];

/// Accounts that are counted or listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// All of the domain.
    Registered,
    /// Those that may not log in.
    Disabled,
    /// Those with a session.
    Online,
    /// Those with a session whose user is there, as far as its presence says.
    Active,
    /// Those with sessions none of which is so.
    Idle,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// The domain.
    pub domain: BareJid,
    /// Which of its accounts.
    pub group: Group,
    /// How many of them are named.
    pub max: u32,
}

/// What there is to be told of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// Its contacts.
    pub roster: roster::Roster,
    /// Its sessions.
    pub sessions: Vec<FullJid>,
    /// When it was last there, if that is known.
    pub last_seen: Option<Timestamp>,
}

/// A group, how it is asked for and how it is answered.
struct Asked {
    group: Group,
    /// Node of its number, and the field.
    number: (&'static str, &'static str),
    /// Node of its list, and the field.
    list: (&'static str, &'static str),
    label: &'static str,
}

const ASKED: [Asked; 5] = [
    Asked {
        group: Group::Registered,
        number: (NODES[0], "registeredusersnum"),
        list: (NODES[1], "registereduserjids"),
        label: "Registered users",
    },
    Asked {
        group: Group::Disabled,
        number: (NODES[2], "disabledusersnum"),
        list: (NODES[3], "disableduserjids"),
        label: "Disabled users",
    },
    Asked {
        group: Group::Online,
        number: (NODES[4], "onlineusersnum"),
        list: (NODES[5], "onlineuserjids"),
        label: "Users online",
    },
    Asked {
        group: Group::Active,
        number: (NODES[6], "activeusersnum"),
        list: (NODES[7], "activeuserjids"),
        label: "Active users",
    },
    Asked {
        group: Group::Idle,
        number: (NODES[8], "idleusersnum"),
        list: (NODES[9], "idleuserjids"),
        label: "Idle users",
    },
];

/// As the examples of §4.12 to §4.21 have them.
const NODES: [&str; 10] = [
    "http://jabber.org/protocol/admin#get-registered-users-num",
    "http://jabber.org/protocol/admin#get-registered-users-list",
    "http://jabber.org/protocol/admin#get-disabled-users-num",
    "http://jabber.org/protocol/admin#get-disabled-users-list",
    "http://jabber.org/protocol/admin#get-online-users-num",
    "http://jabber.org/protocol/admin#get-online-users-list",
    "http://jabber.org/protocol/admin#get-active-users-num",
    "http://jabber.org/protocol/admin#get-active-users",
    "http://jabber.org/protocol/admin#get-idle-users-num",
    "http://jabber.org/protocol/admin#get-idle-users",
];

const LAST_LOGIN: &str = "http://jabber.org/protocol/admin#get-user-lastlogin";

const fn number(node: &'static str, name: &'static str) -> Command {
    Command {
        node,
        name,
        who: Who::Administrators,
        form: None,
        execute: count,
    }
}

const fn list(node: &'static str, name: &'static str) -> Command {
    Command {
        node,
        name,
        who: Who::Administrators,
        form: Some(list_form),
        execute: count,
    }
}

pub(super) const COMMANDS: &[Command] = &[
    Command {
        node: "http://jabber.org/protocol/admin#get-user-roster",
        name: "A user's roster",
        who: Who::Administrators,
        form: Some(roster_form),
        execute: person,
    },
    Command {
        node: LAST_LOGIN,
        name: "When a user was last there",
        who: Who::Administrators,
        form: Some(roster_form),
        execute: person,
    },
    Command {
        node: "http://jabber.org/protocol/admin#user-stats",
        name: "About a user",
        who: Who::Administrators,
        form: Some(person_form),
        execute: person,
    },
    number(NODES[0], "Number of registered users"),
    list(NODES[1], "List of registered users"),
    number(NODES[2], "Number of disabled users"),
    list(NODES[3], "List of disabled users"),
    number(NODES[4], "Number of users online"),
    list(NODES[5], "List of users online"),
    number(NODES[6], "Number of active users"),
    list(NODES[7], "List of active users"),
    number(NODES[8], "Number of idle users"),
    list(NODES[9], "List of idle users"),
];

fn list_form(_facts: &Facts<'_>) -> Element {
    let option = |text: &str| {
        let value = Element::new("value", data_forms::NS).text(text);
        Element::new("option", data_forms::NS)
            .attr("label", text)
            .child(value)
    };
    let options = LIMITS.iter().copied().chain(["none"]).map(option);
    let limit = data_forms::field("max_items", "list-single")
        .attr("label", "Users to show at most")
        .children_from(options);
    form([limit])
}

fn roster_form(_facts: &Facts<'_>) -> Element {
    form([required("accountjids", "jid-multi", "The account")])
}

fn person_form(_facts: &Facts<'_>) -> Element {
    form([required("accountjid", "jid-single", "The account")])
}

fn asked(request: &Request<'_>) -> Option<(&'static Asked, bool)> {
    let node = request.node();
    ASKED.iter().find_map(|asked| {
        let is_list = asked.list.0 == node;
        (is_list || asked.number.0 == node).then_some((asked, is_list))
    })
}

fn count(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let (asked, is_list) = asked(request).ok_or_else(StanzaError::item_not_found)?;
    let max = match request.value("max_items") {
        _ if !is_list => 0,
        Err(_) | Ok("none") => LISTED_MAX,
        Ok(text) => text.parse().map_err(|_| bad("bad-payload"))?,
    };
    let domain = BareJid::parse(facts.account.domain()).map_err(|_| StanzaError::bad_request())?;
    let census = Census {
        domain,
        group: asked.group,
        max: max.min(LISTED_MAX),
    };
    Ok(vec![Effect::Load(Query::Census(census), counted)])
}

fn counted(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(request) = Request::again(stanza, facts) else {
        return Vec::new();
    };
    let Some((asked, is_list)) = asked(&request) else {
        return Vec::new();
    };
    match answer {
        Answer::Census(count, accounts) => {
            let field = match is_list {
                true => {
                    let accounts = accounts.into_iter().map(|jid| jid.to_string());
                    shown(asked.list.1, asked.label, accounts)
                }
                false => shown(asked.number.1, asked.label, [count.to_string()]),
            };
            vec![request.completed(Some(result([field])))]
        }
        Answer::Failed(error) => refuse(request.iq(), error),
        _ => refuse(request.iq(), StanzaError::internal_server_error()),
    }
}

/// The account that §4.7 to §4.9 are about. DEVIATION: a list of rosters would be no stanza any
/// more, so one account is told of at a time.
fn whom(request: &Request<'_>, facts: &Facts<'_>) -> Result<BareJid, StanzaError> {
    if request.values("accountjids").is_empty() {
        return account(request, facts);
    }
    match addresses(request, facts)?.as_slice() {
        [one] => Ok(one.bare()),
        _ => Err(bad("bad-payload").with_text("one account at a time")),
    }
}

fn person(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let account = whom(request, facts)?;
    Ok(vec![Effect::Load(Query::Person(account), told)])
}

/// §4.8. DEVIATION: not when its last session began but when it ended, which XEP-0012 keeps; for
/// who is online, now. It answers what is asked for, and costs no write at each login.
fn last_login(account: &str, person: &Person, facts: &Facts<'_>) -> Element {
    let is_online = !person.sessions.is_empty();
    let last = person.last_seen.filter(|_| !is_online);
    let last = last.or(is_online.then_some(facts.now));
    let last = last.map(|last| shown("lastlogin", "Last there", [last.to_xep0082()]));
    let account = shown("accountjids", "The account", [account.to_owned()]);
    result([account].into_iter().chain(last))
}

fn told(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(request) = Request::again(stanza, facts) else {
        return Vec::new();
    };
    let person = match answer {
        Answer::Person(person) => *person,
        Answer::NoSuchItem => return refuse(request.iq(), StanzaError::item_not_found()),
        Answer::Failed(error) => return refuse(request.iq(), error),
        _ => return refuse(request.iq(), StanzaError::internal_server_error()),
    };
    let result = match request.values("accountjids").first() {
        Some(account) if request.node() == LAST_LOGIN => last_login(account, &person, facts),
        Some(account) => result([shown("accountjids", "The account", [account.clone()])])
            .child(roster::own(&person.roster)),
        None => {
            let resources = person.sessions.iter();
            let resources = resources.map(|it| it.resource().to_owned());
            let size = person.roster.items.len().to_string();
            result([
                shown("rostersize", "Contacts", [size]),
                shown("onlineresources", "Sessions", resources),
            ])
        }
    };
    vec![request.completed(Some(result))]
}
