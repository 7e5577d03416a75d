//! Inputs that several subcommands share: structures, trajectories, energies, devices.

use std::path::{Path, PathBuf};

use regflow::coordinates::FrameStore;
use regflow::energy::{self, Energy};
use regflow::model::Model;
use regflow::system::{AtomSelection, ReadOptions, Topology, Trajectory};
use regflow::tensor::{self, Device};

use crate::{Common, Outcome};

/// Frames that are held at a time where not all are needed at once.
const CHUNK: usize = 4096;

/// Which frames of which files.
#[derive(clap::Args)]
pub struct FrameArguments {
    /// Trajectory files, in the order of time, in any format that chemfiles reads (XTC, TRR, DCD, NetCDF, XYZ, PDB, ...)
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub trajectory: Vec<PathBuf>,
    #[command(flatten)]
    pub range: FrameRange,
}

/// Which frames and atoms of a trajectory.
#[derive(clap::Args)]
pub struct FrameRange {
    /// First frame, counted from 0 over all files
    #[arg(long, default_value_t = 0)]
    pub start: usize,
    /// End of the range of frames, exclusive
    #[arg(long)]
    pub stop: Option<usize>,
    /// Take every so many frames
    #[arg(long, default_value_t = 1)]
    pub stride: usize,
    /// Atoms of the molecule where the files hold more, in chemfiles' selection language: "resname ACE ALA NME"
    #[arg(long)]
    pub selection: Option<String>,
    /// Use the frames before the damage of a truncated file
    #[arg(long)]
    accept_damaged: bool,
    /// Accept bonds longer than 0.35 nm, which else tell of a molecule broken over a periodic boundary: for
    /// configurations that a flow made
    #[arg(long)]
    accept_long_bonds: bool,
}

impl FrameArguments {
    /// The topology file's molecule, and which of its atoms are selected.
    pub fn topology(&self, path: &Path) -> Outcome<(Topology, Option<AtomSelection>)> {
        self.range.topology(path)
    }

    /// As [`FrameRange::store`].
    pub fn store(
        &self,
        topology: &Topology,
        selection: Option<AtomSelection>,
    ) -> Outcome<(FrameStore, Vec<usize>)> {
        self.range.store(&self.trajectory, topology, selection)
    }
}

impl FrameRange {
    /// The topology file's molecule, and which of its atoms are selected.
    pub fn topology(&self, path: &Path) -> Outcome<(Topology, Option<AtomSelection>)> {
        Ok(match &self.selection {
            None => (Topology::read(path)?, None),
            Some(selection) => {
                let (topology, atoms) = Topology::read_selection(path, selection)?;
                (topology, Some(atoms))
            }
        })
    }

    /// Reads all frames into a store, and how many there are of each file.
    pub fn store(
        &self,
        files: &[PathBuf],
        topology: &Topology,
        selection: Option<AtomSelection>,
    ) -> Outcome<(FrameStore, Vec<usize>)> {
        let mut store = FrameStore::new(topology.n_atoms());
        let lengths = self.for_each_chunk(files, topology, selection, &mut |positions| {
            store.extend(positions);
            Ok(())
        })?;
        Ok((store, lengths))
    }

    /// Hands out all frames, `[k, N, 3]` in nm, some at a time, and passes on what the reader warns of. Returns how many frames there
    /// are of each file.
    pub fn for_each_chunk(
        &self,
        files: &[PathBuf],
        topology: &Topology,
        selection: Option<AtomSelection>,
        take: &mut dyn FnMut(&mut [f64]) -> Outcome,
    ) -> Outcome<Vec<usize>> {
        let mut options = ReadOptions {
            start: self.start,
            stop: self.stop,
            stride: self.stride,
            selection,
            accept_damaged: self.accept_damaged,
            ..ReadOptions::default()
        };
        if self.accept_long_bonds {
            options.longest_bond = f64::INFINITY;
        }
        let mut trajectory = Trajectory::open(files, topology, &options)?;
        let mut lengths = vec![0; files.len()];
        let mut chunk = Vec::new();
        loop {
            let more = trajectory.read_into(&mut chunk)?;
            if more {
                lengths[trajectory.file()] += 1;
            }
            if !more || chunk.len() >= 3 * CHUNK * topology.n_atoms() {
                take(&mut chunk)?;
                chunk.clear();
            }
            if !more {
                break;
            }
        }
        for warning in trajectory.warnings() {
            eprintln!("warning: {warning}");
        }
        Ok(lengths)
    }
}

/// Which potential.
#[derive(clap::Args)]
pub struct EnergyArgument {
    /// Potential: an OpenMM System XML, or the input of a plugin: openmm:system.xml,platform=CPU or lammps:in.molecule or
    /// ./libmine.so:INPUT
    #[arg(long = "energy", value_name = "FILE|PLUGIN:FILE")]
    pub source: String,
}

impl EnergyArgument {
    /// The potential, checked against the molecule.
    pub fn load(&self, common: &Common, topology: &Topology) -> Outcome<Box<dyn Energy>> {
        let source = &self.source;
        let potential = energy::load_with(source, common.precision.into())?;
        if potential.n_atoms() != topology.n_atoms() {
            return Err(format!(
            "{source} describes {} particles, the molecule has {} atoms: give the potential of this molecule, in its atom order",
            potential.n_atoms(),
            topology.n_atoms()
        )
        .into());
        }
        // Hydrogen masses may have been repartitioned; a heavy atom in a hydrogen's place means another atom order.
        let masses = potential.masses().unwrap_or_default();
        for (index, (mass, atom)) in masses.iter().zip(&topology.atoms).enumerate() {
            let is_heavy = |mass: f64| mass > 6.0;
            let is_known = *mass != 0.0 && !mass.is_nan();
            if is_known && is_heavy(*mass) != is_heavy(atom.mass) {
                return Err(format!(
                "{source}: particle {index} has mass {mass}, but atom {} of the molecule is {}: the atom orders differ",
                topology.describe(index),
                atom.element
            )
            .into());
            }
        }
        Ok(potential)
    }
}

/// What the engine behind a potential could not evaluate, in words.
pub fn refusals(energy: &dyn Energy) -> Option<String> {
    let refusals = energy.refusals()?;
    Some(format!(
        "configurations without an energy, because the engine could not evaluate them: {}; the first: {}",
        refusals.count, refusals.reason
    ))
}

/// The atoms of a structure file that are the model's molecule; all without a file.
pub fn selected_atoms(
    model: &Topology,
    structure: Option<&Path>,
    range: &FrameRange,
) -> Outcome<Option<AtomSelection>> {
    let Some(path) = structure else {
        return Ok(None);
    };
    let (selected, atoms) = range.topology(path)?;
    let elements = |t: &Topology| t.atoms.iter().map(|a| a.atomic_number).collect::<Vec<_>>();
    if elements(model) == elements(&selected) {
        return Ok(atoms);
    }
    Err(format!(
        "{}: its {} atoms (of the selection, if there is one) are not, in this order, the {} atoms of the model's molecule",
        path.display(),
        selected.n_atoms(),
        model.n_atoms()
    )
    .into())
}

/// A trained model on the chosen device.
pub fn model(common: &Common, path: &Path) -> Outcome<Model> {
    Ok(Model::load(path, &device(common)?)?)
}

/// The chosen device.
pub fn device(common: &Common) -> Outcome<Device> {
    Ok(tensor::device(&common.device)?)
}

/// A JSON object given directly or as the name of a file that holds it; nothing stands for `{}`.
pub fn json_argument(option: &str, text: Option<&str>) -> Outcome<serde_json::Value> {
    let Some(text) = text else {
        return Ok(serde_json::json!({}));
    };
    let content = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|e| {
            format!("{option} {text}: neither a JSON object nor a readable file: {e}")
        })?
    };
    serde_json::from_str(&content).map_err(|e| format!("{option} {text}: not JSON: {e}").into())
}
