//! Builds plugin libraries for the tests: C sources with the system's compiler, Rust crates with cargo.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{errors}");
}

/// Compiles `tests/plugins/SOURCE` to `FOLDER/NAME`.
pub fn c_plugin(source: &str, defines: &[&str], folder: &Path, name: &str) -> PathBuf {
    let library = folder.join(name);
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut command = Command::new(compiler);
    command
        .args([
            "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-I",
        ])
        .arg(root().join("include"))
        .args(defines.iter().map(|define| format!("-D{define}")))
        .arg(root().join("tests/plugins").join(source))
        .arg("-o")
        .arg(&library);
    run(&mut command);
    library
}

/// Builds `package` as a library of its own and copies it to `folder`, where nothing replaces it.
pub fn rust_plugin(package: &str, features: &[&str], folder: &Path) -> PathBuf {
    // One after another: two builds of a package with different features write the same file.
    static BUILD: Mutex<()> = Mutex::new(());
    let _one = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    // This program lies in TARGET/PROFILE/deps.
    let program = std::env::current_exe().unwrap();
    let profile = program.parent().and_then(Path::parent).unwrap();
    let name = profile.file_name().unwrap().to_string_lossy().into_owned();
    let cargo_profile = if name == "debug" {
        "dev".to_owned()
    } else {
        name
    };
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(root())
        .args([
            "rustc",
            "--quiet",
            "--lib",
            "--crate-type",
            "cdylib",
            "--package",
            package,
        ])
        .args([
            "--profile",
            &cargo_profile,
            "--features",
            &features.join(","),
        ])
        .arg("--target-dir")
        .arg(profile.parent().unwrap());
    run(&mut command);
    let file = format!(
        "lib{}{}",
        package.replace('-', "_"),
        std::env::consts::DLL_SUFFIX
    );
    let copy = folder.join(format!("{}{file}", features.join("-")));
    std::fs::copy(profile.join(file), &copy).unwrap();
    copy
}
