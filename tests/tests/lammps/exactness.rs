//! Molecular dynamics with moves gives the exact distribution, with a good model and with a bad one; without moves it does not.

use std::fmt::Write;
use std::path::Path;

use regflow::metric::{Basin, Blocks, Estimate, TorsionRange, block_populations};
use regflow::system::torsion;
use regflow_tests::exactness::{self, DIPEPTIDE_TORSIONS, assert_agree, compare, start_in};
use regflow_tests::{chain, report, root};
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
        let blocks = Blocks::equal(self.torsions.len() / n_torsions, BLOCKS);
        block_populations(basins, &self.torsions, n_torsions, &blocks).expect("populations")
    }

    /// How often two successive frames are in different basins.
    fn crossings(&self, basins: &[Basin], n_torsions: usize) -> usize {
        exactness::crossings(basins, n_torsions, &self.torsions)
    }

    fn acceptance(&self) -> f64 {
        let columns = self.run.thermo();
        columns[3] / columns[2]
    }
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
        let (acceptance, line) = (moved.acceptance(), compare(name, rates[0], rates[1]));
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
    let torsions = DIPEPTIDE_TORSIONS;

    start_in(&basins[0], &folder.join("start.pdb"));
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
        compare("sign of phi", rates[0], rates[1]),
        speeds[0],
        steps[1],
        speeds[1],
        moved.populations(&basins, 2),
    ));

    // It leaves once in some 10 ns: if at all here, then hardly at once.
    let stays = alone.populations(phi, 2)[0].value;
    assert!(stays - expected[0].value > 0.1, "{stays}");
    assert_agree(
        "MD + moves",
        &basins,
        &moved.populations(&basins, 2),
        &expected,
    );
}
