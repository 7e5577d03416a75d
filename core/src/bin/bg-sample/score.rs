use std::path::PathBuf;

use regflow::coordinates::Coordinates;
use regflow::math::{Purpose, Streams};
use regflow::metric::Populations;

use crate::diagnostics;
use crate::figures::Figures;
use crate::inputs::{self, FrameArguments, OptionalEnergy, Refused};
use crate::plausible::Expected;
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
    let expected = Expected {
        energy: energy.as_deref(),
        temperature: Some(model.temperature()),
    };
    let streams = Streams::new(Purpose::ScoreAugmentation, common.seed);
    let mut scores = Scores::new(model.temperature(), energy.as_deref());
    let mut refused = Refused::new(energy.as_deref());
    let mut populations = Populations::new(model.topology());
    let lengths = frames.range.for_each_chunk(
        &frames.trajectory,
        model.topology(),
        selection,
        Some(expected),
        &mut |positions| {
            let first = scores.log_q().len();
            augment(model.coordinates(), positions, first, streams)?;
            let log_q = model.score(positions)?;
            populations.extend(positions);
            refused.during(|| scores.extend(positions, &log_q))?;
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
    figures.warn_all(refused.warning());
    figures.print(common)
}

/// Gives frames the random rigid motion that the target has where features see it: each its own, by its index, so that the score of
/// a frame does not depend on how many are read together.
fn augment(
    coordinates: &Coordinates,
    positions: &mut [f64],
    first: usize,
    streams: Streams,
) -> Outcome {
    for (frame, x) in (first as u64..).zip(positions.chunks_exact_mut(3 * coordinates.n_atoms())) {
        coordinates.augment(x, &mut streams.at(frame))?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use regflow::coordinates::{CoordinateKind, CoordinateOptions};
    use regflow::system::{ReadOptions, Topology, Trajectory};

    use super::*;

    #[test]
    fn the_motion_of_a_frame_is_by_its_index() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/alanine-dipeptide");
        let topology = Topology::read(&data.join("topology.pdb")).unwrap();
        let options = ReadOptions {
            stop: Some(100),
            ..ReadOptions::default()
        };
        let files = [data.join("trajectory.dcd")];
        let mut trajectory = Trajectory::open(&files, &topology, &options).unwrap();
        let whole = trajectory.read_all().unwrap().positions;
        let coordinates = Coordinates::fit(
            CoordinateKind::Cartesian,
            &topology,
            &whole,
            &CoordinateOptions::default(),
        )
        .unwrap();
        let moved = |range: std::ops::Range<usize>| {
            let mut positions = whole[66 * range.start..66 * range.end].to_vec();
            let streams = Streams::new(Purpose::ScoreAugmentation, 3);
            augment(&coordinates, &mut positions, range.start, streams).unwrap();
            positions
        };
        let all = moved(0..4);
        assert!(all != whole[..66 * 4]);
        assert_eq!(moved(2..4), all[66 * 2..]);
    }
}
