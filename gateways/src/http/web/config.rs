//! `/config.json`: what the client has to know before it can ask by XMPP.
//!
//! Nothing in it is secret: whoever opens the page reads it.

use http::HeaderMap;
use serde::Serialize;

use super::settings::{Theme, WebFeatures, WebSettings};
use crate::http::host_meta;
use crate::http::requester::Requester;

/// What is said whoever asks.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Config {
    version: &'static str,
    /// The domains served; the first one is meant where none is said.
    domains: Vec<String>,
    theme: ThemeWithLogo,
    /// Origins that the embedded view listens to.
    embed_origins: Vec<String>,
    features: WebFeatures,
}

#[derive(Debug, Clone, Serialize)]
struct ThemeWithLogo {
    #[serde(flatten)]
    theme: Theme,
    logo: Option<&'static str>,
}

/// What is said to one who asks at some host.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    /// Where the WebSocket is (RFC 7395).
    websocket: String,
    /// Where BOSH is (XEP-0124).
    bosh: String,
    #[serde(flatten)]
    config: &'a Config,
}

impl Config {
    pub(super) fn new(settings: &WebSettings, domains: &[String], has_logo: bool) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            domains: domains.to_vec(),
            theme: ThemeWithLogo {
                theme: settings.theme.clone(),
                logo: has_logo.then_some(super::LOGO),
            },
            embed_origins: settings.embed_origins.clone(),
            features: settings.features.clone(),
        }
    }

    /// `None`: whoever asks does not say which host is meant.
    pub(super) fn told(&self, requester: Requester, headers: &HeaderMap) -> Option<Told<'_>> {
        let [websocket, bosh] = host_meta::ways(requester, headers)?;
        Some(Told {
            websocket,
            bosh,
            config: self,
        })
    }
}
