//! The hostile programs in C and C++ under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer and valgrind.
//!
//! The library itself is not compiled with the sanitizers; they see its allocations, what it reads and writes through the C
//! library, and all of the program that calls it. valgrind sees everything.

use std::process::Command;

use regflow_tests::native::{compile, hostile, sources, stdout};
use regflow_tests::{root, run};

fn programs() -> Vec<String> {
    [sources("tests/c", "c"), sources("tests/cpp", "cpp")].concat()
}

/// Runs a program in a command that must find nothing.
fn clean(mut command: Command, source: &str) {
    let printed = stdout(run(command.args(hostile(source))));
    assert!(printed.ends_with(" 0 failures\n"), "{source}: {printed}");
}

#[test]
fn address_and_undefined_behaviour() {
    for source in programs() {
        let flags = [
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=undefined",
        ];
        clean(Command::new(compile(&source, &flags)), &source);
    }
}

#[test]
fn threads() {
    let suppressions = root().join("tests/c/tsan.suppr");
    for source in ["tests/c/threads.c", "tests/cpp/wrapper.cpp"] {
        let mut command = Command::new(compile(source, &["-fsanitize=thread"]));
        command.env(
            "TSAN_OPTIONS",
            format!("suppressions={}", suppressions.display()),
        );
        clean(command, source);
    }
}

/// Without the program of many threads, which valgrind runs one at a time, and the one whose children lose what the threads of their
/// parent held.
#[test]
fn valgrind() {
    if let Err(error) = Command::new("valgrind").arg("--version").output() {
        println!("skipped: valgrind cannot be run: {error}");
        return;
    }
    let left_out = ["tests/c/threads.c", "tests/c/fork.c"];
    for source in programs()
        .iter()
        .filter(|source| !left_out.contains(&source.as_str()))
    {
        let mut command = Command::new("valgrind");
        command
            .args(["--quiet", "--error-exitcode=1", "--leak-check=full"])
            .args([
                "--show-leak-kinds=definite",
                "--errors-for-leak-kinds=definite",
            ])
            .arg(compile(source, &[]));
        clean(command, source);
    }
}
