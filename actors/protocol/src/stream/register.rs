//! Registration before the login: XEP-0077 §3.1, with an invitation's token (XEP-0445 version
//! 0.2.0).
//!
//! Who may have an account, and whether there is one, is the caller's to say: it has the store
//! and counts how many an address makes.

use super::{Action, Phase, Stream};
use crate::features::invitation::{self, NS_PREAUTH};
use crate::features::registration::{self, Fields, NS, name};
use crate::jid::BareJid;
use crate::ns;
use crate::sasl::Secret;
use crate::stanza::{StanzaError, StreamCondition};
use crate::xml::{Element, Fragment};

/// Stream feature of XEP-0077 §7.
const NS_FEATURE: &str = "http://jabber.org/features/iq-register";
/// Stream feature of XEP-0445 §3.
const NS_TOKENS: &str = "urn:xmpp:ibr-token:0";
/// Bytes of a token: ours have 64, and no other is known.
const TOKEN_BYTES_MAX: usize = 256;

/// Who may register over a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    /// Anybody.
    pub is_open: bool,
    /// Who has a token.
    pub is_by_invitation: bool,
}

/// An account that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Its address.
    pub account: BareJid,
    /// What its owner logs in with.
    pub password: Secret,
    /// The token with which it is made.
    pub token: Option<Secret>,
}

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// The address it is for, if it is for a certain one.
    pub reserved: Option<BareJid>,
}

/// The token a stream has come with.
pub(super) struct Token {
    token: Secret,
    reserved: Option<BareJid>,
}

/// A request whose answer is being found.
pub(super) struct Request {
    id: Option<String>,
    /// The token that is looked at; none: an account is made.
    token: Option<Secret>,
}

impl Request {
    fn answer(&self, kind: &str) -> Element {
        Element::new("iq", ns::CLIENT)
            .attr("type", kind)
            .attr_opt("id", self.id.as_deref())
    }

    fn error(&self, error: &StanzaError) -> Element {
        self.answer("error").child(error.to_element())
    }
}

/// Whether a stanza is about registration.
pub(super) fn is_request(iq: &Fragment) -> bool {
    let payloads = iq.payloads();
    match iq.attr("type") {
        Some("get") => payloads.has("query", NS),
        Some("set") => payloads.has("query", NS) || payloads.has("preauth", NS_PREAUTH),
        _ => false,
    }
}

/// The features before login.
pub(super) fn features(registration: Registration) -> Vec<Element> {
    // XEP-0445 §3 shows both, and clients look for the older before they use a token.
    let older = registration.is_open || registration.is_by_invitation;
    let tokens = registration.is_by_invitation;
    let older = older.then(|| Element::new("register", NS_FEATURE));
    let tokens = tokens.then(|| Element::new("register", NS_TOKENS));
    tokens.into_iter().chain(older).collect()
}

impl Stream {
    /// An IQ about registration, before the login.
    pub(super) fn register(&mut self, iq: &Fragment, actions: &mut Vec<Action>) {
        // RFC 6120 §6.4.1: nothing comes in the middle of an exchange.
        if self.is_logging_in() {
            return self.fail(StreamCondition::PolicyViolation, actions);
        }
        let request = Request {
            id: iq.attr("id").map(str::to_owned),
            token: None,
        };
        let registration = self.settings.registration;
        let decided = match self.domain.clone() {
            _ if request.id.is_none() => Err(StanzaError::bad_request()),
            Some(domain) if registration != Registration::default() => {
                let payloads = iq.payloads();
                match (iq.attr("type"), payloads.element("preauth", NS_PREAUTH)) {
                    (_, Some(preauth)) => self.read_token(&preauth, domain),
                    (Some("get"), None) => self.show_fields(&request).map(Next::Answer),
                    _ => self.read_account(payloads.element("query", NS), &domain),
                }
            }
            // §3.1: who does not support it says so.
            _ => Err(StanzaError::service_unavailable()),
        };
        match decided {
            Ok(Next::Answer(answer)) => self.write_element(&answer, actions),
            Ok(Next::Ask(action, token)) => {
                self.phase = Phase::Registering(Box::new(Request { token, ..request }));
                actions.push(action);
            }
            Err(error) => self.refuse(&request.error(&error), actions),
        }
    }

    /// XEP-0445 §4.
    fn read_token(&self, preauth: &Element, domain: BareJid) -> Result<Next, StanzaError> {
        let token = preauth
            .get("token")
            .filter(|it| it.len() <= TOKEN_BYTES_MAX);
        let token = Secret::new(token.ok_or_else(StanzaError::bad_request)?);
        if !self.settings.registration.is_by_invitation {
            return Err(StanzaError::service_unavailable());
        }
        let hash = invitation::hash_of(token.expose());
        Ok(Next::Ask(
            Action::CheckInvitation { domain, hash },
            Some(token),
        ))
    }

    /// §3.1.
    fn show_fields(&self, request: &Request) -> Result<Element, StanzaError> {
        self.check_may_register()?;
        let reserved = self.invitation.as_ref().and_then(|it| it.reserved.as_ref());
        let name = reserved.and_then(BareJid::localpart);
        let query = registration::form("Choose a name and a password.", name);
        Ok(request.answer("result").child(query))
    }

    fn read_account(&self, query: Option<Element>, domain: &BareJid) -> Result<Next, StanzaError> {
        self.check_may_register()?;
        let query = query.ok_or_else(StanzaError::bad_request)?;
        if query.find("remove", NS).is_some() {
            // §3.2: of nobody.
            return Err(StanzaError::unexpected_request());
        }
        let unfit = |why: &'static str| StanzaError::not_acceptable().with_text(why);
        let Fields { username, password } = Fields::read(&query);
        let (Some(username), Some(password)) = (username, password) else {
            // §3.1.
            return Err(unfit("a name and a password are needed"));
        };
        let account =
            BareJid::new(Some(&username), domain.as_str()).map_err(|_| unfit("this is no name"))?;
        let localpart = account.localpart().unwrap_or_default();
        let reserved = self.invitation.as_ref().and_then(|it| it.reserved.as_ref());
        match reserved {
            Some(reserved) if *reserved != account => {
                return Err(unfit("the invitation is for another name"));
            }
            Some(_) => {}
            // Row R12.
            None => name::check(localpart).map_err(unfit)?,
        }
        registration::check_password(password.expose(), localpart).map_err(unfit)?;
        let token = self.invitation.as_ref().map(|it| it.token.clone());
        let account = NewAccount {
            account,
            password,
            token,
        };
        Ok(Next::Ask(Action::Register(Box::new(account)), None))
    }

    fn check_may_register(&self) -> Result<(), StanzaError> {
        if self.has_registered {
            // §3.1.1: one stream makes one account.
            return Err(StanzaError::not_acceptable().with_text("you have registered: log in"));
        }
        match self.settings.registration.is_open || self.invitation.is_some() {
            true => Ok(()),
            false => Err(StanzaError::forbidden().with_text("an invitation is needed")),
        }
    }

    /// The token is good, or why it is not.
    pub(super) fn take_invitation(
        &mut self,
        outcome: Result<Invited, StanzaError>,
        actions: &mut Vec<Action>,
    ) {
        let Some(mut request) = self.take_registering() else {
            return;
        };
        match (outcome, request.token.take()) {
            (Ok(Invited { reserved }), Some(token)) => {
                self.invitation = Some(Token { token, reserved });
                self.write_element(&request.answer("result"), actions);
            }
            (Ok(_), None) => {}
            (Err(error), _) => self.refuse(&request.error(&error), actions),
        }
    }

    /// The account is made, or why it is not.
    pub(super) fn take_registered(
        &mut self,
        outcome: Result<(), StanzaError>,
        actions: &mut Vec<Action>,
    ) {
        let Some(request) = self.take_registering() else {
            return;
        };
        match outcome {
            Ok(()) => {
                self.has_registered = true;
                self.invitation = None;
                self.write_element(&request.answer("result"), actions);
            }
            Err(error) => self.refuse(&request.error(&error), actions),
        }
    }

    fn take_registering(&mut self) -> Option<Request> {
        match std::mem::replace(&mut self.phase, Phase::Negotiating) {
            Phase::Registering(request) => Some(*request),
            other => {
                self.phase = other;
                None
            }
        }
    }
}

/// How a request goes on.
enum Next {
    Answer(Element),
    /// The caller is asked, about this token if about one.
    Ask(Action, Option<Secret>),
}
