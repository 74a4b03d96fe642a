//! Since when somebody is away, and how long the server has been up (XEP-0012), against a whole
//! server.

use klatsch_protocol::xml::Fragment;

use crate::client::{Client, End, Tcp, befriend};
use crate::server::{DOMAIN, Server};

async fn online(server: &Server, name: &str, resource: &str) -> Tcp {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, resource).await;
    client.send("<presence/>").await;
    client.ping().await;
    client
}

async fn ask(client: &mut Tcp, to: &str) -> Fragment {
    client
        .send(&format!(
            "<iq type='get' id='last' to='{to}'><query xmlns='jabber:iq:last'/></iq>"
        ))
        .await;
    client.expect(|it| it.attr("id") == Some("last")).await
}

/// Seconds and what was said.
fn told(answer: &Fragment) -> (u64, String) {
    assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
    let query = answer
        .payloads()
        .element("query", "jabber:iq:last")
        .unwrap();
    let seconds = query.get("seconds").unwrap().parse().unwrap();
    (seconds, query.text_content())
}

fn refused(answer: &Fragment, condition: &str) {
    assert_eq!(answer.attr("type"), Some("error"), "{answer:?}");
    let error = answer.payloads().element("error", "jabber:client").unwrap();
    assert!(format!("{error:?}").contains(condition), "{answer:?}");
}

#[tokio::test]
async fn contacts_learn_since_when_somebody_is_away_and_nobody_else_does() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home").await;
    let mut bert = online(&server, "bert", "desk").await;
    let account = format!("bert@{DOMAIN}");
    // §4, row R15: a stranger learns nothing, whether bert is there or not.
    refused(&ask(&mut anna, &account).await, "forbidden");
    befriend(&mut anna, &mut bert).await;
    // §3: somebody is there.
    assert_eq!(told(&ask(&mut anna, &account).await), (0, String::new()));
    let mut phone = online(&server, "bert", "phone").await;
    bert.send(
        "<presence type='unavailable'><status>Heading Home</status></presence></stream:stream>",
    )
    .await;
    assert_eq!(bert.end().await, End::Footer);
    // One of two has gone: he is there still.
    assert_eq!(told(&ask(&mut anna, &account).await), (0, String::new()));
    phone
        .send("<presence type='unavailable'><status>Good night</status></presence>")
        .await;
    phone.ping().await;
    let (seconds, status) = told(&ask(&mut anna, &account).await);
    assert_eq!(status, "Good night");
    assert!(seconds < 60, "{seconds}");
}

#[tokio::test]
async fn anybody_learns_how_long_the_server_has_been_up() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home").await;
    // §5.
    let (seconds, text) = told(&ask(&mut anna, DOMAIN).await);
    assert!(seconds < 60 && text.is_empty(), "{seconds} {text}");
}

#[tokio::test]
async fn a_client_is_asked_itself_and_answers_itself() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "home").await;
    let mut bert = online(&server, "bert", "desk").await;
    befriend(&mut anna, &mut bert).await;
    // §4: to a full address, so it is the client's to say.
    anna.send(&format!(
        "<iq type='get' id='idle' to='bert@{DOMAIN}/desk'><query xmlns='jabber:iq:last'/></iq>"
    ))
    .await;
    let asked = bert.expect(|it| it.attr("id") == Some("idle")).await;
    let from = asked.attr("from").unwrap();
    bert.send(&format!(
        "<iq type='result' id='idle' to='{from}'><query xmlns='jabber:iq:last' seconds='903'/></iq>"
    ))
    .await;
    let answer = anna.expect(|it| it.attr("id") == Some("idle")).await;
    assert_eq!(told(&answer), (903, String::new()));
}
