//! What the program makes of molecules, potentials and frames that do not fit each other, or that come from elsewhere.

use std::path::{Path, PathBuf};

use regflow::potential::load;
use regflow::system::{ReadOptions, Topology, Trajectory, TrajectoryWriter};
use regflow_tests::{bg_sample, dipeptide, failure, figures};
use tempfile::TempDir;

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// The first frames of the shipped trajectory, changed, in a file of this name.
fn frames(folder: &Path, name: &str, n: usize, change: impl Fn(usize, &mut [f64])) -> PathBuf {
    let topology = Topology::read(&dipeptide("topology.pdb")).unwrap();
    let mut source = Trajectory::open(
        &[dipeptide("trajectory.dcd")],
        &topology,
        &ReadOptions::default(),
    )
    .unwrap();
    let path = folder.join(name);
    let mut writer = TrajectoryWriter::create(&path, &topology).unwrap();
    for index in 0..n {
        let mut positions = source.next().unwrap().unwrap();
        change(index, &mut positions);
        writer.write(&positions).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// The shipped System with a text replaced everywhere.
fn system(folder: &Path, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(dipeptide("system.xml")).unwrap();
    assert!(text.contains(from), "{from}");
    let path = folder.join("changed.xml");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    path
}

fn energy<'a>(
    system: &'a Path,
    topology: &'a Path,
    trajectory: &'a Path,
    out: &'a Path,
) -> Vec<&'a str> {
    let mut arguments = vec![
        "energy",
        "--energy",
        text(system),
        "--topology",
        text(topology),
    ];
    arguments.extend(["--trajectory", text(trajectory), "--out", text(out)]);
    arguments
}

fn mean_energy(arguments: &[&str]) -> f64 {
    figures(arguments)["mean_energy"].as_f64().unwrap()
}

#[test]
fn frames_in_another_unit_are_refused_unless_accepted() {
    let folder = TempDir::new().unwrap();
    let (system, topology) = (dipeptide("system.xml"), dipeptide("topology.pdb"));
    let out = folder.path().join("out.npz");
    for (name, factor, unit) in [("bohr.xyz", 1.889_726, "Bohr"), ("nm.xyz", 0.1, "nm")] {
        let path = frames(folder.path(), name, 30, |_, x| {
            x.iter_mut().for_each(|x| *x *= factor)
        });
        let arguments = energy(&system, &topology, &path, &out);
        let message = failure(&arguments);
        for part in [
            &format!("look like {unit} and were read as Angstrom"),
            "--accept-implausible",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(!out.exists());
        mean_energy(&[&arguments[..], &["--accept-implausible"]].concat());
        std::fs::remove_file(&out).unwrap();
    }
}

/// Half the frames mirrored; atoms in another order; hydrogens that do not move.
#[test]
fn training_tells_what_frames_cannot_be() {
    let folder = TempDir::new().unwrap();
    let (system, topology, model) = (
        dipeptide("system.xml"),
        dipeptide("topology.pdb"),
        folder.path().join("m.safetensors"),
    );
    let train = |trajectory: &Path| {
        let mut arguments: Vec<String> = [
            "train",
            "--trajectory",
            text(trajectory),
            "--topology",
            text(&topology),
        ]
        .map(str::to_owned)
        .to_vec();
        arguments.extend(
            [
                "--energy",
                text(&system),
                "--temperature",
                "300",
                "--out",
                text(&model),
            ]
            .map(str::to_owned),
        );
        let brief = [
            "--objective",
            "likelihood",
            "--steps",
            "2",
            "--architecture-config",
            r#"{"couplings": 2, "hidden": 8}"#,
        ];
        arguments.extend(brief.map(str::to_owned));
        arguments
    };
    let run = |arguments: &[String]| {
        let output = bg_sample().args(arguments).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let mixed = frames(folder.path(), "mixed.dcd", 400, |index, x| {
        if index % 2 == 1 {
            x.iter_mut().for_each(|x| *x = -*x);
        }
    });
    let (done, told) = run(&train(&mixed));
    assert!(
        done && told.contains("both hands") && told.contains("50.0 %"),
        "{told}"
    );

    // Each hydrogen at its mean distance, written with the 0.001 nm of XTC and GRO, and without rounding.
    let bonds = Topology::read(&topology).unwrap();
    let neighbours = bonds.neighbours();
    let hydrogens: Vec<usize> = (0..22)
        .filter(|&atom| bonds.atoms[atom].atomic_number == 1)
        .collect();
    let constrain = |_: usize, x: &mut [f64]| {
        for &hydrogen in &hydrogens {
            let parent = neighbours[hydrogen][0];
            let d: Vec<f64> = (0..3)
                .map(|axis| x[3 * hydrogen + axis] - x[3 * parent + axis])
                .collect();
            let length = d.iter().map(|d| d * d).sum::<f64>().sqrt();
            (0..3).for_each(|axis| {
                x[3 * hydrogen + axis] = x[3 * parent + axis] + d[axis] * 0.109 / length
            });
        }
    };
    for name in ["constrained.dcd", "constrained.xtc", "constrained.gro"] {
        let path = frames(folder.path(), name, 300, constrain);
        for coordinates in ["internal", "gauge", "cartesian"] {
            let arguments = [
                train(&path),
                vec!["--coordinates".to_owned(), coordinates.to_owned()],
            ]
            .concat();
            let (done, told) = run(&arguments);
            assert!(
                !done && told.contains("12 bonds do not move"),
                "{name} {coordinates}: {told}"
            );
        }
    }
    // Flexible ones pass the same formats.
    let (done, told) = run(&train(&frames(
        folder.path(),
        "flexible.xtc",
        300,
        |_, _| (),
    )));
    assert!(done, "{told}");
}

#[test]
fn potentials_and_structures_are_compared() {
    let folder = TempDir::new().unwrap();
    let (topology, out) = (dipeptide("topology.pdb"), folder.path().join("out.npz"));
    let path = frames(folder.path(), "frames.dcd", 20, |_, _| ());
    let expected = mean_energy(&energy(&dipeptide("system.xml"), &topology, &path, &out));
    // Repartitioned: hydrogens of 4 u, and all heavy atoms lighter; the energy is the same.
    let text = std::fs::read_to_string(dipeptide("system.xml")).unwrap();
    let potential = load(self::text(&dipeptide("system.xml"))).unwrap();
    let molecule = Topology::read(&topology).unwrap();
    let mut masses = potential.masses().unwrap().to_vec();
    for (atom, neighbours) in molecule.neighbours().iter().enumerate() {
        if molecule.atoms[atom].atomic_number == 1 {
            masses[neighbours[0]] -= 4.0 - masses[atom];
            masses[atom] = 4.0;
        }
    }
    let mut lines = masses.iter();
    let changed: Vec<String> = text
        .lines()
        .map(
            |line| match line.trim_start().starts_with("<Particle mass=") {
                true => format!("<Particle mass=\"{}\"/>", lines.next().unwrap()),
                false => line.to_owned(),
            },
        )
        .collect();
    let heavy = folder.path().join("heavy.xml");
    std::fs::write(&heavy, changed.join("\n")).unwrap();
    assert_eq!(
        mean_energy(&energy(&heavy, &topology, &path, &out)),
        expected
    );
    // A thermostat changes nothing, and a force that only OpenMM has is told with the way out.
    let thermostat = system(
        folder.path(),
        "</Forces>",
        "<Force type=\"AndersenThermostat\"/></Forces>",
    );
    assert_eq!(
        mean_energy(&energy(&thermostat, &topology, &path, &out)),
        expected
    );
    let custom = system(
        folder.path(),
        "</Forces>",
        "<Force type=\"CustomNonbondedForce\"/></Forces>",
    );
    let message = failure(&energy(&custom, &topology, &path, &out));
    assert!(
        message.contains(&format!("openmm:{}", custom.display())),
        "{message}"
    );
    // Two carbons exchanged in the structure: no mass tells, the bonds do.
    let pdb = std::fs::read_to_string(&topology).unwrap();
    let swapped: String = pdb
        .replace(" CH3 ACE", " XXX ACE")
        .replace(" C   NME", " CH3 NME")
        .replace(" XXX ACE", " C9  ACE");
    let renamed = folder.path().join("renamed.pdb");
    std::fs::write(&renamed, &swapped).unwrap();
    assert_eq!(
        mean_energy(&energy(&dipeptide("system.xml"), &renamed, &path, &out)),
        expected
    );
    let mut lines: Vec<&str> = pdb
        .lines()
        .filter(|line| !line.starts_with("CONECT"))
        .collect();
    let place =
        |lines: &[&str], name: &str| lines.iter().position(|line| line.contains(name)).unwrap();
    let (a, b) = (place(&lines, " CA  ALA"), place(&lines, " CB  ALA"));
    lines.swap(a, b);
    let other = folder.path().join("other.pdb");
    std::fs::write(&other, lines.join("\n")).unwrap();
    let message = failure(&energy(&dipeptide("system.xml"), &other, &path, &out));
    assert!(
        message.contains("order of atoms") && message.contains("system.xml"),
        "{message}"
    );
}
