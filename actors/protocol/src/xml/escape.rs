//! Escaping and its undoing: XML 1.0 §2.2, §2.4, §2.11, §3.3.3, §4.1.

use std::borrow::Cow;

use super::XmlError;

/// Writes text so that it is read back as it is.
pub fn escape_text(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        // §2.11 turns a literal carriage return into a line feed.
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

/// Writes an attribute's value, to stand in single quotes, so that it is read back as it is.
pub fn escape_attribute(out: &mut Vec<u8>, value: &str) {
    escape(out, value, |byte| match byte {
        b'&' => Some("&amp;"),
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'\'' => Some("&apos;"),
        // §3.3.3 turns these into spaces unless they are references.
        b'\t' => Some("&#9;"),
        b'\n' => Some("&#10;"),
        b'\r' => Some("&#13;"),
        _ => None,
    });
}

fn escape(out: &mut Vec<u8>, text: &str, reference: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        // All bytes that may need something are below 0x40, or start U+FFFE and U+FFFF.
        if byte > b'>' && byte != 0xEF {
            continue;
        }
        let (replacement, length) = match reference(byte) {
            Some(reference) => (reference, 1),
            // Row X12: XML has no way to write these; text from elsewhere must not break a
            // stream, so they are replaced as unknown characters are.
            None if is_forbidden_at(bytes, at) => ("\u{FFFD}", if byte == 0xEF { 3 } else { 1 }),
            None => continue,
        };
        out.extend_from_slice(&bytes[plain_from..at]);
        out.extend_from_slice(replacement.as_bytes());
        plain_from = at + length;
    }
    out.extend_from_slice(&bytes[plain_from..]);
}

/// XML 1.0 §2.2, production Char, for bytes known to be UTF-8: tells whether no character of
/// XML starts here. Surrogates are no UTF-8, so controls, U+FFFE and U+FFFF remain.
fn is_forbidden_at(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        b'\t' | b'\n' | b'\r' => false,
        0..=0x1F => true,
        0xEF => matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])),
        _ => false,
    }
}

/// Tells whether all characters are XML's (§2.2).
pub(crate) fn has_only_chars(bytes: &[u8]) -> bool {
    // Chunks without a suspect, that is nearly all, are passed over without a branch a byte.
    for (number, chunk) in bytes.chunks(32).enumerate() {
        let suspect = chunk
            .iter()
            .fold(false, |any, &byte| any | (byte < 0x20) | (byte == 0xEF));
        let start = number * 32;
        if suspect && (start..start + chunk.len()).any(|at| is_forbidden_at(bytes, at)) {
            return false;
        }
    }
    true
}

/// Character data as the application sees it: line ends are one line feed (§2.11).
pub(super) fn normalise_lines(text: &str) -> Cow<'_, str> {
    if !text.as_bytes().contains(&b'\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// An attribute's value as the application sees it (§3.3.3).
pub(super) fn read_attribute(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    let special = |byte: &u8| matches!(byte, b'&' | b'<' | b'\t' | b'\n' | b'\r');
    let Some(first) = raw.as_bytes().iter().position(special) else {
        return Ok(Cow::Borrowed(raw));
    };
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    let mut next = Some(first);
    while let Some(at) = next {
        value.push_str(&rest[..at]);
        let from = &rest[at..];
        rest = match from.as_bytes()[0] {
            b'&' => {
                let (character, rest) = split_reference(from)?;
                value.push(character);
                rest
            }
            // §3.1: a value contains no less-than sign.
            b'<' => return Err(XmlError::NotWellFormed),
            _ => {
                // §2.11 first: a pair of carriage return and line feed is one line end.
                value.push(' ');
                from.strip_prefix("\r\n").unwrap_or(&from[1..])
            }
        };
        next = rest.as_bytes().iter().position(special);
    }
    value.push_str(rest);
    Ok(Cow::Owned(value))
}

/// Text of our own writer as the application sees it.
pub(super) fn read_text(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    if !raw.as_bytes().contains(&b'&') {
        return Ok(normalise_lines(raw));
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        text.push_str(&normalise_lines(&rest[..at]));
        let (character, after) = split_reference(&rest[at..])?;
        text.push(character);
        rest = after;
    }
    text.push_str(&normalise_lines(rest));
    Ok(Cow::Owned(text))
}

/// Splits `&…;` off.
fn split_reference(from: &str) -> Result<(char, &str), XmlError> {
    let (name, rest) = from[1..].split_once(';').ok_or(XmlError::NotWellFormed)?;
    Ok((read_reference(name)?, rest))
}

/// What stands between `&` and `;`: one of the five predefined entities (§4.6, RFC 6120
/// §11.1) or a character reference (§4.1).
pub(super) fn read_reference(name: &str) -> Result<char, XmlError> {
    match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => {}
    }
    let number = name.strip_prefix('#').ok_or(XmlError::NotWellFormed)?;
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` would take a sign.
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(XmlError::NotWellFormed);
    }
    let code = u32::from_str_radix(digits, radix).map_err(|_| XmlError::NotWellFormed)?;
    let character = char::from_u32(code).ok_or(XmlError::NotWellFormed)?;
    // §4.1, well-formedness constraint "Legal Character".
    let mut bytes = [0; 4];
    if is_forbidden_at(character.encode_utf8(&mut bytes).as_bytes(), 0) {
        return Err(XmlError::NotWellFormed);
    }
    Ok(character)
}
