//! The SASL exchange of today: XEP-0388 version 1.0.4,
//! <https://xmpp.org/extensions/xep-0388.html>
//!
//! The messages of the mechanisms are those of `sasl.rs`; here is what is around them: the
//! request with what the client wants besides, done in the order token, resumption, binding
//! once it has proved who it is, and `<success/>` with what came of it. No stream follows.
//!
//! Tasks (`<continue/>`) are those of `upgrade.rs`.
//!
//! Left out: second factors, and TLS 0-RTT, which the TLS library is not asked for. DEVIATION: a `from` of another domain in the stream's header is
//! not refused before the login (§2.1 "SHOULD"), as clients that do not use SASL2 send all kinds.

use super::features::Offer;
use super::sasl::failure_element;
use super::{
    Action, Bound, NotResumed, Phase, Resumed, Stream, bind, bind2, fast, features, sm, upgrade,
};
use crate::jid::{BareJid, FullJid};
use crate::ns;
use crate::sasl::{Failure, FailureCondition, Hash, HtMechanism, encoding};
use crate::stanza::StanzaError;
use crate::xml::{Element, Fragment};

/// What a client wants of its login.
#[derive(Debug, Default)]
pub(super) struct Request {
    /// The installation of the client (§2.3).
    pub(super) agent: Option<String>,
    /// How it uses a token.
    pub(super) fast: Option<fast::Use>,
    /// It wants a token for this mechanism.
    token: Option<HtMechanism>,
    /// It would add keys of these hashes.
    upgrades: Vec<Hash>,
    /// The session it wants back; an error when the request is broken.
    resume: Option<Result<bind::Resume, ()>>,
    bind: Option<bind2::Request>,
}

impl Request {
    fn read(authenticate: &Element, offer: &Offer) -> Self {
        let child = |name, namespace| authenticate.find(name, namespace);
        Self {
            agent: child("user-agent", ns::SASL2)
                .and_then(|agent| agent.get("id"))
                .filter(|id| is_uuid(id))
                .map(str::to_owned),
            fast: child("fast", fast::NS).map(fast::Use::read),
            token: child("request-token", fast::NS)
                .and_then(|wish| HtMechanism::parse(wish.get("mechanism")?))
                .filter(|mechanism| offer.tokens.contains(mechanism)),
            upgrades: upgrade::wanted(authenticate, offer),
            resume: child("resume", sm::NS).map(|it| bind::Resume::read(|name| it.get(name))),
            bind: child("bind", bind2::NS).map(bind2::Request::read),
        }
    }
}

/// §2.3: the id is a UUID. Which version it is of, nobody needs to know.
fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Somebody has proved who it is, and is not told before its other wishes are dealt with.
pub(super) struct Finish {
    pub(super) account: BareJid,
    /// The mechanism's last message.
    pub(super) data: Option<Vec<u8>>,
    request: Request,
    resuming: Option<String>,
    /// The session has stream management from its beginning.
    has_sm: bool,
    /// What came of the wishes, for `<success/>`.
    results: Vec<Element>,
}

impl Stream {
    /// `<authenticate/>` (§2.3).
    pub(super) fn authenticate2(
        &mut self,
        authenticate: &Fragment,
        offer: &Offer,
        actions: &mut Vec<Action>,
    ) {
        let element = authenticate.to_element();
        let request = Request::read(&element, offer);
        let name = element.get("mechanism").unwrap_or_default();
        let token = HtMechanism::parse(name).filter(|mechanism| offer.tokens.contains(mechanism));
        // XEP-0484 §3.4: these mechanisms are of FAST alone, and belong to one client.
        let token = token.filter(|_| request.fast.is_some() && request.agent.is_some());
        self.sasl2 = Some(Box::new(request));
        let response = element.find("initial-response", ns::SASL2);
        // §2.2: here an empty element is an initial response of no bytes.
        let response = response.map(|it| encoding::decode(&it.text_content()));
        match (token, response.transpose()) {
            (_, Err(failure)) => self.fail_login(None, failure, actions),
            (Some(mechanism), Ok(Some(data))) => self.begin_token(mechanism, &data, actions),
            // A token's only message is the first.
            (Some(_), Ok(None)) => {
                let failure = Failure::malformed("the initial response is missing");
                self.fail_login(None, failure, actions);
            }
            (None, Ok(data)) => self.begin_named(name, data, offer, actions),
        }
    }

    /// `<authenticate/>` before TLS: nothing of it is looked at.
    pub(super) fn refuse_authenticate(&mut self, actions: &mut Vec<Action>) {
        self.sasl2 = Some(Box::default());
        self.require_encryption(actions);
    }

    /// The token was right, and this is what proves to the client that we know it.
    pub(super) fn succeed_by_token(
        &mut self,
        account: BareJid,
        answer: &[u8],
        renew: Option<HtMechanism>,
        actions: &mut Vec<Action>,
    ) {
        if let Some(request) = &mut self.sasl2 {
            request.token = request.token.or(renew);
            // A token proves no password, so that no keys are made of it.
            request.upgrades.clear();
        }
        self.succeed(account, Some(answer), actions);
    }

    /// A bearer token was right, which proves no password either.
    pub(super) fn succeed_by_bearer(&mut self, account: BareJid, actions: &mut Vec<Action>) {
        if let Some(request) = &mut self.sasl2 {
            request.upgrades.clear();
        }
        self.succeed(account, None, actions);
    }

    /// Goes through what the client wanted besides.
    pub(super) fn begin_finish(
        &mut self,
        account: BareJid,
        data: Option<&[u8]>,
        mut request: Request,
        actions: &mut Vec<Action>,
    ) {
        let upgrades = std::mem::take(&mut request.upgrades);
        let finish = Finish {
            account,
            data: data.map(<[u8]>::to_vec),
            request,
            resuming: None,
            has_sm: false,
            results: Vec::new(),
        };
        match upgrades.is_empty() {
            true => self.conclude(finish, actions),
            false => self.begin_upgrade(finish, upgrades, actions),
        }
    }

    /// There are no tasks, or no more: the client is logged in.
    pub(super) fn conclude(&mut self, finish: Finish, actions: &mut Vec<Action>) {
        actions.push(Action::Authenticated {
            account: finish.account.clone(),
            is_restarted: false,
        });
        self.finish(finish, actions);
    }

    fn finish(&mut self, mut finish: Finish, actions: &mut Vec<Action>) {
        let request = &mut finish.request;
        let (token, agent) = (request.token.take(), request.agent.clone());
        if let (Some(mechanism), Some(agent)) = (token, agent) {
            let account = finish.account.clone();
            self.phase = Phase::Finishing(Box::new(finish));
            return actions.push(Action::IssueToken {
                account,
                agent,
                mechanism,
            });
        }
        match request.resume.take() {
            Some(Ok(bind::Resume { previd, h })) => {
                let account = finish.account.clone();
                finish.resuming = Some(previd.clone());
                self.phase = Phase::Finishing(Box::new(finish));
                return actions.push(Action::Resume { account, previd, h });
            }
            Some(Err(())) => finish.results.push(sm::failed("bad-request", None)),
            None => {}
        }
        match finish.request.bind.take() {
            Some(bind) => self.bind2(bind, finish, actions),
            None => self.tell_success(finish, None, actions),
        }
    }

    fn bind2(&mut self, bind: bind2::Request, finish: Finish, actions: &mut Vec<Action>) {
        let entropy = (self.entropy)();
        let agent = finish.request.agent.as_deref();
        let resource = bind.resource(
            &self.settings.fake_salt_key,
            &finish.account,
            agent,
            &entropy,
        );
        actions.push(Action::Bind {
            account: finish.account.clone(),
            resource: Some(resource),
            wishes: Some(bind.wishes),
        });
        self.phase = Phase::Finishing(Box::new(finish));
    }

    /// A token was made, or could not be: then the client goes on with its password.
    pub(super) fn take_token_issued(
        &mut self,
        issued: Option<fast::Issued>,
        actions: &mut Vec<Action>,
    ) {
        let Some(mut finish) = self.take_finish() else {
            return;
        };
        finish.results.extend(issued.as_ref().map(fast::element));
        self.finish(finish, actions);
    }

    /// A session was made for a client that is logging in.
    pub(super) fn finish_bound(
        &mut self,
        mut finish: Finish,
        outcome: Result<Bound, StanzaError>,
        actions: &mut Vec<Action>,
    ) {
        match outcome {
            Ok(bound) => {
                finish.has_sm = bound.results.iter().any(|it| it.is("enabled", sm::NS));
                finish.results.push(bind2::bound(bound.results));
                let reached = (bound.jid.clone(), Action::Bound(bound.jid));
                self.tell_success(finish, Some(reached), actions);
            }
            // XEP-0386 names no answer: the login as a whole cannot be had now.
            Err(_) => {
                self.phase = Phase::Negotiating;
                let failure = Failure {
                    condition: FailureCondition::TemporaryAuthFailure,
                    text: Some("no session could be made"),
                };
                self.refuse(&failure_element(failure, ns::SASL2), actions);
            }
        }
    }

    /// A session was taken over for a client that is logging in, or not: then it binds
    /// (XEP-0198 §9.2).
    pub(super) fn finish_resumed(
        &mut self,
        mut finish: Finish,
        outcome: Result<Resumed, NotResumed>,
        actions: &mut Vec<Action>,
    ) {
        let previd = finish.resuming.take().unwrap_or_default();
        let failed = match outcome {
            Ok(Resumed { jid, h }) => {
                finish.has_sm = true;
                finish.results.push(bind::resumed(previd, h));
                return self.tell_success(finish, Some((jid, Action::Resumed)), actions);
            }
            Err(NotResumed::Gone(h)) => sm::failed("item-not-found", h),
            Err(NotResumed::TooHigh(_)) => sm::failed("unexpected-request", None),
        };
        finish.results.push(failed);
        self.finish(finish, actions);
    }

    /// `<success/>` (§2.6.1), and the features of the stream as it is now.
    fn tell_success(
        &mut self,
        finish: Finish,
        reached: Option<(FullJid, Action)>,
        actions: &mut Vec<Action>,
    ) {
        let account = finish.account;
        // With a resource, new or old, the identity is a full address.
        let who = match &reached {
            Some((jid, _)) => jid.as_str(),
            None => account.as_str(),
        };
        let text = |name, text: String| Element::new(name, ns::SASL2).text(text);
        let mut success = Element::new("success", ns::SASL2);
        if let Some(data) = finish.data {
            success = success.child(text("additional-data", encoding::encode(&data)));
        }
        let success = success
            .child(text("authorization-identifier", who.to_owned()))
            .children_from(finish.results);
        self.account = Some(account);
        self.write_element(&success, actions);
        let features = match reached {
            Some(_) => features::after_binding(&self.settings, finish.has_sm),
            None => features::after_login(&self.settings),
        };
        self.write(
            features::render(self.settings.transport, &features),
            actions,
        );
        self.phase = match reached {
            Some(_) => Phase::Done,
            None => Phase::Negotiating,
        };
        actions.extend(reached.map(|(_, action)| action));
    }

    fn take_finish(&mut self) -> Option<Finish> {
        match std::mem::replace(&mut self.phase, Phase::Negotiating) {
            Phase::Finishing(finish) => Some(*finish),
            other => {
                self.phase = other;
                None
            }
        }
    }
}

/// `<authentication/>` (§2.1): the same mechanisms as RFC 6120's, and what can be done with
/// them in one go.
pub(super) fn feature(offer: &Offer) -> Element {
    let inline = Element::new("inline", ns::SASL2)
        .child(Element::new("sm", sm::NS))
        .child(bind2::feature())
        .child(fast::feature(&offer.tokens));
    let mechanisms = offer
        .mechanisms
        .iter()
        .map(|mechanism| Element::new("mechanism", ns::SASL2).text(mechanism.name()));
    Element::new("authentication", ns::SASL2)
        .children_from(mechanisms)
        .child(inline)
        .children_from(upgrade::features(offer))
}
