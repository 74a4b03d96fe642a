//! The limit of open files: each connection is one (row C13).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Fewer than this carry no organisation's connections.
pub const ENOUGH: u64 = 4096;

/// Raises the limit as far as the system lets this process, and tells what it is.
pub fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Refused at worst: then it stays what it was.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                ..limit
            },
        );
    }
    let now = current();
    if now < ENOUGH {
        tracing::warn!(
            open_files = now,
            "few connections fit under this limit of open files (ulimit -n)"
        );
    }
    now
}

/// The limit now.
pub fn current() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_raised_as_far_as_allowed() {
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(raise(), limit.maximum.unwrap_or(u64::MAX));
    }
}
