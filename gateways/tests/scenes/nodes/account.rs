//! Nodes of accounts: XEP-0163, XEP-0222, XEP-0223 and what OMEMO asks of them.

use super::*;

const DEVICES: &str = "eu.siacs.conversations.axolotl.devicelist";
const BUNDLES: &str = "urn:xmpp:omemo:2:bundles";
const MOOD: &str = "http://jabber.org/protocol/mood";
const HAPPY: &str = "<mood xmlns='http://jabber.org/protocol/mood'><happy/></mood>";

#[tokio::test]
async fn contacts_who_want_to_hear_and_own_resources_are_told() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[MOOD]).await;
    let mut bert = online(&server, "bert", "home", &[MOOD]).await;
    let mut deaf = online(&server, "bert", "work", &[]).await;
    // A stranger hears nothing.
    done(&mut anna, "set", "", &publish(MOOD, "a", HAPPY)).await;
    no_event(&mut bert).await;
    befriend(&mut anna, &mut bert).await;
    done(&mut anna, "set", "", &publish(MOOD, "b", HAPPY)).await;
    let (from, text) = event(&mut bert, MOOD).await;
    assert_eq!(from, "anna@klatsch.test");
    assert!(text.contains("<happy/>"), "{text}");
    assert_eq!(event(&mut anna, MOOD).await.0, "anna@klatsch.test");
    no_event(&mut deaf).await;
}

#[tokio::test]
async fn the_last_items_come_with_presence_once_it_is_known_what_a_client_wants() {
    let (server, mut anna, mut bert) = two().await;
    befriend(&mut anna, &mut bert).await;
    done(&mut anna, "set", "", &publish(MOOD, "a", HAPPY)).await;
    // The first client with these capabilities is asked, the second one's are known.
    for resource in ["first", "second"] {
        let mut bert = Client::connect(server.c2s).await;
        bert.session("bert", resource).await;
        match resource {
            "first" => appear(&mut bert, &[MOOD]).await,
            _ => show(&mut bert, &[MOOD]).await,
        }
        let (from, text) = event(&mut bert, MOOD).await;
        assert_eq!(from, "anna@klatsch.test", "{resource}");
        assert!(
            text.contains("<happy/>") && text.contains("urn:xmpp:delay"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_new_contact_gets_the_last_items() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    let mut bert = online(&server, "bert", "home", &[MOOD]).await;
    done(&mut anna, "set", "", &publish(MOOD, "a", HAPPY)).await;
    let private = [("pubsub#access_model", "whitelist")];
    done(
        &mut anna,
        "set",
        "",
        &publish_with("secret", "a", HAPPY, &private),
    )
    .await;
    let_see(&mut bert, &mut anna, "anna").await;
    let (from, text) = event(&mut bert, MOOD).await;
    assert_eq!(from, "anna@klatsch.test");
    assert!(text.contains("<happy/>"), "{text}");
    no_event(&mut bert).await;
}

#[tokio::test]
async fn omemo_devices_and_bundles_are_published_openly_and_fetched_by_strangers() {
    let (_server, mut anna, mut bert) = two().await;
    let open = [
        ("pubsub#persist_items", "true"),
        ("pubsub#access_model", "open"),
    ];
    let devices = "<list xmlns='eu.siacs.conversations.axolotl'><device id='31415'/></list>";
    done(
        &mut anna,
        "set",
        "",
        &publish_with(DEVICES, "current", devices, &open),
    )
    .await;
    let many = [("pubsub#access_model", "open"), ("pubsub#max_items", "max")];
    for device in ["31415", "27182"] {
        let bundle = "<bundle xmlns='urn:xmpp:omemo:2'><spk id='1'>AAAA</spk></bundle>";
        done(
            &mut anna,
            "set",
            "",
            &publish_with(BUNDLES, device, bundle, &many),
        )
        .await;
    }
    let fetched = done(&mut bert, "get", "anna@klatsch.test", &items(DEVICES)).await;
    assert!(fetched.contains("id='31415'"), "{fetched}");
    let one = plain(&format!(
        "<items node='{BUNDLES}'><item id='27182'/></items>"
    ));
    let fetched = done(&mut bert, "get", "anna@klatsch.test", &one).await;
    assert!(
        fetched.contains("id='27182'") && !fetched.contains("id='31415'"),
        "{fetched}"
    );
    // A node of another configuration is not published to in silence; it is configured first.
    let once = [("pubsub#max_items", "1")];
    refused(
        &mut anna,
        "set",
        "",
        &publish_with(BUNDLES, "1", "<b xmlns='b'/>", &once),
        &["conflict", "precondition-not-met"],
    )
    .await;
}

#[tokio::test]
async fn r09_what_is_meant_to_be_private_is_never_published_where_others_read() {
    let (_server, mut anna, mut bert) = two().await;
    let note = "<note xmlns='urn:example:notes'>secret</note>";
    let private = [
        ("pubsub#access_model", "whitelist"),
        ("pubsub#persist_items", "true"),
    ];
    done(
        &mut anna,
        "set",
        "",
        &publish_with("urn:example:notes", "1", note, &private),
    )
    .await;
    refused(
        &mut bert,
        "get",
        "anna@klatsch.test",
        &items("urn:example:notes"),
        &["item-not-found"],
    )
    .await;
    let open = configure("urn:example:notes", &[("pubsub#access_model", "open")]);
    done(&mut anna, "set", "", &open).await;
    let again = publish_with("urn:example:notes", "2", note, &private);
    refused(
        &mut anna,
        "set",
        "",
        &again,
        &["conflict", "precondition-not-met"],
    )
    .await;
    let unknown = publish_with(
        "urn:example:notes",
        "2",
        note,
        &[("pubsub#unheard_of", "1")],
    );
    refused(
        &mut anna,
        "set",
        "",
        &unknown,
        &["conflict", "precondition-not-met"],
    )
    .await;
    let seen = done(
        &mut bert,
        "get",
        "anna@klatsch.test",
        &items("urn:example:notes"),
    )
    .await;
    assert!(!seen.contains("id='2'"), "{seen}");
}

#[tokio::test]
async fn r08_a_notification_says_whose_node_it_is_and_nobody_else_can() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    let mut bert = online(&server, "bert", "home", &[MOOD]).await;
    let forged = format!(
        "<message type='headline' from='bert@klatsch.test' to='bert@klatsch.test'>\
         <event xmlns='{EVENT}'><items node='{MOOD}'><item>{HAPPY}</item></items></event></message>"
    );
    let honest = forged.replace(" from='bert@klatsch.test'", "");
    anna.send(&honest).await;
    let (from, _) = event(&mut bert, MOOD).await;
    assert_eq!(
        from, "anna@klatsch.test/home",
        "a client's message is from the client"
    );
    anna.send(&forged).await;
    assert_eq!(
        anna.end().await,
        crate::client::End::Error("invalid-from".into())
    );
    // Nor is anything published on somebody's account but by its user.
    let mut anna = online(&server, "anna", "again", &[]).await;
    refused(
        &mut anna,
        "set",
        "bert@klatsch.test",
        &publish(MOOD, "x", HAPPY),
        &["item-not-found"],
    )
    .await;
}

#[tokio::test]
async fn a11_a_closed_node_looks_like_no_node_and_no_account() {
    let (_server, mut anna, mut bert) = two().await;
    done(&mut anna, "set", "", &publish(MOOD, "a", HAPPY)).await;
    for request in [
        items(MOOD),
        plain(&format!(
            "<subscribe node='{MOOD}' jid='bert@klatsch.test'/>"
        )),
    ] {
        let kind = if request.contains("subscribe") {
            "set"
        } else {
            "get"
        };
        let mut answers = Vec::new();
        for who in ["anna@klatsch.test", "nobody@klatsch.test"] {
            let answer = ask(&mut bert, kind, who, &request).await;
            answers.push(inner(&answer));
        }
        assert_eq!(answers[0], answers[1]);
        assert!(answers[0].contains("item-not-found"), "{answers:?}");
    }
}

#[tokio::test]
async fn the_nodes_of_an_account_are_discovered_by_who_may_see_them() {
    let (_server, mut anna, mut bert) = two().await;
    done(&mut anna, "set", "", &publish(MOOD, "a", HAPPY)).await;
    let private = [("pubsub#access_model", "whitelist")];
    done(
        &mut anna,
        "set",
        "",
        &publish_with("secret", "a", HAPPY, &private),
    )
    .await;
    befriend(&mut anna, &mut bert).await;
    let query = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let own = done(&mut anna, "get", "anna@klatsch.test", query).await;
    assert!(own.contains(MOOD) && own.contains("node='secret'"), "{own}");
    let others = done(&mut bert, "get", "anna@klatsch.test", query).await;
    assert!(
        others.contains(MOOD) && !others.contains("node='secret'"),
        "{others}"
    );
    refused(
        &mut bert,
        "get",
        "anna@klatsch.test",
        &items("secret"),
        &["closed-node"],
    )
    .await;
}
