//! A client that is no socket: what it sends goes to its session as a gateway would hand it over,
//! what the session writes is read as XML.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use klatsch_actors::session::{Detach, Pressure, Sink};
use klatsch_actors::sessions::SessionHandle;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::stanza::{Stanza, StreamError};
use klatsch_protocol::xml::{Element, Limits, parse_fragment};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::PATIENCE;

/// A client.
pub(crate) struct Client {
    pub(crate) jid: FullJid,
    pub(crate) session: SessionHandle,
    pub(super) line: Arc<Line>,
}

impl Client {
    /// Sends a stanza or another element.
    pub(crate) async fn send(&self, xml: &str) {
        let end = xml.find([' ', '/', '>']).unwrap();
        let namespace = if xml.contains("xmlns")
            && !xml.starts_with("<message")
            && !xml.starts_with("<presence")
            && !xml.starts_with("<iq")
        {
            String::new()
        } else {
            " xmlns='jabber:client'".into()
        };
        let framed = format!("{}{namespace}{}", &xml[..end], &xml[end..]);
        let fragment = parse_fragment(framed.as_bytes(), &Limits::AFTER_LOGIN).unwrap();
        assert!(self.session.inbound(fragment).await, "the session is there");
    }

    /// Waits for something written that contains this text, and answers it; what was written
    /// before it is passed over.
    pub(crate) async fn expect(&self, text: &str) -> String {
        self.expect_all(&[text]).await
    }

    /// Like [`Client::expect`], for all of these texts in one stanza.
    pub(crate) async fn expect_all(&self, texts: &[&str]) -> String {
        let find = async {
            loop {
                let notified = self.line.written.notified();
                while let Some(written) = self.line.next() {
                    if texts.iter().all(|text| written.contains(text)) {
                        return written;
                    }
                }
                notified.await;
            }
        };
        let found = timeout(PATIENCE, find).await;
        found.unwrap_or_else(|_| panic!("{} is never written {texts:?}", self.jid))
    }

    /// Waits for a stanza with each of these texts, in whatever order, that contains this one.
    pub(crate) async fn expect_each(&self, texts: &[&str], common: &str) {
        let mut missing = texts.to_vec();
        while !missing.is_empty() {
            let written = self.expect(common).await;
            missing.retain(|text| !written.contains(text));
        }
    }

    /// Answers everything written until now; everything sent before has been dealt with.
    pub(crate) async fn sync(&self) -> Vec<String> {
        let id = klatsch_actors::sessions::random_id();
        self.send(&format!(
            "<iq type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
        let mut before = Vec::new();
        let find = async {
            loop {
                let notified = self.line.written.notified();
                while let Some(written) = self.line.next() {
                    if written.contains(&id) {
                        return;
                    }
                    before.push(written);
                }
                notified.await;
            }
        };
        timeout(PATIENCE, find).await.expect("a ping is answered");
        before
    }

    /// Whatever was on its way to the client has come, and nothing of it says this.
    pub(crate) async fn hears_nothing_of(&self, text: &str) {
        let heard = self.sync().await;
        assert!(
            !heard.iter().any(|it| it.contains(text)),
            "{text}: {heard:#?}"
        );
    }

    /// Wants to see what other sessions of its account send and get (XEP-0280).
    pub(crate) async fn enable_carbons(&self) {
        self.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
            .await;
        self.expect_all(&["id='c'", "type='result'"]).await;
    }

    /// Asks for its roster, whose changes it hears of from here on.
    pub(crate) async fn read_roster(&self) {
        self.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
            .await;
        self.expect("id='r'").await;
    }

    /// What it is answered that asks for an account's items of a node.
    pub(crate) async fn items(&self, of: &str, node: &str) -> String {
        self.send(&format!(
            "<iq type='get' id='items' to='{of}'>\
             <pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{node}'/></pubsub></iq>"
        ))
        .await;
        self.expect("id='items'").await
    }

    /// Turns stream management on; answers the resumption id.
    pub(crate) async fn enable_sm(&self) -> String {
        self.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            .await;
        let enabled = self.expect("<enabled").await;
        Element::parse(enabled.as_bytes())
            .unwrap()
            .get("id")
            .unwrap()
            .to_owned()
    }

    /// The connection takes nothing more: so many bytes are waiting.
    pub(crate) fn clog(&self, bytes: usize) {
        *self.line.queued.lock().unwrap() = bytes;
    }

    /// Waits, however long, for something written that contains this text; nothing comes when
    /// the server closes instead.
    pub(crate) async fn expect_unless_closed(&self, text: &str) -> Option<String> {
        loop {
            let notified = self.line.written.notified();
            while let Some(written) = self.line.next() {
                if written.contains(text) {
                    return Some(written);
                }
            }
            if self.line.closed.lock().unwrap().is_some() {
                return None;
            }
            notified.await;
        }
    }

    /// The client closes its stream.
    pub(crate) fn close(&self) {
        self.session.detach(Detach::Closed);
    }

    /// The connection breaks.
    pub(crate) fn lose(&self) {
        self.line.cut();
        self.session.detach(Detach::Lost);
    }

    /// Waits until the server has closed, and answers the error.
    pub(crate) async fn closed(&self) -> Option<StreamError> {
        let closed = async {
            loop {
                let notified = self.line.written.notified();
                if let Some(error) = self.line.closed.lock().unwrap().clone() {
                    return error;
                }
                notified.await;
            }
        };
        timeout(PATIENCE, closed).await.expect("the server closes")
    }
}

/// What a session has written.
#[derive(Default)]
pub(super) struct Line {
    lines: Mutex<VecDeque<String>>,
    queued: Mutex<usize>,
    is_cut: Mutex<bool>,
    closed: Mutex<Option<Option<StreamError>>>,
    written: Notify,
}

impl Line {
    fn next(&self) -> Option<String> {
        self.lines.lock().unwrap().pop_front()
    }

    fn cut(&self) {
        *self.is_cut.lock().unwrap() = true;
    }

    fn write(&self, bytes: &[u8]) -> Pressure {
        if *self.is_cut.lock().unwrap() {
            return Pressure::Closed;
        }
        self.lines
            .lock()
            .unwrap()
            .push_back(String::from_utf8(bytes.to_vec()).unwrap());
        self.written.notify_waiters();
        Pressure::Free
    }
}

impl Sink for Line {
    fn stanza(&self, stanza: &Stanza) -> Pressure {
        self.write(&stanza.to_bytes())
    }

    fn nonza(&self, element: &Element) -> Pressure {
        self.write(&element.to_bytes())
    }

    fn close(&self, error: Option<StreamError>) {
        *self.closed.lock().unwrap() = Some(error);
        self.written.notify_waiters();
    }

    fn queued(&self) -> usize {
        *self.queued.lock().unwrap()
    }

    fn follows_hosts(&self) -> bool {
        true
    }
}

/// A connection nobody looks at.
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn stanza(&self, _: &Stanza) -> Pressure {
        Pressure::Free
    }

    fn nonza(&self, _: &Element) -> Pressure {
        Pressure::Free
    }

    fn close(&self, _: Option<StreamError>) {}

    fn queued(&self) -> usize {
        0
    }
}
