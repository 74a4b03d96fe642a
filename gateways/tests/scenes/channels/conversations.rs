//! Messages between channels clients and XMPP clients, in rooms and of two.

use serde_json::json;

use super::talker::{Talker, as_user};
use crate::client::Client;
use crate::server::Server;

const ROOM: &str = "room:team@conference.klatsch.test";
const MUC: &str = "http://jabber.org/protocol/muc";

#[tokio::test]
async fn acknowledged_push_is_in_the_archive_and_reaches_an_xmpp_client() {
    let server = Server::start().await;
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    bert.send("<presence/>").await;
    let mut anna = Talker::connect(&server, "anna").await;
    let me = anna.join("user:anna@klatsch.test", json!({})).await;
    assert!(
        me["jid"]
            .as_str()
            .unwrap()
            .starts_with("anna@klatsch.test/")
    );
    let push = json!({"to": "bert@klatsch.test", "body": "hello <b>", "id": "first-message"});
    let (status, response) = anna
        .ask("user:anna@klatsch.test", "send", push.clone())
        .await;
    assert_eq!((&*status, &response["id"]), ("ok", &json!("first-message")));
    let message = bert.expect(|it| it.name() == "message").await;
    assert_eq!(
        message.payloads().text_of("body", "jabber:client").unwrap(),
        "hello <b>"
    );
    let (_, page) = anna
        .ask("user:anna@klatsch.test", "history", json!({}))
        .await;
    assert_eq!(page["messages"][0]["body"], "hello <b>");
    assert_eq!(page["complete"], true);

    // Sent again, because the answer was lost: it is there once (D2).
    let (status, _) = anna.ask("user:anna@klatsch.test", "send", push).await;
    assert_eq!(status, "ok");
    let (_, page) = anna
        .ask("user:anna@klatsch.test", "history", json!({}))
        .await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);

    let to = message.attr("from").unwrap();
    bert.send(&format!(
        "<message to='{to}' type='chat' id='answer-1'><body>hi</body></message>"
    ))
    .await;
    let answer = anna.event("user:anna@klatsch.test", "message").await;
    assert_eq!(
        (&answer["from"], &answer["body"]),
        (&json!("bert@klatsch.test"), &json!("hi"))
    );
}

#[tokio::test]
async fn what_came_while_nobody_was_there_is_told_once() {
    let server = Server::start().await;
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    bert.send(
        "<message to='anna@klatsch.test' type='chat' id='late-one'><body>late</body></message>",
    )
    .await;
    bert.ping().await;
    // Who only looks takes no messages away.
    let mut looker = Talker::connect(&server, "anna").await;
    looker.join("presence:*", json!({})).await;
    looker.event("presence:*", "presence_state").await;
    looker.socket.close(None).await.unwrap();
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join("user:anna@klatsch.test", json!({})).await;
    let message = anna.event("user:anna@klatsch.test", "message").await;
    assert_eq!(message["body"], "late");
    assert!(message["stamp"].is_string());
    // Its session has been told that it was written.
    anna.beat().await;
    anna.socket.close(None).await.unwrap();
    anna.end().await;
    let mut again = Talker::connect(&server, "anna").await;
    again.join("user:anna@klatsch.test", json!({})).await;
    let (_, page) = again
        .ask("user:anna@klatsch.test", "history", json!({}))
        .await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
    again.quiet().await;
}

#[tokio::test]
async fn room_is_shared_with_xmpp_clients() {
    let server = Server::start().await;
    let mut anna = Talker::connect(&server, "anna").await;
    let response = anna.join(ROOM, json!({"nick": "Anna"})).await;
    assert_eq!(response["nick"], "Anna");
    let state = anna.event(ROOM, "presence_state").await;
    assert_eq!(state["Anna"]["metas"][0]["affiliation"], "owner");

    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    let enter =
        format!("<presence to='team@conference.klatsch.test/Bert'><x xmlns='{MUC}'/></presence>");
    bert.send(&enter).await;
    bert.expect(|it| it.name() == "message" && it.payloads().has("subject", "jabber:client"))
        .await;
    let diff = anna.event(ROOM, "presence_diff").await;
    assert_eq!(diff["joins"]["Bert"]["metas"][0]["role"], "participant");

    let (status, _) = anna
        .ask(ROOM, "send", json!({"body": "from the page"}))
        .await;
    assert_eq!(status, "ok");
    let heard = bert
        .expect(|it| it.payloads().has("body", "jabber:client"))
        .await;
    assert_eq!(
        heard.attr("from"),
        Some("team@conference.klatsch.test/Anna")
    );
    let own = anna.event(ROOM, "message").await;
    assert_eq!(
        (&own["from"], &own["body"]),
        (&json!("Anna"), &json!("from the page"))
    );
    assert!(own["stanza_id"].is_string());

    bert.send(
        "<message to='team@conference.klatsch.test' type='groupchat' id='from-bert'>\
         <body>from XMPP</body></message>",
    )
    .await;
    let heard = anna.event(ROOM, "message").await;
    assert_eq!(
        (&heard["from"], &heard["body"]),
        (&json!("Bert"), &json!("from XMPP"))
    );

    let (_, page) = anna.ask(ROOM, "history", json!({"max": 10})).await;
    let bodies: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["body"])
        .collect();
    assert_eq!(bodies, ["from the page", "from XMPP"]);

    let (status, _) = anna.ask(ROOM, "typing", json!({})).await;
    assert_eq!(status, "ok");
    let chatstates = "http://jabber.org/protocol/chatstates";
    bert.expect(|it| it.payloads().has("composing", chatstates))
        .await;

    bert.send("<presence to='team@conference.klatsch.test/Bert' type='unavailable'/>")
        .await;
    let diff = anna.event(ROOM, "presence_diff").await;
    assert!(diff["leaves"]["Bert"]["metas"][0]["phx_ref"].is_string());
    let (status, _) = anna.ask(ROOM, "phx_leave", json!({})).await;
    assert_eq!(status, "ok");
    anna.event(ROOM, "phx_close").await;
}

#[tokio::test]
async fn channel_joined_again_goes_on_with_what_was_said_meanwhile() {
    let server = Server::start().await;
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join(ROOM, json!({})).await;
    anna.ask(ROOM, "send", json!({"body": "before"})).await;
    // A second join of the same topic: the first life ends, nobody in the room sees anything.
    anna.join(ROOM, json!({"history": 5})).await;
    let closed = anna.expect(|it| it[3] == "phx_close").await;
    assert_eq!(closed[0], closed[1]);
    let state = anna.event(ROOM, "presence_state").await;
    assert!(state["anna"].is_object(), "{state}");
    let again = anna
        .expect(|it| it[3] == "message" && it[4]["stamp"].is_string())
        .await;
    assert_eq!(again[4]["body"], "before");
}

#[tokio::test]
async fn refusal_of_a_room_is_that_of_the_join() {
    let server = Server::start().await;
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    bert.send(&format!(
        "<presence to='closed@conference.klatsch.test/Bert'><x xmlns='{MUC}'/></presence>"
    ))
    .await;
    bert.expect(|it| it.name() == "message").await;
    bert.send(
        "<iq type='set' id='own' to='closed@conference.klatsch.test'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
         <field var='muc#roomconfig_membersonly'><value>1</value></field></x></query></iq>",
    )
    .await;
    let done = bert.expect(|it| it.attr("id") == Some("own")).await;
    assert_eq!(done.attr("type"), Some("result"));
    let mut anna = Talker::connect(&server, "anna").await;
    let topic = "room:closed@conference.klatsch.test";
    let (status, response) = anna.ask(topic, "phx_join", json!({})).await;
    assert_eq!(
        (&*status, &response["reason"]),
        ("error", &json!("registration-required"))
    );
    let (status, _) = anna.ask(topic, "send", json!({"body": "let me in"})).await;
    assert_eq!(status, "error");
}

#[tokio::test]
async fn kicked_client_hears_why_and_its_channel_closes() {
    let server = Server::start().await;
    let mut bert = Client::connect(server.c2s).await;
    bert.session("bert", "home").await;
    bert.send(&format!(
        "<presence to='team@conference.klatsch.test/Bert'><x xmlns='{MUC}'/></presence>"
    ))
    .await;
    bert.expect(|it| it.name() == "message").await;
    // An empty form opens the room as it is.
    bert.send(
        "<iq type='set' id='own' to='team@conference.klatsch.test'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>",
    )
    .await;
    bert.expect(|it| it.attr("id") == Some("own")).await;
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join(ROOM, json!({})).await;
    bert.send(
        "<iq type='set' id='kick' to='team@conference.klatsch.test'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'><item nick='anna' role='none'>\
         <reason>enough</reason></item></query></iq>",
    )
    .await;
    let removed = anna.event(ROOM, "removed").await;
    assert_eq!(removed["reason"], "enough");
    anna.event(ROOM, "phx_close").await;
}

#[tokio::test]
async fn d3_messages_pushed_at_once_arrive_in_their_order() {
    let server = Server::start().await;
    let mut bert = Talker::connect(&server, "bert").await;
    bert.join("user:anna@klatsch.test", json!({})).await;
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join("user:bert@klatsch.test", json!({})).await;
    for number in 0..100 {
        anna.push(
            "user:bert@klatsch.test",
            "send",
            json!({"body": number.to_string()}),
        )
        .await;
    }
    for number in 0..100 {
        let message = bert.event("user:anna@klatsch.test", "message").await;
        assert_eq!(message["body"], number.to_string());
    }
    for _ in 0..100 {
        let reply = anna.expect(|it| it[3] == "phx_reply").await;
        assert_eq!(reply[4]["status"], "ok");
    }
}

#[tokio::test]
async fn room_of_channels_clients_on_two_nodes_is_one_room() {
    let [here, there] = Server::pair().await;
    let mut anna = Talker::connect(&here, "anna").await;
    let mut bert = Talker::connect(&there, "bert").await;
    anna.join(ROOM, json!({})).await;
    bert.join(ROOM, json!({})).await;
    let diff = anna.event(ROOM, "presence_diff").await;
    assert!(diff["joins"]["bert"].is_object());
    let (status, _) = bert.ask(ROOM, "send", json!({"body": "across"})).await;
    assert_eq!(status, "ok");
    assert_eq!(anna.event(ROOM, "message").await["body"], "across");
    assert_eq!(bert.event(ROOM, "message").await["body"], "across");
}

#[tokio::test]
async fn own_messages_of_other_devices_are_shown() {
    let server = Server::start().await;
    let mut page = Talker::connect(&server, "anna").await;
    page.join("user:bert@klatsch.test", json!({})).await;
    let mut phone = Talker::connect_with(&server, &as_user("anna")).await;
    phone.join("user:anna@klatsch.test", json!({})).await;
    let push = json!({"to": "bert@klatsch.test", "body": "from the phone"});
    phone.ask("user:anna@klatsch.test", "send", push).await;
    let copy = page.event("user:bert@klatsch.test", "message").await;
    assert_eq!(copy["from"], "anna@klatsch.test");
    assert_eq!(copy["to"], "bert@klatsch.test");
    phone.quiet().await;
}
