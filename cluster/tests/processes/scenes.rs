//! What nodes see of each other when they come, go, are killed and stopped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::node::{DOWN, Node, PATIENCE, certificates, two};

#[test]
fn three_nodes_find_each_other_and_exchange_in_order() {
    let dir = certificates();
    let (mut one, mut two) = two(&dir);
    let peers = [one.address.clone(), two.address.clone()];
    let mut three = Node::start(&dir, 3, 1, &[&peers[0], &peers[1]]);
    for node in [&mut one, &mut two] {
        node.wait("member 3 up");
    }
    let mut seen = [three.wait("member "), three.wait("member ")];
    seen.sort();
    assert_eq!(seen, ["1 up 1", "2 up 1"]);
    for number in 0..100 {
        three.tell(&format!("send 1 bulk number {number}"));
    }
    three.tell("send 2 control hello");
    for number in 0..100 {
        assert_eq!(one.wait("got "), format!("3 Mail number {number}"));
    }
    assert_eq!(two.wait("got "), "3 Mail hello");
    assert_eq!(two.ask("send 1 bulk back", "handed "), "Queued");
    assert_eq!(one.wait("got "), "2 Mail back");
    assert_eq!(one.ask("send 9 bulk x", "handed "), "Unreachable");
}

#[test]
fn nodes_that_know_one_alone_find_all_and_again_when_that_one_is_gone() {
    let dir = certificates();
    let mut one = Node::start(&dir, 1, 1, &[]);
    let mut two = Node::start(&dir, 2, 1, &[&one.address]);
    let mut three = Node::start(&dir, 3, 1, &[&one.address]);
    two.wait("member 3 up 1");
    three.wait("member 2 up 1");
    one.wait("member 3 up 1");
    // What they tell is where they listen, whoever has dialled.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = one.ask("status", "status ");
        if status.contains(&two.address) && status.contains(&three.address) {
            break;
        }
        assert!(Instant::now() < deadline, "{status}");
    }
    one.kill();
    two.signal("-STOP");
    three.wait("member 2 down 1");
    two.signal("-CONT");
    three.wait("member 2 up 1");
    three.wait("missed 2");
    three.tell("send 2 bulk again");
    assert_eq!(two.wait("got "), "3 Mail again");
}

#[test]
fn nodes_that_dial_each_other_and_themselves_end_with_one_connection() {
    let dir = certificates();
    let one = Node::start(&dir, 1, 1, &[]);
    let mut two = Node::start(&dir, 2, 1, &[&one.address]);
    two.wait("member 1 up");
    // In its next life node one dials node two, itself nowhere, and node two dials the old address.
    one.kill();
    let mut one = Node::start(
        &dir,
        1,
        2,
        &[&two.address, &two.address.replace("127.0.0.1", "localhost")],
    );
    one.wait("missed 2");
    two.wait("member 1 up 2");
    for number in 0..10 {
        one.tell(&format!("send 2 bulk {number}"));
        assert_eq!(two.wait("got "), format!("1 Mail {number}"));
    }
    assert_eq!(one.ask("counted", "counted "), "0");
    assert_eq!(
        one.said.iter().filter(|line| *line == "missed 2").count(),
        1
    );
}

#[test]
fn a_killed_node_is_noticed_and_comes_back_in_a_later_life() {
    let dir = certificates();
    let (one, mut two) = two(&dir);
    let killed = Instant::now();
    one.kill();
    two.wait("member 1 down 1");
    assert!(killed.elapsed() < DOWN, "{:?}", killed.elapsed());
    assert_eq!(two.ask("send 1 bulk x", "handed "), "Unreachable");
    let mut one = Node::start(&dir, 1, 2, &[&two.address]);
    two.wait("missed 1");
    two.wait("member 1 up 2");
    one.wait("missed 2");
    one.tell("send 2 bulk again");
    assert_eq!(two.wait("got "), "1 Mail again");
}

#[test]
fn a_stopped_node_is_noticed_and_both_are_told_that_they_have_missed_something() {
    let dir = certificates();
    let (mut one, mut two) = two(&dir);
    let stopped = Instant::now();
    one.signal("-STOP");
    two.wait("member 1 suspect 1");
    two.wait("member 1 down 1");
    assert!(stopped.elapsed() < DOWN, "{:?}", stopped.elapsed());
    // What is sent meanwhile is refused, not kept.
    assert_eq!(two.ask("send 1 bulk lost", "handed "), "Unreachable");
    one.signal("-CONT");
    two.wait("missed 1");
    two.wait("member 1 up 1");
    one.wait("missed 2");
    two.tell("send 1 bulk again");
    assert_eq!(one.wait("got "), "2 Mail again");
}

#[test]
fn what_a_node_that_does_not_read_cannot_take_is_dropped_and_it_is_told() {
    let dir = certificates();
    let (mut one, mut two) = two(&dir);
    one.signal("-STOP");
    let taken: usize = two.ask("fill 1 10000", "filled ").parse().unwrap();
    // The queue's 16 MiB and what is on its way, no more.
    assert!((1600..1800).contains(&taken), "{taken} messages taken");
    one.signal("-CONT");
    one.wait("missed 2");
    two.tell("send 1 bulk after");
    assert_eq!(one.wait("got "), "2 Mail after");
    // All that was taken has come, and the connection has lasted.
    assert_eq!(one.ask("counted", "counted "), taken.to_string());
    assert!(!two.said.iter().any(|line| line.contains("down")));
}

#[test]
fn a_node_that_leaves_and_ends_is_leaving_and_then_down_at_once() {
    let dir = certificates();
    let (mut one, mut two) = two(&dir);
    one.tell("leave");
    two.wait("member 1 leaving 1");
    assert_eq!(two.ask("send 1 bulk still", "handed "), "Queued");
    assert_eq!(one.wait("got "), "2 Mail still");
    let ended = Instant::now();
    one.end();
    two.wait("member 1 down 1");
    assert!(
        ended.elapsed() < Duration::from_secs(4),
        "{:?}",
        ended.elapsed()
    );
}

#[test]
fn c01_without_a_certificate_of_the_cluster_there_is_no_connection() {
    let (dir, elsewhere) = (certificates(), certificates());
    let mut one = Node::start(&dir, 1, 1, &[]);
    // Its certificates are another cluster's.
    let mut stranger = Node::start(&elsewhere, 2, 1, &[&one.address]);
    let mut plain = TcpStream::connect(&one.address).unwrap();
    plain.write_all(b"\0\0\0\0\0\0\0\x02hello").unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(answer.len() < 16, "more than an alert: {answer:?}");
    let mut two = Node::start(&dir, 2, 1, &[&one.address]);
    two.wait("member 1 up");
    one.wait("member 2 up");
    assert_eq!(stranger.ask("send 1 bulk x", "handed "), "Unreachable");
    let said = &stranger.said;
    assert!(
        !said.iter().any(|line| line.starts_with("member")),
        "{said:?}"
    );
}

#[test]
fn c02_a_silent_client_does_not_keep_a_node_from_joining() {
    let dir = certificates();
    let mut one = Node::start(&dir, 1, 1, &[]);
    let silent: Vec<TcpStream> = (0..8)
        .map(|_| TcpStream::connect(&one.address).unwrap())
        .collect();
    let mut two = Node::start(&dir, 2, 1, &[&one.address]);
    two.wait("member 1 up");
    one.wait("member 2 up");
    // They are let go.
    for mut stream in silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    }
}

#[test]
fn an_earlier_life_does_not_come_between() {
    let dir = certificates();
    let mut two = Node::start(&dir, 2, 1, &[]);
    let mut later = Node::start(&dir, 1, 6, &[&two.address]);
    two.wait("member 1 up 6");
    let mut earlier = Node::start(&dir, 1, 5, &[&two.address]);
    let deadline = Instant::now() + PATIENCE;
    while !earlier
        .ask("status", "status ")
        .contains("is_superseded: true")
    {
        assert!(Instant::now() < deadline, "it was never told");
        std::thread::sleep(Duration::from_millis(20));
    }
    later.tell("send 2 bulk mine");
    assert_eq!(two.wait("got "), "1 Mail mine");
    let said = &two.said;
    assert!(
        !said
            .iter()
            .any(|line| line.starts_with("member 1") && line.ends_with(" 5"))
    );
}
