//! How much memory there is.

use std::path::Path;

/// Bytes that this process can still take: what the system has available, or less where a control group limits it; none where
/// the system does not say.
///
/// A system that lends more than it has (overcommit) grants an allocation and kills the process when it is used: whoever lets a
/// configuration or a caller choose a size compares it with this first.
pub(crate) fn available() -> Option<u64> {
    let system = read("/proc/meminfo").and_then(|text| meminfo(&text));
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let root = Path::new("/sys/fs/cgroup");
    [
        system,
        VERSION_2.left(root, &groups),
        VERSION_1.left(root, &groups),
    ]
    .into_iter()
    .flatten()
    .min()
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// "MemAvailable:  123 kB".
fn meminfo(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Where one version of control groups tells of memory.
struct Groups {
    /// The folder of its hierarchy.
    folder: &'static str,
    /// Name in `/proc/self/cgroup`.
    controller: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// Cached files, of the group and those below: they count as used, but are given up when memory is needed.
    cached: [&'static str; 2],
}

const VERSION_2: Groups = Groups {
    folder: "",
    controller: "",
    limit: "memory.max",
    usage: "memory.current",
    cached: ["inactive_file", "active_file"],
};

const VERSION_1: Groups = Groups {
    folder: "memory",
    controller: "memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cached: ["total_inactive_file", "total_active_file"],
};

impl Groups {
    /// The path of this process's group in the text of `/proc/self/cgroup`, whose lines are `ID:CONTROLLERS:PATH`; version 2 has
    /// one line, without controllers.
    fn path<'a>(&self, groups: &'a str) -> Option<&'a str> {
        groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let is_this = controllers.split(',').any(|name| name == self.controller);
            is_this.then_some(path)
        })
    }

    /// What the group of this process and those that it is in leave: the least of all. In a container the path may be that on
    /// its host, while the container's own group is the root of what is mounted: groups that are not there do not count.
    fn left(&self, root: &Path, groups: &str) -> Option<u64> {
        let path = self.path(groups)?.trim_start_matches('/');
        let root = root.join(self.folder);
        let group = root.join(path);
        group
            .ancestors()
            .take_while(|group| group.starts_with(&root))
            .filter_map(|group| self.left_in(group))
            .min()
    }

    fn left_in(&self, group: &Path) -> Option<u64> {
        let number = |name: &str| -> Option<u64> { read(group.join(name))?.trim().parse().ok() };
        let (limit, used) = (number(self.limit)?, number(self.usage)?);
        let statistics = read(group.join("memory.stat")).unwrap_or_default();
        let cached = statistics.lines().filter_map(|line| {
            let (name, bytes) = line.split_once(' ')?;
            self.cached.contains(&name).then(|| bytes.parse().ok())?
        });
        let cached = cached.fold(0, u64::saturating_add);
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_read() {
        let text =
            "MemTotal:  16000000 kB\nMemFree: 10 kB\nMemAvailable:    2048 kB\nBuffers: 1 kB\n";
        assert_eq!(meminfo(text), Some(2048 * 1024));
        assert_eq!(meminfo("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn groups_are_found_by_their_controller() {
        let second = "0::/user.slice/job.scope\n";
        assert_eq!(VERSION_2.path(second), Some("/user.slice/job.scope"));
        assert_eq!(VERSION_1.path(second), None);
        let first = "9:cpu,cpuacct:/a\n8:memory:/slurm/job:7\n1:name=systemd:/b\n";
        assert_eq!(VERSION_1.path(first), Some("/slurm/job:7"));
        assert_eq!(VERSION_2.path(first), None);
        // Both at once, each with controllers of its own.
        let mixed = "5:hugetlb,memory:/a\n0::/b\n";
        assert_eq!(VERSION_1.path(mixed), Some("/a"));
        assert_eq!(VERSION_2.path(mixed), Some("/b"));
        assert_eq!(VERSION_1.path("memory"), None);
    }

    #[test]
    fn the_least_of_a_group_and_its_ancestors_counts() {
        for (groups, line) in [
            (VERSION_2, "0::/outer/inner"),
            (VERSION_1, "3:memory:/outer/inner"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let top = root.path().join(groups.folder);
            let inner = top.join("outer/inner");
            std::fs::create_dir_all(&inner).unwrap();
            let write = |folder: &Path, limit: &str, used: &str| {
                std::fs::write(folder.join(groups.limit), format!("{limit}\n")).unwrap();
                std::fs::write(folder.join(groups.usage), format!("{used}\n")).unwrap();
            };
            let left = || groups.left(root.path(), line);
            assert_eq!(left(), None);
            write(&inner, "max", "300");
            assert_eq!(left(), None);
            write(&top.join("outer"), "1000", "300");
            assert_eq!(left(), Some(700));
            write(&inner, "500", "300");
            assert_eq!(left(), Some(200));
            // Cached files are given up.
            let [one, other] = groups.cached;
            let statistics = format!("anon 250\n{one} 30\n{other} 20\nfile 50\n");
            std::fs::write(inner.join("memory.stat"), statistics).unwrap();
            assert_eq!(left(), Some(250));
            write(&inner, "100", "300");
            assert_eq!(left(), Some(0));
            // Of a container, whose path is its host's.
            write(&top, "90", "50");
            let outside = line.replace("/outer", "/host/outer");
            assert_eq!(groups.left(root.path(), &outside), Some(40));
        }
    }

    /// This process runs, so that there is some; and no machine has an exabyte.
    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_what_it_has() {
        let bytes = available().unwrap();
        assert!(bytes > 0 && bytes < 1 << 60, "{bytes}");
    }
}
