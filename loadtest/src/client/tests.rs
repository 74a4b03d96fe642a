//! The client against servers that know their part by heart.

use super::archive::{archived, query, read_page};
use super::management::{self, Management};
use super::scripted::{self, BIND, ENABLE, server};
use super::*;

#[tokio::test]
async fn a_login_ends_with_the_address_the_server_gave() {
    let (target, _) = server(vec![scripted::login(vec![BIND])]).await;
    let (connection, offers) = Connection::login(&target, 1).await.expect("it logs in");
    assert_eq!(connection.jid, "user1@example.org/lt");
    assert!(offers.management);
    assert!(!offers.session);
}

#[tokio::test]
async fn a_refused_login_says_why() {
    let mut lines = scripted::login(Vec::new());
    lines[1].1 = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
    let (target, _) = server(vec![lines]).await;
    let error = Connection::login(&target, 1)
        .await
        .err()
        .expect("it is refused");
    assert!(
        matches!(&error, LoadError::Refused(why) if why.contains("not-authorized")),
        "{error}"
    );
}

#[tokio::test]
async fn a_stream_error_ends_the_connection_with_its_condition() {
    let refusal = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let (target, _) = server(vec![scripted::login(vec![(BIND.0, refusal)])]).await;
    let error = Connection::login(&target, 1)
        .await
        .err()
        .expect("it is closed");
    assert!(
        matches!(&error, LoadError::Closed(why) if why.contains("policy-violation")),
        "{error}"
    );
}

#[tokio::test]
async fn an_account_that_exists_counts_as_registered() {
    let conflict = "<iq type='error' id='register'><error type='cancel'>\
        <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
    let mut lines = scripted::login(Vec::new());
    lines.truncate(1);
    lines.push(("</query></iq>", conflict));
    let (target, _) = server(vec![lines]).await;
    Connection::register(&target, 1)
        .await
        .expect("nothing to do");
}

#[tokio::test]
async fn a_client_counts_what_it_received_and_says_so() {
    let (target, heard) = server(vec![scripted::login(vec![
        BIND,
        ENABLE,
        (
            "<presence/>",
            "<message from='user2@example.org'/><presence/><r xmlns='urn:xmpp:sm:3'/>",
        ),
        ("h='2'/>", "<a xmlns='urn:xmpp:sm:3' h='1'/>"),
    ])])
    .await;
    let (mut connection, _) = Connection::login(&target, 1).await.expect("it logs in");
    let mut management = Management::enable(&mut connection)
        .await
        .expect("it is offered");
    assert_eq!(management.resume_id.as_deref(), Some("s1"));
    connection.queue("<presence/>");
    management.sent("presence");
    let mut acked = Vec::new();
    while acked.is_empty() {
        let element = connection.element().await.expect("the server goes on");
        acked = management
            .incoming(&element, &mut connection)
            .expect("the counters agree");
    }
    assert_eq!(acked, ["presence"]);
    assert_eq!(management.received(), 2);
    assert!(
        heard.await.expect("it ended")[0]
            .contains(&format!("<a xmlns='{}' h='2'/>", management::NS))
    );
}

#[tokio::test]
async fn an_archive_page_is_read_to_its_end() {
    let page = "<message to='user1@example.org/lt'><result xmlns='urn:xmpp:mam:2' queryid='q' id='17'>\
        <forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>\
        <message xmlns='jabber:client' from='user2@example.org/lt' to='user1@example.org' type='chat'>\
        <body>r-2-1 xxx</body><origin-id xmlns='urn:xmpp:sid:0' id='r-2-1'/></message></forwarded></result></message>\
        <iq type='result' id='q'><fin xmlns='urn:xmpp:mam:2' complete='true'>\
        <set xmlns='http://jabber.org/protocol/rsm'><last>17</last></set></fin></iq>";
    let (target, _) = server(vec![scripted::login(vec![BIND, ("</query></iq>", page)])]).await;
    let (mut connection, _) = Connection::login(&target, 1).await.expect("it logs in");
    connection.queue(&query("q", 50, Some("16")));
    let mut entries = Vec::new();
    let each = |result: &Fragment| {
        entries.push(archived(result)?);
        Ok(())
    };
    let end = read_page(&mut connection, None::<&mut Management<()>>, "q", each)
        .await
        .expect("a page");
    assert!(end.complete);
    assert_eq!(end.last.as_deref(), Some("17"));
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].id, "17");
    assert_eq!(entries[0].origin_id.as_deref(), Some("r-2-1"));
    assert_eq!(entries[0].from, "user2@example.org/lt");
    assert_eq!(entries[0].body, "r-2-1 xxx");
}
