//! How much memory this process has and may have.
//!
//! What it may have is the least of what its control groups and all those above them say, and
//! of what the machine has. Leaves out swap: a server that swaps is slower than one that sheds.

use crate::config::Limits;
use klatsch_actors::strain::Memory;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Queues may take this part of the memory: most of it belongs to sessions.
const QUEUES_PART: u64 = 4;

/// What may be used: as configured, or what is there.
pub fn budget(limits: &Limits) -> Memory {
    let resident = match limits.memory_bytes_max {
        0 => available(Path::new("/")).unwrap_or(0),
        bytes => bytes,
    };
    let queued = match limits.queued_bytes_max {
        0 => resident / QUEUES_PART,
        bytes => bytes,
    };
    Memory { resident, queued }
}

/// Resident memory of this process, from `status`: it has KiB, where `statm` has pages, whose
/// size differs between machines.
pub fn resident_bytes() -> Option<u64> {
    kibibytes(&read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The least limit there is; `root` is `/` but in tests.
fn available(root: &Path) -> Option<u64> {
    let machine = read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let groups = read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let machine = kibibytes(&machine, "MemTotal:");
    let groups = groups.lines().filter_map(|line| of_group(root, line));
    groups.chain(machine).min()
}

/// The limit of a line of `/proc/self/cgroup` and of all groups above it: `0::PATH` in version
/// 2, `N:memory:PATH` in version 1.
fn of_group(root: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, path) = (parts.next()?, parts.next()?);
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let mount = root.join(mount);
    // In a container the path is often that of the host, and only the mount's root is there.
    let mut group: PathBuf = mount.join(path.trim_start_matches('/'));
    let mut least = None;
    while group.starts_with(&mount) {
        // Version 2 says `max` for none, and says nothing at its root.
        let limit = read_to_string(group.join(file)).ok();
        let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
        least = least.into_iter().chain(limit).min();
        group.pop();
    }
    least
}

fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, write};

    const MIB: u64 = 1024 * 1024;

    /// A machine of 4 GiB with these files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let all = [("proc/meminfo", "MemTotal:        4194304 kB\n")];
        for (path, text) in all.iter().chain(files) {
            let path = root.path().join(path);
            create_dir_all(path.parent().unwrap()).unwrap();
            write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn without_a_control_group_it_is_the_machines_memory() {
        assert_eq!(available(machine(&[]).path()), Some(4096 * MIB));
    }

    #[test]
    fn least_limit_of_all_groups_above_counts() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/system.slice/klatsch.service\n"),
            (
                "sys/fs/cgroup/system.slice/klatsch.service/memory.max",
                "max\n",
            ),
            ("sys/fs/cgroup/system.slice/memory.max", "268435456\n"),
        ]);
        assert_eq!(available(root.path()), Some(256 * MIB));
    }

    #[test]
    fn container_sees_its_limit_at_the_root() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/../../host/path\n"),
            ("sys/fs/cgroup/memory.max", "536870912\n"),
        ]);
        assert_eq!(available(root.path()), Some(512 * MIB));
    }

    #[test]
    fn version_one_is_read_and_its_no_limit_is_none() {
        let groups = "9:cpu,cpuacct:/a\n4:memory:/a\n";
        let limit = |text| {
            let file = "sys/fs/cgroup/memory/a/memory.limit_in_bytes";
            available(machine(&[("proc/self/cgroup", groups), (file, text)]).path())
        };
        assert_eq!(limit("268435456\n"), Some(256 * MIB));
        assert_eq!(limit("9223372036854771712\n"), Some(4096 * MIB));
    }

    #[test]
    fn settings_come_before_what_is_there() {
        let mut limits = Limits {
            memory_bytes_max: 400 * MIB,
            ..Limits::default()
        };
        assert_eq!(budget(&limits).queued, 100 * MIB);
        limits.queued_bytes_max = 7;
        let (resident, queued) = (400 * MIB, 7);
        assert_eq!(budget(&limits), Memory { resident, queued });
        assert!(
            budget(&Limits::default()).resident > 0,
            "this machine has some"
        );
    }

    #[test]
    fn process_knows_its_memory() {
        assert!(resident_bytes().unwrap() > MIB);
    }
}
