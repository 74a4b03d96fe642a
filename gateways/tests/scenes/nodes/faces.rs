//! What is one thing with two faces: bookmarks, avatars, the state of what is displayed; and
//! what is kept under names.

use super::*;

const BOOKMARKS: &str = "urn:xmpp:bookmarks:1";
const LEGACY: &str = "storage:bookmarks";
const PRIVATE: &str =
    "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>";
const METADATA: &str = "urn:xmpp:avatar:metadata";
const DATA: &str = "urn:xmpp:avatar:data";

fn set_private(rooms: &str) -> String {
    format!("<query xmlns='jabber:iq:private'><storage xmlns='{LEGACY}'>{rooms}</storage></query>")
}

#[tokio::test]
async fn bookmarks_are_the_same_whichever_way_they_are_read_and_written() {
    let server = Server::start().await;
    let mut old = online(&server, "anna", "old", &[LEGACY]).await;
    let mut new = online(&server, "anna", "new", &[BOOKMARKS]).await;
    // The old way in.
    let heath = "<conference jid='heath@rooms.example' name='The Heath' autojoin='1'><nick>Anna</nick></conference>";
    let url = "<url name='Home' url='https://example.org/'/>";
    done(&mut old, "set", "", &set_private(&format!("{heath}{url}"))).await;
    let (_, text) = event(&mut new, BOOKMARKS).await;
    for word in [
        "id='heath@rooms.example'",
        "autojoin='true'",
        "<nick>Anna</nick>",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    // The new way in; the old list has both, and what is no room.
    let cave = format!(
        "<conference xmlns='{BOOKMARKS}' name='Cave'><extensions><x xmlns='urn:x'/></extensions></conference>"
    );
    let options = [
        ("pubsub#access_model", "whitelist"),
        ("pubsub#max_items", "max"),
    ];
    done(
        &mut new,
        "set",
        "",
        &publish_with(BOOKMARKS, "cave@rooms.example", &cave, &options),
    )
    .await;
    let (_, text) = event(&mut old, LEGACY).await;
    assert!(text.contains("heath@rooms.example"), "{text}");
    let all = done(&mut old, "get", "", PRIVATE).await;
    for word in [
        "jid='heath@rooms.example'",
        "jid='cave@rooms.example'",
        "https://example.org/",
    ] {
        assert!(all.contains(word), "{word}: {all}");
    }
    let pep = done(&mut old, "get", "", &items(LEGACY)).await;
    assert!(
        pep.contains("id='current'") && pep.contains("cave@rooms.example"),
        "{pep}"
    );
    // The old client drops one room and renames the other, whose extensions stay.
    let renamed = "<conference jid='cave@rooms.example' name='Grotto'/>";
    done(&mut old, "set", "", &set_private(renamed)).await;
    let now = done(&mut new, "get", "", &items(BOOKMARKS)).await;
    assert!(now.contains("Grotto") && now.contains("urn:x"), "{now}");
    assert!(!now.contains("heath@rooms.example"), "{now}");
    // And through the old node.
    let storage = format!("<storage xmlns='{LEGACY}'>{heath}</storage>");
    done(&mut old, "set", "", &publish(LEGACY, "current", &storage)).await;
    let now = done(&mut new, "get", "", &items(BOOKMARKS)).await;
    assert!(
        now.contains("heath@rooms.example") && !now.contains("Grotto"),
        "{now}"
    );
    let mut bert = online(&server, "bert", "home", &[]).await;
    refused(
        &mut bert,
        "get",
        "anna@klatsch.test",
        &items(BOOKMARKS),
        &["item-not-found"],
    )
    .await;
}

#[tokio::test]
async fn a_published_avatar_is_the_photo_of_the_vcard_and_the_hash_in_presence() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    let mut bert = online(&server, "bert", "home", &[METADATA]).await;
    befriend(&mut anna, &mut bert).await;
    // SHA-1 of "avatar".
    let hash = "9c3bb49ffea1144231cbe02d904b8d9018744e9d";
    let data = format!("<data xmlns='{DATA}'>YXZhdGFy</data>");
    done(&mut anna, "set", "", &publish(DATA, hash, &data)).await;
    let metadata = format!(
        "<metadata xmlns='{METADATA}'><info id='{hash}' bytes='6' type='image/png'/></metadata>"
    );
    done(&mut anna, "set", "", &publish(METADATA, hash, &metadata)).await;
    event(&mut bert, METADATA).await;
    bert.expect(|it| it.name() == "presence" && inner(it).contains(hash))
        .await;
    let card = "<vCard xmlns='vcard-temp'/>";
    let seen = done(&mut bert, "get", "anna@klatsch.test", card).await;
    assert!(
        seen.contains("<TYPE>image/png</TYPE><BINVAL>YXZhdGFy</BINVAL>"),
        "{seen}"
    );
    // The next session shows it by itself.
    let _second = online(&server, "anna", "work", &[]).await;
    bert.expect(|it| it.attr("from") == Some("anna@klatsch.test/work") && inner(it).contains(hash))
        .await;
}

#[tokio::test]
async fn a_photo_in_the_vcard_is_published_as_the_avatar() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home", &[]).await;
    let mut bert = online(&server, "bert", "home", &[METADATA]).await;
    befriend(&mut anna, &mut bert).await;
    let empty = "<vCard xmlns='vcard-temp'/>";
    refused(
        &mut bert,
        "get",
        "anna@klatsch.test",
        empty,
        &["item-not-found"],
    )
    .await;
    let card = "<vCard xmlns='vcard-temp'><FN>Anna</FN>\
        <PHOTO><TYPE>image/jpeg</TYPE><BINVAL>aW1h\nZ2U=</BINVAL></PHOTO></vCard>";
    done(&mut anna, "set", "", card).await;
    // SHA-1 of "image".
    let hash = "0e76292794888d4f1fa75fb3aff4ca27c58f56a6";
    let (from, text) = event(&mut bert, METADATA).await;
    assert_eq!(from, "anna@klatsch.test");
    assert!(
        text.contains(hash) && text.contains("image/jpeg") && text.contains("bytes='5'"),
        "{text}"
    );
    bert.expect(|it| it.name() == "presence" && inner(it).contains(hash))
        .await;
    let data = done(&mut bert, "get", "anna@klatsch.test", &items(DATA)).await;
    assert!(data.contains("aW1hZ2U="), "{data}");
    let seen = done(&mut bert, "get", "anna@klatsch.test", empty).await;
    assert!(
        seen.contains("<FN>Anna</FN>") && seen.contains("aW1hZ2U="),
        "{seen}"
    );
    // A card without a photo leaves it, one with an empty photo takes it away.
    done(
        &mut anna,
        "set",
        "",
        "<vCard xmlns='vcard-temp'><FN>A</FN></vCard>",
    )
    .await;
    assert!(
        done(&mut bert, "get", "anna@klatsch.test", empty)
            .await
            .contains("aW1hZ2U=")
    );
    done(
        &mut anna,
        "set",
        "",
        "<vCard xmlns='vcard-temp'><FN>A</FN><PHOTO/></vCard>",
    )
    .await;
    let gone = bert.expect(|it| it.name() == "presence").await;
    assert!(inner(&gone).contains("<photo/>"), "{}", inner(&gone));
    assert!(
        !done(&mut bert, "get", "anna@klatsch.test", empty)
            .await
            .contains("PHOTO")
    );
}

#[tokio::test]
async fn one_message_marks_a_chat_as_displayed_for_the_other_side_and_for_own_devices() {
    let server = Server::start().await;
    let node = "urn:xmpp:mds:displayed:0";
    let mut phone = online(&server, "anna", "phone", &[]).await;
    let mut desk = online(&server, "anna", "desk", &[node]).await;
    let mut bert = online(&server, "bert", "home", &[]).await;
    phone.send(&format!(
        "<message type='chat' to='bert@klatsch.test' id='m'><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>\
         <displayed xmlns='{node}'><stanza-id xmlns='urn:xmpp:sid:0' by='anna@klatsch.test' id='7'/></displayed></message>"
    )).await;
    let (_, text) = event(&mut desk, node).await;
    assert!(
        text.contains("id='bert@klatsch.test'") && text.contains("id='7'"),
        "{text}"
    );
    let got = bert.expect(|it| it.attr("id") == Some("m")).await;
    assert!(
        inner(&got).contains("chat-markers") && !inner(&got).contains(node),
        "{}",
        inner(&got)
    );
    let state = done(&mut phone, "get", "", &items(node)).await;
    assert!(state.contains("id='bert@klatsch.test'"), "{state}");
    refused(
        &mut bert,
        "get",
        "anna@klatsch.test",
        &items(node),
        &["item-not-found"],
    )
    .await;
}

#[tokio::test]
async fn private_elements_are_kept_for_the_account_alone() {
    let (_server, mut anna, mut bert) = two().await;
    let query = |inner: &str| format!("<query xmlns='jabber:iq:private'>{inner}</query>");
    let never = done(
        &mut anna,
        "get",
        "",
        &query("<prefs xmlns='exodus:prefs'/>"),
    )
    .await;
    assert!(never.contains("<prefs xmlns='exodus:prefs'/>"), "{never}");
    let prefs = "<prefs xmlns='exodus:prefs'><nick>Hamlet</nick></prefs>";
    done(&mut anna, "set", "", &query(prefs)).await;
    let kept = done(
        &mut anna,
        "get",
        "",
        &query("<prefs xmlns='exodus:prefs'/>"),
    )
    .await;
    assert!(kept.contains("Hamlet"), "{kept}");
    refused(
        &mut bert,
        "get",
        "anna@klatsch.test",
        &query("<prefs xmlns='exodus:prefs'/>"),
        &["service-unavailable"],
    )
    .await;
    refused(
        &mut anna,
        "set",
        "",
        &query("<x xmlns='vcard-temp'/>"),
        &["not-acceptable"],
    )
    .await;
    refused(&mut anna, "set", "", &query(""), &["not-acceptable"]).await;
    refused(&mut anna, "get", "", &query(""), &["bad-request"]).await;
    // §2.3: several elements of one namespace; those of one name come back together.
    let many = "<a xmlns='x:y'>1</a><b xmlns='x:y'>2</b><a xmlns='x:y'>3</a>";
    done(&mut anna, "set", "", &query(many)).await;
    let kept = done(&mut anna, "get", "", &query("<a xmlns='x:y'/>")).await;
    let both = "<a xmlns='x:y'>1</a><a xmlns='x:y'>3</a>";
    assert!(kept.contains(both), "{kept}");
    let kept = done(&mut anna, "get", "", &query("<b xmlns='x:y'/>")).await;
    assert!(kept.contains("<b xmlns='x:y'>2</b>"), "{kept}");
    let mixed = "<a xmlns='x:y'/><a xmlns='x:z'/>";
    refused(&mut anna, "set", "", &query(mixed), &["not-acceptable"]).await;
}
