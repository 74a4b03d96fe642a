//! One range of a file: RFC 9110 §14.

/// What of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// From the first to the last byte, both included.
    Part(u64, u64),
    /// What is not there (416).
    Nothing,
}

/// Reads a `Range` header for a file of this size. What is not understood, and several ranges,
/// count as none (§14.2).
pub(super) fn wanted(header: &str, size: u64) -> Wanted {
    let Some(("bytes", ranges)) = header.split_once('=') else {
        return Wanted::Whole;
    };
    let Some((first, last)) = ranges.trim().split_once('-') else {
        return Wanted::Whole;
    };
    match (number(first), number(last)) {
        (Some(Some(first)), Some(last)) => from(first, last, size),
        // §14.1.2: the last so many bytes.
        (Some(None), Some(Some(count))) if count > 0 && size > 0 => {
            Wanted::Part(size - count.min(size), size - 1)
        }
        (Some(None), Some(Some(_))) => Wanted::Nothing,
        _ => Wanted::Whole,
    }
}

fn from(first: u64, last: Option<u64>, size: u64) -> Wanted {
    match last {
        Some(last) if last < first => Wanted::Whole,
        _ if first >= size => Wanted::Nothing,
        last => Wanted::Part(first, last.unwrap_or(u64::MAX).min(size - 1)),
    }
}

/// A number, `Some(None)` for an empty text, `None` for what is none. A number too large for
/// us is larger than any file.
fn number(text: &str) -> Option<Option<u64>> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h06_every_range_lies_in_the_file_or_is_none() {
        for (header, of) in [
            ("bytes=0-0", Wanted::Part(0, 0)),
            ("bytes=2-", Wanted::Part(2, 9)),
            ("bytes=2-99", Wanted::Part(2, 9)),
            ("bytes=-3", Wanted::Part(7, 9)),
            ("bytes=-99", Wanted::Part(0, 9)),
            ("bytes=9-18446744073709551616", Wanted::Part(9, 9)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=18446744073709551616-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(wanted(header, 10), of, "{header}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }
}
