//! A room, and what people do in it.

use super::Client;

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
