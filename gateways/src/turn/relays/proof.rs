//! Who asks: the long-term mechanism (RFC 8489 §9.2) with credentials that end by themselves.
//!
//! Somebody who proves nothing gets little more back than they sent. To who tries, it is said
//! by name what is wrong.

use super::{Now, Reason, Relays};
use crate::turn::allocation::Client;
use crate::turn::keys::{LongTermKey, Name};
use crate::turn::stun::{Class, Message, Writer, attribute};

/// Who has proven to be somebody.
pub(super) struct Caller<'a> {
    pub(super) name: &'a str,
    pub(super) account: &'a str,
    pub(super) key: LongTermKey,
}

/// A refusal.
pub(super) struct Denied {
    pub(super) code: u16,
    pub(super) words: &'static str,
    /// How it is counted; what belongs to every conversation is not.
    pub(super) reason: Option<Reason>,
    pub(super) with: With,
}

/// What an answer bears besides.
pub(super) enum With {
    Nothing,
    /// Realm and nonce, so that the client can try again.
    Challenge,
    /// A proof that it comes from here.
    Proof(LongTermKey),
    /// The attributes that were not understood.
    Unknown(Vec<u16>),
}

impl Denied {
    pub(super) fn plain(code: u16, words: &'static str) -> Self {
        Self {
            code,
            words,
            reason: None,
            with: With::Nothing,
        }
    }

    /// The same to somebody who is known.
    pub(super) fn known(code: u16, words: &'static str, key: LongTermKey) -> Self {
        Self {
            with: With::Proof(key),
            ..Self::plain(code, words)
        }
    }

    pub(super) fn because(self, reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            ..self
        }
    }

    fn challenge(code: u16, words: &'static str) -> Self {
        Self {
            with: With::Challenge,
            ..Self::plain(code, words)
        }
    }
}

impl Relays {
    /// §9.2.4: who signed a request.
    pub(super) fn prove<'a>(
        &self,
        request: &Message<'a>,
        client: Client,
        now: Now,
    ) -> Result<Caller<'a>, Denied> {
        if !request.is_signed() {
            return Err(Denied::challenge(401, ""));
        }
        let text = |kind| request.text(kind);
        let (Some(name), Some(realm), Some(nonce)) = (
            text(attribute::USERNAME),
            text(attribute::REALM),
            text(attribute::NONCE),
        ) else {
            return Err(Denied::plain(400, "no name, realm or nonce"));
        };
        if !self.keys.is_fresh(nonce, client.address, now.seconds) {
            return Err(Denied::challenge(438, "stale nonce").because(Reason::StaleNonce));
        }
        if realm != self.keys.realm() {
            return Err(Denied::challenge(401, "another realm").because(Reason::OtherRealm));
        }
        let wrong =
            || Denied::challenge(401, "wrong credentials").because(Reason::WrongCredentials);
        let read = Name::parse(name).ok_or_else(wrong)?;
        let key = self.keys.of(name);
        if !request.is_signed_with(&key) {
            return Err(wrong());
        }
        let revoked = self.revoked.get(read.account);
        if revoked.is_some_and(|until| read.ends <= *until) {
            let denied = Denied::challenge(401, "revoked credentials");
            return Err(denied.because(Reason::Revoked));
        }
        let caller = Caller {
            name,
            account: read.account,
            key,
        };
        self.may_go_on(client, caller, read.ends, now)
    }

    /// Who has a relay keeps it until the call is over, also when the credentials end meanwhile;
    /// a new one is not for them.
    fn may_go_on<'a>(
        &self,
        client: Client,
        caller: Caller<'a>,
        ends: u64,
        now: Now,
    ) -> Result<Caller<'a>, Denied> {
        match self.living(client, now.instant) {
            Some(allocation) if *allocation.name == *caller.name => Ok(caller),
            // RFC 8656 §5: nobody takes over what another has been given.
            Some(_) => {
                let denied = Denied::known(441, "another's allocation", caller.key);
                Err(denied.because(Reason::OtherAccount))
            }
            None if ends <= now.seconds => {
                Err(Denied::challenge(401, "expired credentials").because(Reason::Expired))
            }
            None => Ok(caller),
        }
    }

    /// The answer to who is refused.
    pub(super) fn denial(
        &self,
        request: &Message<'_>,
        client: Client,
        denied: Denied,
        now: Now,
    ) -> Writer {
        let answer = Writer::answer(request, Class::Error).put_error(denied.code, denied.words);
        match denied.with {
            With::Nothing => answer,
            With::Challenge => {
                let nonce = self.keys.nonce(client.address, now.seconds);
                answer
                    .put(attribute::REALM, self.keys.realm().as_bytes())
                    .put(attribute::NONCE, nonce.as_bytes())
            }
            With::Proof(key) => answer.sign(&key),
            With::Unknown(kinds) => {
                let kinds: Vec<u8> = kinds.into_iter().flat_map(u16::to_be_bytes).collect();
                answer.put(attribute::UNKNOWN_ATTRIBUTES, &kinds)
            }
        }
    }
}
