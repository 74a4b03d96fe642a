//! Publish-subscribe and personal eventing, as clients see them (XEP-0060 sections 5 to 9,
//! XEP-0163 and what is made of nodes).

use klatsch_protocol::features::caps;
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::xml::{Element, Fragment};

use crate::client::{Client, Tcp, befriend, let_see};
use crate::server::{DOMAIN, Server};

const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
const OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
const EVENT: &str = "http://jabber.org/protocol/pubsub#event";

/// A client that is bound and available; it wants to hear of these nodes.
async fn online(server: &Server, name: &str, resource: &str, notify: &[&str]) -> Tcp {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, resource).await;
    if notify.is_empty() {
        client.send("<presence/>").await;
    } else {
        appear(&mut client, notify).await;
    }
    client.ping().await;
    client
}

/// A server, and a client of each of its accounts.
async fn two() -> (Server, Tcp, Tcp) {
    let server = Server::start().await;
    let anna = online(&server, "anna", "home", &[]).await;
    let bert = online(&server, "bert", "home", &[]).await;
    (server, anna, bert)
}

/// What a client says it can do, and the hash of it.
fn capabilities(notify: &[&str]) -> (String, String) {
    let features = notify
        .iter()
        .map(|node| format!("<feature var='{node}+notify'/>"));
    let features: String = features.collect();
    let query = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{features}</query>");
    let hash = caps::hash(&Element::parse(query.as_bytes()).unwrap()).unwrap();
    (query, hash)
}

/// Sends presence with capabilities.
async fn show(client: &mut Tcp, notify: &[&str]) {
    let (_, hash) = capabilities(notify);
    let caps = format!(
        "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:test' ver='{hash}'/>"
    );
    client.send(&format!("<presence>{caps}</presence>")).await;
}

/// The same, and answers when the server asks for them.
async fn appear(client: &mut Tcp, notify: &[&str]) {
    let (query, _) = capabilities(notify);
    show(client, notify).await;
    // Whoever comes second finds the hash known, and is asked nothing.
    let ping = "<iq type='get' id='asked' to='klatsch.test'><ping xmlns='urn:xmpp:ping'/></iq>";
    client.send(ping).await;
    let first = client
        .expect(|it| it.attr("type") == Some("get") || it.attr("id") == Some("asked"))
        .await;
    if first.attr("type") == Some("get") {
        let id = first.attr("id").expect("an id").to_owned();
        let answer = format!("<iq type='result' id='{id}' to='{DOMAIN}'>{query}</iq>");
        client.send(&answer).await;
    }
}

/// Asks and waits for the answer.
async fn ask(client: &mut Tcp, kind: &str, to: &str, payload: &str) -> Fragment {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let id = format!("n{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let to = if to.is_empty() {
        String::new()
    } else {
        format!(" to='{to}'")
    };
    client
        .send(&format!("<iq type='{kind}' id='{id}'{to}>{payload}</iq>"))
        .await;
    client.expect(|it| it.attr("id") == Some(&id)).await
}

/// Asks; it has to work. The answer's payloads as text.
async fn done(client: &mut Tcp, kind: &str, to: &str, payload: &str) -> String {
    let answer = ask(client, kind, to, payload).await;
    let text = inner(&answer);
    assert_eq!(answer.attr("type"), Some("result"), "{payload}: {text}");
    text
}

/// Asks; it has to be refused with these words.
async fn refused(client: &mut Tcp, kind: &str, to: &str, payload: &str, words: &[&str]) {
    let answer = ask(client, kind, to, payload).await;
    let text = inner(&answer);
    assert_eq!(answer.attr("type"), Some("error"), "{payload}: {text}");
    for word in words {
        assert!(text.contains(word), "{word} in {text}");
    }
}

fn inner(fragment: &Fragment) -> String {
    String::from_utf8_lossy(fragment.payloads().bytes()).into_owned()
}

/// The next notification of a node: who it is from, and what it says.
async fn event(client: &mut Tcp, node: &str) -> (String, String) {
    let named = format!("node='{node}'");
    let message = client
        .expect(|it| {
            let text = inner(it);
            it.name() == "message" && text.contains(EVENT) && text.contains(&named)
        })
        .await;
    let from = message.attr("from").unwrap_or_default().to_owned();
    let text = inner(&message);
    assert!(Stanza::from_fragment(message).is_ok());
    (from, text)
}

/// Nothing that has been said so far is a notification.
async fn no_event(client: &mut Tcp) {
    let id = "quiet";
    client
        .send(&format!(
            "<iq type='get' id='{id}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
    let next = client
        .expect(|it| it.attr("id") == Some(id) || inner(it).contains(EVENT))
        .await;
    assert_eq!(next.attr("id"), Some(id), "{}", inner(&next));
}

fn publish(node: &str, id: &str, payload: &str) -> String {
    format!(
        "<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{id}'>{payload}</item></publish></pubsub>"
    )
}

fn publish_with(node: &str, id: &str, payload: &str, options: &[(&str, &str)]) -> String {
    let fields = fields(&format!("{PUBSUB}#publish-options"), options);
    format!(
        "<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{id}'>{payload}</item></publish>\
         <publish-options>{fields}</publish-options></pubsub>"
    )
}

fn fields(form_type: &str, fields: &[(&str, &str)]) -> String {
    let field = |(name, value): &(&str, &str)| {
        format!("<field var='{name}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE' type='hidden'><value>{form_type}</value></field>{fields}</x>"
    )
}

fn items(node: &str) -> String {
    format!("<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>")
}

fn owner(verb: &str) -> String {
    format!("<pubsub xmlns='{OWNER}'>{verb}</pubsub>")
}

fn plain(verb: &str) -> String {
    format!("<pubsub xmlns='{PUBSUB}'>{verb}</pubsub>")
}

fn configure(node: &str, options: &[(&str, &str)]) -> String {
    let form = fields(&format!("{PUBSUB}#node_config"), options);
    owner(&format!("<configure node='{node}'>{form}</configure>"))
}

const SERVICE: &str = "pubsub.klatsch.test";
const ENTRY: &str = "<entry xmlns='http://www.w3.org/2005/Atom'><title>Soliloquy</title></entry>";

#[path = "nodes/account.rs"]
mod account;
#[path = "nodes/faces.rs"]
mod faces;
#[path = "nodes/service.rs"]
mod service;
