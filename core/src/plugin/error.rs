//! Errors of plugins, parameters and checks.

use crate::tensor::DType;
use std::fmt;
use std::path::PathBuf;

/// Why a file cannot be used as a plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// No such file.
    #[error("no such file")]
    Missing,
    /// The system's loader refused it.
    #[error("not a shared library that can be loaded: {reason}")]
    Open {
        /// What the loader said.
        reason: String,
    },
    /// Neither of the two entry points is there.
    #[error(
        "not a RegFlow plugin: it exports neither the header of a Rust plugin (regflow_plugin::export!) nor \
         `{}`",
        regflow_plugin::abi::C_ENTRY
    )]
    NotAPlugin,
    /// Another major version of the interface.
    #[error("built for version {found} of the plugin interface, this host has version {expected}")]
    Version {
        /// The host's version.
        expected: String,
        /// The plugin's version.
        found: String,
    },
    /// Built with an incompatible abi_stable.
    #[error(
        "built with abi_stable {found}, this host needs {expected}: rebuild it with this host's regflow-plugin"
    )]
    AbiStable {
        /// The host's version of abi_stable's own interface.
        expected: String,
        /// The plugin's.
        found: String,
    },
    /// The layouts of the interface's types differ.
    #[error(
        "its types are laid out differently than version {version} of the plugin interface says: rebuild it with this \
         host's regflow-plugin (REGFLOW_PLUGIN_DEBUG=1 shows the difference)"
    )]
    Layout {
        /// The host's version.
        version: String,
    },
    /// A table breaks the interface's rules.
    #[error("its {table} table is invalid: {field} is {found}, expected {expected}")]
    Table {
        /// Which table: that of the plugin, or of what kind.
        table: &'static str,
        /// The field.
        field: &'static str,
        /// The value needed.
        expected: String,
        /// The value found.
        found: String,
    },
    /// The entry point failed.
    #[error("its entry point failed: {reason}")]
    Start {
        /// Why.
        reason: String,
    },
    /// It loads, but offers something else.
    #[error("it has no {kind} `{name}`; it offers: {offers}")]
    Lacks {
        /// What was looked for: "flow", say.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        offers: String,
    },
    /// A path without a name, but the library offers several.
    #[error("it offers several {kind}s, choose one as FILE:NAME: {offers}")]
    Several {
        /// What was looked for: "flow", say.
        kind: &'static str,
        /// What there is.
        offers: String,
    },
}

/// A place where a plugin was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The file, or "linked in".
    pub place: String,
    /// Why it was not taken.
    pub reason: LibraryError,
}

struct Candidates<'a>(&'a [Candidate]);

impl fmt::Display for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|candidate| write!(f, "\n  {}: {}", candidate.place, candidate.reason))
    }
}

struct Names<'a>(&'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("none"),
            names => f.write_str(&names.join(", ")),
        }
    }
}

/// Errors of the parameter store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// Asked for twice while a flow is built.
    #[error("parameter `{name}` was asked for twice")]
    Twice {
        /// Its name.
        name: String,
    },
    /// No such parameter.
    #[error("there is no parameter `{name}`")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A parameter without a value in what is loaded.
    #[error("parameter `{name}` is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A stored value of another shape.
    #[error("parameter `{name}` has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape that the flow asks for.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// More values than memory can hold.
    #[error(
        "parameter `{name}` of shape {shape:?}, beside {held} values of other parameters, takes more memory than there is{}: choose \
         a smaller architecture", available.map_or(String::new(), |bytes| format!(" ({:.1} GB)", bytes as f64 / 1e9))
    )]
    TooLarge {
        /// Its name.
        name: String,
        /// The shape that the flow asks for.
        shape: Vec<usize>,
        /// Values of the parameters before it.
        held: usize,
        /// Bytes that are available, if that is known.
        available: Option<u64>,
    },
    /// The tensor library failed.
    #[error("parameter `{name}`: {reason}")]
    Tensor {
        /// Its name.
        name: String,
        /// What it said.
        reason: String,
    },
}

/// A plugin that does not do what its kind must do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The inverse does not give the input back.
    #[error(
        "inverse(forward(x)) differs from x by {found:.3e} in feature {feature} (tolerance {tolerance:.1e}): forward and \
         inverse do not belong together"
    )]
    RoundTrip {
        /// Column of the largest difference.
        feature: usize,
        /// The difference.
        found: f64,
        /// What is allowed.
        tolerance: f64,
    },
    /// A log-determinant is wrong.
    #[error(
        "the log-determinant of {direction} is {found:.6}, a numerical one {expected:.6} (tolerance {tolerance:.1e})"
    )]
    LogDet {
        /// "forward" or "inverse".
        direction: &'static str,
        /// The numerical value.
        expected: f64,
        /// The plugin's value.
        found: f64,
        /// What is allowed.
        tolerance: f64,
    },
    /// A divergence is wrong.
    #[error(
        "the divergence is {found:.6}, a numerical one {expected:.6} (tolerance {tolerance:.1e})"
    )]
    Divergence {
        /// The numerical value.
        expected: f64,
        /// The plugin's value.
        found: f64,
        /// What is allowed.
        tolerance: f64,
    },
    /// Density and log-determinant of a pair do not belong together.
    #[error(
        "a pair's log density is {found:.6}, prior and log-determinant give {expected:.6} (tolerance {tolerance:.1e})"
    )]
    Density {
        /// What prior and log-determinant give.
        expected: f64,
        /// The plugin's value.
        found: f64,
        /// What is allowed.
        tolerance: f64,
    },
    /// Two ways to the same velocity differ.
    #[error(
        "{how}, the velocity changes by {found:.3e} in feature {feature} (tolerance {tolerance:.1e})"
    )]
    Velocity {
        /// What was changed that should not matter.
        how: &'static str,
        /// Column of the largest difference.
        feature: usize,
        /// The difference.
        found: f64,
        /// What is allowed.
        tolerance: f64,
    },
    /// The result of a row depends on the other rows.
    #[error("a point gives another result alone than among others (difference {found:.3e})")]
    Batch {
        /// The difference.
        found: f64,
    },
}

/// Error of finding, loading or calling a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// A named plugin was not found.
    #[error(
        "no {kind} `{name}` (plugin interface {}.{}). Looked at:{}\nthere are: {}. A plugin elsewhere is found by name when \
         REGFLOW_PLUGIN_PATH names its folder, or when its library was loaded",
        regflow_plugin::abi::ABI_MAJOR,
        regflow_plugin::abi::ABI_MINOR,
        Candidates(candidates),
        Names(available)
    )]
    NotFound {
        /// What was looked for: "flow", say.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        candidates: Vec<Candidate>,
        /// The names that are known without a search.
        available: Vec<String>,
    },
    /// A path, or no name at all, where only a name may stand.
    #[error(
        "the {kind} is called `{found}`: expected a name of lower case letters, digits, - and _; a path is not followed"
    )]
    NotAName {
        /// What was looked for: "flow", say.
        kind: &'static str,
        /// What stands there.
        found: String,
    },
    /// A file cannot be used.
    #[error("plugin {}: {reason}", path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: LibraryError,
    },
    /// Two loaded files offer the same name.
    #[error("plugin {}: it offers {kind} `{name}`, which {by} offers already", path.display())]
    Taken {
        /// The file.
        path: PathBuf,
        /// What was looked for: "flow", say.
        kind: &'static str,
        /// The name.
        name: String,
        /// The file loaded before.
        by: super::Origin,
    },
    /// A configuration that the plugin's schema does not allow.
    #[error("configuration of `{plugin}`: {message}")]
    Config {
        /// The plugin.
        plugin: String,
        /// What is wrong.
        message: String,
    },
    /// Circular features for a plugin that only knows real ones.
    #[error("`{plugin}` does not understand circular features: feature {feature} is one")]
    NotCircular {
        /// The plugin.
        plugin: String,
        /// The first circular column.
        feature: usize,
    },
    /// The plugin returned an error.
    #[error("plugin `{plugin}`, {action}: {message}")]
    Failed {
        /// The plugin.
        plugin: String,
        /// The function called.
        action: &'static str,
        /// The plugin's message.
        message: String,
    },
    /// The plugin panicked.
    #[error("plugin `{plugin}` panicked in {action}: {message}")]
    Panicked {
        /// The plugin.
        plugin: String,
        /// The function called.
        action: &'static str,
        /// Text of the panic.
        message: String,
    },
    /// A tensor of another shape than the interface says.
    #[error("plugin `{plugin}`, {action}: {what} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// The plugin.
        plugin: String,
        /// The function called.
        action: &'static str,
        /// Which tensor.
        what: &'static str,
        /// The shape needed.
        expected: Vec<usize>,
        /// The shape found.
        found: Vec<usize>,
    },
    /// A tensor of another element type than the interface says.
    #[error("plugin `{plugin}`, {action}: {what} has dtype {found:?}, expected {expected:?}")]
    DType {
        /// The plugin.
        plugin: String,
        /// The function called.
        action: &'static str,
        /// Which tensor.
        what: &'static str,
        /// The type needed.
        expected: DType,
        /// The type found.
        found: DType,
    },
    /// A tensor on another device than that of the parameters.
    #[error("plugin `{plugin}`, {action}: {what} is on device {found}, expected {expected}")]
    Device {
        /// The plugin.
        plugin: String,
        /// The function called.
        action: &'static str,
        /// Which tensor.
        what: &'static str,
        /// The device needed.
        expected: String,
        /// The device found.
        found: String,
    },
    /// A result that is no finite number.
    #[error(
        "plugin `{plugin}`, {action}: {what} is not finite in {count} places (first in row {row})"
    )]
    NonFinite {
        /// The plugin.
        plugin: String,
        /// The function called.
        action: &'static str,
        /// Which tensor.
        what: &'static str,
        /// How many values.
        count: usize,
        /// First row with one.
        row: usize,
    },
    /// A pairing whose numbers are not those that were asked for.
    #[error("plugin `{plugin}`, pair: {what}: expected {expected}, found {found}")]
    Pairing {
        /// The plugin.
        plugin: String,
        /// What is wrong.
        what: &'static str,
        /// What is needed.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A pairing that points outside the data.
    #[error(
        "plugin `{plugin}`: prior point {point} is paired with data point {row}, but there are {n}"
    )]
    Row {
        /// The plugin.
        plugin: String,
        /// The prior point.
        point: usize,
        /// Its row.
        row: u32,
        /// Number of data points.
        n: usize,
    },
    /// Points whose number of values does not fit the features.
    #[error("{what}: {found} values, which is no multiple of {n_features} features")]
    Points {
        /// Which points.
        what: &'static str,
        /// Number of values.
        found: usize,
        /// Number of features.
        n_features: usize,
    },
    /// The caller asked to stop.
    #[error("plugin `{plugin}` stopped on request")]
    Stopped {
        /// The plugin.
        plugin: String,
    },
    /// A plugin that does not do what its kind must do.
    #[error("plugin `{plugin}` fails its check: {reason}")]
    Check {
        /// The plugin.
        plugin: String,
        /// What is wrong.
        reason: CheckError,
    },
    /// Parameters that do not fit.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The tensor library failed.
    #[error("tensors: {0}")]
    Tensor(#[from] crate::tensor::Error),
}
