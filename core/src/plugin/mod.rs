//! Finding, loading, checking and calling plugins.
//!
//! [`find`] finds a plugin of a kind ([`Flow`], [`Field`], [`Target`], [`PluginEnergy`]) by name or path. A name is searched for in the
//! files given to [`load`], in the folders of `REGFLOW_PLUGIN_PATH` (separated as `PATH` is), then in the folder of the running
//! library or program, then among the plugins linked in, and at last in the files that were asked for by path before; in folders
//! the files `libNAME.so` and `NAME.so` count (with `-` of the name as `_`, and the platform's extension). What contains a path
//! separator or ends in the extension is a path; `FILE.so:NAME` picks one of several plugins of a library. Only what is named is
//! loaded, and nothing is unloaded; a file that names neither entry point is not loaded at all. What a file says is no caller's
//! choice: for it there is [`named`], which refuses paths. `REGFLOW_PLUGIN_DEBUG=1` writes the search to standard error.
//!
//! A kind is a file with its table's functions, and a line in `KINDS`.
//!
//! ```
//! use regflow::plugin::{self, Feature, FeatureKind, Molecule, Parameters};
//! use regflow::tensor::{DType, Device, Tensor};
//!
//! let realnvp = plugin::find::<plugin::Flow>("realnvp")?;
//! let feature = |atom| Feature { kind: FeatureKind::Real, atom, axis: 0 };
//! let features: Vec<Feature> = (0..4).map(feature).collect();
//! let mut parameters = Parameters::new(&Device::Cpu, DType::F32, 7);
//! let config = r#"{"couplings": 2, "hidden": 16}"#;
//! let flow = realnvp.build(config, &features, &Molecule::default(), &mut parameters)?;
//! let x0 = Tensor::new(&[[0.1f32, -0.2, 0.3, 1.0]], &Device::Cpu).unwrap();
//! let (x1, log_det) = flow.forward(&x0)?;
//! assert_eq!((x1.dims(), log_det.dims()), (&[1, 4][..], &[1][..]));
//! # Ok::<(), plugin::PluginError>(())
//! ```

mod check;
mod energy;
mod error;
mod features;
mod field;
mod flow;
mod host;
mod kind;
mod library;
mod parameters;
mod registry;
mod target;

pub use check::{Report, check_library};
pub use energy::PluginEnergy;
pub use error::{Candidate, CheckError, LibraryError, ParameterError, PluginError};
pub use field::{Field, FieldReport};
pub use flow::{CheckReport, Flow, check_flow};
pub use kind::{Checked, Kind, Plugin};
pub use parameters::Parameters;
pub use regflow_plugin::{Feature, FeatureKind, Molecule};
pub use registry::{all, describe, find, load, named};
pub use target::{DataSide, Pairing, Target, Task};

/// All kinds, in the order of their numbers.
static KINDS: &[Registered] = &[
    Registered::of::<Flow>(),
    Registered::of::<Field>(),
    Registered::of::<Target>(),
    Registered::of::<PluginEnergy>(),
];

use kind::Registered;
use serde_json::{Map, Value};
use std::fmt;
use std::path::PathBuf;

/// Where a plugin comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Linked into the program.
    LinkedIn,
    /// A shared library.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::LinkedIn => f.write_str("linked in"),
            Origin::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What is known about a plugin before anything is built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PluginInfo {
    /// Its kind: "flow", "field", "target" or "energy".
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Version of the plugin that has it.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// JSON schema of the configuration.
    pub schema: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether a flow or field understands circular features; `false` for the other kinds.
    pub circular: bool,
}

impl PluginInfo {
    fn failed(&self, action: &'static str, message: &str) -> PluginError {
        PluginError::Failed {
            plugin: self.name.clone(),
            action,
            message: message.into(),
        }
    }

    /// The configuration with every default filled in from the schema, to be stored with a model: a later version of the
    /// plugin may have other defaults. Empty text stands for `{}`.
    ///
    /// # Errors
    /// Text that is no JSON object, or a field that the schema does not have.
    pub fn complete_config(&self, config: &str) -> Result<String, PluginError> {
        let refuse = |message: String| PluginError::Config {
            plugin: self.name.clone(),
            message,
        };
        let text = if config.trim().is_empty() {
            "{}"
        } else {
            config
        };
        let mut config: Map<String, Value> = serde_json::from_str(text)
            .map_err(|error| refuse(format!("not a JSON object: {error}")))?;
        let schema: Value = serde_json::from_str(&self.schema)
            .map_err(|error| refuse(format!("the plugin's schema: {error}")))?;
        let Some(Value::Object(properties)) = schema.get("properties") else {
            return Ok(Value::Object(config).to_string());
        };
        if schema.get("additionalProperties") == Some(&Value::Bool(false))
            && let Some(unknown) = config.keys().find(|key| !properties.contains_key(*key))
        {
            let known: Vec<&str> = properties.keys().map(String::as_str).collect();
            return Err(refuse(format!(
                "unknown field `{unknown}`; there are: {}",
                known.join(", ")
            )));
        }
        for (name, property) in properties {
            if let Some(default) = property.get("default") {
                config.entry(name).or_insert_with(|| default.clone());
            }
        }
        Ok(Value::Object(config).to_string())
    }
}
