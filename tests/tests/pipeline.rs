//! The main job through the command line: train, sample, score, energies.

use std::path::Path;

use regflow::model::Model;
use regflow::system::{NpzReader, ReadOptions, Topology, Trajectory};
use regflow::tensor::Device;
use regflow_tests::{dipeptide, figures};
use tempfile::TempDir;

const KT: f64 = 8.314_462_618_153_24e-3 * 300.0;
const N: usize = 300;

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A quickly trained model: `extra` is added to the command line.
fn train(out: &Path, extra: &[&str]) -> serde_json::Value {
    let (trajectory, topology, system) = (
        dipeptide("trajectory.dcd"),
        dipeptide("topology.pdb"),
        dipeptide("system.xml"),
    );
    let mut arguments = vec!["train", "--trajectory", text(&trajectory)];
    arguments.extend(["--topology", text(&topology), "--energy", text(&system)]);
    arguments.extend(["--temperature", "300", "--stride", "5", "--batch", "128"]);
    arguments.extend(["--seed", "5", "--out", text(out)]);
    arguments.extend(extra);
    figures(&arguments)
}

fn sample(model: &Path, out: &Path, extra: &[&str]) -> serde_json::Value {
    let system = dipeptide("system.xml");
    let n = N.to_string();
    let mut arguments = vec!["sample", "--model", text(model), "--energy", text(&system)];
    arguments.extend(["-n", &n, "--out", text(out)]);
    arguments.extend(extra);
    figures(&arguments)
}

fn array(path: &Path, name: &str) -> Vec<f64> {
    NpzReader::open(path).unwrap().f64(name).unwrap().data
}

fn read(path: &Path) -> Vec<f64> {
    let topology = Topology::read(&dipeptide("topology.pdb")).unwrap();
    let options = ReadOptions {
        longest_bond: f64::INFINITY,
        ..ReadOptions::default()
    };
    Trajectory::open(&[path], &topology, &options)
        .unwrap()
        .read_all()
        .unwrap()
        .positions
}

#[test]
fn frames_in_weighted_samples_out() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (model, samples) = (path("m.safetensors"), path("s.dcd"));
    let trained = train(
        &model,
        &[
            "--architecture",
            "nsf",
            "--architecture-config",
            r#"{"couplings": 4, "hidden": 64}"#,
            "--objective",
            "likelihood",
            "--coordinates",
            "internal",
            "--steps",
            "150",
        ],
    );
    let curve = std::fs::read_to_string(path("m.csv")).unwrap();
    let rows: Vec<&str> = curve.lines().skip(1).collect();
    assert_eq!(rows.len(), 150);
    let validations: Vec<f64> = rows
        .iter()
        .filter_map(|row| row.split(',').nth(6)?.parse().ok())
        .collect();
    // After every 16 steps, and after the last.
    assert_eq!(validations.len(), 10, "{rows:?}");
    // From a flow that is the identity: the torsions' basins alone are worth more than this.
    let best = trained["validation"].as_f64().unwrap();
    assert!(best < validations[0] - 1.0, "{validations:?}");
    assert_eq!(
        best,
        validations.iter().copied().fold(f64::INFINITY, f64::min)
    );

    let drawn = sample(&model, &samples, &["--seed", "3"]);
    assert_eq!(drawn["n"].as_u64(), Some(N as u64));
    let (log_q, energy, log_weight) = (
        array(&path("s.npz"), "log_q"),
        array(&path("s.npz"), "energy"),
        array(&path("s.npz"), "log_weight"),
    );
    assert_eq!(log_q.len(), N);
    let mut finite = 0;
    for i in 0..N {
        if log_weight[i].is_finite() {
            finite += 1;
            assert!((log_weight[i] + energy[i] / KT + log_q[i]).abs() < 1e-9);
        }
    }
    assert!(finite > N * 9 / 10, "{finite} finite weights");

    // The written frames (rounded to f32, 1e-7 relative) have the energies and densities that were reported. Bonds have
    // k = 3e5 kJ/mol/nm^2 and are stretched by up to 0.02 nm: 6e3 kJ/mol/nm times 1e-7 nm times 100 terms.
    let system = dipeptide("system.xml");
    let topology = dipeptide("topology.pdb");
    let (energies, scores) = (path("e.npz"), path("scores.npz"));
    let long = "--accept-long-bonds";
    let mut arguments = vec!["energy", "--energy", text(&system), "--topology"];
    arguments.extend([text(&topology), "--trajectory", text(&samples), long]);
    figures(&[&arguments[..], &["--out", text(&energies)]].concat());
    let mixed = path("mixed.npz");
    let options = ["--precision", "mixed", "--out", text(&mixed)];
    figures(&[&arguments[..], &options].concat());
    let mixed = array(&mixed, "energy");
    let mut arguments = vec!["score", "--model", text(&model), "--energy", text(&system)];
    arguments.extend(["--trajectory", text(&samples), long]);
    figures(&[&arguments[..], &["--out", text(&scores)]].concat());
    let (again, scored) = (array(&energies, "energy"), array(&scores, "log_q"));
    let (mut energy_error, mut density_error, mut mixed_error) = (0f64, 0f64, 0f64);
    for i in (0..N).filter(|&i| log_weight[i].is_finite() && energy[i] < 500.0) {
        energy_error = energy_error.max((again[i] - energy[i]).abs());
        mixed_error = mixed_error.max((mixed[i] - again[i]).abs());
        density_error = density_error.max((scored[i] - log_q[i]).abs());
    }
    assert!(energy_error < 0.1, "{energy_error}");
    // Below 1e-3 on equilibrium frames; some of these have terms ten times as large.
    assert!(mixed_error > 0.0 && mixed_error < 1e-2, "{mixed_error}");
    // Whitened features magnify the rounding of positions (1e-8 nm) by up to 1e3, the network adds some 1e-4.
    assert!(density_error < 0.02, "{density_error}");

    let resampled = path("r.dcd");
    sample(
        &model,
        &resampled,
        &["--seed", "3", "--resample", "systematic"],
    );
    let index = NpzReader::open(&path("r.npz"))
        .unwrap()
        .u64("index")
        .unwrap()
        .data;
    let (all, chosen) = (read(&samples), read(&resampled));
    for (row, &i) in chosen.chunks(66).zip(&index) {
        assert_eq!(row, &all[i as usize * 66..][..66]);
    }
}

#[test]
fn training_and_sampling_are_deterministic_for_any_number_of_threads() {
    let folder = TempDir::new().unwrap();
    let parameters = |name: &str, threads: &str| {
        let out = folder.path().join(name);
        train(
            &out,
            &[
                "--architecture",
                "nsf",
                "--objective",
                "likelihood",
                "--steps",
                "12",
                "--batch",
                "600",
                "--threads",
                threads,
            ],
        );
        let model = Model::load(&out, &Device::Cpu).unwrap();
        model
            .parameters()
            .iter()
            .flat_map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            .collect::<Vec<f32>>()
    };
    let one = parameters("one.safetensors", "1");
    assert!(one == parameters("again.safetensors", "1"));
    assert!(one == parameters("two.safetensors", "2"));
}

#[test]
fn regression_on_optimal_transport_pairs_trains_realnvp_in_all_coordinates() {
    let folder = TempDir::new().unwrap();
    for coordinates in ["internal", "gauge", "cartesian"] {
        let out = folder.path().join("model.safetensors");
        let trained = train(
            &out,
            &[
                "--coordinates",
                coordinates,
                "--architecture",
                "realnvp",
                "--architecture-config",
                r#"{"couplings": 4, "hidden": 32}"#,
                "--objective",
                "regression",
                "--target",
                "ot",
                "--steps",
                "60",
            ],
        );
        let losses: Vec<f64> = std::fs::read_to_string(out.with_extension("csv"))
            .unwrap()
            .lines()
            .skip(1)
            .map(|line| line.split(',').nth(3).unwrap().parse().unwrap())
            .collect();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(
            mean(&losses[50..]) < 0.98 * mean(&losses[..5]),
            "{coordinates}: {losses:?} {trained}"
        );
        let drawn = sample(&out, &folder.path().join("s.xtc"), &[]);
        assert!(drawn["ess_per_n"].as_f64().unwrap() > 0.0, "{drawn}");
        // So little training gives no usable weights, and the program says so.
        assert!(!drawn["warnings"].as_array().unwrap().is_empty(), "{drawn}");
    }
}

#[test]
fn a_polish_brings_the_flow_nearer_to_the_target() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let first = path("first.safetensors");
    let architecture = ["--architecture-config", r#"{"couplings": 4, "hidden": 64}"#];
    let likelihood = ["--objective", "likelihood", "--steps", "300"];
    let before = train(&first, &[&architecture[..], &likelihood].concat());
    let before = before["validation"].as_f64().unwrap();
    for settings in [
        r#"{"forces": true}"#,
        r#"{"forces": false}"#,
        r#"{"reverse": 0.2}"#,
    ] {
        let polish = [
            "--objective",
            "polish",
            "--steps",
            "240",
            "--objective-config",
            settings,
        ];
        let start = ["--start-from", text(&first), "--learning-rate", "3e-4"];
        let after = train(&path("second.safetensors"), &[&start[..], &polish].concat());
        // The parameters were chosen by the ESS of fresh samples. The held-out frames, which took no part in that, judge them;
        // over 1,000 frames the difference of two models this near has a standard error of about 0.02.
        let validation = after["validation"].as_f64().unwrap();
        assert!(validation < before - 0.05, "{settings}: {before} {after}");
        let stages = after["stages"].as_array().unwrap();
        assert!(stages[0]["after"]["ess"].as_f64().unwrap() > 0.0, "{after}");
    }
}
