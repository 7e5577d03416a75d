//! Molecular dynamics with moves gives the exact distribution, with a good model and with a bad one; without moves it does not.

use std::fmt::Write;
use std::path::Path;

use regflow::metric::{Basin, Blocks, Estimate, TorsionRange, block_average, block_populations};
use regflow_tests::exactness::{self, assert_agree, compare, start_in};
use regflow_tests::{chain, dipeptide, figures, report, root, run};

use crate::engine::{Run, openmm, text};

const BLOCKS: usize = 20;

/// A run without its first twentieth, in which it forgets where it started.
fn started(values: &[f64], columns: usize) -> &[f64] {
    &values[values.len() / columns / 20 * columns..]
}

fn populations(basins: &[Basin], n_torsions: usize, run: &Run) -> Vec<Estimate> {
    let torsions = started(&run.torsions, n_torsions);
    let blocks = Blocks::equal(torsions.len() / n_torsions, BLOCKS);
    block_populations(basins, torsions, n_torsions, &blocks).expect("populations")
}

/// How often two successive frames are in different basins, and the seconds of processor time.
fn crossings(basins: &[Basin], n_torsions: usize, run: &Run) -> (usize, f64) {
    let count = exactness::crossings(basins, n_torsions, &run.torsions);
    (count, run.seconds)
}

fn basin(name: &str, ranges: &[TorsionRange]) -> Basin {
    Basin {
        name: name.to_owned(),
        ranges: ranges.to_vec(),
    }
}

fn estimate(value: f64, error: f64) -> Estimate {
    Estimate { value, error }
}

#[test]
fn the_chain_reaches_its_exact_populations_with_any_model() {
    let Some(engine) = openmm() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let model = text(&folder.path().join("model.safetensors"));
    let (system, topology) = (
        text(&chain::file("system.xml")),
        text(&chain::file("topology.pdb")),
    );
    let (basins, expected): (Vec<_>, Vec<_>) = chain::basins().into_iter().unzip();
    let expected: Vec<_> = expected
        .into_iter()
        .map(|value| estimate(value, 0.0))
        .collect();
    let dynamics = [
        "--system",
        &system,
        "--topology",
        &topology,
        "--torsions",
        "0,1,2,3",
    ];
    let dynamics = [&dynamics[..], &["--steps", "1600000", "--report", "20"]].concat();
    let moves = [&dynamics[..], &["--model", &model, "--every", "20"]].concat();

    let alone = engine.simulate(&dynamics);
    assert_eq!(crossings(&basins, 1, &alone).0, 0);
    let stays = populations(&basins, 1, &alone);
    assert!(
        stays.iter().all(|p| p.value == 0.0 || p.value == 1.0),
        "{stays:?}"
    );

    let mut lines = String::from("four-site chain in OpenMM, moves every 20 steps\n");
    let random = ["--placement", "random"];
    // Threads of the CPU platform have little to do in a molecule this small, and wait for each other.
    let cpu = ["--platform", "CPU", "--steps", "20000"];
    for (name, training, options) in [
        ("trained", 200, &[][..]),
        ("trained, turned at random", 200, &random),
        ("trained, CPU platform", 200, &cpu),
        ("after 10 steps of training", 10, &[]),
        ("untrained", 0, &[]),
    ] {
        chain::model(Path::new(&model), training);
        let moved = engine.simulate(&[&moves[..], options].concat());
        assert_agree(name, &basins, &populations(&basins, 1, &moved), &expected);
        let line = compare(
            name,
            crossings(&basins, 1, &alone),
            crossings(&basins, 1, &moved),
        );
        writeln!(lines, "  acceptance {:.3}, {line}", moved.acceptance).expect("text grows");
    }
    report(&lines);
}

/// Basins of alanine dipeptide (phi, psi) and their populations at 300 K in implicit solvent, by parallel tempering (the run that
/// the README of the shipped data describes): phi > 0 over all of its 316,768 frames, errors from 8 independent ladders; the others
/// from 100,000 of them, errors from 40 blocks.
fn dipeptide_basins() -> (Vec<Basin>, Vec<Estimate>) {
    let left = TorsionRange::degrees(0, -180.0, 0.0);
    let basins = vec![
        basin("phi > 0", &[TorsionRange::degrees(0, 0.0, 180.0)]),
        basin("alpha", &[left, TorsionRange::degrees(1, -120.0, 50.0)]),
        basin("beta", &[left, TorsionRange::degrees(1, 50.0, -120.0)]),
    ];
    let populations = [(0.0195, 0.0015), (0.4023, 0.0031), (0.5783, 0.0028)];
    (
        basins,
        populations
            .map(|(value, error)| estimate(value, error))
            .to_vec(),
    )
}

/// The model was made from the shipped frames (254 s on one core), in their folder:
///
/// ```text
/// bg-sample train --trajectory trajectory.dcd --topology topology.pdb --energy system.xml --temperature 300 --recipe default \
///     --time-limit 300 --architecture nsf --architecture-config '{"couplings": 6, "hidden": 48, "blocks": 1}' --seed 1 \
///     --out dipeptide.safetensors
/// ```
#[test]
fn alanine_dipeptide_reaches_the_populations_of_parallel_tempering() {
    let Some(engine) = openmm() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let start = text(&folder.path().join("start.pdb"));
    let (basins, expected) = dipeptide_basins();
    start_in(&basins[0], Path::new(&start));
    let (system, model) = (
        text(&dipeptide("system.xml")),
        text(&root().join("tests/openmm/dipeptide.safetensors")),
    );
    let dynamics = [
        "--system",
        &system,
        "--topology",
        &start,
        "--torsions",
        "4,6,8,10,6,8,10,16",
    ];
    let dynamics = [&dynamics[..], &["--steps", "200000"]].concat();
    let alone = engine.simulate(&dynamics);
    let moved = engine.simulate(&[&dynamics[..], &["--model", &model]].concat());
    let found = populations(&basins, 2, &moved);
    report(&format!(
        "alanine dipeptide with GBSA in OpenMM, acceptance {:.3}\n  {}\n  \
         steps per second: MD {:.0}, with a move every 50 steps {:.0}\n  {found:?}",
        moved.acceptance,
        compare(
            "sign of phi",
            crossings(&basins[..1], 2, &alone),
            crossings(&basins[..1], 2, &moved)
        ),
        alone.steps_per_second(),
        moved.steps_per_second(),
    ));
    // It would need a nanosecond to leave.
    let stays = populations(&basins, 2, &alone)[0].value;
    assert!(stays > 0.5, "{stays}");
    assert_agree("MD + moves", &basins, &found, &expected);
}

/// A solute that its surroundings bend, moved alone; its particles come last, and in reverse.
#[test]
fn a_solute_among_other_particles_keeps_its_distribution() {
    let Some(engine) = openmm() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let model = text(&folder.path().join("model.safetensors"));
    chain::model(Path::new(&model), 200);
    let (system, topology) = (engine.file("solvated.xml"), engine.file("solvated.pdb"));
    let (basins, alone): (Vec<_>, Vec<_>) = chain::basins().into_iter().unzip();
    // From 32 ns without moves, by tests/openmm/reference.py.
    let reference = |basin: &Basin| match basin.name.as_str() {
        "gauche-" => estimate(0.3583, 0.0056),
        "gauche+" => estimate(0.1867, 0.0039),
        _ => estimate(0.4550, 0.0068),
    };
    let expected: Vec<_> = basins.iter().map(reference).collect();
    let energy = estimate(-1.5305, 0.0532);
    let moved = engine.simulate(&[
        "--system",
        &system,
        "--topology",
        &topology,
        "--particles",
        "7,6,5,4",
        "--model",
        &model,
        "--torsions",
        "7,6,5,4",
        "--steps",
        "900000",
        "--timestep",
        "2",
        "--every",
        "20",
        "--report",
        "20",
    ]);
    let found = populations(&basins, 1, &moved);
    let mean = block_average(started(&moved.energies, 1), BLOCKS);
    report(&format!(
        "solute among other particles in OpenMM, acceptance {:.3}\n  {found:?}\n  alone: {alone:?}\n  energy {mean:?}",
        moved.acceptance
    ));
    assert_agree("MD + moves", &basins, &found, &expected);
    assert!(
        (mean.value - energy.value).abs() < 3.0 * mean.error.hypot(energy.error),
        "{mean:?} {energy:?}"
    );
}

/// Bonds of constrained length under a model whose bonds vibrate.
#[test]
fn constrained_bonds_keep_their_distribution() {
    let Some(engine) = openmm() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| text(&folder.path().join(name));
    let (frames, model) = (path("star.dcd"), path("star.safetensors"));
    let script = "tests/openmm/constraints.py";
    run(engine
        .python(script)
        .arg("frames")
        .arg(engine.file(""))
        .arg(&frames));
    figures(&[
        "train",
        "--trajectory",
        &frames,
        "--topology",
        &engine.file("star-free.pdb"),
        "--energy",
        &engine.file("star-free.xml"),
        "--temperature",
        "300",
        "--objective",
        "likelihood",
        "--architecture-config",
        r#"{"couplings": 4, "hidden": 32, "blocks": 1}"#,
        "--steps",
        "100",
        "--seed",
        "1",
        "--out",
        &model,
    ]);
    let checked = run(engine
        .python(script)
        .arg("check")
        .arg(engine.file(""))
        .arg(&model));
    report(String::from_utf8_lossy(&checked.stdout).trim());
}
