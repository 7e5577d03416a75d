use std::path::{Path, PathBuf};

use regflow::metric::Populations;
use regflow::sample::{Resampling, resample};
use regflow::system::TrajectoryWriter;

use crate::diagnostics;
use crate::figures::Figures;
use crate::inputs::{self, OptionalEnergy, Refused};
use crate::progress::Interrupt;
use crate::scores::Scores;
use crate::{Common, Outcome};

/// Configurations between two writes, or those of one call of the model on a GPU: bounds the memory, and the time in which nothing is
/// seen and no signal heard.
const CHUNK: usize = 4096;
/// Configurations whose figures fit the memory of a workstation; the rest goes to the disk.
const MOST: usize = 1_000_000_000;

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
    /// Trajectory to write: .dcd, .xtc, .trr, .nc, .pdb, .gro, .xyz, .lammpstrj, or what else holds configurations; beside it an .npz
    /// with `log_q`, and with --energy `energy` (kJ/mol) and `log_weight`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub fn run(common: &Common, arguments: &Arguments) -> Outcome {
    if !(1..=MOST).contains(&arguments.n) {
        return Err(format!(
            "-n {}: expected 1 to {MOST} configurations; more are drawn in parts, with --first",
            arguments.n
        )
        .into());
    }
    if arguments.first.checked_add(arguments.n as u64).is_none() {
        return Err(format!(
            "--first {}: the stream of a seed has {} configurations",
            arguments.first,
            u64::MAX
        )
        .into());
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
    let interrupt = Interrupt::listen()?;
    let mut writer = TrajectoryWriter::create(&arguments.out, model.topology())?;
    let mut scores = Scores::new(model.temperature(), energy.as_deref());
    let mut refused = Refused::new(energy.as_deref());
    let mut populations = Populations::new(model.topology());
    let chunk = CHUNK.max(model.rows_per_call(arguments.n));
    let draw = |done: usize| -> Outcome<_> {
        if interrupt.is_raised() {
            return Err(format!(
                "interrupted with {done} of {} configurations drawn; nothing is written",
                arguments.n
            )
            .into());
        }
        let count = chunk.min(arguments.n - done);
        Ok(model.sample(count, common.seed, arguments.first + done as u64)?)
    };
    for done in (0..arguments.n).step_by(chunk) {
        let drawn = draw(done)?;
        refused.during(|| scores.extend(&drawn.positions, &drawn.log_q))?;
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
        for same_chunk in rows.chunk_by(|a, b| a / chunk == b / chunk) {
            let done = same_chunk[0] / chunk * chunk;
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
    figures.warn_all(refused.warning());
    figures.print(common)
}
