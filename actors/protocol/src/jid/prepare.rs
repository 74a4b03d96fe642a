//! Preparation of the three parts of an address: RFC 7622 §3.2 to §3.4.
//!
//! ASCII, which is nearly all there is, is decided here; everything else by the tables of
//! `precis-profiles` and `idna`.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::JidError;

/// RFC 7622 §3.2 to §3.4: each part has at most 1023 bytes.
const PART_BYTES_MAX: usize = 1023;
/// Unprepared text may be longer than what comes out, but not without bound: composed
/// characters shrink to about a third, width mapping likewise.
const UNPREPARED_BYTES_MAX: usize = 4 * PART_BYTES_MAX;
/// RFC 8264 §7: preparation is repeated until nothing changes, and refused if it goes on.
const ROUNDS_MAX: usize = 4;

/// Prepares a localpart: UsernameCaseMapped without the characters of RFC 7622 §3.3.1.
pub fn prepare_localpart(part: &str) -> Result<Cow<'_, str>, JidError> {
    check_unprepared(part)?;
    let prepared = if part.is_ascii() {
        // In the IdentifierClass all of printable ASCII but the space is valid (RFC 8264 §9.11).
        if !part.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(JidError::Localpart);
        }
        lower_ascii(part)
    } else {
        until_stable(part, |text| UsernameCaseMapped::enforce(text).ok())
            .ok_or(JidError::Localpart)?
    };
    // §3.3.1, looked at last: width mapping can make one of these from its wide form.
    if prepared.bytes().any(|byte| b"\"&'/:<>@".contains(&byte)) {
        return Err(JidError::Localpart);
    }
    check_prepared(prepared)
}

/// Prepares a domain: a host name in Unicode form, or an IPv6 literal in brackets
/// (RFC 7622 §3.2).
pub fn prepare_domain(part: &str) -> Result<Cow<'_, str>, JidError> {
    check_unprepared(part)?;
    if part.starts_with('[') {
        return prepare_ip_literal(part).map(Cow::Owned);
    }
    // §3.2: one final dot is taken away, also if it was written as another full stop.
    let stripped = part.strip_suffix('.').unwrap_or(part);
    if is_plain_host(stripped) {
        return check_prepared(lower_ascii(stripped));
    }
    let unicode = until_stable(part, host_to_unicode).ok_or(JidError::Domain)?;
    let host = unicode.strip_suffix('.').unwrap_or(&unicode);
    if !host.split('.').all(is_label) {
        return Err(JidError::Domain);
    }
    check_prepared(Cow::Owned(host.to_owned()))
}

/// Prepares a resource: OpaqueString (RFC 7622 §3.4).
pub fn prepare_resource(part: &str) -> Result<Cow<'_, str>, JidError> {
    check_unprepared(part)?;
    // OpaqueString leaves printable ASCII alone, spaces too.
    if part.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return check_prepared(Cow::Borrowed(part));
    }
    let prepared =
        until_stable(part, |text| OpaqueString::enforce(text).ok()).ok_or(JidError::Resource)?;
    check_prepared(prepared)
}

fn check_unprepared(part: &str) -> Result<(), JidError> {
    match part.len() {
        0 => Err(JidError::Empty),
        1..=UNPREPARED_BYTES_MAX => Ok(()),
        _ => Err(JidError::TooLong),
    }
}

fn check_prepared(part: Cow<'_, str>) -> Result<Cow<'_, str>, JidError> {
    match part.len() {
        0 => Err(JidError::Empty),
        1..=PART_BYTES_MAX => Ok(part),
        _ => Err(JidError::TooLong),
    }
}

fn lower_ascii(part: &str) -> Cow<'_, str> {
    if part.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(part.to_ascii_lowercase());
    }
    Cow::Borrowed(part)
}

fn until_stable<'a>(
    part: &'a str,
    prepare: impl for<'b> Fn(&'b str) -> Option<Cow<'b, str>>,
) -> Option<Cow<'a, str>> {
    let mut current = Cow::Borrowed(part);
    for _ in 0..ROUNDS_MAX {
        let next = prepare(&current)?;
        if next == current {
            return Some(current);
        }
        current = Cow::Owned(next.into_owned());
    }
    None
}

/// RFC 3986 §3.2.2 `IP-literal`, rewritten in the one form RFC 5952 gives an address.
fn prepare_ip_literal(part: &str) -> Result<String, JidError> {
    let inner = part
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let address: Ipv6Addr = inner
        .and_then(|inner| inner.parse().ok())
        .ok_or(JidError::Domain)?;
    Ok(format!("[{address}]"))
}

/// ASCII labels that UTS 46 would only turn to lower case.
fn is_plain_host(host: &str) -> bool {
    host.split('.').all(|label| {
        let bytes = label.as_bytes();
        !bytes.is_empty()
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
            && !bytes
                .get(..4)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"xn--"))
    })
}

/// UTS 46 §4.3 ToUnicode: lower case, A-labels to U-labels. Underscores are let through,
/// for hosts with such names exist.
fn host_to_unicode(host: &str) -> Option<Cow<'_, str>> {
    let (unicode, result) =
        Uts46::new().to_unicode(host.as_bytes(), AsciiDenyList::URL, Hyphens::CheckFirstLast);
    result.is_ok().then_some(unicode)
}

fn is_label(label: &str) -> bool {
    let is_allowed =
        |byte: u8| !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !label.is_empty() && label.bytes().all(is_allowed)
}
