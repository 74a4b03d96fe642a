//! Tests of invitations.

use super::*;
use crate::features::adhoc::NS as NS_COMMANDS;
use crate::testkit::*;

fn execute(node: &str, inside: &str) -> String {
    format!(
        "<iq type='set' id='c' to='example.org'><command xmlns='{NS_COMMANDS}' node='{node}' \
         action='execute'>{inside}</command></iq>"
    )
}

fn submit(fields: &[(&str, &str)]) -> String {
    let field = |(name, value)| format!("<field var='{name}'><value>{value}</value></field>");
    let fields: String = fields.iter().copied().map(field).collect();
    format!("<x xmlns='jabber:x:data' type='submit'>{fields}</x>")
}

/// What is to be made, and how it goes on.
fn asked(effects: &[Effect]) -> (&Invite, crate::effect::Continue) {
    let [Effect::Load(Query::Invite(invite), go_on)] = effects else {
        panic!("{effects:?}")
    };
    (invite, *go_on)
}

#[test]
fn user_is_given_a_link_at_once() {
    let given = facts();
    let sent = execute(NODE_INVITE, "");
    let effects = given.sends(&sent);
    let (invite, go_on) = asked(&effects);
    let Invitation {
        inviter,
        reserved,
        is_contact,
        created,
        expiry,
        ..
    } = &invite.invitation;
    assert_eq!(inviter.as_ref().unwrap().as_str(), "romeo@example.org");
    assert_eq!((reserved, *is_contact), (&None, true));
    assert_eq!(*expiry, created.plus(Settings::default().lifetime));
    let token = invite.token.expose();
    assert_eq!(token.len(), 64);
    let answered = go_on(
        &stanza(&sent),
        Answer::Invite(Some(Box::new(invite.clone()))),
        &given.facts(),
    );
    let uri = format!("xmpp:romeo@example.org?roster;preauth={token};ibr=y");
    let shown = format!("{answered:?}");
    assert!(
        shown.contains(&uri) && shown.contains("completed"),
        "{shown}"
    );
}

#[test]
fn account_creation_asks_for_a_name_and_keeps_it() {
    let given = facts();
    let form = format!("{:?}", given.sends(&execute(NODE_CREATE, "")));
    assert!(
        form.contains("executing") && form.contains("username"),
        "{form}"
    );
    let fields = submit(&[("username", "Juliet"), ("roster-subscription", "1")]);
    let effects = given.sends(&execute(NODE_CREATE, &fields));
    let (invite, _) = asked(&effects);
    let invitation = &invite.invitation;
    assert_eq!(invitation.reserved, Some(bare("juliet@example.org")));
    assert!(invitation.is_contact);
    let uri = invitation.uri(&invite.token);
    assert!(
        uri.starts_with("xmpp:juliet@example.org?register;preauth="),
        "{uri}"
    );
    let effects = given.sends(&execute(NODE_CREATE, &submit(&[("username", "")])));
    let (invite, _) = asked(&effects);
    let uri = invite.invitation.uri(&invite.token);
    assert!(
        uri.starts_with("xmpp:example.org?register;preauth="),
        "{uri}"
    );
}

#[test]
fn bad_commands_have_named_outcomes() {
    let name = |name| execute(NODE_CREATE, &submit(&[("username", name)]));
    for (sent, condition) in [
        (execute("urn:xmpp:invite#other", ""), "item-not-found"),
        (name("a b"), "jid-malformed"),
        (name("admin"), "not-acceptable"),
        (name("jul\u{456}et"), "not-acceptable"),
    ] {
        assert_eq!(refusal(&facts().sends(&sent)), condition, "{sent}");
    }
}

#[test]
fn too_many_invitations_are_refused() {
    let given = facts();
    let sent = execute(NODE_INVITE, "");
    let effects = given.sends(&sent);
    let (_, go_on) = asked(&effects);
    let answered = go_on(&stanza(&sent), Answer::Invite(None), &given.facts());
    assert_eq!(refusal(&answered), "resource-constraint");
}

#[test]
fn addresses_are_escaped_in_uris() {
    let jid = bare("d'artagnan\u{e9}@example.org".replace('\'', "+").as_str());
    assert_eq!(uri_address(&jid), "d%2Bartagnan%C3%A9@example.org");
}

#[test]
fn page_is_at_the_domain_it_is_for() {
    let settings = Settings {
        url: Some("https://{domain}:5443/invite/".to_owned()),
        ..Settings::default()
    };
    let url = page_url(&settings, &bare("example.org"), &Secret::new("abc"));
    assert_eq!(url.unwrap(), "https://example.org:5443/invite/abc");
}

const SUBSCRIBE: &str = "<presence type='subscribe' from='juliet@example.org' \
                         to='romeo@example.org'><preauth xmlns='urn:xmpp:pars:0' token='abc'/>\
                         </presence>";

#[test]
fn good_token_opens_the_door_to_both() {
    let given = facts();
    let effects = given.account_gets(SUBSCRIBE);
    let [Effect::Load(Query::Redeem(hash), go_on)] = &*effects else {
        panic!("{effects:?}")
    };
    assert_eq!(*hash, hash_of("abc"));
    let welcomed = go_on(
        &stanza(SUBSCRIBE),
        Answer::Redeemed(true),
        &given.account_facts(),
    );
    let said = routed(&welcomed).join("");
    assert!(
        said.contains("'subscribed'") && said.contains("'subscribe'"),
        "{said}"
    );
    let shown = format!("{welcomed:?}");
    assert!(
        shown.contains("subscription: From") && shown.contains("ask: true"),
        "{shown}"
    );
}

#[test]
fn bad_token_is_as_none() {
    let given = facts();
    let [Effect::Load(_, go_on)] = &*given.account_gets(SUBSCRIBE) else {
        panic!("not looked up")
    };
    let facts = given.account_facts();
    let refused = go_on(&stanza(SUBSCRIBE), Answer::Redeemed(false), &facts);
    let shown = format!("{refused:?}");
    assert!(
        shown.contains("pending_in: Some") && !shown.contains("'subscribed'"),
        "{shown}"
    );
}
