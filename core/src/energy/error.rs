//! What can go wrong when a potential is read or evaluated.

use std::path::PathBuf;

use super::ForeignFormat;
use crate::plugin::PluginError;

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
    /// The file is another program's, and no System XML.
    #[error("{} is {format}, not a potential: {}", path.display(), format.cure(path))]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        format: ForeignFormat,
    },
    /// The potential is of another molecule.
    #[error(
        "the potential describes {particles} particles, the molecule has {atoms} atoms: give the potential of this molecule, in \
         its atom order"
    )]
    AtomCount {
        /// Particles of the potential.
        particles: usize,
        /// Atoms of the molecule.
        atoms: usize,
    },
    /// The masses of the potential are not those of the molecule in its order.
    #[error(
        "particle {particle} of the potential has mass {mass}, but atom {atom} of the molecule is {element}: give the potential \
         of this molecule, in its atom order"
    )]
    AtomOrder {
        /// Index from 0.
        particle: usize,
        /// Its mass, u.
        mass: f64,
        /// The atom in its place.
        atom: String,
        /// Its element.
        element: String,
    },
    /// An error inside a file that could be read.
    #[error("{}: {source}", path.display())]
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
    #[error("line {line}: the force \"{force}\" is not supported; supported are {supported}")]
    UnsupportedForce {
        /// Type of the force.
        force: String,
        /// Line of the force in the XML text.
        line: u32,
        /// The forces that are known.
        supported: String,
    },
    /// A known force with an option that this library cannot evaluate.
    #[error("{force}: {option} is not supported; {remedy}")]
    UnsupportedOption {
        /// Type of the force, or `System`.
        force: &'static str,
        /// The option, with its value.
        option: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// An expression of a CustomGBForce that is not one of the known models.
    #[error(
        "CustomGBForce: {what} is not one that OpenMM's implicit/obc1.xml or implicit/obc2.xml writes without salt \
         (kappa = 0): {found}"
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
    /// A plugin was not found, could not be built, or failed.
    #[error(transparent)]
    Plugin(Box<PluginError>),
    /// A part of `NAME:FILE,OPTION=VALUE,...` that is neither.
    #[error(
        "energy plugin, `{text}`: expected FILE,OPTION=VALUE,... or a JSON object, found `{part}`"
    )]
    PluginOption {
        /// What stands after the plugin's name.
        text: String,
        /// The part.
        part: String,
    },
    /// A precision for a plugin.
    #[error(
        "{source_text}: only the force field of a System XML has another precision than double; the plugin has its own options"
    )]
    PluginPrecision {
        /// The plugin with its configuration.
        source_text: String,
    },
    /// An energy that was given by the caller failed; the error is its own.
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

impl From<PluginError> for EnergyError {
    fn from(error: PluginError) -> Self {
        EnergyError::Plugin(Box::new(error))
    }
}
