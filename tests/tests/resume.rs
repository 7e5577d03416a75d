//! Long runs: killed, stopped, starved of disk space, and continued.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regflow::model::Model;
use regflow::tensor::Device;
use regflow_tests::{bg_sample, dipeptide};
use tempfile::TempDir;

const STAGES: &str = r#"
[[stage]]
objective = "likelihood"
steps = 40
batch = 256
[[stage]]
objective = "polish"
steps = 30
batch = 256
[stage.polish]
reverse = 0.2
buffer = 1024
fresh = 128
validation_samples = 200
"#;

fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A training run in two stages whose files are in `folder`.
fn command(folder: &Path, more: &[&str]) -> Command {
    let config = folder.join("stages.toml");
    std::fs::write(&config, STAGES).unwrap();
    let mut command = bg_sample();
    command
        .args(["train", "--config", text(&config)])
        .args([
            "--trajectory",
            text(&dipeptide("trajectory.dcd")),
            "--stride",
            "10",
        ])
        .args(["--topology", text(&dipeptide("topology.pdb"))])
        .args([
            "--energy",
            text(&dipeptide("system.xml")),
            "--temperature",
            "300",
        ])
        .args(["--architecture-config", r#"{"couplings": 4, "hidden": 32}"#])
        .args([
            "--out",
            text(&folder.join("m.safetensors")),
            "--checkpoint-every",
            "0",
        ])
        .args(more);
    command
}

fn finish(folder: &Path, more: &[&str]) -> Output {
    command(folder, more).output().unwrap()
}

fn start(folder: &Path, more: &[&str]) -> Child {
    command(folder, more)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn parameters(folder: &Path) -> Vec<f32> {
    let model = Model::load(&folder.join("m.safetensors"), &Device::Cpu).unwrap();
    let values = model.parameters().iter();
    values
        .flat_map(|(_, var)| var.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        .collect()
}

/// What the record says of the samples that were drawn after each stage.
fn stage_samples(folder: &Path) -> Vec<serde_json::Value> {
    let model = Model::load(&folder.join("m.safetensors"), &Device::Cpu).unwrap();
    let record = model.header().training.as_ref().unwrap();
    record["stage_samples"].as_array().unwrap().clone()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Steps in the order of the curve.
fn steps(folder: &Path) -> Vec<usize> {
    let curve = std::fs::read_to_string(folder.join("m.csv")).unwrap();
    let rows = curve.lines().skip(1);
    rows.map(|row| row.split(',').nth(1).unwrap().parse().unwrap())
        .collect()
}

/// Waits until the run has done `n` more steps than the `before` that its curve has.
fn wait_for_steps(child: &mut Child, folder: &Path, before: usize, n: usize) {
    for _ in 0..6000 {
        let lines = std::fs::read_to_string(folder.join("m.csv")).map_or(0, |c| c.lines().count());
        if lines >= before + n || child.try_wait().unwrap().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("no progress in half a minute");
}

#[test]
fn a_run_killed_ten_times_has_the_bits_of_one_that_was_not() {
    let (whole, parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let output = finish(whole.path(), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = parameters(whole.path());

    let mut random = ChaCha8Rng::seed_from_u64(20);
    let checkpoint = parts.path().join("m.checkpoint");
    let resume = || {
        if checkpoint.exists() {
            &["--resume"][..]
        } else {
            &[]
        }
    };
    let mut killed = 0;
    while killed < 10 {
        let curve = std::fs::read_to_string(parts.path().join("m.csv"));
        let before = curve.map_or(1, |c| c.lines().count());
        let mut child = start(parts.path(), resume());
        wait_for_steps(&mut child, parts.path(), before, random.random_range(1..7));
        // Anywhere in a step, or in the writing of a checkpoint.
        std::thread::sleep(Duration::from_micros(random.random_range(0..30_000)));
        assert!(
            child.try_wait().unwrap().is_none(),
            "finished after {killed} kills"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    let output = finish(parts.path(), resume());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("resumed after step"),
        "{}",
        stderr(&output)
    );
    assert!(parameters(parts.path()) == expected);
    // The stages that were done before it was killed are in the record as well.
    let samples = stage_samples(whole.path());
    assert_eq!(samples.len(), 2);
    assert_eq!(stage_samples(parts.path()), samples);

    // Nothing is missing in the curve, and the checkpoint has served its purpose.
    let mut seen = steps(parts.path());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (1..=70).collect::<Vec<_>>());
    assert!(!checkpoint.exists());
}

#[cfg(unix)]
#[test]
fn signals_save_the_run_and_say_how_to_go_on() {
    let (whole, parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    assert!(finish(whole.path(), &[]).status.success());
    for (signal, more, done) in [("-INT", &[][..], 5), ("-TERM", &["--resume"], 20)] {
        let mut child = start(parts.path(), more);
        wait_for_steps(&mut child, parts.path(), 1, done);
        let status = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{signal}: {}", stderr(&output));
        assert!(
            stderr(&output).contains("the same command with --resume"),
            "{}",
            stderr(&output)
        );
        assert!(!parts.path().join("m.safetensors").exists());
    }
    // Starting anew would lose it.
    let output = finish(parts.path(), &[]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("--resume to continue"),
        "{}",
        stderr(&output)
    );
    // So would other settings.
    let output = finish(parts.path(), &["--resume", "--seed", "7"]);
    assert!(
        stderr(&output).contains("checkpoint of another run"),
        "{}",
        stderr(&output)
    );

    assert!(finish(parts.path(), &["--resume"]).status.success());
    assert!(parameters(parts.path()) == parameters(whole.path()));
    // Interrupted at rest, the curve has each step once.
    assert_eq!(steps(parts.path()), (1..=70).collect::<Vec<_>>());
}

#[cfg(unix)]
#[test]
fn a_full_disk_costs_checkpoints_and_no_work() {
    let (whole, parts) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    assert!(finish(whole.path(), &[]).status.success());
    // A limit on the size of files stands for the disk: the checkpoint grows beyond it when the polish fills its buffer.
    let run = |limit: &str| {
        let inner = command(parts.path(), &[]);
        let mut outer = Command::new("bash");
        outer
            .arg("-c")
            .arg(format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\""))
            .arg("bash");
        outer.arg(inner.get_program()).args(inner.get_args());
        outer.output().unwrap()
    };
    let size = 1024 * {
        let mut child = start(parts.path(), &[]);
        wait_for_steps(&mut child, parts.path(), 1, 3);
        child.kill().unwrap();
        child.wait().unwrap();
        let checkpoint = parts.path().join("m.checkpoint");
        let kilobytes = checkpoint.metadata().unwrap().len() / 1024;
        std::fs::remove_file(checkpoint).unwrap();
        kilobytes + 100
    };
    let output = run(&(size / 1024).to_string());
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    // Once, not at every step.
    assert_eq!(
        told.matches("training goes on without").count(),
        1,
        "{told}"
    );
    assert!(told.contains("m.checkpoint"), "{told}");
    assert!(parameters(parts.path()) == parameters(whole.path()));
    let mut left: Vec<_> = std::fs::read_dir(parts.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    // The process that was killed may have left what it was writing.
    let partial = left
        .iter()
        .filter(|name| name.to_string_lossy().starts_with('.'));
    assert!(partial.count() <= 1, "{left:?}");
    assert!(!parts.path().join("m.checkpoint").exists(), "{left:?}");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told_at_once() {
    let folder = TempDir::new().unwrap();
    let nowhere = folder.path().join("no/such/folder.checkpoint");
    let output = finish(folder.path(), &["--checkpoint", text(&nowhere)]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("folder.checkpoint"),
        "{}",
        stderr(&output)
    );
    assert!(!folder.path().join("m.csv").exists());
}

#[test]
fn a_checkpoint_that_is_damaged_or_missing_is_told() {
    let folder = TempDir::new().unwrap();
    let output = finish(folder.path(), &["--resume"]);
    assert!(!output.status.success());
    assert!(
        stderr(&output).contains("cannot read the checkpoint"),
        "{}",
        stderr(&output)
    );
    std::fs::write(folder.path().join("m.checkpoint"), b"not a checkpoint").unwrap();
    let output = finish(folder.path(), &["--resume"]);
    assert!(
        stderr(&output).contains("is not a usable checkpoint"),
        "{}",
        stderr(&output)
    );
}
