//! Inputs that several subcommands share: structures, trajectories, energies, devices.

use std::path::{Path, PathBuf};

use regflow::coordinates::FrameStore;
use regflow::energy::{self, Energy, Refusals};
use regflow::model::Model;
use regflow::potential;
use regflow::system::{
    self, AtomSelection, ReadOptions, Structure, StructureOptions, Topology, Trajectory,
};
use regflow::tensor::{self, Device};

use crate::plausible::{Check, Expected};
use crate::{Common, Outcome};

/// Frames that are held at a time where not all are needed at once.
const CHUNK: usize = 4096;

/// Which frames of which files.
#[derive(clap::Args)]
pub struct FrameArguments {
    /// Trajectory files, in the order of time: XTC, TRR, DCD, NetCDF, XYZ, PDB, GRO, LAMMPS dumps, ..., text also packed by gzip or bzip2
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
    /// coarse-grained beads, and for configurations that a flow made
    #[arg(long)]
    pub accept_long_bonds: bool,
    /// Accept frames whose bond lengths, motion of bonds or energies cannot be those of the molecule under its potential
    #[arg(long)]
    pub accept_implausible: bool,
}

impl FrameArguments {
    /// As [`FrameRange::store`]; whoever trains on the frames checks them.
    pub fn store(
        &self,
        topology: &Topology,
        selection: Option<AtomSelection>,
    ) -> Outcome<(FrameStore, Vec<usize>)> {
        self.range
            .store(&self.trajectory, topology, selection, None)
    }
}

impl FrameRange {
    /// The structure file's molecule, and which of its atoms are selected; with a potential and its name, the molecule that it
    /// is of.
    pub fn molecule(
        &self,
        path: &Path,
        potential: Option<(&str, &dyn Energy)>,
    ) -> Outcome<(Topology, Option<AtomSelection>)> {
        let options = StructureOptions {
            selection: self.selection.as_deref(),
            particles: potential.map(|(source, energy)| energy.particles(source)),
        };
        let found = Structure::read(path, &options)?;
        if let Some((source, energy)) = potential
            && energy.n_atoms() != found.topology.n_atoms()
        {
            // What else there is to say of it has been said.
            check(source, energy, &found.topology)?;
        }
        for warning in found.warnings {
            warn(&warning);
        }
        Ok((found.topology, found.selection))
    }

    /// Reads all frames into a store, and how many there are of each file. The frames of each file are compared with what is
    /// `expected`.
    pub fn store(
        &self,
        files: &[PathBuf],
        topology: &Topology,
        selection: Option<AtomSelection>,
        expected: Option<Expected>,
    ) -> Outcome<(FrameStore, Vec<usize>)> {
        let mut store = FrameStore::new(topology.n_atoms());
        let mut keep = |positions: &mut [f64]| {
            store.extend(positions)?;
            Ok(())
        };
        let lengths = self.for_each_chunk(files, topology, selection, expected, &mut keep)?;
        Ok((store, lengths))
    }

    /// Hands out all frames, `[k, N, 3]` in nm, some at a time, and passes on what the reader warns of. Returns how many frames there
    /// are of each file. The frames of each file are compared with what is `expected`, unless they are accepted as they are.
    pub fn for_each_chunk(
        &self,
        files: &[PathBuf],
        topology: &Topology,
        selection: Option<AtomSelection>,
        expected: Option<Expected>,
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
        let mut check = expected
            .filter(|_| !self.accept_implausible)
            .map(|expected| Check::new(files, topology, expected));
        let mut trajectory = Trajectory::open(files, topology, &options)?;
        let mut lengths = vec![0; files.len()];
        let mut chunk = Vec::new();
        loop {
            let before = chunk.len();
            let more = trajectory.read_into(&mut chunk)?;
            if more {
                lengths[trajectory.file()] += 1;
            }
            if let Some(check) = &mut check {
                match more {
                    true => check.add(trajectory.file(), &chunk[before..])?,
                    false => check.finish()?,
                }
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
            warn(warning);
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
    /// The potential alone.
    pub fn open(&self, common: &Common) -> Outcome<Box<dyn Energy>> {
        Ok(potential::load_with(&self.source, common.precision.into())?)
    }

    /// The potential, checked against the molecule.
    pub fn load(&self, common: &Common, topology: &Topology) -> Outcome<Box<dyn Energy>> {
        let potential = self.open(common)?;
        check(&self.source, potential.as_ref(), topology)?;
        Ok(potential)
    }
}

/// Which potential, where one is not always needed.
#[derive(clap::Args)]
pub struct OptionalEnergy {
    /// Potential, needed for weights and for a polish: an OpenMM System XML, or the input of a plugin:
    /// openmm:system.xml,platform=CPU or lammps:in.molecule or ./libmine.so:INPUT
    #[arg(long = "energy", value_name = "FILE|PLUGIN:FILE")]
    pub source: Option<String>,
}

impl OptionalEnergy {
    /// The potential alone.
    pub fn open(&self, common: &Common) -> Outcome<Option<Box<dyn Energy>>> {
        self.given().map(|given| given.open(common)).transpose()
    }

    /// The potential, checked against the molecule.
    pub fn load(&self, common: &Common, topology: &Topology) -> Outcome<Option<Box<dyn Energy>>> {
        let given = self.given();
        given.map(|given| given.load(common, topology)).transpose()
    }

    fn given(&self) -> Option<EnergyArgument> {
        let source = self.source.clone()?;
        Some(EnergyArgument { source })
    }
}

fn check(source: &str, potential: &dyn Energy, topology: &Topology) -> Outcome {
    for note in energy::check_molecule(potential, source, topology)? {
        warn(&note);
    }
    Ok(())
}

/// Tells a person of what is odd; it may quote files.
fn warn(text: &str) {
    eprintln!("warning: {}", system::printable(text));
}

/// What the engine behind a potential could not evaluate of the configurations that count: those that checks look at count in the
/// engine, but not here.
pub struct Refused<'a> {
    energy: Option<&'a dyn Energy>,
    count: u64,
}

impl<'a> Refused<'a> {
    pub fn new(energy: Option<&'a dyn Energy>) -> Self {
        Refused { energy, count: 0 }
    }

    fn all(&self) -> Option<Refusals> {
        self.energy?.refusals()
    }

    /// Counts what is refused during `body`.
    pub fn during<T>(&mut self, body: impl FnOnce() -> T) -> T {
        let count = |all: Option<Refusals>| all.map_or(0, |all| all.count);
        let before = count(self.all());
        let result = body();
        self.count += count(self.all()) - before;
        result
    }

    /// In words, if there is any.
    pub fn warning(&self) -> Option<String> {
        let all = self.all().filter(|_| self.count > 0)?;
        let count = self.count;
        Some(Refusals { count, ..all }.to_string())
    }
}

/// Checks that a file can be written, before the work that it is to hold is done.
pub fn output(option: &str, path: &Path) -> Outcome {
    system::check_writable(path).map_err(|e| format!("{option}: {e}").into())
}

/// Refuses to write over what the same command reads.
pub fn keep<'a>(read: impl IntoIterator<Item = &'a PathBuf>, written: &[(&str, &Path)]) -> Outcome {
    // A name that does not exist, a plugin's input say, is no file to be kept.
    let file = |path: &Path| path.canonicalize().ok();
    let read: Vec<PathBuf> = read.into_iter().filter_map(|path| file(path)).collect();
    for (option, path) in written {
        if file(path).is_some_and(|file| read.contains(&file)) {
            return Err(format!(
                "{option}: {} is read by the same command; give another name",
                path.display()
            )
            .into());
        }
    }
    Ok(())
}

/// The atoms of a structure file that are the model's molecule; all without a file.
pub fn selected_atoms(
    model: &Topology,
    structure: Option<&Path>,
    range: &FrameRange,
) -> Outcome<Option<AtomSelection>> {
    let Some(path) = structure else {
        return match range.selection {
            None => Ok(None),
            Some(_) => Err("--selection chooses atoms of a structure: give its --topology".into()),
        };
    };
    let (selected, atoms) = range.molecule(path, None)?;
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

/// A JSON object given directly or as the name of a file that holds it.
pub fn json_argument(option: &str, text: &str) -> Outcome<serde_json::Value> {
    let content = if text.trim_start().starts_with('{') {
        text.to_owned()
    } else {
        std::fs::read_to_string(text).map_err(|e| {
            format!("{option} {text}: neither a JSON object nor a readable file: {e}")
        })?
    };
    serde_json::from_str(&content).map_err(|e| format!("{option} {text}: not JSON: {e}").into())
}

/// As [`json_argument`], for an option that may be left out.
pub fn optional_json(option: &str, text: Option<&str>) -> Outcome<Option<serde_json::Value>> {
    text.map(|text| json_argument(option, text)).transpose()
}
