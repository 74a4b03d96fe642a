//! The SASL exchange in its XML (RFC 6120 §6): `<auth/>`, `<challenge/>`, `<response/>`,
//! `<abort/>`, `<success/>` and `<failure/>`.
//!
//! What the messages mean is decided in [`crate::sasl`]. A login by SASL2 (`sasl2.rs`) has the
//! same exchange in another namespace.

use super::features::Offer;
use super::{Action, BearerVerdict, Phase, Stream, Verdict};
use crate::jid::BareJid;
use crate::ns;
use crate::sasl::scram::{ScramFirst, ScramProof};
use crate::sasl::{
    Failure, FailureCondition, Hash, HtMechanism, Mechanism, ScramCredentials, downgrade, encoding,
    identity, oauthbearer, plain,
};
use crate::stanza::StreamCondition;
use crate::xml::{Element, Fragment};

/// So many wishes for a channel-binding type that was not offered cost no attempt, one for
/// each -PLUS mechanism: clients that know `tls-unique` only (XEP-0440 §4) go through these
/// before they try what they can.
const UNBOUND_FREE: u8 = 3;

/// How far an exchange is.
#[derive(Debug)]
pub(super) enum Exchange {
    /// The client chose a mechanism and is asked for its first message.
    Begun(Mechanism),
    /// SCRAM; the account's credentials are being loaded.
    Credentials { first: ScramFirst, account: BareJid },
    /// SCRAM; the challenge is sent.
    Proof {
        proof: ScramProof,
        account: BareJid,
        is_disabled: bool,
    },
    /// PLAIN; the password is being checked.
    Password { account: BareJid },
    /// OAUTHBEARER; whose the token is, is being found out.
    Bearer {
        /// Whom the client wants to act as, or nobody in particular.
        authzid: String,
    },
    /// OAUTHBEARER; the client has been told why not, and is to say that it has heard it
    /// (RFC 7628 §3.2.3).
    BearerRefused(Failure),
    /// A token is being checked.
    Token {
        account: BareJid,
        mechanism: HtMechanism,
        /// The client wants none after it.
        is_last: bool,
    },
}

impl Exchange {
    /// Whether the caller's answer is due, not the client's.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(
            self,
            Self::Credentials { .. }
                | Self::Password { .. }
                | Self::Bearer { .. }
                | Self::Token { .. }
        )
    }
}

impl Stream {
    /// `<auth/>` (§6.4.2).
    pub(super) fn authenticate(
        &mut self,
        auth: &Fragment,
        offer: &Offer,
        actions: &mut Vec<Action>,
    ) {
        if self.is_logging_in() {
            let failure = Failure::malformed("an exchange is under way");
            return self.fail_login(None, failure, actions);
        }
        match encoding::decode_initial(auth.text()) {
            Ok(data) => {
                let name = auth.attr("mechanism").unwrap_or_default();
                self.begin_named(name, data, offer, actions);
            }
            Err(failure) => self.fail_login(None, failure, actions),
        }
    }

    /// Begins with a mechanism of this name, with the client's first message or without.
    pub(super) fn begin_named(
        &mut self,
        name: &str,
        data: Option<Vec<u8>>,
        offer: &Offer,
        actions: &mut Vec<Action>,
    ) {
        let mechanism = Mechanism::parse(name).filter(|it| offer.mechanisms.contains(it));
        match (mechanism, data) {
            (Some(mechanism), Some(data)) => self.begin(mechanism, &data, offer, actions),
            (Some(mechanism), None) => {
                // §6.4.3: an empty challenge asks for the message the client did not send.
                self.write_element(&self.sasl_element("challenge", None), actions);
                self.put_exchange(Some(Exchange::Begun(mechanism)));
            }
            (None, _) => {
                let failure = Failure::of(FailureCondition::InvalidMechanism);
                self.fail_login(None, failure, actions);
            }
        }
    }

    pub(super) fn take_exchange(&mut self) -> Option<Exchange> {
        match std::mem::replace(&mut self.phase, Phase::Negotiating) {
            Phase::Sasl(exchange) => Some(*exchange),
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// Goes on with an exchange; without one everything stays as it is.
    pub(super) fn put_exchange(&mut self, exchange: Option<Exchange>) {
        if let Some(exchange) = exchange {
            self.phase = Phase::Sasl(Box::new(exchange));
        }
    }

    /// `<response/>` or `<abort/>` (§6.4.4).
    pub(super) fn continue_login(
        &mut self,
        fragment: &Fragment,
        offer: &Offer,
        actions: &mut Vec<Action>,
    ) {
        let exchange = self.take_exchange();
        if let Some(Exchange::BearerRefused(failure)) = exchange {
            return self.end_login(failure, actions);
        }
        if fragment.name() == "abort" {
            return self.fail_login(None, Failure::of(FailureCondition::Aborted), actions);
        }
        let data = match encoding::decode(fragment.text()) {
            Ok(data) => data,
            Err(failure) => return self.fail_login(None, failure, actions),
        };
        match exchange {
            Some(Exchange::Begun(mechanism)) => self.begin(mechanism, &data, offer, actions),
            Some(Exchange::Proof {
                proof,
                account,
                is_disabled,
            }) => {
                self.take_proof(proof, account, is_disabled, &data, actions);
            }
            _ => self.fail_login(
                None,
                Failure::malformed("no exchange is under way"),
                actions,
            ),
        }
    }

    /// `<auth/>` or `<response/>` before TLS (row X16).
    pub(super) fn require_encryption(&mut self, actions: &mut Vec<Action>) {
        self.fail_login(
            None,
            Failure::of(FailureCondition::EncryptionRequired),
            actions,
        );
    }

    /// The client's first message of a mechanism.
    fn begin(
        &mut self,
        mechanism: Mechanism,
        data: &[u8],
        offer: &Offer,
        actions: &mut Vec<Action>,
    ) {
        let begun = match mechanism {
            Mechanism::Plain => self.begin_plain(data),
            Mechanism::OauthBearer => return self.begin_bearer(data, actions),
            _ => self.begin_scram(mechanism, data, offer),
        };
        match begun {
            Ok((exchange, action)) => {
                self.put_exchange(Some(exchange));
                actions.push(action);
            }
            Err(failure) => self.fail_login(None, failure, actions),
        }
    }

    fn begin_plain(&self, data: &[u8]) -> Result<(Exchange, Action), Failure> {
        let message = plain::parse_plain(data)?;
        let account = self.account_of(&message.authcid, &message.authzid)?;
        let action = Action::CheckPassword {
            account: account.clone(),
            password: message.password,
        };
        Ok((Exchange::Password { account }, action))
    }

    /// OAUTHBEARER's only message.
    fn begin_bearer(&mut self, data: &[u8], actions: &mut Vec<Action>) {
        let message = match oauthbearer::parse_bearer(data) {
            Ok(message) => message,
            Err(failure) => return self.fail_login(None, failure, actions),
        };
        let Some(token) = message.token else {
            return self.refuse_bearer(None, Failure::NOT_AUTHORIZED, actions);
        };
        let authzid = message.authzid;
        self.put_exchange(Some(Exchange::Bearer { authzid }));
        actions.push(Action::CheckBearer(token));
    }

    /// Whose a bearer token is.
    pub(super) fn take_bearer(&mut self, verdict: BearerVerdict, actions: &mut Vec<Action>) {
        let authzid = match self.take_exchange() {
            Some(Exchange::Bearer { authzid }) => authzid,
            other => return self.put_exchange(other),
        };
        let refused = match verdict {
            BearerVerdict::Of(account) => match self.account_of(account.as_str(), &authzid) {
                Ok(account) => return self.succeed_by_bearer(account, actions),
                Err(failure) => (Some(account), failure),
            },
            BearerVerdict::Unknown => (None, Failure::NOT_AUTHORIZED),
            BearerVerdict::Disabled => (None, Failure::of(FailureCondition::AccountDisabled)),
            // Nothing is wrong with the token: it is no matter for the error challenge.
            BearerVerdict::Unavailable => {
                let failure = Failure::of(FailureCondition::TemporaryAuthFailure);
                return self.fail_login(None, failure, actions);
            }
        };
        self.refuse_bearer(refused.0, refused.1, actions);
    }

    /// The error challenge (RFC 7628 §3.2.2). The failure is noted now: who goes away instead of
    /// answering has guessed all the same.
    fn refuse_bearer(
        &mut self,
        account: Option<BareJid>,
        failure: Failure,
        actions: &mut Vec<Action>,
    ) {
        let challenge = self.sasl_element("challenge", Some(oauthbearer::INVALID_TOKEN));
        self.write_element(&challenge, actions);
        self.put_exchange(Some(Exchange::BearerRefused(failure)));
        actions.push(Action::LoginFailed {
            account,
            reason: failure.condition,
        });
    }

    fn begin_scram(
        &self,
        mechanism: Mechanism,
        data: &[u8],
        offer: &Offer,
    ) -> Result<(Exchange, Action), Failure> {
        let first = ScramFirst::read(mechanism, data, offer.has_plus(), &self.bindings)?;
        let account = self.account_of(first.username(), first.authzid())?;
        let action = Action::LoadCredentials {
            account: account.clone(),
            mechanism,
        };
        Ok((Exchange::Credentials { first, account }, action))
    }

    pub(super) fn account_of(&self, authcid: &str, authzid: &str) -> Result<BareJid, Failure> {
        // Without a domain there were no features, and no mechanism to choose.
        let domain = self.domain.as_ref().ok_or(Failure::NOT_AUTHORIZED)?;
        let account = identity::account(authcid, authzid, domain)?;
        // XEP-0388 §2.3: who names somebody else in the stream's header fails.
        let is_another = self.from.as_ref().is_some_and(|from| *from != account);
        if self.sasl2.is_some() && !authzid.is_empty() && is_another {
            return Err(Failure::of(FailureCondition::InvalidAuthzid));
        }
        Ok(account)
    }

    /// Sends the challenge; to an absent account one that looks the same (rows A10, A11).
    pub(super) fn take_credentials(
        &mut self,
        found: Option<ScramCredentials>,
        is_disabled: bool,
        actions: &mut Vec<Action>,
    ) {
        let (first, account) = match self.take_exchange() {
            Some(Exchange::Credentials { first, account }) => (first, account),
            other => return self.put_exchange(other),
        };
        let hash = first.hash();
        let found = found.filter(|credentials| credentials.hash == hash);
        let is_known = found.is_some();
        let fake = ScramCredentials::fake(hash, &self.settings.fake_salt_key, account.as_str());
        let signed_lists = list_hash(hash, &self.offer());
        let entropy = (self.entropy)();
        let (proof, challenge) = first.challenge(
            found.unwrap_or(fake),
            is_known,
            &entropy,
            Some(&signed_lists),
        );
        self.put_exchange(Some(Exchange::Proof {
            proof,
            account,
            is_disabled,
        }));
        self.write_element(&self.sasl_element("challenge", Some(&challenge)), actions);
    }

    pub(super) fn credentials_unavailable(&mut self, actions: &mut Vec<Action>) {
        match self.take_exchange() {
            Some(Exchange::Credentials { account, .. }) => {
                let failure = Failure::of(FailureCondition::TemporaryAuthFailure);
                self.fail_login(Some(account), failure, actions);
            }
            other => self.put_exchange(other),
        }
    }

    fn take_proof(
        &mut self,
        proof: ScramProof,
        account: BareJid,
        is_disabled: bool,
        data: &[u8],
        actions: &mut Vec<Action>,
    ) {
        match proof.verify(data) {
            // §6.5.2, but only for who knows the password: others learn nothing (row A11).
            Ok(_) if is_disabled => {
                let failure = Failure::of(FailureCondition::AccountDisabled);
                self.fail_login(Some(account), failure, actions);
            }
            Ok(signature) => self.succeed(account, Some(&signature), actions),
            Err(failure) => self.fail_login(Some(account), failure, actions),
        }
    }

    /// What the account backend says about a password.
    pub(super) fn take_verdict(&mut self, verdict: Verdict, actions: &mut Vec<Action>) {
        let account = match self.take_exchange() {
            Some(Exchange::Password { account }) => account,
            other => return self.put_exchange(other),
        };
        let failure = match verdict {
            Verdict::Right => return self.succeed(account, None, actions),
            Verdict::Wrong => Failure::NOT_AUTHORIZED,
            Verdict::Disabled => Failure::of(FailureCondition::AccountDisabled),
            Verdict::Unavailable => Failure::of(FailureCondition::TemporaryAuthFailure),
        };
        self.fail_login(Some(account), failure, actions);
    }

    /// `<success/>` (§6.4.6); a new stream follows.
    pub(super) fn succeed(
        &mut self,
        account: BareJid,
        data: Option<&[u8]>,
        actions: &mut Vec<Action>,
    ) {
        if let Some(request) = self.sasl2.take() {
            return self.begin_finish(account, data, *request, actions);
        }
        self.write_element(&self.sasl_element("success", data), actions);
        self.account = Some(account.clone());
        self.header_is_sent = false;
        self.phase = Phase::Opening;
        actions.push(Action::Authenticated {
            account,
            is_restarted: true,
        });
    }

    /// An element of the exchange, in the words of the login under way.
    fn sasl_element(&self, name: &'static str, data: Option<&[u8]>) -> Element {
        let element = Element::new(name, self.sasl_ns());
        match data {
            Some(data) => element.text(encoding::encode(data)),
            None => element,
        }
    }

    const fn sasl_ns(&self) -> &'static str {
        match self.sasl2 {
            Some(_) => ns::SASL2,
            None => ns::SASL,
        }
    }

    /// `<failure/>` (§6.4.5); the client may try again, but not for ever.
    pub(super) fn fail_login(
        &mut self,
        account: Option<BareJid>,
        failure: Failure,
        actions: &mut Vec<Action>,
    ) {
        self.phase = Phase::Negotiating;
        self.write_element(&failure_element(failure, self.sasl_ns()), actions);
        self.sasl2 = None;
        if failure == Failure::BINDING_TYPE && self.unbound < UNBOUND_FREE {
            self.unbound += 1;
            return;
        }
        actions.push(Action::LoginFailed {
            account,
            reason: failure.condition,
        });
        self.count_attempt(actions);
    }

    /// The same for a login whose failure has been noted before.
    fn end_login(&mut self, failure: Failure, actions: &mut Vec<Action>) {
        self.phase = Phase::Negotiating;
        self.write_element(&failure_element(failure, self.sasl_ns()), actions);
        self.sasl2 = None;
        self.count_attempt(actions);
    }

    fn count_attempt(&mut self, actions: &mut Vec<Action>) {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts >= self.settings.attempts_max {
            // §6.4.5: after the last attempt the stream is closed with <policy-violation/>.
            self.fail(StreamCondition::PolicyViolation, actions);
        }
    }
}

/// XEP-0474: what was offered, as the client must have seen it.
fn list_hash(hash: Hash, offer: &Offer) -> String {
    let mechanisms: Vec<_> = offer
        .mechanisms
        .iter()
        .map(|mechanism| mechanism.name())
        .collect();
    let bindings: Vec<_> = offer.bindings.iter().map(|kind| kind.name()).collect();
    downgrade::list_hash(hash, &mechanisms, &bindings)
}

pub(super) fn failure_element(failure: Failure, namespace: &'static str) -> Element {
    let condition = Element::new(failure.condition.name(), ns::SASL);
    let element = Element::new("failure", namespace).child(condition);
    match failure.text {
        Some(text) => element.child(
            Element::new("text", namespace)
                .attr("xml:lang", "en")
                .text(text),
        ),
        None => element,
    }
}
