//! Energies from LAMMPS, whose shared library is opened at run time: `--energy lammps:in.molecule`.
//!
//! The input defines units, atoms, potential and boundaries, as for the program `lmp`, and runs nothing. It must not `quit`,
//! which would end the process; a `quit` that variables, Python code or plugins of LAMMPS make up is not noticed before. Atom
//! number `i` of RegFlow is the one of ID `i + 1`. The library is looked for where `REGFLOW_LAMMPS_LIB` says (a file, a folder
//! or a Python environment), then in the active Python environment, then by the system's loader. Each thread has an instance
//! of its own.

mod check;
mod engine;
mod instance;
mod mpi;
mod quit;
mod runtime;
mod units;

use engine::Context;
pub use mpi::MpiError;
use regflow_plugin::{Batch, EnergySource, Error, Result};
use runtime::Runtime;
pub use runtime::{LAMMPS, RuntimeError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use units::Units;

/// Largest coordinate shown to LAMMPS, nm (1 m). A box that follows the atoms (`boundary s s s`) goes beyond them by 1e-4 of the
/// input's box edge, that is 1e-4 nm or so: there coordinates are exact to 1e-7 nm, while from 1e12 nm on rounding puts atoms
/// outside.
const FARTHEST: f64 = 1e9;

/// Configuration of the energy.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Input script, without `quit`. Files that it names are looked for in the current folder, as by the program lmp.
    pub file: String,
    /// For `units lj`: sigma in nm.
    pub length: Option<f64>,
    /// For `units lj`: epsilon in kJ/mol.
    pub energy: Option<f64>,
    /// Variables of the script, as by the option -var of lmp.
    pub variables: BTreeMap<String, String>,
}

/// Why an input cannot be used.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LammpsError {
    /// LAMMPS cannot be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// LAMMPS gave no instance.
    #[error("LAMMPS does not start: are the names of the variables right?")]
    Start,
    /// LAMMPS does not understand the input, or cannot compute what it defines.
    #[error("{file}: LAMMPS says: {message}")]
    Script {
        /// The input.
        file: String,
        /// Its words.
        message: String,
    },
    /// No file.
    #[error("{file}: it is a folder, expected an input script")]
    Folder {
        /// Its name.
        file: String,
    },
    /// LAMMPS would end the process.
    #[error(
        "{file}:{line}: `quit` would end the program that has LAMMPS read the input, here and now: leave it out (also where a \
         condition or a `jump` keeps it from being reached)"
    )]
    Quit {
        /// The file that has the command.
        file: String,
        /// The line.
        line: usize,
    },
    /// There is nothing to compute.
    #[error("{file}: it defines no atoms (read_data, or create_box and create_atoms)")]
    NoAtoms {
        /// The input.
        file: String,
    },
    /// Not in space.
    #[error("{file}: expected dimension 3, found {found}")]
    Dimension {
        /// The input.
        file: String,
        /// Its dimension.
        found: i32,
    },
    /// IDs that do not order the atoms.
    #[error(
        "{file}: expected atom IDs from 1 to {n_atoms}, which order the atoms, found IDs up to {largest}; `reset_atoms id` renumbers them"
    )]
    Ids {
        /// The input.
        file: String,
        /// Number of atoms.
        n_atoms: usize,
        /// Largest ID.
        largest: usize,
    },
    /// Units that are not known, or known twice.
    #[error(
        "`units {style}`: {} have units of their own; others, such as lj, need both options `length` (sigma in nm) and `energy` (epsilon in kJ/mol)",
        Units::STYLES
    )]
    Units {
        /// The style.
        style: String,
    },
    /// An option that is no positive number.
    #[error("`{option}` must be positive and finite, found {found}")]
    Unit {
        /// The option.
        option: &'static str,
        /// Its value.
        found: f64,
    },
    /// Something moves the atoms.
    #[error(
        "{file}: a fix moves the atoms ({distance:.1e} nm in one step): leave out integrators (fix nve, nvt, ...), since only energies \
         are asked for"
    )]
    Moves {
        /// The input.
        file: String,
        /// By how much.
        distance: f64,
    },
    /// Forces that are not the derivative of the energy.
    #[error(
        "{file}: the force along a random direction is {found:.6}, the derivative of the energy says {expected:.6} kJ/mol/nm: leave out \
         thermostats and constraints, and give a fix that belongs to the potential `fix_modify ID energy yes`"
    )]
    Forces {
        /// The input.
        file: String,
        /// Derivative of the energy.
        expected: f64,
        /// Force.
        found: f64,
    },
    /// Something makes atoms.
    #[error(
        "{file}: after a run there are {found} atoms instead of {expected}: leave out what makes atoms (fix deposit, pour, gcmc, ...)"
    )]
    Added {
        /// The input.
        file: String,
        /// Number of atoms.
        expected: usize,
        /// Atoms that there are then.
        found: usize,
    },
    /// A box that does not hold the molecule.
    #[error(
        "{file}: {} of {expected} atoms left the box: its boundaries must follow the atoms (`boundary s s s`), or be periodic",
        expected - found
    )]
    Lost {
        /// The input.
        file: String,
        /// Number of atoms.
        expected: usize,
        /// Those that are left.
        found: usize,
    },
}

/// The potential energy that an input defines.
pub struct Lammps {
    config: Config,
    runtime: &'static Runtime,
    n_atoms: usize,
    masses: Vec<f64>,
    /// The instance that the input was checked with.
    first: Mutex<Option<Context>>,
}

impl Lammps {
    fn new(config: Config) -> Result<Self, LammpsError> {
        for (option, value) in [("length", config.length), ("energy", config.energy)] {
            if let Some(found) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
                return Err(LammpsError::Unit { option, found });
            }
        }
        let runtime = Runtime::get()?;
        let mut context = Context::new(runtime, &config)?;
        check::check(&mut context, &config.file)?;
        Ok(Lammps {
            n_atoms: context.n_atoms(),
            masses: context
                .masses()
                .map_err(|failure| failure.describe(&config.file, context.n_atoms()))?,
            first: Mutex::new(Some(context)),
            config,
            runtime,
        })
    }
}

impl EnergySource for Lammps {
    type Config = Config;
    type Context = Context;
    const NAME: &'static str = "lammps";
    const DESCRIPTION: &'static str =
        "LAMMPS's energy of an input script; each thread with an instance of its own.";

    fn build(config: Config) -> Result<Self> {
        if config.file.is_empty() {
            return Err(Error::ConfigValue {
                field: "file",
                expected: "the name of an input script",
                found: "nothing".into(),
            });
        }
        Lammps::new(config).map_err(Error::new)
    }

    fn n_atoms(&self) -> usize {
        self.n_atoms
    }

    fn masses(&self) -> Vec<f64> {
        self.masses.clone()
    }

    fn context(&self) -> Result<Context> {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        first.map_or_else(
            || Context::new(self.runtime, &self.config).map_err(Error::new),
            Ok,
        )
    }

    fn compute(&self, context: &mut Context, batch: &mut Batch<'_>) -> Result<()> {
        for index in 0..batch.n() {
            let configuration = batch.configuration(index);
            let positions = configuration.positions.iter();
            if let Some(x) = positions.copied().find(|x| x.abs() > FARTHEST) {
                batch.refuse(
                    index,
                    format!(
                        "a coordinate is {x:.0e} nm, more than the {FARTHEST:e} nm that LAMMPS is given"
                    ),
                );
                continue;
            }
            match context.evaluate(configuration.positions, configuration.forces) {
                Ok(energy) => *configuration.energy = energy,
                Err(failure) => {
                    batch.refuse(index, failure.of_configuration(self.n_atoms));
                    *context = Context::new(self.runtime, &self.config).map_err(Error::new)?;
                }
            }
        }
        Ok(())
    }
}

regflow_plugin::plugin! { name: "lammps", energies: [Lammps] }

#[cfg(feature = "export")]
regflow_plugin::export! {}
