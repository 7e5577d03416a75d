//! Potentials by the text that names them, as `--energy` of `bg-sample` takes it.

use std::path::Path;

use super::{Energy, EnergyError, ForceField};

/// The potential that `source` names: `system.xml`, an OpenMM System XML, evaluated by [`ForceField`].
///
/// # Errors
/// Whatever keeps the potential from being read.
pub fn load(source: &str) -> Result<Box<dyn Energy>, EnergyError> {
    Ok(Box::new(ForceField::from_system_xml(Path::new(source))?))
}
