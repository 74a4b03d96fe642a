//! Tests of the state machine: what comes in, what goes out. No socket, no clock.

mod peers;

use super::*;
use crate::turn::keys;
use klatsch_protocol::features::external_services::Secret;

const REALM: &str = "example.org";
/// Ours, as others see it.
const PUBLIC: &str = "9.9.9.9";
/// A peer somewhere.
const PEER: &str = "8.8.8.8:4000";
/// Good until 2,000.
const ANNA: &str = "2000:anna";
const BERT: &str = "2000:bert";

/// Takes down what the relays do.
#[derive(Default)]
struct Fake {
    to_clients: Vec<(Client, Vec<u8>)>,
    to_peers: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    opened: u16,
    closed: Vec<SocketAddr>,
}

impl World for Fake {
    fn open(&mut self, _address: IpAddr) -> Option<u16> {
        self.opened += 1;
        Some(49_159 + self.opened)
    }

    fn close(&mut self, relay: SocketAddr) {
        self.closed.push(relay);
    }

    fn to_client(&mut self, client: Client, datagram: &[u8]) {
        self.to_clients.push((client, datagram.to_vec()));
    }

    fn to_peer(&mut self, relay: SocketAddr, peer: SocketAddr, data: &[u8]) {
        self.to_peers.push((relay, peer, data.to_vec()));
    }

    fn is_own(&self, address: IpAddr) -> bool {
        address.to_string() == "9.9.9.10"
    }
}

struct Stage {
    relays: Relays,
    world: Fake,
    now: Now,
}

fn rules() -> Rules {
    Rules {
        addresses: vec![PUBLIC.parse().unwrap()],
        allow_peers: Vec::new(),
        allocations_max: 30,
        allocations_per_account: 10,
        rate: Rate::per_second(10_000, 10_000),
        requests_per_second: 1_000,
        allocation_max: Duration::from_secs(7200),
    }
}

fn keys(realm: &str) -> Keys {
    Keys::new(realm.to_owned(), Secret((*b"secret").into()), [9; 32])
}

fn stage_with(rules: Rules) -> Stage {
    let instant = Instant::now();
    Stage {
        relays: Relays::new(rules, keys(REALM), instant),
        world: Fake::default(),
        now: Now {
            instant,
            seconds: 1_000,
        },
    }
}

fn stage() -> Stage {
    stage_with(rules())
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn client(number: u16) -> Client {
    Client {
        socket: 0,
        address: ([7, 7, 7, 7], number).into(),
    }
}

/// What an answer says: its class, and the error if it is one.
fn outcome(answer: &[u8]) -> (u16, String) {
    let answer = Message::parse(answer).unwrap();
    match answer.get(attribute::ERROR_CODE) {
        None => {
            assert_eq!(answer.class, Class::Success);
            (0, String::new())
        }
        Some(error) => {
            assert_eq!(answer.class, Class::Error);
            let code = u16::from(error[2]) * 100 + u16::from(error[3]);
            (code, String::from_utf8(error[4..].to_vec()).unwrap())
        }
    }
}

fn code(answer: &[u8]) -> u16 {
    outcome(answer).0
}

fn transport(request: Writer) -> Writer {
    request.put(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
}

fn to(peer: &str) -> impl Fn(Writer) -> Writer {
    let peer = address(peer);
    move |request| request.put_address(attribute::XOR_PEER_ADDRESS, peer)
}

fn on(number: u16, peer: &str) -> impl Fn(Writer) -> Writer {
    let peer = address(peer);
    move |request| {
        let [a, b] = number.to_be_bytes();
        request
            .put(attribute::CHANNEL_NUMBER, &[a, b, 0, 0])
            .put_address(attribute::XOR_PEER_ADDRESS, peer)
    }
}

impl Stage {
    fn pass(&mut self, seconds: u64) {
        self.now.instant += Duration::from_secs(seconds);
        self.now.seconds += seconds;
    }

    fn says(&mut self, client: Client, datagram: &[u8]) {
        let now = self.now;
        self.relays
            .client_says(client, datagram, now, &mut self.world);
    }

    /// What the client hears of it.
    fn hears(&mut self, client: Client, datagram: &[u8]) -> Option<Vec<u8>> {
        self.world.to_clients.clear();
        self.says(client, datagram);
        let mut heard = std::mem::take(&mut self.world.to_clients).into_iter();
        let answer = heard.next();
        assert!(heard.next().is_none());
        answer.map(|(to, datagram)| {
            assert_eq!(to, client);
            datagram
        })
    }

    /// A request signed by whom the name names.
    fn signed(
        &self,
        client: Client,
        method: u16,
        name: &str,
        with: impl Fn(Writer) -> Writer,
    ) -> Vec<u8> {
        let nonce = self.relays.keys.nonce(client.address, self.now.seconds);
        let request = with(Writer::new(Class::Request, method, [method as u8; 12]));
        prove(request, name, REALM, &nonce, &keys(REALM).of(name))
    }

    fn asks(
        &mut self,
        client: Client,
        method: u16,
        name: &str,
        with: impl Fn(Writer) -> Writer,
    ) -> Vec<u8> {
        let request = self.signed(client, method, name, with);
        self.hears(client, &request).unwrap()
    }

    fn allocate(&mut self, client: Client, name: &str) -> SocketAddr {
        let answer = self.asks(client, method::ALLOCATE, name, transport);
        assert_eq!(outcome(&answer), (0, String::new()));
        let answer = Message::parse(&answer).unwrap();
        assert!(answer.is_signed_with(&keys(REALM).of(name)));
        assert_eq!(
            answer.address(attribute::XOR_MAPPED_ADDRESS),
            Some(client.address)
        );
        answer.address(attribute::XOR_RELAYED_ADDRESS).unwrap()
    }

    fn permit(&mut self, client: Client, name: &str, peer: &str) -> u16 {
        code(&self.asks(client, method::CREATE_PERMISSION, name, to(peer)))
    }

    fn bind(&mut self, client: Client, name: &str, number: u16, peer: &str) -> u16 {
        code(&self.asks(client, method::CHANNEL_BIND, name, on(number, peer)))
    }

    fn comes(&mut self, relay: SocketAddr, peer: &str, data: &[u8]) {
        let now = self.now;
        self.relays
            .peer_says(relay, address(peer), data, now, &mut self.world);
    }
}

fn prove(request: Writer, name: &str, realm: &str, nonce: &str, key: &[u8]) -> Vec<u8> {
    request
        .put(attribute::USERNAME, name.as_bytes())
        .put(attribute::REALM, realm.as_bytes())
        .put(attribute::NONCE, nonce.as_bytes())
        .sign(key)
        .finish(true)
}

fn send_to(peer: &str, data: &[u8]) -> Vec<u8> {
    to(peer)(Writer::new(Class::Indication, method::SEND, [3; 12]))
        .put(attribute::DATA, data)
        .finish(false)
}

#[test]
fn binding_tells_a_client_its_own_address() {
    let mut stage = stage();
    for address in ["7.7.7.7:5000", "[2600::7]:5000"] {
        let client = Client {
            socket: 1,
            address: address.parse().unwrap(),
        };
        let request = Writer::new(Class::Request, method::BINDING, [1; 12]).finish(true);
        let answer = stage.hears(client, &request).unwrap();
        let answer = Message::parse(&answer).unwrap();
        assert!(answer.is_fingerprinted && answer.transaction == [1; 12]);
        let mapped = answer.address(attribute::XOR_MAPPED_ADDRESS);
        assert_eq!(mapped, Some(client.address));
    }
}

#[test]
fn t04_strangers_hear_little_more_than_they_have_said() {
    let mut longest = stage();
    longest.relays.keys = keys(&"a".repeat(127));
    for (mut stage, factor) in [(stage(), 4), (longest, 10)] {
        for method in 0..16 {
            let smallest = Writer::new(Class::Request, method, [1; 12]).finish(false);
            let usual = transport(Writer::new(Class::Request, method, [1; 12])).finish(true);
            for request in [smallest, usual] {
                let answer = stage.hears(client(1), &request).unwrap();
                assert!(answer.len() <= request.len() * factor, "{method}");
            }
        }
    }
    let mut stage = stage();
    let binding = Writer::new(Class::Request, method::BINDING, [1; 12]).finish(false);
    let answer = stage.hears(client(1), &binding).unwrap();
    assert!(answer.len() <= binding.len() * 2);
}

#[test]
fn t04_what_is_no_request_is_not_answered() {
    let mut stage = stage();
    let indication = send_to(PEER, b"x");
    let success = Writer::new(Class::Success, method::BINDING, [1; 12]).finish(true);
    let no_checksum = [&success[..success.len() - 1], &[0]].concat();
    let channel = on_channel(0x4000, b"x");
    let junk: [&[u8]; 8] = [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 100],
        &indication,
        &success,
        &no_checksum,
        &channel,
    ];
    for datagram in junk {
        assert_eq!(stage.hears(client(1), datagram), None, "{datagram:?}");
    }
    assert!(stage.world.to_peers.is_empty());
}

#[test]
fn t04_address_that_asks_too_much_is_not_answered_for_a_while() {
    let mut stage = stage_with(Rules {
        requests_per_second: 5,
        ..rules()
    });
    let binding = Writer::new(Class::Request, method::BINDING, [1; 12]).finish(false);
    // Another port is the same address.
    let answered = (1..100).filter(|it| stage.hears(client(*it), &binding).is_some());
    assert_eq!(answered.count(), 20);
    stage.pass(1);
    let answered = (1..100).filter(|it| stage.hears(client(*it), &binding).is_some());
    assert_eq!(answered.count(), 5);
}

#[test]
fn t02_credentials_are_asked_for_and_wrong_ones_refused_by_name() {
    let mut stage = stage();
    let here = client(1);
    let nonce = stage.relays.keys.nonce(here.address, 1_000);
    let elsewhere = stage.relays.keys.nonce(client(2).address, 1_000);
    let key = keys(REALM).of(ANNA);
    let fixed = keys::long_term("user", REALM, "password");
    let allocate = || transport(Writer::new(Class::Request, method::ALLOCATE, [1; 12]));
    let cases: [(Vec<u8>, u16, &str); 8] = [
        (allocate().finish(false), 401, ""),
        (
            allocate().sign(&key).finish(false),
            400,
            "no name, realm or nonce",
        ),
        (
            prove(allocate(), ANNA, REALM, &elsewhere, &key),
            438,
            "stale nonce",
        ),
        (
            prove(allocate(), ANNA, "other", &nonce, &key),
            401,
            "another realm",
        ),
        (
            prove(allocate(), ANNA, REALM, &nonce, &keys(REALM).of(BERT)),
            401,
            "wrong credentials",
        ),
        (
            prove(allocate(), "9000:anna", REALM, &nonce, &key),
            401,
            "wrong credentials",
        ),
        (
            prove(allocate(), "user", REALM, &nonce, &fixed),
            401,
            "wrong credentials",
        ),
        (
            prove(
                allocate(),
                "1000:anna",
                REALM,
                &nonce,
                &keys(REALM).of("1000:anna"),
            ),
            401,
            "expired credentials",
        ),
    ];
    for (request, code, words) in cases {
        let answer = stage.hears(here, &request).unwrap();
        assert_eq!(outcome(&answer), (code, words.to_owned()));
        let answer = Message::parse(&answer).unwrap();
        let can_try_again = answer.text(attribute::REALM) == Some(REALM)
            && stage.relays.keys.is_fresh(
                answer.text(attribute::NONCE).unwrap(),
                here.address,
                1_000,
            );
        assert!(can_try_again || code == 400);
    }
    assert_eq!(stage.world.opened, 0, "nothing was opened for any of them");
    stage.allocate(here, ANNA);
}

#[test]
fn t02_no_request_about_relays_is_carried_out_without_credentials() {
    let mut stage = stage();
    stage.allocate(client(1), ANNA);
    for method in [
        method::ALLOCATE,
        method::REFRESH,
        method::CREATE_PERMISSION,
        method::CHANNEL_BIND,
    ] {
        let request = on(0x4000, PEER)(Writer::new(Class::Request, method, [1; 12]));
        let answer = stage.hears(client(1), &request.finish(false)).unwrap();
        assert_eq!(code(&answer), 401);
    }
    stage.says(client(1), &send_to(PEER, b"x"));
    stage.says(client(1), &on_channel(0x4000, b"x"));
    assert!(stage.world.to_peers.is_empty() && stage.world.closed.is_empty());
}

#[test]
fn t02_a_call_outlives_its_credentials_and_a_new_one_does_not_begin() {
    let mut stage = stage();
    stage.allocate(client(1), ANNA);
    let plain = |request: Writer| request.put(attribute::LIFETIME, &3600_u32.to_be_bytes());
    for _ in 0..4 {
        stage.pass(500);
        let answer = stage.asks(client(1), method::REFRESH, ANNA, plain);
        assert_eq!(code(&answer), 0);
    }
    assert_eq!(stage.permit(client(1), ANNA, PEER), 0);
    let answer = stage.asks(client(2), method::ALLOCATE, ANNA, transport);
    assert_eq!(outcome(&answer), (401, "expired credentials".to_owned()));
    // Nor does it last for ever.
    stage.pass(5_000);
    let answer = stage.asks(client(1), method::REFRESH, ANNA, plain);
    assert_eq!(outcome(&answer), (401, "expired credentials".to_owned()));
}

#[test]
fn t02_account_that_is_locked_loses_its_relays_and_what_it_could_begin_with() {
    let mut stage = stage();
    let lost = stage.allocate(client(1), ANNA);
    stage.allocate(client(2), BERT);
    stage.relays.revoke("anna", 2_001, &mut stage.world);
    assert_eq!(stage.world.closed, [lost]);
    let answer = stage.asks(client(1), method::ALLOCATE, ANNA, transport);
    assert_eq!(outcome(&answer), (401, "revoked credentials".to_owned()));
    assert_eq!(stage.permit(client(2), BERT, PEER), 0);
    // What it is given after that is good, and nothing is remembered for ever.
    stage.allocate(client(3), "2002:anna");
    stage.pass(1_001);
    stage.relays.sweep(stage.now, &mut stage.world);
    assert!(stage.relays.revoked.is_empty());
}

#[test]
fn t02_nobody_takes_over_what_another_was_given() {
    let mut stage = stage();
    stage.allocate(client(1), ANNA);
    for method in [
        method::ALLOCATE,
        method::REFRESH,
        method::CREATE_PERMISSION,
        method::CHANNEL_BIND,
    ] {
        let answer = stage.asks(client(1), method, BERT, on(0x4000, PEER));
        assert_eq!(code(&answer), 441, "{method}");
    }
    assert_eq!(stage.permit(client(1), ANNA, PEER), 0);
}

#[test]
fn t02_thousand_allocations_are_as_many_as_an_account_may_have_and_a_node_has() {
    let mut stage = stage();
    let mut made = 0;
    for number in 1..=1_000 {
        let request = stage.signed(client(number), method::ALLOCATE, ANNA, transport);
        let answer = stage.hears(client(number), &request).unwrap();
        match code(&answer) {
            0 => made += 1,
            other => assert_eq!(other, 486),
        }
    }
    assert_eq!(made, 10);
    // Another name of the same account is no other account.
    let answer = stage.asks(client(2_000), method::ALLOCATE, "3000:anna", transport);
    assert_eq!(code(&answer), 486);
    stage.pass(1);
    for number in 2_001..3_000 {
        let name = format!("2000:{number}");
        let answer = stage.asks(client(number), method::ALLOCATE, &name, transport);
        assert_eq!(code(&answer), if number <= 2_020 { 0 } else { 508 });
        stage.pass(u64::from(number.is_multiple_of(100)));
    }
    assert_eq!(stage.world.opened, 30);
}

#[test]
fn t02_an_allocation_has_its_share_of_bytes_and_no_more() {
    let mut stage = stage();
    let relay = stage.allocate(client(1), ANNA);
    stage.bind(client(1), ANNA, 0x4000, PEER);
    stage.world.to_clients.clear();
    for _ in 0..30 {
        stage.says(client(1), &on_channel(0x4000, &[0; 1_000]));
        stage.comes(relay, PEER, &[0; 1_000]);
    }
    assert_eq!(stage.world.to_peers.len(), 10);
    assert_eq!(stage.world.to_clients.len(), 10);
    stage.pass(1);
    stage.says(client(1), &on_channel(0x4000, &[0; 1_000]));
    assert_eq!(stage.world.to_peers.len(), 11);
}

#[test]
fn request_that_comes_again_is_answered_as_before() {
    let mut stage = stage();
    let first = stage.allocate(client(1), ANNA);
    assert_eq!(stage.allocate(client(1), ANNA), first);
    assert_eq!(stage.world.opened, 1);
    let nonce = stage.relays.keys.nonce(client(1).address, 1_000);
    let other = transport(Writer::new(Class::Request, method::ALLOCATE, [99; 12]));
    let other = prove(other, ANNA, REALM, &nonce, &keys(REALM).of(ANNA));
    assert_eq!(code(&stage.hears(client(1), &other).unwrap()), 437);
}

#[test]
fn allocation_ends_when_it_is_given_back_or_forgotten() {
    let mut stage = stage();
    let given_back = stage.allocate(client(1), ANNA);
    let forgotten = stage.allocate(client(2), ANNA);
    let zero = |request: Writer| request.put(attribute::LIFETIME, &[0; 4]);
    assert_eq!(code(&stage.asks(client(1), method::REFRESH, ANNA, zero)), 0);
    assert_eq!(stage.world.closed, [given_back]);
    assert_eq!(stage.permit(client(1), ANNA, PEER), 437);
    stage.relays.sweep(stage.now, &mut stage.world);
    assert_eq!(stage.world.closed.len(), 1);
    stage.pass(600);
    assert_eq!(stage.permit(client(2), ANNA, PEER), 437);
    stage.relays.sweep(stage.now, &mut stage.world);
    assert_eq!(stage.world.closed, [given_back, forgotten]);
    assert!(stage.relays.accounts.is_empty() && stage.relays.relays.is_empty());
}

#[test]
fn lifetime_is_between_ten_minutes_and_an_hour() {
    let mut stage = stage();
    stage.allocate(client(1), ANNA);
    for (asked, given) in [(1, 600), (600, 600), (1_000, 1_000), (u32::MAX, 3_600)] {
        let lifetime = |request: Writer| request.put(attribute::LIFETIME, &asked.to_be_bytes());
        let answer = stage.asks(client(1), method::REFRESH, ANNA, lifetime);
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.number(attribute::LIFETIME), Some(given));
    }
}

#[test]
fn what_this_server_does_not_do_is_refused_by_number() {
    let mut stage = stage();
    let cases: [(&dyn Fn(Writer) -> Writer, u16); 8] = [
        (&|it| it, 400),
        (
            &|it| it.put(attribute::REQUESTED_TRANSPORT, &[6, 0, 0, 0]),
            442,
        ),
        (&|it| it.put(attribute::REQUESTED_TRANSPORT, &[17]), 400),
        (&|it| transport(it).put(attribute::EVEN_PORT, &[0]), 508),
        (
            &|it| transport(it).put(attribute::RESERVATION_TOKEN, &[0; 8]),
            508,
        ),
        (
            &|it| transport(it).put(attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]),
            440,
        ),
        // DONT-FRAGMENT: not done, and said so.
        (&|it| transport(it).put(0x001a, &[]), 420),
        (&|it| transport(it).put(0x9999, &[]), 0),
    ];
    for (with, expected) in cases {
        let answer = stage.asks(client(1), method::ALLOCATE, ANNA, with);
        assert_eq!(code(&answer), expected);
        if expected == 420 {
            let answer = Message::parse(&answer).unwrap();
            let unknown = answer.get(attribute::UNKNOWN_ATTRIBUTES);
            assert_eq!(unknown, Some(&[0, 0x1a][..]));
        }
    }
    let family = |it: Writer| it.put(attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    let answer = stage.asks(client(1), method::REFRESH, ANNA, family);
    assert_eq!(code(&answer), 443);
    assert_eq!(stage.permit(client(1), ANNA, "[2600::1]:1"), 443);
    let none = |it: Writer| it;
    let answer = stage.asks(client(1), method::CREATE_PERMISSION, ANNA, none);
    assert_eq!(code(&answer), 400);
}

#[test]
fn t07_a_request_with_a_thousand_peers_is_refused_whole() {
    let mut stage = stage();
    stage.allocate(client(1), ANNA);
    let many = |mut request: Writer| {
        for number in 0..1_000_u16 {
            let [a, b] = number.to_be_bytes();
            let peer = SocketAddr::from(([8, 8, a, b], 1));
            request = request.put_address(attribute::XOR_PEER_ADDRESS, peer);
        }
        request
    };
    let answer = stage.asks(client(1), method::CREATE_PERMISSION, ANNA, many);
    assert_eq!(code(&answer), 508);
    stage.says(client(1), &send_to("8.8.0.0:1", b"x"));
    assert!(stage.world.to_peers.is_empty());
    let broken = |it: Writer| to(PEER)(it.put(attribute::XOR_PEER_ADDRESS, &[0, 9, 1]));
    let answer = stage.asks(client(1), method::CREATE_PERMISSION, ANNA, broken);
    assert_eq!(code(&answer), 400);
}
