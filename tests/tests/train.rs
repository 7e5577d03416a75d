//! Training as a job: the same one from the program and from C, without an energy, and with what cannot be.

use std::path::Path;
use std::process::Command;

use regflow::model::Model;
use regflow::system::{NpzReader, ReadOptions, Topology, Trajectory};
use regflow::tensor::Device;
use regflow_tests::native::compile;
use regflow_tests::{dipeptide, failure, figures, run};
use serde_json::{Value, json};
use tempfile::TempDir;

const STRIDE: usize = 100;

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// The arguments of a training run on a hundredth of the shipped frames.
fn training(out: &Path, more: &[&str]) -> Vec<String> {
    let stride = STRIDE.to_string();
    let (trajectory, topology) = (dipeptide("trajectory.dcd"), dipeptide("topology.pdb"));
    let mut arguments = vec!["train", "--trajectory", text(&trajectory), "--topology"];
    arguments.extend([text(&topology), "--stride", &stride, "--out", text(out)]);
    arguments.extend(more);
    arguments.into_iter().map(str::to_owned).collect()
}

fn train(out: &Path, more: &[&str]) -> Value {
    let arguments = training(out, more);
    figures(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

fn refused(out: &Path, more: &[&str]) -> String {
    let arguments = training(out, more);
    let message = failure(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(!out.exists(), "{message}");
    message
}

fn parameters(model: &Model) -> Vec<f32> {
    let values = model.parameters().iter();
    values
        .flat_map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .collect()
}

/// A training record without what differs from run to run.
fn record(model: &Model) -> Value {
    fn without_seconds(value: &mut Value) {
        match value {
            Value::Object(object) => {
                object.remove("seconds");
                object.values_mut().for_each(without_seconds);
            }
            Value::Array(values) => values.iter_mut().for_each(without_seconds),
            _ => {}
        }
    }
    let mut record = model.header().training.clone().expect("a record");
    without_seconds(&mut record);
    record
}

#[test]
fn the_program_and_c_train_the_same_model_with_the_same_record() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let topology = dipeptide("topology.pdb");
    let options = ReadOptions {
        stride: STRIDE,
        ..ReadOptions::default()
    };
    let trajectory = dipeptide("trajectory.dcd");
    let frames = Trajectory::open(&[trajectory], &Topology::read(&topology).unwrap(), &options)
        .unwrap()
        .read_all()
        .unwrap();
    let bytes: Vec<u8> = frames
        .positions
        .iter()
        .flat_map(|x| x.to_ne_bytes())
        .collect();
    std::fs::write(path("frames.bin"), bytes).unwrap();
    let job = json!({
        "temperature": 300.0,
        "architecture": "realnvp",
        "architecture_config": { "couplings": 2, "hidden": 16 },
        "stages": [
            { "objective": "likelihood", "steps": 12, "batch": 32 },
            { "objective": "regression", "steps": 4, "batch": 32 },
            { "objective": "polish", "steps": 3, "batch": 32,
              "polish": { "buffer": 256, "fresh": 32, "validation_samples": 200 } },
        ],
        "validation_fraction": 0.2,
        "pairs": 64,
        "seed": 11,
        "checkpoint_every": 0.5,
    });
    let system = dipeptide("system.xml");
    // The same fields, as TOML.
    std::fs::write(path("job.toml"), toml(&job)).unwrap();
    let config = path("job.toml");
    train(
        &path("program.safetensors"),
        &["--energy", text(&system), "--config", text(&config)],
    );
    let mut in_c = job;
    in_c["out"] = text(&path("c.safetensors")).into();
    run(Command::new(compile("tests/train/job.c", &[]))
        .args([text(&topology), &in_c.to_string(), text(&system)])
        .args([text(&path("frames.bin")), &frames.len().to_string()]));

    let load = |name: &str| Model::load(&path(name), &Device::Cpu).unwrap();
    let (program, c) = (load("program.safetensors"), load("c.safetensors"));
    assert!(parameters(&program) == parameters(&c));
    assert_eq!(record(&program), record(&c));
    let record = record(&c);
    for key in [
        "options",
        "summary",
        "stage_samples",
        "frames",
        "target",
        "warnings",
    ] {
        assert!(!record[key].is_null(), "{key}: {record}");
    }
    assert_eq!(record["stage_samples"].as_array().unwrap().len(), 3);
    assert!(
        record["mean_reduced_energy"].as_f64().unwrap() < 0.0,
        "{record}"
    );
    // Both have written the curve, and left no checkpoint.
    let steps = |name: &str| std::fs::read_to_string(path(name)).unwrap().lines().count();
    assert_eq!((steps("program.csv"), steps("c.csv")), (20, 20));
    for name in ["program.checkpoint", "c.checkpoint"] {
        assert!(!path(name).exists(), "{name}");
    }
}

/// The fields of a JSON object as TOML.
fn toml(object: &Value) -> String {
    fn inline(value: &Value) -> String {
        match value {
            Value::Object(object) => {
                let entries = object
                    .iter()
                    .map(|(key, value)| format!("{key} = {}", inline(value)));
                format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
            }
            Value::Array(values) => {
                let values: Vec<String> = values.iter().map(inline).collect();
                format!("[{}]", values.join(", "))
            }
            scalar => scalar.to_string(),
        }
    }
    let fields = object.as_object().expect("an object").iter();
    fields
        .map(|(key, value)| format!("{key} = {}\n", inline(value)))
        .collect()
}

#[test]
fn energies_are_optional_where_none_is_needed() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let model = path("m.safetensors");
    let small = ["--architecture-config", r#"{"couplings": 2, "hidden": 8}"#];
    let at = ["--temperature", "300", "--architecture", "realnvp"];
    let likelihood = ["--objective", "likelihood", "--steps", "5", "--batch", "32"];
    let trained = train(&model, &[&at[..], &small, &likelihood].concat());
    let samples = &trained["stage_samples"][0];
    assert_eq!(samples["ess_per_n"], Value::Null);
    assert!(
        !samples["populations"].as_array().unwrap().is_empty(),
        "{samples}"
    );

    // Of a model that is gone on from, the temperature is known.
    let start = ["--start-from", text(&model)];
    train(&path("n.safetensors"), &[&start[..], &likelihood].concat());

    // What needs one says so.
    let other = path("o.safetensors");
    for (more, part) in [
        (&["--recipe", "best"][..], "the polish of the recipe best"),
        (&["--objective", "polish"], "stage 1, a polish"),
    ] {
        let message = refused(&other, &[&at[..], more].concat());
        for part in [part, "give one", "--recipe fast"] {
            assert!(message.contains(part), "{message}");
        }
    }

    let (trajectory, system) = (dipeptide("trajectory.dcd"), dipeptide("system.xml"));
    let score = |more: &[&str], out: &Path| {
        let mut arguments = vec!["score", "--model", text(&model), "--trajectory"];
        arguments.extend([text(&trajectory), "--stride", "500", "--out", text(out)]);
        figures(&[&arguments[..], more].concat())
    };
    let sample = |more: &[&str], out: &Path| {
        let arguments = [
            "sample",
            "--model",
            text(&model),
            "-n",
            "50",
            "--out",
            text(out),
        ];
        figures(&[&arguments[..], more].concat())
    };
    let energy = ["--energy", text(&system)];
    let log_q = |name: &str| {
        NpzReader::open(&path(name))
            .unwrap()
            .f64("log_q")
            .unwrap()
            .data
    };
    for (found, without, with) in [
        (score(&[], &path("a.npz")), "a.npz", "b.npz"),
        (sample(&[], &path("c.dcd")), "c.npz", "d.npz"),
    ] {
        let warnings = found["warnings"].to_string();
        assert!(warnings.contains("--energy"), "{found}");
        assert!(
            found["mean_log_q"].is_f64() && found["ess_per_n"].is_null(),
            "{found}"
        );
        assert_eq!(NpzReader::open(&path(without)).unwrap().names(), ["log_q"]);
        match with {
            "b.npz" => score(&energy, &path(with)),
            _ => sample(&energy, &path("d.dcd")),
        };
        assert_eq!(log_q(without), log_q(with));
    }
    let arguments = [
        "sample",
        "--model",
        text(&model),
        "-n",
        "50",
        "--resample",
        "systematic",
    ];
    let message = failure(&[&arguments[..], &["--out", text(&path("e.dcd"))]].concat());
    assert!(message.contains("--energy"), "{message}");
}

#[test]
fn what_cannot_be_is_told_before_any_work_and_in_the_words_of_the_command_line() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let out = path("m.safetensors");
    let fast = ["--temperature", "300", "--recipe", "fast"];
    let told = |more: &[&str], parts: &[&str]| {
        let message = refused(&out, &[&fast[..], more].concat());
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
    };
    let nowhere = path("no/such/file");
    told(&["--curve", text(&nowhere)], &["--curve", "no/such/file"]);
    told(
        &["--checkpoint", text(&nowhere)],
        &["--checkpoint", "no/such/file"],
    );
    told(&["--temperature=-3"], &["--temperature", "-3", "Kelvin"]);
    told(&["--pairs", "0"], &["--pairs", "at least 1"]);
    told(&["--time-limit", "0"], &["--time-limit", "positive"]);
    told(
        &["--coordinate-options", r#"{"whitening": true}"#],
        &["--coordinate-options", "whiten"],
    );
    let message = refused(&path("no/such/m.safetensors"), &fast);
    assert!(
        message.contains("--out") && message.contains("no/such"),
        "{message}"
    );
    let message = refused(&out, &["--recipe", "fast"]);
    assert!(message.contains("--temperature"), "{message}");
    std::fs::write(path("m.checkpoint"), "").unwrap();
    told(&[], &["m.checkpoint", "--resume to continue"]);
    std::fs::remove_file(path("m.checkpoint")).unwrap();

    // Of the other commands too, before the model and the frames are read.
    for command in [
        &["score", "--model", "none", "--trajectory", "none"][..],
        &["sample", "--model", "none", "-n", "5"],
        &[
            "energy",
            "--energy",
            "none",
            "--topology",
            "none",
            "--trajectory",
            "none",
        ],
    ] {
        let message = failure(&[command, &["--out", text(&path("no/such/o.npz"))]].concat());
        let is_sidecar = command[0] == "sample";
        assert!(
            message.contains("--out") && (is_sidecar || message.contains("no/such")),
            "{message}"
        );
    }

    // Bonds as of beads: the way to have them is named.
    let topology = Topology::read(&dipeptide("topology.pdb")).unwrap();
    let frames = Trajectory::open(
        &[dipeptide("trajectory.dcd")],
        &topology,
        &ReadOptions {
            stop: Some(2),
            ..ReadOptions::default()
        },
    )
    .unwrap()
    .read_all()
    .unwrap();
    let mut xyz = String::new();
    for frame in frames.positions.chunks_exact(66) {
        xyz += "22\n\n";
        for (atom, x) in topology.atoms.iter().zip(frame.chunks_exact(3)) {
            // Angstrom, and three times as large.
            let [x, y, z] = [x[0], x[1], x[2]].map(|x| 30.0 * x);
            xyz += &format!("{} {x:.5} {y:.5} {z:.5}\n", atom.element);
        }
    }
    std::fs::write(path("wide.xyz"), xyz).unwrap();
    let (wide, pdb) = (path("wide.xyz"), dipeptide("topology.pdb"));
    let mut arguments = vec![
        "train",
        "--trajectory",
        text(&wide),
        "--topology",
        text(&pdb),
    ];
    arguments.extend(["--out", text(&out)]);
    arguments.extend(fast);
    let message = failure(&arguments);
    assert!(message.contains("--accept-long-bonds"), "{message}");
}
