//! Energies by name: plugins in C and in Rust, what breaks the rules, and the engines behind the plugins `openmm` and `lammps`.
//!
//! The figures that are measured are printed: `cargo test --release --package regflow-tests --test energies`.

#[path = "../plugins/build.rs"]
mod build;
mod commands;
mod engines;
mod errors;
mod mpi;

use std::path::{Path, PathBuf};

use build::{c_plugin, rust_plugin};
use regflow::energy::Energy;
use regflow::plugin::{self, LibraryError, Origin, PluginEnergy, PluginError, check_library};
use regflow::potential;
use tempfile::TempDir;

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// Energies and forces; forces are compared with those of the call without.
fn evaluate(energy: &dyn Energy, positions: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = positions.len() / (3 * energy.n_atoms());
    let (mut alone, mut energies, mut forces) =
        (vec![0.0; n], vec![0.0; n], vec![0.0; positions.len()]);
    energy.energies(positions, &mut alone).unwrap();
    energy
        .energies_and_forces(positions, &mut energies, &mut forces)
        .unwrap();
    for (a, b) in alone.iter().zip(&energies) {
        assert!(
            (a - b).abs() <= 1e-12 * b.abs().max(1e3) || a.is_nan() && b.is_nan(),
            "{a} {b}"
        );
    }
    (energies, forces)
}

/// The message of a potential that cannot be loaded.
fn load_failure(source: &str) -> String {
    match potential::load(source) {
        Ok(_) => panic!("{source} loads"),
        Err(error) => error.to_string(),
    }
}

fn assert_names(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

/// Runs `body` with so many threads in the pool that batches are divided among.
fn with_threads<T: Send>(threads: usize, body: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(body)
}

/// Compiles the springs of `tests/plugins/spring.c`.
fn spring(folder: &Path, faults: &[&str], name: &str) -> PathBuf {
    c_plugin("spring.c", faults, folder, name)
}

#[test]
fn plugins_in_c_are_energies() {
    let folder = TempDir::new().unwrap();
    let library = spring(folder.path(), &[], "spring.so");
    let path = text(&library);
    let k = 3.0;
    let n = 203;
    let mut positions: Vec<f64> = (0..6 * n).map(|i| (1.7 * i as f64).sin()).collect();
    positions[6 * 7 + 2] = f64::NAN;
    positions[6 * 100] = f64::INFINITY;
    for source in [
        format!("{path}:atoms=2,k=3"),
        format!("{path}:{{\"atoms\": 2, \"k\": 3.0}}"),
        format!("{path}:spring:k=3,atoms=2"),
    ] {
        let energy = potential::load(&source).unwrap();
        assert_eq!(energy.n_atoms(), 2);
        assert!(energy.masses().unwrap().iter().all(|mass| mass.is_nan()));
        let (energies, forces) = with_threads(3, || evaluate(energy.as_ref(), &positions));
        let alone = with_threads(1, || evaluate(energy.as_ref(), &positions));
        for (i, x) in positions.chunks(6).enumerate() {
            let forces = &forces[6 * i..][..6];
            if i == 7 || i == 100 {
                assert!(energies[i].is_nan() && forces.iter().all(|f| f.is_nan()));
                continue;
            }
            assert_eq!(energies[i], alone.0[i]);
            let expected = 0.5 * k * x.iter().map(|x| x * x).sum::<f64>();
            assert!((energies[i] - expected).abs() < 1e-14 * expected.max(1.0));
            for (f, x) in forces.iter().zip(x) {
                assert_eq!(*f, -k * x);
            }
        }
        // Not finite, and not shown to the plugin: nothing that it refused.
        assert_eq!(energy.refusals(), None);
    }
    // Defaults of the schema: one atom, k = 1.
    let energy = potential::load(path).unwrap();
    assert_eq!(evaluate(energy.as_ref(), &[1.0, 2.0, 2.0]).0, [4.5]);
    let wrong = energy.energies(&[1.0; 4], &mut [0.0]).unwrap_err();
    assert_names(&wrong.to_string(), &["positions", "3", "4"]);
    let report = check_library(&library).unwrap();
    assert_eq!(
        (report[0].info.kind, &*report[0].info.name),
        ("energy", "spring")
    );
    assert!(report[0].result.is_ok());
}

#[test]
fn configurations_are_checked() {
    let folder = TempDir::new().unwrap();
    let library = spring(folder.path(), &[], "spring.so");
    let load = |config: &str| load_failure(&format!("{}:{config}", text(&library)));
    assert_names(&load("spring.in"), &["unknown field `file`", "atoms, k"]);
    assert_names(&load("k=-1"), &["spring", "`k` positive"]);
    assert_names(&load("k=1,2"), &["OPTION=VALUE", "`2`"]);
    assert_names(&load("{\"k\": "), &["spring", "JSON"]);
    assert_names(
        &load_failure("./nowhere.so:x"),
        &["./nowhere.so", "no such file"],
    );
    assert_names(
        &load_failure("nothing:x"),
        &["no energy `nothing`", "openmm, lammps"],
    );
}

#[test]
fn energies_that_break_the_rules_are_found_out() {
    let folder = TempDir::new().unwrap();
    let build = |fault: &str| {
        let name = format!("{fault}.so");
        let library = spring(folder.path(), &[&format!("FAULT_{fault}")], &name);
        text(&library).to_owned()
    };
    let sizes = load_failure(&build("SIZE"));
    assert_names(
        &sizes,
        &["its energy table is invalid: struct_size is 8, expected at least 104"],
    );
    let null = load_failure(&build("NULL"));
    assert_names(&null, &["its energy table is invalid: address is null"]);
    for function in ["create", "destroy", "n_atoms", "masses", "compute"] {
        let field = match function {
            "create" | "destroy" => format!("head.{function}"),
            _ => function.into(),
        };
        let null = load_failure(&build(&format!("FUNCTION={field}")));
        let expected = format!("its energy table is invalid: {function} is null");
        assert_names(&null, &[&expected]);
    }
    let empty = load_failure(&build("NO_ATOMS"));
    assert_names(&empty, &["`spring`, create", "at least 1"]);
    let silent = potential::load(&build("SILENT")).unwrap();
    let error = silent.energies(&[0.0; 3], &mut [0.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "plugin `spring`, compute: status 7 without a message"
    );
}

#[test]
fn panics_and_refusals_leave_the_source_usable() {
    let folder = TempDir::new().unwrap();
    let library = rust_plugin("regflow-test-panicking", &[], folder.path());
    let energy = potential::load(text(&library)).unwrap();
    let fails = |x: f64| {
        let error = energy.energies(&[x, 0.0, 0.0], &mut [0.0]).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        fails(-2.0),
        "plugin `unstable` panicked in compute: lost at -2"
    );
    assert_eq!(fails(200.0), "plugin `unstable`, compute: too far");
    assert_eq!(energy.refusals(), None);
    let x = [2.0, 0.0, 0.5, 0.0];
    let positions: Vec<f64> = x.iter().flat_map(|&x| [x, 0.3, -0.2]).collect();
    let (energies, forces) = evaluate(energy.as_ref(), &positions);
    for (i, x) in x.iter().enumerate() {
        let known = *x > 0.0;
        assert!(if known {
            energies[i] == x.ln()
        } else {
            energies[i].is_nan()
        });
        assert!(if known {
            forces[3 * i] == -1.0 / x
        } else {
            forces[3 * i].is_nan()
        });
    }
    // Two in each of two calls.
    let refusals = energy.refusals().unwrap();
    assert_eq!(
        (refusals.count, refusals.reason.as_str()),
        (4, "the origin has no energy")
    );
}

/// In a process of its own, whose standard error is looked at.
#[test]
fn panics_of_plugins_write_nothing() {
    let itself = std::env::current_exe().unwrap();
    let output = std::process::Command::new(itself)
        .args(["--exact", "--nocapture"])
        .arg("panics_and_refusals_leave_the_source_usable")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("1 passed"), "{printed}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn loaded_files_are_known_by_name() {
    let folder = TempDir::new().unwrap();
    let library = spring(folder.path(), &[], "any.so");
    // Whoever asks for a file by its path makes nothing known to others.
    assert!(plugin::all().iter().all(|info| info.name != "spring"));
    plugin::load(&library).unwrap();
    plugin::load(&library).unwrap();
    let found = plugin::find::<PluginEnergy>("spring").unwrap();
    let path = library.canonicalize().unwrap();
    assert_eq!(found.info().origin, Origin::File(path.clone()));
    assert_eq!(potential::load("spring:atoms=4").unwrap().n_atoms(), 4);
    let energies = plugin::all()
        .into_iter()
        .filter(|info| info.kind == "energy");
    let names: Vec<String> = energies.map(|info| info.name).collect();
    assert_eq!(names, ["spring", "openmm", "lammps"]);

    let copy = folder.path().join("copy.so");
    std::fs::copy(&library, &copy).unwrap();
    match plugin::load(&copy) {
        Err(PluginError::Taken { kind, name, by, .. }) => {
            assert_eq!((kind, name.as_str()), ("energy", "spring"));
            assert_eq!(by, Origin::File(path));
        }
        other => panic!("{other:?}"),
    }
    match plugin::load(&folder.path().join("none.so")) {
        Err(PluginError::Library { reason, .. }) => assert_eq!(reason, LibraryError::Missing),
        other => panic!("{other:?}"),
    }
}
