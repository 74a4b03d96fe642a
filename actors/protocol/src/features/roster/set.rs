//! Changing the roster: RFC 6121 §2.3 (add), §2.4 (update), §2.5 (remove).

use crate::effect::{Change, Effect};
use crate::facts::Facts;
use crate::features::presence;
use crate::features::roster::{
    NS, RosterChange, RosterItem, push_of, removed_element,
};
use crate::features::refuse;
use crate::jid::{BareJid, Jid, prepare_resource};
use crate::stanza::{Head, Iq, Presence, PresenceKind, Stanza, StanzaError};
use crate::xml::{Element, Payloads};

/// Contacts an account may have. Ten thousand are more than any person has and fewer than
/// hurt when a roster is read at login.
pub const CONTACTS_MAX: usize = 10_000;
/// Bytes of a contact's name: the length of a JID's part, for want of a number in the RFC.
pub const NAME_BYTES_MAX: usize = 1023;
/// Bytes of a group's name.
pub const GROUP_BYTES_MAX: usize = 1023;
/// Groups a contact may be in.
pub const GROUPS_MAX: usize = 100;

/// What a roster set asks for.
#[derive(Debug, PartialEq)]
enum Wanted {
    Put { jid: BareJid, name: Option<String>, groups: Vec<String> },
    Remove(BareJid),
}

/// Decides a roster set.
pub(super) fn decide(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    // §2.3.3: only the account itself.
    if facts.session.is_none() {
        return refuse(iq, StanzaError::forbidden());
    }
    let decided = parse(iq).and_then(|wanted| match wanted {
        Wanted::Put { jid, name, groups } => put(jid, name, groups, facts),
        Wanted::Remove(jid) => remove(&jid, facts),
    });
    let (mut effects, after) = match decided {
        Ok(decided) => decided,
        Err(error) => return refuse(iq, error),
    };
    effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
    effects.extend(after);
    effects
}

/// What happens before the result, and after it.
type Decided = Result<(Vec<Effect>, Vec<Effect>), StanzaError>;

fn put(jid: BareJid, name: Option<String>, groups: Vec<String>, facts: &Facts<'_>) -> Decided {
    // Nobody is a contact of themselves: an account sees its own resources anyway (§4.2.2).
    if jid == *facts.account {
        return Err(StanzaError::not_allowed().with_text("an account is no contact of itself"));
    }
    let roster = &facts.data.roster;
    let known = roster.items.get(&jid);
    if known.is_none() && roster.items.len() >= CONTACTS_MAX {
        return Err(StanzaError::policy_violation().with_text("the roster is full"));
    }
    // §2.1.2: the subscription and its sub-states are the server's, whatever the set says.
    let mut item = known.cloned().unwrap_or_else(|| RosterItem::new(jid));
    item.name = name;
    item.groups = groups;
    item.listed = true;
    let push = push_of(item.to_element(), facts);
    let change = Effect::Change(Change::Roster(vec![RosterChange::Put(item)]));
    Ok((vec![change, push], Vec::new()))
}

fn remove(jid: &BareJid, facts: &Facts<'_>) -> Decided {
    // §2.5.3.
    let Some(item) = facts.data.roster.items.get(jid).filter(|item| item.listed) else {
        return Err(StanzaError::item_not_found());
    };
    let change = Effect::Change(Change::Roster(vec![RosterChange::Remove(jid.clone())]));
    let push = push_of(removed_element(jid), facts);
    Ok((vec![change, push], part_with(item, facts)))
}

/// §2.5.2: with the contact go both subscriptions, and the contact is told.
fn part_with(item: &RosterItem, facts: &Facts<'_>) -> Vec<Effect> {
    let contact = Jid::from(item.jid.clone());
    let mut effects = Vec::new();
    // A request of ours that waits is withdrawn too.
    if item.subscription.sees() || item.ask {
        effects.push(tell(PresenceKind::Unsubscribe, &contact, facts));
    }
    if item.subscription.shows() {
        // §3.2.1.2: the last presence a contact sees is that there is none any more.
        effects.extend(presence::show_unavailable(&contact, facts));
    }
    // A request of theirs that waits is refused: it would come up again at the next login.
    if item.subscription.shows() || item.pending_in.is_some() {
        effects.push(tell(PresenceKind::Unsubscribed, &contact, facts));
    }
    effects
}

/// A subscription stanza the server sends in the account's name.
pub(crate) fn tell(kind: PresenceKind, contact: &Jid, facts: &Facts<'_>) -> Effect {
    let head = Head {
        to: Some(contact.clone()),
        from: Some(Jid::from(facts.account.clone())),
        id: None,
        lang: None,
    };
    Effect::Route(Stanza::Presence(Presence { head, kind, payloads: Payloads::default() }))
}

fn parse(iq: &Iq) -> Result<Wanted, StanzaError> {
    let query = iq.payloads.element("query", NS).ok_or_else(StanzaError::bad_request)?;
    // §2.3.3: at most one item; none is nothing to do.
    let mut items = query.children().filter(|child| child.is("item", NS));
    let (Some(item), None) = (items.next(), items.next()) else {
        return Err(StanzaError::bad_request().with_text("a roster set has exactly one item"));
    };
    let jid = item.get("jid").ok_or_else(StanzaError::bad_request)?;
    let jid = Jid::parse(jid).map_err(|_| StanzaError::jid_malformed())?.bare();
    if item.get("subscription") == Some("remove") {
        return Ok(Wanted::Remove(jid));
    }
    Ok(Wanted::Put { jid, name: parse_name(item)?, groups: parse_groups(item)? })
}

fn parse_name(item: &Element) -> Result<Option<String>, StanzaError> {
    let name = item.get("name").filter(|name| !name.is_empty());
    if name.is_some_and(|name| name.len() > NAME_BYTES_MAX) {
        return Err(StanzaError::not_acceptable().with_text("the name is too long"));
    }
    Ok(name.map(str::to_owned))
}

fn parse_groups(item: &Element) -> Result<Vec<String>, StanzaError> {
    let mut groups = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for element in item.children().filter(|child| child.is("group", NS)) {
        let group = element.text_content();
        check_group(&group)?;
        // §2.3.3: compared as resources are, so that no two groups look the same.
        let prepared = prepare_resource(&group).map_or_else(|_| group.clone(), |it| it.into_owned());
        if !seen.insert(prepared) {
            return Err(StanzaError::bad_request().with_text("the same group twice"));
        }
        if groups.len() == GROUPS_MAX {
            return Err(StanzaError::not_acceptable().with_text("too many groups"));
        }
        groups.push(group);
    }
    Ok(groups)
}

/// §2.3.3.
fn check_group(group: &str) -> Result<(), StanzaError> {
    if group.is_empty() {
        return Err(StanzaError::not_acceptable().with_text("a group without a name"));
    }
    if group.len() > GROUP_BYTES_MAX {
        return Err(StanzaError::not_acceptable().with_text("the name of a group is too long"));
    }
    Ok(())
}
