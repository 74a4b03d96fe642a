//! What can be said of the web client.

use std::path::PathBuf;

use serde::Serialize;

/// How the web client is served, and what it is told.
#[derive(Debug, Clone, Default)]
pub struct WebSettings {
    /// Where its files are; `None`: those in the program.
    pub folder: Option<PathBuf>,
    /// What it looks like.
    pub theme: Theme,
    /// A picture in the place of ours.
    pub logo: Option<PathBuf>,
    /// Origins whose pages may show the embedded view; [`is_origin`] holds for each.
    pub embed_origins: Vec<String>,
    /// Where uploaded files are, besides our own host; [`is_origin`] holds for each.
    pub upload_origins: Vec<String>,
    /// What the server offers.
    pub features: WebFeatures,
}

/// What the client looks like.
#[derive(Debug, Clone, Serialize)]
pub struct Theme {
    /// What it is called.
    pub name: String,
    /// The colour of what matters, as [`is_accent`] has it; `None`: the client's own.
    pub accent: Option<String>,
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            name: "klatsch".to_owned(),
            accent: None,
        }
    }
}

/// What the server offers.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WebFeatures {
    /// Anybody may make an account.
    pub registration: bool,
    /// Users may invite others.
    pub invitations: bool,
    /// The client shows calls.
    pub calls: bool,
    /// Files can be sent.
    pub upload: Option<UploadFeature>,
    /// Browsers are told at `push.DOMAIN` (`urn:klatsch:web-push:0`).
    pub push: Option<PushFeature>,
}

/// What browsers need to subscribe.
#[derive(Debug, Clone, Serialize)]
pub struct PushFeature {
    /// The server's public key (RFC 8292 §3.2), base64url.
    pub key: String,
}

/// What files may be sent.
#[derive(Debug, Clone, Serialize)]
pub struct UploadFeature {
    /// Bytes of one.
    pub file_bytes_max: u64,
}

/// Tells whether this is a colour as `#rrggbb`: it goes into style sheets.
pub fn is_accent(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Tells whether this is an origin as browsers write it, and nothing that a policy could
/// take for more: a scheme, a host and an optional port.
pub fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://");
    let host = host.or_else(|| text.strip_prefix("http://"));
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    host.is_some_and(|host| !host.is_empty() && host.len() <= 261 && host.bytes().all(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h12_only_an_exact_origin_is_one() {
        for origin in [
            "https://mail.example.org",
            "http://localhost:8080",
            "https://[::1]:443",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in [
            "*",
            "https:",
            "https://",
            "https://*",
            "https://*.example.org",
            "https://a.example/",
            "https://a.example; script-src *",
            "https://a.example 'self'",
            "null",
            "data:",
            "https://A.example",
        ] {
            assert!(!is_origin(other), "{other}");
        }
    }

    #[test]
    fn colour_is_nothing_else() {
        assert!(is_accent("#8a3b12") && is_accent("#FFFFFF"));
        for other in ["red", "#fff", "#8a3b1g", "#8a3b12;", "8a3b12"] {
            assert!(!is_accent(other), "{other}");
        }
    }
}
