//! FAST: XEP-0484 version 0.2.0, <https://xmpp.org/extensions/xep-0484.html>
//!
//! A client that has logged in by its password gets a token, and logs in by that from then
//! on, in one round trip. Which tokens there are and which is right is the caller's to say.
//!
//! Left out: TLS 0-RTT (§3.4), which is not offered.

use super::{Action, Stream};
use crate::jid::BareJid;
use crate::sasl::ht::Initiator;
use crate::sasl::{Failure, FailureCondition, HtMechanism, Secret, TokenProof};
use crate::stream::sasl::Exchange;
use crate::time::Timestamp;
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:fast:0";

/// How a client uses its token: `<fast/>` (§3.4, §3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// It counts its logins by this token: each number is good once.
    pub count: Option<u32>,
    /// It is the last time.
    pub is_last: bool,
}

impl Use {
    pub(super) fn read(fast: &Element) -> Self {
        Self {
            count: fast.get("count").and_then(|count| count.parse().ok()),
            is_last: matches!(fast.get("invalidate"), Some("true" | "1")),
        }
    }
}

/// A login by token, to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenLogin {
    /// Whose.
    pub account: BareJid,
    /// The installation of the client it was given to.
    pub agent: String,
    /// What shows that the client has it.
    pub proof: TokenProof,
    /// How it is used.
    pub usage: Use,
}

/// What came of a login by token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenVerdict {
    /// It is right.
    Right {
        /// Whose it is: the client may have named it by another of its names.
        account: BareJid,
        /// What proves to the client that the server knows it, too.
        answer: Vec<u8>,
        /// It is old enough for another (§3.5).
        is_old: bool,
    },
    /// It is not, or there is none, or its count was used already, or the account may not log
    /// in.
    Wrong,
    /// It was right, and has expired.
    Expired,
    /// Nobody can tell now.
    Unavailable,
}

/// A token for a client.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token.
    pub token: Secret,
    /// Until when it can be used.
    pub expiry: Timestamp,
}

impl Stream {
    /// The only message of a login by token.
    pub(super) fn begin_token(
        &mut self,
        mechanism: HtMechanism,
        data: &[u8],
        actions: &mut Vec<Action>,
    ) {
        let read = Initiator::read(mechanism, data, &self.bindings);
        let read = read.and_then(|it| Ok((self.account_of(&it.authcid, "")?, it.proof)));
        let (account, proof) = match read {
            Ok(read) => read,
            Err(failure) => return self.fail_login(None, failure, actions),
        };
        let request = self.sasl2.as_deref();
        let agent = request.and_then(|it| it.agent.clone()).unwrap_or_default();
        let usage = request.and_then(|it| it.fast).unwrap_or_default();
        self.put_exchange(Some(Exchange::Token {
            account: account.clone(),
            mechanism,
            is_last: usage.is_last,
        }));
        actions.push(Action::CheckToken(Box::new(TokenLogin {
            account,
            agent,
            proof,
            usage,
        })));
    }

    pub(super) fn take_token_verdict(&mut self, verdict: TokenVerdict, actions: &mut Vec<Action>) {
        let (account, mechanism, is_last) = match self.take_exchange() {
            Some(Exchange::Token {
                account,
                mechanism,
                is_last,
            }) => (account, mechanism, is_last),
            other => return self.put_exchange(other),
        };
        let condition = match verdict {
            TokenVerdict::Right {
                account,
                answer,
                is_old,
            } => {
                // §3.6: no other token for who wants none any more.
                let renew = (is_old && !is_last).then_some(mechanism);
                return self.succeed_by_token(account, &answer, renew, actions);
            }
            TokenVerdict::Wrong => FailureCondition::NotAuthorized,
            TokenVerdict::Expired => FailureCondition::CredentialsExpired,
            TokenVerdict::Unavailable => FailureCondition::TemporaryAuthFailure,
        };
        self.fail_login(Some(account), Failure::of(condition), actions);
    }
}

/// `<fast/>` among what SASL2 does inline (§3.1).
pub(super) fn feature(mechanisms: &[HtMechanism]) -> Element {
    let mechanisms = mechanisms
        .iter()
        .map(|mechanism| Element::new("mechanism", NS).text(mechanism.name()));
    Element::new("fast", NS).children_from(mechanisms)
}

/// `<token/>` (§3.3).
pub(super) fn element(issued: &Issued) -> Element {
    Element::new("token", NS)
        .attr("token", issued.token.expose())
        .attr("expiry", issued.expiry.to_xep0082())
}
