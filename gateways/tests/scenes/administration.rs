//! What an administrator does from a client (XEP-0050, XEP-0133), against a whole server.

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::xml::Fragment;

use crate::client::{Client, End, Tcp};
use crate::server::{DOMAIN, OTHER_DOMAIN, Server, Setup};

const COMMANDS: &str = "http://jabber.org/protocol/commands";
const ADMIN: &str = "http://jabber.org/protocol/admin";

/// A server whose administrator is anna.
async fn server() -> Server {
    administered(Setup::default()).await
}

async fn administered(setup: Setup) -> Server {
    let server = Server::start_with(setup).await;
    let anna = BareJid::parse(&format!("anna@{DOMAIN}")).unwrap();
    let store = &server.gateways.clients.sessions.world().store;
    store.set_admin(&anna, true).await.unwrap();
    server
}

async fn online(server: &Server, name: &str, resource: &str) -> Tcp {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, resource).await;
    client.send("<presence/>").await;
    client.ping().await;
    client
}

/// Submits a command's form; the answer.
async fn submit(client: &mut Tcp, to: &str, command: &str, fields: &[(&str, &str)]) -> Fragment {
    let field = |(name, value): &(&str, &str)| {
        format!("<field var='{name}'><value>{value}</value></field>")
    };
    let fields: String = fields.iter().map(field).collect();
    client
        .send(&format!(
            "<iq type='set' id='{command}' to='{to}'>\
             <command xmlns='{COMMANDS}' node='{ADMIN}#{command}'>\
             <x xmlns='jabber:x:data' type='submit'>{fields}</x></command></iq>"
        ))
        .await;
    client.expect(|it| it.attr("id") == Some(command)).await
}

async fn completed(client: &mut Tcp, command: &str, fields: &[(&str, &str)]) -> String {
    let answer = submit(client, DOMAIN, command, fields).await;
    let text = inner(&answer);
    assert!(text.contains("status='completed'"), "{command}: {text}");
    text
}

async fn refused(client: &mut Tcp, to: &str, command: &str, condition: &str) {
    let fields = [("accountjid", "carl@klatsch.test"), ("password", "pw")];
    let answer = submit(client, to, command, &fields).await;
    let text = inner(&answer);
    assert!(text.contains(condition), "{command}: {text}");
}

fn inner(fragment: &Fragment) -> String {
    String::from_utf8_lossy(fragment.payloads().bytes()).into_owned()
}

/// What a login comes to: nothing, or the condition of its failure.
async fn login(server: &Server, name: &str, password: &str) -> Result<(), String> {
    use klatsch_protocol::sasl::scram::ClientBinding;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
    client.authenticate(name, password, mechanism).await
}

#[tokio::test]
async fn an_account_is_made_given_a_password_disabled_and_deleted() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let carl = format!("carl@{DOMAIN}");
    let made = [
        ("accountjid", &*carl),
        ("password", "first"),
        ("password-verify", "first"),
    ];
    completed(&mut anna, "add-user", &made).await;
    assert_eq!(login(&server, "carl", "first").await, Ok(()));
    let again = submit(&mut anna, DOMAIN, "add-user", &made).await;
    assert!(inner(&again).contains("<conflict"), "{}", inner(&again));

    let changed = [("accountjid", &*carl), ("password", "second")];
    completed(&mut anna, "change-user-password", &changed).await;
    assert_eq!(login(&server, "carl", "second").await, Ok(()));
    assert!(login(&server, "carl", "first").await.is_err());

    let named = [("accountjids", &*carl)];
    completed(&mut anna, "disable-user", &named).await;
    let disabled = login(&server, "carl", "second").await;
    assert_eq!(disabled, Err("account-disabled".to_owned()));
    let listed = completed(&mut anna, "get-disabled-users-list", &[("max_items", "25")]).await;
    assert!(listed.contains(&carl), "{listed}");
    completed(&mut anna, "reenable-user", &named).await;
    assert_eq!(login(&server, "carl", "second").await, Ok(()));

    completed(&mut anna, "delete-user", &named).await;
    assert!(login(&server, "carl", "second").await.is_err());
    let gone = submit(&mut anna, DOMAIN, "user-stats", &[("accountjid", &*carl)]).await;
    assert!(inner(&gone).contains("<item-not-found"), "{}", inner(&gone));
}

#[tokio::test]
async fn a_session_ends_when_an_administrator_says_so() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    let mut other = online(&server, "bert", "phone").await;
    let desk = format!("bert@{DOMAIN}/desk");
    completed(&mut anna, "end-user-session", &[("accountjids", &desk)]).await;
    assert_eq!(bert.end().await, End::Error("policy-violation".to_owned()));
    other.ping().await;
    let stats = [("accountjid", "bert@klatsch.test")];
    let about = completed(&mut anna, "user-stats", &stats).await;
    assert!(
        about.contains("phone") && !about.contains("desk"),
        "{about}"
    );
}

#[tokio::test]
async fn an_announcement_reaches_everybody_online() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    completed(&mut anna, "announce", &[("announcement", "tea is ready")]).await;
    let told = bert.expect(|it| it.name() == "message").await;
    assert_eq!(told.attr("from"), Some(DOMAIN));
    assert!(inner(&told).contains("tea is ready"));
    let online = completed(&mut anna, "get-online-users-num", &[]).await;
    assert!(online.contains("<value>2</value>"), "{online}");
}

#[tokio::test]
async fn r13_only_an_administrator_of_the_domain_is_obeyed() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    refused(&mut bert, DOMAIN, "add-user", "<forbidden").await;
    // An administrator of this domain is nobody in the other one.
    refused(&mut anna, OTHER_DOMAIN, "add-user", "<forbidden").await;
    // Whoever is no administrator any more is none, also in a session that is open.
    let lines = [("adminjids", "bert@klatsch.test")];
    completed(&mut anna, "edit-admin", &lines).await;
    completed(
        &mut bert,
        "edit-admin",
        &[("adminjids", "-anna@klatsch.test")],
    )
    .await;
    refused(&mut anna, DOMAIN, "add-user", "<forbidden").await;
}

#[tokio::test]
async fn a_report_reaches_the_administrators_with_the_messages_it_names() {
    let names = ["anna", "bert", "iago"];
    let server = administered(Setup {
        accounts: names.map(str::to_owned).to_vec(),
        ..Setup::default()
    })
    .await;
    let mut bert = online(&server, "bert", "desk").await;
    let mut iago = online(&server, "iago", "desk").await;
    let spam =
        "<message to='bert@klatsch.test' type='chat'><body>Buy handkerchiefs!</body></message>";
    iago.send(spam).await;
    let got = bert
        .expect(|it| it.payloads().has("body", "jabber:client"))
        .await;
    let id = got
        .payloads()
        .element("stanza-id", "urn:xmpp:sid:0")
        .unwrap();
    let id = id.get("id").unwrap().to_owned();
    bert.send(&format!(
        "<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'>\
         <item jid='iago@klatsch.test'>\
         <report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'>\
         <stanza-id xmlns='urn:xmpp:sid:0' by='bert@klatsch.test' id='{id}'/>\
         <text xml:lang='en'>Put money in thy purse</text></report></item></block></iq>"
    ))
    .await;
    let blocked = bert.expect(|it| it.attr("id") == Some("block")).await;
    assert_eq!(blocked.attr("type"), Some("result"), "{blocked:?}");
    // Nobody was online: the report waits in the administrator's archive.
    let mut anna = Client::connect(server.c2s).await;
    anna.session("anna", "desk").await;
    anna.send("<presence/>").await;
    let told = anna
        .expect(|it| it.name() == "message" && it.attr("from") == Some(DOMAIN))
        .await;
    let told = inner(&told);
    for part in [
        "iago@klatsch.test for spam",
        "money in thy purse",
        "Buy handkerchiefs!",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    anna.send(&format!(
        "<iq type='set' id='reports' to='{DOMAIN}'>\
         <command xmlns='{COMMANDS}' node='urn:klatsch:admin#reports'/></iq>"
    ))
    .await;
    let listed = anna.expect(|it| it.attr("id") == Some("reports")).await;
    let listed = inner(&listed);
    assert!(
        listed.contains("<value>iago@klatsch.test</value>"),
        "{listed}"
    );
    assert!(
        listed.contains("<value>urn:xmpp:reporting:spam</value>"),
        "{listed}"
    );
    // Nobody else is shown it.
    bert.send(&format!(
        "<iq type='set' id='reports' to='{DOMAIN}'>\
         <command xmlns='{COMMANDS}' node='urn:klatsch:admin#reports'/></iq>"
    ))
    .await;
    let refused = bert.expect(|it| it.attr("id") == Some("reports")).await;
    assert!(inner(&refused).contains("forbidden"), "{}", inner(&refused));
}

/// The body of the next message of the domain.
async fn said(client: &mut Tcp) -> String {
    let told = client
        .expect(|it| it.name() == "message" && it.attr("from") == Some(DOMAIN))
        .await;
    let body = told.payloads().text_of("body", "jabber:client");
    body.expect("it says something").into_owned()
}

/// Nothing of the domain has come until now.
async fn heard_nothing(client: &mut Tcp) {
    client
        .send(&format!(
            "<iq type='get' id='so far' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
    let next = client
        .expect(|it| it.name() == "message" || it.attr("id") == Some("so far"))
        .await;
    assert_eq!(next.name(), "iq", "{}", inner(&next));
}

#[tokio::test]
async fn a_message_of_the_day_is_told_to_everybody_once() {
    let names = ["anna", "bert", "carl"].map(str::to_owned);
    let server = administered(Setup {
        accounts: names.to_vec(),
        ..Setup::default()
    })
    .await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    completed(&mut anna, "set-motd", &[("motd", "Globe Stuff")]).await;
    assert_eq!(said(&mut anna).await, "Globe Stuff");
    assert_eq!(said(&mut bert).await, "Globe Stuff");
    let edited = completed(&mut anna, "edit-motd", &[("motd", "Globe Staff")]).await;
    assert!(edited.contains("completed"), "{edited}");
    // Whoever was not there gets it now, as it is now, and gets it once.
    let mut carl = Client::connect(server.c2s).await;
    carl.session("carl", "desk").await;
    carl.send("<presence/>").await;
    assert_eq!(said(&mut carl).await, "Globe Staff");
    carl.send("<presence type='unavailable'/><presence/>").await;
    carl.ping().await;
    heard_nothing(&mut carl).await;
    completed(&mut anna, "delete-motd", &[]).await;
    heard_nothing(&mut bert).await;
}

#[tokio::test]
async fn a_new_account_is_welcomed_at_its_first_login() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    completed(&mut anna, "set-welcome", &[("welcome", "Hie thee hither")]).await;
    let carl = format!("carl@{DOMAIN}");
    let made = [
        ("accountjid", &*carl),
        ("password", crate::server::PASSWORD),
    ];
    completed(&mut anna, "add-user", &made).await;
    let mut carl = Client::connect(server.c2s).await;
    carl.session("carl", "desk").await;
    carl.send("<presence/>").await;
    assert_eq!(said(&mut carl).await, "Hie thee hither");
    heard_nothing(&mut carl).await;
}

#[tokio::test]
async fn an_administrator_shuts_the_server_down_and_everybody_hears_of_it() {
    use klatsch_actors::administration::stop::Ending;
    let server = server().await;
    let mut ending = server.gateways.clients.sessions.world().stopping.ending();
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    let fields = [("delay", "0"), ("announcement", "Log off now!")];
    completed(&mut anna, "shutdown", &fields).await;
    assert_eq!(said(&mut bert).await, "Log off now!");
    let wanted = ending.wait_for(Option::is_some).await.unwrap();
    assert_eq!(*wanted, Some(Ending::Stop));
}

#[tokio::test]
async fn an_administrator_is_told_when_somebody_was_last_there() {
    let server = server().await;
    let mut anna = online(&server, "anna", "desk").await;
    let named = [("accountjids", "bert@klatsch.test")];
    let never = completed(&mut anna, "get-user-lastlogin", &named).await;
    assert!(!never.contains("lastlogin'>"), "{never}");
    let mut bert = online(&server, "bert", "desk").await;
    bert.send("<presence type='unavailable'/></stream:stream>")
        .await;
    assert_eq!(bert.end().await, End::Footer);
    let told = completed(&mut anna, "get-user-lastlogin", &named).await;
    assert!(
        told.contains("var='lastlogin'") && told.contains('Z'),
        "{told}"
    );
}
