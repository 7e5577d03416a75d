//! How much memory there is.

use std::path::Path;

/// Bytes that this process can still take: what the system has available, or less where a control group limits it; none where
/// the system does not say.
///
/// A system that lends more than it has (overcommit) grants an allocation and kills the process when it is used: whoever lets a
/// configuration choose a size compares it with this first.
pub(super) fn available() -> Option<u64> {
    let system = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| meminfo(&text));
    let group = group_limit(Path::new("/sys/fs/cgroup"));
    match (system, group) {
        (Some(system), Some(group)) => Some(system.min(group)),
        (system, group) => system.or(group),
    }
}

/// "MemAvailable:  123 kB".
fn meminfo(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// What a control group (version 2) leaves.
fn group_limit(folder: &Path) -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
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
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(group_limit(folder.path()), None);
        std::fs::write(folder.path().join("memory.current"), "300\n").unwrap();
        std::fs::write(folder.path().join("memory.max"), "max\n").unwrap();
        assert_eq!(group_limit(folder.path()), None);
        std::fs::write(folder.path().join("memory.max"), "1000\n").unwrap();
        assert_eq!(group_limit(folder.path()), Some(700));
        std::fs::write(folder.path().join("memory.max"), "100\n").unwrap();
        assert_eq!(group_limit(folder.path()), Some(0));
    }

    /// This process runs, so that there is some; and no machine has an exabyte.
    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_what_it_has() {
        let bytes = available().unwrap();
        assert!(bytes > 0 && bytes < 1 << 60, "{bytes}");
    }
}
