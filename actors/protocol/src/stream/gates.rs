//! What may come when: the one table of the negotiation (rows X15 and X16 of the attack
//! corpus), and the way from a first-level element to whoever answers it.
//!
//! RFC 6120 §4.3.2 and §5 to §7 give the order; everything outside it ends here.

use super::{Action, Phase, Stream, register, sm};
use crate::ns;
use crate::stanza::StreamCondition;
use crate::stream::starttls;
use crate::xml::{Element, Fragment};

/// Stream compression: XEP-0138, <https://xmpp.org/extensions/xep-0138.html>. Never offered:
/// bombs (row X15) and the mixing of secrets with what others write (CRIME) outweigh it.
const NS_COMPRESS: &str = "http://jabber.org/protocol/compress";

/// How far the client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// TLS is required and not there.
    BeforeTls,
    /// It may log in.
    BeforeLogin,
    /// It is logged in and has no session.
    AfterLogin,
}

/// What a first-level element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    StartTls,
    /// `<auth/>`
    Auth,
    /// `<response/>` or `<abort/>`
    SaslAnswer,
    /// `<authenticate/>` (XEP-0388)
    Authenticate,
    /// `<response/>` or `<abort/>` (XEP-0388)
    Sasl2Answer,
    /// `<next/>` or `<task-data/>` (XEP-0388)
    Sasl2Task,
    Compress,
    /// An IQ that asks for a resource.
    Bind,
    /// An IQ about registration.
    Register,
    /// Any other stanza.
    Stanza,
    Resume,
    Enable,
    Unknown,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    StartTls,
    RefuseTls,
    Authenticate,
    /// `<failure><encryption-required/></failure>`
    EncryptionFirst,
    ContinueLogin,
    Authenticate2,
    ContinueTask,
    /// The same as `EncryptionFirst`, in the words of XEP-0388.
    EncryptionFirst2,
    RefuseCompression,
    Bind,
    Register,
    Resume,
    /// `<failed><unexpected-request/></failed>`
    NotNow,
    Close(StreamCondition),
}

/// The table. `tls_is_offered` tells whether this stream's features had STARTTLS.
fn gate(stage: Stage, kind: Kind, tls_is_offered: bool) -> Gate {
    use StreamCondition::{NotAuthorized, PolicyViolation, UnsupportedStanzaType};
    match (kind, stage) {
        // RFC 6120 §5.4.2.2: asked for without being offered, or a second time.
        (Kind::StartTls, _) if !tls_is_offered => Gate::RefuseTls,
        (Kind::StartTls, Stage::BeforeTls | Stage::BeforeLogin) => Gate::StartTls,
        (Kind::StartTls, Stage::AfterLogin) => Gate::RefuseTls,

        // RFC 6120 §6.5.4.
        (Kind::Auth | Kind::SaslAnswer, Stage::BeforeTls) => Gate::EncryptionFirst,
        (Kind::Auth, Stage::BeforeLogin) => Gate::Authenticate,
        (Kind::SaslAnswer, Stage::BeforeLogin) => Gate::ContinueLogin,
        // RFC 6120 §6.4.6: SASL is done once on a connection.
        (Kind::Auth | Kind::SaslAnswer, Stage::AfterLogin) => Gate::Close(PolicyViolation),

        // XEP-0388 §3 asks for TLS; §4.8 ends who begins once more.
        (Kind::Authenticate | Kind::Sasl2Answer | Kind::Sasl2Task, Stage::BeforeTls) => {
            Gate::EncryptionFirst2
        }
        (Kind::Authenticate, Stage::BeforeLogin) => Gate::Authenticate2,
        (Kind::Sasl2Answer, Stage::BeforeLogin) => Gate::ContinueLogin,
        (Kind::Sasl2Task, Stage::BeforeLogin) => Gate::ContinueTask,
        (Kind::Authenticate | Kind::Sasl2Answer | Kind::Sasl2Task, Stage::AfterLogin) => {
            Gate::Close(PolicyViolation)
        }

        // XEP-0138 §3: refused without closing, at any time.
        (Kind::Compress, _) => Gate::RefuseCompression,

        (Kind::Bind, Stage::AfterLogin) => Gate::Bind,
        // XEP-0077 §3.1.1; under TLS, where that is required (row A16).
        (Kind::Register, Stage::BeforeLogin) => Gate::Register,
        // RFC 6120 §4.9.3.12 before login, §7.1 before binding.
        (Kind::Bind | Kind::Register | Kind::Stanza, _) => Gate::Close(NotAuthorized),

        (Kind::Resume, Stage::AfterLogin) => Gate::Resume,
        // XEP-0198 §3: out of order.
        (Kind::Resume | Kind::Enable, _) => Gate::NotNow,

        // RFC 6120 §4.9.3.24.
        (Kind::Unknown, _) => Gate::Close(UnsupportedStanzaType),
    }
}

fn kind_of(fragment: &Fragment) -> Kind {
    match (fragment.namespace(), fragment.name()) {
        (ns::TLS, "starttls") => Kind::StartTls,
        (ns::SASL, "auth") => Kind::Auth,
        (ns::SASL, "response" | "abort") => Kind::SaslAnswer,
        (ns::SASL2, "authenticate") => Kind::Authenticate,
        (ns::SASL2, "response" | "abort") => Kind::Sasl2Answer,
        (ns::SASL2, "next" | "task-data") => Kind::Sasl2Task,
        (NS_COMPRESS, "compress") => Kind::Compress,
        (ns::CLIENT, "iq") if is_bind(fragment) => Kind::Bind,
        (ns::CLIENT, "iq") if register::is_request(fragment) => Kind::Register,
        (ns::CLIENT, "iq" | "message" | "presence") => Kind::Stanza,
        (sm::NS, "resume") => Kind::Resume,
        (sm::NS, "enable") => Kind::Enable,
        _ => Kind::Unknown,
    }
}

fn is_bind(iq: &Fragment) -> bool {
    iq.attr("type") == Some("set") && iq.payloads().has("bind", ns::BIND)
}

impl Stream {
    /// Lets a first-level element through to its handler, or not.
    pub(super) fn pass_gate(&mut self, fragment: &Fragment, actions: &mut Vec<Action>) {
        let (offer, kind) = (self.offer(), kind_of(fragment));
        if self.is_out_of_turn(kind) {
            return self.fail(StreamCondition::PolicyViolation, actions);
        }
        match gate(self.stage(), kind, offer.starttls) {
            Gate::StartTls => self.start_tls(actions),
            Gate::RefuseTls => self.refuse_tls(actions),
            Gate::Authenticate => self.authenticate(fragment, &offer, actions),
            Gate::EncryptionFirst => self.require_encryption(actions),
            Gate::ContinueLogin | Gate::ContinueTask if self.is_upgrading() => {
                self.continue_upgrade(fragment, actions);
            }
            // Out of turn, and that was said before.
            Gate::ContinueTask => self.fail(StreamCondition::PolicyViolation, actions),
            Gate::ContinueLogin => self.continue_login(fragment, &offer, actions),
            Gate::Authenticate2 => self.authenticate2(fragment, &offer, actions),
            Gate::EncryptionFirst2 => self.refuse_authenticate(actions),
            Gate::RefuseCompression => self.refuse(&compression_refused(), actions),
            Gate::Bind => self.bind(fragment, actions),
            Gate::Register => self.register(fragment, actions),
            Gate::Resume => self.resume(fragment, actions),
            Gate::NotNow => self.refuse(&sm::failed("unexpected-request", None), actions),
            Gate::Close(condition) => self.fail(condition, actions),
        }
    }

    fn stage(&self) -> Stage {
        if self.account.is_some() {
            Stage::AfterLogin
        } else if starttls::is_missing(self.settings.require_tls, self.is_secure) {
            Stage::BeforeTls
        } else {
            Stage::BeforeLogin
        }
    }

    /// XEP-0388 §2.4: in its exchange nothing comes but what belongs there; and what belongs
    /// there comes nowhere else.
    fn is_out_of_turn(&self, kind: Kind) -> bool {
        if self.is_upgrading() {
            return !matches!(kind, Kind::Sasl2Task | Kind::Sasl2Answer);
        }
        if kind == Kind::Sasl2Task {
            return self.stage() == Stage::BeforeLogin;
        }
        let is_answer = kind == Kind::Sasl2Answer;
        let is_under_way = self.is_logging_in() && self.sasl2.is_some();
        is_answer != is_under_way && (is_under_way || self.stage() == Stage::BeforeLogin)
    }

    /// Whether tasks follow a login that has succeeded.
    const fn is_upgrading(&self) -> bool {
        matches!(self.phase, Phase::Upgrading(_))
    }

    /// Whether a SASL exchange runs.
    pub(super) const fn is_logging_in(&self) -> bool {
        matches!(self.phase, Phase::Sasl(_))
    }
}

/// XEP-0138 §3 "unsupported-method".
fn compression_refused() -> Element {
    Element::new("failure", NS_COMPRESS).child(Element::new("unsupported-method", NS_COMPRESS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x16_the_table_of_gates() {
        use Stage::{AfterLogin, BeforeLogin, BeforeTls};
        use StreamCondition::{NotAuthorized, PolicyViolation, UnsupportedStanzaType};
        let table = [
            (
                Kind::StartTls,
                [Gate::StartTls, Gate::StartTls, Gate::RefuseTls],
            ),
            (
                Kind::Auth,
                [
                    Gate::EncryptionFirst,
                    Gate::Authenticate,
                    Gate::Close(PolicyViolation),
                ],
            ),
            (
                Kind::SaslAnswer,
                [
                    Gate::EncryptionFirst,
                    Gate::ContinueLogin,
                    Gate::Close(PolicyViolation),
                ],
            ),
            (Kind::Compress, [Gate::RefuseCompression; 3]),
            (
                Kind::Authenticate,
                [
                    Gate::EncryptionFirst2,
                    Gate::Authenticate2,
                    Gate::Close(PolicyViolation),
                ],
            ),
            (
                Kind::Sasl2Answer,
                [
                    Gate::EncryptionFirst2,
                    Gate::ContinueLogin,
                    Gate::Close(PolicyViolation),
                ],
            ),
            (
                Kind::Sasl2Task,
                [
                    Gate::EncryptionFirst2,
                    Gate::ContinueTask,
                    Gate::Close(PolicyViolation),
                ],
            ),
            (
                Kind::Bind,
                [
                    Gate::Close(NotAuthorized),
                    Gate::Close(NotAuthorized),
                    Gate::Bind,
                ],
            ),
            (
                Kind::Register,
                [
                    Gate::Close(NotAuthorized),
                    Gate::Register,
                    Gate::Close(NotAuthorized),
                ],
            ),
            (Kind::Stanza, [Gate::Close(NotAuthorized); 3]),
            (Kind::Resume, [Gate::NotNow, Gate::NotNow, Gate::Resume]),
            (Kind::Enable, [Gate::NotNow; 3]),
            (Kind::Unknown, [Gate::Close(UnsupportedStanzaType); 3]),
        ];
        for (kind, row) in table {
            for (stage, expected) in [BeforeTls, BeforeLogin, AfterLogin].into_iter().zip(row) {
                assert_eq!(gate(stage, kind, true), expected, "{kind:?} {stage:?}");
            }
        }
    }

    #[test]
    fn starttls_that_is_not_offered_is_refused_at_any_stage() {
        for stage in [Stage::BeforeTls, Stage::BeforeLogin, Stage::AfterLogin] {
            assert_eq!(gate(stage, Kind::StartTls, false), Gate::RefuseTls);
        }
    }
}
