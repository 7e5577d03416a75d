//! Energies from OpenMM, whose shared library is opened at run time: `--energy openmm:system.xml`.
//!
//! The library is looked for where `REGFLOW_OPENMM_LIB` says (a file, a folder or a Python environment), then in the active
//! Python environment, then by the system's loader. Each thread has a context of its own.

mod engine;
mod runtime;

use engine::{Context, Platform, System};
pub use regflow_engine::Exception;
use regflow_plugin::{Batch, EnergySource, Error, Result};
use runtime::Runtime;
pub use runtime::{OPENMM, RuntimeError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;

/// Configuration of the energy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// System XML, as OpenMM's XmlSerializer writes it.
    pub file: String,
    /// Platform: Reference (double precision), CPU, CUDA, OpenCL, HIP, as far as they are installed.
    pub platform: String,
    /// Properties of the platform, such as {"Precision": "double", "DeviceIndex": "1"}. Threads is 1 without it, since each
    /// thread has a context of its own.
    pub properties: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            file: String::new(),
            platform: "Reference".into(),
            properties: BTreeMap::new(),
        }
    }
}

/// Why a system cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenMmError {
    /// OpenMM cannot be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The file cannot be read.
    #[error("cannot read the System XML {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Reason given by the operating system.
        source: std::io::Error,
    },
    /// OpenMM does not understand the file.
    #[error("{file}: OpenMM says: {source}")]
    File {
        /// The file.
        file: String,
        /// Its words.
        source: Exception,
    },
    /// No platform of this name.
    #[error("OpenMM has no platform `{found}`; there are: {}", known.join(", "))]
    Platform {
        /// The name given.
        found: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The platform has no property of this name.
    #[error("OpenMM's platform {platform} has no property `{found}`; there are: {}", known.join(", "))]
    Property {
        /// The platform.
        platform: String,
        /// The name given.
        found: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Constrained systems live in another configuration space.
    #[error(
        "{file}: the System has {found} constraints, whose volume element RegFlow does not have; make it without \
         (constraints=None, rigidWater=False)"
    )]
    Constraints {
        /// The file.
        file: String,
        /// Number of constraints.
        found: usize,
    },
    /// Virtual sites have no coordinates of their own.
    #[error(
        "{file}: particle {particle} is a virtual site, which has no coordinates of its own; make the System without"
    )]
    VirtualSite {
        /// The file.
        file: String,
        /// The first one.
        particle: usize,
    },
    /// A context cannot be made.
    #[error("{file}: no context on the platform {platform}: {source}")]
    Context {
        /// The file.
        file: String,
        /// The platform.
        platform: String,
        /// OpenMM's words.
        source: Exception,
    },
}

/// The potential energy of a System.
pub struct OpenMm {
    config: Config,
    system: Arc<System>,
    platform: Platform,
    masses: Vec<f64>,
}

impl OpenMm {
    fn new(config: Config) -> Result<Self, OpenMmError> {
        let runtime = Runtime::get()?;
        let platform = platform(runtime, &config)?;
        let file = config.file.clone();
        let text = std::fs::read(&file).map_err(|source| OpenMmError::Read {
            file: file.clone(),
            source,
        })?;
        let system = CString::new(text)
            .map_err(|_| Exception("the file has bytes 0, it is no text".into()))
            .and_then(|xml| System::from_xml(runtime, &xml))
            .map_err(|source| OpenMmError::File {
                file: file.clone(),
                source,
            })?;
        let found = system.n_constraints();
        if found > 0 {
            return Err(OpenMmError::Constraints { file, found });
        }
        let masses = system.masses();
        if let Some(particle) = masses.iter().position(Option::is_none) {
            return Err(OpenMmError::VirtualSite { file, particle });
        }
        let energy = OpenMm {
            config,
            system: Arc::new(system),
            platform,
            masses: masses.into_iter().flatten().collect(),
        };
        // A force that the platform does not know is found out here.
        energy.new_context()?;
        Ok(energy)
    }

    fn new_context(&self) -> Result<Context, OpenMmError> {
        Context::new(&self.system, &self.platform, self.masses.len()).map_err(|source| {
            OpenMmError::Context {
                file: self.config.file.clone(),
                platform: self.config.platform.clone(),
                source,
            }
        })
    }
}

/// The platform of the configuration: a name that OpenMM does not know would end the process there.
fn platform(runtime: &Runtime, config: &Config) -> Result<Platform, OpenMmError> {
    let platforms = runtime.platforms();
    let Some((name, platform)) = platforms.iter().find(|(name, _)| *name == config.platform) else {
        return Err(OpenMmError::Platform {
            found: config.platform.clone(),
            known: platforms.into_iter().map(|(name, _)| name).collect(),
        });
    };
    // SAFETY: a platform of this runtime.
    let known = unsafe { runtime.properties(*platform) };
    let mut properties = config.properties.clone();
    if known.iter().any(|property| property == "Threads") {
        properties
            .entry("Threads".into())
            .or_insert_with(|| "1".into());
    }
    if let Some(found) = properties.keys().find(|property| !known.contains(property)) {
        return Err(OpenMmError::Property {
            platform: name.clone(),
            found: found.clone(),
            known,
        });
    }
    let text = |text: String| CString::new(text.replace('\0', "")).unwrap_or_default();
    let properties = properties
        .into_iter()
        .map(|(name, value)| (text(name), text(value)));
    // SAFETY: as above, and properties that it has.
    Ok(unsafe { Platform::new(*platform, properties.collect()) })
}

impl EnergySource for OpenMm {
    type Config = Config;
    type Context = Context;
    const NAME: &'static str = "openmm";
    const DESCRIPTION: &'static str =
        "OpenMM's energy of a System XML; each thread with a context of its own.";

    fn build(config: Config) -> Result<Self> {
        if config.file.is_empty() {
            return Err(Error::ConfigValue {
                field: "file",
                expected: "the name of a System XML",
                found: "nothing".into(),
            });
        }
        OpenMm::new(config).map_err(Error::new)
    }

    fn n_atoms(&self) -> usize {
        self.masses.len()
    }

    fn masses(&self) -> Vec<f64> {
        self.masses.clone()
    }

    fn context(&self) -> Result<Context> {
        self.new_context().map_err(Error::new)
    }

    fn compute(&self, context: &mut Context, batch: &mut Batch<'_>) -> Result<()> {
        for index in 0..batch.n() {
            if let Err(exception) = context.evaluate(batch.configuration(index)) {
                batch.refuse(index, exception);
            }
        }
        Ok(())
    }
}

regflow_plugin::plugin! { name: "openmm", energies: [OpenMm] }
#[cfg(feature = "export")]
regflow_plugin::export! {}
