//! A room, and what people do in it.

use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::xml::Element;
use klatsch_store::Store;

use super::{Client, Scene, bare};

pub(crate) const SERVICE: &str = "conference.example.org";
pub(crate) const ROOM: &str = "tea@conference.example.org";

/// What enters a room.
pub(crate) fn entry(room: &str, nick: &str) -> String {
    format!("<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
}

/// Enters any room; answers what it says to that.
pub(crate) async fn enter(client: &Client, room: &str, nick: &str) -> String {
    client.send(&entry(room, nick)).await;
    client.expect(&format!("from='{room}/{nick}'")).await
}

/// Enters the room; answers everything up to the subject.
pub(crate) async fn join(client: &Client, nick: &str) -> String {
    client.send(&entry(ROOM, nick)).await;
    client.expect("code='110'").await
}

/// Makes the room with the default configuration (§10.1.2).
pub(crate) async fn create(client: &Client, nick: &str) {
    create_at(client, ROOM, nick).await;
}

/// Makes a room of this address with the default configuration.
pub(crate) async fn create_at(client: &Client, room: &str, nick: &str) {
    let entered = enter(client, room, nick).await;
    assert!(entered.contains("code='201'"), "{entered}");
    client
        .send(&format!(
            "<iq type='set' id='form' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
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

/// What stands in the room's log.
pub(crate) async fn log(store: &Store) -> Vec<String> {
    let entries = store.room_entries(&bare(ROOM), 0, 250).await.unwrap();
    let text = |stanza: &[u8]| String::from_utf8(stanza.to_vec()).unwrap();
    entries.iter().map(|entry| text(&entry.stanza)).collect()
}

impl Scene {
    /// A room as it is now, if it is there.
    pub(crate) async fn room(&self, room: &str) -> Option<Box<Room>> {
        self.node.rooms.inspect(&bare(room)).await.unwrap()
    }
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
