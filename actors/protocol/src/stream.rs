//! A client's connection from its first byte to its session, as a state machine
//! (RFC 6120 §4 to §7, over WebSocket RFC 7395, over HTTP XEP-0206): events in, actions out.
//!
//! ```text
//! header ─ features ─ STARTTLS ─┐           over TCP, unless TLS was there from the start
//! header ─ features ─ SASL ─────┤           every arrow back to a header is a new stream
//! header ─ features ─ bind or resume ─ the session has it
//! ```
//!
//! What may come when is decided in one table (`gates.rs`). The caller owns socket, tokenizer
//! and account store; it performs the actions in order and hands back what came of them.
//! While [`Stream::is_waiting`] it hands in no token: whatever the client sent meanwhile stays
//! in the tokenizer.
//!
//! A client of today asks for all of it in one go (`sasl2.rs`, `bind2.rs`, `fast.rs`, `upgrade.rs`).
//! One that has no account yet may make one before the login (`register.rs`).
//!
//! Left out: server-to-server streams, and everything after [`Action::Bound`] or
//! [`Action::Resumed`], from where the session takes over.

mod bind;
mod bind2;
pub mod bosh;
pub mod closing;
pub mod component;
pub mod fast;
mod features;
mod gates;
mod header;
pub mod register;
mod sasl;
mod sasl2;
mod settings;
pub mod sm;
mod starttls;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod transcripts;
pub mod upgrade;
pub mod websocket;

use std::fmt;
use std::sync::Arc;

pub use bind2::Wishes;
pub use settings::{StreamLimits, StreamSettings, TlsState, Transport};

use crate::features::invitation::TokenHash;
use crate::jid::{BareJid, FullJid};
use crate::sasl::{
    ChannelBindings, FailureCondition, Hash, HtMechanism, Mechanism, ScramCredentials, Secret,
};
use crate::stanza::{StanzaError, StreamCondition, StreamError};
use crate::xml::{Element, Fragment, StreamHeader, Token, XmlError};

/// So many requests may be refused without closing (a taken resource, a lost session, stream
/// compression): RFC 6120 §7.7.2.2 asks for five to ten retries, and a client that goes on
/// for ever is stopped.
const REFUSALS_MAX: u8 = 10;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The client sent something.
    Token(Token),
    /// The client sent something that is no acceptable XML.
    Broken(XmlError),
    /// The tokenizer held bytes when [`Action::StartTls`] came: they were sent in the clear
    /// and must never be read as if TLS had carried them (row A01).
    EarlyBytes,
    /// The TLS handshake is done, with what the connection can be bound to. Also the first
    /// event of a connection that had TLS from the start.
    TlsStarted(ChannelBindings),
    /// Answer to [`Action::LoadCredentials`]: the account's credentials for the hash asked
    /// for, if there is such an account and it has any.
    Credentials(Option<ScramCredentials>),
    /// Answer to [`Action::LoadCredentials`]: the account exists and may not log in. Who
    /// proves to know the password is told so, everybody else that it was wrong.
    CredentialsOfDisabled(ScramCredentials),
    /// Answer to [`Action::LoadCredentials`]: nobody can tell now.
    CredentialsUnavailable,
    /// Answer to [`Action::CheckPassword`].
    PasswordChecked(Verdict),
    /// Answer to [`Action::CheckBearer`].
    BearerChecked(BearerVerdict),
    /// Answer to [`Action::CheckToken`].
    TokenChecked(fast::TokenVerdict),
    /// Answer to [`Action::IssueToken`]; none when that cannot be done now.
    TokenIssued(Option<fast::Issued>),
    /// Answer to [`Action::FindLackingKeys`]: those it lacks; none when that cannot be told.
    KeysLacking(Vec<Hash>),
    /// Answer to [`Action::AddKeys`], whatever came of it.
    KeysAdded,
    /// Answer to [`Action::CheckInvitation`].
    InvitationChecked(Result<register::Invited, StanzaError>),
    /// Answer to [`Action::Register`].
    Registered(Result<(), StanzaError>),
    /// Answer to [`Action::Bind`].
    Bound(Result<Bound, StanzaError>),
    /// Answer to [`Action::Resume`].
    Resumed(Result<Resumed, NotResumed>),
    /// The time for the whole negotiation is over.
    TimedOut,
    /// The server stops.
    ShuttingDown,
}

/// A session was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// Its address.
    pub jid: FullJid,
    /// What came of the client's [`Wishes`], and where its archive begins and ends; nothing
    /// for a client that had none.
    pub results: Vec<Element>,
}

impl From<FullJid> for Bound {
    fn from(jid: FullJid) -> Self {
        let results = Vec::new();
        Self { jid, results }
    }
}

/// A session was taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    /// Its address.
    pub jid: FullJid,
    /// How many stanzas of the client the server has handled.
    pub h: u32,
}

/// Why a session was not resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotResumed {
    /// It is gone; how many stanzas it had handled, if that is still known (XEP-0198 §5).
    Gone(Option<u32>),
    /// The client acknowledges more than it was sent: its stream ends with this (§6).
    TooHigh(StreamError),
}

/// What an account backend says about a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the account's.
    Right,
    /// It is not, or there is no such account.
    Wrong,
    /// It is, but the account may not log in.
    Disabled,
    /// Nobody can tell now.
    Unavailable,
}

/// Whose a bearer token is (RFC 7628).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BearerVerdict {
    /// Nobody's who is known, or its time is over, or it has been used.
    Unknown,
    /// This account's.
    Of(BareJid),
    /// Somebody's who may not log in.
    Disabled,
    /// Nobody can tell now.
    Unavailable,
}

/// What the caller is to do, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send these bytes; over WebSocket, as one text frame, over BOSH, as one payload.
    Write(Vec<u8>),
    /// Flush, then restart the tokenizer and begin the TLS handshake, then
    /// [`Event::TlsStarted`]. If the tokenizer had buffered anything, or the handshake fails:
    /// [`Event::EarlyBytes`] or a closed socket.
    StartTls,
    /// Look the account's credentials for this mechanism's hash up.
    LoadCredentials {
        /// Whose.
        account: BareJid,
        /// For which mechanism.
        mechanism: Mechanism,
    },
    /// Check a password.
    CheckPassword {
        /// Whose.
        account: BareJid,
        /// The password.
        password: Secret,
    },
    /// Find out whose a bearer token is.
    CheckBearer(Secret),
    /// Check a token, and note its use.
    CheckToken(Box<fast::TokenLogin>),
    /// Make a token for a client that has proved who it is.
    IssueToken {
        /// Whose.
        account: BareJid,
        /// The installation of the client.
        agent: String,
        /// What it is to be used with.
        mechanism: HtMechanism,
    },
    /// Find out for which of these hashes an account has no keys (XEP-0480).
    FindLackingKeys {
        /// Whose.
        account: BareJid,
        /// The hashes.
        hashes: Vec<Hash>,
    },
    /// Add keys to an account that has none of their hash.
    AddKeys {
        /// Whose.
        account: BareJid,
        /// The keys.
        keys: ScramCredentials,
    },
    /// Look an invitation up.
    CheckInvitation {
        /// The domain of the account it is to make.
        domain: BareJid,
        /// The hash of its token.
        hash: TokenHash,
    },
    /// Make an account.
    Register(Box<register::NewAccount>),
    /// The client is who it says: raise the tokenizer's limits.
    Authenticated {
        /// Who it is.
        account: BareJid,
        /// A new stream begins: restart the tokenizer. Bytes behind the last response belong
        /// to no stream (RFC 6120 §6.4.6) and may be dropped.
        is_restarted: bool,
    },
    /// Make a session.
    Bind {
        /// Whose.
        account: BareJid,
        /// Its name, prepared, if the client wants a certain one.
        resource: Option<String>,
        /// What it is to be from the beginning, of a client that asks for all at once.
        wishes: Option<Wishes>,
    },
    /// Take an earlier session over (XEP-0198 §5).
    Resume {
        /// Whose.
        account: BareJid,
        /// Its resumption id, as the client has it.
        previd: String,
        /// How many stanzas the client has handled.
        h: u32,
    },
    /// The stream has a session: everything the client sends from now on is the session's,
    /// and this state machine is done.
    Bound(FullJid),
    /// The stream has its earlier session back; the same applies.
    Resumed,
    /// A login failed: for rate limits and the log.
    LoginFailed {
        /// Whom the client claimed to be, if it came to that.
        account: Option<BareJid>,
        /// What it was told.
        reason: FailureCondition,
    },
    /// Flush and close the connection.
    Close,
}

/// Where the negotiation is.
enum Phase {
    /// The client's next stream header is due.
    Opening,
    /// Features are sent.
    Negotiating,
    /// `<proceed/>` is sent.
    StartingTls,
    /// A SASL exchange runs.
    Sasl(Box<sasl::Exchange>),
    /// A token is looked at, or an account is being made.
    Registering(Box<register::Request>),
    /// Who it is, is proved; the account gets more keys.
    Upgrading(Box<upgrade::Upgrade>),
    /// Who it is, is proved; what it wants with its login is being done.
    Finishing(Box<sasl2::Finish>),
    /// A session is being made for this request.
    Binding(bind::Request),
    /// The session with this id is being taken over.
    Resuming(String),
    /// The session has the stream.
    Done,
    /// It is over.
    Closed,
}

/// One connection's negotiation.
pub struct Stream {
    settings: Arc<StreamSettings>,
    entropy: Box<dyn FnMut() -> [u8; 16] + Send>,
    phase: Phase,
    is_secure: bool,
    bindings: ChannelBindings,
    /// The domain the client's last header named.
    domain: Option<BareJid>,
    /// Who the client's last header said it is.
    from: Option<BareJid>,
    account: Option<BareJid>,
    /// What the client wants with the login under way; none for a login by RFC 6120.
    sasl2: Option<Box<sasl2::Request>>,
    /// The token of an invitation that the client has shown.
    invitation: Option<register::Token>,
    /// It has made an account.
    has_registered: bool,
    header_is_sent: bool,
    headers: u8,
    attempts: u8,
    /// How often the client wanted a channel-binding type that was not offered.
    unbound: u8,
    refusals: u8,
}

impl Stream {
    /// A connection that has said nothing yet. `entropy` gives random bytes for stream ids
    /// and nonces.
    pub fn new(
        settings: Arc<StreamSettings>,
        entropy: impl FnMut() -> [u8; 16] + Send + 'static,
    ) -> Self {
        let is_secure = settings.tls == TlsState::Active;
        Self {
            settings,
            entropy: Box::new(entropy),
            phase: Phase::Opening,
            is_secure,
            bindings: ChannelBindings::default(),
            domain: None,
            from: None,
            account: None,
            sasl2: None,
            invitation: None,
            has_registered: false,
            header_is_sent: false,
            headers: 0,
            attempts: 0,
            unbound: 0,
            refusals: 0,
        }
    }

    /// Takes an event and appends what is to be done about it. An answer to a question that
    /// is no longer open is ignored.
    pub fn handle(&mut self, event: Event, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Closed) {
            return;
        }
        match event {
            Event::Token(token) => self.take_token(token, actions),
            Event::Broken(error) => self.fail(error.condition(), actions),
            Event::EarlyBytes => self.fail(StreamCondition::PolicyViolation, actions),
            Event::TlsStarted(bindings) => self.take_tls(bindings),
            Event::Credentials(found) => self.take_credentials(found, false, actions),
            Event::CredentialsOfDisabled(found) => {
                self.take_credentials(Some(found), true, actions)
            }
            Event::CredentialsUnavailable => self.credentials_unavailable(actions),
            Event::PasswordChecked(verdict) => self.take_verdict(verdict, actions),
            Event::BearerChecked(verdict) => self.take_bearer(verdict, actions),
            Event::TokenChecked(verdict) => self.take_token_verdict(verdict, actions),
            Event::TokenIssued(issued) => self.take_token_issued(issued, actions),
            Event::KeysLacking(hashes) => self.take_lacking_keys(hashes, actions),
            Event::KeysAdded => self.take_keys_added(actions),
            Event::InvitationChecked(outcome) => self.take_invitation(outcome, actions),
            Event::Registered(outcome) => self.take_registered(outcome, actions),
            Event::Bound(outcome) => self.take_bound(outcome, actions),
            Event::Resumed(outcome) => self.take_resumed(outcome, actions),
            Event::TimedOut => self.fail(StreamCondition::ConnectionTimeout, actions),
            Event::ShuttingDown => self.fail(StreamCondition::SystemShutdown, actions),
        }
    }

    /// Whether an answer of the caller's is due, before which it must not hand in a token.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        match &self.phase {
            Phase::StartingTls
            | Phase::Registering(_)
            | Phase::Finishing(_)
            | Phase::Binding(_)
            | Phase::Resuming(_) => true,
            Phase::Sasl(exchange) => exchange.is_waiting(),
            Phase::Upgrading(upgrade) => upgrade.is_waiting(),
            Phase::Opening | Phase::Negotiating | Phase::Done | Phase::Closed => false,
        }
    }

    /// Whether the stream has its session or is closed: there is nothing left to decide.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Closed)
    }

    /// Whether TLS, or a transport as good, protects the stream.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Who is logged in.
    #[must_use]
    pub const fn account(&self) -> Option<&BareJid> {
        self.account.as_ref()
    }

    fn take_token(&mut self, token: Token, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Done) {
            return;
        }
        if self.is_waiting() {
            return self.fail(StreamCondition::PolicyViolation, actions);
        }
        match token {
            Token::Header(header) => self.open(&header, actions),
            Token::Footer => self.close(actions),
            Token::Fragment(fragment) => self.take_fragment(&fragment, actions),
        }
    }

    fn take_fragment(&mut self, fragment: &Fragment, actions: &mut Vec<Action>) {
        if self.settings.transport == Transport::WebSocket {
            match websocket::read_frame(fragment) {
                websocket::Frame::Open(header) => return self.open(&header, actions),
                websocket::Frame::Close => return self.close(actions),
                websocket::Frame::Foreign => {
                    return self.fail(StreamCondition::InvalidNamespace, actions);
                }
                websocket::Frame::Element => {}
            }
        }
        if matches!(self.phase, Phase::Opening) {
            return self.fail(StreamCondition::BadFormat, actions);
        }
        self.pass_gate(fragment, actions);
    }

    /// Answers a stream header with ours, and features or an error (RFC 6120 §4.2, §4.3).
    fn open(&mut self, header: &StreamHeader, actions: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Opening | Phase::Negotiating) {
            return self.fail(StreamCondition::PolicyViolation, actions);
        }
        // Row X17: two restarts are what a login needs.
        if self.headers > self.settings.restarts_max {
            return self.fail(StreamCondition::PolicyViolation, actions);
        }
        self.headers += 1;
        let checked = header::check(header, &self.settings.domains, self.account.as_ref());
        self.domain = checked.as_ref().ok().cloned();
        let from = header.from.as_deref();
        self.from = from.and_then(|from| BareJid::parse(from).ok());
        self.write_header(header::language(header), actions);
        match checked {
            Ok(_) => self.write_features(actions),
            Err(condition) => self.fail(condition, actions),
        }
    }

    fn write_header(&mut self, language: &str, actions: &mut Vec<Action>) {
        // RFC 6120 §4.7.3: unpredictable, and unique in each stream.
        let id = header::stream_id((self.entropy)());
        // RFC 6120 §4.9.3.6: to a domain that is not served, one that is answers.
        let from = self.domain.as_ref().or(self.settings.domains.first());
        let from = from.map_or("", |domain| domain.as_str());
        let bytes = header::render(self.settings.transport, from, &id, language);
        self.header_is_sent = true;
        self.write(bytes, actions);
    }

    fn write_features(&mut self, actions: &mut Vec<Action>) {
        let elements = if self.account.is_some() {
            features::after_login(&self.settings)
        } else {
            features::before_login(&self.settings, &self.offer())
        };
        self.phase = Phase::Negotiating;
        self.write(
            features::render(self.settings.transport, &elements),
            actions,
        );
    }

    /// What this stream offers: the one source of features, checks and signed lists.
    fn offer(&self) -> features::Offer {
        features::offer(&self.settings, self.is_secure, &self.bindings)
    }

    /// Sends an element of a namespace of its own, or an IQ.
    fn write_element(&self, element: &Element, actions: &mut Vec<Action>) {
        self.write(
            closing::render_element(self.settings.transport, element),
            actions,
        );
    }

    /// Appends bytes to send: over TCP to what is to be sent anyway, otherwise as a frame or
    /// payload of their own.
    fn write(&self, bytes: Vec<u8>, actions: &mut Vec<Action>) {
        if self.settings.transport == Transport::Tcp
            && let Some(Action::Write(before)) = actions.last_mut()
        {
            before.extend_from_slice(&bytes);
        } else if !bytes.is_empty() {
            actions.push(Action::Write(bytes));
        }
    }

    /// Refuses a request and goes on, unless that has been done too often.
    fn refuse(&mut self, answer: &Element, actions: &mut Vec<Action>) {
        self.write_element(answer, actions);
        self.refusals += 1;
        if self.refusals >= REFUSALS_MAX {
            self.fail(StreamCondition::PolicyViolation, actions);
        }
    }

    /// Ends the stream as the client does.
    fn close(&mut self, actions: &mut Vec<Action>) {
        self.end(None, actions);
    }

    /// Ends the stream with an error (RFC 6120 §4.9).
    fn fail(&mut self, condition: StreamCondition, actions: &mut Vec<Action>) {
        self.end(Some(&StreamError::new(condition)), actions);
    }

    fn end(&mut self, error: Option<&StreamError>, actions: &mut Vec<Action>) {
        // Between <proceed/> and the end of the handshake the client takes every byte for TLS.
        if !matches!(self.phase, Phase::StartingTls) {
            if !self.header_is_sent {
                // RFC 6120 §4.9.1.2: an error stands in a stream, so the stream is opened.
                self.write_header(header::LANGUAGE, actions);
            }
            for bytes in closing::closing(self.settings.transport, error) {
                self.write(bytes, actions);
            }
        }
        self.phase = Phase::Closed;
        actions.push(Action::Close);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stream")
            .field("domain", &self.domain)
            .field("account", &self.account)
            .field("is_secure", &self.is_secure)
            .finish_non_exhaustive()
    }
}
