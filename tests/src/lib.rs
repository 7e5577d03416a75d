//! What the tests of this crate share: where things are, and how to run what they test.

pub mod chain;
mod engines;
pub mod exactness;
pub mod native;
pub mod plugin_header;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

pub use engines::{engines, report};

/// The top of the repository.
pub fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> =
        LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    &ROOT
}

/// A file of the shipped alanine dipeptide data.
pub fn dipeptide(name: &str) -> PathBuf {
    root().join("examples/data/alanine-dipeptide").join(name)
}

/// The `bg-sample` program, built if it is not up to date.
pub fn bg_sample() -> Command {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--release", "--package", "regflow"])
            .args(["--bin", "bg-sample", "--message-format", "json"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .expect("cargo names the program it built")
    });
    Command::new(&*PROGRAM)
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs `bg-sample ... --json`, which must succeed, and gives the figures.
pub fn figures(arguments: &[&str]) -> Value {
    let output = run(bg_sample().args(arguments).arg("--json"));
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON object")
}

/// Runs `bg-sample`, which must fail without a panic, and gives its message.
pub fn failure(arguments: &[&str]) -> String {
    let output = bg_sample()
        .args(arguments)
        .output()
        .expect("bg-sample runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success(),
        "{arguments:?} succeeded\n{message}"
    );
    assert!(!message.contains("panicked"), "{message}");
    assert!(message.contains("error: "), "{message}");
    message
}
