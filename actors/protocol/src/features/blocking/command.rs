//! Reading and changing the block list: XEP-0191 §2.2 to §2.5.

use std::collections::BTreeSet;

use crate::effect::{Change, Effect, Flag, Interest};
use crate::facts::Facts;
use crate::features::blocking::{Blocklist, BlocklistChange, NS, is_exempt};
use crate::features::presence::{show_current, show_unavailable};
use crate::features::{refuse, reporting};
use crate::jid::Jid;
use crate::stanza::{Head, Iq, Presence, PresenceKind, Stanza, StanzaError};
use crate::xml::{Element, Payloads};

/// Addresses an account may block. Every stanza is held against the list, which costs three
/// look-ups whatever its length; the bound is for what a login has to load.
pub const BLOCKED_MAX: usize = 10_000;

/// §2.2: the list; who has read it is told of changes.
pub(super) fn get(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let list = element("blocklist", facts.data.blocklist.jids.iter());
    vec![
        Effect::Flag(Flag::Interested(Interest::Blocklist)),
        Effect::Reply(Stanza::Iq(iq.result(Some(list)))),
    ]
}

/// §2.3.
pub(super) fn block(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let jids = match parse(iq, "block") {
        Ok(jids) if jids.is_empty() => {
            let error = StanzaError::bad_request().with_text("nobody to block");
            return refuse(iq, error);
        }
        Ok(jids) => jids,
        Err(error) => return refuse(iq, error),
    };
    let reports = match reporting::read(iq, facts) {
        Ok(reports) => reports,
        Err(error) => return refuse(iq, error),
    };
    let before = &facts.data.blocklist;
    let add: Vec<Jid> = jids
        .iter()
        .filter(|jid| !before.jids.contains(*jid))
        .cloned()
        .collect();
    if before.jids.len() + add.len() > BLOCKED_MAX {
        let error = StanzaError::policy_violation().with_text("the block list is full");
        return refuse(iq, error);
    }
    let mut after = before.clone();
    after.jids.extend(add.iter().cloned());
    let mut effects = change(BlocklistChange {
        add,
        remove: Vec::new(),
    });
    effects.extend(hide(before, &after, facts));
    effects.push(Effect::Push(
        Interest::Blocklist,
        element("block", jids.iter()),
    ));
    // XEP-0377 §6: only now, when the block is certain.
    let reports = reports.into_iter().map(Box::new);
    effects.extend(reports.map(Effect::Report));
    effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
    effects
}

/// §2.4, and §2.5 without items.
pub(super) fn unblock(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let jids = match parse(iq, "unblock") {
        Ok(jids) => jids,
        Err(error) => return refuse(iq, error),
    };
    let before = &facts.data.blocklist;
    let remove: Vec<Jid> = match jids.is_empty() {
        true => before.jids.iter().cloned().collect(),
        false => jids
            .iter()
            .filter(|jid| before.jids.contains(*jid))
            .cloned()
            .collect(),
    };
    let mut after = before.clone();
    for jid in &remove {
        after.jids.remove(jid);
    }
    let mut effects = change(BlocklistChange {
        add: Vec::new(),
        remove,
    });
    // §2.4: those who may see the user see them again.
    let shown = hidden_between(&after, before, facts);
    effects.extend(shown.iter().flat_map(|to| show_current(to, facts)));
    effects.push(Effect::Push(
        Interest::Blocklist,
        element("unblock", jids.iter()),
    ));
    effects.push(Effect::Reply(Stanza::Iq(iq.result(None))));
    effects
}

fn change(change: BlocklistChange) -> Vec<Effect> {
    if change == BlocklistChange::default() {
        return Vec::new();
    }
    vec![Effect::Change(Change::Blocklist(change))]
}

/// §2.3: those who see the user and are blocked now see them go.
fn hide(before: &Blocklist, after: &Blocklist, facts: &Facts<'_>) -> Vec<Effect> {
    let hidden = hidden_between(before, after, facts);
    let mut effects: Vec<Effect> = hidden
        .iter()
        .flat_map(|to| show_unavailable(to, facts))
        .collect();
    effects.extend(take_back_directed(before, after, &hidden, facts));
    effects
}

/// The addresses that see the user by subscription and are blocked by one list but not by
/// the other.
fn hidden_between(open: &Blocklist, closed: &Blocklist, facts: &Facts<'_>) -> Vec<Jid> {
    let is_hidden = |jid: &Jid| !is_exempt(jid, facts) && !open.covers(jid) && closed.covers(jid);
    let contacts = facts.viewers().into_iter().map(Jid::from);
    let mut hidden: Vec<Jid> = contacts.filter(&is_hidden).collect();
    // A single resource of a contact who is not blocked.
    let resources = closed.jids.difference(&open.jids).filter(|jid| {
        let bare = jid.bare();
        let shows = facts.shows(bare.as_str());
        jid.resource().is_some() && shows && is_hidden(jid) && !closed.covers(&bare.into())
    });
    hidden.extend(resources.cloned());
    hidden
}

/// Directed presence was shown too (RFC 6121 §4.6), by this session at least.
fn take_back_directed(
    before: &Blocklist,
    after: &Blocklist,
    told: &[Jid],
    facts: &Facts<'_>,
) -> Vec<Effect> {
    let Some(session) = facts.session else {
        return Vec::new();
    };
    let hidden = session
        .directed
        .iter()
        .filter(|jid| !is_exempt(jid, facts) && !before.covers(jid) && after.covers(jid));
    let mut effects = Vec::new();
    for to in hidden {
        if !told.contains(to) {
            let from = Some(session.jid.clone().into());
            let head = Head {
                to: Some(to.clone()),
                from,
                id: None,
                lang: None,
            };
            let kind = PresenceKind::Unavailable;
            let presence = Presence {
                head,
                kind,
                payloads: Payloads::default(),
            };
            effects.push(Effect::Route(Stanza::Presence(presence)));
        }
        effects.push(Effect::Flag(Flag::Directed(to.clone(), false)));
    }
    effects
}

fn element<'a>(name: &'static str, jids: impl Iterator<Item = &'a Jid>) -> Element {
    let items = jids.map(|jid| Element::new("item", NS).attr("jid", jid.as_str()));
    items.fold(Element::new(name, NS), Element::child)
}

fn parse(iq: &Iq, name: &str) -> Result<Vec<Jid>, StanzaError> {
    let command = iq
        .payloads
        .element(name, NS)
        .ok_or_else(StanzaError::bad_request)?;
    let mut jids = Vec::new();
    let mut seen = BTreeSet::new();
    for item in command.children().filter(|child| child.is("item", NS)) {
        let jid = item.get("jid").ok_or_else(StanzaError::bad_request)?;
        let jid = Jid::parse(jid).map_err(|_| StanzaError::jid_malformed())?;
        if seen.insert(jid.clone()) {
            jids.push(jid);
        }
    }
    Ok(jids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::roster::Subscription::{Both, From, None as Neither, To};
    use crate::testkit::*;

    const JULIET: &str = "juliet@example.org";

    fn command(name: &str, jids: &[&str]) -> String {
        let items: String = jids
            .iter()
            .map(|jid| format!("<item jid='{jid}'/>"))
            .collect();
        format!("<{name} xmlns='urn:xmpp:blocking'>{items}</{name}>")
    }

    fn set(name: &str, jids: &[&str]) -> String {
        format!("<iq type='set' id='b'>{}</iq>", command(name, jids))
    }

    fn pushed(name: &str, jids: &[&str]) -> Effect {
        push(Interest::Blocklist, &command(name, jids))
    }

    fn done() -> Effect {
        reply(&format!("<iq type='result' id='b' to='{ME}'/>"))
    }

    fn gone_for(to: &str) -> Effect {
        route(&format!(
            "<presence type='unavailable' from='{ME}' to='{to}'/>"
        ))
    }

    fn shown_to(to: &str) -> Effect {
        route(&format!("<presence from='{ME}' to='{to}'/>"))
    }

    #[test]
    fn the_list_is_shown_and_its_reader_told_of_changes() {
        let ask = "<iq type='get' id='b'><blocklist xmlns='urn:xmpp:blocking'/></iq>";
        let list = |jids: &[&str]| {
            let list = command("blocklist", jids);
            reply(&format!("<iq type='result' id='b' to='{ME}'>{list}</iq>"))
        };
        check(facts(), ask, &[interested(Interest::Blocklist), list(&[])]);
        let given = facts().blocks(JULIET).blocks("capulet.example");
        let expected = [
            interested(Interest::Blocklist),
            list(&["capulet.example", JULIET]),
        ];
        check(given, ask, &expected);
    }

    #[test]
    fn nobody_reads_or_changes_the_list_of_others() {
        for payload in [command("block", &[JULIET]), command("unblock", &[])] {
            let xml =
                format!("<iq type='set' id='b' from='{JULIET}/x' to='{ACCOUNT}'>{payload}</iq>");
            assert_eq!(refusal(&facts().account_gets(&xml)), "service-unavailable");
        }
        let get = command("blocklist", &[]);
        let xml = format!("<iq type='get' id='b' from='{JULIET}/x' to='{ACCOUNT}'>{get}</iq>");
        assert_eq!(refusal(&facts().account_gets(&xml)), "service-unavailable");
    }

    #[test]
    fn blocking_is_kept_pushed_and_confirmed() {
        let jids = [JULIET, "capulet.example/door"];
        check(
            facts(),
            &set("block", &jids),
            &[block_jids(&jids), pushed("block", &jids), done()],
        );
    }

    #[test]
    fn blocking_again_keeps_nothing_new() {
        let expected = [pushed("block", &[JULIET]), done()];
        check(facts().blocks(JULIET), &set("block", &[JULIET]), &expected);
    }

    #[test]
    fn bad_commands_have_named_outcomes() {
        let refused = |xml: &str| refusal(&facts().sends(xml));
        assert_eq!(refused(&set("block", &[])), "bad-request");
        assert_eq!(refused(&set("block", &["@"])), "jid-malformed");
        assert_eq!(refused(&set("unblock", &["@"])), "jid-malformed");
        for name in ["block", "unblock"] {
            let no_jid =
                format!("<iq type='set' id='b'><{name} xmlns='{NS}'><item/></{name}></iq>");
            assert_eq!(refused(&no_jid), "bad-request");
        }
    }

    #[test]
    fn the_list_is_limited() {
        let mut given = facts();
        for n in 0..BLOCKED_MAX {
            given = given.blocks(&format!("b{n}@example.org"));
        }
        assert_eq!(
            refusal(&given.sends(&set("block", &[JULIET]))),
            "policy-violation"
        );
        assert_eq!(given.sends(&set("block", &["b7@example.org"])).len(), 2);
    }

    #[test]
    fn who_saw_the_user_sees_them_go_and_nobody_else_does() {
        for (subscription, sees) in [(Neither, false), (To, false), (From, true), (Both, true)] {
            let given = facts().available().contact(JULIET, subscription);
            let mut expected = vec![block_jids(&[JULIET])];
            expected.extend(sees.then(|| gone_for(JULIET)));
            expected.extend([pushed("block", &[JULIET]), done()]);
            check(given, &set("block", &[JULIET]), &expected);
        }
    }

    #[test]
    fn every_resource_goes_and_only_once() {
        let given = facts()
            .available()
            .online("romeo@example.org/orchard", Some("<presence/>"))
            .contact(JULIET, From)
            .blocks("example.org");
        // Blocked with the domain before: she has been told then.
        let again = given.sends(&set("block", &[JULIET]));
        same(
            &again,
            &[block_jids(&[JULIET]), pushed("block", &[JULIET]), done()],
        );
        let mut open = given;
        open.data.blocklist = Blocklist::default();
        let orchard = format!(
            "<presence type='unavailable' from='romeo@example.org/orchard' to='{JULIET}'/>"
        );
        let jids = ["example.org", JULIET];
        let expected = [
            block_jids(&jids),
            gone_for(JULIET),
            route(&orchard),
            pushed("block", &jids),
            done(),
        ];
        check(open, &set("block", &jids), &expected);
    }

    #[test]
    fn a_single_resource_sees_the_user_go() {
        let chamber = "juliet@example.org/chamber";
        let given = facts().available().contact(JULIET, From);
        let expected = [
            block_jids(&[chamber]),
            gone_for(chamber),
            pushed("block", &[chamber]),
            done(),
        ];
        check(given, &set("block", &[chamber]), &expected);
    }

    #[test]
    fn who_got_directed_presence_sees_the_user_go() {
        let nick = "room@conference.example.org/tybalt";
        let given = facts().available().directed(nick);
        let room = "room@conference.example.org";
        let expected = [
            block_jids(&[room]),
            gone_for(nick),
            directed(nick, false),
            pushed("block", &[room]),
            done(),
        ];
        check(given, &set("block", &[room]), &expected);
    }

    #[test]
    fn unblocking_shows_the_user_again_to_those_who_may_see_them() {
        for (subscription, sees) in [(Neither, false), (To, false), (From, true), (Both, true)] {
            let given = facts()
                .available()
                .contact(JULIET, subscription)
                .blocks(JULIET);
            let mut expected = vec![unblock_jids(&[JULIET])];
            expected.extend(sees.then(|| shown_to(JULIET)));
            expected.extend([pushed("unblock", &[JULIET]), done()]);
            check(given, &set("unblock", &[JULIET]), &expected);
        }
    }

    #[test]
    fn who_stays_blocked_otherwise_is_shown_nothing() {
        let given = facts()
            .available()
            .contact(JULIET, From)
            .blocks(JULIET)
            .blocks("example.org");
        let expected = [
            unblock_jids(&[JULIET]),
            pushed("unblock", &[JULIET]),
            done(),
        ];
        check(given, &set("unblock", &[JULIET]), &expected);
    }

    #[test]
    fn unblocking_nobody_in_particular_unblocks_all() {
        let given = facts()
            .available()
            .contact(JULIET, Both)
            .blocks(JULIET)
            .blocks("capulet.example");
        let expected = [
            unblock_jids(&["capulet.example", JULIET]),
            shown_to(JULIET),
            pushed("unblock", &[]),
            done(),
        ];
        check(given, &set("unblock", &[]), &expected);
        check(
            facts(),
            &set("unblock", &[]),
            &[pushed("unblock", &[]), done()],
        );
    }

    #[test]
    fn unblocking_who_is_not_blocked_changes_nothing() {
        let expected = [pushed("unblock", &[JULIET]), done()];
        check(facts().available(), &set("unblock", &[JULIET]), &expected);
    }
}
