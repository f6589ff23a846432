//! How much memory the process may take, and for what.

use std::{fs, path::Path};

/// Without a limit of its own the process keeps to what the manifests in `deploy/` give it.
const WITHOUT_LIMIT: usize = 128 * MIB;

/// The part for records that clients have read ahead. The rest is for the records that the app
/// works on (`maxInFlightBytes`), for what is published, and for the process itself.
const FOR_READING_AHEAD: usize = 4;

/// The least that is useful: one fetch of a few partitions.
const LEAST_FOR_READING_AHEAD: usize = 8 * MIB;

const MIB: usize = 1024 * 1024;

/// How many bytes of records all clients of this process may have read ahead; `given` is the
/// limit in MiB that the process was told, else the container's holds.
pub fn for_reading_ahead(given: Option<u32>) -> usize {
    let limit = match given {
        Some(mib) => mib as usize * MIB,
        None => limit(Path::new("/")).unwrap_or(WITHOUT_LIMIT),
    };
    (limit / FOR_READING_AHEAD).max(LEAST_FOR_READING_AHEAD)
}

/// The memory limit of the control group that this process is in, in bytes; `None` if it has none.
///
/// Kernel documentation, `admin-guide/cgroup-v2.rst` (`memory.max`) and `cgroup-v1/memory.rst`
/// (`memory.limit_in_bytes`). The limits of the groups above hold as well. In a container the
/// group is often mounted as the root of the hierarchy, so that is looked at too.
fn limit(root: &Path) -> Option<usize> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        for group in Path::new(group.trim_start_matches('/')).ancestors() {
            let text = fs::read_to_string(root.join(mount).join(group).join(file));
            limits.extend(text.ok().as_deref().and_then(bytes));
        }
    }
    limits.into_iter().min()
}

/// A limit as the kernel writes it. Without one it writes `max` (version 2), or a number near
/// 2^63 (version 1).
fn bytes(text: &str) -> Option<usize> {
    let bytes = text.trim().parse().ok()?;
    (bytes < 1 << 60).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit where the kernel shows these files.
    fn limit_with(files: &[(&str, &str)]) -> Option<usize> {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        limit(root.path())
    }

    #[test]
    fn the_containers_limit_is_found_in_both_versions() {
        let v2 = ("proc/self/cgroup", "0::/\n");
        let limited = ("sys/fs/cgroup/memory.max", "134217728\n");
        assert_eq!(limit_with(&[v2, limited]), Some(128 * MIB));
        let unlimited = ("sys/fs/cgroup/memory.max", "max\n");
        assert_eq!(limit_with(&[v2, unlimited]), None);
        let v1 = ("proc/self/cgroup", "12:cpu:/pod\n3:memory:/pod\n");
        let (file, all) = (
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(limit_with(&[v1, (file, all)]), None);
        assert_eq!(limit_with(&[v1, (file, "268435456\n")]), Some(256 * MIB));
        assert_eq!(limit_with(&[]), None);
    }

    #[test]
    fn the_smallest_limit_above_a_group_holds() {
        let group = ("proc/self/cgroup", "0::/kubepods/pod1/c1\n");
        let own = ("sys/fs/cgroup/kubepods/pod1/c1/memory.max", "max\n");
        let pods = ("sys/fs/cgroup/kubepods/pod1/memory.max", "134217728\n");
        let all = ("sys/fs/cgroup/kubepods/memory.max", "8589934592\n");
        assert_eq!(limit_with(&[group, own, pods, all]), Some(128 * MIB));
    }

    #[test]
    fn a_quarter_is_for_reading_ahead() {
        assert_eq!(for_reading_ahead(Some(128)), 32 * MIB);
        assert_eq!(for_reading_ahead(Some(16)), LEAST_FOR_READING_AHEAD);
    }
}
