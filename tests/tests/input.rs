//! Trajectories in many formats, as other programs write them: right energies, or a message that names file and place.

use std::path::{Path, PathBuf};

use regflow::system::{ReadOptions, Topology, Trajectory, TrajectoryWriter};
use regflow_tests::{bg_sample, dipeptide, failure, root, run};
use tempfile::TempDir;

fn programs(name: &str) -> PathBuf {
    root().join("tests/data/system/programs").join(name)
}

/// Arguments of `bg-sample energy`.
fn energy(trajectory: &Path, out: &Path) -> Vec<String> {
    let text = |path: &Path| path.to_str().expect("test paths are UTF-8").to_owned();
    let (system, topology) = (dipeptide("system.xml"), dipeptide("topology.pdb"));
    [
        "energy",
        "--energy",
        &text(&system),
        "--topology",
        &text(&topology),
    ]
    .into_iter()
    .map(str::to_owned)
    .chain(["--trajectory".to_owned(), text(trajectory)])
    .chain(["--out".to_owned(), text(out)])
    .collect()
}

/// Energies of a file's frames, and what was printed to standard error.
fn energies(trajectory: &Path) -> (Vec<f64>, String) {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("e.npz");
    let output = run(bg_sample().args(energy(trajectory, &out)));
    let mut arrays = regflow::system::NpzReader::open(&out).unwrap();
    let energies = arrays.f64("energy").unwrap().data;
    (
        energies,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// The energies that OpenMM gives for the two frames.
fn reference() -> [f64; 2] {
    let text = std::fs::read_to_string(programs("energies.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.parse().unwrap());
    [lines.next().unwrap(), lines.next().unwrap()]
}

/// The same two frames, in files of LAMMPS (tilted box, fractions), MDTraj (six decimals), ASE (columns), OpenMM, MDAnalysis.
#[test]
fn energies_do_not_depend_on_the_file() {
    // kJ/mol: bonds of stiffness 2e5 to 5e5 kJ/mol/nm^2, 0.01 nm from their minimum, 21 of them.
    let error = |digit: f64| 21.0 * 5e3 * digit;
    for (name, digit) in [
        ("openmm.dcd", 2e-7),
        ("mdanalysis.ncdf", 1e-6),
        ("mdtraj6.gro", 1e-6),
        ("ase.extxyz", 1e-6),
        ("lammps_scaled.lammpstrj", 1e-5),
        ("velocities.trr", 2e-7),
    ] {
        let (found, _) = energies(&programs(name));
        assert_eq!(found.len(), 2, "{name}");
        for (found, right) in found.iter().zip(reference()) {
            assert!(
                (found - right).abs() < error(digit),
                "{name}: {found} for {right}"
            );
        }
    }
}

#[test]
fn what_is_odd_is_told_once() {
    let (_, printed) = energies(&programs("velocities.trr"));
    let warnings: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("warning"))
        .collect();
    let [warning] = warnings.as_slice() else {
        panic!("{printed}")
    };
    assert!(
        warning.contains("2 frames have no positions") && warning.contains("velocities.trr"),
        "{warning}"
    );
    let (_, printed) = energies(&programs("openmm.dcd"));
    assert!(!printed.contains("warning"), "{printed}");
}

/// Each is told with the file and the line.
#[test]
fn text_that_is_no_frame() {
    let folder = TempDir::new().unwrap();
    let whole = std::fs::read_to_string(programs("ase.extxyz")).unwrap();
    let dump = std::fs::read_to_string(programs("lammps_wrapped.lammpstrj")).unwrap();
    let path = |name: &str| folder.path().join(name);
    let refused = |name: &str, text: &str| {
        std::fs::write(path(name), text).unwrap();
        let arguments = energy(&path(name), &path("e.npz"));
        let message = failure(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(
            message.contains(name) && !path("e.npz").exists(),
            "{message}"
        );
        message
    };
    let message = refused("columns.xyz", &whole.replace(":pos:", ":velo:"));
    assert!(
        message.contains("line 2") && message.contains("pos:R:3"),
        "{message}"
    );
    let message = refused("inside.xyz", &whole.replacen("\nO ", "\n\nO ", 1));
    assert!(message.contains("line "), "{message}");
    let message = refused("stars.lammpstrj", &dump.replacen("38.9194", "*******", 1));
    assert!(
        message.contains("'*******' is not a number") && message.contains("line 1"),
        "{message}"
    );
    let message = refused(
        "velocities.lammpstrj",
        &dump.replace(" x y z ", " vx vy vz "),
    );
    assert!(
        message.contains("no positions among the columns"),
        "{message}"
    );
}

/// Files are judged one by one: the second one, in Bohr, is told by its name however long the first is.
#[test]
fn a_later_file_in_another_unit() {
    let folder = TempDir::new().unwrap();
    let topology = Topology::read(&dipeptide("topology.pdb")).unwrap();
    let options = ReadOptions {
        stop: Some(50),
        ..ReadOptions::default()
    };
    let first = dipeptide("trajectory.dcd");
    let mut read = Trajectory::open(&[&first], &topology, &options).unwrap();
    let mut positions = read.read_all().unwrap().positions;
    positions.iter_mut().for_each(|x| *x *= 1.889_726);
    let second = folder.path().join("bohr.dcd");
    let mut writer = TrajectoryWriter::create(&second, &topology).unwrap();
    writer.write(&positions).unwrap();
    writer.finish().unwrap();
    let out = folder.path().join("e.npz");
    let mut arguments = energy(&first, &out);
    arguments.insert(7, second.to_str().unwrap().to_owned());
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let message = failure(&arguments);
    for part in ["bohr.dcd", "Bohr", "--accept-implausible"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!out.exists());
    run(bg_sample().args([&arguments[..], &["--accept-implausible"]].concat()));
    assert!(out.exists());
}

#[test]
fn what_a_command_reads_is_not_written_over() {
    let folder = TempDir::new().unwrap();
    let frames = folder.path().join("frames.dcd");
    std::fs::copy(programs("openmm.dcd"), &frames).unwrap();
    let before = std::fs::read(&frames).unwrap();
    // By another name of the same file.
    let out = folder.path().join("link.dcd");
    std::os::unix::fs::symlink(&frames, &out).unwrap();
    let line = energy(&frames, &out);
    let message = failure(&line.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(message.contains("is read by the same command"), "{message}");
    assert_eq!(std::fs::read(&frames).unwrap(), before);
}
