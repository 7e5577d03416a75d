//! Bad input: each gives one message that names the file, what was expected and what was found.

use std::path::{Path, PathBuf};

use regflow::system::Topology;
use regflow_tests::{bg_sample, dipeptide, failure, figures, root};
use tempfile::TempDir;

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// Fails as `energy` on these inputs, and leaves no output.
fn energy_failure(system: &Path, topology: &Path, trajectory: &Path) -> String {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("e.npz");
    let message = failure(&[
        "energy",
        "--energy",
        text(system),
        "--topology",
        text(topology),
        "--trajectory",
        text(trajectory),
        "--out",
        text(&out),
    ]);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "something was left behind");
    message
}

fn assert_names(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

fn inputs() -> (PathBuf, PathBuf, PathBuf) {
    (
        dipeptide("system.xml"),
        dipeptide("topology.pdb"),
        dipeptide("trajectory.dcd"),
    )
}

fn model() -> PathBuf {
    root().join("tests/data/engines/alanine-dipeptide/model.safetensors")
}

/// A copy of a file, changed.
fn changed(folder: &TempDir, source: &Path, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let mut bytes = std::fs::read(source).unwrap();
    change(&mut bytes);
    let path = folder.path().join(source.file_name().unwrap());
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn missing_files() {
    let (system, topology, trajectory) = inputs();
    let missing = Path::new("/nowhere/file.dcd");
    assert_names(
        &energy_failure(&system, &topology, missing),
        &["/nowhere/file.dcd"],
    );
    let missing = Path::new("/nowhere/file.pdb");
    assert_names(
        &energy_failure(&system, missing, &trajectory),
        &["/nowhere/file.pdb"],
    );
    let missing = Path::new("/nowhere/file.xml");
    assert_names(
        &energy_failure(missing, &topology, &trajectory),
        &["/nowhere/file.xml"],
    );
    assert_names(
        &failure(&["inspect", "/nowhere/m.safetensors"]),
        &["/nowhere/m.safetensors"],
    );
}

#[test]
fn wrong_atom_count() {
    let (system, topology, trajectory) = inputs();
    let tripeptide = root().join("tests/data/system/al3.pdb");
    let message = energy_failure(&system, &tripeptide, &trajectory);
    assert_names(&message, &["system.xml", "22", "33"]);
    let other = root().join("tests/data/system/al3.pdb");
    let message = energy_failure(&system, &topology, &other);
    assert_names(&message, &["al3.pdb", "22", "33"]);
}

#[test]
fn unknown_force() {
    let (system, topology, trajectory) = inputs();
    let folder = TempDir::new().unwrap();
    let bad = changed(&folder, &system, |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text
            .replace("type=\"HarmonicAngleForce\"", "type=\"AmoebaVdwForce\"")
            .into_bytes();
    });
    let message = energy_failure(&bad, &topology, &trajectory);
    assert_names(
        &message,
        &["system.xml", "AmoebaVdwForce", "HarmonicBondForce"],
    );
}

#[test]
fn not_a_number_in_a_frame() {
    let (system, topology, trajectory) = inputs();
    let folder = TempDir::new().unwrap();
    let bad = changed(&folder, &trajectory, |bytes| {
        // Somewhere in the last frame: coordinates are the last 3 * 22 floats, in records with markers.
        let at = bytes.len() - 40;
        bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let message = energy_failure(&system, &topology, &bad);
    assert_names(&message, &["trajectory.dcd", "9999"]);
}

#[test]
fn truncated_trajectory() {
    let (system, topology, trajectory) = inputs();
    let folder = TempDir::new().unwrap();
    let bad = changed(&folder, &trajectory, |bytes| {
        bytes.truncate(bytes.len() / 2 + 10)
    });
    let message = energy_failure(&system, &topology, &bad);
    assert_names(&message, &["trajectory.dcd", "frame"]);
    let out = folder.path().join("e.npz");
    let accepted = figures(&[
        "energy",
        "--energy",
        text(&system),
        "--topology",
        text(&topology),
        "--trajectory",
        text(&bad),
        "--accept-damaged",
        "--out",
        text(&out),
    ]);
    let frames = accepted["frames"].as_u64().unwrap();
    assert!((4990..=5000).contains(&frames), "{accepted}");
}

#[test]
fn damaged_and_foreign_models() {
    let folder = TempDir::new().unwrap();
    let garbage = folder.path().join("garbage.safetensors");
    std::fs::write(
        &garbage,
        b"not a model at all, but long enough to have a header",
    )
    .unwrap();
    assert_names(
        &failure(&["inspect", text(&garbage)]),
        &["garbage.safetensors", "not a usable model"],
    );

    let (system, topology, trajectory) = inputs();
    let model = folder.path().join("model.safetensors");
    let mut arguments = vec!["train", "--trajectory", text(&trajectory), "--topology"];
    arguments.extend([text(&topology), "--energy", text(&system)]);
    arguments.extend(["--temperature", "300", "--stride", "50", "--steps", "2"]);
    arguments.extend(["--objective", "likelihood", "--out", text(&model)]);
    figures(&arguments);
    figures(&["inspect", text(&model)]);
    let whole = std::fs::read(&model).unwrap();
    for keep in [7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&garbage, &whole[..keep]).unwrap();
        assert_names(
            &failure(&["inspect", text(&garbage)]),
            &["garbage.safetensors"],
        );
    }
    let replace = |from: &str, to: &str| {
        let mut bytes = whole.clone();
        let at = bytes
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&garbage, bytes).unwrap();
        failure(&["inspect", text(&garbage)])
    };
    // The header is JSON inside JSON.
    assert_names(
        &replace(r#"\"format_version\":1"#, r#"\"format_version\":9"#),
        &["version 9"],
    );
    assert_names(
        &replace(r#"\"name\":\"nsf\""#, r#"\"name\":\"xyz\""#),
        &["xyz"],
    );

    let other_atoms = root().join("tests/data/system/al3.pdb");
    let out = folder.path().join("s.npz");
    let mut arguments = vec!["score", "--model", text(&model), "--energy", text(&system)];
    arguments.extend(["--trajectory", text(&other_atoms), "--out", text(&out)]);
    assert_names(&failure(&arguments), &["al3.pdb", "22", "33"]);
}

#[test]
fn bad_options() {
    let (system, topology, trajectory) = inputs();
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("m.safetensors");
    let train = |extra: &[&str]| {
        let mut arguments = vec!["train", "--trajectory", text(&trajectory), "--topology"];
        arguments.extend([text(&topology), "--energy", text(&system)]);
        arguments.extend(["--temperature", "300", "--stride", "100", "--steps", "2"]);
        arguments.extend(["--objective", "likelihood", "--out", text(&out)]);
        arguments.extend(extra);
        let message = failure(&arguments);
        assert!(!out.exists());
        message
    };
    assert_names(&train(&["--learning-rate=-1"]), &["learning-rate", "-1"]);
    assert_names(&train(&["--architecture", "unknown"]), &["unknown", "nsf"]);
    assert_names(
        &train(&["--architecture-config", r#"{"hiden": 3}"#]),
        &["hiden", "hidden"],
    );
    assert_names(
        &train(&["--architecture-config", "{"]),
        &["--architecture-config"],
    );
    assert_names(&train(&["--stride", "1000"]), &["10 frames", "40"]);
    assert_names(&train(&["--device", "tpu"]), &["tpu", "cpu"]);
    assert_names(&train(&["--seed", "x"]), &["seed"]);
    assert_names(&train(&["--config", "/nowhere.toml"]), &["/nowhere.toml"]);
    let config = folder.path().join("c.toml");
    std::fs::write(&config, "stepz = 3").unwrap();
    assert_names(&train(&["--config", text(&config)]), &["`stepz`", "c.toml"]);
    // Divergence is told with its step and a remedy, and leaves no model.
    assert_names(
        &train(&["--learning-rate", "1e30", "--steps", "50", "--warm-up", "0"]),
        &["diverged", "step", "--learning-rate"],
    );
}

#[test]
fn stages_that_make_no_sense() {
    let (system, topology, trajectory) = inputs();
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("m.safetensors");
    let train = |extra: &[&str]| {
        let mut arguments = vec!["train", "--trajectory", text(&trajectory), "--topology"];
        arguments.extend([text(&topology), "--energy", text(&system)]);
        arguments.extend(["--temperature", "300", "--stride", "100"]);
        arguments.extend(["--out", text(&out)]);
        arguments.extend(extra);
        failure(&arguments)
    };
    assert_names(
        &train(&["--recipe", "quick"]),
        &["quick", "fast, default, best"],
    );
    assert_names(&train(&["--steps", "5"]), &["--objective"]);
    assert_names(
        &train(&["--stage", r#"{"step": 5}"#]),
        &["--stage", "`step`", "`steps`"],
    );
    assert_names(
        &train(&["--stage", "nowhere.json"]),
        &["--stage", "nowhere.json"],
    );
    assert_names(
        &train(&[
            "--objective",
            "likelihood",
            "--objective-config",
            r#"{"data": 0.5}"#,
        ]),
        &["--objective-config", "settings of likelihood", "`data`"],
    );
    assert_names(
        &train(&[
            "--objective",
            "polish",
            "--objective-config",
            r#"{"data": 0.8, "reverse": 0.4}"#,
        ]),
        &["data + reverse", "1.2"],
    );
    assert_names(
        &train(&["--objective", "polish", "--target-noise", "0.1"]),
        &["--target-noise is 0.1", "0 in a polish"],
    );
    assert_names(
        &train(&["--recipe", "fast", "--checkpoint-every=-1"]),
        &["--checkpoint-every", "0 or more"],
    );
    assert_names(
        &train(&["--recipe", "fast", "--time-limit", "0"]),
        &["time-limit", "positive"],
    );
    assert!(!out.exists());
}

#[test]
fn libraries_that_are_no_plugins() {
    let folder = TempDir::new().unwrap();
    let text_file = folder.path().join("libtext.so");
    std::fs::write(&text_file, "not a library").unwrap();
    assert_names(&failure(&["plugins", text(&text_file)]), &["libtext.so"]);
    assert_names(
        &failure(&["plugins", "./libnowhere.so"]),
        &["libnowhere.so"],
    );
}

#[test]
fn text_that_is_not_utf_8_is_an_error_and_no_more() {
    let folder = TempDir::new().unwrap();
    let (system, _, trajectory) = inputs();
    let topology = folder.path().join("a.lammpstrj");
    let dump = b"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n\xff\xfe\x1b]0;x\x07\n";
    std::fs::write(&topology, dump).unwrap();
    let message = energy_failure(&system, &topology, &trajectory);
    assert_names(&message, &["a.lammpstrj"]);
    assert!(!message.contains('\u{1b}'), "{message:?}");
}

#[test]
fn energies_that_are_not_finite_are_told() {
    let folder = TempDir::new().unwrap();
    let (system, topology, _) = inputs();
    let molecule = Topology::read(&topology).unwrap();
    let mut frame = format!("{}\n\n", molecule.n_atoms());
    for (index, atom) in molecule.atoms.iter().enumerate() {
        // The last two atoms are in one place.
        let x = index.min(molecule.n_atoms() - 2);
        frame += &format!("{} {x} 0 {}\n", atom.element, x % 2);
    }
    let trajectory = folder.path().join("a.xyz");
    std::fs::write(&trajectory, frame).unwrap();
    let out = folder.path().join("e.npz");
    let mut arguments = vec!["energy", "--energy", text(&system)];
    arguments.extend(["--topology", text(&topology), "--accept-implausible"]);
    arguments.extend(["--trajectory", text(&trajectory), "--accept-long-bonds"]);
    arguments.extend(["--out", text(&out)]);
    let found = figures(&arguments);
    assert_eq!(found["non_finite"], 1);
    let warning = found["warnings"][0].as_str().unwrap();
    assert!(warning.contains("1 of 1 frames"), "{warning}");
}

#[test]
fn numbers_of_configurations_beyond_all_bounds() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("s.dcd");
    let model = model();
    let draw = |more: &[&str]| {
        let mut arguments = vec!["sample", "--model", text(&model), "--out", text(&out)];
        arguments.extend(more);
        failure(&arguments)
    };
    assert_names(
        &draw(&["-n", "18446744073709551615"]),
        &["-n 18446744073709551615"],
    );
    let first = ["-n", "2", "--first", "18446744073709551615"];
    assert_names(&draw(&first), &["--first 18446744073709551615"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn sampling_that_is_interrupted_leaves_nothing() {
    use std::process::{Command, Stdio};
    let left = |folder: &TempDir| std::fs::read_dir(folder.path()).unwrap().count();
    let model = model();
    for signal in ["-INT", "-TERM"] {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("s.dcd");
        let mut arguments = vec!["sample", "--model", text(&model), "--out", text(&out)];
        arguments.extend(["-n", "1000000000"]);
        let mut child = bg_sample()
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = std::time::Instant::now();
        // Frames are written to a hidden file.
        while left(&folder) == 0 || start.elapsed().as_secs() < 1 {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            assert!(start.elapsed().as_secs() < 60, "nothing is written");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{message}");
        assert_names(&message, &["error: interrupted", "of 1000000000"]);
        assert_eq!(left(&folder), 0);
    }
}
