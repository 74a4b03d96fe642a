//! Writes tags in the canonical form that [`crate::xml`] describes.

use super::escape::escape_attribute;
use crate::ns;

/// An attribute to write: namespace (empty: none), name, value.
pub(super) type AttributeRef<'a> = (&'a str, &'a str, &'a str);

/// Writes a start tag without its end, so that the caller can close it with `>` or `/>`.
pub(super) fn write_start<'a>(
    out: &mut Vec<u8>,
    name: &str,
    namespace: Option<&str>,
    attributes: impl Iterator<Item = AttributeRef<'a>> + Clone,
) {
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    if let Some(namespace) = namespace {
        write_attribute(out, "xmlns", namespace);
    }
    for (at, (namespace, name, value)) in attributes.clone().enumerate() {
        match namespace {
            "" => write_attribute(out, name, value),
            ns::XML => write_prefixed(out, "xml", name, value),
            _ => write_foreign(out, attributes.clone(), at),
        }
    }
}

/// Writes ` name='value'`.
pub(crate) fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attribute(out, value);
    out.push(b'\'');
}

fn write_prefixed(out: &mut Vec<u8>, prefix: &str, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(prefix.as_bytes());
    out.push(b':');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attribute(out, value);
    out.push(b'\'');
}

/// An attribute in a namespace of its own: its prefix is `p` and the place of the first
/// attribute in that namespace, which also carries the declaration.
fn write_foreign<'a>(
    out: &mut Vec<u8>,
    attributes: impl Iterator<Item = AttributeRef<'a>> + Clone,
    at: usize,
) {
    let Some((namespace, name, value)) = attributes.clone().nth(at) else {
        return;
    };
    let first = attributes
        .clone()
        .position(|(other, ..)| other == namespace)
        .unwrap_or(at);
    let prefix = format!("p{first}");
    if first == at {
        write_prefixed(out, "xmlns", &prefix, namespace);
    }
    write_prefixed(out, &prefix, name, value);
}

/// Writes an end tag.
pub(super) fn write_end(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
}
