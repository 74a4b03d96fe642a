//! Drives a client's negotiation: tokens into the stream machine, its actions out to whom they
//! concern. The same for TCP and WebSocket.
//!
//! Everything here is dropped when a session is bound.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use klatsch_actors::session::{Peer, Sink};
use klatsch_actors::sessions::Resumed;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{ChannelBindings, FailureCondition, Login, Mechanism, Secret};
use klatsch_protocol::stanza::StanzaError;
use klatsch_protocol::stream::fast::TokenLogin;
use klatsch_protocol::stream::{self, Action, Event, NotResumed, Stream, StreamSettings, Wishes};

use super::ClientGateway;
use crate::auth::Keys;
use crate::hold::Hold;

/// What a negotiation needs of its connection.
pub(crate) trait Transport: Send {
    /// Sends bytes of the machine: a part of the stream, or one frame.
    fn write(&mut self, bytes: &[u8]);
    /// Finishes a TLS handshake; `None` if the client had sent something behind its request,
    /// which nobody can tell from an attacker's words (row A01).
    fn start_tls(&mut self) -> impl Future<Output = io::Result<Option<ChannelBindings>>> + Send;
    /// The client has proved who it is: it may send more, in a new stream or in this one.
    fn logged_in(&mut self, is_restarted: bool);
    /// What a session writes to.
    fn sink(&self) -> Arc<dyn Sink>;
}

/// A client on its way to a session.
pub(crate) struct Negotiation<T> {
    pub(crate) transport: T,
    gateway: Arc<ClientGateway>,
    stream: Stream,
    peer: Peer,
    hold: Option<Hold>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Negotiating,
    Bound,
    Closed,
}

/// How far a client has come.
pub(crate) enum Step {
    /// It has to say more.
    GoOn,
    /// It has a session.
    Bound(Hold),
    /// Its stream is closed; what was written may still have to be sent.
    Closed,
}

impl<T: Transport> Negotiation<T> {
    pub(crate) fn new(
        gateway: Arc<ClientGateway>,
        settings: Arc<StreamSettings>,
        transport: T,
        peer: Peer,
    ) -> Self {
        let stream = Stream::new(settings, random_bytes);
        let progress = Progress::Negotiating;
        Self {
            transport,
            gateway,
            stream,
            peer,
            hold: None,
            progress,
        }
    }

    /// Tells the machine what happened and does what it wants, until it wants nothing more.
    pub(crate) async fn handle(&mut self, event: Event) -> io::Result<Step> {
        let mut events = VecDeque::from([event]);
        let mut actions = Vec::new();
        while let Some(event) = events.pop_front() {
            self.stream.handle(event, &mut actions);
            for action in actions.drain(..) {
                events.extend(self.perform(action).await?);
            }
        }
        Ok(match (self.progress, self.hold.take()) {
            (Progress::Negotiating, hold) => {
                self.hold = hold;
                Step::GoOn
            }
            (Progress::Bound, Some(hold)) => {
                // Not before the client knows its address or its resumption (API of sessions).
                hold.session().start();
                Step::Bound(hold)
            }
            (Progress::Bound | Progress::Closed, _) => Step::Closed,
        })
    }

    /// TLS was there before the negotiation.
    pub(crate) fn encrypted(&mut self) {
        self.peer.is_secure = true;
    }

    async fn perform(&mut self, action: Action) -> io::Result<Option<Event>> {
        Ok(match action {
            Action::Write(bytes) => {
                self.transport.write(&bytes);
                None
            }
            Action::StartTls => Some(match self.transport.start_tls().await? {
                Some(bindings) => {
                    self.peer.is_secure = true;
                    Event::TlsStarted(bindings)
                }
                None => Event::EarlyBytes,
            }),
            Action::LoadCredentials { account, mechanism } => {
                Some(self.load_credentials(&account, mechanism).await)
            }
            Action::CheckPassword { login, password } => {
                Some(self.check_password(&login, password).await)
            }
            Action::CheckBearer(token) => Some(self.check_bearer(token).await),
            Action::CheckToken(login) => Some(self.check_token(&login).await),
            Action::IssueToken {
                account,
                agent,
                mechanism,
            } => Some(Event::TokenIssued(
                self.gateway
                    .authenticator
                    .issue_token(&account, &agent, mechanism)
                    .await,
            )),
            Action::FindLackingKeys { account, hashes } => Some(Event::KeysLacking(
                self.gateway
                    .authenticator
                    .lacking_keys(&account, &hashes)
                    .await,
            )),
            Action::AddKeys { account, keys } => {
                self.gateway.authenticator.add_keys(&account, &keys).await;
                Some(Event::KeysAdded)
            }
            Action::CheckInvitation { domain, hash } => Some(Event::InvitationChecked(
                self.gateway.registrar.check(&domain, hash).await,
            )),
            Action::Register(new) => Some(Event::Registered(
                self.gateway
                    .registrar
                    .register_in_band(self.address(), *new)
                    .await,
            )),
            Action::Authenticated {
                account,
                is_restarted,
            } => {
                self.gateway.authenticator.succeeded(&account);
                self.transport.logged_in(is_restarted);
                None
            }
            // Nobody has guessed wrong while nobody can tell: an office whose directory is down
            // would be banned together. What the throttle has refused, it has counted.
            Action::LoginFailed {
                reason: FailureCondition::TemporaryAuthFailure,
                ..
            } => None,
            Action::LoginFailed { account, .. } => {
                self.gateway
                    .authenticator
                    .failed(self.address(), account.as_ref());
                None
            }
            Action::Bind {
                account,
                resource,
                wishes,
            } => Some(self.bind(account, resource, wishes).await),
            Action::Resume { account, previd, h } => Some(self.resume(account, previd, h).await),
            Action::Bound(_) | Action::Resumed => {
                self.progress = Progress::Bound;
                None
            }
            Action::Close => {
                self.progress = Progress::Closed;
                None
            }
        })
    }

    fn address(&self) -> IpAddr {
        self.peer.address
    }

    async fn load_credentials(&mut self, account: &BareJid, mechanism: Mechanism) -> Event {
        self.peer.proved = Instant::now();
        let Some(hash) = mechanism.hash() else {
            return Event::Credentials(None);
        };
        match self
            .gateway
            .authenticator
            .credentials(self.address(), account, hash)
            .await
        {
            Keys::None => Event::Credentials(None),
            Keys::Some(keys) => Event::Credentials(Some(keys)),
            Keys::OfDisabled(keys) => Event::CredentialsOfDisabled(keys),
            Keys::Unavailable => Event::CredentialsUnavailable,
        }
    }

    async fn check_password(&mut self, login: &Login, password: Secret) -> Event {
        self.peer.proved = Instant::now();
        let authenticator = &self.gateway.authenticator;
        let verdict = authenticator
            .check_password(self.address(), login, password)
            .await;
        Event::PasswordChecked(verdict)
    }

    async fn check_bearer(&mut self, token: Secret) -> Event {
        self.peer.proved = Instant::now();
        let authenticator = &self.gateway.authenticator;
        Event::BearerChecked(authenticator.check_bearer(self.address(), token).await)
    }

    async fn check_token(&mut self, login: &TokenLogin) -> Event {
        self.peer.proved = Instant::now();
        let authenticator = &self.gateway.authenticator;
        Event::TokenChecked(authenticator.check_token(self.address(), login).await)
    }

    /// Binds on a task of its own: a client that goes away in the middle leaves a session that
    /// is complete and can be let go, instead of half a one.
    async fn bind(
        &mut self,
        account: BareJid,
        resource: Option<String>,
        wishes: Option<Wishes>,
    ) -> Event {
        let (sessions, sink) = (self.gateway.sessions.clone(), self.transport.sink());
        let peer = self.peer.clone();
        let binding = tokio::spawn(async move {
            let bound = sessions.bind_as(account, resource, wishes, sink, peer);
            let (bound, session) = bound.await?;
            Ok((bound, Hold::new(session)))
        });
        match binding.await {
            Ok(Ok((bound, hold))) => {
                self.hold = Some(hold);
                Event::Bound(Ok(bound))
            }
            Ok(Err(refusal)) => Event::Bound(Err(refusal)),
            Err(_) => Event::Bound(Err(StanzaError::internal_server_error())),
        }
    }

    async fn resume(&mut self, account: BareJid, previd: String, h: u32) -> Event {
        let (sessions, sink) = (self.gateway.sessions.clone(), self.transport.sink());
        let resuming = tokio::spawn(async move {
            let resumed = sessions.resume(&account, &previd, h, sink).await?;
            let Resumed { jid, h, session } = resumed;
            Ok((stream::Resumed { jid, h }, Hold::new(session)))
        });
        match resuming.await {
            Ok(Ok((resumed, hold))) => {
                self.hold = Some(hold);
                Event::Resumed(Ok(resumed))
            }
            Ok(Err(refusal)) => Event::Resumed(Err(refusal)),
            Err(_) => Event::Resumed(Err(NotResumed::Gone(None))),
        }
    }
}

pub(super) fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}
