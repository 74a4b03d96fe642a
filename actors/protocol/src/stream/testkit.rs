//! A caller of the state machine for tests: bytes in, bytes out, with a fixed account store
//! behind it.

use std::sync::Arc;

use super::fast::{self, TokenVerdict};
use super::register::Invited;
use super::{
    Action, BearerVerdict, Event, NotResumed, Resumed, Stream, StreamSettings, Transport, Verdict,
};
use crate::features::invitation;
use crate::jid::{BareJid, FullJid};
use crate::sasl::{ChannelBindings, Hash, Mechanism, ScramCredentials, Secret};
use crate::stanza::{StanzaError, StreamCondition};
use crate::time::Timestamp;
use crate::xml::{Limits, Token, Tokenizer, parse_fragment};

/// The one account: `juliet@example.org`.
pub(super) const PASSWORD: &str = "balcony";

/// The token of its client; with 1 as its count it has expired, with 99 it is old.
pub(super) const TOKEN: &str = "c2VjcmV0";

/// Bearer tokens: of the account, of one that may not log in, of one of another domain.
pub(super) const BEARER: &str = "bearer-of-juliet";
pub(super) const BEARER_DISABLED: &str = "bearer-of-nobody-any-more";
pub(super) const BEARER_ELSEWHERE: &str = "bearer-of-another-domain";

/// The token of an invitation.
pub(super) const INVITATION: &str = "invited";

/// The domains the tests serve.
pub(super) fn settings() -> StreamSettings {
    let domains = ["example.org", "other.example"].map(|name| BareJid::parse(name).unwrap());
    StreamSettings {
        mechanisms: vec![
            Mechanism::ScramPlus(Hash::Sha256),
            Mechanism::Scram(Hash::Sha256),
            Mechanism::Scram(Hash::Sha1),
            Mechanism::Plain,
        ],
        ..StreamSettings::new(domains.to_vec(), [9; 32])
    }
}

/// The channel bindings of the tests' TLS.
pub(super) fn bindings() -> ChannelBindings {
    ChannelBindings {
        exporter: Some([4; 32]),
        server_end_point: None,
    }
}

pub(super) fn credentials(hash: Hash) -> ScramCredentials {
    ScramCredentials::derive(hash, PASSWORD, b"salt of juliet", 2).unwrap()
}

/// A connection and everything behind it.
pub(super) struct Script {
    pub(super) stream: Stream,
    tokenizer: Tokenizer,
    transport: Transport,
    /// Actions that are no writes, as they were performed.
    pub(super) performed: Vec<Action>,
    /// Whether the account may log in.
    pub(super) is_disabled: bool,
    /// Whether the account store answers.
    pub(super) is_available: bool,
    /// The hashes the account has keys of, when that is asked.
    pub(super) has_keys: Vec<Hash>,
    /// Whether there is room for no more sessions.
    pub(super) is_full: bool,
    /// What the server has written since the last look; frames end with a line break.
    output: String,
}

impl Script {
    pub(super) fn new(settings: StreamSettings) -> Self {
        let transport = settings.transport;
        let mut count = 0;
        let entropy = move || {
            count += 1;
            [count; 16]
        };
        Self {
            stream: Stream::new(Arc::new(settings), entropy),
            tokenizer: Tokenizer::new(Limits::BEFORE_LOGIN),
            transport,
            performed: Vec::new(),
            is_disabled: false,
            is_available: true,
            has_keys: vec![Hash::Sha1],
            is_full: false,
            output: String::new(),
        }
    }

    /// Sends bytes, or a frame, and tells what comes back.
    pub(super) fn send(&mut self, text: &str) -> String {
        match self.transport {
            Transport::Tcp => self.send_bytes(text),
            Transport::WebSocket | Transport::Bosh => {
                let frame = parse_fragment(text.as_bytes(), &Limits::BEFORE_LOGIN);
                let event = match frame {
                    Ok(fragment) => Event::Token(Token::Fragment(fragment)),
                    Err(error) => Event::Broken(error),
                };
                self.handle(event);
            }
        }
        std::mem::take(&mut self.output)
    }

    fn send_bytes(&mut self, text: &str) {
        self.tokenizer.push(text.as_bytes());
        loop {
            match self.tokenizer.next() {
                Ok(Some(token)) => self.handle(Event::Token(token)),
                Ok(None) => return,
                Err(error) => return self.handle(Event::Broken(error)),
            }
        }
    }

    /// Hands an event in and tells what comes back.
    pub(super) fn event(&mut self, event: Event) -> String {
        self.handle(event);
        std::mem::take(&mut self.output)
    }

    /// Whether the connection is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.performed.last() == Some(&Action::Close)
    }

    /// How often something was done.
    pub(super) fn count(&self, is_wanted: impl Fn(&Action) -> bool) -> usize {
        self.performed
            .iter()
            .filter(|action| is_wanted(action))
            .count()
    }

    fn handle(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.stream.handle(event, &mut actions);
        for action in actions {
            if let Action::Write(bytes) = &action {
                self.output
                    .push_str(str::from_utf8(bytes).expect("we write UTF-8"));
                if self.transport == Transport::WebSocket {
                    self.output.push('\n');
                }
                continue;
            }
            self.performed.push(action.clone());
            if let Some(answer) = self.perform(action) {
                self.handle(answer);
            }
        }
    }

    /// What the callers of the state machine do.
    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::StartTls => {
                let is_early = self.tokenizer.buffered() > 0;
                self.tokenizer.restart();
                is_early.then_some(Event::EarlyBytes)
            }
            Action::Authenticated { is_restarted, .. } => {
                if is_restarted {
                    self.tokenizer.restart();
                }
                self.tokenizer.set_limits(Limits::AFTER_LOGIN);
                None
            }
            Action::LoadCredentials { account, mechanism } => Some(self.load(&account, mechanism)),
            Action::CheckPassword { account, password } => {
                Some(Event::PasswordChecked(self.check(&account, &password)))
            }
            Action::CheckBearer(token) => Some(Event::BearerChecked(self.check_bearer(&token))),
            Action::CheckToken(login) => Some(Event::TokenChecked(self.check_token(&login))),
            Action::IssueToken { .. } => Some(Event::TokenIssued(self.is_available.then(|| {
                fast::Issued {
                    token: Secret::new("fresh"),
                    expiry: Timestamp(1_600_000_000_000_000),
                }
            }))),
            Action::FindLackingKeys { mut hashes, .. } => {
                hashes.retain(|hash| self.is_available && !self.has_keys.contains(hash));
                Some(Event::KeysLacking(hashes))
            }
            Action::AddKeys { keys, .. } => {
                self.has_keys.push(keys.hash);
                Some(Event::KeysAdded)
            }
            Action::CheckInvitation { hash, .. } => {
                let known = hash == invitation::hash_of(INVITATION);
                let reserved = None;
                let unknown = StanzaError::item_not_found();
                Some(Event::InvitationChecked(match known {
                    true => Ok(Invited { reserved }),
                    false => Err(unknown),
                }))
            }
            Action::Register(new) => Some(Event::Registered(match new.account.as_str() {
                "juliet@example.org" => Err(StanzaError::conflict()),
                _ => Ok(()),
            })),
            Action::Bind { .. } if self.is_full => {
                Some(Event::Bound(Err(StanzaError::resource_constraint())))
            }
            Action::Bind {
                resource: Some(taken),
                ..
            } if taken == "taken" => Some(Event::Bound(Err(StanzaError::conflict()))),
            Action::Bind {
                account, resource, ..
            } => {
                let resource = resource.unwrap_or_else(|| "chosen".to_owned());
                let jid = account.with_resource(&resource).unwrap();
                Some(Event::Bound(Ok(jid.into())))
            }
            Action::Resume { previd, .. } => Some(Event::Resumed(match previd.as_str() {
                "alive" => Ok(Resumed {
                    jid: FullJid::parse("juliet@example.org/before").unwrap(),
                    h: 5,
                }),
                "expired" => Err(NotResumed::Gone(Some(7))),
                "short" => Err(NotResumed::TooHigh(
                    StreamCondition::UndefinedCondition.into(),
                )),
                _ => Err(NotResumed::Gone(None)),
            })),
            _ => None,
        }
    }

    fn load(&self, account: &BareJid, mechanism: Mechanism) -> Event {
        let hash = mechanism.hash().expect("only SCRAM loads credentials");
        if !self.is_available {
            Event::CredentialsUnavailable
        } else if account.as_str() != "juliet@example.org" {
            Event::Credentials(None)
        } else if self.is_disabled {
            Event::CredentialsOfDisabled(credentials(hash))
        } else {
            Event::Credentials(Some(credentials(hash)))
        }
    }

    fn check_bearer(&self, token: &Secret) -> BearerVerdict {
        let of = |jid| BearerVerdict::Of(BareJid::parse(jid).unwrap());
        match (self.is_available, token.expose()) {
            (false, _) => BearerVerdict::Unavailable,
            (true, BEARER) => of("juliet@example.org"),
            (true, BEARER_ELSEWHERE) => of("juliet@other.example"),
            (true, BEARER_DISABLED) => BearerVerdict::Disabled,
            (true, _) => BearerVerdict::Unknown,
        }
    }

    fn check_token(&self, login: &fast::TokenLogin) -> TokenVerdict {
        let is_right = login.proof.is_of(TOKEN) && login.account.as_str() == "juliet@example.org";
        match (self.is_available, is_right) {
            (false, _) => TokenVerdict::Unavailable,
            (_, true) if login.usage.count == Some(1) => TokenVerdict::Expired,
            (_, true) => TokenVerdict::Right {
                answer: login.proof.answer(TOKEN),
                is_old: login.usage.count == Some(99),
            },
            _ => TokenVerdict::Wrong,
        }
    }

    fn check(&self, account: &BareJid, password: &Secret) -> Verdict {
        let is_right = account.as_str() == "juliet@example.org" && password.expose() == PASSWORD;
        match (self.is_available, is_right, self.is_disabled) {
            (false, ..) => Verdict::Unavailable,
            (true, true, true) => Verdict::Disabled,
            (true, true, false) => Verdict::Right,
            (true, false, _) => Verdict::Wrong,
        }
    }
}

/// A client's header to the first domain.
pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream to='example.org' \
    version='1.0' xml:lang='de' xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams'>";

/// The same over WebSocket.
pub(super) const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>";

/// What XEP-0388 has announced, with these mechanisms and those of tokens.
pub(super) fn authentication(names: &[&str], tokens: &[&str]) -> String {
    let list = |names: &[&str]| -> String {
        let name = |name| format!("<mechanism>{name}</mechanism>");
        names.iter().map(name).collect()
    };
    let upgrades = names
        .iter()
        .filter(|it| ["SCRAM-SHA-256", "SCRAM-SHA-512"].contains(it));
    let upgrades = upgrades
        .map(|name| format!("<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-{name}</upgrade>"));
    let upgrades: String = upgrades.collect();
    let (names, tokens) = (list(names), list(tokens));
    format!(
        "<authentication xmlns='urn:xmpp:sasl:2'>{names}<inline><sm xmlns='urn:xmpp:sm:3'/>\
         <bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:carbons:2'/>\
         <feature var='urn:xmpp:csi:0'/><feature var='urn:xmpp:sm:3'/></inline></bind>\
         <fast xmlns='urn:xmpp:fast:0'>{tokens}</fast></inline>{upgrades}</authentication>"
    )
}

/// An element of a SASL exchange.
pub(super) fn sasl(name: &str, data: &[u8]) -> String {
    let data = crate::sasl::encoding::encode(data);
    format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{data}</{name}>")
}

/// `<auth/>`.
pub(super) fn auth(mechanism: &str, data: &[u8]) -> String {
    let data = match data {
        [] => "=".to_owned(),
        data => crate::sasl::encoding::encode(data),
    };
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{data}</auth>")
}

/// The data in the SASL element `name` of an answer.
pub(super) fn data_of(answer: &str, name: &str) -> Vec<u8> {
    let begin = format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    let rest = answer
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no <{name}/> in {answer}"))
        .1;
    let data = rest.split('<').next().unwrap_or_default();
    crate::sasl::encoding::decode(data).unwrap()
}

/// `<failure/>` with a condition.
pub(super) fn failure(condition: &str) -> String {
    format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>")
}

/// A stream error and the end of a TCP stream.
pub(super) fn stream_error(condition: &str) -> String {
    format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
         </stream:stream>"
    )
}
