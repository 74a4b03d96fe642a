//! A server for tests that knows its part by heart: it hears one thing, says
//! another, and closes the connection when its lines are used up.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::options::{Target, test_target};

/// What a server waits for, and what it says then.
pub(crate) type Lines = Vec<(&'static str, &'static str)>;

/// A stream header.
const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    from='example.org' id='1' version='1.0'>";

/// The lines of a login with PLAIN up to the features that follow it.
pub(crate) fn login(more: Lines) -> Lines {
    let mut lines = vec![
        (
            "version='1.0'>",
            "HEADER<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
             <mechanism>PLAIN</mechanism></mechanisms></stream:features>",
        ),
        (
            "</auth>",
            "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        ),
        (
            "version='1.0'>",
            "HEADER<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
             <sm xmlns='urn:xmpp:sm:3'/></stream:features>",
        ),
    ];
    lines.extend(more);
    lines
}

/// The line that binds.
pub(crate) const BIND: (&str, &str) = (
    "</bind></iq>",
    "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
     <jid>user1@example.org/lt</jid></bind></iq>",
);

/// The line that enables stream management.
pub(crate) const ENABLE: (&str, &str) = (
    "resume='true'/>",
    "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true'/>",
);

/// Plays one connection after the other; what was heard comes back when the last is over.
pub(crate) async fn server(connections: Vec<Lines>) -> (Arc<Target>, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let target = Target {
        port,
        mechanism: "PLAIN".into(),
        ..test_target()
    };
    let play = async move {
        let mut heard = Vec::new();
        for lines in connections {
            let (socket, _) = listener.accept().await.expect("a client");
            heard.push(play(socket, lines).await);
        }
        heard
    };
    (Arc::new(target), tokio::spawn(play))
}

async fn play(mut socket: TcpStream, lines: Lines) -> String {
    let mut heard = String::new();
    let mut from = 0;
    let mut buffer = [0; 4096];
    for (cue, answer) in lines {
        let at = loop {
            if let Some(at) = heard[from..].find(cue) {
                break at;
            }
            match socket.read(&mut buffer).await {
                Ok(0) | Err(_) => return heard,
                Ok(count) => heard.push_str(&String::from_utf8_lossy(&buffer[..count])),
            }
        };
        from += at + cue.len();
        let answer = answer.replace("HEADER", HEADER);
        socket
            .write_all(answer.as_bytes())
            .await
            .expect("the client listens");
    }
    heard
}
