//! The plugins of examples/plugin, built as somebody outside of this repository builds them.

use super::TestResult;
use super::build::{root, run};
use regflow::plugin::{self, Flow, Molecule, check_library};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

fn copied(template: &str, files: &[&str]) -> std::io::Result<TempDir> {
    let folder = TempDir::new()?;
    for file in files {
        let to = folder.path().join(file);
        std::fs::create_dir_all(to.parent().unwrap_or(folder.path()))?;
        std::fs::copy(root().join("examples/plugin").join(template).join(file), to)?;
    }
    Ok(folder)
}

fn passes(library: &Path) -> TestResult {
    let report = check_library(library)?;
    assert_eq!(report.len(), 1);
    let checked = report[0].result.as_ref().map_err(ToString::to_string)?;
    assert!(checked.warnings.is_empty(), "{checked:?}");
    let flow = plugin::find::<Flow>(&library.display().to_string())?;
    flow.check("", &super::features("rrrr"), &Molecule::default())?;
    Ok(())
}

#[test]
fn the_template_in_c_builds_and_passes() -> TestResult {
    let folder = copied("c", &["Makefile", "affine.c"])?;
    let mut make = Command::new("make");
    make.current_dir(folder.path()).arg("libaffine.so");
    make.arg(format!("INCLUDE={}", root().join("include").display()));
    run(&mut make);
    passes(&folder.path().join("libaffine.so"))
}

#[test]
fn the_template_in_rust_builds_and_passes() -> TestResult {
    let folder = copied("rust", &["Cargo.toml", "src/lib.rs"])?;
    let manifest = folder.path().join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest)?;
    let sdk = root().join("plugins/sdk").canonicalize()?;
    let here = text.replace(
        "../../../plugins/sdk",
        sdk.to_str().ok_or("a path in UTF-8")?,
    );
    assert_ne!(text, here);
    std::fs::write(&manifest, here)?;
    // The versions of this repository, which are at hand without a network.
    std::fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock"))?;
    let program = std::env::current_exe()?;
    // Where this repository builds, so that what the plugin depends on need not be built again.
    let target = program.ancestors().nth(3).ok_or("TARGET/PROFILE/deps")?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--release",
        "--offline",
        "--quiet",
        "--manifest-path",
    ]);
    run(cargo.arg(&manifest).arg("--target-dir").arg(target));
    let name = format!(
        "{}stretch{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    passes(&target.join("release").join(name))
}
