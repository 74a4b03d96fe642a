//! What a file is, by its name's ending. Browsers are told not to guess (nosniff), so every
//! kind the client is made of stands here.

/// Scripts.
pub(super) const SCRIPT: &str = "text/javascript; charset=utf-8";
/// Pages.
pub(super) const PAGE: &str = "text/html; charset=utf-8";
/// Anything else.
pub(super) const UNKNOWN: &str = "application/octet-stream";

const KINDS: [(&str, &str); 22] = [
    ("html", PAGE),
    ("js", SCRIPT),
    ("mjs", SCRIPT),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("txt", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("gif", "image/gif"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
    ("wasm", "application/wasm"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("m4a", "audio/mp4"),
    ("wav", "audio/wav"),
];

/// The type of a file with this name.
pub(super) fn of(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let known = KINDS.iter().find(|(known, _)| *known == ending);
    known.map_or(UNKNOWN, |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_scripts_and_what_is_unknown_is_nothing_that_runs() {
        assert_eq!(of("assets/a-12345678.js"), SCRIPT);
        assert_eq!(of("manifest.webmanifest"), "application/manifest+json");
        for unknown in ["js", "a.php", "", ".", "a.JS"] {
            assert_eq!(of(unknown), UNKNOWN, "{unknown}");
        }
    }
}
