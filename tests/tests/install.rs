//! The installed package, as a project of somebody else's uses it: through CMake and pkg-config, shared and static, in C and
//! C++, from where it was installed, from a staging folder (`DESTDIR`), and after it was moved.

use std::path::{Path, PathBuf};
use std::process::Command;

use regflow_tests::native::{install, installed, scratch, stdout, untrained};
use regflow_tests::{root, run};

/// What the programs print: version and number of atoms.
fn expected() -> String {
    format!("{} 22\n", env!("CARGO_PKG_VERSION"))
}

fn empty(folder: PathBuf) -> PathBuf {
    std::fs::remove_dir_all(&folder).expect("the last run's folder can be removed");
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// Whether a program is linked to the shared library.
fn is_linked_to_shared(program: &Path) -> bool {
    stdout(run(Command::new("readelf").arg("-d").arg(program))).contains("[libregflow.so.0]")
}

/// Configures and builds tests/cmake-project with the package in `prefix`, and runs what comes out.
fn cmake(prefix: &Path, name: &str, options: &[&str], programs: &[(&str, bool)]) {
    let build = empty(scratch(name));
    run(Command::new("cmake")
        .arg("-S")
        .arg(root().join("tests/cmake-project"))
        .arg("-B")
        .arg(&build)
        .arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()))
        .args(options));
    run(Command::new("cmake").arg("--build").arg(&build));
    for (program, shared) in programs {
        let program = build.join(program);
        assert_eq!(
            is_linked_to_shared(&program),
            *shared,
            "{}",
            program.display()
        );
        assert_eq!(
            stdout(run(Command::new(&program).arg(untrained()))),
            expected()
        );
    }
}

const C_AND_CPP: [(&str, bool); 4] = [
    ("regflow_c", true),
    ("regflow_cpp", true),
    ("regflow_static_c", false),
    ("regflow_static_cpp", false),
];

/// Prints why not.
fn has_pkg_config() -> bool {
    let output = Command::new("pkg-config").arg("--version").output();
    if let Err(error) = &output {
        println!("skipped: pkg-config cannot be run: {error}");
    }
    output.is_ok()
}

fn pkg_config(libdir: &Path, arguments: &[&str]) -> Vec<String> {
    let output = run(Command::new("pkg-config")
        .env("PKG_CONFIG_LIBDIR", libdir.join("pkgconfig"))
        .args(arguments));
    stdout(output)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Builds both programs with the flags that pkg-config gives, and runs them.
fn build_with(libdir: &Path, name: &str, flags: &[String], shared: bool) {
    let folder = scratch("pkg-config");
    for (compiler, source) in [("gcc", "main.c"), ("g++", "main.cpp")] {
        let program = folder.join(format!("{name}-{compiler}"));
        run(Command::new(compiler)
            .arg(root().join("tests/cmake-project").join(source))
            .args(flags)
            .arg("-o")
            .arg(&program));
        assert_eq!(
            is_linked_to_shared(&program),
            shared,
            "{}",
            program.display()
        );
        let mut command = Command::new(&program);
        if shared {
            command.env("LD_LIBRARY_PATH", libdir);
        }
        assert_eq!(stdout(run(command.arg(untrained()))), expected());
    }
}

#[test]
fn cmake_projects() {
    cmake(installed(), "cmake", &[], &C_AND_CPP);
    // The static library holds C++, but a project in C needs no C++ compiler.
    cmake(
        installed(),
        "cmake-c",
        &["-DWITHOUT_CXX=ON"],
        &[C_AND_CPP[0], C_AND_CPP[2]],
    );
}

#[test]
fn cmake_refuses_other_versions() {
    let refused = |wanted: &str| {
        let project = empty(scratch("cmake-version"));
        let lists = format!(
            "cmake_minimum_required(VERSION 3.19)\nproject(engine C)\nfind_package(regflow {wanted} REQUIRED)\n"
        );
        std::fs::write(project.join("CMakeLists.txt"), lists).expect("a file can be written");
        let output = Command::new("cmake")
            .arg(format!("-DCMAKE_PREFIX_PATH={}", installed().display()))
            .arg("-S")
            .arg(&project)
            .arg("-B")
            .arg(project.join("build"))
            .output()
            .expect("cmake runs");
        !output.status.success()
    };
    let version = env!("CARGO_PKG_VERSION");
    assert!(!refused(""));
    assert!(!refused(version));
    assert!(!refused(&format!("{version} EXACT")));
    assert!(!refused("0"));
    assert!(!refused(&format!("0.0.5...{version}")));
    assert!(refused(&format!("0.0.5...<{version}")));
    assert!(refused("0.2...0.9"));
    assert!(refused("0.0.1"));
    assert!(refused("0.1.99"));
    assert!(refused("1.0"));
}

#[test]
fn pkg_config_projects() {
    if !has_pkg_config() {
        return;
    }
    let libdir = installed().join("lib");
    for package in ["regflow", "regflow-static"] {
        assert_eq!(
            pkg_config(&libdir, &["--modversion", package]),
            [env!("CARGO_PKG_VERSION")]
        );
    }
    let flags = |arguments: &[&str]| pkg_config(&libdir, arguments);
    let shared = flags(&["--cflags", "--libs", "regflow"]);
    build_with(&libdir, "shared", &shared, true);
    // Static in a program that is dynamic otherwise, and static throughout.
    let alone = flags(&["--cflags", "--libs", "regflow-static"]);
    build_with(&libdir, "static", &alone, false);
    build_with(
        &libdir,
        "all-static",
        &[alone, vec!["-static".into()]].concat(),
        false,
    );
    let below = flags(&["--static", "--cflags", "--libs", "regflow"]);
    build_with(
        &libdir,
        "below-static",
        &[below, vec!["-static".into()]].concat(),
        false,
    );
}

/// The static library defines no symbol that could be somebody else's as well.
#[test]
fn the_static_library_defines_its_functions_only() {
    let symbols = run(Command::new("nm")
        .args(["-g", "--defined-only"])
        .arg(installed().join("lib/libregflow.a")));
    let shared = stdout(run(Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(installed().join("lib/libregflow.so"))));
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let functions: Vec<String> = shared.lines().filter_map(|l| words(l).pop()).collect();
    for line in stdout(symbols).lines() {
        // GNU unique symbols ("u") are one in the whole process by their nature.
        if let [_, kind, name] = &words(line)[..] {
            assert!(kind == "u" || functions.contains(name), "{line}");
        }
    }
}

/// Staged, with the libraries in a folder as Debian has it, and moved.
#[test]
fn the_installation_is_staged_and_moved() {
    let stage = empty(scratch("a stage"));
    let prefix = Path::new("/opt/regflow");
    let libdir = "LIBDIR=/opt/regflow/lib/a-linux-gnu";
    install(
        prefix,
        Some(&stage),
        &[libdir, "BINDIR=/opt/regflow/libexec"],
    );
    let here = stage.join("opt/regflow");
    for file in [
        "libexec/bg-sample",
        "include/regflow.h",
        "include/regflow.hpp",
        "include/regflow_plugin.h",
        "lib/a-linux-gnu/libregflow.a",
    ] {
        assert!(here.join(file).is_file(), "{file} is missing");
    }
    // No file but the program and the libraries may hold the folder of the installation or of the build.
    for file in [
        "pkgconfig/regflow.pc",
        "pkgconfig/regflow-static.pc",
        "cmake/regflow/regflow-config.cmake",
        "cmake/regflow/regflow-config-version.cmake",
    ] {
        let file = here.join("lib/a-linux-gnu").join(file);
        let text = std::fs::read_to_string(&file).expect("the file is installed");
        for path in [
            "/opt/regflow",
            &stage.to_string_lossy(),
            &root().to_string_lossy(),
        ] {
            assert!(!text.contains(path), "{} names {path}", file.display());
        }
        assert!(
            !text.contains('@'),
            "{} was not filled in:\n{text}",
            file.display()
        );
    }
    let moved = empty(scratch("moved")).join("elsewhere");
    std::fs::rename(&here, &moved).expect("an installation can be moved");
    let libdir = moved.join("lib/a-linux-gnu");
    let folder = format!("-Dregflow_DIR={}", libdir.join("cmake/regflow").display());
    cmake(&moved, "cmake-moved", &[&folder], &C_AND_CPP);
    if has_pkg_config() {
        for (package, shared) in [("regflow", true), ("regflow-static", false)] {
            let flags = pkg_config(&libdir, &["--cflags", "--libs", package]);
            build_with(&libdir, package, &flags, shared);
        }
    }
    run(Command::new(moved.join("libexec/bg-sample")).arg("--version"));
}
