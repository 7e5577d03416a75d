use std::path::{Path, PathBuf};

use regflow::metric::Populations;
use regflow::sample::{Resampling, resample};
use regflow::system::TrajectoryWriter;

use crate::diagnostics;
use crate::figures::Figures;
use crate::inputs::{self, OptionalEnergy};
use crate::scores::Scores;
use crate::{Common, Outcome};

/// Configurations between two writes: bounds the memory, and the time in which nothing is seen.
const CHUNK: usize = 16384;

/// Draw weighted configurations from a model
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    bg-sample sample --model model.safetensors --energy system.xml -n 10000 --out samples.dcd")]
pub struct Arguments {
    /// Model file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    energy: OptionalEnergy,
    /// Number of configurations
    #[arg(short, value_name = "N")]
    n: usize,
    /// Index of the first configuration in the stream of the seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Write N configurations resampled by weight (systematic or multinomial) instead of the weighted ones
    #[arg(long, value_name = "METHOD")]
    resample: Option<Resampling>,
    /// Trajectory to write, in any format that chemfiles writes; beside it an .npz with `log_q`, and with --energy
    /// `energy` (kJ/mol) and `log_weight`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    if arguments.n == 0 {
        return Err("-n 0: expected at least one configuration".into());
    }
    let sidecar = arguments.out.with_extension("npz");
    if sidecar == arguments.out {
        return Err(format!(
            "--out {}: .npz is the name of the sidecar; give a trajectory format such as .dcd",
            arguments.out.display()
        )
        .into());
    }
    if arguments.resample.is_some() && arguments.energy.source.is_none() {
        return Err("--resample draws by weight, which needs --energy".into());
    }
    let source = arguments.energy.source.as_ref().map(PathBuf::from);
    let written: [(_, &Path); 2] = [("--out", &arguments.out), ("--out", &sidecar)];
    inputs::keep([&arguments.model].into_iter().chain(&source), &written)?;
    inputs::output("--out", &arguments.out)?;
    inputs::output("--out", &sidecar)?;
    let model = inputs::model(common, &arguments.model)?;
    let energy = arguments.energy.load(common, model.topology())?;
    let mut writer = TrajectoryWriter::create(&arguments.out, model.topology())?;
    let mut scores = Scores::new(model.temperature(), energy.as_deref());
    let mut populations = Populations::new(model.topology());
    let draw = |done: usize| {
        let count = CHUNK.min(arguments.n - done);
        model.sample(count, common.seed, arguments.first + done as u64)
    };
    for done in (0..arguments.n).step_by(CHUNK) {
        let drawn = draw(done)?;
        scores.extend(&drawn.positions, &drawn.log_q)?;
        populations.extend(&drawn.positions);
        if arguments.resample.is_none() {
            writer.write(&drawn.positions)?;
        }
    }
    let mut chosen = None;
    if let (Some(method), Some(all)) = (arguments.resample, scores.weighted()) {
        let rows = resample(method, &all.log_weight, arguments.n, common.seed)?;
        // All weights are needed before the first configuration is written: those chosen are drawn a second time, by their index,
        // so that memory does not grow with their number.
        let width = 3 * model.n_atoms();
        for same_chunk in rows.chunk_by(|a, b| a / CHUNK == b / CHUNK) {
            let done = same_chunk[0] / CHUNK * CHUNK;
            let drawn = draw(done)?;
            for &index in same_chunk {
                writer.write(&drawn.positions[(index - done) * width..][..width])?;
            }
        }
        chosen = Some(rows);
    }
    writer.finish()?;
    scores.write(&sidecar, chosen.as_deref())?;

    let mut figures = Figures::default();
    match scores.weighted() {
        Some(all) => {
            let found = all.diagnostics(common.seed);
            diagnostics::add(&mut figures, &found, diagnostics::Source::Proposal);
            for warning in found.warnings() {
                figures.warn(warning);
            }
            diagnostics::add_weighted(&mut figures, &populations, &all.log_weight)?;
        }
        None => {
            scores.add_log_q(&mut figures);
            diagnostics::add_drawn(&mut figures, &populations, arguments.n)?;
        }
    }
    let path = |path: &PathBuf| path.display().to_string();
    figures.add("out", path(&arguments.out), path(&arguments.out));
    figures.add("sidecar", path(&sidecar), path(&sidecar));
    figures.warn_all(energy.as_deref().and_then(inputs::refusals));
    figures.print(common)
}
