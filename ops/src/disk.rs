//! The disk that messages are kept on: how much is free, and from where on none is taken
//! (row C13).
//!
//! A reserve is kept because SQLite's answer to a disk that is full to the last byte is right
//! but late: rosters, cursors and the administrator's own commands need room, too.

use crate::config::Config;
use std::io;
use std::path::{Path, PathBuf};

/// The reserve on a disk of some size: twice the 32 MiB to which the write-ahead log grows, so
/// that folding it into the database always fits, and room is left for everything but messages.
const RESERVE: u64 = 64 * 1024 * 1024;

/// On a smaller disk the reserve is this part of it: the write-ahead log may then fill the
/// other, and still fits.
const PART: u64 = 2;

/// What a file system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Bytes of the whole file system.
    pub total: u64,
}

impl Disk {
    /// Asks the file system that a folder is on. Blocks while it does not answer.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(Self {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            total: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    /// What stays free: as much as configured, or what fits the disk.
    pub fn reserve(&self, configured: u64) -> u64 {
        match configured {
            0 => RESERVE.min(self.total / PART),
            bytes => bytes,
        }
    }

    /// Tells whether messages are refused. Once they are, a quarter more than the reserve has to
    /// be free: a sweep's few pages must not open and shut the door.
    pub fn is_low(&self, reserve: u64, was_low: bool) -> bool {
        let wanted = if was_low {
            reserve.saturating_add(reserve / 4)
        } else {
            reserve
        };
        self.free < wanted
    }
}

/// Where the store's file lies; `None` if it has none.
pub fn folder(config: &Config) -> Option<PathBuf> {
    let file = config.data.join(config.store.url.strip_prefix("sqlite:")?);
    Some(file.parent().unwrap_or(&config.data).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn reserve_fits_the_disk() {
        let of = |total| Disk { free: 0, total };
        assert_eq!(of(100 * 1024 * MIB).reserve(0), 64 * MIB);
        assert_eq!(of(20 * MIB).reserve(0), 10 * MIB);
        assert_eq!(of(20 * MIB).reserve(5), 5);
    }

    #[test]
    fn more_than_the_reserve_must_be_free_for_a_recovery() {
        let free = |free| Disk { free, total: 1000 };
        assert!(!free(100).is_low(100, false));
        assert!(free(99).is_low(100, false));
        assert!(free(124).is_low(100, true));
        assert!(!free(125).is_low(100, true));
    }

    #[test]
    fn store_of_a_memory_has_no_disk() {
        let mut config = Config {
            data: "/data".into(),
            ..Config::default()
        };
        assert_eq!(folder(&config), Some("/data".into()));
        config.store.url = "sqlite:/else/k.db".to_owned();
        assert_eq!(folder(&config), Some("/else".into()));
        config.store.url = "memory:".to_owned();
        assert_eq!(folder(&config), None);
    }

    #[test]
    fn file_system_answers() {
        let disk = Disk::of(Path::new("/")).unwrap();
        assert!(disk.total > 0 && disk.free <= disk.total);
    }
}
