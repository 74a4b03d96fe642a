//! Tests of commands.

use super::*;
use crate::testkit::*;

const ANNOUNCE: &str = "http://jabber.org/protocol/admin#announce";

fn execute(node: &str, attributes: &str, inside: &str) -> String {
    format!(
        "<iq type='set' id='c' to='example.org'><command xmlns='{NS}' node='{node}' \
         {attributes}>{inside}</command></iq>"
    )
}

/// What an administrator, or somebody else, is answered.
fn answered(sent: &str, is_admin: bool) -> Vec<Effect> {
    let given = facts();
    match &*given.sends(sent) {
        [Effect::Load(Query::IsAdmin, go_on)] => {
            go_on(&stanza(sent), Answer::IsAdmin(is_admin), &given.facts())
        }
        effects => effects.to_vec(),
    }
}

fn shown(effects: &[Effect]) -> String {
    match effects {
        [Effect::Reply(reply)] => String::from_utf8(reply.to_bytes().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn section_3_4_a_form_is_offered_with_the_step_that_follows() {
    let form = shown(&answered(&execute(ANNOUNCE, "action='execute'", ""), true));
    for part in [
        "status='executing'",
        "<actions execute='complete'><complete/></actions>",
        "<x xmlns='jabber:x:data' type='form'>",
    ] {
        assert!(form.contains(part), "{part} in {form}");
    }
}

#[test]
fn a_session_keeps_its_name_and_may_be_canceled() {
    let session = "0123456789abcdef0123456789abcdef";
    let attributes = format!("action='cancel' sessionid='{session}'");
    let canceled = shown(&answered(&execute(ANNOUNCE, &attributes, ""), true));
    assert!(canceled.contains("status='canceled'"), "{canceled}");
    assert!(canceled.contains(session), "{canceled}");
}

#[test]
fn section_4_4_each_mistake_has_its_name() {
    let result_form = "<x xmlns='jabber:x:data' type='result'/>";
    let empty = "<x xmlns='jabber:x:data' type='submit'/>";
    for (sent, condition) in [
        (execute("no:such", "", ""), "<item-not-found"),
        (execute(ANNOUNCE, "action='jump'", ""), "<malformed-action"),
        (execute(ANNOUNCE, "action='prev'", ""), "<bad-action"),
        (execute(ANNOUNCE, "sessionid='x'", ""), "<bad-sessionid"),
        (execute(ANNOUNCE, "", result_form), "<bad-payload"),
        (execute(ANNOUNCE, "", empty), "<bad-payload"),
    ] {
        let refusal = shown(&answered(&sent, true));
        assert!(refusal.contains(condition), "{condition} in {refusal}");
    }
}

#[test]
fn r13_who_is_no_administrator_of_this_domain_is_forbidden_every_command() {
    for command in all().filter(|it| it.who == Who::Administrators) {
        let sent = execute(command.node, "", "");
        assert_eq!(refusal(&answered(&sent, false)), "forbidden", "{sent}");
    }
    // The domain that is asked is the one that the account belongs to.
    let mut given = facts();
    given.host.domains.push(bare("other.example"));
    let sent = execute(ANNOUNCE, "", "").replace("to='example.org'", "to='other.example'");
    assert_eq!(refusal(&given.sends(&sent)), "forbidden");
}

#[test]
fn section_2_2_commands_are_listed_to_those_who_may_use_them() {
    let list = format!(
        "<iq type='get' id='1' to='example.org'>\
         <query xmlns='http://jabber.org/protocol/disco#items' node='{NS}'/></iq>"
    );
    assert!(shown(&answered(&list, true)).contains(ANNOUNCE));
    assert!(!shown(&answered(&list, false)).contains(ANNOUNCE));
    let info = |node| {
        format!(
            "<iq type='get' id='1' to='example.org'>\
             <query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/></iq>"
        )
    };
    assert!(shown(&answered(&info(NS), false)).contains("type='command-list'"));
    assert!(shown(&answered(&info(ANNOUNCE), false)).contains("type='command-node'"));
}

#[test]
fn nodes_are_unique() {
    let mut nodes: Vec<&str> = all().map(|command| command.node).collect();
    let count = nodes.len();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), count);
}
