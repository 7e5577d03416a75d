//! What can keep a potential from being loaded.

use std::path::PathBuf;

use super::ForeignFormat;
use crate::energy::EnergyError;
use crate::plugin::PluginError;

/// Why there is no potential of a name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PotentialError {
    /// The System XML cannot be read, or has what the force field does not evaluate.
    #[error(transparent)]
    Energy(#[from] EnergyError),
    /// The file is another program's, and no System XML.
    #[error("{} is {format}, not a potential: {}", path.display(), format.cure(path))]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        format: ForeignFormat,
    },
    /// A plugin was not found, could not be built, or failed.
    #[error(transparent)]
    Plugin(Box<PluginError>),
    /// A part of `NAME:FILE,OPTION=VALUE,...` that is neither.
    #[error(
        "energy plugin, `{text}`: expected FILE,OPTION=VALUE,... or a JSON object, found `{part}`"
    )]
    Option {
        /// What stands after the plugin's name.
        text: String,
        /// The part.
        part: String,
    },
    /// A precision for a plugin.
    #[error(
        "{source_text}: only the force field of a System XML has another precision than double; the plugin has its own options"
    )]
    Precision {
        /// The plugin with its configuration.
        source_text: String,
    },
}

impl From<PluginError> for PotentialError {
    fn from(error: PluginError) -> Self {
        PotentialError::Plugin(Box::new(error))
    }
}
