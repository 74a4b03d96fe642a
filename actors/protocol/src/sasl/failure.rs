//! How a SASL negotiation fails (RFC 6120 §6.5).
//!
//! Left out: the `<failure/>` element itself, which `stream/sasl.rs` renders.

/// A defined condition of RFC 6120 §6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureCondition {
    /// The client sent `<abort/>` (§6.5.1).
    Aborted,
    /// The account exists and may not log in (§6.5.2).
    AccountDisabled,
    /// The token is out of date: the password is asked for again (§6.5.3, XEP-0484 §4.2).
    CredentialsExpired,
    /// The mechanism needs TLS first (§6.5.4).
    EncryptionRequired,
    /// The data is not base64 (§6.5.5).
    IncorrectEncoding,
    /// The authorization identity is not the account's own (§6.5.6).
    InvalidAuthzid,
    /// The mechanism was not offered (§6.5.7).
    InvalidMechanism,
    /// The data breaks the mechanism's grammar (§6.5.8).
    MalformedRequest,
    /// The credentials are wrong, or something else that shall look the same (§6.5.10).
    NotAuthorized,
    /// The server cannot check the credentials now (§6.5.11).
    TemporaryAuthFailure,
}

impl FailureCondition {
    /// The name of the condition's element.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

/// Why a login failed, as the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The defined condition.
    pub condition: FailureCondition,
    /// Words for the person debugging a client. Never depends on the account, so that it
    /// cannot tell an existing account from an absent one.
    pub text: Option<&'static str>,
}

impl Failure {
    /// The one answer to wrong passwords, unknown accounts and forged proofs.
    pub const NOT_AUTHORIZED: Self = Self::of(FailureCondition::NotAuthorized);

    /// The client wants to bind to the channel in a way that was not offered, as those do
    /// that know `tls-unique` only. It has shown no credentials yet, so it is no guess.
    pub const BINDING_TYPE: Self =
        Self::channel_binding("this channel-binding type was not offered");

    /// A failure without a text.
    #[must_use]
    pub const fn of(condition: FailureCondition) -> Self {
        Self {
            condition,
            text: None,
        }
    }

    /// A failure of the client's grammar.
    #[must_use]
    pub const fn malformed(text: &'static str) -> Self {
        Self {
            condition: FailureCondition::MalformedRequest,
            text: Some(text),
        }
    }

    /// A channel-binding failure: SCRAM's own error values have no element in RFC 6120 §6.5,
    /// so the generic condition says no and the text says why.
    #[must_use]
    pub const fn channel_binding(text: &'static str) -> Self {
        Self {
            condition: FailureCondition::NotAuthorized,
            text: Some(text),
        }
    }
}
