//! Accounts in the hands of their owners and of who invites them: XEP-0077, XEP-0401, XEP-0445,
//! XEP-0379.

use klatsch_protocol::features::registration;
use klatsch_protocol::ns;
use klatsch_protocol::sasl::scram::ClientBinding;
use klatsch_protocol::xml::{Element, Fragment};

use crate::client::{Client, End, Tls, condition};
use crate::http::{get, post, status};
use crate::server::{DOMAIN, PASSWORD, Server, Setup};

const NS: &str = "jabber:iq:register";
const CHOSEN: &str = "a password of my own";

fn fields(name: &str, password: &str) -> String {
    format!("<username>{name}</username><password>{password}</password>")
}

/// Sends a request about the account; answers `result` or the error's condition.
async fn register(client: &mut Tls, kind: &str, inside: &str) -> String {
    client
        .send(&format!(
            "<iq type='{kind}' id='reg'><query xmlns='{NS}'>{inside}</query></iq>"
        ))
        .await;
    outcome(&client.expect(|it| it.attr("id") == Some("reg")).await)
}

fn outcome(answer: &Fragment) -> String {
    match answer.attr("type") {
        Some("result") => "result".to_owned(),
        _ => {
            let error = answer.payloads().element("error", ns::CLIENT).unwrap();
            let condition = error.children().next().unwrap();
            condition.name().to_owned()
        }
    }
}

/// Under TLS, with the features there.
async fn opened(server: &Server) -> Tls {
    let mut client = Client::connect_tls(server.c2s_tls).await;
    client.open().await;
    client
}

async fn session(server: &Server, name: &str, resource: &str) -> Tls {
    let mut client = Client::connect_tls(server.c2s_tls).await;
    client.session(name, resource).await;
    client
}

/// Whether somebody gets in.
async fn logs_in(server: &Server, name: &str, password: &str) -> Result<(), String> {
    let mut client = opened(server).await;
    let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
    client.authenticate(name, password, mechanism).await
}

fn open_registration() -> Setup {
    Setup {
        registration: registration::Settings {
            is_open: true,
            ..with_pages()
        },
        ..Setup::default()
    }
}

fn with_pages() -> registration::Settings {
    let mut settings = registration::Settings::default();
    settings.invitations.url = Some("https://{domain}/invite".to_owned());
    settings
}

async fn inviting() -> Server {
    Server::start_with(Setup {
        registration: with_pages(),
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn stranger_makes_an_account_and_logs_in_over_the_same_stream() {
    let server = Server::start_with(open_registration()).await;
    let mut client = opened(&server).await;
    assert_eq!(register(&mut client, "get", "").await, "result");
    let taken = register(&mut client, "set", &fields("anna", CHOSEN)).await;
    assert_eq!(taken, "conflict");
    let made = register(&mut client, "set", &fields("Carla", CHOSEN)).await;
    assert_eq!(made, "result");
    let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
    let login = client.authenticate("carla", CHOSEN, mechanism).await;
    assert_eq!(login, Ok(()));
    client.open().await;
    assert_eq!(client.bind("home").await, format!("carla@{DOMAIN}/home"));
}

#[tokio::test]
async fn a11_where_nobody_may_register_a_taken_name_shows_as_any_other() {
    let server = inviting().await;
    let mut client = opened(&server).await;
    for name in ["anna", "nobody"] {
        let refused = register(&mut client, "set", &fields(name, CHOSEN)).await;
        assert_eq!(refused, "forbidden");
    }
}

#[tokio::test]
async fn a14_another_password_ends_the_other_sessions_and_their_resumption() {
    let server = Server::start().await;
    let mut other = session(&server, "anna", "other").await;
    let mut away = session(&server, "anna", "away").await;
    away.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        .await;
    let enabled = away.expect(|it| it.is("enabled", "urn:xmpp:sm:3")).await;
    let previd = enabled.attr("id").unwrap().to_owned();
    drop(away);
    let mut anna = session(&server, "anna", "home").await;
    let changed = register(&mut anna, "set", &fields("anna", CHOSEN)).await;
    assert_eq!(changed, "result");
    assert_eq!(other.end().await, End::Error("not-authorized".into()));
    anna.ping().await;
    let old = logs_in(&server, "anna", PASSWORD).await;
    assert_eq!(old, Err("not-authorized".into()));
    let mut again = opened(&server).await;
    let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
    let login = again.authenticate("anna", CHOSEN, mechanism).await;
    assert_eq!(login, Ok(()));
    again.open().await;
    again
        .send(&format!(
            "<resume xmlns='urn:xmpp:sm:3' previd='{previd}' h='0'/>"
        ))
        .await;
    let refused = again.expect(|it| it.namespace() == "urn:xmpp:sm:3").await;
    assert_eq!(
        (refused.name(), &*condition(&refused)),
        ("failed", "item-not-found")
    );
}

#[tokio::test]
async fn a14_removed_account_is_gone_with_its_sessions() {
    let server = Server::start().await;
    let mut other = session(&server, "anna", "other").await;
    let mut anna = session(&server, "anna", "home").await;
    let removed = register(&mut anna, "set", "<remove/>").await;
    assert_eq!(removed, "result");
    for client in [&mut anna, &mut other] {
        assert_eq!(client.end().await, End::Error("not-authorized".into()));
    }
    let login = logs_in(&server, "anna", PASSWORD).await;
    assert_eq!(login, Err("not-authorized".into()));
}

/// What the command gives: by the fields' names.
async fn invite(client: &mut Tls) -> (String, String) {
    client
        .send(&format!(
            "<iq type='set' id='inv' to='{DOMAIN}'><command action='execute' \
             xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#invite'/></iq>"
        ))
        .await;
    let answer = client.expect(|it| it.attr("id") == Some("inv")).await;
    let commands = "http://jabber.org/protocol/commands";
    let command = answer.payloads().element("command", commands).unwrap();
    assert_eq!(command.get("status"), Some("completed"));
    let form = command.find("x", "jabber:x:data").unwrap();
    let value = |name| {
        let is_it = |field: &&Element| field.get("var") == Some(name);
        let value = form
            .children()
            .find(is_it)?
            .find("value", "jabber:x:data")?;
        Some(value.text_content())
    };
    (value("uri").unwrap(), value("landing-url").unwrap())
}

/// An invitation's token and the path of its page.
async fn invited_by(client: &mut Tls) -> (String, String) {
    let (uri, url) = invite(client).await;
    let path = url.strip_prefix(&format!("https://{DOMAIN}")).unwrap();
    let token = path.strip_prefix("/invite/").unwrap();
    let expected = format!("xmpp:anna@{DOMAIN}?roster;preauth={token};ibr=y");
    assert_eq!(uri, expected);
    (token.to_owned(), path.to_owned())
}

fn filled_in(name: &str) -> String {
    format!("name={name}&password={CHOSEN}&repeated={CHOSEN}").replace(' ', "+")
}

async fn preauth(client: &mut Tls, token: &str) -> String {
    client
        .send(&format!(
            "<iq type='set' id='pre' to='{DOMAIN}'><preauth xmlns='urn:xmpp:pars:0' \
             token='{token}'/></iq>"
        ))
        .await;
    outcome(&client.expect(|it| it.attr("id") == Some("pre")).await)
}

/// Whether a roster push is about this contact, and that both see each other.
fn is_push_of(push: &Fragment, contact: &str) -> bool {
    let query = push.payloads().element("query", "jabber:iq:roster");
    let item = query.as_ref().and_then(|it| it.children().next());
    push.attr("type") == Some("set")
        && item.is_some_and(|item| {
            item.get("jid") == Some(contact) && item.get("subscription") == Some("both")
        })
}

async fn ask_roster(client: &mut Tls) -> Element {
    client
        .send("<iq type='get' id='ros'><query xmlns='jabber:iq:roster'/></iq>")
        .await;
    let answer = client.expect(|it| it.attr("id") == Some("ros")).await;
    answer
        .payloads()
        .element("query", "jabber:iq:roster")
        .unwrap()
}

#[tokio::test]
async fn invited_person_registers_in_an_app_and_is_the_inviters_contact() {
    let server = inviting().await;
    let mut anna = session(&server, "anna", "home").await;
    ask_roster(&mut anna).await;
    let (token, _) = invited_by(&mut anna).await;
    let mut carla = opened(&server).await;
    assert_eq!(preauth(&mut carla, "guess").await, "item-not-found");
    assert_eq!(preauth(&mut carla, &token).await, "result");
    let taken = register(&mut carla, "set", &fields("bert", CHOSEN)).await;
    assert_eq!(taken, "conflict", "which uses nothing up");
    let made = register(&mut carla, "set", &fields("carla", CHOSEN)).await;
    assert_eq!(made, "result");
    anna.expect(|it| is_push_of(it, &format!("carla@{DOMAIN}")))
        .await;
    let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
    carla
        .authenticate("carla", CHOSEN, mechanism)
        .await
        .unwrap();
    carla.open().await;
    carla.bind("home").await;
    let roster = ask_roster(&mut carla).await;
    let item = roster.children().next().unwrap();
    assert_eq!(item.get("jid"), Some(&*format!("anna@{DOMAIN}")));
    assert_eq!(item.get("subscription"), Some("both"));
    let mut late = opened(&server).await;
    assert_eq!(preauth(&mut late, &token).await, "item-not-found");
}

#[tokio::test]
async fn invited_person_registers_in_a_browser() {
    let server = inviting().await;
    let mut anna = session(&server, "anna", "home").await;
    let (token, path) = invited_by(&mut anna).await;
    let page = get(server.http, &path).await;
    assert_eq!(status(&page), "200");
    for expected in [
        &format!("xmpp:anna@{DOMAIN}?roster;preauth={token};ibr=y"),
        "<form",
        "has invited you",
        "referrer-policy: no-referrer",
    ] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(!page.contains("<script"));
    for (form, answer) in [
        (filled_in("bert"), "422"),
        (filled_in("admin"), "422"),
        (filled_in("a%40b"), "422"),
        (
            filled_in("carla").replace("repeated=a", "repeated=b"),
            "422",
        ),
        (filled_in("%3Cb%3E"), "422"),
        ("name=carla".to_owned(), "400"),
        (filled_in("carla"), "201"),
        (filled_in("doris"), "404"),
    ] {
        let page = post(server.http, &path, &form).await;
        assert_eq!(status(&page), answer, "{form}: {page}");
        assert!(!page.contains("<b>"), "{page}");
    }
    assert_eq!(logs_in(&server, "carla", CHOSEN).await, Ok(()));
    assert_eq!(status(&get(server.http, &path).await), "404");
}

#[tokio::test]
async fn a16_fifty_people_with_one_invitation_make_one_account() {
    let server = inviting().await;
    let mut anna = session(&server, "anna", "home").await;
    let (_, path) = invited_by(&mut anna).await;
    let mut crowd = tokio::task::JoinSet::new();
    for n in 0..50 {
        let (address, path) = (server.http, path.clone());
        crowd.spawn(async move {
            let page = post(address, &path, &filled_in(&format!("guest{n}"))).await;
            status(&page).to_owned()
        });
    }
    let outcomes = crowd.join_all().await;
    let made = outcomes.iter().filter(|status| *status == "201").count();
    // Who waits too long for a turn at the keys is told to try again; the rest come too late.
    let refused = |status: &&String| matches!(status.as_str(), "404" | "410" | "503");
    assert_eq!(made, 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(refused).count(), 49, "{outcomes:?}");
}

#[tokio::test]
async fn invitation_makes_contacts_of_two_who_have_accounts() {
    let server = inviting().await;
    let mut anna = session(&server, "anna", "home").await;
    ask_roster(&mut anna).await;
    let (token, _) = invited_by(&mut anna).await;
    let mut bert = session(&server, "bert", "home").await;
    ask_roster(&mut bert).await;
    let to = format!("anna@{DOMAIN}");
    // XEP-0379 §3.4: with the request goes an approval in advance.
    bert.send(&format!(
        "<presence to='{to}' type='subscribed'/><presence to='{to}' type='subscribe'>\
         <preauth xmlns='urn:xmpp:pars:0' token='{token}'/></presence>"
    ))
    .await;
    anna.expect(|it| is_push_of(it, &format!("bert@{DOMAIN}")))
        .await;
    bert.expect(|it| is_push_of(it, &to)).await;
}
