//! People and groups of a directory: whether they are followed, and how.

use super::settings::settings;
use super::{Backend, Config};
use klatsch_gateways::colleagues::{Measures, Pace};
use std::time::Duration;

settings! {
    /// People and groups of the directory, see ldap: colleagues in each other's contact list, further
    /// addresses, pictures, and accounts before anybody has logged in.
    pub struct Directory {
        /// Read it, where auth.backends has ldap. false: logins alone ask it.
        enabled: bool = true;
        /// Seconds from one reading to the next.
        poll_seconds: u64 = Pace::default().every.as_secs();
        /// Members of a group who are in each other's contact list; a larger group is a room alone.
        group_members_max: usize = Measures::default().group_members_max;
        /// An organisation without any groups is one group, if it has fewer people than this. 0: never.
        everybody_max: usize = Measures::default().everybody_max;
    }
}

impl Directory {
    /// How often it is read.
    pub fn pace(&self) -> Pace {
        Pace {
            every: Duration::from_secs(self.poll_seconds.max(1)),
        }
    }

    /// What is made of it.
    pub fn measures(&self) -> Measures {
        Measures {
            group_members_max: self.group_members_max,
            everybody_max: self.everybody_max,
        }
    }
}

impl Config {
    /// Whether there is a directory whose people are followed.
    pub fn follows_directory(&self) -> bool {
        self.directory.enabled && self.auth.backends.contains(&Backend::Ldap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_followed_where_people_log_in_by_it_unless_it_is_off() {
        let follows = |toml: &str| {
            let config: Config = toml::from_str(toml).unwrap();
            config.follows_directory()
        };
        assert!(!follows(""));
        let by_ldap = "[auth]\nbackends = [\"internal\", \"ldap\"]\n";
        assert!(follows(by_ldap));
        assert!(!follows(&format!(
            "{by_ldap}[directory]\nenabled = false\n"
        )));
    }
}
