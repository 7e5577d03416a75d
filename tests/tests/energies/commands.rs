//! Energy plugins in every subcommand of `bg-sample` that takes `--energy`.

use std::path::{Path, PathBuf};

use regflow::system::NpzReader;
use regflow_tests::{bg_sample, dipeptide, engines, failure, figures, run};
use serde_json::Value;
use tempfile::TempDir;

use crate::engines::{lammps_input, molecule};
use crate::{assert_names, rust_plugin, spring, text};

fn array(path: &Path, name: &str) -> Vec<f64> {
    NpzReader::open(path).unwrap().f64(name).unwrap().data
}

#[test]
fn plugins_are_listed_described_and_checked() {
    let listed = figures(&["plugins"]);
    let listed = listed["plugins"].as_array().unwrap().clone();
    let energies: Vec<&str> = listed
        .iter()
        .filter(|plugin| plugin["kind"] == "energy")
        .filter_map(|plugin| plugin["name"].as_str())
        .collect();
    assert_eq!(energies, ["openmm", "lammps"]);
    let openmm = figures(&["plugins", "openmm"]);
    assert_eq!(
        openmm["schema"]["properties"]["platform"]["default"],
        "Reference"
    );
    let folder = TempDir::new().unwrap();
    let library = spring(folder.path(), &[], "spring.so");
    let checked = figures(&["plugins", text(&library)]);
    assert_eq!(checked["plugins"][0]["kind"], "energy");
    assert_eq!(checked["plugins"][0]["ok"], true);
}

#[test]
fn atoms_are_counted_and_refusals_told() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("e.npz");
    let (topology, trajectory) = (dipeptide("topology.pdb"), dipeptide("trajectory.dcd"));
    let library = spring(folder.path(), &[], "spring.so");
    let arguments = |energy: &str| -> Vec<String> {
        let files = [
            "--topology",
            text(&topology),
            "--trajectory",
            text(&trajectory),
        ];
        let mut all = vec![
            "energy",
            "--energy",
            energy,
            "--stride",
            "100",
            "--out",
            text(&out),
        ];
        all.extend(files);
        all.into_iter().map(str::to_owned).collect()
    };
    let wrong = arguments(&format!("{}:atoms=21", text(&library)));
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    assert_names(
        &failure(&wrong),
        &["spring.so:atoms=21", "21 particles", "22 atoms"],
    );
    let right = arguments(&format!("{}:atoms=22,k=2", text(&library)));
    let right: Vec<&str> = right.iter().map(String::as_str).collect();
    let told = figures(&right);
    assert_eq!(
        (&told["frames"], &told["non_finite"]),
        (&100.into(), &0.into())
    );
    assert!(array(&out, "energy").iter().all(|u| *u > 0.0));
    let mixed: Vec<&str> = right
        .iter()
        .copied()
        .chain(["--precision", "mixed"])
        .collect();
    assert_names(&failure(&mixed), &["spring.so", "options"]);

    // One atom at the origin, where the plugin has no energy.
    let atom = folder.path().join("atom.pdb");
    let line =
        "ATOM      1  C   MOL A   1       0.000   0.000   0.000  1.00  0.00           C\nEND\n";
    std::fs::write(&atom, line).unwrap();
    let unstable = rust_plugin("regflow-test-panicking", &[], folder.path());
    let mut arguments = vec![
        "energy",
        "--energy",
        text(&unstable),
        "--topology",
        text(&atom),
    ];
    arguments.extend(["--trajectory", text(&atom), "--out", text(&out)]);
    let told = figures(&arguments);
    assert_eq!(told["non_finite"], 1);
    assert_names(
        &told["warnings"].to_string(),
        &["could not evaluate them: 1;", "the origin has no energy"],
    );
}

/// Runs `bg-sample` with the engines.
fn figures_with(environment: &Path, arguments: &[&str]) -> Value {
    let output = run(bg_sample()
        .args(arguments)
        .arg("--json")
        .env("REGFLOW_OPENMM_LIB", environment)
        .env("REGFLOW_LAMMPS_LIB", environment));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_subcommand_takes_them() {
    let Some(environment) = engines() else { return };
    let folder = TempDir::new().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let (topology, trajectory) = (dipeptide("topology.pdb"), dipeptide("trajectory.dcd"));
    let system = molecule("alanine-dipeptide").join("system.xml");
    let native = text(&system).to_owned();
    let input = lammps_input(folder.path(), &system, &topology, &[]);
    let openmm = format!("openmm:{native}");
    let lammps = format!("lammps:{}", text(&input));
    let model = path("m.safetensors");
    let frames = ["--trajectory", text(&trajectory), "--stride", "50"];
    let run = |arguments: &[&str]| figures_with(&environment, arguments);

    // A polish needs forces.
    let mut train = vec!["train", "--topology", text(&topology), "--energy", &openmm];
    train.extend(frames);
    train.extend(["--temperature", "300", "--out", text(&model)]);
    train.extend(["--architecture-config", r#"{"couplings": 2, "hidden": 16}"#]);
    train.extend([
        "--stage",
        r#"{"objective": "likelihood", "steps": 20, "batch": 32}"#,
    ]);
    train.extend([
        "--stage",
        r#"{"objective": "polish", "steps": 4, "batch": 32}"#,
    ]);
    assert_eq!(run(&train)["steps"], 24);

    for (place, energy) in [native.as_str(), &openmm, &lammps].into_iter().enumerate() {
        let file = |name: &str| path(&format!("{name}{place}.npz"));
        let samples = path(&format!("samples{place}.dcd"));
        let model = ["--model", text(&model), "--energy", energy];
        let mut sample = vec!["sample", "-n", "200", "--out", text(&samples)];
        sample.extend(model);
        run(&sample);
        let (scores, energies) = (file("scores"), file("energies"));
        let mut score = vec!["score", "--out", text(&scores)];
        score.extend(model.iter().chain(&frames));
        run(&score);
        let mut evaluate = vec!["energy", "--energy", energy, "--topology", text(&topology)];
        evaluate.extend(["--forces", "--out", text(&energies)]);
        evaluate.extend(frames);
        run(&evaluate);
        for (name, key, tolerance) in [
            ("samples", "energy", 1e-5),
            ("scores", "log_weight", 1e-5),
            ("energies", "energy", 1e-5),
            ("energies", "forces", 1e-4),
        ] {
            let (found, expected) = (
                array(&file(name), key),
                array(&path(&format!("{name}0.npz")), key),
            );
            for (a, b) in found.iter().zip(&expected) {
                // Samples of a model that learned little overlap: energies of 1e6 kJ/mol and more.
                let close = (a - b).abs() <= tolerance * b.abs().max(1.0);
                assert!(
                    close || !a.is_finite() && !b.is_finite(),
                    "{energy}, {name}: {a} {b}"
                );
            }
        }
    }
    let mut evaluate = vec!["evaluate", "--model", text(&model), "--energy", &openmm];
    evaluate.extend([
        "--reference",
        text(&trajectory),
        "--stride",
        "50",
        "-n",
        "200",
    ]);
    evaluate.extend(["--transport-points", "100"]);
    assert!(run(&evaluate)["warnings"].is_array());
}
