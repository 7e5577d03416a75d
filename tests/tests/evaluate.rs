//! `bg-sample evaluate`: figures, and what it says of bad input.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regflow::system::{
    ArrayData, NamedArray, NpzReader, ReadOptions, Topology, Trajectory, TrajectoryWriter,
    write_npz,
};
use regflow_tests::{bg_sample, dipeptide, failure, figures, root, run};
use serde_json::Value;
use tempfile::TempDir;

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A quickly trained model with its curve, shared by the tests.
fn model() -> &'static Path {
    static MODEL: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("model.safetensors");
        let files = ["trajectory.dcd", "topology.pdb", "system.xml"].map(dipeptide);
        let [trajectory, topology, system] = files.each_ref().map(|path| text(path));
        let mut arguments = vec!["train", "--trajectory", trajectory, "--topology", topology];
        arguments.extend(["--energy", system, "--temperature", "300", "--stride", "5"]);
        arguments.extend(["--architecture-config", r#"{"couplings": 4, "hidden": 64}"#]);
        arguments.extend([
            "--objective",
            "likelihood",
            "--steps",
            "150",
            "--batch",
            "128",
        ]);
        arguments.extend(["--out", text(&out)]);
        figures(&arguments);
        (folder, out)
    });
    &MODEL.1
}

/// Arguments that work, and `extra`.
fn arguments(extra: &[&str]) -> Vec<String> {
    let (system, trajectory) = (dipeptide("system.xml"), dipeptide("trajectory.dcd"));
    let mut arguments = vec!["evaluate", "--model", text(model())];
    arguments.extend(["--energy", text(&system), "--reference", text(&trajectory)]);
    arguments.extend(extra);
    arguments.into_iter().map(str::to_owned).collect()
}

fn evaluate(extra: &[&str]) -> Value {
    let arguments = arguments(extra);
    figures(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn fails(extra: &[&str], words: &[&str]) {
    let arguments = arguments(extra);
    let message = failure(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn proposal_and_weighted_samples_against_the_reference() {
    let topology = dipeptide("topology.pdb");
    let small = ["-n", "2000", "--stride", "5", "--topology", text(&topology)];
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report.html");
    let found = evaluate(&[&small[..], &["--report", text(&report)]].concat());
    assert_eq!(found["n"], 2000);
    let page = std::fs::read_to_string(&report).unwrap();
    for warning in found["warnings"].as_array().unwrap() {
        let warning = warning.as_str().unwrap();
        assert!(page.contains(&warning[..20]), "{warning}");
    }
    for key in ["energy_w1", "energy_w2", "torus_w2", "tica_w2"] {
        for of in ["proposal", "reweighted", "floor"] {
            let (value, error) = (&found[key][of]["value"], &found[key][of]["error"]);
            assert!(number(value) > 0.0, "{key} {found}");
            // So few steps may leave weights that tell no error.
            let told = error.as_f64().is_some_and(|error| error > 0.0);
            let untold = of == "reweighted" && found["log_z_error"].is_null();
            assert!(told || untold, "{key} {found}");
        }
    }
    // So little training leaves a proposal that is further away than two halves of the reference are from each other.
    let of = |key: &str, of: &str| number(&found[key][of]["value"]);
    assert!(
        of("energy_w1", "proposal") > of("energy_w1", "floor"),
        "{found}"
    );
    assert!(of("torus_w2", "proposal") < std::f64::consts::PI, "{found}");
    let populations = found["populations"].as_object().unwrap();
    let names: Vec<&String> = populations.keys().collect();
    assert_eq!(names, ["ALA2 alpha", "ALA2 beta", "ALA2 phi>0"]);
    for of in ["reference", "proposal", "reweighted"] {
        let sum: f64 = populations.values().map(|p| number(&p[of]["value"])).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{found}");
    }
    // -kT ln of the ratio of populations.
    let kt = 8.314_462_618_153_24e-3 * 300.0;
    let population = |name: &str| number(&populations[name]["reference"]["value"]);
    let expected = -kt * (population("ALA2 beta") / population("ALA2 alpha")).ln();
    let difference = &found["free_energy_differences"]["ALA2 alpha to ALA2 beta"];
    let difference = number(&difference["reference"]["value"]);
    assert!(
        (difference - expected).abs() < 1e-9,
        "{difference} {expected}"
    );
    // The same seed gives the same figures for any number of threads.
    let again = evaluate(&[&small[..], &["--threads", "1"]].concat());
    for key in ["torus_w2", "tica_w2", "energy_w2", "populations"] {
        for (a, b) in leaves(&found[key]).into_iter().zip(leaves(&again[key])) {
            assert!((a - b).abs() < 1e-9 * (1.0 + a.abs()), "{key}: {a} {b}");
        }
    }
}

/// All numbers of a value.
fn leaves(value: &Value) -> Vec<f64> {
    match value {
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        value => value.as_f64().into_iter().collect(),
    }
}

#[test]
fn basins_torsions_and_runs_of_the_user() {
    let folder = TempDir::new().unwrap();
    let basins = folder.path().join("basins.json");
    let json =
        r#"[{"name": "trans", "ranges": [{"torsion": "0-4-6-8", "lower": 90, "upper": -90}]}]"#;
    std::fs::write(&basins, json).unwrap();
    // Two runs that take turns.
    let series = folder.path().join("series.npz");
    let runs: Vec<u64> = (0..10_000).map(|i| i % 2).collect();
    let array = regflow::system::NamedArray {
        name: "series",
        shape: &[10_000],
        data: regflow::system::ArrayData::U64(&runs),
    };
    regflow::system::write_npz(&series, &[array]).unwrap();
    let found = evaluate(&[
        "-n",
        "300",
        "--stride",
        "3",
        "--series",
        text(&series),
        "--basins",
        text(&basins),
        "--basin",
        "left=phi-ALA2:0:180,psi-ALA2:-120:120",
        "--torsion",
        "ACE1:CH3-ACE1:C-ALA2:N-ALA2:CA",
    ]);
    let populations = found["populations"].as_object().unwrap();
    let names: Vec<&String> = populations.keys().collect();
    assert_eq!(names, ["left", "trans"]);
    // No cis amide in equilibrium.
    assert_eq!(populations["trans"]["reference"]["value"], 1.0);
    assert!(found["free_energy_differences"]["left to trans"].is_object());
}

/// Nine samples are worth no more than nine: whatever their weights are, no error is told, nor counted in standard errors.
#[test]
fn weights_that_tell_no_error_are_said_to() {
    let few = ["-n", "9", "--stride", "20"];
    let found = evaluate(&few);
    assert!(found["log_z_error"].is_null() && found["weighted_reduced_energy_error"].is_null());
    for key in ["populations", "free_energy_differences"] {
        for row in found[key].as_object().unwrap().values() {
            assert!(row["reweighted"]["error"].is_null(), "{key} {found}");
        }
    }
    for key in ["energy_w1", "energy_w2", "torus_w2", "tica_w2"] {
        assert!(found[key]["reweighted"]["error"].is_null(), "{key} {found}");
    }
    let warnings = found["warnings"].to_string();
    assert!(
        warnings.contains("no error of any weighted figure"),
        "{warnings}"
    );
    let counted = ["the reweighted population", "the reweighted mean energy"];
    assert!(
        !counted.iter().any(|words| warnings.contains(words)),
        "{warnings}"
    );

    let printed = run(bg_sample().args(arguments(&few)));
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("(no error can be told)"), "{printed}");
    assert!(
        !printed.contains("NaN") && !printed.contains("+- inf"),
        "{printed}"
    );
    assert!(!printed.contains("+- 0.0000"), "{printed}");
}

/// Two atoms in one place: that frame has no density, the others have theirs.
#[test]
fn a_degenerate_frame_does_not_end_a_score() {
    let folder = TempDir::new().unwrap();
    let [frames, structure, system] =
        ["trajectory.dcd", "topology.pdb", "system.xml"].map(dipeptide);
    let topology = Topology::read(&structure).unwrap();
    let options = ReadOptions {
        stop: Some(30),
        ..ReadOptions::default()
    };
    let mut positions = Trajectory::open(&[frames], &topology, &options)
        .unwrap()
        .read_all()
        .unwrap()
        .positions;
    // The carbonyl carbon on the nitrogen of frame 7.
    positions.copy_within(66 * 7 + 18..66 * 7 + 21, 66 * 7 + 12);
    let path = folder.path().join("frames.dcd");
    let mut writer = TrajectoryWriter::create(&path, &topology).unwrap();
    writer.write(&positions).unwrap();
    writer.finish().unwrap();
    let out = folder.path().join("scores.npz");
    let mut arguments = vec!["score", "--model", text(model()), "--energy", text(&system)];
    arguments.extend(["--trajectory", text(&path), "--out", text(&out)]);
    let found = figures(&arguments);
    assert_eq!(found["n"], 30);
    let warnings = found["warnings"].to_string();
    assert!(
        warnings.contains("1 of 30 frames have no density"),
        "{warnings}"
    );
    assert!(warnings.contains("frame 7"), "{warnings}");
    let mut scores = NpzReader::open(&out).unwrap();
    let [log_q, weights] = ["log_q", "log_weight"].map(|name| scores.f64(name).unwrap().data);
    for (frame, (log_q, weight)) in log_q.iter().zip(weights).enumerate() {
        assert_eq!(log_q.is_finite(), frame != 7, "{frame}");
        assert_eq!(weight == f64::NEG_INFINITY, frame == 7, "{frame}");
    }
}

/// Files of a reference are runs: no block goes over the end of one, and halves that do not agree are told of.
#[test]
fn files_of_a_reference_are_runs() {
    let folder = TempDir::new().unwrap();
    let [frames, structure] = ["trajectory.dcd", "topology.pdb"].map(dipeptide);
    let topology = Topology::read(&structure).unwrap();
    let options = ReadOptions {
        stride: 5,
        ..ReadOptions::default()
    };
    let all = Trajectory::open(&[frames], &topology, &options).unwrap();
    let phi = |x: &[f64]| regflow::system::torsion(x, [4, 6, 8, 10]);
    let psi = |x: &[f64]| regflow::system::torsion(x, [6, 8, 10, 16]);
    // Two runs that are stuck, each in a basin of its own.
    let mut runs = [Vec::new(), Vec::new()];
    for frame in all {
        let frame = frame.unwrap();
        let helical = phi(&frame) < 0.0 && (-1.9..1.3).contains(&psi(&frame));
        runs[usize::from(helical)].extend(frame);
    }
    let paths = ["a.dcd", "b.dcd"].map(|name| folder.path().join(name));
    for (path, run) in paths.iter().zip(&runs) {
        let mut writer = TrajectoryWriter::create(path, &topology).unwrap();
        writer.write(&run[..66 * 600]).unwrap();
        writer.finish().unwrap();
    }
    let system = dipeptide("system.xml");
    let mut arguments = vec![
        "evaluate",
        "--model",
        text(model()),
        "--energy",
        text(&system),
    ];
    arguments.extend(["--reference", text(&paths[0]), text(&paths[1]), "-n", "500"]);
    let found = figures(&arguments);
    let alpha = &found["populations"]["ALA2 alpha"]["reference"];
    // One run has all of it, the other none: known to half.
    assert!((number(&alpha["value"]) - 0.5).abs() < 0.02, "{found}");
    assert!((number(&alpha["error"]) - 0.5).abs() < 0.05, "{found}");
    let warnings = found["warnings"].to_string();
    assert!(warnings.contains("not settled: ALA2 alpha"), "{warnings}");
    // So no deviation of the model from it is significant.
    assert!(!warnings.contains("population of ALA2 alpha"), "{warnings}");
    // The distance of the halves shows it too.
    assert!(
        number(&found["torus_w2"]["floor"]["value"]) > 1.0,
        "{found}"
    );
}

#[test]
fn bad_input_is_named() {
    let (system, other) = (
        dipeptide("system.xml"),
        root().join("tests/data/system/al3.pdb"),
    );
    fails(&["--topology", text(&other)], &["al3.pdb", "33", "22"]);
    fails(&["--torsion", "phi-GLY9"], &["phi-GLY9", "ALA2"]);
    fails(&["--torsion", "1-2-3-99"], &["no atom 99 among 22"]);
    fails(&["--basin", "nothing"], &["nothing", "LOWER:UPPER"]);
    fails(&["--basin", "a=chi-ALA2:0:1"], &["chi-ALA2"]);
    fails(&["--basins", "/nowhere/b.json"], &["/nowhere/b.json"]);
    fails(
        &["--basins", text(&system)],
        &["system.xml", "no list of basins"],
    );
    fails(&["--series", "/nowhere/s.npz"], &["/nowhere/s.npz"]);
    fails(&["--curve", "/nowhere/c.csv"], &["/nowhere/c.csv"]);
    fails(
        &["--curve", text(&system)],
        &["system.xml, line 1", "no column"],
    );
    fails(&["--report", "/nowhere/r.html"], &["--report", "/nowhere"]);
    let folder = TempDir::new().unwrap();
    fails(
        &["--report", text(folder.path())],
        &["--report", "not a file"],
    );
    let series = folder.path().join("series.npz");
    for run in [0.5, 1e300, f64::NAN] {
        let runs: Vec<f64> = (0..100)
            .map(|frame| if frame == 7 { run } else { 1.0 })
            .collect();
        let array = NamedArray {
            name: "series",
            shape: &[100],
            data: ArrayData::F64(&runs),
        };
        write_npz(&series, &[array]).unwrap();
        fails(
            &["--series", text(&series), "--stop", "100"],
            &["series.npz", "'series'", "expected integers"],
        );
    }
    fails(&["--stride", "500"], &["20 frames", "at least 40"]);
    fails(
        &["--stride", "100", "--lag", "100", "-n", "10"],
        &["lag of 100", "100 frames"],
    );
    fails(&["-n", "1"], &["configurations", "expected 2"]);
    fails(&["--transport-points", "1000000"], &["25000"]);
    fails(&["--stop", "50", "--stride", "0"], &["stride"]);

    let message = failure(&[
        "evaluate",
        "--model",
        "/nowhere/m.safetensors",
        "--energy",
        text(&system),
        "--reference",
        text(&dipeptide("trajectory.dcd")),
    ]);
    assert!(message.contains("/nowhere/m.safetensors"), "{message}");
    let message = failure(&[
        "evaluate",
        "--model",
        text(model()),
        "--energy",
        text(&system),
        "--reference",
        text(&other),
    ]);
    assert!(
        message.contains("al3.pdb") && message.contains("33"),
        "{message}"
    );
}
