//! How elements, errors and the end of a stream look on either transport; connections and
//! sessions use this too.

use super::Transport;
use crate::ns;
use crate::stanza::StreamError;
use crate::xml::Element;

/// The end of a stream whose header is sent: the error, if there is one, and the closing tag
/// or `<close/>` (RFC 6120 §4.4 and §4.9, RFC 7395 §3.5 and §3.6). Each item is one write,
/// which over WebSocket is one frame. Over BOSH the end is the wrapper's to say.
#[must_use]
pub fn closing(transport: Transport, error: Option<&StreamError>) -> Vec<Vec<u8>> {
    match transport {
        Transport::Tcp => {
            let mut out = Vec::new();
            if let Some(error) = error {
                error.write(&mut out);
            }
            out.extend_from_slice(b"</stream:stream>");
            vec![out]
        }
        Transport::WebSocket => {
            let close = render_element(transport, &Element::new("close", ns::FRAMING));
            error.map(framed).into_iter().chain([close]).collect()
        }
        Transport::Bosh => error.map(framed).into_iter().collect(),
    }
}

fn framed(error: &StreamError) -> Vec<u8> {
    let mut out = Vec::new();
    error.write_framed(&mut out);
    out
}

/// An element as it stands on the wire: over TCP in the stream's default namespace, over
/// WebSocket and BOSH with a namespace of its own (RFC 7395 §3.3.3, XEP-0206 §2).
#[must_use]
pub fn render_element(transport: Transport, element: &Element) -> Vec<u8> {
    let parent = match transport {
        Transport::Tcp => ns::CLIENT,
        Transport::WebSocket | Transport::Bosh => "",
    };
    let mut out = Vec::new();
    element.write(&mut out, parent);
    out
}
