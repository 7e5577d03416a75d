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
    let source = arguments.energy.source.as_ref().map(PathBuf::from);
    let read = arguments.frames.trajectory.iter();
    let read = read
        .chain([&arguments.model])
        .chain(&source)
        .chain(&arguments.topology);
    inputs::keep(read, &[("--out", &arguments.out)])?;
    inputs::output("--out", &arguments.out)?;
    let model = inputs::model(common, &arguments.model)?;
    let energy = arguments.energy.load(common, model.topology())?;
    let (structure, frames) = (arguments.topology.as_deref(), &arguments.frames);
    let selection = inputs::selected_atoms(model.topology(), structure, &frames.range)?;
    // Where features see the rigid motion, the target has a random one: frames get it here.
    let mut random = Streams::new(Purpose::ScoreAugmentation, common.seed).at(0);
    let mut scores = Scores::new(model.temperature(), energy.as_deref());
    let mut populations = Populations::new(model.topology());
    let lengths = frames.range.for_each_chunk(
        &frames.trajectory,
        model.topology(),
        selection,
        &mut |positions| {
            model.coordinates().augment(positions, &mut random)?;
            let is_first = scores.log_q().is_empty();
            let log_q = model.score(positions)?;
            populations.extend(positions);
            scores.extend(positions, &log_q)?;
            if is_first {
                let energies = scores.weighted().map(|all| all.energy.as_slice());
                let energies = energies.map(|energies| (energies, model.temperature()));
                let energy = energy.as_deref();
                frames
                    .range
                    .check(model.topology(), energy, positions, energies)?;
            }
            Ok(())
        },
    )?;
    scores.write(&arguments.out, None)?;

    let mut figures = Figures::default();
    match scores.weighted() {
        Some(weighted) => {
            let found = weighted.diagnostics(common.seed);
            diagnostics::add(&mut figures, &found, diagnostics::Source::Frames);
            figures.warn_all(found.warnings());
        }
        None => scores.add_log_q(&mut figures),
    }
    diagnostics::add_counted(&mut figures, &populations, &lengths)?;
    figures.warn_all(degenerate(scores.log_q()));
    figures.add(
        "out",
        arguments.out.display().to_string(),
        arguments.out.display().to_string(),
    );
    figures.warn_all(energy.as_deref().and_then(inputs::refusals));
    figures.print(common)
}

/// How many frames have no density, and which is the first.
fn degenerate(log_q: &[f64]) -> Option<String> {
    let mut without = (0..log_q.len()).filter(|&frame| log_q[frame].is_nan());
    let first = without.next()?;
    Some(format!(
        "{} of {} frames have no density and weight 0: two atoms in one place, or three on a line that a torsion turns about; the first is \
         frame {first} of those read",
        without.count() + 1,
        log_q.len()
    ))
}
