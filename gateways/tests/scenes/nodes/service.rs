//! The service at `pubsub.D`: XEP-0060 sections 5 to 8.

use super::*;

#[tokio::test]
async fn the_service_is_found_and_says_what_it_can_do() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    let query = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    assert!(
        done(&mut anna, "get", DOMAIN, query)
            .await
            .contains(SERVICE)
    );
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let answer = done(&mut anna, "get", SERVICE, info).await;
    for word in [
        "category='pubsub'",
        "type='service'",
        "#publish-options",
        "#access-whitelist",
    ] {
        assert!(answer.contains(word), "{word}: {answer}");
    }
    let answer = done(&mut anna, "get", "", info).await;
    for word in ["type='pep'", "type='registered'", "#filtered-notifications"] {
        assert!(answer.contains(word), "{word}: {answer}");
    }
}

#[tokio::test]
async fn a_node_lives_from_creation_to_deletion() {
    let (_server, mut anna, mut bert) = two().await;
    let node = "princely_musings";
    // §8.1, and §5.2 to §5.4.
    done(
        &mut anna,
        "set",
        SERVICE,
        &plain(&format!("<create node='{node}'/>")),
    )
    .await;
    refused(
        &mut anna,
        "set",
        SERVICE,
        &plain(&format!("<create node='{node}'/>")),
        &["conflict"],
    )
    .await;
    let query = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    assert!(done(&mut bert, "get", SERVICE, query).await.contains(node));
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>");
    let about = done(&mut bert, "get", SERVICE, &query).await;
    assert!(
        about.contains("type='leaf'") && about.contains("anna@klatsch.test"),
        "{about}"
    );
    // §6.1, §7.1, §7.1.2.1.
    let subscribe = plain(&format!(
        "<subscribe node='{node}' jid='bert@klatsch.test'/>"
    ));
    let answer = done(&mut bert, "set", SERVICE, &subscribe).await;
    assert!(answer.contains("subscription='subscribed'"), "{answer}");
    let answer = done(&mut anna, "set", SERVICE, &publish(node, "one", ENTRY)).await;
    assert!(answer.contains("<item id='one'/>"), "{answer}");
    let (from, text) = event(&mut bert, node).await;
    assert_eq!(from, SERVICE);
    assert!(
        text.contains("id='one'") && text.contains("Soliloquy"),
        "{text}"
    );
    // §6.5, §5.5.
    let answer = done(&mut bert, "get", SERVICE, &items(node)).await;
    assert!(
        answer.contains("id='one'") && answer.contains("Soliloquy"),
        "{answer}"
    );
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#items' node='{node}'/>");
    assert!(
        done(&mut bert, "get", SERVICE, &query)
            .await
            .contains("name='one'")
    );
    // §7.1.3.1, §7.2.
    refused(
        &mut bert,
        "set",
        SERVICE,
        &publish(node, "two", ENTRY),
        &["forbidden"],
    )
    .await;
    let retract = plain(&format!(
        "<retract node='{node}' notify='1'><item id='one'/></retract>"
    ));
    refused(&mut bert, "set", SERVICE, &retract, &["forbidden"]).await;
    done(&mut anna, "set", SERVICE, &retract).await;
    assert!(
        event(&mut bert, node)
            .await
            .1
            .contains("<retract id='one'/>")
    );
    refused(&mut anna, "set", SERVICE, &retract, &["item-not-found"]).await;
    // §8.5, §8.4.
    done(&mut anna, "set", SERVICE, &publish(node, "three", ENTRY)).await;
    event(&mut bert, node).await;
    done(
        &mut anna,
        "set",
        SERVICE,
        &owner(&format!("<purge node='{node}'/>")),
    )
    .await;
    assert!(event(&mut bert, node).await.1.contains("<purge"));
    let delete = owner(&format!("<delete node='{node}'/>"));
    refused(&mut bert, "set", SERVICE, &delete, &["forbidden"]).await;
    done(&mut anna, "set", SERVICE, &delete).await;
    assert!(event(&mut bert, node).await.1.contains("<delete"));
    refused(&mut anna, "get", SERVICE, &items(node), &["item-not-found"]).await;
}

#[tokio::test]
async fn a_subscription_is_made_looked_at_configured_and_ended() {
    let (_server, mut anna, mut bert) = two().await;
    done(&mut anna, "set", SERVICE, &publish("n", "one", ENTRY)).await;
    // §6.1.7: the last item comes at once, and says that it is not new.
    let subscribe = plain("<subscribe node='n' jid='bert@klatsch.test'/>");
    done(&mut bert, "set", SERVICE, &subscribe).await;
    let (_, text) = event(&mut bert, "n").await;
    assert!(
        text.contains("id='one'") && text.contains("urn:xmpp:delay"),
        "{text}"
    );
    // §6.1.3.1.
    let other = plain("<subscribe node='n' jid='anna@klatsch.test'/>");
    refused(
        &mut bert,
        "set",
        SERVICE,
        &other,
        &["bad-request", "invalid-jid"],
    )
    .await;
    // §5.6, §5.7.
    let answer = done(&mut bert, "get", SERVICE, &plain("<subscriptions/>")).await;
    assert!(
        answer.contains("node='n' jid='bert@klatsch.test'"),
        "{answer}"
    );
    let answer = done(&mut anna, "get", SERVICE, &plain("<affiliations/>")).await;
    assert!(answer.contains("node='n' affiliation='owner'"), "{answer}");
    // §6.3.
    let asked = plain("<options node='n' jid='bert@klatsch.test'/>");
    assert!(
        done(&mut bert, "get", SERVICE, &asked)
            .await
            .contains("pubsub#deliver")
    );
    let form = fields(
        &format!("{PUBSUB}#subscribe_options"),
        &[("pubsub#deliver", "0")],
    );
    let set = plain(&format!(
        "<options node='n' jid='bert@klatsch.test'>{form}</options>"
    ));
    done(&mut bert, "set", SERVICE, &set).await;
    done(&mut anna, "set", SERVICE, &publish("n", "two", ENTRY)).await;
    no_event(&mut bert).await;
    // §6.2.
    let unsubscribe = plain("<unsubscribe node='n' jid='bert@klatsch.test'/>");
    done(&mut bert, "set", SERVICE, &unsubscribe).await;
    refused(
        &mut bert,
        "set",
        SERVICE,
        &unsubscribe,
        &["unexpected-request", "not-subscribed"],
    )
    .await;
    let answer = done(&mut bert, "get", SERVICE, &plain("<subscriptions/>")).await;
    assert!(!answer.contains("node='n'"), "{answer}");
}

#[tokio::test]
async fn an_owner_approves_who_subscribes_to_a_node_that_asks() {
    let (_server, mut anna, mut bert) = two().await;
    let form = fields(
        &format!("{PUBSUB}#node_config"),
        &[("pubsub#access_model", "authorize")],
    );
    let create = plain(&format!(
        "<create node='asks'/><configure>{form}</configure>"
    ));
    done(&mut anna, "set", SERVICE, &create).await;
    refused(
        &mut bert,
        "get",
        SERVICE,
        &items("asks"),
        &["not-authorized", "not-subscribed"],
    )
    .await;
    let subscribe = plain("<subscribe node='asks' jid='bert@klatsch.test'/>");
    let answer = done(&mut bert, "set", SERVICE, &subscribe).await;
    assert!(answer.contains("subscription='pending'"), "{answer}");
    refused(
        &mut bert,
        "set",
        SERVICE,
        &subscribe,
        &["pending-subscription"],
    )
    .await;
    let authorization = format!("{PUBSUB}#subscribe_authorization");
    let request = anna.expect(|it| inner(it).contains(&authorization)).await;
    let id = request.attr("id").expect("an id").to_owned();
    let allow = [
        ("pubsub#node", "asks"),
        ("pubsub#subscriber_jid", "bert@klatsch.test"),
        ("pubsub#allow", "true"),
    ];
    let form = fields(&authorization, &allow);
    anna.send(&format!(
        "<message to='{SERVICE}' id='{id}'>{form}</message>"
    ))
    .await;
    let (_, text) = event(&mut bert, "asks").await;
    assert!(text.contains("subscription='subscribed'"), "{text}");
    done(&mut bert, "get", SERVICE, &items("asks")).await;
}

#[tokio::test]
async fn an_owner_says_who_may_what() {
    let (_server, mut anna, mut bert) = two().await;
    let form = fields(
        &format!("{PUBSUB}#node_config"),
        &[("pubsub#access_model", "whitelist")],
    );
    let create = plain(&format!(
        "<create node='club'/><configure>{form}</configure>"
    ));
    done(&mut anna, "set", SERVICE, &create).await;
    refused(
        &mut bert,
        "get",
        SERVICE,
        &items("club"),
        &["not-allowed", "closed-node"],
    )
    .await;
    let set = |affiliation: &str| {
        owner(&format!(
            "<affiliations node='club'><affiliation jid='bert@klatsch.test' affiliation='{affiliation}'/></affiliations>"
        ))
    };
    done(&mut anna, "set", SERVICE, &set("member")).await;
    done(&mut bert, "get", SERVICE, &items("club")).await;
    refused(
        &mut bert,
        "set",
        SERVICE,
        &publish("club", "x", ENTRY),
        &["forbidden"],
    )
    .await;
    done(&mut anna, "set", SERVICE, &set("publisher")).await;
    done(&mut bert, "set", SERVICE, &publish("club", "x", ENTRY)).await;
    done(&mut anna, "set", SERVICE, &set("outcast")).await;
    refused(&mut bert, "get", SERVICE, &items("club"), &["forbidden"]).await;
    let list = owner("<affiliations node='club'/>");
    let answer = done(&mut anna, "get", SERVICE, &list).await;
    assert!(
        answer.contains("jid='bert@klatsch.test' affiliation='outcast'"),
        "{answer}"
    );
    refused(&mut bert, "get", SERVICE, &list, &["forbidden"]).await;
    // §8.9.2.4: the last owner stays.
    let resign = owner(
        "<affiliations node='club'><affiliation jid='anna@klatsch.test' affiliation='none'/></affiliations>",
    );
    refused(
        &mut anna,
        "set",
        SERVICE,
        &resign,
        &["not-acceptable", "affiliation='owner'"],
    )
    .await;
    // §8.8.
    let subscribe = owner(
        "<subscriptions node='club'><subscription jid='anna@klatsch.test' subscription='subscribed'/></subscriptions>",
    );
    done(&mut anna, "set", SERVICE, &subscribe).await;
    assert!(
        event(&mut anna, "club")
            .await
            .1
            .contains("subscription='subscribed'")
    );
    let list = done(
        &mut anna,
        "get",
        SERVICE,
        &owner("<subscriptions node='club'/>"),
    )
    .await;
    assert!(
        list.contains("jid='anna@klatsch.test' subscription='subscribed'"),
        "{list}"
    );
}

#[tokio::test]
async fn a_node_is_configured_and_its_subscribers_are_told() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    done(&mut anna, "set", SERVICE, &plain("<create node='n'/>")).await;
    let form = done(&mut anna, "get", SERVICE, &owner("<configure node='n'/>")).await;
    for word in [
        "pubsub#max_items",
        "pubsub#access_model",
        "<value>20</value>",
    ] {
        assert!(form.contains(word), "{word}: {form}");
    }
    assert!(
        done(&mut anna, "get", SERVICE, &owner("<default/>"))
            .await
            .contains("pubsub#title")
    );
    let subscribe = plain("<subscribe node='n' jid='anna@klatsch.test'/>");
    done(&mut anna, "set", SERVICE, &subscribe).await;
    let set = configure(
        "n",
        &[("pubsub#notify_config", "1"), ("pubsub#title", "Musings")],
    );
    done(&mut anna, "set", SERVICE, &set).await;
    let (_, text) = event(&mut anna, "n").await;
    assert!(
        text.contains("<configuration") && text.contains("Musings"),
        "{text}"
    );
    for (field, value, word) in [
        ("pubsub#access_model", "presence", "not-acceptable"),
        ("pubsub#access_model", "nobody", "not-acceptable"),
        ("pubsub#max_items", "1000000", "max-items-exceeded"),
    ] {
        refused(
            &mut anna,
            "set",
            SERVICE,
            &configure("n", &[(field, value)]),
            &[word],
        )
        .await;
    }
}

#[tokio::test]
async fn items_come_by_pages_and_the_oldest_go() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    let options = [("pubsub#max_items", "4")];
    for number in 0..6 {
        let publish = publish_with("n", &number.to_string(), ENTRY, &options);
        done(&mut anna, "set", SERVICE, &publish).await;
    }
    let ids = |text: &str| -> Vec<String> {
        let ids = text.split("<item id='").skip(1);
        ids.map(|rest| rest.split('\'').next().unwrap().to_owned())
            .collect()
    };
    let all = done(&mut anna, "get", SERVICE, &items("n")).await;
    assert_eq!(ids(&all), ["2", "3", "4", "5"]);
    let recent = plain("<items node='n' max_items='2'/>");
    assert_eq!(
        ids(&done(&mut anna, "get", SERVICE, &recent).await),
        ["4", "5"]
    );
    let page = |set: &str| {
        plain(&format!(
            "<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><max>2</max>{set}</set>"
        ))
    };
    let first = done(&mut anna, "get", SERVICE, &page("")).await;
    assert_eq!(ids(&first), ["2", "3"]);
    assert!(
        first.contains("<count>4</count>") && first.contains("<last>3</last>"),
        "{first}"
    );
    let next = done(&mut anna, "get", SERVICE, &page("<after>3</after>")).await;
    assert_eq!(ids(&next), ["4", "5"]);
    let before = done(&mut anna, "get", SERVICE, &page("<before>4</before>")).await;
    assert_eq!(ids(&before), ["2", "3"]);
    let last = done(&mut anna, "get", SERVICE, &page("<before/>")).await;
    assert_eq!(ids(&last), ["4", "5"]);
    let one = plain("<items node='n'><item id='4'/></items>");
    assert_eq!(ids(&done(&mut anna, "get", SERVICE, &one).await), ["4"]);
}

#[tokio::test]
async fn items_go_by_themselves_when_the_node_says_so() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    let brief = [("pubsub#item_expire", "1")];
    done(
        &mut anna,
        "set",
        SERVICE,
        &publish_with("n", "one", ENTRY, &brief),
    )
    .await;
    let mut answer = done(&mut anna, "get", SERVICE, &items("n")).await;
    while answer.contains("id='one'") {
        answer = done(&mut anna, "get", SERVICE, &items("n")).await;
    }
    assert!(answer.contains("<items node='n'/>"), "{answer}");
    let set = |value| configure("n", &[("pubsub#item_expire", value)]);
    refused(&mut anna, "set", SERVICE, &set("0"), &["not-acceptable"]).await;
    done(&mut anna, "set", SERVICE, &set("max")).await;
    done(&mut anna, "set", SERVICE, &publish("n", "two", ENTRY)).await;
    let answer = done(&mut anna, "get", SERVICE, &items("n")).await;
    assert!(answer.contains("id='two'"), "{answer}");
}

#[tokio::test]
async fn c08_r10_a_cursor_is_an_item_and_nothing_else() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    done(&mut anna, "set", SERVICE, &publish("n", "one", ENTRY)).await;
    let page = plain(
        "<items node='n'/><set xmlns='http://jabber.org/protocol/rsm'><after>' OR 1=1--</after></set>",
    );
    refused(&mut anna, "get", SERVICE, &page, &["item-not-found"]).await;
    done(&mut anna, "get", SERVICE, &items("n")).await;
}

#[tokio::test]
async fn what_is_malformed_has_its_named_error() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    done(&mut anna, "set", SERVICE, &plain("<create node='n'/>")).await;
    let entry = format!("<item>{ENTRY}{ENTRY}</item>");
    for (payload, words) in [
        (
            plain("<publish node='n'/>"),
            ["bad-request", "item-required"],
        ),
        (
            plain("<publish node='n'><item id='a'/></publish>"),
            ["bad-request", "payload-required"],
        ),
        (
            plain(&format!("<publish node='n'>{entry}</publish>")),
            ["bad-request", "invalid-payload"],
        ),
        (
            plain("<publish><item/></publish>"),
            ["bad-request", "nodeid-required"],
        ),
        (
            plain("<retract node='n'><item/></retract>"),
            ["bad-request", "item-required"],
        ),
        (
            plain("<subscribe node='n' jid='a@@b'/>"),
            ["bad-request", "invalid-jid"],
        ),
        (
            plain("<unheard-of node='n'/>"),
            ["feature-not-implemented", "cancel"],
        ),
    ] {
        refused(&mut anna, "set", SERVICE, &payload, &words).await;
    }
    let instant = done(&mut anna, "set", SERVICE, &plain("<create/>")).await;
    assert!(instant.contains("<create node='"), "{instant}");
}
