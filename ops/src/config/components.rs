//! External components (XEP-0114).

use std::collections::BTreeMap;
use std::fmt;

use super::settings::settings;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::stream::component::Secrets;
use serde::{Deserialize, Serialize};

settings! {
    /// Programs that serve hosts of their own, such as gateways, bots and app servers; they connect at listen.component.
    pub struct Components {
        /// The secret of each host, as in { "bot.example.org" = "a long secret" }.
        secrets: BTreeMap<String, Hidden> = BTreeMap::new();
    }
}

/// A text that is shown nowhere.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; the name makes uses easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Tells whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("hidden")
    }
}

impl Components {
    /// The same as the gateway takes it; what is no host has been refused before.
    pub fn secrets(&self) -> Secrets {
        let known = self.secrets.iter();
        let read = known.filter_map(|(host, secret)| {
            let host = BareJid::parse(host).ok()?;
            Some((host, Secret::new(secret.0.as_str())))
        });
        read.collect()
    }

    /// To be printed.
    pub fn without_secrets(&self) -> Self {
        let hidden = |host: &String| (host.clone(), Hidden("hidden".to_owned()));
        Self {
            secrets: self.secrets.keys().map(hidden).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn secrets_are_read_and_never_shown() {
        let toml = "[components]\nsecrets = { \"Bot.example.org\" = \"hush\" }";
        let config: Config = toml::from_str(toml).unwrap();
        let secrets = config.components.secrets();
        let host = BareJid::parse("bot.example.org").unwrap();
        assert_eq!(secrets.get(&host).map(Secret::expose), Some("hush"));
        for shown in [config.print(), format!("{config:?}")] {
            assert!(
                !shown.contains("hush") && shown.contains("hidden"),
                "{shown}"
            );
        }
    }
}
