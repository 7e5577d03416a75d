//! Pairs of prior and data points: made by target plugins, read, written and streamed.
//!
//! ```text
//! Dataset -> features x1 --+
//!                          +-- target source (plugin | file) --> Pairs --> batches (x0, x1)
//! Prior (seed, index) x0 --+                                       |
//!                                                            shards on disk
//! ```
//! A shard stores the data side, and what the source tells of its density; the prior side comes from its seed again, unless
//! the source made its own.

mod given;
mod rows;
mod shard;
mod store;

pub use rows::PairRows;
pub use shard::{FORMAT_VERSION, Shard, ShardHeader};
pub use store::{PairOptions, PairSummary, Pairs};

use std::path::PathBuf;

/// What can go wrong with pairs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairsError {
    /// No pairs were asked for.
    #[error("0 pairs asked for: at least 1 is needed")]
    NoPairs,
    /// A shard is missing or cannot be read.
    #[error("cannot read the pairs in '{}': {source}", path.display())]
    Read {
        /// The shard or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A shard is damaged or no shard at all.
    #[error("'{}' is not a usable shard of pairs: {reason}; remove it to have the pairs made again", path.display())]
    Shard {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A shard was written in another version of the format.
    #[error(
        "'{}' has pair format version {found}, this program reads {expected}; remove it to have the pairs made again",
        path.display()
    )]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// Version that this program reads.
        expected: u32,
        /// Version of the file.
        found: u64,
    },
    /// The user's file of pairs does not have what it should.
    #[error("pairs '{}', array '{name}': expected {expected}, found {found}", path.display())]
    GivenArray {
        /// The file.
        path: PathBuf,
        /// `x0`, `x1`, `log_q` or `log_det`.
        name: &'static str,
        /// What is needed.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// A file has so few pairs that none would be held out.
    #[error(
        "{found} pairs are too few to hold some of them out for validation: give at least {needed}"
    )]
    TooFewGiven {
        /// Pairs of the file.
        found: usize,
        /// Pairs needed.
        needed: usize,
    },
    /// The user's file is in no known format.
    #[error("pairs '{}': expected a .npz or .safetensors file with arrays x0 and x1", path.display())]
    GivenFormat {
        /// The file.
        path: PathBuf,
    },
    /// The frames could not be turned into features.
    #[error("data side of the pairs: {0}")]
    Data(#[source] Box<crate::dataset::DatasetError>),
    /// The target source failed.
    #[error(transparent)]
    Plugin(#[from] crate::plugin::PluginError),
    /// A file could not be read or written.
    #[error(transparent)]
    System(#[from] crate::system::SystemError),
}
