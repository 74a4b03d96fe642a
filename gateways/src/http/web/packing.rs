//! Which of a file's packed forms somebody takes: Accept-Encoding (RFC 9110 §12.5.3).
//!
//! Leaves out weights beyond none at all: whoever takes brotli gets it, for it is the smallest.

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A way in which files were packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Brotli,
    Gzip,
}

/// The smaller one first.
const ALL: [Packing; 2] = [Packing::Brotli, Packing::Gzip];

impl Packing {
    /// What is added to a file's name.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    /// Its content coding.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// Tells whether a name is that of a packed form.
    pub(super) fn is_packed(name: &str) -> bool {
        ALL.iter().any(|packing| name.ends_with(packing.ending()))
    }
}

/// What somebody takes, the best first.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<Packing> {
    let lines = headers.get_all(ACCEPT_ENCODING).iter();
    let codings: Vec<(String, bool)> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(coding)
        .collect();
    let said = |name: &str| codings.iter().find(|(coding, _)| coding == name);
    let takes = |packing: &Packing| {
        let said = said(packing.name()).or_else(|| said("*"));
        said.is_some_and(|(_, takes)| *takes)
    };
    ALL.into_iter().filter(takes).collect()
}

/// A coding, and whether it is wanted at all.
fn coding(text: &str) -> (String, bool) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q="));
    // What cannot be read is no promise to unpack it.
    let is_wanted = weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|it| it > 0.0));
    (name, is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(line: &'static str) -> Vec<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, line.parse().unwrap());
        accepted(&headers).into_iter().map(Packing::name).collect()
    }

    #[test]
    fn only_what_is_asked_for_is_given() {
        assert_eq!(takes("gzip, deflate, br, zstd"), ["br", "gzip"]);
        assert_eq!(takes("GZIP"), ["gzip"]);
        assert_eq!(takes("br;q=0, gzip;q=0.5"), ["gzip"]);
        assert_eq!(takes("*"), ["br", "gzip"]);
        assert_eq!(takes("*;q=0"), [""; 0]);
        assert_eq!(takes("br; q=0.0, *"), ["gzip"]);
        assert_eq!(takes("br;q=much"), [""; 0]);
        assert_eq!(takes("identity"), [""; 0]);
        assert_eq!(accepted(&HeaderMap::new()), []);
    }
}
