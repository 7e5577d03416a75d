//! What can go wrong inside a plugin.

/// Error of a plugin. The host shows it with the plugin's name in front.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A function of the host failed.
    #[error("{operation}: {message}")]
    Host {
        /// The function.
        operation: &'static str,
        /// The host's message.
        message: String,
    },
    /// The host refused a tensor operation; its message names the operation.
    #[error("{message}")]
    Operation {
        /// Code of the operation.
        code: u32,
        /// The host's message.
        message: String,
    },
    /// A tensor has another rank than expected.
    #[error("expected a tensor of rank {expected}, found shape {found:?}")]
    Rank {
        /// Expected number of dimensions.
        expected: usize,
        /// The shape found.
        found: Vec<usize>,
    },
    /// A tensor has another shape than expected.
    #[error("{what}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Which tensor.
        what: &'static str,
        /// Expected shape.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// The host passed less than hosts of version 1.0 have.
    #[error(
        "the host's {what} has {found} bytes, version 1.0 of the plugin interface at least {expected}"
    )]
    Table {
        /// Which of its types.
        what: &'static str,
        /// Bytes in version 1.0.
        expected: u64,
        /// Bytes that the host has.
        found: u64,
    },
    /// The plugin does not have what it was asked for.
    #[error("this plugin does not have {0}")]
    Lacks(&'static str),
    /// The configuration could not be read.
    #[error("configuration: {0}")]
    Config(#[from] serde_json::Error),
    /// A field of the configuration has a value outside its range.
    #[error("configuration: `{field}` must be {expected}, found {found}")]
    ConfigValue {
        /// The field.
        field: &'static str,
        /// What is allowed.
        expected: &'static str,
        /// The value given.
        found: String,
    },
    /// The features given cannot be used.
    #[error("features: {0}")]
    Features(String),
    /// The caller asked to stop.
    #[error("stopped on request")]
    Stopped,
    /// An error of the plugin's own.
    #[error(transparent)]
    Plugin(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Wraps an error of the plugin's own, or a text.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::Plugin(error.into())
    }
}

/// Result with the plugin's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
