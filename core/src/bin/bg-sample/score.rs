use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use regflow::sample::WeightedSamples;
use regflow::system::Topology;

use crate::diagnostics::{self, Populations};
use crate::figures::Figures;
use crate::inputs::{self, FrameArguments};
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
    /// Potential: an OpenMM System XML
    #[arg(long, value_name = "FILE")]
    energy: PathBuf,
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
    let energy = inputs::energy(common, &arguments.energy, model.topology())?;
    let selection = match &arguments.topology {
        None => None,
        Some(path) => {
            let (selected, atoms) = arguments.frames.topology(path)?;
            check_same_molecule(model.topology(), &selected)?;
            atoms
        }
    };
    let mut positions = arguments.frames.read(model.topology(), selection)?;
    // Where features see the rigid motion, the target has a random one: frames get it here.
    let mut random = ChaCha8Rng::seed_from_u64(common.seed);
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
    populations.add_counted(&mut figures)?;
    figures.add(
        "out",
        arguments.out.display().to_string(),
        arguments.out.display().to_string(),
    );
    figures.print(common)
}

fn check_same_molecule(model: &Topology, selected: &Topology) -> Outcome {
    let elements = |t: &Topology| t.atoms.iter().map(|a| a.atomic_number).collect::<Vec<_>>();
    if elements(model) == elements(selected) {
        return Ok(());
    }
    Err(format!(
        "the selection has {} atoms that are not, in this order, the {} atoms of the model's molecule",
        selected.n_atoms(),
        model.n_atoms()
    )
    .into())
}
