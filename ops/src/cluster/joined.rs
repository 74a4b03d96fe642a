//! What a node was told when it joined: the settings it takes where its own say nothing.
//!
//! Kept as `cluster.toml` in the data directory. Whatever is set in a file, the environment or
//! by a flag goes over it.

use crate::boot::data_dir::write_secret;
use crate::config::{Config, Listen, cluster};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The file's name.
const FILE: &str = "cluster.toml";

/// The file's first lines.
const HEAD: &str = "# What klatsch cluster join was told. Settings elsewhere go over it; without this file\n\
                    # and settings of its own the node is no part of the cluster.\n";

/// What a cluster tells a new node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Joined {
    /// The domains served.
    pub domains: Vec<String>,
    /// The store that all share, with its password.
    pub store_url: String,
    /// Nodes of the cluster, HOST:PORT.
    pub peers: Vec<String>,
    /// The name that is looked up for nodes.
    pub dns: Option<String>,
}

impl Joined {
    /// Reads what a node was told, if it has joined.
    ///
    /// # Errors
    /// The file cannot be read, or is none.
    pub fn read(data: &Path) -> Result<Option<Self>, Error> {
        let path = data.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(|_| {
                // The parser's message would show the line: the store's password.
                Error::Config(format!(
                    "{} is damaged: remove it, and join again",
                    path.display()
                ))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("cannot read", &path)(error)),
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, data: &Path) -> Result<(), Error> {
        let text = toml::to_string(self).map_err(|error| Error::Config(error.to_string()))?;
        write_secret(&data.join(FILE), format!("{HEAD}{text}").as_bytes())
    }

    /// Sets what settings leave at its default.
    pub fn apply(self, config: &mut Config) {
        let usual = Config::default();
        if config.domains == usual.domains {
            config.domains = self.domains;
        }
        if config.store.url == usual.store.url && !self.store_url.is_empty() {
            config.store.url = self.store_url;
        }
        if config.cluster.peers.is_empty() && config.cluster.dns.is_none() {
            (config.cluster.peers, config.cluster.dns) = (self.peers, self.dns);
        }
        if config.cluster.listen == Listen::Off {
            config.cluster.listen = Listen::Everywhere(cluster::PORT);
        }
    }

    /// What a node tells others of its settings.
    pub fn of(config: &Config) -> Self {
        let mut peers = vec![config.cluster.advertise()];
        peers.extend(config.cluster.peers.iter().cloned());
        Self {
            domains: config.domains(),
            store_url: config.store.url.clone(),
            peers,
            dns: config.cluster.dns.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::data_dir::is_open_to_others;

    fn told() -> Joined {
        Joined {
            domains: vec!["a.example".to_owned()],
            store_url: "postgres://klatsch:secret@db/klatsch".to_owned(),
            peers: vec!["10.0.0.1:5290".to_owned()],
            dns: None,
        }
    }

    #[test]
    fn node_that_has_joined_needs_no_settings() {
        let mut config = Config::default();
        told().apply(&mut config);
        assert_eq!(config.domains(), ["a.example"]);
        assert_eq!(config.store.url, told().store_url);
        assert_eq!(config.cluster.peers, told().peers);
        assert!(config.cluster.is_on());
        assert_eq!(config.cluster.listen, Listen::Everywhere(5290));
    }

    #[test]
    fn what_is_set_goes_over_what_was_told() {
        let text = "domains = \"b.example\"\n[store]\nurl = \"postgres://other/k\"\n\
                    [cluster]\nlisten = \"10.0.0.2:7\"\ndns = \"nodes.example\"\n";
        let set: Config = toml::from_str(text).unwrap();
        let mut config = set.clone();
        told().apply(&mut config);
        assert_eq!(config, set);
    }

    #[test]
    fn what_was_told_is_kept_for_its_owner_alone_and_not_shown_when_damaged() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Joined::read(folder.path()).unwrap(), None);
        told().write(folder.path()).unwrap();
        assert_eq!(Joined::read(folder.path()).unwrap(), Some(told()));
        let path = folder.path().join(FILE);
        assert!(!is_open_to_others(&path));
        fs::write(&path, "store_url = secret").unwrap();
        let error = Joined::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("cluster.toml is damaged") && !error.contains("secret"));
    }

    #[test]
    fn node_tells_where_it_is_and_whom_it_knows() {
        let text = "domains = \"a.example\"\n[store]\nurl = \"postgres://db/k\"\n\
                    [cluster]\nlisten = \"10.0.0.1:5290\"\npeers = \"10.0.0.2:5290\"\n";
        let told = Joined::of(&toml::from_str(text).unwrap());
        assert_eq!(told.peers, ["10.0.0.1:5290", "10.0.0.2:5290"]);
        assert_eq!(told.domains, ["a.example"]);
    }
}
