//! Evaluations per second of the native force field, beside OpenMM where it is at hand.
//!
//! `cargo bench -p regflow --bench energy [-- SYSTEM.xml FRAMES.json]`; without arguments the three peptides of
//! `tests/data/energy`. FRAMES.json has `positions`: `[frames, particles, 3]` in nm, repeated to fill the time.
//! `RAYON_NUM_THREADS` sets the threads. Rates are those of the quickest short slice of time, so that other work on the machine
//! disturbs little. `REGFLOW_OPENMM_PYTHON` names a Python with OpenMM and NumPy: the same frames then go
//! through the Reference platform, the fastest one for small molecules on a CPU, and the ratio is printed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use regflow::energy::{Energy, ForceField, Precision};

/// Configurations per call (one slice), and the time over which the quickest slice is sought.
const BATCH: usize = 512;
const TIME: Duration = Duration::from_secs(2);

/// Prints energies per second on standard output; arguments: System XML, frames.
const PEER: &str = r#"
import json, sys, time
import numpy as np
import openmm as mm
system = mm.XmlSerializer.deserialize(open(sys.argv[1]).read())
frames = np.array(json.load(open(sys.argv[2]))["positions"])
context = mm.Context(system, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
best, begin = 0.0, time.perf_counter()
while time.perf_counter() - begin < 4:
    for part in np.array_split(frames, max(1, len(frames) // 4)):
        start = time.perf_counter()
        for x in part:
            context.setPositions(x)
            context.getState(getEnergy=True).getPotentialEnergy()
        best = max(best, len(part) / (time.perf_counter() - start))
print(best)
"#;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo passes `--bench`; whatever else starts with a dash is not ours either.
    let arguments: Vec<PathBuf> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .map(PathBuf::from)
        .collect();
    println!(
        "{} threads; evaluations per second, quickest slice",
        rayon::current_num_threads()
    );
    match &arguments[..] {
        [] => {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/energy");
            for name in ["aldp", "al3", "al4"] {
                run(
                    &folder.join(format!("{name}.xml")),
                    &folder.join(format!("{name}.json")),
                )?;
            }
            Ok(())
        }
        [system, frames] => run(system, frames),
        _ => Err("expected no argument, or SYSTEM.xml FRAMES.json".into()),
    }
}

fn run(system: &Path, frames: &Path) -> Result<(), Box<dyn Error>> {
    let field = ForceField::from_system_xml(system)?;
    let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(frames)?)?;
    let frames_read: Vec<Vec<[f64; 3]>> = serde_json::from_value(json["positions"].clone())?;
    let width = 3 * field.n_atoms();
    let positions: Vec<f64> = frames_read
        .iter()
        .flatten()
        .flatten()
        .copied()
        .cycle()
        .take(BATCH * width)
        .collect();
    let name = system.file_stem().unwrap_or_default().to_string_lossy();
    let peer = openmm(system, frames)?;
    if let Some(peer) = peer {
        println!("{name:>6}  OpenMM Reference, energies           {peer:>12.0}");
    }
    let (mut energies, mut forces) = (vec![0.0; BATCH], vec![0.0; BATCH * width]);
    for precision in [Precision::Double, Precision::Mixed] {
        let field = field.clone().with_precision(precision);
        let label = format!("{name:>6}  {} {precision:?}", field.instruction_set());
        let rate = measure(|| field.energies(&positions, &mut energies))?;
        let ratio = peer.map_or_else(String::new, |p| format!("{:>8.0} x OpenMM", rate / p));
        println!("{label:<24} energies            {rate:>12.0}{ratio}");
        let rate = measure(|| field.energies_and_forces(&positions, &mut energies, &mut forces))?;
        println!("{label:<24} energies and forces {rate:>12.0}");
    }
    Ok(())
}

/// Configurations per second in the quickest slice.
fn measure<E>(mut evaluate: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let (begin, mut best) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < TIME {
        let start = Instant::now();
        evaluate()?;
        best = best.min(start.elapsed());
    }
    Ok(BATCH as f64 / best.as_secs_f64())
}

/// Energies per second of OpenMM, where `REGFLOW_OPENMM_PYTHON` names an interpreter that has it.
fn openmm(system: &Path, frames: &Path) -> Result<Option<f64>, Box<dyn Error>> {
    let Some(python) = std::env::var_os("REGFLOW_OPENMM_PYTHON") else {
        return Ok(None);
    };
    let output = Command::new(&python)
        .args(["-c", PEER])
        .args([system, frames])
        .output()?;
    if !output.status.success() {
        return Err(format!(
            "{}: {}",
            python.display(),
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(Some(String::from_utf8(output.stdout)?.trim().parse()?))
}
