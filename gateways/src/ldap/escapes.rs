//! Bytes that are written as a sign and two digits: in filters a backslash (RFC 4515 §3), in URLs a
//! percent sign (RFC 3986 §2.1).

/// The text behind such writing; `None` when a sign has no digits, or no text is behind it.
pub(super) fn decoded(text: &str, sign: u8) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != sign {
            bytes.push(*byte);
            continue;
        }
        let digits = str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = rest.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}
