//! STARTTLS (RFC 6120 §5), the receiving side.
//!
//! The bytes a client sends behind `<starttls/>` before the handshake are not its own for
//! sure (row A01, CVE-2011-0411): the caller restarts its tokenizer when it performs
//! [`Action::StartTls`], and reports [`super::Event::EarlyBytes`] if that held any.

use super::{Action, Phase, Stream};
use crate::ns;
use crate::sasl::ChannelBindings;
use crate::xml::Element;

/// Whether the client has to start TLS before anything else.
pub(super) const fn is_missing(require_tls: bool, is_secure: bool) -> bool {
    require_tls && !is_secure
}

/// The feature (§5.4.1), with `<required/>` if nothing goes without.
pub(super) fn feature(is_required: bool) -> Element {
    let feature = Element::new("starttls", ns::TLS);
    if is_required {
        feature.child(Element::new("required", ns::TLS))
    } else {
        feature
    }
}

impl Stream {
    /// §5.4.2.3: `<proceed/>`, and from there on nothing but TLS.
    pub(super) fn start_tls(&mut self, actions: &mut Vec<Action>) {
        // A login that has begun in the clear is not finished under TLS.
        if self.is_logging_in() {
            return self.refuse_tls(actions);
        }
        self.write_element(&Element::new("proceed", ns::TLS), actions);
        self.phase = Phase::StartingTls;
        actions.push(Action::StartTls);
    }

    /// §5.4.2.2: `<failure/>`, then the stream and the connection are closed.
    pub(super) fn refuse_tls(&mut self, actions: &mut Vec<Action>) {
        self.write_element(&Element::new("failure", ns::TLS), actions);
        self.close(actions);
    }

    /// §5.4.3.3: a new stream, and nothing said before is remembered.
    pub(super) fn take_tls(&mut self, bindings: ChannelBindings) {
        let is_direct = matches!(self.phase, Phase::Opening) && self.headers == 0;
        if !is_direct && !matches!(self.phase, Phase::StartingTls) {
            return;
        }
        self.is_secure = true;
        self.bindings = bindings;
        self.domain = None;
        self.header_is_sent = false;
        self.phase = Phase::Opening;
    }
}
