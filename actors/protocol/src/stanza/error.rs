//! Stanza errors: RFC 6120 §8.3.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ns;
use crate::xml::Element;

/// A refusal as a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StanzaError {
    /// What the sender can do about it.
    pub kind: ErrorKind,
    /// What is wrong.
    pub condition: Condition,
    /// An explanation for people (§8.3.2).
    pub text: Option<Cow<'static, str>>,
    /// A condition of the feature concerned (§8.3.4). Boxed, for it is rare and large.
    pub application: Option<Box<Element>>,
}

/// What the sender of a stanza can do about an error (RFC 6120 §8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry.
    Cancel,
    /// Proceed, it was a warning.
    Continue,
    /// Retry after changing the data.
    Modify,
    /// Retry later.
    Wait,
}

impl ErrorKind {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    /// Reads the attribute.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::Auth,
            Self::Cancel,
            Self::Continue,
            Self::Modify,
            Self::Wait,
        ];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Defines the conditions with their element names, usual types and constructors.
macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident $constructor:ident $name:literal $kind:ident;)*) => {
        /// What is wrong with a stanza (RFC 6120 §8.3.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Condition {
            $($(#[$doc])* $variant,)*
        }

        impl Condition {
            /// The name of the element.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Reads the name of the element.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// The type RFC 6120 §8.3.3 recommends.
            pub fn usual_kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)* }
            }
        }

        impl StanzaError {
            $($(#[$doc])*
            pub const fn $constructor() -> Self {
                Self::of(ErrorKind::$kind, Condition::$variant)
            })*
        }
    };
}

conditions! {
    /// §8.3.3.1: not what a schema or protocol allows.
    BadRequest bad_request "bad-request" Modify;
    /// §8.3.3.2: something of that name exists.
    Conflict conflict "conflict" Cancel;
    /// §8.3.3.3: nobody has written it.
    FeatureNotImplemented feature_not_implemented "feature-not-implemented" Cancel;
    /// §8.3.3.4: the sender may not do it.
    Forbidden forbidden "forbidden" Auth;
    /// §8.3.3.5: the recipient has moved for good.
    Gone gone "gone" Cancel;
    /// §8.3.3.6: the server has a fault.
    InternalServerError internal_server_error "internal-server-error" Cancel;
    /// §8.3.3.7: no such item.
    ItemNotFound item_not_found "item-not-found" Cancel;
    /// §8.3.3.8: no valid address.
    JidMalformed jid_malformed "jid-malformed" Modify;
    /// §8.3.3.9: does not meet what the recipient demands.
    NotAcceptable not_acceptable "not-acceptable" Modify;
    /// §8.3.3.10: nobody may do it.
    NotAllowed not_allowed "not-allowed" Cancel;
    /// §8.3.3.11: credentials are needed.
    NotAuthorized not_authorized "not-authorized" Auth;
    /// §8.3.3.12: against a local policy.
    PolicyViolation policy_violation "policy-violation" Modify;
    /// §8.3.3.13: the recipient is away.
    RecipientUnavailable recipient_unavailable "recipient-unavailable" Wait;
    /// §8.3.3.14: try there for now.
    Redirect redirect "redirect" Modify;
    /// §8.3.3.15: register first.
    RegistrationRequired registration_required "registration-required" Auth;
    /// §8.3.3.16: no such server.
    RemoteServerNotFound remote_server_not_found "remote-server-not-found" Cancel;
    /// §8.3.3.17: the server was not reached in time.
    RemoteServerTimeout remote_server_timeout "remote-server-timeout" Wait;
    /// §8.3.3.18: the server is too busy.
    ResourceConstraint resource_constraint "resource-constraint" Wait;
    /// §8.3.3.19: no such service there.
    ServiceUnavailable service_unavailable "service-unavailable" Cancel;
    /// §8.3.3.20: subscribe first.
    SubscriptionRequired subscription_required "subscription-required" Auth;
    /// §8.3.3.21: none of these; an application condition says more.
    UndefinedCondition undefined_condition "undefined-condition" Cancel;
    /// §8.3.3.22: not now.
    UnexpectedRequest unexpected_request "unexpected-request" Wait;
}

impl StanzaError {
    /// An error of this type and condition.
    pub const fn of(kind: ErrorKind, condition: Condition) -> Self {
        Self {
            kind,
            condition,
            text: None,
            application: None,
        }
    }

    /// With an explanation for people.
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// §8.3.3.14: what is looked for is there, as this URI says.
    pub fn redirected_to(uri: &str) -> Self {
        let redirect = Element::new(Condition::Redirect.as_str(), ns::STANZAS);
        Self::redirect().with_application(redirect.text(uri))
    }

    /// With another type than the usual one.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// With a condition of the feature concerned (§8.3.4).
    pub fn with_application(mut self, element: Element) -> Self {
        self.application = Some(Box::new(element));
        self
    }

    /// The `<error/>` (§8.3.2): the defined condition, text, the application's condition.
    pub fn to_element(&self) -> Element {
        let application = self.application.as_deref().cloned();
        // A condition that says more than its name stands there itself.
        let (defined, application) = match application {
            Some(it) if it.namespace() == ns::STANZAS => (it, None),
            other => (Element::new(self.condition.as_str(), ns::STANZAS), other),
        };
        let mut error = Element::new("error", ns::CLIENT)
            .attr("type", self.kind.as_str())
            .child(defined);
        if let Some(text) = &self.text {
            error = error.child(Element::new("text", ns::STANZAS).text(text.clone()));
        }
        error.children_from(application)
    }

    /// Reads an `<error/>`; what is unknown in it becomes `undefined-condition`.
    pub fn from_element(error: &Element) -> Self {
        let defined = error
            .children()
            .filter(|child| child.namespace() == ns::STANZAS);
        let condition = defined
            .filter_map(|child| Condition::parse(child.name()))
            .next();
        let condition = condition.unwrap_or(Condition::UndefinedCondition);
        let kind = error.get("type").and_then(ErrorKind::parse);
        let application = error
            .children()
            .find(|child| child.namespace() != ns::STANZAS);
        Self {
            kind: kind.unwrap_or(condition.usual_kind()),
            condition,
            text: error
                .find("text", ns::STANZAS)
                .map(|text| Cow::Owned(text.text_content())),
            application: application.cloned().map(Box::new),
        }
    }
}
