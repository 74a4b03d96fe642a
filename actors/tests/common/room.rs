//! A room, and what people do in it.

use klatsch_protocol::xml::Element;

use super::Client;

pub(crate) const SERVICE: &str = "conference.example.org";
pub(crate) const ROOM: &str = "tea@conference.example.org";

/// Enters a room; answers everything up to the subject.
pub(crate) async fn join(client: &Client, nick: &str) -> String {
    client
        .send(&format!(
            "<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        ))
        .await;
    client.expect("code='110'").await
}

/// Makes the room with the default configuration (§10.1.2).
pub(crate) async fn create(client: &Client, nick: &str) {
    let entered = join(client, nick).await;
    assert!(entered.contains("code='201'"), "{entered}");
    client
        .send(&format!(
            "<iq type='set' id='form' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'/></query></iq>"
        ))
        .await;
    client.expect_all(&["id='form'", "type='result'"]).await;
}

/// Changes one field of the configuration.
pub(crate) async fn configure(client: &Client, field: &str, value: &str) {
    client
        .send(&format!(
            "<iq type='set' id='config' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
             <field var='muc#roomconfig_{field}'><value>{value}</value></field></x></query></iq>"
        ))
        .await;
    client.expect_all(&["id='config'", "type='result'"]).await;
}

pub(crate) async fn say(client: &Client, body: &str) {
    client.send(&words(body)).await;
}

pub(crate) fn words(body: &str) -> String {
    format!(
        "<message to='{ROOM}' type='groupchat' id='id-{body}'><body>{body}</body>\
         <origin-id xmlns='urn:xmpp:sid:0' id='o-{body}'/></message>"
    )
}

pub(crate) async fn set_affiliation(client: &Client, account: &str, affiliation: &str) {
    client
        .send(&format!(
            "<iq type='set' id='aff' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#admin'>\
             <item jid='{account}' affiliation='{affiliation}'/></query></iq>"
        ))
        .await;
    client.expect_all(&["id='aff'", "type='result'"]).await;
}

/// Searches for rooms (XEP-0433): the first letters of those that are found, with their numbers of
/// users.
pub(crate) async fn search(client: &Client, fields: &[(&str, &str)], set: &str) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("<field var='{name}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    client
        .send(&format!(
            "<iq type='get' id='search' to='{SERVICE}'><search xmlns='urn:xmpp:channel-search:0:search'>\
             <set xmlns='http://jabber.org/protocol/rsm'>{set}</set>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>urn:xmpp:channel-search:0:search-params</value></field>{fields}</x></search></iq>"
        ))
        .await;
    let answer = client.expect_all(&["<iq", "id='search'"]).await;
    let answer = Element::parse(answer.as_bytes()).unwrap();
    let result = answer.children().next().unwrap();
    let items = result.children().filter(|it| it.name() == "item");
    let told = items.map(|item| {
        let users = item.children().find(|it| it.name() == "nusers").unwrap();
        let name = &item.get("address").unwrap()[..1];
        format!("{name}{}", users.text_content())
    });
    told.collect::<Vec<_>>().join(" ")
}
