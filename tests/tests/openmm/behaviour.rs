//! What must hold exactly: restarts, XML, Python beside C++, refusals. The checks are functions of `tests/openmm/behaviour.py`.

use regflow_tests::{chain, run};

use crate::engine::{OpenMm, openmm, text};

/// Runs one function of `tests/openmm/behaviour.py`, with a model of the chain.
fn check(engine: &OpenMm, name: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let model = folder.path().join("chain.safetensors");
    chain::model(&model, 200);
    run(engine
        .python("tests/openmm/behaviour.py")
        .arg(name)
        .arg(engine.file(""))
        .arg(chain::file(""))
        .arg(&model));
}

macro_rules! checks {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            if let Some(engine) = openmm() {
                check(engine, stringify!($name));
            }
        }
    )*};
}

checks!(
    xml_round_trip,
    a_checkpoint_restores_the_moves,
    a_state_keeps_the_moves_place,
    moves_that_are_never_accepted_are_warned_of,
    wrong_set_ups_are_refused,
    a_molecule_cut_by_the_box_is_moved_whole,
    virtual_sites_follow,
    the_temperature_is_a_parameter,
    two_molecules_have_moves_of_their_own,
    velocities_are_those_of_the_integrator
);

#[test]
fn python_and_cpp_give_the_same_trajectory() {
    let Some(engine) = openmm() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let model = folder.path().join("chain.safetensors");
    chain::model(&model, 200);
    let (system, topology) = (
        text(&chain::file("system.xml")),
        text(&chain::file("topology.pdb")),
    );
    let model = text(&model);
    let arguments = [
        "--system",
        &system,
        "--topology",
        &topology,
        "--model",
        &model,
        "--every",
        "10",
    ];
    let arguments = [
        &arguments[..],
        &["--torsions", "0,1,2,3", "--steps", "1000"],
    ]
    .concat();
    let (cpp, python) = (
        engine.simulate(&arguments),
        engine.simulate_in_python(&arguments),
    );
    assert_eq!(cpp.torsions, python.torsions);
    assert_eq!(cpp.energies, python.energies);
    assert_eq!(cpp.acceptance, python.acceptance);
    assert!(cpp.acceptance > 0.0);
}
