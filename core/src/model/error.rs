use std::path::PathBuf;

/// What can go wrong with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a model or is damaged.
    #[error(
        "{path} is not a usable model file: {reason}; expected a .safetensors file written by `bg-sample train`"
    )]
    NotAModel {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The model cannot be stored.
    #[error("{path}: this model cannot be written: {reason}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file was written by another version of the format.
    #[error(
        "{path} has model format version {found}, this program reads {expected}: train again or use a matching release"
    )]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// Version that this program reads.
        expected: u32,
        /// Version of the file.
        found: u64,
    },
    /// The architecture of a file is not found, or does not fit its parameters.
    #[error("{path}: {source}")]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What the architecture plugin says.
        source: Box<crate::plugin::PluginError>,
    },
    /// There are no threads to compute with.
    #[error(transparent)]
    Threads(#[from] crate::parallel::ThreadsError),
    /// An array of positions does not fit the model's molecule.
    #[error("{found} coordinates are not a whole number of configurations of {n_atoms} atoms ({} each)", 3 * n_atoms)]
    Length {
        /// Atoms of the model.
        n_atoms: usize,
        /// Numbers given.
        found: usize,
    },
    /// An array does not have whole rows.
    #[error("{found} numbers are not a whole number of rows of {width}")]
    Width {
        /// Numbers of a row.
        width: usize,
        /// Numbers given.
        found: usize,
    },
    /// The architecture plugin failed.
    #[error(transparent)]
    Plugin(Box<crate::plugin::PluginError>),
    /// The coordinate map failed.
    #[error(transparent)]
    Coordinates(#[from] crate::coordinates::CoordinatesError),
    /// The file system failed.
    #[error(transparent)]
    System(#[from] crate::system::SystemError),
    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] crate::tensor::Error),
}

impl From<crate::plugin::PluginError> for ModelError {
    fn from(error: crate::plugin::PluginError) -> Self {
        ModelError::Plugin(Box::new(error))
    }
}
