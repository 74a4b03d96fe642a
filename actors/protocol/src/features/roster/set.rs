//! Changing the roster: RFC 6121 §2.3 (add), §2.4 (update), §2.5 (remove).

use crate::effect::{Change, Effect};
use crate::facts::Facts;
use crate::features::presence;
use crate::features::refuse;
use crate::features::roster::{
    NS, RosterChange, RosterItem, Subscription, push_again, push_of, shared,
};
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
    Put {
        jid: BareJid,
        name: Option<String>,
        groups: Vec<String>,
    },
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
    shared::without_shared(&mut item, facts);
    if known.is_none() && adds_nothing(&item) && facts.is_colleague(item.jid.as_str()) {
        // The directory says all of it; the client may have shown something else meanwhile.
        return Ok((vec![push_again(&item.jid, facts)], Vec::new()));
    }
    let push = push_of(&item.jid, Some(&item), facts);
    let change = Effect::Change(Change::Roster(vec![RosterChange::Put(item)]));
    Ok((vec![change, push], Vec::new()))
}

fn adds_nothing(item: &RosterItem) -> bool {
    item.name.is_none() && item.groups.is_empty() && item.subscription == Subscription::None
}

fn remove(jid: &BareJid, facts: &Facts<'_>) -> Decided {
    let is_colleague = facts.is_colleague(jid.as_str());
    let Some(item) = facts.data.roster.items.get(jid).filter(|item| item.listed) else {
        return Err(match is_colleague {
            // The user has added nothing that could be taken away, and a success would have the
            // client believe that the contact is gone.
            true => StanzaError::not_allowed().with_text("the organisation's directory shows it"),
            // §2.5.3.
            false => StanzaError::item_not_found(),
        });
    };
    // Of a colleague what the user has added goes: that is all the user can have meant, and the
    // push shows what stays.
    let change = Effect::Change(Change::Roster(vec![RosterChange::Remove(jid.clone())]));
    let push = push_of(jid, None, facts);
    Ok((vec![change, push], part_with(item, facts)))
}

/// What is said to every contact when the account itself goes.
pub fn part_with_all(facts: &Facts<'_>) -> Vec<Effect> {
    let contacts = facts.data.roster.items.values();
    contacts.flat_map(|item| part_with(item, facts)).collect()
}

/// §2.5.2: with the contact go both subscriptions, and the contact is told.
fn part_with(item: &RosterItem, facts: &Facts<'_>) -> Vec<Effect> {
    let contact = Jid::from(item.jid.clone());
    let mut effects = Vec::new();
    // A request of ours that waits is withdrawn too.
    if item.subscription.sees() || item.ask {
        effects.push(tell(PresenceKind::Unsubscribe, &contact, facts));
    }
    // A colleague goes on seeing the account.
    if item.subscription.shows() && !facts.is_colleague(item.jid.as_str()) {
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
    Effect::Route(Stanza::Presence(Presence {
        head,
        kind,
        payloads: Payloads::default(),
    }))
}

fn parse(iq: &Iq) -> Result<Wanted, StanzaError> {
    let query = iq
        .payloads
        .element("query", NS)
        .ok_or_else(StanzaError::bad_request)?;
    // §2.3.3: at most one item; none is nothing to do.
    let mut items = query.children().filter(|child| child.is("item", NS));
    let (Some(item), None) = (items.next(), items.next()) else {
        return Err(StanzaError::bad_request().with_text("a roster set has exactly one item"));
    };
    let jid = item.get("jid").ok_or_else(StanzaError::bad_request)?;
    let jid = Jid::parse(jid)
        .map_err(|_| StanzaError::jid_malformed())?
        .bare();
    if item.get("subscription") == Some("remove") {
        return Ok(Wanted::Remove(jid));
    }
    Ok(Wanted::Put {
        jid,
        name: parse_name(item)?,
        groups: parse_groups(item)?,
    })
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
        let prepared =
            prepare_resource(&group).map_or_else(|_| group.clone(), |it| it.into_owned());
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::effect::Interest;
    use crate::features::roster::Subscription::{self, Both, From, None as Neither, To};
    use crate::testkit::*;

    const JULIET: &str = "juliet@example.org";

    fn set(items: &str) -> String {
        format!("<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{items}</query></iq>")
    }

    fn done() -> Effect {
        reply(&format!("<iq type='result' id='s' to='{ME}'/>"))
    }

    fn pushed(version: u64, item: &str) -> Effect {
        let query = format!("<query xmlns='jabber:iq:roster' ver='{version}'>{item}</query>");
        push(Interest::Roster, &query)
    }

    #[test]
    fn a_new_contact_is_kept_pushed_and_confirmed() {
        let wanted = "<item jid='juliet@example.org' name='Juliet'><group>Friends</group></item>";
        let juliet = RosterItem {
            name: Some("Juliet".into()),
            groups: vec!["Friends".into()],
            ..item(JULIET, Neither)
        };
        let shown = "<item jid='juliet@example.org' name='Juliet' subscription='none'>\
                     <group>Friends</group></item>";
        check(
            facts(),
            &set(wanted),
            &[put_item(juliet), pushed(1, shown), done()],
        );
    }

    #[test]
    fn a_set_touches_name_and_groups_and_nothing_else() {
        let known = RosterItem {
            name: Some("J".into()),
            groups: vec!["Old".into()],
            ask: true,
            version: 4,
            ..item(JULIET, From)
        };
        let wanted = "<item jid='juliet@example.org' subscription='both' approved='true'/>";
        let after = RosterItem {
            name: None,
            groups: Vec::new(),
            ..known.clone()
        };
        let shown = "<item jid='juliet@example.org' subscription='from' ask='subscribe'/>";
        check(
            facts().item(known),
            &set(wanted),
            &[put_item(after), pushed(5, shown), done()],
        );
    }

    #[test]
    fn a_stranger_who_has_asked_becomes_a_contact_and_the_request_stays() {
        let asked = RosterItem {
            pending_in: Some(Bytes::from_static(b"<presence type='subscribe'/>")),
            ..RosterItem::new(bare(JULIET))
        };
        let after = RosterItem {
            listed: true,
            ..asked.clone()
        };
        let shown = "<item jid='juliet@example.org' subscription='none'/>";
        let expected = [put_item(after), pushed(1, shown), done()];
        check(
            facts().item(asked),
            &set("<item jid='juliet@example.org'/>"),
            &expected,
        );
    }

    #[test]
    fn a_contact_is_an_account_whatever_resource_was_named() {
        let shown = "<item jid='juliet@example.org' subscription='none'/>";
        let expected = [put_item(item(JULIET, Neither)), pushed(1, shown), done()];
        check(
            facts(),
            &set("<item jid='Juliet@Example.org/chamber'/>"),
            &expected,
        );
    }

    #[test]
    fn a_domain_may_be_a_contact() {
        let shown = "<item jid='rooms.example.org' subscription='none'/>";
        let expected = [
            put_item(item("rooms.example.org", Neither)),
            pushed(1, shown),
            done(),
        ];
        check(facts(), &set("<item jid='rooms.example.org'/>"), &expected);
    }

    #[track_caller]
    fn refused(items: &str, condition: &str) {
        assert_eq!(
            refusal(&facts().sends(&set(items))),
            condition,
            "{items:.100}"
        );
    }

    #[test]
    fn bad_sets_have_named_outcomes() {
        let item = |inside: &str| format!("<item jid='juliet@example.org'>{inside}</item>");
        refused("", "bad-request");
        refused(
            "<item jid='a@example.org'/><item jid='b@example.org'/>",
            "bad-request",
        );
        refused("<item/>", "bad-request");
        refused("<item jid='@'/>", "jid-malformed");
        refused("<item jid='@' subscription='remove'/>", "jid-malformed");
        refused("<item jid='romeo@example.org'/>", "not-allowed");
        refused("<item jid='romeo@example.org/other'/>", "not-allowed");
        refused(&item("<group/>"), "not-acceptable");
        refused(&item("<group>A</group><group>A</group>"), "bad-request");
        refused(
            "<item jid='juliet@example.org' subscription='remove'/>",
            "item-not-found",
        );
    }

    #[test]
    fn lengths_are_limited_and_the_limit_itself_is_fine() {
        let named = |length| format!("<item jid='{JULIET}' name='{}'/>", "n".repeat(length));
        let grouped = |length: usize| {
            format!(
                "<item jid='{JULIET}'><group>{}</group></item>",
                "g".repeat(length)
            )
        };
        let many = |count| {
            let groups: String = (0..count).map(|n| format!("<group>{n}</group>")).collect();
            format!("<item jid='{JULIET}'>{groups}</item>")
        };
        for fine in [
            named(NAME_BYTES_MAX),
            grouped(GROUP_BYTES_MAX),
            many(GROUPS_MAX),
        ] {
            assert_eq!(facts().sends(&set(&fine)).len(), 3);
        }
        for long in [
            named(NAME_BYTES_MAX + 1),
            grouped(GROUP_BYTES_MAX + 1),
            many(GROUPS_MAX + 1),
        ] {
            refused(&long, "not-acceptable");
        }
    }

    #[test]
    fn a_full_roster_takes_changes_but_no_more_contacts() {
        let mut given = facts();
        for n in 0..CONTACTS_MAX {
            given = given.contact(&format!("c{n}@example.org"), Neither);
        }
        let more = given.sends(&set("<item jid='juliet@example.org'/>"));
        assert_eq!(refusal(&more), "policy-violation");
        assert_eq!(
            given
                .sends(&set("<item jid='c7@example.org' name='Seven'/>"))
                .len(),
            3
        );
    }

    #[test]
    fn strangers_may_not_change_the_roster() {
        let wanted = set("<item jid='tybalt@example.org'/>");
        let wanted = wanted.replace(
            "<iq ",
            "<iq from='tybalt@example.org/x' to='romeo@example.org' ",
        );
        assert_eq!(refusal(&facts().account_gets(&wanted)), "forbidden");
    }

    const REMOVE: &str = "<item jid='juliet@example.org' subscription='remove'/>";
    const UNSUBSCRIBE: &str =
        "<presence type='unsubscribe' from='romeo@example.org' to='juliet@example.org'/>";
    const UNSUBSCRIBED: &str =
        "<presence type='unsubscribed' from='romeo@example.org' to='juliet@example.org'/>";
    const GONE: &str =
        "<presence type='unavailable' from='romeo@example.org/balcony' to='juliet@example.org'/>";

    #[track_caller]
    fn removed(known: RosterItem, told: &[&str]) {
        let mut expected = vec![
            remove_item(JULIET),
            pushed(1, "<item jid='juliet@example.org' subscription='remove'/>"),
            done(),
        ];
        expected.extend(told.iter().map(|xml| route(xml)));
        check(facts().available().item(known), &set(REMOVE), &expected);
    }

    #[test]
    fn with_a_contact_go_the_subscriptions_there_are() {
        let with = |subscription: Subscription| item(JULIET, subscription);
        removed(with(Neither), &[]);
        removed(with(To), &[UNSUBSCRIBE]);
        removed(with(From), &[GONE, UNSUBSCRIBED]);
        removed(with(Both), &[UNSUBSCRIBE, GONE, UNSUBSCRIBED]);
    }

    #[test]
    fn with_a_contact_go_the_requests_that_wait() {
        let asked = RosterItem {
            ask: true,
            ..item(JULIET, Neither)
        };
        let is_asked = RosterItem {
            pending_in: Some(Bytes::from_static(b"<presence type='subscribe'/>")),
            ..item(JULIET, Neither)
        };
        removed(asked, &[UNSUBSCRIBE]);
        removed(is_asked, &[UNSUBSCRIBED]);
    }

    #[test]
    fn a_request_of_a_stranger_is_no_contact_to_remove() {
        let asked = RosterItem {
            pending_in: Some(Bytes::from_static(b"<presence type='subscribe'/>")),
            ..RosterItem::new(bare(JULIET))
        };
        assert_eq!(
            refusal(&facts().item(asked).sends(&set(REMOVE))),
            "item-not-found"
        );
    }

    // Colleagues.

    fn office() -> Given {
        facts().group("Office", &["romeo", "juliet"])
    }

    const OF_OFFICE: &str = "<item jid='juliet@example.org' name='juliet' subscription='both'>\
                             <group>Office</group></item>";

    #[test]
    fn colleague_is_renamed_and_put_into_own_groups_and_stays_a_colleague() {
        // Clients say again what they were shown.
        let wanted = "<item jid='juliet@example.org' name='Jules'>\
                      <group>Office</group><group>Friends</group></item>";
        let own = RosterItem {
            name: Some("Jules".into()),
            groups: vec!["Friends".into()],
            ..item(JULIET, Neither)
        };
        let shown = "<item jid='juliet@example.org' name='Jules' subscription='both'>\
                     <group>Friends</group><group>Office</group></item>";
        let expected = [put_item(own), pushed(1, shown), done()];
        check(office(), &set(wanted), &expected);
    }

    #[test]
    fn what_the_directory_says_anyway_is_not_kept() {
        let wanted = "<item jid='juliet@example.org' name='juliet'><group>Office</group></item>";
        check(office(), &set(wanted), &[pushed(0, OF_OFFICE), done()]);
        // Out of the group it cannot be taken.
        let wanted = "<item jid='juliet@example.org'/>";
        check(office(), &set(wanted), &[pushed(0, OF_OFFICE), done()]);
    }

    #[test]
    fn colleague_of_whom_nothing_was_added_is_not_removed() {
        assert_eq!(refusal(&office().sends(&set(REMOVE))), "not-allowed");
    }

    #[test]
    fn removing_a_colleague_takes_away_what_was_added_and_shows_what_stays() {
        let own = RosterItem {
            name: Some("Jules".into()),
            ..item(JULIET, Both)
        };
        let expected = [
            remove_item(JULIET),
            pushed(1, OF_OFFICE),
            done(),
            // Her own roster follows; she is not shown that anybody goes.
            route(UNSUBSCRIBE),
            route(UNSUBSCRIBED),
        ];
        check(office().available().item(own), &set(REMOVE), &expected);
    }
}
