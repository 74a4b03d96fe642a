//! XMPP over WebSocket (RFC 7395): framing of the stream's beginning and end.
//!
//! There is no STARTTLS here (§3.9): the transport is secure, or it is not.

use super::Transport;
use crate::ns;
use crate::xml::{Fragment, StreamHeader};

/// The subprotocol to negotiate (§3.1).
pub const SUBPROTOCOL: &str = "xmpp";

/// What a frame is.
pub(super) enum Frame {
    /// `<open/>`: a stream header (§3.4).
    Open(StreamHeader),
    /// `<close/>` (§3.6).
    Close,
    /// A header of RFC 6120, or framing we do not know: §3.3.2 forbids it.
    Foreign,
    /// Anything else.
    Element,
}

/// Tells what a frame is.
pub(super) fn read_frame(fragment: &Fragment) -> Frame {
    match (fragment.namespace(), fragment.name()) {
        (ns::FRAMING, "open") => Frame::Open(header(fragment)),
        (ns::FRAMING, "close") => Frame::Close,
        (ns::FRAMING, _) | (_, "open") | (ns::STREAMS, "stream") => Frame::Foreign,
        _ => Frame::Element,
    }
}

/// Whether a client's frame ends the stream; for the time after the negotiation.
#[must_use]
pub fn is_close(fragment: &Fragment) -> bool {
    fragment.namespace() == ns::FRAMING && fragment.name() == "close"
}

fn header(open: &Fragment) -> StreamHeader {
    let attribute = |name: &str| open.attr(name).map(str::to_owned);
    StreamHeader {
        to: attribute("to"),
        from: attribute("from"),
        id: attribute("id"),
        version: attribute("version"),
        lang: attribute("xml:lang"),
        // §3.3.3: every stanza declares its own namespace, so the stream has none to check.
        content_ns: ns::CLIENT.to_owned(),
    }
}

/// How the tag of a header ends: open for a long document, closed for a frame.
pub(super) const fn tag_end(transport: Transport) -> &'static [u8] {
    match transport {
        Transport::Tcp => b">",
        Transport::WebSocket | Transport::Bosh => b"/>",
    }
}
