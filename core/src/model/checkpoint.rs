//! The model file: one `.safetensors` with the parameters, and the header as JSON in its metadata.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{Header, Model, ModelError};
use crate::plugin::Parameters;
use crate::system::{Topology, write_atomically};
use crate::tensor::{DType, Device, Tensor};

/// Version of the model file that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// Key of the JSON header in the file's metadata.
const HEADER_KEY: &str = "regflow";

impl Model {
    /// Writes the model to `path`, through a temporary file, so that an existing model is replaced whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let not_a_model = |reason: String| ModelError::NotAModel {
            path: path.to_owned(),
            reason,
        };
        let header = serde_json::to_string(&self.header).map_err(|e| not_a_model(e.to_string()))?;
        let mut arrays = Vec::new();
        for (name, var) in self.parameters.iter() {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            arrays.push((name.to_owned(), var.dims().to_vec(), values));
        }
        let views = arrays
            .iter()
            .map(|(name, shape, values)| {
                TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
                    .map(|view| (name.as_str(), view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| not_a_model(e.to_string()))?;
        let metadata = HashMap::from([(HEADER_KEY.to_owned(), header)]);
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|e| not_a_model(e.to_string()))?;
        write_atomically(path, |file| file.write_all(&bytes))?;
        Ok(())
    }

    /// Reads a model; the architecture plugin is found by the name in the file.
    ///
    /// # Errors
    /// The file is missing, damaged, of another format version, or its architecture is not found or does not fit.
    pub fn load(path: &Path, device: &Device) -> Result<Model, ModelError> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::Io {
            path: path.to_owned(),
            source,
        })?;
        Model::decode(path, &bytes, device)
    }

    /// As [`Model::load`], from the contents of a model file.
    ///
    /// # Errors
    /// As [`Model::load`]; messages name the file `(memory)`.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Model, ModelError> {
        Model::decode(Path::new("(memory)"), bytes, device)
    }

    fn decode(path: &Path, bytes: &[u8], device: &Device) -> Result<Model, ModelError> {
        let header = Model::read_header(path, bytes)?;
        let architecture = header.architecture.name.clone();
        let not_a_model = |reason: String| ModelError::NotAModel {
            path: path.to_owned(),
            reason,
        };
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| not_a_model(e.to_string()))?;
        let mut values = HashMap::new();
        for (name, view) in tensors.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(not_a_model(format!(
                    "parameter {name} is of type {:?}, expected F32",
                    view.dtype()
                )));
            }
            // The file's bytes need not be aligned; the format is little-endian.
            let numbers: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            if let Some(bad) = numbers.iter().find(|v| !v.is_finite()) {
                return Err(not_a_model(format!("parameter {name} holds {bad}")));
            }
            let value = Tensor::from_vec(numbers, view.shape(), &Device::Cpu)?;
            values.insert(name.to_owned(), value);
        }
        let parameters = Parameters::from_values(device, DType::F32, values);
        let model = Model::of_file(header, parameters).map_err(|error| match error {
            ModelError::Plugin(source) => ModelError::Architecture {
                path: path.to_owned(),
                source: Box::new(source),
            },
            other => other,
        })?;
        if let Some(name) = model.parameters.unused().first() {
            return Err(not_a_model(format!(
                "it holds a parameter {name}, which the architecture {architecture} does not have"
            )));
        }
        Ok(model)
    }

    fn read_header(path: &Path, bytes: &[u8]) -> Result<Header, ModelError> {
        let not_a_model = |reason: String| ModelError::NotAModel {
            path: path.to_owned(),
            reason,
        };
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|e| not_a_model(e.to_string()))?;
        let text = metadata
            .metadata()
            .as_ref()
            .and_then(|m| m.get(HEADER_KEY))
            .ok_or_else(|| not_a_model(format!("it has no \"{HEADER_KEY}\" header")))?;
        let json: serde_json::Value =
            serde_json::from_str(text).map_err(|e| not_a_model(format!("its header: {e}")))?;
        // The version first: another version's header need not fit this version's type.
        let version = json.get("format_version").and_then(|v| v.as_u64());
        let version = version.ok_or_else(|| not_a_model("its header has no version".into()))?;
        if version != u64::from(FORMAT_VERSION) {
            return Err(ModelError::FormatVersion {
                path: path.to_owned(),
                expected: FORMAT_VERSION,
                found: version,
            });
        }
        // Before anything is made that is as large as the coordinates say.
        let atoms = json.pointer("/topology/atoms").and_then(|v| v.as_array());
        let coordinates = json
            .pointer("/coordinates/n_atoms")
            .and_then(|v| v.as_u64());
        if coordinates != atoms.map(|atoms| atoms.len() as u64) {
            return Err(not_a_model(
                "its molecule and its coordinates differ in the number of atoms".into(),
            ));
        }
        let header: Header =
            serde_json::from_value(json).map_err(|e| not_a_model(format!("its header: {e}")))?;
        header
            .validate()
            .map_err(|problem| not_a_model(format!("its header: {problem}")))?;
        Ok(header)
    }
}

impl Header {
    /// What the types alone do not ensure.
    fn validate(&self) -> Result<(), &'static str> {
        let Topology {
            atoms,
            residues,
            bonds,
        } = &self.topology;
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err("the temperature is not positive");
        }
        if atoms.iter().any(|atom| atom.residue >= residues.len()) {
            return Err("an atom is in a residue that there is not");
        }
        if bonds.iter().any(|&[a, b]| a >= b || b >= atoms.len()) {
            return Err("a bond is not between two atoms, the lower one first");
        }
        Ok(())
    }
}
