//! The model file: one `.safetensors` with every array as a tensor (parameters in f32, arrays of the coordinates in f64), and the
//! header as JSON in its metadata.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::{Architecture, Header, Model, ModelError};
use crate::coordinates::{Arrays, CoordinateSettings, Coordinates};
use crate::plugin::Parameters;
use crate::system::tensor_file::{self, HeaderFault};
use crate::system::{Topology, printable, write_atomically};
use crate::tensor::{DType, Device, Tensor};

/// Version of the model file that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// Key of the JSON header in the file's metadata.
const HEADER_KEY: &str = "regflow";

/// What the names of the two kinds of tensors begin with.
const PARAMETERS: &str = "parameters.";
const COORDINATES: &str = "coordinates.";

/// The header as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHeader {
    format_version: u32,
    architecture: Architecture,
    topology: Topology,
    temperature: f64,
    coordinates: CoordinateSettings,
    training: Option<serde_json::Value>,
}

impl Model {
    /// Writes the model to `path`, through a temporary file, so that an existing model is replaced whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let unwritable = |reason: String| ModelError::Unwritable {
            path: path.to_owned(),
            reason,
        };
        let header = self.header();
        let stored = StoredHeader {
            format_version: header.format_version,
            architecture: header.architecture.clone(),
            topology: header.topology.clone(),
            temperature: header.temperature,
            coordinates: header.coordinates.settings(),
            training: header.training.clone(),
        };
        let text = serde_json::to_string(&stored).map_err(|e| unwritable(e.to_string()))?;
        let mut parameters = Vec::new();
        for (name, var) in self.parameters.iter() {
            let values = var.flatten_all()?.to_vec1::<f32>()?;
            parameters.push((format!("{PARAMETERS}{name}"), var.dims().to_vec(), values));
        }
        let arrays = header.coordinates.arrays();
        let of_coordinates = arrays.iter().map(|(name, values)| {
            let view =
                TensorView::new(Dtype::F64, vec![values.len()], bytemuck::cast_slice(values));
            view.map(|view| (format!("{COORDINATES}{name}"), view))
        });
        let of_map = parameters.iter().map(|(name, shape, values)| {
            TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))
                .map(|view| (name.clone(), view))
        });
        let views = of_coordinates
            .chain(of_map)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| unwritable(e.to_string()))?;
        let metadata = HashMap::from([(HEADER_KEY.to_owned(), text)]);
        let bytes =
            safetensors::serialize(views, Some(metadata)).map_err(|e| unwritable(e.to_string()))?;
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
        let not_a_model = |reason: String| ModelError::NotAModel {
            path: path.to_owned(),
            reason,
        };
        let stored = read_header(path, bytes)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| not_a_model(e.to_string()))?;
        let mut arrays = Arrays(HashMap::new());
        let mut values = HashMap::new();
        for (name, view) in tensors.iter() {
            let of_type = |expected| match view.dtype() == expected {
                true => Ok(()),
                false => Err(not_a_model(format!(
                    "tensor {name} is of type {:?}, expected {expected:?}",
                    view.dtype()
                ))),
            };
            if let Some(name) = name.strip_prefix(COORDINATES) {
                of_type(Dtype::F64)?;
                let numbers = tensor_file::f64s(view.data());
                arrays.0.insert(name.to_owned(), numbers);
            } else if let Some(name) = name.strip_prefix(PARAMETERS) {
                of_type(Dtype::F32)?;
                let numbers = tensor_file::f32s(view.data());
                if let Some(bad) = numbers.iter().find(|v| !v.is_finite()) {
                    return Err(not_a_model(format!("parameter {name} holds {bad}")));
                }
                let value = Tensor::from_vec(numbers, view.shape(), &Device::Cpu)?;
                values.insert(name.to_owned(), value);
            } else {
                return Err(not_a_model(format!(
                    "it holds a tensor {name}, which is neither a parameter nor of the coordinates"
                )));
            }
        }
        let header = Header {
            format_version: stored.format_version,
            architecture: stored.architecture,
            topology: stored.topology,
            temperature: stored.temperature,
            coordinates: Coordinates::restore(stored.coordinates, arrays)
                .map_err(|problem| not_a_model(problem.to_string()))?,
            training: stored.training,
        };
        let architecture = header.architecture.name.clone();
        let parameters = Parameters::from_values(device, DType::F32, values);
        let model = Model::of_file(header, parameters).map_err(|error| match error {
            ModelError::Plugin(source) => ModelError::Architecture {
                path: path.to_owned(),
                source,
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
}

fn read_header(path: &Path, bytes: &[u8]) -> Result<StoredHeader, ModelError> {
    let not_a_model = |reason: String| ModelError::NotAModel {
        path: path.to_owned(),
        reason,
    };
    let json = tensor_file::header(bytes, HEADER_KEY, FORMAT_VERSION);
    let json = json.map_err(|fault| match fault {
        HeaderFault::Damaged(reason) => not_a_model(reason),
        HeaderFault::Version(found) => ModelError::FormatVersion {
            path: path.to_owned(),
            expected: FORMAT_VERSION,
            found,
        },
    })?;
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
    let header: StoredHeader =
        serde_json::from_value(json).map_err(|e| not_a_model(format!("its header: {e}")))?;
    header
        .validate()
        .map_err(|problem| not_a_model(format!("its header: {problem}")))?;
    Ok(header)
}

impl StoredHeader {
    /// What the types alone do not ensure.
    fn validate(&self) -> Result<(), String> {
        let Topology {
            atoms,
            residues,
            bonds,
        } = &self.topology;
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err("the temperature is not positive".to_owned());
        }
        if atoms.iter().any(|atom| atom.residue >= residues.len()) {
            return Err("an atom is in a residue that there is not".to_owned());
        }
        if bonds.iter().any(|&[a, b]| a >= b || b >= atoms.len()) {
            return Err("a bond is not between two atoms, the lower one first".to_owned());
        }
        if let Some(name) = self.topology.control_character() {
            return Err(format!(
                "'{}', a name of an atom, element, residue or chain, holds a control character",
                printable(name)
            ));
        }
        Ok(())
    }
}
