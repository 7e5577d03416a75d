use std::path::PathBuf;

use regflow::math::{Purpose, Streams};
use regflow::sample::WeightedSamples;

use crate::diagnostics::{self, Populations};
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
    // Where features see the rigid motion, the target has a random one: frames get it here.
    let mut random = Streams::new(Purpose::ScoreAugmentation, common.seed).at(0);
    let mut scored = WeightedSamples::new(model.temperature());
    let mut populations = Populations::new(model.topology());
    let lengths = frames.range.for_each_chunk(
        &frames.trajectory,
        model.topology(),
        selection,
        &mut |positions| {
            model.coordinates().augment(positions, &mut random)?;
            let log_q = model.score(positions)?;
            let mut energies = vec![0.0; log_q.len()];
            energy.energies(positions, &mut energies)?;
            scored.extend(&log_q, &energies);
            populations.extend(positions);
            Ok(())
        },
    )?;
    write_sidecar(&arguments.out, &scored, None)?;

    let mut figures = Figures::default();
    let source = diagnostics::Source::Frames;
    diagnostics::add(&mut figures, &scored.diagnostics(common.seed), source);
    populations.add_counted(&mut figures, &lengths)?;
    figures.warn_all(degenerate(&scored));
    figures.add(
        "out",
        arguments.out.display().to_string(),
        arguments.out.display().to_string(),
    );
    figures.warn_all(inputs::refusals(energy.as_ref()));
    figures.print(common)
}

/// How many frames have no density, and which is the first.
fn degenerate(scored: &WeightedSamples) -> Option<String> {
    let mut without = (0..scored.n()).filter(|&frame| scored.log_q[frame].is_nan());
    let first = without.next()?;
    Some(format!(
        "{} of {} frames have no density and weight 0: two atoms in one place, or three on a line that a torsion turns about; the first is \
         frame {first} of those read",
        without.count() + 1,
        scored.n()
    ))
}
