//! Puts defaults, file, environment and flags over one another.
//!
//! The file is read by itself first, so that what is wrong with it is told with its line.

use super::{Config, Kolab, kolab};
use crate::cluster::joined::Joined;
use crate::error::Error;
use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Serialized};
use std::path::{Path, PathBuf};

/// What stands before every variable of ours.
const PREFIX: &str = "KLATSCH__";

/// Where a file is looked for when none is named.
const PLACES: &[&str] = &["klatsch.toml", "/etc/klatsch/klatsch.toml"];

/// What flags set: over file and environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`: this file and no other; it must be there.
    pub file: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--domain`, as often as given.
    pub domains: Vec<String>,
}

/// The settings and where they came from.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// What was taken from Kolab on this host, if there is one.
    pub kolab: Option<kolab::Found>,
}

/// Loads the settings.
pub fn load(overrides: &Overrides) -> Result<Loaded, Error> {
    let file = overrides.file.clone().or_else(found);
    let mut base = file
        .as_deref()
        .map_or_else(|| Ok(Config::default()), read)?;
    // systemd names a service's own directory; a file, variable or flag goes over it.
    if base.data == Config::default().data
        && let Some(directory) = std::env::var_os("STATE_DIRECTORY")
    {
        base.data = PathBuf::from(directory);
    }
    let mut layers =
        Figment::from(Serialized::defaults(base)).merge(Env::prefixed(PREFIX).split("__"));
    if let Some(data) = &overrides.data {
        layers = layers.merge(Serialized::default("data", data));
    }
    if !overrides.domains.is_empty() {
        layers = layers.merge(Serialized::default("domains", &overrides.domains));
    }
    let mut config: Config = layers.extract().map_err(explain)?;
    // What nobody has set, a node takes from its cluster.
    if let Some(told) = Joined::read(&config.data)? {
        told.apply(&mut config);
    }
    let kolab = Kolab::apply(&mut config);
    config.auth.ask_who_is_named();
    Ok(Loaded {
        config,
        file,
        kolab,
    })
}

fn found() -> Option<PathBuf> {
    PLACES
        .iter()
        .map(PathBuf::from)
        .find(|place| place.is_file())
}

fn read(file: &Path) -> Result<Config, Error> {
    let text = std::fs::read_to_string(file).map_err(Error::io("cannot read", file))?;
    parse(&text).map_err(|complaint| Error::Config(format!("{}: {complaint}", file.display())))
}

/// Reads a file's text; an error names the line.
fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map(|span| 1 + text[..span.start].matches('\n').count());
        let line = line.map_or_else(String::new, |line| format!("line {line}: "));
        format!("{line}{}", error.message().replace("field", "key"))
    })
}

/// Says which variable is wrong, for what remains wrong after the file was read is the environment's.
fn explain(errors: figment::Error) -> Error {
    let lines: Vec<String> = errors
        .into_iter()
        .map(|error| explain_one(&error))
        .collect();
    Error::Config(lines.join("\n"))
}

fn explain_one(error: &figment::Error) -> String {
    let mut path = error.path.clone();
    if let Kind::UnknownField(key, _) = &error.kind
        && path.last() != Some(key)
    {
        path.push(key.clone());
    }
    let variable = format!("{PREFIX}{}", path.join("__").to_uppercase());
    format!(
        "{variable}: {}",
        error.kind.to_string().replace("field", "key")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Listen;

    #[test]
    fn unknown_key_is_refused_with_its_name_and_line() {
        let complaint = parse("domains = []\n[limits]\nlogin_ban = 3\nheight = 4\n").unwrap_err();
        assert!(
            complaint.starts_with("line 4: unknown key `height`"),
            "{complaint}"
        );
    }

    #[test]
    fn unknown_section_is_refused_with_its_line() {
        let complaint = parse("\n\n[lisen]\nc2s = \"off\"\n").unwrap_err();
        assert!(
            complaint.starts_with("line 3: unknown key `lisen`"),
            "{complaint}"
        );
    }

    #[test]
    fn value_of_the_wrong_kind_is_refused_with_its_line() {
        let complaint = parse("[listen]\nc2s = \"everywhere\"\n").unwrap_err();
        assert!(
            complaint.starts_with("line 2: \"everywhere\" is neither"),
            "{complaint}"
        );
        assert!(
            parse("[c2s]\nrequire_tls = 1\n")
                .unwrap_err()
                .starts_with("line 2: ")
        );
        assert!(parse("[c2s\n").unwrap_err().starts_with("line 1: "));
    }

    #[test]
    fn every_listen_key_of_the_design_is_accepted() {
        for key in [
            "c2s", "c2s_tls", "s2s", "s2s_tls", "http", "https", "metrics", "stun",
        ] {
            for value in ["off", "127.0.0.1:1", "[::1]:1"] {
                parse(&format!("[listen]\n{key} = \"{value}\"\n")).unwrap();
            }
        }
    }

    /// figment's jail needs its `test` feature and a lock over the process; what the environment
    /// does is shown through a provider of the same kind instead.
    fn with_variables(variables: &[(&str, &str)]) -> Result<Config, Error> {
        let mut layers = Figment::from(Serialized::defaults(Config::default()));
        for (name, value) in variables {
            let key = name
                .strip_prefix(PREFIX)
                .unwrap()
                .to_lowercase()
                .replace("__", ".");
            let value: figment::value::Value = value.parse().unwrap();
            layers = layers.merge(Serialized::default(&key, value));
        }
        layers.extract().map_err(explain)
    }

    #[test]
    fn variable_goes_over_the_file() {
        let config = with_variables(&[
            ("KLATSCH__LISTEN__C2S", "127.0.0.1:15222"),
            ("KLATSCH__LIMITS__LOGIN_BAN", "12"),
            ("KLATSCH__DOMAINS", "[\"a.example\", \"b.example\"]"),
        ]);
        let config = config.unwrap();
        assert_eq!(
            config.listen.c2s,
            "127.0.0.1:15222".parse::<Listen>().unwrap()
        );
        assert_eq!(
            (config.limits.login_ban, config.limits.close_timeout),
            (12, 5)
        );
        assert_eq!(config.domains(), ["a.example", "b.example"]);
    }

    #[test]
    fn unknown_variable_is_refused_with_its_name() {
        let complaint = with_variables(&[("KLATSCH__LIMITS__HEIGHT", "4")])
            .unwrap_err()
            .to_string();
        assert!(
            complaint.starts_with("KLATSCH__LIMITS__HEIGHT: unknown key"),
            "{complaint}"
        );
    }

    #[test]
    fn variable_of_the_wrong_kind_is_refused_with_its_name() {
        let complaint = with_variables(&[("KLATSCH__LISTEN__C2S", "nowhere")])
            .unwrap_err()
            .to_string();
        assert!(
            complaint.starts_with("KLATSCH__LISTEN__C2S: "),
            "{complaint}"
        );
    }

    #[test]
    fn node_that_has_joined_takes_what_nobody_has_set_from_its_cluster() {
        let folder = tempfile::tempdir().unwrap();
        let told = Joined {
            domains: vec!["told.example".to_owned()],
            store_url: "postgres://db/k".to_owned(),
            ..Joined::default()
        };
        told.write(folder.path()).unwrap();
        let mut overrides = Overrides {
            data: Some(folder.path().to_owned()),
            ..Overrides::default()
        };
        let config = load(&overrides).unwrap().config;
        assert_eq!(config.domains(), ["told.example"]);
        assert_eq!(config.store.url, "postgres://db/k");
        overrides.domains = vec!["flag.example".to_owned()];
        assert_eq!(load(&overrides).unwrap().config.domains(), ["flag.example"]);
    }

    #[test]
    fn flag_goes_over_all_and_a_named_file_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("k.toml");
        std::fs::write(
            &file,
            "data = \"/from/file\"\ndomains = [\"file.example\"]\n",
        )
        .unwrap();
        let mut overrides = Overrides {
            file: Some(file),
            ..Overrides::default()
        };
        assert_eq!(
            load(&overrides).unwrap().config.data,
            Path::new("/from/file")
        );
        overrides.data = Some("/from/flag".into());
        overrides.domains = vec!["flag.example".to_owned()];
        let config = load(&overrides).unwrap().config;
        assert_eq!(config.data, Path::new("/from/flag"));
        assert_eq!(config.domains(), ["flag.example"]);
        overrides.file = Some(folder.path().join("none.toml"));
        assert!(matches!(load(&overrides), Err(Error::Io { .. })));
    }
}
