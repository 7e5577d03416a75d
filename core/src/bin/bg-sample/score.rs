use std::path::PathBuf;

use regflow::math::{Purpose, Streams};
use regflow::metric::Populations;

use crate::diagnostics;
use crate::figures::Figures;
use crate::inputs::{self, FrameArguments, OptionalEnergy};
use crate::scores::Scores;
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
    energy: OptionalEnergy,
    #[command(flatten)]
    frames: FrameArguments,
    /// Structure file, needed only to select atoms; the model knows its molecule
    #[arg(long, value_name = "FILE", requires = "selection")]
    topology: Option<PathBuf>,
    /// Output: `log_q` of each frame, and with --energy `energy` (kJ/mol) and `log_weight`
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    inputs::output("--out", &arguments.out)?;
    let model = inputs::model(common, &arguments.model)?;
    let energy = arguments.energy.load(common, model.topology())?;
    let (structure, frames) = (arguments.topology.as_deref(), &arguments.frames);
    let selection = inputs::selected_atoms(model.topology(), structure, &frames.range)?;
    let mut populations = Populations::new(model.topology());
    let mut scores = Scores::new(model.temperature(), energy.as_deref());
    // Where features see the rigid motion, the target has a random one: frames get it here.
    let mut random = Streams::new(Purpose::ScoreAugmentation, common.seed).at(0);
    frames.read_in_pieces(model.topology(), selection, |mut positions| {
        populations.extend(&positions);
        model.coordinates().augment(&mut positions, &mut random)?;
        let log_q = model.log_density(&positions)?;
        scores.extend(&positions, &log_q)
    })?;
    scores.write(&arguments.out, None)?;

    let mut figures = Figures::default();
    match scores.weighted() {
        Some(weighted) => {
            let found = weighted.diagnostics(common.seed);
            diagnostics::add(&mut figures, &found, diagnostics::Source::Frames);
        }
        None => scores.add_log_q(&mut figures),
    }
    diagnostics::add_counted(&mut figures, &populations)?;
    figures.add(
        "out",
        arguments.out.display().to_string(),
        arguments.out.display().to_string(),
    );
    figures.warn_all(energy.as_deref().and_then(inputs::refusals));
    figures.print(common)
}
