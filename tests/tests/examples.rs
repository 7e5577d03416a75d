//! The Rust examples run.

use std::process::Command;

use regflow_tests::{root, run};

#[test]
fn train_and_sample() {
    let output = run(Command::new(env!("CARGO"))
        .args(["run", "--release", "--package", "regflow-examples"])
        .args(["--example", "train_and_sample", "--", "20"])
        .current_dir(root()));
    let printed = String::from_utf8_lossy(&output.stdout);
    for step in ["step    16  validation", "step    20  validation"] {
        assert!(printed.contains(step), "{printed}");
    }
    assert!(printed.contains("ESS/N"), "{printed}");
}
