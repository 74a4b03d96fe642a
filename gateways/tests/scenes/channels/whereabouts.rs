//! Presence: a channels client and XMPP clients see each other.

use serde_json::{Value, json};

use super::talker::{Talker, as_user};
use crate::client::{Client, Tcp};
use crate::server::Server;

/// A server on which the two see each other, with a client of one of them.
async fn friends() -> (Server, Tcp) {
    let server = Server::start().await;
    let mut anna = Client::connect(server.c2s).await;
    anna.session("anna", "home").await;
    anna.send("<presence/>").await;
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    bert.send("<presence/>").await;
    bert.send(
        "<iq type='set' id='add'><query xmlns='jabber:iq:roster'>\
         <item jid='anna@klatsch.test'><group>work</group></item></query></iq>",
    )
    .await;
    bert.expect(|it| it.attr("id") == Some("add")).await;
    anna.send("<presence to='bert@klatsch.test' type='subscribe'/>")
        .await;
    bert.expect(|it| it.attr("type") == Some("subscribe")).await;
    bert.send("<presence to='anna@klatsch.test' type='subscribed'/>")
        .await;
    bert.send("<presence to='anna@klatsch.test' type='subscribe'/>")
        .await;
    anna.expect(|it| it.attr("type") == Some("subscribe")).await;
    anna.send("<presence to='bert@klatsch.test' type='subscribed'/>")
        .await;
    bert.expect(|it| it.attr("from") == Some("anna@klatsch.test/home"))
        .await;
    (server, anna)
}

fn metas<'a>(payload: &'a Value, key: &str) -> Vec<&'a Value> {
    let metas = payload[key]["metas"].as_array();
    metas.into_iter().flatten().collect()
}

/// Waits until a difference has what is looked for.
async fn joins(talker: &mut Talker, topic: &str, key: &str, show: &str) -> Value {
    let fits = |it: &Value| {
        it[2] == topic
            && it[3] == "presence_diff"
            && metas(&it[4]["joins"], key)
                .iter()
                .any(|meta| meta["show"] == show)
    };
    talker.expect(fits).await[4].clone()
}

#[tokio::test]
async fn two_devices_are_under_one_key_and_an_update_names_what_it_replaces() {
    let (server, mut anna) = friends().await;
    let mut bert =
        Talker::connect_with(&server, &format!("{}&resource=page", as_user("bert"))).await;
    let topic = "presence:anna@klatsch.test";
    bert.join(topic, json!({})).await;
    bert.event(topic, "presence_state").await;
    let first = joins(&mut bert, topic, "anna@klatsch.test", "online").await;
    let meta = metas(&first["joins"], "anna@klatsch.test")[0].clone();
    assert_eq!(meta["resource"], "home");

    // The page is a resource like any other.
    let seen = anna
        .expect(|it| it.attr("from") == Some("bert@klatsch.test/page"))
        .await;
    assert_eq!(seen.attr("type"), None);

    anna.send("<presence><show>away</show></presence>").await;
    let update = joins(&mut bert, topic, "anna@klatsch.test", "away").await;
    let new = metas(&update["joins"], "anna@klatsch.test")[0].clone();
    assert_eq!(new["phx_ref_prev"], meta["phx_ref"]);
    let old = metas(&update["leaves"], "anna@klatsch.test");
    assert_eq!(old[0]["phx_ref"], meta["phx_ref"]);

    let mut phone =
        Talker::connect_with(&server, &format!("{}&resource=phone", as_user("anna"))).await;
    phone.join("presence:*", json!({})).await;
    phone
        .ask("presence:*", "status", json!({"show": "dnd"}))
        .await;
    joins(&mut bert, topic, "anna@klatsch.test", "dnd").await;
    bert.join(topic, json!({})).await;
    let state = bert.expect(|it| it[3] == "presence_state").await;
    assert_eq!(metas(&state[4], "anna@klatsch.test").len(), 2, "{state}");

    drop(phone);
    let left = |it: &Value| {
        metas(&it[4]["leaves"], "anna@klatsch.test")
            .iter()
            .any(|meta| meta["resource"] == "phone")
            && it[4]["joins"] == json!({})
    };
    bert.expect(left).await;
}

#[tokio::test]
async fn groups_of_the_roster_and_everybody_are_topics() {
    let (server, mut anna) = friends().await;
    let mut bert = Talker::connect(&server, "bert").await;
    for topic in ["presence:work", "presence:*"] {
        bert.join(topic, json!({})).await;
    }
    bert.join("presence:nobody", json!({})).await;
    anna.send("<presence><show>xa</show></presence>").await;
    for topic in ["presence:work", "presence:*"] {
        joins(&mut bert, topic, "anna@klatsch.test", "xa").await;
    }
    bert.event("presence:*", "presence_state").await;
    bert.join("presence:*", json!({})).await;
    let state = bert.event("presence:*", "presence_state").await;
    assert_eq!(metas(&state, "bert@klatsch.test").len(), 1, "{state}");
    let heard = |it: &Value| it[2] == "presence:nobody" && it[3] == "presence_diff";
    bert.beat().await;
    assert!(!bert.has_heard(heard));
}

#[tokio::test]
async fn stranger_cannot_be_looked_at() {
    let server = Server::start().await;
    let mut anna = Talker::connect(&server, "anna").await;
    let topic = "presence:bert@klatsch.test";
    let (status, response) = anna.ask(topic, "phx_join", json!({})).await;
    assert_eq!(
        (&*status, &response["reason"]),
        ("error", &json!("unauthorized"))
    );
}

#[tokio::test]
async fn request_to_be_seen_is_answered_over_channels() {
    let server = Server::start().await;
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    bert.send("<presence/>").await;
    let mut anna = Talker::connect(&server, "anna").await;
    let topic = "user:anna@klatsch.test";
    anna.join(topic, json!({})).await;
    bert.send("<presence to='anna@klatsch.test' type='subscribe'/>")
        .await;
    let request = anna.event(topic, "request").await;
    assert_eq!(request["from"], "bert@klatsch.test");
    let approve = json!({"jid": "bert@klatsch.test"});
    let (status, _) = anna.ask(topic, "approve", approve).await;
    assert_eq!(status, "ok");
    // Being let see somebody, one is shown them.
    let is_page = |it: Option<&str>| it.is_some_and(|it| it.starts_with("anna@klatsch.test/"));
    let seen = bert.expect(|it| is_page(it.attr("from"))).await;
    assert_eq!(seen.attr("type"), None);
}
