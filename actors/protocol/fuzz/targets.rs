//! What is fuzzed, as functions: the fuzz targets call them with what libFuzzer makes up,
//! `tests/fuzz_corpus.rs` with the committed corpus. They panic where a promise is broken.

use std::sync::Arc;

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::ns;
use klatsch_protocol::sasl::{ChannelBindings, ScramCredentials};
use klatsch_protocol::stanza::{Stanza, StanzaError};
use klatsch_protocol::stream::fast::TokenVerdict;
use klatsch_protocol::stream::register::{Invited, Registration};
use klatsch_protocol::stream::{
    Action, BearerVerdict, Bound, Event, NotResumed, Resumed, Stream, StreamSettings, TlsState,
    Transport, Verdict,
};
use klatsch_protocol::xml::{Element, Fragment, Limits, Token, Tokenizer, parse_fragment};

/// No answer of a negotiation is longer: whatever comes in is echoed in part at most (row X19).
const WRITE_MAX: usize = 16 * 1024;

/// The first byte chooses limits and pieces, the rest comes over the wire.
///
/// Promises: the pieces in which bytes arrive change nothing; what is accepted can be written
/// and read back, and is the same then.
pub(crate) fn tokenizer(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let limits = match choice & 1 {
        0 => Limits::BEFORE_LOGIN,
        _ => Limits::AFTER_LOGIN,
    };
    let whole = read(limits, bytes, bytes.len().max(1));
    let pieces = read(limits, bytes, usize::from(choice >> 1) % 16 + 1);
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"));
    let mut is_ours = false;
    for token in whole.0 {
        match token {
            // Other streams are refused; only ours have fragments that go on.
            Token::Header(header) => is_ours = header.content_ns == ns::CLIENT,
            Token::Fragment(fragment) if is_ours => comes_back(fragment),
            Token::Fragment(_) | Token::Footer => {}
        }
    }
    if let Ok(fragment) = parse_fragment(bytes, &limits) {
        comes_back(fragment);
    }
}

fn read(limits: Limits, bytes: &[u8], piece: usize) -> (Vec<Token>, bool) {
    let mut tokenizer = Tokenizer::new(limits);
    let mut tokens = Vec::new();
    for piece in bytes.chunks(piece) {
        tokenizer.push(piece);
        loop {
            match tokenizer.next() {
                Ok(Some(token)) => tokens.push(token),
                Ok(None) => break,
                Err(_) => return (tokens, true),
            }
        }
        assert!(tokenizer.buffered() <= limits.stanza_bytes + piece.len());
    }
    (tokens, false)
}

fn comes_back(fragment: Fragment) {
    let element = fragment.to_element();
    let again = Element::parse(&element.to_bytes());
    assert_eq!(again.as_ref(), Ok(&element), "an element comes back");
    if let Ok(stanza) = Stanza::from_fragment(fragment) {
        let again = Stanza::parse(&stanza.to_bytes());
        assert_eq!(again.ok(), Some(stanza), "a stanza comes back");
    }
}

/// The first byte chooses settings and answers; then every line is a step: `!tls`,
/// `!timeout` and `!stop` are the caller's, the rest comes over the wire.
///
/// Promises: nothing after the end, no password before TLS where it is required, nobody gets
/// in without a password, and only the account that logged in gets a session.
pub(crate) fn stream(data: &[u8]) {
    let Some((&choice, script)) = data.split_first() else {
        return;
    };
    let mut caller = Caller::new(choice);
    for step in script.split(|byte| *byte == b'\n').take(64) {
        match step {
            b"!tls" if caller.shakes_hands => {
                caller.shakes_hands = false;
                caller.is_secure = true;
                caller.handle(Event::TlsStarted(ChannelBindings::default()));
            }
            b"!timeout" => caller.handle(Event::TimedOut),
            b"!stop" => caller.handle(Event::ShuttingDown),
            _ if caller.shakes_hands => caller.handle(Event::EarlyBytes),
            step => caller.receive(step),
        }
        if caller.is_over {
            return;
        }
    }
}

/// A connection, with an account store whose answers are chosen.
struct Caller {
    stream: Stream,
    tokenizer: Tokenizer,
    settings: Arc<StreamSettings>,
    choice: u8,
    is_secure: bool,
    shakes_hands: bool,
    knows_password: bool,
    account: Option<BareJid>,
    asked_for_session: bool,
    is_over: bool,
}

impl Caller {
    fn new(choice: u8) -> Self {
        let domain = BareJid::parse("example.org").expect("a domain");
        let mut settings = StreamSettings::new(vec![domain], [9; 32]);
        settings.registration = Registration {
            is_open: choice & 8 != 0,
            is_by_invitation: choice & 4 != 0,
        };
        settings.require_tls = choice & 1 == 0;
        if choice & 2 != 0 {
            settings.transport = Transport::WebSocket;
            settings.tls = TlsState::Active;
        }
        let settings = Arc::new(settings);
        let mut count = 0_u8;
        let entropy = move || {
            count = count.wrapping_add(1);
            [count; 16]
        };
        Self {
            stream: Stream::new(Arc::clone(&settings), entropy),
            tokenizer: Tokenizer::new(Limits::BEFORE_LOGIN),
            is_secure: settings.tls == TlsState::Active,
            settings,
            choice,
            shakes_hands: false,
            knows_password: false,
            account: None,
            asked_for_session: false,
            is_over: false,
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.settings.transport == Transport::WebSocket {
            return self.handle(match parse_fragment(bytes, &Limits::BEFORE_LOGIN) {
                Ok(fragment) => Event::Token(Token::Fragment(fragment)),
                Err(error) => Event::Broken(error),
            });
        }
        self.tokenizer.push(bytes);
        while !self.is_over && !self.shakes_hands {
            match self.tokenizer.next() {
                Ok(Some(token)) => self.handle(Event::Token(token)),
                Ok(None) => return,
                Err(error) => self.handle(Event::Broken(error)),
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.stream.handle(event, &mut actions);
        for action in actions {
            assert!(!self.is_over, "{action:?} after the end");
            if let Some(answer) = self.perform(action) {
                self.handle(answer);
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Write(bytes) => {
                assert!(bytes.len() <= WRITE_MAX && std::str::from_utf8(&bytes).is_ok());
                None
            }
            Action::StartTls => {
                assert!(!self.is_secure, "TLS within TLS");
                let is_early = self.tokenizer.buffered() > 0;
                self.tokenizer.restart();
                self.shakes_hands = !is_early;
                is_early.then_some(Event::EarlyBytes)
            }
            Action::LoadCredentials { mechanism, .. } => {
                self.may_log_in();
                let known = mechanism.hash().filter(|_| self.choice & 4 != 0);
                let key = known.map(|hash| ScramCredentials::fake(hash, &[1; 32], "a@b"));
                Some(Event::Credentials(key))
            }
            Action::CheckPassword { .. } => {
                self.may_log_in();
                self.knows_password = self.choice & 8 != 0;
                let verdict = [Verdict::Wrong, Verdict::Right][usize::from(self.knows_password)];
                Some(Event::PasswordChecked(verdict))
            }
            Action::CheckBearer(_) => {
                self.may_log_in();
                self.knows_password = self.choice & 8 != 0;
                let account = BareJid::parse("juliet@example.org").expect("an address");
                Some(Event::BearerChecked(match self.knows_password {
                    true => BearerVerdict::Of(account),
                    false => BearerVerdict::Unknown,
                }))
            }
            Action::CheckToken(login) => {
                self.may_log_in();
                self.knows_password = self.choice & 8 != 0;
                let (answer, is_old) = (login.proof.answer("token"), self.choice & 4 != 0);
                Some(Event::TokenChecked(match self.knows_password {
                    true => TokenVerdict::Right { answer, is_old },
                    false => TokenVerdict::Wrong,
                }))
            }
            Action::CheckInvitation { .. } => {
                let reserved = None;
                Some(Event::InvitationChecked(match self.choice & 4 != 0 {
                    true => Ok(Invited { reserved }),
                    false => Err(StanzaError::item_not_found()),
                }))
            }
            Action::Register(new) => {
                assert!(
                    new.account.localpart().is_some(),
                    "an account without a name"
                );
                Some(Event::Registered(match self.choice & 8 != 0 {
                    true => Ok(()),
                    false => Err(StanzaError::conflict()),
                }))
            }
            Action::IssueToken { account, .. } => {
                assert!(
                    self.knows_password,
                    "a token for {account} without a password"
                );
                Some(Event::TokenIssued(None))
            }
            Action::FindLackingKeys { account, hashes } => {
                assert!(self.knows_password, "keys for {account} without a password");
                let lacking = hashes.into_iter().filter(|_| self.choice & 4 != 0);
                Some(Event::KeysLacking(lacking.collect()))
            }
            Action::AddKeys { keys, .. } => {
                assert!(self.knows_password, "keys {keys:?} without a password");
                Some(Event::KeysAdded)
            }
            Action::Authenticated {
                account,
                is_restarted,
            } => {
                assert!(self.knows_password, "{account} got in without a password");
                self.account = Some(account);
                if is_restarted {
                    self.tokenizer.restart();
                }
                self.tokenizer.set_limits(Limits::AFTER_LOGIN);
                None
            }
            Action::Bind {
                account, resource, ..
            } => {
                self.asks_for_session(&account);
                let wanted = resource.as_deref().unwrap_or("chosen");
                let bound = match self.choice & 16 {
                    0 => account
                        .with_resource(wanted)
                        .map_err(|_| StanzaError::bad_request()),
                    _ => Err(StanzaError::conflict()),
                };
                Some(Event::Bound(bound.map(Bound::from)))
            }
            Action::Resume { account, h, .. } => {
                self.asks_for_session(&account);
                let resumed = match self.choice & 32 {
                    0 => Err(NotResumed::Gone(None)),
                    _ => Ok(Resumed {
                        jid: account.with_resource("before").expect("a resource"),
                        h,
                    }),
                };
                Some(Event::Resumed(resumed))
            }
            Action::Bound(jid) => {
                assert!(self.asked_for_session);
                assert_eq!(Some(jid.bare()), self.account);
                self.is_over = true;
                None
            }
            Action::Resumed => {
                assert!(self.asked_for_session);
                self.is_over = true;
                None
            }
            Action::LoginFailed { .. } => None,
            Action::Close => {
                self.is_over = true;
                None
            }
        }
    }

    fn may_log_in(&self) {
        assert!(
            self.is_secure || !self.settings.require_tls,
            "a login in the clear"
        );
    }

    fn asks_for_session(&mut self, account: &BareJid) {
        assert_eq!(Some(account), self.account.as_ref(), "another's session");
        self.asked_for_session = true;
    }
}
