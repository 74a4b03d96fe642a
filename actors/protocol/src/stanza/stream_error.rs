//! Stream errors: RFC 6120 §4.9; on WebSockets RFC 7395 §3.5.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ns;
use crate::stream::sm;
use crate::xml::Element;

/// Why a stream ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamError {
    /// What is wrong.
    pub condition: StreamCondition,
    /// An explanation for people.
    pub text: Option<Cow<'static, str>>,
    /// What an extension adds.
    pub detail: Option<StreamErrorDetail>,
}

/// An application-specific condition (RFC 6120 §4.9.4), or what belongs inside the condition. The
/// order of the variants is on the wire between nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamErrorDetail {
    /// XEP-0198 §6: the peer acknowledges more stanzas than it was sent.
    HandledCountTooHigh {
        /// So many it says it has handled.
        h: u32,
        /// So many it was sent.
        sent: u32,
    },
    /// RFC 6120 §4.9.3.19: the host to connect to, with a port unless it is the usual one.
    OtherHost(Box<str>),
}

/// Defines the conditions with their element names.
macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// What is wrong with a stream (RFC 6120 §4.9.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum StreamCondition {
            $($(#[$doc])* $variant,)*
        }

        impl StreamCondition {
            /// The name of the element.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Reads the name of the element.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

conditions! {
    /// §4.9.3.1: XML that cannot be processed.
    BadFormat "bad-format";
    /// §4.9.3.2: a prefix that is not supported or missing.
    BadNamespacePrefix "bad-namespace-prefix";
    /// §4.9.3.3: a newer stream has taken the place of this one.
    Conflict "conflict";
    /// §4.9.3.4: the peer was silent for too long.
    ConnectionTimeout "connection-timeout";
    /// §4.9.3.5: the domain is no longer served.
    HostGone "host-gone";
    /// §4.9.3.6: the domain is not served.
    HostUnknown "host-unknown";
    /// §4.9.3.7: an address is missing or wrong.
    ImproperAddressing "improper-addressing";
    /// §4.9.3.8: the server has a fault.
    InternalServerError "internal-server-error";
    /// §4.9.3.9: not the address that was authorised.
    InvalidFrom "invalid-from";
    /// §4.9.3.10: not the namespace of streams, or not that of the content.
    InvalidNamespace "invalid-namespace";
    /// §4.9.3.11: XML against its schema.
    InvalidXml "invalid-xml";
    /// §4.9.3.12: data before authentication, or without authorisation.
    NotAuthorized "not-authorized";
    /// §4.9.3.13: no XML.
    NotWellFormed "not-well-formed";
    /// §4.9.3.14: against a local policy.
    PolicyViolation "policy-violation";
    /// §4.9.3.15: another server could not be reached.
    RemoteConnectionFailed "remote-connection-failed";
    /// §4.9.3.16: features or credentials have changed.
    Reset "reset";
    /// §4.9.3.17: the server is too busy.
    ResourceConstraint "resource-constraint";
    /// §4.9.3.18: comments, processing instructions, DTDs.
    RestrictedXml "restricted-xml";
    /// §4.9.3.19: try there.
    SeeOtherHost "see-other-host";
    /// §4.9.3.20: the server goes down.
    SystemShutdown "system-shutdown";
    /// §4.9.3.21: none of these.
    UndefinedCondition "undefined-condition";
    /// §4.9.3.22: not UTF-8.
    UnsupportedEncoding "unsupported-encoding";
    /// §4.9.3.23: a mandatory feature is not supported.
    UnsupportedFeature "unsupported-feature";
    /// §4.9.3.24: a first-level element that is no stanza.
    UnsupportedStanzaType "unsupported-stanza-type";
    /// §4.9.3.25: no version of XMPP that is spoken here.
    UnsupportedVersion "unsupported-version";
}

impl StreamError {
    /// An error without explanation.
    pub const fn new(condition: StreamCondition) -> Self {
        Self {
            condition,
            text: None,
            detail: None,
        }
    }

    /// With an explanation for people.
    pub fn with_text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// With what an extension adds.
    pub fn with_detail(mut self, detail: StreamErrorDetail) -> Self {
        self.detail = Some(detail);
        self
    }

    /// §4.9.3.19: the client is served at this host from now on, `HOST` or `HOST:PORT`.
    pub fn see_other_host(host: &str) -> Self {
        Self::new(StreamCondition::SeeOtherHost)
            .with_detail(StreamErrorDetail::OtherHost(host.into()))
    }

    /// Writes it for a TCP stream, whose header has declared the prefix `stream`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<stream:error>");
        self.write_content(out);
        out.extend_from_slice(b"</stream:error>");
    }

    /// Writes it for a WebSocket frame, where nothing is declared around it.
    pub fn write_framed(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<stream:error xmlns:stream='http://etherx.jabber.org/streams'>");
        self.write_content(out);
        out.extend_from_slice(b"</stream:error>");
    }

    fn write_content(&self, out: &mut Vec<u8>) {
        let condition = Element::new(self.condition.as_str(), ns::STREAM_ERRORS);
        let condition = match &self.detail {
            Some(StreamErrorDetail::OtherHost(host)) => condition.text(host.to_string()),
            _ => condition,
        };
        condition.write(out, ns::STREAMS);
        if let Some(text) = &self.text {
            let text = Element::new("text", ns::STREAM_ERRORS).text(text.clone());
            text.write(out, ns::STREAMS);
        }
        let detail = self.detail.as_ref().and_then(StreamErrorDetail::element);
        if let Some(detail) = detail {
            detail.write(out, ns::STREAMS);
        }
    }
}

impl StreamErrorDetail {
    fn element(&self) -> Option<Element> {
        match self {
            Self::HandledCountTooHigh { h, sent } => Some(
                Element::new("handled-count-too-high", sm::NS)
                    .attr("h", h.to_string())
                    .attr("send-count", sent.to_string()),
            ),
            Self::OtherHost(_) => None,
        }
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        Self::new(condition)
    }
}

impl From<crate::xml::XmlError> for StreamError {
    fn from(error: crate::xml::XmlError) -> Self {
        Self::new(error.condition())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_host_is_named_inside_the_condition() {
        let mut written = Vec::new();
        StreamError::see_other_host("n2.example.org:5222").write(&mut written);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "<stream:error>\
             <see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>n2.example.org:5222</see-other-host>\
             </stream:error>"
        );
    }
}
