//! Potentials by the text that names them, as `--energy` of `bg-sample` takes it.

mod error;
mod foreign;

use std::env::consts::DLL_SUFFIX;
use std::path::Path;

use serde_json::{Map, Value};

use crate::energy::{self, Energy, EnergyError, ForceField, Precision, Refusals};
use crate::plugin::{self, PluginEnergy};
use crate::system::BondTerm;

pub use error::PotentialError;
pub use foreign::ForeignFormat;

/// The potential that `source` names:
/// - `system.xml`: an OpenMM System XML, evaluated by [`ForceField`];
/// - `NAME:FILE`, `NAME:FILE,OPTION=VALUE,...`: an energy plugin, such as `openmm:system.xml,platform=CPU` or
///   `lammps:in.molecule`, with FILE as the option `file` of its configuration;
/// - `NAME:{...}`: the same with a configuration in JSON;
/// - `./libmine.so:...`: a plugin of that library, its only one, or `./libmine.so:NAME:...`.
///
/// A System XML with a colon in its name is written with its folder: `./a:b.xml`.
///
/// # Errors
/// Whatever keeps the potential from being read, or the plugin from being found and built.
pub fn load(source: &str) -> Result<Box<dyn Energy>, PotentialError> {
    load_with(source, Precision::Double)
}

/// As [`load`], with the precision of the [`ForceField`].
///
/// # Errors
/// As [`load`]; another precision than double for a plugin, which has options of its own.
pub fn load_with(source: &str, precision: Precision) -> Result<Box<dyn Energy>, PotentialError> {
    let Some((plugin, config)) = plugin_source(source) else {
        let path = Path::new(source);
        if let Some(format) = ForeignFormat::of(path) {
            return Err(PotentialError::Foreign {
                path: path.to_owned(),
                format,
            });
        }
        let force_field = ForceField::from_system_xml(path)?;
        return Ok(Box::new(force_field.with_precision(precision)));
    };
    if precision != Precision::Double {
        return Err(PotentialError::Precision {
            source_text: source.into(),
        });
    }
    let config = json_config(config)?;
    let energy = plugin::find::<PluginEnergy>(&plugin)?.build(&config)?;
    let bonds = file_of(&config).map_or_else(Vec::new, |text| energy::bond_terms(&text));
    Ok(Box::new(WithBonds { energy, bonds }))
}

/// The text of the file that a plugin reads, if it is a small enough one of text.
fn file_of(config: &str) -> Option<String> {
    /// Systems of some 100,000 atoms.
    const LARGEST: u64 = 256 << 20;
    let config: Value = serde_json::from_str(config).ok()?;
    let file = Path::new(config.get("file")?.as_str()?);
    let size = std::fs::metadata(file)
        .ok()
        .filter(|file| file.is_file())?
        .len();
    (size <= LARGEST)
        .then(|| std::fs::read_to_string(file).ok())
        .flatten()
}

/// The energy of a plugin, with the bonds of the System XML that it reads.
struct WithBonds {
    energy: PluginEnergy,
    bonds: Vec<BondTerm>,
}

impl Energy for WithBonds {
    fn n_atoms(&self) -> usize {
        self.energy.n_atoms()
    }

    fn masses(&self) -> Option<&[f64]> {
        self.energy.masses()
    }

    fn bonds(&self) -> &[BondTerm] {
        &self.bonds
    }

    fn refusals(&self) -> Option<Refusals> {
        self.energy.refusals()
    }

    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
        self.energy.energies(positions, energies)
    }

    fn energies_and_forces(
        &self,
        positions: &[f64],
        energies: &mut [f64],
        forces: &mut [f64],
    ) -> Result<(), EnergyError> {
        self.energy.energies_and_forces(positions, energies, forces)
    }
}

/// Name or path of the plugin, and its configuration.
fn plugin_source(source: &str) -> Option<(String, &str)> {
    let is_name = |text: &str| {
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !text.is_empty() && text.chars().all(letter)
    };
    if source.ends_with(DLL_SUFFIX) {
        return Some((source.into(), ""));
    }
    if let Some((stem, rest)) = source.split_once(&format!("{DLL_SUFFIX}:")) {
        let file = format!("{stem}{DLL_SUFFIX}");
        let (name, config) = rest.split_once(':').unwrap_or((rest, ""));
        let named = format!("{file}:{name}");
        return Some(
            match is_name(name) && plugin::find::<PluginEnergy>(&named).is_ok() {
                true => (named, config),
                false => (file, rest),
            },
        );
    }
    let (name, config) = source.split_once(':')?;
    is_name(name).then(|| (name.into(), config))
}

/// `{...}` as it is, `FILE,OPTION=VALUE,...` as a JSON object.
fn json_config(text: &str) -> Result<String, PotentialError> {
    if text.is_empty() || text.starts_with('{') {
        return Ok(text.into());
    }
    let mut config = Map::new();
    for (place, part) in text.split(',').enumerate() {
        match part.split_once('=') {
            Some((option, value)) => {
                let scalar = serde_json::from_str(value).ok();
                let scalar = scalar.filter(|value: &Value| value.is_number() || value.is_boolean());
                config.insert(option.into(), scalar.unwrap_or_else(|| value.into()));
            }
            None if place == 0 => {
                config.insert("file".into(), part.into());
            }
            None => {
                return Err(PotentialError::Option {
                    text: text.into(),
                    part: part.into(),
                });
            }
        }
    }
    Ok(Value::Object(config).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_name_files_or_plugins() {
        assert_eq!(plugin_source("system.xml"), None);
        assert_eq!(plugin_source("./a:b.xml"), None);
        let named = |name: &str, config| Some((name.to_owned(), config));
        assert_eq!(plugin_source("openmm:s.xml"), named("openmm", "s.xml"));
        assert_eq!(plugin_source("openmm:"), named("openmm", ""));
        let file = format!("./libx{DLL_SUFFIX}");
        assert_eq!(plugin_source(&file), named(&file, ""));
        assert_eq!(
            plugin_source(&format!("{file}:{{\"a\": 1}}")),
            named(&file, "{\"a\": 1}")
        );
        assert_eq!(plugin_source(&format!("{file}:in.b")), named(&file, "in.b"));
    }

    #[test]
    fn options_become_json() {
        assert_eq!(json_config("").unwrap(), "");
        assert_eq!(json_config("{\"a\": 1}").unwrap(), "{\"a\": 1}");
        assert_eq!(
            json_config("d/in.x,length=0.34,platform=CPU,quick=true").unwrap(),
            r#"{"file":"d/in.x","length":0.34,"platform":"CPU","quick":true}"#
        );
        assert_eq!(json_config("k=2").unwrap(), r#"{"k":2}"#);
        let error = json_config("in.x,CPU").unwrap_err().to_string();
        assert!(
            error.contains("`CPU`") && error.contains("OPTION=VALUE"),
            "{error}"
        );
    }

    #[test]
    fn unknown_plugins_list_those_that_there_are() {
        let error = load("nothing:x").err().unwrap().to_string();
        for part in ["no energy `nothing`", "openmm", "lammps"] {
            assert!(error.contains(part), "{error}");
        }
        let error = load_with("openmm:x", Precision::Mixed)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("openmm:x"), "{error}");
    }
}
