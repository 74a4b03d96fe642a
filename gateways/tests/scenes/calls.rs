//! What the server does for calls: STUN and TURN with credentials from XEP-0215, and signalling
//! that nobody can forge or flood.

mod turn;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use klatsch_gateways::turn::Settings;
use klatsch_protocol::features::external_services::Secret;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::xml::Fragment;

use crate::client::{Client, End, Tcp};
use crate::server::{DOMAIN, Server, Setup};
use turn::{Caller, Credentials};

const SERVICES: &str = "urn:xmpp:extdisco:2";
const JINGLE: &str = "urn:xmpp:jingle:1";

fn settings() -> Settings {
    Settings {
        realm: DOMAIN.to_owned(),
        secret: Secret((*b"a secret of this server").into()),
        credentials: Duration::from_secs(3600),
        addresses: Vec::new(),
        // What the kernel gives out itself ends before.
        ports: 62_000..=62_999,
        allow_peers: Vec::new(),
        allocations_max: 100,
        allocations_per_account: 50,
        allocation_max: Duration::from_secs(7200),
        bytes_per_second: 1_000_000,
        requests_per_second: 1_000,
    }
}

async fn server(turn: Settings) -> Server {
    let setup = Setup {
        turn: Some(turn),
        ..Setup::default()
    };
    Server::start_with(setup).await
}

async fn online(server: &Server, name: &str, resource: &str) -> Tcp {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, resource).await;
    client.send("<presence/>").await;
    client.ping().await;
    client
}

async fn ask_for_services(client: &mut Tcp) {
    let services = format!("<services xmlns='{SERVICES}'/>");
    client
        .send(&format!(
            "<iq type='get' id='turn' to='{DOMAIN}'>{services}</iq>"
        ))
        .await;
}

/// What a client is told about relays.
async fn credentials(client: &mut Tcp) -> Credentials {
    ask_for_services(client).await;
    let answer = client.expect(|it| it.attr("id") == Some("turn")).await;
    let services = answer.payloads().element("services", SERVICES).unwrap();
    let kind = |it: &str| {
        let mut all = services.children();
        all.find(|service| service.get("type") == Some(it)).unwrap()
    };
    let (stun, turn) = (kind("stun"), kind("turn"));
    for name in ["host", "port", "transport"] {
        assert_eq!(stun.get(name), turn.get(name));
    }
    let get = |name: &str| turn.get(name).unwrap().to_owned();
    assert_eq!(get("transport"), "udp");
    Credentials {
        server: format!("{}:{}", get("host"), get("port")).parse().unwrap(),
        username: get("username"),
        password: get("password"),
    }
}

fn seconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn inner(fragment: &Fragment) -> String {
    String::from_utf8_lossy(fragment.payloads().bytes()).into_owned()
}

#[tokio::test]
async fn two_clients_meet_at_relays_whose_credentials_the_server_gave_them() {
    let server = server(settings()).await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    let mut at_anna = Caller::new(credentials(&mut anna).await).await;
    let mut at_bert = Caller::new(credentials(&mut bert).await).await;
    assert_eq!(at_anna.mapped().await, at_anna.address());
    let relay_of_anna = at_anna.allocate().await.unwrap();
    let relay_of_bert = at_bert.allocate().await.unwrap();
    assert_eq!(at_anna.bind(0x4001, relay_of_bert).await, Ok(()));
    assert_eq!(at_bert.bind(0x4002, relay_of_anna).await, Ok(()));
    let picture: Vec<u8> = (0..1_200).map(|it| it as u8).collect();
    for _ in 0..20 {
        at_anna.send(0x4001, &picture).await;
        assert_eq!(at_bert.data().await, (0x4002, picture.clone()));
        at_bert.send(0x4002, b"seen").await;
        assert_eq!(at_anna.data().await, (0x4001, b"seen".to_vec()));
    }
    // The machine itself is out of reach for both.
    let inside = server.c2s;
    let refused = at_anna.bind(
        0x4003,
        (std::net::Ipv4Addr::new(127, 0, 0, 2), inside.port()).into(),
    );
    assert_eq!(refused.await.unwrap_err().0, 403);
}

#[tokio::test]
async fn t02_credentials_end_by_themselves() {
    let server = server(Settings {
        credentials: Duration::from_secs(1),
        // It is asked without a pause until they have ended, which T04 would not answer.
        requests_per_second: 10_000_000,
        ..settings()
    })
    .await;
    let mut anna = online(&server, "anna", "desk").await;
    let told = credentials(&mut anna).await;
    let (ends, _) = told.username.split_once(':').unwrap();
    let ends: u64 = ends.parse().unwrap();
    loop {
        let before = seconds_now();
        let mut caller = Caller::new(told.clone()).await;
        match caller.allocate().await {
            Ok(_) => {
                assert!(before < ends, "good for too long");
                caller.give_back().await;
            }
            Err(refused) => {
                assert_eq!(refused, (401, "expired credentials".to_owned()));
                assert!(seconds_now() >= ends, "refused too early");
                return;
            }
        }
    }
}

#[tokio::test]
async fn t02_credentials_of_another_server_or_with_another_name_are_worth_nothing() {
    let server = server(settings()).await;
    let mut anna = online(&server, "anna", "desk").await;
    let told = credentials(&mut anna).await;
    let (ends, account) = told.username.split_once(':').unwrap();
    let later: u64 = ends.parse::<u64>().unwrap() + 3600;
    for username in [
        format!("{later}:{account}"),
        format!("{ends}:{}", account.replace(&account[..1], "x")),
        "anna".to_owned(),
    ] {
        let forged = Credentials {
            username,
            ..told.clone()
        };
        let refused = Caller::new(forged).await.allocate().await;
        assert_eq!(refused, Err((401, "wrong credentials".to_owned())));
    }
    assert!(Caller::new(told).await.allocate().await.is_ok());
}

#[tokio::test]
async fn t02_locked_and_removed_accounts_get_no_credentials() {
    let server = server(settings()).await;
    let bert = BareJid::parse(&format!("bert@{DOMAIN}")).unwrap();
    let mut phone = online(&server, "bert", "phone").await;
    let told = credentials(&mut phone).await;
    let mut in_call = Caller::new(told.clone()).await;
    in_call.allocate().await.unwrap();
    let mut admin = administrator(&server).await;
    disable(&mut admin, "disable-user", &bert).await;
    assert_eq!(phone.end().await, End::Error("not-authorized".to_owned()));
    assert!(!can_log_in(&server, "bert").await);
    // What it had is worth nothing any more, though it would have been good for an hour.
    until_revoked(&told).await;
    let refused = in_call.bind(0x4000, "1.1.1.1:1".parse().unwrap()).await;
    assert_eq!(refused, Err((401, "revoked credentials".to_owned())));
    // Not without a login either.
    let mut nobody = Client::connect(server.c2s).await;
    nobody.open().await;
    ask_for_services(&mut nobody).await;
    assert_eq!(nobody.end().await, End::Error("not-authorized".to_owned()));
    disable(&mut admin, "delete-user", &bert).await;
    assert!(!can_log_in(&server, "bert").await);
}

/// Whoever ends calls hears of it by itself, and a moment later than who is waiting here.
async fn until_revoked(told: &Credentials) {
    let revoked = async {
        loop {
            let mut caller = Caller::new(told.clone()).await;
            match caller.allocate().await {
                Ok(_) => caller.give_back().await,
                Err(refused) => return refused,
            }
        }
    };
    let refused = tokio::time::timeout(crate::client::PATIENCE, revoked).await;
    assert_eq!(refused.unwrap(), (401, "revoked credentials".to_owned()));
}

async fn administrator(server: &Server) -> Tcp {
    let anna = BareJid::parse(&format!("anna@{DOMAIN}")).unwrap();
    let store = &server.gateways.clients.sessions.world().store;
    store.set_admin(&anna, true).await.unwrap();
    online(server, "anna", "desk").await
}

async fn disable(admin: &mut Tcp, command: &str, whom: &BareJid) {
    let node = format!("http://jabber.org/protocol/admin#{command}");
    admin
        .send(&format!(
            "<iq type='set' id='{command}' to='{DOMAIN}'>\
             <command xmlns='http://jabber.org/protocol/commands' node='{node}'>\
             <x xmlns='jabber:x:data' type='submit'><field var='accountjids'>\
             <value>{whom}</value></field></x></command></iq>"
        ))
        .await;
    let answer = admin.expect(|it| it.attr("id") == Some(command)).await;
    assert!(inner(&answer).contains("completed"), "{}", inner(&answer));
}

async fn can_log_in(server: &Server, name: &str) -> bool {
    use klatsch_protocol::sasl::scram::ClientBinding;
    let mut client = Client::connect(server.c2s).await;
    client.open().await;
    let mechanism = ("SCRAM-SHA-256", ClientBinding::Unsupported);
    let outcome = client.authenticate(name, crate::server::PASSWORD, mechanism);
    outcome.await.is_ok()
}

/// A candidate of which there may be too many.
const CANDIDATE: &str = "<candidate component='1000' foundation='1' generation='0' id='a' \
                         ip='10.0.0.1' network='0' port='1' priority='1' protocol='udp' \
                         type='host'/>";

fn jingle(action: &str, to: &str, inside: &str) -> String {
    format!(
        "<iq type='set' id='{action}' to='{to}'><jingle xmlns='{JINGLE}' action='{action}' \
         sid='a73sjjvkla37jfea'><content creator='initiator' name='0'>\
         <transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>{inside}</transport>\
         </content></jingle></iq>"
    )
}

#[tokio::test]
async fn t07_a_call_with_as_many_candidates_as_it_has_passes_and_a_flood_of_them_ends_the_stream() {
    let server = server(settings()).await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    let to = format!("bert@{DOMAIN}/desk");
    anna.send(&jingle("session-initiate", &to, &CANDIDATE.repeat(64)))
        .await;
    let heard = bert.expect(|it| it.name() == "iq").await;
    assert_eq!(inner(&heard).matches("<candidate").count(), 64);
    let limit = klatsch_gateways::listener::Limits::default().stanza_bytes_max;
    let flood = CANDIDATE.repeat(limit / CANDIDATE.len());
    anna.send(&jingle("transport-info", &to, &flood)).await;
    assert_eq!(anna.end().await, End::Error("policy-violation".to_owned()));
    bert.ping().await;
}

#[tokio::test]
async fn t10_another_resource_cannot_speak_for_the_one_that_is_called() {
    let server = server(settings()).await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut phone = online(&server, "bert", "phone").await;
    let mut laptop = online(&server, "bert", "laptop").await;
    let (desk, called) = (
        format!("anna@{DOMAIN}/desk"),
        format!("bert@{DOMAIN}/phone"),
    );
    anna.send(&jingle("session-initiate", &called, "")).await;
    phone.expect(|it| it.name() == "iq").await;
    let from = format!("bert@{DOMAIN}/laptop");
    for action in ["session-accept", "session-terminate"] {
        laptop.send(&jingle(action, &desk, "")).await;
        let heard = anna.expect(|it| it.attr("id") == Some(action)).await;
        assert_eq!(heard.attr("from"), Some(&*from), "not as the callee");
    }
    // Nor by saying so.
    let says_so = format!("<iq from='{called}' ");
    let forged = jingle("session-info", &desk, "").replacen("<iq ", &says_so, 1);
    laptop.send(&forged).await;
    let heard = anna.expect(|it| it.attr("id") == Some("session-info"));
    assert_eq!(heard.await.attr("from"), Some(&*from));
}

#[tokio::test]
async fn t11_a_stranger_who_calls_an_account_learns_no_address_of_its_clients() {
    let server = server(settings()).await;
    let mut anna = online(&server, "anna", "desk").await;
    let mut bert = online(&server, "bert", "desk").await;
    for to in ["bert", "nobody"] {
        let to = format!("{to}@{DOMAIN}");
        anna.send(&jingle("session-initiate", &to, "")).await;
        let answer = anna
            .expect(|it| it.attr("id") == Some("session-initiate"))
            .await;
        assert_eq!(answer.attr("from"), Some(&*to), "no client answers");
        let answer = inner(&answer);
        assert!(answer.contains("<service-unavailable"), "{answer}");
        assert!(!answer.contains("127.0.0.1"), "{answer}");
    }
    // No client has even heard of it.
    bert.send("<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>")
        .await;
    let next = bert.expect(|it| it.name() == "iq").await;
    assert_eq!(next.attr("id"), Some("x"));
}
