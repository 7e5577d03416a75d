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
