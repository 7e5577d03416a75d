//! The plugins `openmm` and `lammps` against the force field of this library.
//!
//! Where the engines are is told by environment variables, which belong to the whole process: the first test finds the engines
//! and runs the others, which are ignored else, in a process of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use regflow::energy::{Energy, ForceField};
use regflow::potential;
use regflow::system::{ReadOptions, Topology, Trajectory};
use regflow_tests::{dipeptide, engines, report, root, run};
use tempfile::TempDir;

use crate::{evaluate, text, with_threads};

#[test]
fn engines_agree_with_the_force_field() {
    let Some(environment) = engines() else { return };
    let output = run(Command::new(std::env::current_exe().unwrap())
        .args(["in_engine_", "--ignored", "--nocapture"])
        .env("REGFLOW_OPENMM_LIB", &environment)
        .env("REGFLOW_LAMMPS_LIB", &environment));
    report(String::from_utf8_lossy(&output.stderr).trim());
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        told.contains("passed") && !told.contains(" 0 passed"),
        "{told}"
    );
}

/// Every 20th frame of the shipped trajectory.
pub fn frames() -> Vec<f64> {
    let topology = Topology::read(&dipeptide("topology.pdb")).unwrap();
    let options = ReadOptions {
        stride: 20,
        ..ReadOptions::default()
    };
    let file = dipeptide("trajectory.dcd");
    let mut trajectory = Trajectory::open(&[file], &topology, &options).unwrap();
    trajectory.read_all().unwrap().positions
}

/// Positions of the reference data of the force field.
fn stored_positions(case: &str) -> Vec<f64> {
    fn flatten(value: &serde_json::Value, out: &mut Vec<f64>) {
        match value {
            serde_json::Value::Array(values) => values.iter().for_each(|v| flatten(v, out)),
            number => out.push(number.as_f64().unwrap()),
        }
    }
    let file = root()
        .join("tests/data/energy")
        .join(format!("{case}.json"));
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let mut positions = Vec::new();
    flatten(&json["positions"], &mut positions);
    positions
}

/// Largest differences of energies (kJ/mol) and of forces (kJ/(mol nm)).
fn differences(energy: &dyn Energy, system: &Path, positions: &[f64]) -> (f64, f64) {
    let native = ForceField::from_system_xml(system).unwrap();
    let (energies, forces) = evaluate(energy, positions);
    let (expected, expected_forces) = evaluate(&native, positions);
    let worst = |a: &[f64], b: &[f64]| {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f64::max)
    };
    (
        worst(&energies, &expected),
        worst(&forces, &expected_forces),
    )
}

/// Batches give the same bits for any number of threads, and a configuration that is not finite disturbs nobody.
fn divides_batches(energy: &dyn Energy, frames: &[f64]) {
    let width = 3 * energy.n_atoms();
    let (alone, alone_forces) = with_threads(1, || evaluate(energy, frames));
    let mut disturbed = frames.to_vec();
    let odd = [3, 40, 41];
    odd.iter().for_each(|i| disturbed[i * width + 5] = f64::NAN);
    let (energies, forces) = with_threads(4, || evaluate(energy, &disturbed));
    for i in 0..alone.len() {
        let range = i * width..(i + 1) * width;
        if odd.contains(&i) {
            assert!(energies[i].is_nan());
        } else {
            assert_eq!(energies[i], alone[i], "configuration {i}");
            assert_eq!(
                forces[range.clone()],
                alone_forces[range],
                "configuration {i}"
            );
        }
    }
}

fn rate(energy: &dyn Energy, frames: &[f64], threads: usize) -> f64 {
    let n = frames.len() / (3 * energy.n_atoms());
    let mut energies = vec![0.0; n];
    with_threads(threads, || {
        energy.energies(frames, &mut energies).unwrap();
        let start = Instant::now();
        energy.energies(frames, &mut energies).unwrap();
        n as f64 / start.elapsed().as_secs_f64()
    })
}

#[test]
#[ignore = "run by engines_agree_with_the_force_field"]
fn in_engine_openmm_agrees() {
    for case in [
        "aldp",
        "al3",
        "bonded",
        "ryckaert-bellemans",
        "no-cutoff",
        "reaction-field",
        "switching",
        "gbsa-obc-cutoff",
        "custom-obc2",
    ] {
        let system = root().join("tests/data/energy").join(format!("{case}.xml"));
        let energy = potential::load(&format!("openmm:{}", text(&system))).unwrap();
        let native = ForceField::from_system_xml(&system).unwrap();
        assert_eq!(energy.masses(), native.masses());
        let positions = stored_positions(case);
        let (expected, expected_forces) = evaluate(&native, &positions);
        let scale = |values: &[f64]| values.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        let (by_energy, by_force) = differences(energy.as_ref(), &system, &positions);
        // Rounding, and the different tables of error functions and of Born integrals' logarithms.
        assert!(by_energy < 1e-9 * scale(&expected), "{case}: {by_energy}");
        assert!(
            by_force < 1e-8 * scale(&expected_forces),
            "{case}: {by_force}"
        );
    }
    let (system, frames) = (dipeptide("system.xml"), frames());
    let reference = potential::load(&format!("openmm:{}", text(&system))).unwrap();
    divides_batches(reference.as_ref(), &frames);
    let cpu = potential::load(&format!("openmm:{},platform=CPU", text(&system))).unwrap();
    let (by_energy, by_force) = differences(cpu.as_ref(), &system, &frames);
    // Single precision: terms of some 100 kJ/mol add up, forces reach 6000 kJ/(mol nm).
    assert!(
        by_energy < 2e-3 && by_force < 2e-2,
        "{by_energy} {by_force}"
    );
    let rates = [1, 2].map(|threads| rate(reference.as_ref(), &frames, threads));
    report(&format!(
        "openmm, Reference, dipeptide with GBSA-OBC: {:.0}/s by one thread, {:.0}/s by two; CPU: {:.0}/s; off by {by_energy:.1e} kJ/mol",
        rates[0],
        rates[1],
        rate(cpu.as_ref(), &frames, 2)
    ));
}

/// Writes a System for LAMMPS; the input's name.
pub fn lammps_input(folder: &Path, system: &Path, topology: &Path, options: &[&str]) -> PathBuf {
    let out = folder.join("molecule");
    run(Command::new("python3")
        .arg(root().join("examples/lammps/openmm_to_lammps.py"))
        .args([system, topology, &out])
        .args(options));
    out.with_extension("in")
}

/// A folder of `tests/data/engines`.
pub fn molecule(name: &str) -> PathBuf {
    root().join("tests/data/engines").join(name)
}

#[test]
#[ignore = "run by engines_agree_with_the_force_field"]
fn in_engine_lammps_agrees() {
    let (vacuum, chain) = (molecule("alanine-dipeptide"), molecule("chain4"));
    let frames = frames();
    // All three minima and what lies between: rotations about the middle bond, and shifts, of the chain all trans.
    let chain_topology = Topology::read(&chain.join("topology.pdb")).unwrap();
    let start = Trajectory::open(
        &[chain.join("topology.pdb")],
        &chain_topology,
        &ReadOptions::default(),
    );
    let start = start.unwrap().read_all().unwrap().positions;
    let waves = |i: usize| 0.02 * (0.7 * i as f64).sin();
    let turned: Vec<f64> = (0..200 * 12)
        .map(|i| start[i % 12] + 3.0 * waves(i))
        .collect();
    let cases = [
        ("real", &[][..], ""),
        ("metal", &[], ""),
        (
            "lj",
            &["--lj", "0.34", "0.9", "12"],
            ",length=0.34,energy=0.9",
        ),
    ];
    let mut told = Vec::new();
    for (units, extra, plugin_options) in cases {
        let options = [&["--units", units], extra].concat();
        for (folder, topology, positions) in [
            (&vacuum, dipeptide("topology.pdb"), &frames),
            (&chain, chain.join("topology.pdb"), &turned),
        ] {
            let (system, files) = (folder.join("system.xml"), TempDir::new().unwrap());
            let input = lammps_input(files.path(), &system, &topology, &options);
            let energy =
                potential::load(&format!("lammps:{}{plugin_options}", text(&input))).unwrap();
            let (by_energy, by_force) = differences(energy.as_ref(), &system, positions);
            told.push(format!("{units}: {by_energy:.1e}"));
            // The input's scale of 1-4 charges has 6 figures, their energies are some 100 kJ/mol.
            assert!(
                by_energy < 1e-4 && by_force < 5e-3,
                "{units}: {by_energy} {by_force}"
            );
        }
    }
    let (system, files) = (vacuum.join("system.xml"), TempDir::new().unwrap());
    let input = lammps_input(files.path(), &system, &dipeptide("topology.pdb"), &[]);
    let energy = potential::load(&format!("lammps:{}", text(&input))).unwrap();
    divides_batches(energy.as_ref(), &frames);
    let native = ForceField::from_system_xml(&system).unwrap();
    let heavy = |masses: &[f64]| masses.iter().map(|m| (m * 1e3).round()).collect::<Vec<_>>();
    assert_eq!(
        heavy(energy.masses().unwrap()),
        heavy(native.masses().unwrap())
    );
    // A molecule far away, and cut by the periodic box: the same energy but for the rounding of positions of 1000 Angstrom.
    let shift = [100.0, -37.0, 3.96];
    let far: Vec<f64> = frames
        .iter()
        .enumerate()
        .map(|(i, x)| x + shift[i % 3])
        .collect();
    let (by_energy, by_force) = differences(energy.as_ref(), &system, &far);
    assert!(
        by_energy < 1e-5 && by_force < 1e-4,
        "{by_energy} {by_force}"
    );
    // The same in a box that follows the atoms, where no atom is too far away.
    let followed = std::fs::read_to_string(&input).unwrap();
    let followed = followed.replace("boundary p p p", "boundary s s s");
    let open = input.with_file_name("open.in");
    std::fs::write(&open, followed).unwrap();
    let open = potential::load(&format!("lammps:{}", text(&open))).unwrap();
    divides_batches(open.as_ref(), &frames);
    let (by_energy, _) = differences(open.as_ref(), &system, &far);
    assert!(by_energy < 1e-5, "{by_energy}");
    let rates = [1, 2].map(|threads| rate(open.as_ref(), &frames, threads));
    report(&format!(
        "lammps, dipeptide in vacuum: {:.0}/s by one thread, {:.0}/s by two; periodic: {:.0}/s; off by (dipeptide, chain) {} kJ/mol",
        rates[0],
        rates[1],
        rate(energy.as_ref(), &frames, 2),
        told.join(", ")
    ));
}
