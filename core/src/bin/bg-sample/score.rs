use std::path::PathBuf;

use regflow::math::{Purpose, Streams};
use regflow::metric::Populations;
use regflow::sample::WeightedSamples;

use crate::diagnostics;
use crate::figures::Figures;
use crate::inputs::{self, EnergyArgument, FrameArguments};
use crate::sample::write_sidecar;
use crate::{Common, Outcome};

/// Densities and weights of the frames of an existing trajectory
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    bg-sample score --model model.safetensors --energy system.xml --trajectory trajectory.dcd --out scores.npz")]
pub struct Arguments {
    /// Model file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    energy: EnergyArgument,
    #[command(flatten)]
    frames: FrameArguments,
    /// Structure file, needed only to select atoms; the model knows its molecule
    #[arg(long, value_name = "FILE", requires = "selection")]
    topology: Option<PathBuf>,
    /// Output: `log_q`, `energy` (kJ/mol) and `log_weight` of each frame
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let model = inputs::model(common, &arguments.model)?;
    let energy = arguments.energy.load(common, model.topology())?;
    let (structure, frames) = (arguments.topology.as_deref(), &arguments.frames);
    let selection = inputs::selected_atoms(model.topology(), structure, &frames.range)?;
    let mut positions = frames.read(model.topology(), selection)?;
    // Where features see the rigid motion, the target has a random one: frames get it here.
    let mut random = Streams::new(Purpose::ScoreAugmentation, common.seed).at(0);
    model.coordinates().augment(&mut positions, &mut random)?;
    let log_q = model.log_density(&positions)?;
    let mut energies = vec![0.0; log_q.len()];
    energy.energies(&positions, &mut energies)?;
    let mut scored = WeightedSamples::new(model.temperature());
    scored.extend(&log_q, &energies);
    write_sidecar(&arguments.out, &scored, None)?;

    let mut figures = Figures::default();
    let source = diagnostics::Source::Frames;
    diagnostics::add(&mut figures, &scored.diagnostics(common.seed), source);
    let mut populations = Populations::new(model.topology());
    populations.extend(&positions);
    diagnostics::add_counted(&mut figures, &populations)?;
    figures.add(
        "out",
        arguments.out.display().to_string(),
        arguments.out.display().to_string(),
    );
    figures.warn_all(inputs::refusals(energy.as_ref()));
    figures.print(common)
}
