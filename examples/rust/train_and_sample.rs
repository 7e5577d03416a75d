//! Trains a small flow on alanine dipeptide through the library, and prints what its samples are worth.
//!
//!     cargo run --release --package regflow-examples --example train_and_sample [STEPS]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use regflow::coordinates::{CoordinateKind, CoordinateOptions};
use regflow::dataset::Dataset;
use regflow::energy::{Energy, ForceField};
use regflow::model::Model;
use regflow::sample::WeightedSamples;
use regflow::system::{ReadOptions, Topology, Trajectory};
use regflow::tensor::Device;
use regflow::train::{Progress, Resources, Stage, TrainOptions, train};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let steps = match std::env::args().nth(1) {
        Some(steps) => steps.parse()?,
        None => 300,
    };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/alanine-dipeptide");
    let topology = Topology::read(&data.join("topology.pdb"))?;
    let energy = ForceField::from_system_xml(&data.join("system.xml"))?;
    let frames = Trajectory::open(
        &[data.join("trajectory.dcd")],
        &topology,
        &ReadOptions::default(),
    )?
    .read_all()?;

    let options = TrainOptions::single(Stage {
        steps,
        ..Stage::default()
    });
    let dataset = Dataset::new(frames.positions, &topology, &options.dataset())?;
    let coordinates = dataset.fit_coordinates(
        CoordinateKind::Internal,
        &topology,
        &CoordinateOptions {
            circular: true,
            ..CoordinateOptions::default()
        },
    )?;
    let mut model = Model::new(
        "nsf",
        json!({ "couplings": 4, "hidden": 64 }),
        coordinates,
        topology,
        300.0,
        options.seed,
        &Device::Cpu,
    )?;
    let mut report = |progress: &Progress| {
        if let Some(validation) = progress.validation {
            println!("step {:5}  validation {validation:.4}", progress.step);
        }
        ControlFlow::Continue(())
    };
    train(
        &mut model,
        &dataset,
        Resources::default(),
        &options,
        &mut report,
    )?;

    let drawn = model.sample(5000, 1, 0)?;
    let mut energies = vec![0.0; drawn.log_q.len()];
    energy.energies(&drawn.positions, &mut energies)?;
    let mut samples = WeightedSamples::new(model.temperature());
    samples.extend(&drawn.log_q, &energies);
    let diagnostics = samples.diagnostics(1);
    println!(
        "ESS/N {:.3}, log Z {:.3} +- {:.3}",
        diagnostics.ess, diagnostics.log_z, diagnostics.log_z_error
    );
    Ok(())
}
