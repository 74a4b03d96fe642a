//! What an operator may tune of uploads.

use std::time::Duration;

use super::slot::{Key, Purpose};
use crate::time::Timestamp;

/// What decisions about slots go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What addresses begin with, without a slash at the end; `{domain}` stands for the domain.
    pub url: String,
    /// Signs slots.
    pub key: Key,
    /// Bytes of one file.
    pub size_bytes_max: u64,
    /// Bytes of all an account's files that are sent in messages.
    pub quota_bytes_per_account: u64,
    /// Files of an account, those of profiles counted apart.
    pub files_per_account_max: u64,
    /// How long a file is kept.
    pub retention: Duration,
    /// Bytes of one file of a profile.
    pub profile_size_bytes_max: u64,
    /// Bytes of all files of an account's profile.
    pub profile_quota_bytes: u64,
    /// How long a file of a profile is kept.
    pub profile_retention: Duration,
    /// How long a slot waits for its upload to begin.
    pub put_patience: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const MIB: u64 = 1024 * 1024;

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: String::new(),
            key: Key::new([0; 32]),
            // A video of a minute or two from a telephone.
            size_bytes_max: 100 * MIB,
            // Ten of the largest, some hundred photographs.
            quota_bytes_per_account: 1024 * MIB,
            // Bounds the rows of an account that uploads single bytes.
            files_per_account_max: 10_000,
            // A device that comes back from a long holiday still finds its pictures.
            retention: 30 * DAY,
            // XEP-0363 §6.2: profiles want smaller files, less of them, for longer. Clients keep
            // avatars in nodes; these are the large variants and cover pictures.
            profile_size_bytes_max: 4 * MIB,
            profile_quota_bytes: 32 * MIB,
            profile_retention: 2 * 365 * DAY,
            // §9: around 300 seconds.
            put_patience: Duration::from_secs(300),
        }
    }
}

impl Settings {
    /// What the addresses of a domain begin with.
    pub fn base(&self, domain: &str) -> String {
        self.url.trim_end_matches('/').replace("{domain}", domain)
    }

    /// The largest file: what would not fit the empty quota would never get a slot.
    pub fn size_max(&self, purpose: Purpose) -> u64 {
        let size = match purpose {
            Purpose::Message | Purpose::Ephemeral => self.size_bytes_max,
            Purpose::Profile => self.profile_size_bytes_max.min(self.size_bytes_max),
        };
        size.min(self.quota(purpose))
    }

    /// Bytes that all files counted together with these may have.
    pub fn quota(&self, purpose: Purpose) -> u64 {
        match purpose {
            Purpose::Message | Purpose::Ephemeral => self.quota_bytes_per_account,
            Purpose::Profile => self.profile_quota_bytes,
        }
    }

    /// Until when a file is kept that comes now.
    pub(super) fn keep_until(&self, purpose: Purpose, now: Timestamp) -> Timestamp {
        now.plus(match purpose {
            Purpose::Message | Purpose::Ephemeral => self.retention,
            Purpose::Profile => self.profile_retention,
        })
    }
}
