//! The C library for programs that tests compile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::{root, run};

/// A folder with `include/regflow.h` and `lib/libregflow.so`, as `make install` makes them, built if it is not up to date.
pub fn c_library() -> &'static Path {
    static PREFIX: LazyLock<PathBuf> = LazyLock::new(|| {
        run(Command::new(env!("CARGO"))
            .args(["build", "--release", "--package", "regflow-ffi"])
            .current_dir(root()));
        let target = root().join("target/release");
        target
    });
    &PREFIX
}
