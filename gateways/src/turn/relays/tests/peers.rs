//! Whom relays reach and whom they do not (rows T01, T11).

use super::*;

#[test]
fn t01_no_form_of_an_inner_address_becomes_a_peer_and_nothing_is_sent_there() {
    let mut stage = stage_with(Rules {
        addresses: vec![PUBLIC.parse().unwrap(), "2600::9".parse().unwrap()],
        ..rules()
    });
    stage.allocate(client(1), ANNA);
    let ipv6 = |request| transport(request).put(attribute::REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0]);
    let answer = stage.asks(client(2), method::ALLOCATE, ANNA, ipv6);
    assert_eq!(code(&answer), 0);
    let inner = [
        "0.0.0.0:53",
        "10.1.2.3:53",
        "100.64.0.1:53",
        "127.0.0.1:53",
        "169.254.169.254:80",
        "172.16.0.1:53",
        "192.168.1.1:53",
        "224.0.0.251:5353",
        "255.255.255.255:53",
        "9.9.9.10:53",
        "[::]:53",
        "[::1]:53",
        "[fc00::1]:53",
        "[fe80::1]:53",
        "[ff02::1]:53",
        "[::ffff:127.0.0.1]:53",
        "[::ffff:10.0.0.1]:53",
        "[::127.0.0.1]:53",
        "[64:ff9b::7f00:1]:53",
        "[64:ff9b::a00:1]:53",
        "[2002:7f00:1::1]:53",
        "[2002:a00:1::1]:53",
    ];
    for peer in inner {
        for number in [1, 2] {
            assert_eq!(stage.permit(client(number), ANNA, peer), 403, "{peer}");
            let bound = stage.bind(client(number), ANNA, 0x4000, peer);
            assert_eq!(bound, 403, "{peer}");
            stage.says(client(number), &send_to(peer, b"x"));
            stage.says(client(number), &on_channel(0x4000, b"x"));
        }
        stage.pass(1);
    }
    assert!(stage.world.to_peers.is_empty());
    // One bad peer among good ones: none of them.
    let mixed = |request| to("10.0.0.1:1")(to(PEER)(request));
    let answer = stage.asks(client(1), method::CREATE_PERMISSION, ANNA, mixed);
    assert_eq!(code(&answer), 403);
    stage.says(client(1), &send_to(PEER, b"x"));
    assert!(stage.world.to_peers.is_empty());
}

#[test]
fn t01_at_our_own_address_nobody_is_reached_but_relays() {
    let mut stage = stage();
    let relay = stage.allocate(client(1), ANNA);
    for (number, port) in (0x4000..).zip([22, 3478, 49_161, 65_535]) {
        let own = format!("{PUBLIC}:{port}");
        assert_eq!(stage.permit(client(1), ANNA, &own), 0);
        stage.says(client(1), &send_to(&own, b"x"));
        stage.bind(client(1), ANNA, number, &own);
        stage.says(client(1), &on_channel(number, b"x"));
    }
    assert!(stage.world.to_peers.is_empty());
    stage.world.to_clients.clear();
    stage.comes(relay, "9.9.9.9:22", b"x");
    assert!(stage.world.to_clients.is_empty());
}

#[test]
fn t11_two_relayed_clients_meet_and_see_each_others_relay_alone() {
    let mut stage = stage();
    let (anna, bert) = (client(1), client(2));
    let (at_anna, at_bert) = (stage.allocate(anna, ANNA), stage.allocate(bert, BERT));
    let at = |relay: SocketAddr| relay.to_string();
    assert_eq!(stage.permit(anna, ANNA, &at(at_bert)), 0);
    stage.says(anna, &send_to(&at(at_bert), b"too early"));
    assert_eq!(stage.permit(bert, BERT, &at(at_anna)), 0);
    stage.world.to_clients.clear();
    stage.says(anna, &send_to(&at(at_bert), b"hello"));
    let (heard_by, datagram) = stage.world.to_clients.pop().unwrap();
    assert!(heard_by == bert && stage.world.to_clients.is_empty());
    let heard = Message::parse(&datagram).unwrap();
    assert_eq!(
        (heard.class, heard.method),
        (Class::Indication, method::DATA)
    );
    assert_eq!(heard.get(attribute::DATA), Some(&b"hello"[..]));
    assert_eq!(heard.address(attribute::XOR_PEER_ADDRESS), Some(at_anna));
    let where_anna_is = anna.address.ip().to_string();
    assert!(!String::from_utf8_lossy(&datagram).contains(&where_anna_is));

    assert_eq!(stage.bind(bert, BERT, 0x4001, &at(at_anna)), 0);
    assert_eq!(stage.bind(anna, ANNA, 0x4002, &at(at_bert)), 0);
    stage.world.to_clients.clear();
    stage.says(bert, &on_channel(0x4001, b"hello yourself"));
    let heard = stage.world.to_clients.pop().unwrap();
    assert_eq!(heard, (anna, on_channel(0x4002, b"hello yourself")));
    assert!(stage.world.to_peers.is_empty(), "no socket was needed");
}

#[test]
fn peers_are_reached_and_heard_while_they_are_permitted() {
    let mut stage = stage();
    let relay = stage.allocate(client(1), ANNA);
    stage.says(client(1), &send_to(PEER, b"too early"));
    stage.comes(relay, PEER, b"too early");
    assert!(stage.world.to_peers.is_empty());
    assert_eq!(stage.permit(client(1), ANNA, PEER), 0);
    stage.says(client(1), &send_to(PEER, b"out"));
    let sent = (relay, address(PEER), b"out".to_vec());
    assert_eq!(stage.world.to_peers, [sent]);
    stage.world.to_clients.clear();
    stage.comes(relay, "8.8.4.4:4000", b"a stranger");
    assert!(stage.world.to_clients.is_empty());
    stage.comes(relay, PEER, b"in");
    let (to, datagram) = stage.world.to_clients.pop().unwrap();
    let heard = Message::parse(&datagram).unwrap();
    assert_eq!(
        (to, heard.get(attribute::DATA)),
        (client(1), Some(&b"in"[..]))
    );
    stage.pass(300);
    stage.comes(relay, PEER, b"too late");
    stage.says(client(1), &send_to(PEER, b"too late"));
    assert!(stage.world.to_clients.is_empty() && stage.world.to_peers.len() == 1);
}

#[test]
fn channel_carries_data_of_its_peer_both_ways() {
    let mut stage = stage();
    let relay = stage.allocate(client(1), ANNA);
    for (number, bound) in [(0x3fff, 400), (0x8000, 400), (0x4000, 0), (0x4000, 0)] {
        assert_eq!(stage.bind(client(1), ANNA, number, PEER), bound);
    }
    assert_eq!(stage.bind(client(1), ANNA, 0x4000, "8.8.8.8:1"), 400);
    let mut padded = on_channel(0x4000, b"out");
    padded.push(0);
    stage.says(client(1), &padded);
    let sent = (relay, address(PEER), b"out".to_vec());
    assert_eq!(stage.world.to_peers, [sent]);
    stage.world.to_clients.clear();
    stage.comes(relay, PEER, b"in");
    let heard = stage.world.to_clients.pop();
    assert_eq!(heard, Some((client(1), on_channel(0x4000, b"in"))));
    let longer = [0x40, 0, 0, 9, 1, 2, 3];
    stage.says(client(1), &longer);
    assert_eq!(stage.world.to_peers.len(), 1, "it says more than there is");
}
