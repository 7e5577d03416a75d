//! Messages that say what was expected, what was found, and how to mend it.

use regflow_tests::{dipeptide, root};

use crate::behaviour::chain_folder;
use crate::engine::lammps;

const FIX: &str = "fix moves all regflow model.safetensors every 10 temperature 300 seed 5";

#[test]
fn messages_tell_what_is_wrong_with_an_input() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    let read = "include molecule.in";
    let cases = [
        (
            format!("{read}\nfix moves all regflow model.safetensors temperature 300 seed 5"),
            "`every` is missing",
        ),
        (
            format!("{read}\nfix moves all regflow model.safetensors every 10 temperature 300"),
            "`seed` is missing",
        ),
        (
            format!("{read}\n{FIX} steps 3"),
            "there is no keyword steps; there are every,",
        ),
        (
            format!("{read}\n{FIX} frame 1 2"),
            "frame wants 3 values, found 2",
        ),
        (
            format!("{read}\n{FIX} frame 1 2 9"),
            "frame names atom ID 9, which is not in the group",
        ),
        (
            format!("{read}\n{FIX} frame 1 2 2"),
            "three different atoms",
        ),
        (
            format!("{read}\n{FIX} atoms 1 2 3 3"),
            "ID 3 is wrong or missing",
        ),
        (
            format!("{read}\n{FIX} placement free"),
            "expected keep or random",
        ),
        (
            format!("{read}\n{FIX} lj 0.3 2.0"),
            "it is needed there and nowhere else",
        ),
        (
            format!(
                "{read}\n{}",
                FIX.replace("model.safetensors", "missing.safetensors")
            ),
            "missing.safetensors",
        ),
        (format!("{read}\n{FIX} device cuda:99"), "cuda"),
        (
            format!(
                "{read}\ngroup solute id 1:3\n{}",
                FIX.replace("all", "solute")
            ),
            "group solute has 3 atoms, the model model.safetensors 4",
        ),
        (
            format!("{read}\n{FIX}\nfix integrate all nve\nrun 1"),
            "atom ID 1 (type 1) has mass 15, but atom 1 of the model is C (12.011)",
        ),
        (
            format!(
                "{read}\n{FIX} elements no\nrun_style respa 2 2 bond 1 angle 1 dihedral 2 pair 2\nfix integrate all nve\nrun 1"
            ),
            "works with run_style verlet",
        ),
        (
            format!("{read}\n{FIX} elements no\nfix held all rigid single\nrun 1"),
            "fix held (rigid) constrains atoms of group all",
        ),
        (
            format!(
                "{read}\n{FIX} elements no\nset atom 4 image 1 0 0\nfix integrate all nve\nrun 1"
            ),
            "the molecule is not whole",
        ),
        (
            format!("{read}\n{FIX} elements no\ndelete_atoms group all bond yes\nrun 1"),
            "0 of the 4 atoms of its group are left",
        ),
        (
            format!(
                "units si\nregion box block 0 1 0 1 0 1\ncreate_box 1 box\ncreate_atoms 1 single 0.5 0.5 0.5\n{FIX}"
            ),
            "units si are not supported, use real, metal or lj",
        ),
    ];
    for (input, expected) in cases {
        let message = lammps.failure(folder.path(), 1, &input);
        assert!(message.contains(expected), "{input}\n{expected}\n{message}");
    }
    // The reason is rank 0's, all ranks end.
    let input = format!(
        "{read}\n{}",
        FIX.replace("model.safetensors", "missing.safetensors")
    );
    let message = lammps.failure(folder.path(), 2, &input);
    assert!(message.contains("missing.safetensors"), "{message}");
}

#[test]
fn atoms_of_another_order_are_noticed() {
    let Some(lammps) = lammps() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let data = root().join("tests/data/engines/alanine-dipeptide");
    let out = folder.path().join("molecule");
    lammps.convert(
        &data.join("system.xml"),
        &dipeptide("topology.pdb"),
        &out,
        &[],
    );
    let order: Vec<String> = (1..=22).rev().map(|id| id.to_string()).collect();
    let input = format!(
        "include molecule.in\n\
         fix moves all regflow {} every 10 temperature 300 seed 5 atoms {}\n\
         run 1",
        data.join("model.safetensors").display(),
        order.join(" ")
    );
    let message = lammps.failure(folder.path(), 1, &input);
    let expected = "atom ID 22 (type 7) has mass 1.00795, but atom 1 of the model is C (12.011)";
    assert!(message.contains(expected), "{message}");
}

/// Whatever the dynamics is kept at, the moves must be at the same.
#[test]
fn thermostats_have_the_temperature_of_the_moves() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    let input = |thermostat: &str| {
        format!(
            "include molecule.in\nvelocity all create 300 11\n{thermostat}\n{FIX} elements no\nrun 40"
        )
    };
    let langevin = |from: f64, to: f64| {
        format!("fix integrate all nve\nfix bath all langevin {from} {to} 100 7")
    };
    for right in [
        langevin(300.0, 300.0),
        "fix bath all nvt temp 300 300 100".into(),
        "fix integrate all nve\nfix bath all temp/csvr 300 300 100 7".into(),
        // A bath of atoms that are not moved is no business of the moves.
        "group none empty\nfix integrate all nve\nfix bath none langevin 350 350 100 7".into(),
    ] {
        lammps.run(folder.path(), 1, &input(&right));
    }
    for (wrong, style, found) in [
        (langevin(350.0, 350.0), "langevin", "350"),
        (langevin(300.0, 400.0), "langevin", "322.5"),
        ("fix bath all nvt temp 310 310 100".into(), "nvt", "310"),
        (
            "fix integrate all nve\nfix bath all temp/berendsen 290 290 100".into(),
            "temp/berendsen",
            "290",
        ),
    ] {
        for ranks in [1, 2] {
            let message = lammps.failure(folder.path(), ranks, &input(&wrong));
            let expected = format!(
                "the moves are made at temperature 300, but fix bath ({style}) keeps atoms of group all at {found}"
            );
            assert!(message.contains(&expected), "{expected}\n{message}");
        }
    }
}

/// Moves of which none is ever accepted are noticed.
#[test]
fn moves_that_are_never_accepted_are_warned_of() {
    let Some(lammps) = lammps() else { return };
    let folder = chain_folder(lammps, &[]);
    // At a thousandth of the temperature no proposal is good enough.
    let input = |temperature: f64, steps: usize| {
        format!(
            "include molecule.in\nminimize 0 1e-6 1000 10000\n\
             fix moves all regflow model.safetensors every 1 temperature {temperature} seed 5 elements no\nrun {steps}"
        )
    };
    let warning = "none of 200 moves of group all was accepted";
    let told = lammps.run(folder.path(), 1, &input(0.3, 199)).text;
    assert!(!told.replace('\n', " ").contains(warning), "{told}");
    let told = lammps.run(folder.path(), 1, &input(0.3, 250)).text;
    assert!(told.replace('\n', " ").contains(warning), "{told}");
    let told = lammps.run(folder.path(), 1, &input(300.0, 250)).text;
    assert!(!told.replace('\n', " ").contains(warning), "{told}");
}

/// Files of other programs have parameters with six digits.
#[test]
fn rounded_parameters_are_converted() {
    let Some(lammps) = lammps() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let system = root().join("tests/data/engines/alanine-dipeptide/system.xml");
    let text = std::fs::read_to_string(system).expect("the system");
    // sigma of the pairs across three bonds, as GROMACS writes it.
    let rounded: String = text
        .split_inclusive("sig=\"")
        .map(|part| {
            let number = part.split('"').next().unwrap_or_default();
            match number.parse::<f64>() {
                Ok(sigma) => part.replacen(number, &format!("{sigma:.6}"), 1),
                Err(_) => part.to_owned(),
            }
        })
        .collect();
    assert_ne!(rounded, text);
    let file = folder.path().join("system.xml");
    std::fs::write(&file, rounded).expect("the system can be written");
    let out = folder.path().join("molecule");
    lammps.convert(&file, &dipeptide("topology.pdb"), &out, &[]);
    lammps.run(folder.path(), 1, "include molecule.in\nrun 0");
}
