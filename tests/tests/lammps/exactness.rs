//! Molecular dynamics with moves gives the exact distribution, with a good model and with a bad one; without moves it does not.

use std::fmt::Write;
use std::path::Path;

use regflow::metric::{Basin, Estimate, TorsionRange, block_populations};
use regflow::system::{ReadOptions, Topology, Trajectory, TrajectoryWriter, torsion};
use regflow_tests::{chain, dipeptide, report, root};
use serde_json::Value;

use crate::engine::{Lammps, Run, dump, lammps};

const BLOCKS: usize = 50;

/// A trajectory of Langevin dynamics with or without moves, a frame for each.
struct Sampled {
    /// `[frames, torsions]`, rad.
    torsions: Vec<f64>,
    run: Run,
}

impl Sampled {
    fn new(
        lammps: &Lammps,
        folder: &Path,
        atoms: &[[usize; 4]],
        [steps, every]: [usize; 2],
        moves: Option<&str>,
    ) -> Self {
        let (moves, output) = match moves {
            Some(moves) => (
                format!("fix moves all regflow {moves} every {every} temperature 300 seed 5"),
                "f_moves[1] f_moves[2]",
            ),
            None => (String::new(), ""),
        };
        let input = format!(
            "include molecule.in\n\
             velocity all create 300 11\n\
             fix integrate all nve\n\
             fix thermostat all langevin 300 300 200 17\n\
             {moves}\n\
             timestep 1.0\n\
             run 2000\n\
             dump frames all custom {every} frames.dump id xu yu zu\n\
             dump_modify frames sort id format float %.6f\n\
             thermo_style custom step pe {output}\n\
             thermo {steps}\n\
             run {steps}"
        );
        let run = lammps.run(folder, 1, &input);
        let torsions = dump(&folder.join("frames.dump"))
            .iter()
            .flat_map(|frame| atoms.iter().map(|&four| torsion(frame, four)))
            .collect();
        Sampled { torsions, run }
    }

    fn populations(&self, basins: &[Basin], n_torsions: usize) -> Vec<Estimate> {
        block_populations(basins, &self.torsions, n_torsions, BLOCKS).expect("populations")
    }

    /// How often two successive frames are in different basins.
    fn crossings(&self, basins: &[Basin], n_torsions: usize) -> usize {
        let basin_of = |frame| basins.iter().position(|b: &Basin| b.contains(frame));
        let visited: Vec<_> = self
            .torsions
            .chunks_exact(n_torsions)
            .map(basin_of)
            .collect();
        visited.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    fn acceptance(&self) -> f64 {
        let columns = self.run.thermo();
        columns[3] / columns[2]
    }
}

fn assert_agree(what: &str, basins: &[Basin], found: &[Estimate], expected: &[Estimate]) {
    for ((basin, found), expected) in basins.iter().zip(found).zip(expected) {
        let error = found.error.hypot(expected.error);
        let name = &basin.name;
        assert!(
            (found.value - expected.value).abs() <= 3.0 * error,
            "{what}, {name}: {found:?}, expected {expected:?}"
        );
    }
}

/// One line: crossings per second of computing for both, and their ratio, at least.
fn crossings(what: &str, alone: (usize, f64), moved: (usize, f64)) -> String {
    let rate = |(count, seconds): (usize, f64)| count as f64 / seconds;
    let bound = if alone.0 == 0 { "more than " } else { "" };
    let ratio = rate(moved) / rate((alone.0.max(1), alone.1));
    format!(
        "{what}: crossings in seconds: MD {} in {:.2}, MD + moves {} in {:.2}; {bound}{ratio:.0} times as many per second",
        alone.0, alone.1, moved.0, moved.1
    )
}

#[test]
fn the_chain_reaches_its_exact_populations_with_any_model() {
    let Some(lammps) = lammps() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = folder.path();
    let out = folder.join("molecule");
    lammps.convert(
        &chain::file("system.xml"),
        &chain::file("topology.pdb"),
        &out,
        &[],
    );
    let (basins, expected): (Vec<_>, Vec<_>) = chain::basins().into_iter().unzip();
    let exact = |value| Estimate { value, error: 0.0 };
    let expected: Vec<_> = expected.into_iter().map(exact).collect();
    let torsions = [[0, 1, 2, 3]];
    let steps = [300_000, 20];

    let alone = Sampled::new(lammps, folder, &torsions, steps, None);
    assert_eq!(alone.crossings(&basins, 1), 0);
    let stays = alone.populations(&basins, 1);
    assert!(
        stays.iter().all(|p| p.value == 0.0 || p.value == 1.0),
        "{stays:?}"
    );

    let mut lines = String::from("four-site chain in LAMMPS, moves every 20 steps\n");
    for (name, training) in [
        ("trained", 200),
        ("after 10 steps of training", 10),
        ("untrained", 0),
    ] {
        chain::model(&folder.join("model.safetensors"), training);
        let moves = Some("model.safetensors elements no");
        let moved = Sampled::new(lammps, folder, &torsions, steps, moves);
        let found = moved.populations(&basins, 1);
        assert_agree(name, &basins, &found, &expected);
        let rates = [&alone, &moved].map(|s| (s.crossings(&basins, 1), s.run.seconds()));
        let (acceptance, line) = (moved.acceptance(), crossings(name, rates[0], rates[1]));
        writeln!(lines, "  acceptance {acceptance:.3}, {line}").expect("text grows");
    }
    report(&lines);
}

#[test]
fn alanine_dipeptide_reaches_the_populations_of_parallel_tempering() {
    let Some(lammps) = lammps() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = folder.path();
    let data = root().join("tests/data/engines/alanine-dipeptide");
    let reference = std::fs::read_to_string(data.join("reference.json")).expect("the reference");
    let reference: Value = serde_json::from_str(&reference).expect("the reference is JSON");
    let basins = [
        Basin {
            name: "phi > 0".to_owned(),
            ranges: vec![TorsionRange::degrees(0, 0.0, 180.0)],
        },
        Basin {
            name: "extended".to_owned(),
            ranges: vec![TorsionRange::degrees(1, 110.0, -60.0)],
        },
    ];
    let expected = basins.each_ref().map(|basin| {
        let population = &reference["populations"][&basin.name];
        let number = |key: &str| population[key].as_f64().expect("a number");
        Estimate {
            value: number("value"),
            error: number("error"),
        }
    });
    let torsions = [[4, 6, 8, 10], [6, 8, 10, 16]];

    start_in(&basins[0], &torsions, &folder.join("start.pdb"));
    // Cut by the box, so that the moves must make the molecule whole.
    let (system, out) = (data.join("system.xml"), folder.join("molecule"));
    lammps.convert(&system, &folder.join("start.pdb"), &out, &["--corner"]);
    let steps = [300_000, 50];
    let model = data.join("model.safetensors");
    let alone = Sampled::new(lammps, folder, &torsions, steps, None);
    let moved = Sampled::new(
        lammps,
        folder,
        &torsions,
        steps,
        Some(&model.to_string_lossy()),
    );
    let phi = &basins[..1];
    let rates = [&alone, &moved].map(|s| (s.crossings(phi, 2), s.run.seconds()));
    let speeds = rates.map(|(_, seconds)| steps[0] as f64 / seconds);
    report(&format!(
        "alanine dipeptide in vacuum in LAMMPS, acceptance {:.3}\n  {}\n  \
         steps per second: MD {:.0}, with a move every {} steps {:.0}\n  {:?}",
        moved.acceptance(),
        crossings("sign of phi", rates[0], rates[1]),
        speeds[0],
        steps[1],
        speeds[1],
        moved.populations(&basins, 2),
    ));

    // It would need some nanoseconds to leave.
    let stays = alone.populations(phi, 2)[0].value;
    assert!(stays > 0.9, "{stays}");
    assert_agree(
        "MD + moves",
        &basins,
        &moved.populations(&basins, 2),
        &expected,
    );
}

/// Writes one of the shipped frames whose torsions are in a basin.
fn start_in(basin: &Basin, torsions: &[[usize; 4]], path: &Path) {
    let topology = Topology::read(&dipeptide("topology.pdb")).expect("the structure");
    let frames = Trajectory::open(
        &[dipeptide("trajectory.dcd")],
        &topology,
        &ReadOptions::default(),
    )
    .and_then(|mut trajectory| trajectory.read_all())
    .expect("the shipped frames");
    let inside = |frame: &&[f64]| {
        let angles: Vec<f64> = torsions.iter().map(|&four| torsion(frame, four)).collect();
        basin.contains(&angles)
    };
    let mut frames = (0..frames.len()).map(|i| frames.frame(i));
    let frame = frames.find(inside).expect("a frame in the basin");
    let mut writer = TrajectoryWriter::create(path, &topology).expect("a PDB file");
    writer.write(frame).expect("the frame can be written");
    writer.finish().expect("the file can be written");
}
