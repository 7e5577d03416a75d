//! What can go wrong when a potential is read or evaluated.

use std::path::{Path, PathBuf};

/// An error of this module; each variant carries the facts needed to mend the input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnergyError {
    /// The file could not be read.
    #[error("cannot read the System XML {}: {source}", path.display())]
    Read {
        /// File asked for.
        path: PathBuf,
        /// Reason given by the operating system.
        source: std::io::Error,
    },
    /// An error inside a file that could be read.
    #[error("{}: {source}{}", path.display(), in_openmm(path, source))]
    File {
        /// File that holds the error.
        path: PathBuf,
        /// The error itself.
        source: Box<EnergyError>,
    },
    /// The text is not well-formed XML (often a truncated file).
    #[error("not well-formed XML ({0}); is the file complete?")]
    Xml(#[from] roxmltree::Error),
    /// The root element is not `<System>`.
    #[error("the root element is <{found}>, expected <System> as OpenMM's XmlSerializer writes it")]
    NotASystem {
        /// Name of the root element.
        found: String,
    },
    /// A child element is absent.
    #[error("line {line}: <{parent}> has no <{element}>")]
    MissingElement {
        /// Element searched.
        parent: String,
        /// Child that is required.
        element: &'static str,
        /// Line of the parent in the XML text.
        line: u32,
    },
    /// An attribute is absent.
    #[error("line {line}: <{element}> has no attribute `{attribute}`")]
    MissingAttribute {
        /// Element searched.
        element: String,
        /// Attribute that is required.
        attribute: String,
        /// Line of the element in the XML text.
        line: u32,
    },
    /// An attribute has a value that makes no sense.
    #[error("line {line}: <{element} {attribute}=\"{found}\">: expected {expected}")]
    InvalidAttribute {
        /// Element concerned.
        element: String,
        /// Attribute concerned.
        attribute: String,
        /// Its value.
        found: String,
        /// What it may be.
        expected: String,
        /// Line of the element in the XML text.
        line: u32,
    },
    /// A force that this library cannot evaluate.
    #[error(
        "line {line}: the force \"{force}\" is not supported by this force field; supported are {supported}"
    )]
    UnsupportedForce {
        /// Type of the force.
        force: String,
        /// Line of the force in the XML text.
        line: u32,
        /// The forces that are known.
        supported: String,
    },
    /// A known force with an option that this library cannot evaluate.
    #[error("{force}: {option} is not supported by this force field{}", remedy.text())]
    UnsupportedOption {
        /// Type of the force, or `System`.
        force: &'static str,
        /// The option, with its value.
        option: String,
        /// What to do instead.
        remedy: Remedy,
    },
    /// An expression of a CustomGBForce that is not one of the known models.
    #[error(
        "CustomGBForce: {what} is not one that OpenMM's implicit/obc1.xml or implicit/obc2.xml writes without salt \
         (kappa = 0), which alone this force field evaluates: {found}"
    )]
    UnknownExpression {
        /// Which expression.
        what: String,
        /// Its text.
        found: String,
    },
    /// A force has another number of particles than the System.
    #[error("{force} has parameters for {found} particles, the System has {expected}")]
    ParticleCount {
        /// Type of the force.
        force: &'static str,
        /// Particles of the System.
        expected: usize,
        /// Particles of the force.
        found: usize,
    },
    /// An energy that is not of this library, a plugin's or the caller's, failed; the error is its own.
    #[error(transparent)]
    External(Box<dyn std::error::Error + Send + Sync>),
    /// An array does not have the right length.
    #[error("{what}: expected {expected} numbers, found {found}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// Length that fits the other arguments.
        expected: usize,
        /// Length given.
        found: usize,
    },
}

/// The way out where an option is not supported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Remedy {
    /// OpenMM itself evaluates the System as it is.
    OpenMm,
    /// Another System is needed; how to make it.
    Change(&'static str),
}

impl Remedy {
    fn text(self) -> String {
        match self {
            Self::OpenMm => String::new(),
            Self::Change(how) => format!("; {how}"),
        }
    }
}

impl EnergyError {
    /// Whether OpenMM evaluates what this force field refuses.
    fn is_for_openmm(&self) -> bool {
        match self {
            Self::UnsupportedForce { .. } | Self::UnknownExpression { .. } => true,
            Self::UnsupportedOption { remedy, .. } => *remedy == Remedy::OpenMm,
            _ => false,
        }
    }
}

fn in_openmm(path: &Path, source: &EnergyError) -> String {
    match source.is_for_openmm() {
        true => format!(
            "; OpenMM itself evaluates it: give openmm:{} as the energy",
            path.display()
        ),
        false => String::new(),
    }
}
