//! The model file: one `.safetensors` with the parameters, and the header as JSON in its metadata.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{FlowError, Header, Model};
use crate::system::write_atomically;
use crate::tensor::{Device, Tensor};

/// Version of the model file that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;
/// Key of the JSON header in the file's metadata.
const HEADER_KEY: &str = "regflow";

impl Model {
    /// Writes the model to `path`, through a temporary file, so that an existing model is replaced whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FlowError> {
        let not_a_model = |reason: String| FlowError::NotAModel {
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
    pub fn load(path: &Path, device: &Device) -> Result<Model, FlowError> {
        let bytes = std::fs::read(path).map_err(|source| FlowError::Io {
            path: path.to_owned(),
            source,
        })?;
        Model::decode(path, &bytes, device)
    }

    /// As [`Model::load`], from the contents of a model file.
    ///
    /// # Errors
    /// As [`Model::load`]; messages name the file `(memory)`.
    pub fn from_bytes(bytes: &[u8], device: &Device) -> Result<Model, FlowError> {
        Model::decode(Path::new("(memory)"), bytes, device)
    }

    fn decode(path: &Path, bytes: &[u8], device: &Device) -> Result<Model, FlowError> {
        let header = Model::read_header(path, bytes)?;
        let architecture = header.architecture.name.clone();
        let model = Model::build(header, 0, device)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| FlowError::NotAModel {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        for (name, var) in model.parameters.iter() {
            let found = tensors.tensor(name).ok();
            let mismatch = |found: String| FlowError::Parameter {
                path: path.to_owned(),
                name: name.to_owned(),
                architecture: architecture.clone(),
                expected: format!("{:?}", var.dims()),
                found,
            };
            let view = found.ok_or_else(|| mismatch("none".into()))?;
            if view.shape() != var.dims() || view.dtype() != Dtype::F32 {
                return Err(mismatch(format!("{:?} {:?}", view.shape(), view.dtype())));
            }
            // The file's bytes need not be aligned; the format is little-endian.
            let values: Vec<f32> = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
                return Err(FlowError::NotAModel {
                    path: path.to_owned(),
                    reason: format!("parameter {name} holds {bad}"),
                });
            }
            var.set(&Tensor::from_vec(values, var.dims(), device)?)?;
        }
        if tensors.len() != model.parameters.len() {
            return Err(FlowError::NotAModel {
                path: path.to_owned(),
                reason: format!(
                    "it holds {} parameters, the architecture {architecture} has {}",
                    tensors.len(),
                    model.parameters.len()
                ),
            });
        }
        Ok(model)
    }

    fn read_header(path: &Path, bytes: &[u8]) -> Result<Header, FlowError> {
        let not_a_model = |reason: String| FlowError::NotAModel {
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
            return Err(FlowError::FormatVersion {
                path: path.to_owned(),
                expected: FORMAT_VERSION,
                found: version,
            });
        }
        serde_json::from_value(json).map_err(|e| not_a_model(format!("its header: {e}")))
    }
}
