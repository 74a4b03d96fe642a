//! One session over BOSH: a task that takes its requests in their order, negotiates as on any
//! stream, and then carries what the client says to its session.

use std::sync::Arc;
use std::time::Duration;

use klatsch_actors::session::{Detach, Sink};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_protocol::stream::bosh::{Condition, Keys, Request, wrap_nothing};
use klatsch_protocol::stream::{Event, Transport as Carrier};
use klatsch_protocol::xml::{Fragment, Token};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::TRANSPORT;
use super::arrived::{Arrived, Load};
use super::line::Line;
use super::side::{Side, negotiation};
use super::table::{Entry, Place};
use super::terms::Terms;
use super::window::{Arrival, Window};
use crate::hold::Hold;
use crate::http::Requester;
use crate::metrics;
use crate::pace::{Pace, is_stanza};
use crate::xmpp::ClientGateway;
use crate::xmpp::negotiation::{Negotiation, Step};
use crate::xmpp::outbox::Outbox;

/// What a session writes comes in bursts, and an answer is a round trip: so long it is waited
/// for the rest of a burst.
const GATHER: Duration = Duration::from_millis(2);

/// How a session begins.
pub(super) struct Begun {
    pub(super) rid: u64,
    pub(super) new_key: Option<String>,
    pub(super) domain: BareJid,
    pub(super) terms: Terms,
    pub(super) version: Option<String>,
    pub(super) requester: Requester,
}

/// Begins a session, which ends by itself.
pub(super) fn spawn(
    clients: &Arc<ClientGateway>,
    begun: Begun,
    entry: Arc<Entry>,
    place: Place,
    arrivals: mpsc::Receiver<Arrived>,
) {
    let strain = clients.sessions.strain();
    let outbox = Arc::new(Outbox::new(
        Carrier::Bosh,
        begun.requester.address,
        &clients.limits,
        Arc::clone(&strain),
    ));
    let greeting = greeting(&begun, place.sid());
    let window = Window::new(begun.terms.clone(), begun.rid, Instant::now());
    let side = Side {
        outbox: Arc::clone(&outbox),
        entry: Arc::clone(&entry),
    };
    let session = Session {
        stage: Stage::Negotiating(Box::new(negotiation(clients, begun.requester, side))),
        line: Line::new(window, outbox, Arc::clone(&entry), greeting, strain),
        entry,
        keys: Keys::begin(begun.new_key.as_deref()),
        clients: Arc::clone(clients),
        begun,
        pace: None,
        is_open: false,
    };
    tokio::spawn(async move {
        let _place = place;
        let _open = metrics::Open::new(TRANSPORT);
        session.run(arrivals).await;
    });
}

/// What the first answer says (XEP-0124 §7.2, XEP-0206 §4).
fn greeting(begun: &Begun, sid: &str) -> Vec<(&'static str, String)> {
    let mut greeting = vec![("sid", sid.to_owned())];
    greeting.extend(begun.terms.attributes());
    greeting.extend(begun.version.clone().map(|version| ("ver", version)));
    greeting.push(("from", begun.domain.to_string()));
    if begun.terms.acks {
        greeting.push(("ack", begun.rid.to_string()));
    }
    greeting.push(("xmpp:version", "1.0".to_owned()));
    greeting.push(("xmpp:restartlogic", "true".to_owned()));
    greeting
}

/// The client's way through a session.
enum Stage {
    Negotiating(Box<Negotiation<Side>>),
    Bound(Hold),
    /// There is nobody any more to hear what it says.
    Over,
}

struct Session {
    line: Line,
    entry: Arc<Entry>,
    stage: Stage,
    keys: Keys,
    clients: Arc<ClientGateway>,
    begun: Begun,
    pace: Option<Box<Pace>>,
    /// The first stream header has been handled.
    is_open: bool,
}

impl Session {
    async fn run(mut self, mut arrivals: mpsc::Receiver<Arrived>) {
        let deadline = Instant::now() + self.clients.limits.negotiation_timeout;
        let mut shutdown = self.clients.shutdown.clone();
        while !self.line.is_over() {
            self.deliver();
            if self.line.is_over() {
                break;
            }
            let answer_until = self.line.window.answer_until();
            let idle_until = self.line.window.idle_until();
            let until = answer_until.into_iter().chain(idle_until).min();
            let is_negotiating = matches!(self.stage, Stage::Negotiating(_));
            let is_bound = matches!(self.stage, Stage::Bound(_));
            let (outbox, entry) = (Arc::clone(&self.line.outbox), Arc::clone(&self.entry));
            tokio::select! {
                arrived = arrivals.recv() => match arrived {
                    Some(arrived) => self.arrive(arrived).await,
                    None => break,
                },
                () = outbox.changed() => self.gather().await,
                () = self.line.gone() => {}
                () = entry.overrun.notified() => {
                    self.line.end(Some(Condition::PolicyViolation));
                    self.let_go(Detach::Closed);
                }
                () = sleep_until(until.unwrap_or(deadline)), if until.is_some() => {
                    // §10: gone without a word.
                    if idle_until.is_some_and(|until| until <= Instant::now()) {
                        break;
                    }
                }
                () = sleep_until(deadline), if is_negotiating => {
                    self.negotiate(Event::TimedOut).await;
                }
                () = shutdown.triggered(), if !is_bound => {
                    self.negotiate(Event::ShuttingDown).await;
                    self.deliver();
                    break;
                }
            }
        }
        self.let_go(Detach::Lost);
    }

    fn deliver(&mut self) {
        let has_drained = self.line.deliver();
        if let (true, Stage::Bound(hold)) = (has_drained, &self.stage) {
            hold.session().writable();
        }
    }

    /// Something is to be said: whatever belongs to it is said with it.
    async fn gather(&mut self) {
        if self.line.outbox.is_closing() {
            // Whoever closed, the session may be resumed unless it has ended itself.
            self.let_go(Detach::Lost);
        } else if self.line.window.is_listened_to() && matches!(self.stage, Stage::Bound(_)) {
            sleep(GATHER).await;
        }
    }

    async fn arrive(&mut self, arrived: Arrived) {
        let Arrived { load, waiter } = arrived;
        let place = load.place();
        match self.line.window.arrive(place, load, waiter, Instant::now()) {
            Arrival::Placed => {}
            // §17.3: one that can be recovered from.
            Arrival::Again(waiter) => waiter.tell(200, wrap_nothing(&[("type", "error")])),
            Arrival::Answered(waiter, body) => waiter.tell(200, body),
            Arrival::Refused(waiter, condition) => {
                self.line.end_by(waiter, condition);
                return self.let_go(how(condition));
            }
        }
        while let Some(load) = self.line.window.take(Instant::now()) {
            if let Err(condition) = self.take(load).await {
                self.line.end(Some(condition));
                return self.let_go(how(condition));
            }
            self.deliver();
            if self.line.is_over() {
                return;
            }
        }
    }

    /// Takes a request whose turn it is.
    async fn take(&mut self, load: Result<Load, Condition>) -> Result<(), Condition> {
        let load = load?;
        let request = load.request;
        metrics::received(TRANSPORT, load.bytes);
        if std::mem::replace(&mut self.is_open, true) {
            // §15.4: who does not have the key is not the client.
            let (key, new_key) = (request.key.as_deref(), request.new_key.as_deref());
            if !self.keys.take(key, new_key) {
                return Err(Condition::ItemNotFound);
            }
        } else {
            self.open(&request).await;
        }
        let payloads = load.payloads?;
        if let Some(pace) = &mut self.pace {
            pace.count_bytes(load.bytes);
        }
        match request.restarts {
            // XEP-0206 §5: what else is in it is ignored.
            true => self.open(&request).await,
            false => {
                for payload in payloads {
                    self.hear(payload).await;
                }
            }
        }
        if request.ends {
            self.end().await;
        }
        Ok(())
    }

    async fn open(&mut self, request: &Request) {
        let header = request.header(self.begun.domain.as_str());
        match &self.stage {
            Stage::Negotiating(_) => self.negotiate(Event::Token(Token::Header(header))).await,
            // A second header without a reason for one.
            Stage::Bound(_) => {
                let error = StreamError::new(StreamCondition::BadFormat);
                self.line.outbox.close(Some(error));
                self.let_go(Detach::Closed);
            }
            Stage::Over => {}
        }
    }

    async fn hear(&mut self, payload: Fragment) {
        match &self.stage {
            Stage::Negotiating(_) => self.negotiate(Event::Token(Token::Fragment(payload))).await,
            Stage::Bound(_) => self.hand_over(payload).await,
            Stage::Over => {}
        }
    }

    /// Tells the stream machine what happened.
    async fn negotiate(&mut self, event: Event) {
        let Stage::Negotiating(negotiation) = &mut self.stage else {
            return;
        };
        match negotiation.handle(event).await {
            Ok(Step::GoOn) => {}
            Ok(Step::Bound(hold)) => {
                let (limits, address) = (&self.clients.limits, self.begun.requester.address);
                let now = Instant::now().into_std();
                self.pace = Pace::of(limits, address, TRANSPORT, now);
                self.stage = Stage::Bound(hold);
            }
            Ok(Step::Closed) | Err(_) => {
                self.line.outbox.seal();
                self.stage = Stage::Over;
            }
        }
    }

    /// Gives the session a fragment, no faster than it may come.
    async fn hand_over(&mut self, payload: Fragment) {
        let Self {
            line, stage, pace, ..
        } = self;
        let Stage::Bound(hold) = stage else { return };
        let session = hold.session();
        let drained = || session.writable();
        if let Some(pace) = pace {
            if is_stanza(payload.name()) {
                pace.count_stanza();
            }
            while let Some(wait) = pace.wait(|| Instant::now().into_std()) {
                line.deliver_while(sleep(wait), drained).await;
            }
        }
        if let Some(rest) = self.clients.sessions.strain().reader_rest() {
            line.deliver_while(sleep(rest), drained).await;
        }
        if !line.deliver_while(session.inbound(payload), drained).await {
            self.line.outbox.seal();
            self.let_go(Detach::Lost);
        }
    }

    /// §13: the client ends the session, as with the footer of a stream.
    async fn end(&mut self) {
        match &self.stage {
            Stage::Negotiating(_) => self.negotiate(Event::Token(Token::Footer)).await,
            Stage::Bound(_) => {
                self.line.outbox.close(None);
                self.let_go(Detach::Closed);
            }
            Stage::Over => {}
        }
    }

    fn let_go(&mut self, how: Detach) {
        if let Stage::Bound(hold) = std::mem::replace(&mut self.stage, Stage::Over) {
            hold.release(how);
        }
    }
}

/// A client that breaks the rules ends its session: resuming would bring the same again. Who
/// does not know the next id or key may be somebody else, from whom the client comes back.
fn how(condition: Condition) -> Detach {
    match condition {
        Condition::ItemNotFound => Detach::Lost,
        _ => Detach::Closed,
    }
}
