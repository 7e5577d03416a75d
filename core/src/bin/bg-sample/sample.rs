use std::path::{Path, PathBuf};

use regflow::sample::{Resampling, WeightedSamples, resample};
use regflow::system::{ArrayData, NamedArray, TrajectoryWriter, write_npz};

use crate::diagnostics::{self, Populations};
use crate::figures::Figures;
use crate::inputs::{self, EnergyArgument};
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
    energy: EnergyArgument,
    /// Number of configurations
    #[arg(short, value_name = "N")]
    n: usize,
    /// Index of the first configuration in the stream of the seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Write N configurations resampled by weight (systematic or multinomial) instead of the weighted ones
    #[arg(long, value_name = "METHOD")]
    resample: Option<Resampling>,
    /// Trajectory to write, in any format that chemfiles writes; beside it an .npz with `log_q`, `energy`, `log_weight`
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
    let model = inputs::model(common, &arguments.model)?;
    let energy = arguments.energy.load(common, model.topology())?;
    let mut writer = TrajectoryWriter::create(&arguments.out, model.topology())?;
    let mut all = WeightedSamples::new(model.temperature());
    let mut populations = Populations::new(model.topology());
    let draw = |done: usize| {
        let count = CHUNK.min(arguments.n - done);
        model.sample(count, common.seed, arguments.first + done as u64)
    };
    for done in (0..arguments.n).step_by(CHUNK) {
        let drawn = draw(done)?;
        let mut energies = vec![0.0; drawn.log_q.len()];
        energy.energies(&drawn.positions, &mut energies)?;
        all.extend(&drawn.log_q, &energies);
        populations.extend(&drawn.positions);
        if arguments.resample.is_none() {
            writer.write(&drawn.positions)?;
        }
    }
    let chosen = match arguments.resample {
        None => None,
        Some(method) => {
            let chosen = resample(method, &all.log_weight, arguments.n, common.seed)?;
            // All weights are needed before the first configuration is written: those chosen are drawn a second time, by their index,
            // so that memory does not grow with their number.
            let width = 3 * model.n_atoms();
            for same_chunk in chosen.chunk_by(|a, b| a / CHUNK == b / CHUNK) {
                let done = same_chunk[0] / CHUNK * CHUNK;
                let drawn = draw(done)?;
                for &index in same_chunk {
                    writer.write(&drawn.positions[(index - done) * width..][..width])?;
                }
            }
            Some(chosen)
        }
    };
    writer.finish()?;
    write_sidecar(&sidecar, &all, chosen.as_deref())?;

    let mut figures = Figures::default();
    let source = diagnostics::Source::Proposal;
    let found = all.diagnostics(common.seed);
    diagnostics::add(&mut figures, &found, source);
    for warning in found.warnings() {
        figures.warn(warning);
    }
    populations.add_weighted(&mut figures, &all.log_weight)?;
    let path = |path: &PathBuf| path.display().to_string();
    figures.add("out", path(&arguments.out), path(&arguments.out));
    figures.add("sidecar", path(&sidecar), path(&sidecar));
    figures.warn_all(inputs::refusals(energy.as_ref()));
    figures.print(common)
}

/// Writes one row per configuration. Of resampled configurations, `index` tells which of the drawn ones they are, and their
/// log weights are 0: they count alike.
pub fn write_sidecar(path: &Path, all: &WeightedSamples, resampled: Option<&[usize]>) -> Outcome {
    let pick = |values: &[f64]| match resampled {
        None => values.to_vec(),
        Some(indices) => indices.iter().map(|&i| values[i]).collect(),
    };
    let (log_q, energy) = (pick(&all.log_q), pick(&all.energy));
    let log_weight = match resampled {
        None => all.log_weight.clone(),
        Some(indices) => vec![0.0; indices.len()],
    };
    let index: Vec<u64> = resampled
        .unwrap_or_default()
        .iter()
        .map(|&i| i as u64)
        .collect();
    let shape = [log_q.len()];
    let array = |name, data| NamedArray {
        name,
        shape: &shape,
        data,
    };
    let mut arrays = vec![
        array("log_q", ArrayData::F64(&log_q)),
        array("energy", ArrayData::F64(&energy)),
        array("log_weight", ArrayData::F64(&log_weight)),
    ];
    if resampled.is_some() {
        arrays.push(array("index", ArrayData::U64(&index)));
    }
    Ok(write_npz(path, &arrays)?)
}
