//! A model: prior, coordinates, architecture and parameters, kept in one file.
//!
//! [`Model`] is what samples and scores configurations. Symbols and directions are those of the generating map
//! `f: x0 -> x1` from prior to data: `log q(x1) = log p0(x0) - logdet(x0)`.

mod checkpoint;
mod consistency;
mod error;
mod maps;
mod prior;
#[cfg(test)]
mod tests;

pub use checkpoint::FORMAT_VERSION;
pub use consistency::Consistency;
pub use error::ModelError;
pub use maps::{Mapped, Scores};
pub use prior::Prior;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::coordinates::{Coordinates, CoordinatesError};
use crate::math::Streams;
use crate::parallel;
use crate::plugin::{self, CheckReport, Flow, Molecule, Parameters, Plugin, PluginError};
use crate::system::Topology;
use crate::tensor::{DType, Device, Tensor};

/// Fewest and most configurations per network call on the CPU: large enough for the matrix products, small enough that the
/// activations stay in cache and that all threads have work.
const ROWS_CPU: [usize; 2] = [64, 256];
/// Configurations per network call on a GPU.
const ROWS_GPU: usize = 16384;

/// Which architecture plugin a model uses, and how it is configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// Name by which the plugin is found: its own, also where a caller named its library by a path.
    pub name: String,
    /// Version of the plugin that trained the model.
    pub version: String,
    /// The plugin's own configuration.
    pub config: serde_json::Value,
}

/// Everything about a model but its parameters.
#[derive(Clone, Debug)]
pub struct Header {
    /// Version of the file format.
    pub format_version: u32,
    /// The flow.
    pub architecture: Architecture,
    /// The molecule.
    pub topology: Topology,
    /// Temperature of the training data, K.
    pub temperature: f64,
    /// Fitted map between molecule and features.
    pub coordinates: Coordinates,
    /// Settings and figures of the training run; `None` for an untrained model.
    pub training: Option<serde_json::Value>,
}

/// Configurations drawn from a model.
pub struct Samples {
    /// `[n, N, 3]`, nm.
    pub positions: Vec<f64>,
    /// `[n]`, log density of each configuration, such that `-u(x) - log_q` is its log weight.
    pub log_q: Vec<f64>,
}

/// A Boltzmann generator: a flow over the features of one molecule.
pub struct Model {
    header: Header,
    plugin: Plugin<Flow>,
    /// Over the same parameters as `training_flow`, but without a gradient graph.
    flow: Flow,
    training_flow: Flow,
    parameters: Parameters,
    prior: Prior,
    device: Device,
}

impl Model {
    /// An untrained model, its parameters drawn from `seed`.
    ///
    /// # Errors
    /// The plugin is not found, or refuses its configuration or the features.
    pub fn new(
        architecture: &str,
        config: serde_json::Value,
        coordinates: Coordinates,
        topology: Topology,
        temperature: f64,
        seed: u64,
        device: &Device,
    ) -> Result<Model, ModelError> {
        let plugin = plugin::find::<Flow>(architecture)?;
        // With every default spelled out: a later version of the plugin may have others.
        let config = plugin.info().complete_config(&config.to_string())?;
        let config = serde_json::from_str(&config).map_err(|e| PluginError::Config {
            plugin: architecture.to_owned(),
            message: e.to_string(),
        })?;
        let header = Header {
            format_version: FORMAT_VERSION,
            architecture: Architecture {
                name: plugin.info().name.clone(),
                version: plugin.info().version.clone(),
                config,
            },
            topology,
            temperature,
            coordinates,
            training: None,
        };
        Model::build(plugin, header, Parameters::new(device, DType::F32, seed))
    }

    /// The model of a file's header: only names come out of files, never paths.
    fn of_file(header: Header, parameters: Parameters) -> Result<Model, ModelError> {
        let plugin = plugin::named(&header.architecture.name)?;
        Model::build(plugin, header, parameters)
    }

    fn build(
        plugin: Plugin<Flow>,
        header: Header,
        mut parameters: Parameters,
    ) -> Result<Model, ModelError> {
        // Before the first operation: the tensor library would start threads of its own.
        parallel::start()?;
        let features = header.coordinates.features();
        let config = header.architecture.config.to_string();
        let molecule = molecule(&header.topology);
        let training_flow = plugin.build(&config, features, &molecule, &mut parameters)?;
        let flow = plugin.build(&config, features, &molecule, &mut parameters.detached())?;
        let prior = Prior::new(features.iter().map(|f| f.kind).collect());
        Ok(Model {
            header,
            plugin,
            flow,
            training_flow,
            device: parameters.device().clone(),
            parameters,
            prior,
        })
    }

    /// Everything about the model but its parameters.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The molecule.
    pub fn topology(&self) -> &Topology {
        &self.header.topology
    }

    /// Number of atoms N.
    pub fn n_atoms(&self) -> usize {
        self.header.topology.n_atoms()
    }

    /// Temperature of the model's target, K.
    pub fn temperature(&self) -> f64 {
        self.header.temperature
    }

    /// Map between molecule and features.
    pub fn coordinates(&self) -> &Coordinates {
        &self.header.coordinates
    }

    /// Distribution of the flow's input.
    pub fn prior(&self) -> &Prior {
        &self.prior
    }

    /// The flow itself, on tensors of features, without gradients.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The flow whose results carry gradients of the parameters.
    pub(crate) fn training_flow(&self) -> &Flow {
        &self.training_flow
    }

    /// Trainable parameters by name.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Records how the model was trained; stored with it.
    pub fn set_training_record(&mut self, record: serde_json::Value) {
        self.header.training = Some(record);
    }

    /// Checks the architecture in double precision on the features of this model: `inverse(forward(x)) = x`, and both
    /// log-determinants against numerical ones.
    ///
    /// # Errors
    /// What the architecture does wrong.
    pub fn check(&self) -> Result<CheckReport, ModelError> {
        let architecture = &self.header.architecture;
        Ok(self.plugin.check(
            &architecture.config.to_string(),
            self.coordinates().features(),
            &molecule(self.topology()),
        )?)
    }

    /// Rows that one network call takes where `n` are to be evaluated; independent of the number of threads.
    pub fn rows_per_call(&self, n: usize) -> usize {
        if self.device.is_cpu() {
            let [least, most] = ROWS_CPU;
            n.div_ceil(16).clamp(least, most)
        } else {
            ROWS_GPU
        }
    }

    /// Draws `n` configurations, those with indices `first_index..first_index + n` of `streams`, by a
    /// seed alone those of [`Purpose::Samples`](crate::math::Purpose::Samples): the same configurations come out however they are divided into calls (up to rounding of the f32 network).
    ///
    /// A proposal whose features lie outside the domain of the coordinate map (a negative bond length, say) has
    /// `log_q = +inf`, hence weight 0.
    ///
    /// # Errors
    /// The architecture plugin or the device fails.
    pub fn sample(
        &self,
        n: usize,
        streams: impl Into<Streams>,
        first_index: u64,
    ) -> Result<Samples, ModelError> {
        let streams = streams.into();
        let width = 3 * self.n_atoms();
        let mut positions = vec![0.0; n * width];
        let mut log_q = vec![0.0; n];
        let rows = self.rows_per_call(n);
        positions
            .par_chunks_mut(rows * width)
            .zip(log_q.par_chunks_mut(rows))
            .enumerate()
            .try_for_each(|(chunk, (positions, log_q))| {
                let first = first_index + (chunk * rows) as u64;
                self.sample_chunk(streams, first, positions, log_q)
            })?;
        Ok(Samples { positions, log_q })
    }

    fn sample_chunk(
        &self,
        streams: Streams,
        first_index: u64,
        positions: &mut [f64],
        log_q: &mut [f64],
    ) -> Result<(), ModelError> {
        let (features, log_z) = self.draw(streams, first_index, log_q.len())?;
        let features: Vec<f64> = features.into_iter().map(f64::from).collect();
        self.coordinates()
            .to_positions(&features, positions, log_q)?;
        for (log_q, log_z) in log_q.iter_mut().zip(log_z) {
            *log_q = log_z - *log_q;
        }
        Ok(())
    }

    /// Draws features (`[n, D]`) and their log densities under the flow (`[n]`), without the coordinate map.
    ///
    /// # Errors
    /// The architecture plugin or the device fails.
    pub(crate) fn sample_features(
        &self,
        n: usize,
        streams: Streams,
        first_index: u64,
    ) -> Result<(Vec<f32>, Vec<f64>), ModelError> {
        let rows = self.rows_per_call(n);
        let parts: Vec<_> = (0..n.div_ceil(rows))
            .into_par_iter()
            .map(|chunk| {
                let done = chunk * rows;
                self.draw(streams, first_index + done as u64, rows.min(n - done))
            })
            .collect::<Result<_, _>>()?;
        let mut all = (Vec::with_capacity(n * self.prior.dimension()), Vec::new());
        for (features, log_q) in parts {
            all.0.extend(features);
            all.1.extend(log_q);
        }
        Ok(all)
    }

    /// One network call of [`Model::sample_features`].
    fn draw(
        &self,
        streams: Streams,
        first_index: u64,
        n: usize,
    ) -> Result<(Vec<f32>, Vec<f64>), ModelError> {
        let x0 = self.prior.sample(streams, first_index, n);
        let log_prior = self.prior.log_density(&x0);
        let x0 = Tensor::from_vec(x0, (n, self.prior.dimension()), &self.device)?;
        let (x1, log_det) = self.flow.forward(&x0)?;
        let features = x1.flatten_all()?.to_vec1::<f32>()?;
        let log_det = to_f64(&log_det)?;
        let log_q = log_prior.iter().zip(log_det).map(|(p, d)| p - d).collect();
        Ok((features, log_q))
    }

    /// `log q` of given configurations (`positions`: `[n, N, 3]`, nm), in the convention of [`Samples::log_q`].
    ///
    /// # Errors
    /// The length does not fit the molecule, a configuration is degenerate (coincident or collinear reference atoms), or
    /// the plugin or device fails.
    pub fn log_density(&self, positions: &[f64]) -> Result<Vec<f64>, ModelError> {
        self.densities(positions, Coordinates::to_features)
    }

    /// As [`Model::log_density`], but a degenerate configuration, or one that is not finite, has a `log q` of NaN.
    ///
    /// # Errors
    /// The length does not fit the molecule, or the plugin or device fails.
    pub fn score(&self, positions: &[f64]) -> Result<Vec<f64>, ModelError> {
        self.densities(positions, Coordinates::to_features_where_defined)
    }

    fn densities(&self, positions: &[f64], map: FeatureMap) -> Result<Vec<f64>, ModelError> {
        let width = 3 * self.n_atoms();
        if !positions.len().is_multiple_of(width) {
            return Err(ModelError::Length {
                n_atoms: self.n_atoms(),
                found: positions.len(),
            });
        }
        let n = positions.len() / width;
        let rows = self.rows_per_call(n);
        let mut log_q = vec![0.0; n];
        log_q
            .par_chunks_mut(rows)
            .zip(positions.par_chunks(rows * width))
            .try_for_each(|(log_q, positions)| self.densities_chunk(positions, log_q, map))?;
        Ok(log_q)
    }

    fn densities_chunk(
        &self,
        positions: &[f64],
        log_q: &mut [f64],
        map: FeatureMap,
    ) -> Result<(), ModelError> {
        let dimension = self.prior.dimension();
        let mut features = vec![0.0; log_q.len() * dimension];
        map(self.coordinates(), positions, &mut features, log_q)?;
        let features: Vec<f32> = features.iter().map(|&z| z as f32).collect();
        let log_z = self.feature_log_density(features)?;
        for (log_q, log_z) in log_q.iter_mut().zip(log_z) {
            *log_q = log_z - *log_q;
        }
        Ok(())
    }

    /// Log density of features (`[n, D]`) under the flow, without the coordinate map.
    fn feature_log_density(&self, features: Vec<f32>) -> Result<Vec<f64>, ModelError> {
        let dimension = self.prior.dimension();
        let rows = features.len() / dimension;
        let x1 = Tensor::from_vec(features, (rows, dimension), &self.device)?;
        let (x0, log_det) = self.flow.inverse(&x1)?;
        let x0 = x0.flatten_all()?.to_vec1::<f32>()?;
        let log_det = to_f64(&log_det)?;
        Ok(self
            .prior
            .log_density(&x0)
            .into_iter()
            .zip(log_det)
            .map(|(prior, log_det)| prior + log_det)
            .collect())
    }
}

/// From positions to features and `log_volume`.
type FeatureMap = fn(&Coordinates, &[f64], &mut [f64], &mut [f64]) -> Result<(), CoordinatesError>;

fn molecule(topology: &Topology) -> Molecule {
    Molecule {
        atomic_numbers: topology.atoms.iter().map(|a| a.atomic_number).collect(),
        bonds: topology.bonds.iter().map(|b| b.map(|a| a as u32)).collect(),
    }
}

fn to_f64(tensor: &Tensor) -> Result<Vec<f64>, crate::tensor::Error> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}
