//! Row R14: people of different organisations do not reach each other, and each hears of the other
//! what is heard of a server that does not exist.

mod common;

use common::people::person;
use common::room::create_at;
use common::{ALICE, BOB, CAROL, Client, Scene, bare, befriend, host};
use klatsch_actors::directory::Wire;
use klatsch_actors::world::Settings;
use klatsch_protocol::facts::Host;

/// A domain that nobody serves; as long as the other organisation's.
const NOWHERE: &str = "example.xyz";
const THEIRS: &str = "example.net";

/// Everything that one can send to somebody else, or to a host; `@@` stands for the domain.
const STANZAS: &[&str] = &[
    "<message id='1' to='carol@@@' type='chat'><body>hi</body></message>",
    "<message id='2' to='carol@@@/c' type='chat'><body>hi</body></message>",
    "<message id='3' to='carol@@@'><composing xmlns='http://jabber.org/protocol/chatstates'/><no-store xmlns='urn:xmpp:hints'/></message>",
    "<message id='4' to='carol@@@' type='headline'><body>hi</body></message>",
    "<message id='5' to='nobody@@@' type='chat'><body>hi</body></message>",
    "<message id='6' to='tea@conference.@@' type='groupchat'><body>hi</body></message>",
    "<message id='7' to='@@'><body>hi</body></message>",
    "<presence id='8' to='carol@@@'/>",
    "<presence id='9' to='carol@@@/c'/>",
    "<presence id='10' to='carol@@@' type='probe'/>",
    "<presence id='11' to='tea@conference.@@/al'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
    "<presence id='12' to='new@conference.@@/al'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
    "<iq id='13' type='get' to='carol@@@'><vCard xmlns='vcard-temp'/></iq>",
    "<iq id='14' type='get' to='carol@@@'><query xmlns='jabber:iq:last'/></iq>",
    "<iq id='15' type='get' to='carol@@@'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "<iq id='16' type='get' to='carol@@@'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq id='17' type='get' to='carol@@@'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub></iq>",
    "<iq id='18' type='set' to='carol@@@'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='n' jid='alice@example.org'/></pubsub></iq>",
    "<iq id='19' type='get' to='carol@@@/c'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq id='20' type='set' to='carol@@@'><query xmlns='urn:xmpp:mam:2'/></iq>",
    "<iq id='21' type='get' to='@@'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "<iq id='22' type='get' to='@@'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq id='23' type='get' to='@@'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq id='24' type='get' to='@@'><query xmlns='jabber:iq:last'/></iq>",
    "<iq id='25' type='get' to='@@'><services xmlns='urn:xmpp:extdisco:2'/></iq>",
    "<iq id='26' type='get' to='@@'><query xmlns='jabber:iq:register'/></iq>",
    "<iq id='27' type='get' to='conference.@@'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq id='28' type='get' to='conference.@@'><search xmlns='urn:xmpp:channel-search:0:search'/></iq>",
    "<iq id='29' type='get' to='tea@conference.@@'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    "<iq id='30' type='set' to='tea@conference.@@'><query xmlns='urn:xmpp:mam:2'/></iq>",
    "<iq id='31' type='get' to='pubsub.@@'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    "<iq id='32' type='get' to='upload.@@'><request xmlns='urn:xmpp:http:upload:0' filename='a' size='1'/></iq>",
    "<iq id='33' type='set' to='people.@@'><query xmlns='jabber:iq:search'><nick>carol</nick></query></iq>",
    "<iq id='34' type='get' to='people.@@'><query xmlns='jabber:iq:search'/></iq>",
    "<presence id='35' to='carol@@@' type='subscribe'/>",
];

/// Carol has a room that everybody may find, and is there.
async fn carols_room(scene: &Scene) -> Client {
    let carol = scene.online(CAROL, "c").await;
    create_at(&carol, "tea@conference.example.net", "ca").await;
    carol
}

async fn answers(client: &Client, stanza: &str, domain: &str) -> Vec<String> {
    let stanza = stanza.replace("carol@@@", &format!("carol@{domain}"));
    let stanza = stanza.replace("nobody@@@", &format!("nobody@{domain}"));
    client.send(&stanza.replace("@@", domain)).await;
    let answers = client.sync().await;
    answers
        .iter()
        .map(|it| it.replace(domain, "DOMAIN"))
        .collect()
}

/// What Alice hears of the other organisation is what she hears of nowhere, and Carol hears
/// nothing.
async fn assert_apart(scene: &Scene) {
    let carol = carols_room(scene).await;
    let alice = scene.online(ALICE, "a").await;
    alice.sync().await;
    carol.sync().await;
    for stanza in STANZAS {
        let nowhere = answers(&alice, stanza, NOWHERE).await;
        let theirs = answers(&alice, stanza, THEIRS).await;
        assert_eq!(theirs, nowhere, "{stanza}");
    }
    assert_eq!(carol.sync().await, [""; 0]);
    assert_eq!(scene.log(CAROL).await, [""; 0]);
}

#[tokio::test]
async fn r14_organisations_of_a_directory_are_to_each_other_as_servers_that_do_not_exist() {
    let scene = Scene::new(Wire::Direct).await;
    scene
        .has([
            person(ALICE, "example.org"),
            person(BOB, "example.org"),
            person(CAROL, "example.net"),
        ])
        .await;
    assert_apart(&scene).await;
}

#[tokio::test]
async fn r14_isolated_domains_are_that_without_a_directory() {
    let host = Host {
        isolated: true,
        ..host()
    };
    let scene = Scene::at(host, Wire::Direct, Settings::default()).await;
    assert_apart(&scene).await;
}

#[tokio::test]
async fn domains_of_one_organisation_reach_each_other() {
    let scene = Scene::new(Wire::Direct).await;
    scene
        .has([person(ALICE, "example.org"), person(CAROL, "example.org")])
        .await;
    let carol = carols_room(&scene).await;
    let alice = scene.online(ALICE, "a").await;
    for stanza in STANZAS {
        let nowhere = answers(&alice, stanza, NOWHERE).await;
        let theirs = answers(&alice, stanza, THEIRS).await;
        // What is answered with nothing is answered with nothing; all else is answered.
        assert!(
            theirs != nowhere || theirs.is_empty(),
            "{stanza}: {theirs:?}"
        );
    }
    carol.expect("<body>hi</body>").await;
}

#[tokio::test]
async fn r14_whoever_is_moved_to_another_organisation_is_seen_no_more() {
    let scene = Scene::new(Wire::Direct).await;
    let (alice, carol) = (
        scene.online(ALICE, "a").await,
        scene.online(CAROL, "c").await,
    );
    befriend(&alice, &carol).await;
    scene
        .has([person(ALICE, "example.org"), person(CAROL, "example.net")])
        .await;
    carol.sync().await;
    alice.sync().await;
    alice
        .send("<presence><status>here</status></presence>")
        .await;
    alice.sync().await;
    carol.hears_nothing_of("here").await;
    let people = scene.sessions().people();
    let (me, other) = (bare(ALICE), [bare(CAROL)]);
    assert_eq!(people.seen_by(&me, &other).await.unwrap(), [None]);
}
