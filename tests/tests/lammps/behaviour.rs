//! What a simulation may rely on: the same potential, the same run on any number of ranks, after a restart and in other units, and
//! atoms outside of the group left alone.

use std::path::Path;
use std::sync::LazyLock;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regflow::energy::{Energy, ForceField};
use regflow::metric::{Blocks, Estimate, block_average, block_populations};
use regflow::system::{ReadOptions, Topology, Trajectory, torsion};
use regflow_tests::{chain, dipeptide, root};
use tempfile::TempDir;

use crate::engine::{Lammps, dump, lammps};

/// A model of the chain, trained a little.
static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("model.safetensors");
    chain::model(&path, 100);
    std::fs::read(path).expect("the model can be read")
});

/// A folder with the chain for LAMMPS and a model of it.
pub fn chain_folder(lammps: &Lammps, options: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    convert_chain(lammps, folder.path(), options);
    std::fs::write(folder.path().join("model.safetensors"), &*MODEL).expect("the model is copied");
    folder
}

fn convert_chain(lammps: &Lammps, folder: &Path, options: &[&str]) {
    let files = [chain::file("system.xml"), chain::file("topology.pdb")];
    lammps.convert(&files[0], &files[1], &folder.join("molecule"), options);
}

fn assert_close(what: &str, a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(
            (a - b).abs() <= tolerance,
            "{what}, number {i}: {a} and {b}"
        );
    }
}

#[test]
fn lammps_has_the_energies_and_forces_of_the_force_field() {
    let Some(lammps) = lammps() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = folder.path();
    let system = root().join("tests/data/engines/alanine-dipeptide/system.xml");
    let topology = Topology::read(&dipeptide("topology.pdb")).expect("the structure");
    let options = ReadOptions {
        stride: 500,
        ..ReadOptions::default()
    };
    let positions = Trajectory::open(&[dipeptide("trajectory.dcd")], &topology, &options)
        .and_then(|mut trajectory| trajectory.read_all())
        .expect("the shipped frames")
        .positions;
    let (n_atoms, n) = (22, positions.len() / 66);
    let force_field = ForceField::from_system_xml(&system).expect("the system");
    let (mut energies, mut forces) = (vec![0.0; n], vec![0.0; positions.len()]);
    force_field
        .energies_and_forces(&positions, &mut energies, &mut forces)
        .expect("energies");

    let mut text = String::new();
    for (step, frame) in positions.chunks_exact(3 * n_atoms).enumerate() {
        text += &format!("ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n_atoms}\n");
        text += "ITEM: BOX BOUNDS pp pp pp\n0 80\n0 80\n0 80\nITEM: ATOMS id x y z\n";
        for (atom, at) in frame.chunks_exact(3).enumerate() {
            let [x, y, z] = [0, 1, 2].map(|axis| 10.0 * at[axis] + 40.0);
            text += &format!("{} {x:?} {y:?} {z:?}\n", atom + 1);
        }
    }
    std::fs::write(folder.join("frames.dump"), text).expect("the frames can be written");
    lammps.convert(
        &system,
        &dipeptide("topology.pdb"),
        &folder.join("molecule"),
        &[],
    );
    lammps.run(
        folder,
        1,
        "include molecule.in\n\
         dump forces all custom 1 forces.dump id fx fy fz\n\
         dump_modify forces sort id format float %.17g\n\
         variable energy equal pe\n\
         fix print all print 1 \"1 $(v_energy:%.17g)\" title \"ITEM: ATOMS id energy\" file energies.dump\n\
         rerun frames.dump dump x y z box no",
    );
    // Kilocalories; the two Coulomb constants differ by 1e-8, the energies of charges are some hundred kJ/mol.
    let found = &dump(&folder.join("energies.dump"))[0];
    let found: Vec<f64> = found.iter().map(|e| 4.184 * e).collect();
    assert_close("energies", &found, &energies, 1e-4);
    let found = dump(&folder.join("forces.dump")).concat();
    let found: Vec<f64> = found.iter().map(|f| 41.84 * f).collect();
    assert_close("forces", &found, &forces, 1e-2);
}

/// The inputs of `examples/lammps`: the second goes on from the restart file of the first.
#[test]
fn the_examples_run() {
    let Some(lammps) = lammps() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = folder.path();
    let data = root().join("tests/data/engines/alanine-dipeptide");
    let out = folder.join("dipeptide");
    lammps.convert(
        &data.join("system.xml"),
        &dipeptide("topology.pdb"),
        &out,
        &[],
    );
    lammps.link_plugin(folder);
    for (example, attempts) in [("in.dipeptide", 20.0), ("in.again", 40.0)] {
        let input = format!(
            "variable model index {}\nvariable steps index 1000\ninclude {}",
            data.join("model.safetensors").display(),
            root().join("examples/lammps").join(example).display()
        );
        let thermo = lammps.run(folder, 1, &input).thermo();
        let [_, _, _, acceptance, found, accepted] = thermo[..] else {
            panic!("{thermo:?}")
        };
        assert_eq!(found, attempts);
        assert!(
            accepted >= 1.0 && (acceptance - accepted / attempts).abs() < 1e-3,
            "{thermo:?}"
        );
    }
}

/// Newton's equations with moves: nothing depends on how ranks divide thermostats' random numbers.
const DYNAMICS: &str = "include molecule.in\n\
    velocity all create 300 11\n\
    fix integrate all nve\n\
    fix moves all regflow model.safetensors every 2 temperature 300 seed 5 elements no\n\
    thermo_style custom step pe f_moves[1] f_moves[2]\n\
    thermo_modify format float %.12g\n";
const STATE: &str =
    "write_dump all custom end.dump id xu yu zu vx vy vz modify sort id format float %.17g\n";

#[test]
fn ranks_do_not_change_the_trajectory() {
    let Some(lammps) = lammps() else { return };
    // The molecule is on the corner, cut by the box and by the ranks' parts of it. On four slices, which are thinner than the
    // molecule is long, atoms move further than to the next rank.
    let folder = chain_folder(lammps, &["--box", "0.5", "--cutoff", "0.25", "--corner"]);
    let mut ends = Vec::new();
    for (ranks, grid) in [(1, ""), (2, ""), (4, "processors 1 4 1\n")] {
        let run = lammps.run(
            folder.path(),
            ranks,
            &format!("{grid}{DYNAMICS}comm_modify cutoff 5.5\nrun 60\n{STATE}"),
        );
        let mut end = dump(&folder.path().join("end.dump")).concat();
        let thermo = run.thermo();
        assert!(thermo[2] == 30.0 && thermo[3] >= 15.0, "{thermo:?}");
        end.extend(thermo);
        ends.push(end);
    }
    // Sums in another order, over 60 steps.
    assert_close("2 ranks", &ends[1], &ends[0], 1e-6);
    assert_close("4 ranks", &ends[2], &ends[0], 1e-6);
}

#[test]
fn a_restart_goes_on_to_the_same_numbers() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    let folder = folder.path();
    let end = || dump(&folder.join("end.dump")).concat();
    let whole = lammps.run(
        folder,
        1,
        &format!("{DYNAMICS}run 105\nwrite_restart half.restart\nrun 200\n{STATE}"),
    );
    let expected = end();
    let again = DYNAMICS
        .replace(
            "include molecule.in",
            "read_restart half.restart\npair_coeff * *",
        )
        .replace("velocity all create 300 11\n", "");
    let resumed = lammps.run(folder, 1, &format!("{again}run 200\n{STATE}"));
    assert_close("positions and velocities", &end(), &expected, 1e-6);
    assert_close("output", &resumed.thermo(), &whole.thermo(), 1e-6);
    assert_eq!(resumed.thermo()[2], 152.0);

    // Another model has no use for this state.
    chain::model(&folder.join("model.safetensors"), 0);
    let message = lammps.failure(folder, 1, &format!("{again}run 0"));
    assert!(
        message.contains("Fix regflow") && message.contains("state"),
        "{message}"
    );
}

/// Moves alone: the same proposals and decisions, positions that differ by the unit.
#[test]
fn units_real_metal_and_lj_give_the_same_chain() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    let folder = folder.path();
    let lj = [0.3, 2.0, 15.0].map(|value: f64| value.to_string());
    let lj_temperature = 300.0 * 8.31446261815324e-3 / 2.0;
    let units = [
        ("real", 0.1, 300.0, String::new()),
        ("metal", 0.1, 300.0, String::new()),
        ("lj", 0.3, lj_temperature, format!("lj {} {}", lj[0], lj[1])),
    ];
    let mut ends = Vec::new();
    for (name, length, temperature, keyword) in units {
        let mut options = vec!["--units", name];
        if name == "lj" {
            options.push("--lj");
            options.extend(lj.iter().map(String::as_str));
        }
        convert_chain(lammps, folder, &options);
        let run = lammps.run(
            folder,
            1,
            &format!(
                "include molecule.in\n\
                 fix moves all regflow model.safetensors every 1 temperature {temperature:?} seed 5 elements no {keyword}\n\
                 thermo_style custom step pe f_moves[1] f_moves[2]\n\
                 run 200\n\
                 write_dump all custom end.dump id xu yu zu modify sort id format float %.17g"
            ),
        );
        let end = dump(&folder.join("end.dump")).concat();
        // The box of each has its own rounding.
        let end: Vec<f64> = end.iter().map(|x| length * x).collect();
        ends.push((end, run.thermo()[2..].to_vec()));
    }
    for (end, counts) in &ends[1..] {
        assert_eq!(counts, &ends[0].1);
        assert_close("positions", end, &ends[0].0, 1e-5);
    }
}

/// Without a thermostat, the velocities drawn after moves are what keeps the temperature.
#[test]
fn newtons_equations_with_moves_have_the_canonical_energies() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    let folder = folder.path();
    lammps.run(
        folder,
        1,
        "include molecule.in\n\
         velocity all create 600 11\n\
         fix integrate all nve\n\
         timestep 0.5\n\
         fix moves all regflow model.safetensors every 10 temperature 300 seed 5 elements no\n\
         run 1000\n\
         fix energies all ave/time 40 1 40 c_thermo_pe c_thermo_temp file energies.txt\n\
         run 200000",
    );
    let text = std::fs::read_to_string(folder.join("energies.txt")).expect("the energies");
    let column = |column: usize, factor: f64| -> Estimate {
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        let number = |row: &str| row.split_whitespace().nth(column)?.parse::<f64>().ok();
        let values: Vec<f64> = rows.filter_map(number).map(|x| factor * x).collect();
        assert_eq!(values.len(), 5001);
        block_average(&values, 20)
    };
    let frames = chain::frames(40_000, 3);
    let mut energies = vec![0.0; 40_000];
    ForceField::from_system_xml(&chain::file("system.xml"))
        .and_then(|force_field| force_field.energies(&frames, &mut energies))
        .expect("energies");
    let expected = block_average(&energies, 40);
    let potential = column(1, 4.184);
    let error = potential.error.hypot(expected.error);
    assert!(
        (potential.value - expected.value).abs() <= 3.0 * error,
        "{potential:?} {expected:?}"
    );
    // LAMMPS divides by 9 degrees of freedom; with the motion of the centre there are 12.
    let temperature = column(2, 9.0 / 12.0);
    assert!(
        (temperature.value - 300.0).abs() <= 3.0 * temperature.error,
        "{temperature:?}"
    );
}

/// One of two chains is moved, its atoms in the reverse order: the other one is left alone.
#[test]
fn a_group_is_moved_and_the_rest_stays() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    let folder = folder.path();
    lammps.run(
        folder,
        1,
        "include molecule.in\n\
         replicate 2 1 1\n\
         group solute id 5:8\n\
         fix moves solute regflow model.safetensors every 1 temperature 300 seed 5 elements no atoms 8 7 6 5\n\
         dump frames all custom 1 frames.dump id xu yu zu\n\
         dump_modify frames sort id format float %.17g\n\
         run 20000",
    );
    let frames = dump(&folder.join("frames.dump"));
    assert!(frames.iter().all(|frame| frame[..12] == frames[0][..12]));
    let torsions: Vec<f64> = frames
        .iter()
        .map(|f| torsion(&f[12..], [0, 1, 2, 3]))
        .collect();
    let (basins, expected): (Vec<_>, Vec<_>) = chain::basins().into_iter().unzip();
    let found = block_populations(&basins, &torsions, 1, &Blocks::equal(torsions.len(), 20))
        .expect("populations");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found.value - expected).abs() <= 3.0 * found.error,
            "{found:?}, {expected}"
        );
    }
}

/// Two molecules whose fixes were given the same seed have nothing in common but the distribution.
#[test]
fn fixes_with_the_same_seed_are_independent() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    let folder = folder.path();
    let n = 4000;
    lammps.run(
        folder,
        1,
        &format!(
            "include molecule.in\n\
             replicate 2 1 1\n\
             group one id 1:4\n\
             group two id 5:8\n\
             fix one one regflow model.safetensors every 1 temperature 300 seed 5 elements no\n\
             fix two two regflow model.safetensors every 1 temperature 300 seed 5 elements no\n\
             dump frames all custom 1 frames.dump id xu yu zu\n\
             dump_modify frames sort id format float %.17g\n\
             run {n}"
        ),
    );
    let (basins, _): (Vec<_>, Vec<_>) = chain::basins().into_iter().unzip();
    let frames = dump(&folder.join("frames.dump"));
    let inside = |x: &[f64]| f64::from(basins[0].contains(&[torsion(x, [0, 1, 2, 3])]));
    let pairs: Vec<[f64; 2]> = frames
        .iter()
        .map(|frame| [inside(&frame[..12]), inside(&frame[12..])])
        .collect();
    let mean =
        |of: &dyn Fn(&[f64; 2]) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let [a, b] = [mean(&|p| p[0]), mean(&|p| p[1])];
    let covariance = mean(&|p| p[0] * p[1]) - a * b;
    let correlation = covariance / (a * (1.0 - a) * b * (1.0 - b)).sqrt();
    // Most frames are new draws: the rest of the correlation time is within the 1.5.
    let error = 1.5 / f64::from(n).sqrt();
    assert!(correlation.abs() < 3.0 * error, "{correlation}");
}

/// The potential of a fix counts once `fix_modify energy yes` says so; before, a warning tells that it does not.
#[test]
fn a_restraint_counts_with_its_energy() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    let folder = folder.path();
    let input = |modify: &str, steps: usize| {
        format!(
            "include molecule.in\n\
             fix bias all restrain dihedral 1 2 3 4 0.8 0.8 180.0\n\
             {modify}\n\
             fix moves all regflow model.safetensors every 1 temperature 300 seed 5 elements no\n\
             dump frames all custom 1 frames.dump id xu yu zu\n\
             dump_modify frames sort id format float %.17g\n\
             run {steps}"
        )
    };
    let warning = "fix_modify bias energy yes";
    let text = lammps.run(folder, 1, &input("", 0)).text.replace('\n', " ");
    assert!(text.contains(warning), "{text}");
    let run = lammps.run(folder, 1, &input(warning, 20_000));
    assert!(!run.text.contains("moves leave it out"), "{}", run.text);
    let torsions: Vec<f64> = dump(&folder.join("frames.dump"))
        .iter()
        .map(|frame| torsion(frame, [0, 1, 2, 3]))
        .collect();
    // Exact configurations without the restraint, K (1 - cos phi), kept with its Boltzmann factor.
    let stiffness = 0.8 * 4.184 / regflow::system::kt(chain::TEMPERATURE);
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let kept: Vec<f64> = chain::frames(100_000, 3)
        .chunks_exact(12)
        .map(|frame| torsion(frame, [0, 1, 2, 3]))
        .filter(|phi| random.random::<f64>() < (-stiffness * (1.0 - phi.cos())).exp())
        .collect();
    let (basins, free): (Vec<_>, Vec<_>) = chain::basins().into_iter().unzip();
    let found = block_populations(&basins, &torsions, 1, &Blocks::equal(torsions.len(), 40))
        .expect("populations");
    let expected =
        block_populations(&basins, &kept, 1, &Blocks::equal(kept.len(), 40)).expect("populations");
    for ((found, expected), free) in found.iter().zip(&expected).zip(free) {
        let error = found.error.hypot(expected.error);
        assert!(
            (found.value - expected.value).abs() <= 3.0 * error,
            "{found:?}, {expected:?}"
        );
        assert!(
            (free - expected.value).abs() > 10.0 * error,
            "{free} {expected:?}"
        );
    }
}
