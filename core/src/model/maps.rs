//! The parts of a model for samplers of the caller's own: `log q` with its gradient, and the flow between prior and features.
//! The map between features and positions is [`Model::coordinates`].

use rayon::prelude::*;

use super::{Model, ModelError, to_f64};
use crate::coordinates::FeatureKind;
use crate::tensor::{DType, Tensor, Var};

/// Results of a map on features.
pub struct Mapped {
    /// `[n, D]`, of the other side.
    pub features: Vec<f64>,
    /// `[n]`, `log |det|` of the map in the direction taken.
    pub log_det: Vec<f64>,
}

/// Log densities with their gradients.
pub struct Scores {
    /// `[n]`, in the convention of [`Samples::log_q`](super::Samples::log_q).
    pub log_q: Vec<f64>,
    /// `[n, 3N]`, `d log q / dx` in 1/nm.
    pub gradient: Vec<f64>,
}

impl Model {
    /// The flow from prior to features: `x0` is `[n, D]`.
    ///
    /// # Errors
    /// An array that is no whole number of rows; the architecture plugin or the device fails.
    pub fn forward(&self, x0: &[f64]) -> Result<Mapped, ModelError> {
        self.map(x0, |model, x0| Ok(model.flow.forward(x0)?))
    }

    /// The flow from features to prior: `x1` is `[n, D]`.
    ///
    /// # Errors
    /// As [`Model::forward`].
    pub fn inverse(&self, x1: &[f64]) -> Result<Mapped, ModelError> {
        self.map(x1, |model, x1| Ok(model.flow.inverse(x1)?))
    }

    fn map(
        &self,
        features: &[f64],
        map: impl Fn(&Model, &Tensor) -> Result<(Tensor, Tensor), ModelError> + Sync,
    ) -> Result<Mapped, ModelError> {
        let dimension = self.prior.dimension();
        let n = self.rows_of(features, dimension)?;
        let rows = self.rows_per_call(n);
        let mut mapped = Mapped {
            features: vec![0.0; features.len()],
            log_det: vec![0.0; n],
        };
        mapped
            .features
            .par_chunks_mut(rows * dimension)
            .zip(mapped.log_det.par_chunks_mut(rows))
            .zip(features.par_chunks(rows * dimension))
            .try_for_each(|((to, log_det), from)| {
                let (y, det) = map(self, &self.rows_tensor(from)?)?;
                to.copy_from_slice(&to_f64(&y)?);
                log_det.copy_from_slice(&to_f64(&det)?);
                Ok::<_, ModelError>(())
            })?;
        Ok(mapped)
    }

    /// `log q` of configurations (`positions`: `[n, N, 3]`, nm), and its gradient by all positions. Where the coordinates leave
    /// out the rigid motion, neither does work: gradients have no net force and no net torque.
    ///
    /// # Errors
    /// As [`Model::log_density`].
    pub fn log_density_gradient(&self, positions: &[f64]) -> Result<Scores, ModelError> {
        let width = 3 * self.n_atoms();
        let n = self.rows_of(positions, width)?;
        let rows = self.rows_per_call(n);
        let mut scores = Scores {
            log_q: vec![0.0; n],
            gradient: vec![0.0; positions.len()],
        };
        scores
            .log_q
            .par_chunks_mut(rows)
            .zip(scores.gradient.par_chunks_mut(rows * width))
            .zip(positions.par_chunks(rows * width))
            .try_for_each(|((log_q, gradient), positions)| {
                let mut features = vec![0.0; log_q.len() * self.prior.dimension()];
                self.coordinates()
                    .to_features(positions, &mut features, log_q)?;
                let (log_z, d_features) = self.feature_score(&features)?;
                for (log_q, log_z) in log_q.iter_mut().zip(log_z) {
                    *log_q = log_z - *log_q;
                }
                self.coordinates()
                    .pull_to_positions(positions, &d_features, gradient)?;
                Ok::<_, ModelError>(())
            })?;
        Ok(scores)
    }

    /// Log density of features (`[n, D]`) under the flow, and its gradient by them.
    fn feature_score(&self, features: &[f64]) -> Result<(Vec<f64>, Vec<f64>), ModelError> {
        let dimension = self.prior.dimension();
        // Of the flow without a graph of the parameters: only these features are differentiated by.
        let x1 = Var::from_tensor(&self.rows_tensor(features)?)?;
        let (x0, log_det) = self.flow.inverse(x1.as_tensor())?;
        let real: Vec<f64> = self
            .prior
            .kinds()
            .iter()
            .map(|kind| f64::from(u8::from(*kind == FeatureKind::Real)))
            .collect();
        let real = Tensor::from_vec(real, (1, dimension), &self.device)?.to_dtype(x0.dtype())?;
        let squares = x0
            .broadcast_mul(&real)?
            .sqr()?
            .sum_all()?
            .to_dtype(DType::F64)?;
        let sum = (log_det.sum_all()?.to_dtype(DType::F64)? - (squares * 0.5)?)?;
        let gradients = sum.backward()?;
        let gradient = match gradients.get(x1.as_tensor()) {
            Some(gradient) => to_f64(gradient)?,
            None => vec![0.0; features.len()],
        };
        let x0: Vec<f32> = x0.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let prior = self.prior.log_density(&x0).into_iter();
        let log_q = prior
            .zip(to_f64(&log_det)?)
            .map(|(prior, log_det)| prior + log_det);
        Ok((log_q.collect(), gradient))
    }

    /// Features as the flow takes them.
    fn rows_tensor(&self, features: &[f64]) -> Result<Tensor, ModelError> {
        let dimension = self.prior.dimension();
        let shape = (features.len() / dimension, dimension);
        let tensor = match self.flow.dtype() {
            DType::F64 => Tensor::from_slice(features, shape, &self.device)?,
            dtype => {
                let rounded: Vec<f32> = features.iter().map(|&z| z as f32).collect();
                Tensor::from_vec(rounded, shape, &self.device)?.to_dtype(dtype)?
            }
        };
        Ok(tensor)
    }

    fn rows_of(&self, array: &[f64], width: usize) -> Result<usize, ModelError> {
        match array.len().is_multiple_of(width) {
            true => Ok(array.len() / width),
            false => Err(ModelError::Width {
                width,
                found: array.len(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::coordinates::{CoordinateKind, CoordinateOptions, Coordinates};
    use crate::plugin::Parameters;
    use crate::system::Topology;
    use crate::tensor::Device;

    #[derive(Deserialize)]
    struct Fixture {
        topology: Topology,
        positions: Vec<f64>,
    }

    /// A flow in double precision that is far from the identity.
    fn model(
        architecture: &str,
        config: serde_json::Value,
        kind: CoordinateKind,
    ) -> (Model, Vec<f64>) {
        let text = include_str!("../../../tests/data/coordinates/aldp.json");
        let Fixture {
            topology,
            positions,
        } = serde_json::from_str(text).unwrap();
        let options = CoordinateOptions {
            circular: architecture == "nsf",
            ..CoordinateOptions::default()
        };
        let coordinates = Coordinates::fit(kind, &topology, &positions, &options).unwrap();
        let single = Model::new(
            architecture,
            config,
            coordinates,
            topology,
            300.0,
            3,
            &Device::Cpu,
        )
        .unwrap();
        let model = Model::of_file(
            single.header.clone(),
            Parameters::new(&Device::Cpu, DType::F64, 3),
        )
        .unwrap();
        model.parameters.perturb(0.3, 4).unwrap();
        let model = Model::of_file(model.header, model.parameters).unwrap();
        (model, positions)
    }

    /// Forward and back, and `log q` from its parts.
    #[test]
    fn the_flow_and_the_density_fit_together() {
        let config = serde_json::json!({"couplings": 4, "hidden": 16, "blocks": 1});
        for kind in [
            CoordinateKind::Internal,
            CoordinateKind::Gauge,
            CoordinateKind::Cartesian,
        ] {
            let (model, positions) = model("nsf", config.clone(), kind);
            let n = positions.len() / 66;
            let positions = &positions[..];
            let d = model.coordinates().n_features();
            let (mut z, mut volume) = (vec![0.0; n * d], vec![0.0; n]);
            model
                .coordinates()
                .to_features(positions, &mut z, &mut volume)
                .unwrap();
            let back = model.inverse(&z).unwrap();
            let again = model.forward(&back.features).unwrap();
            for ((z, found), kind) in z
                .iter()
                .zip(&again.features)
                .zip(model.prior.kinds().iter().cycle())
            {
                let turns = match kind {
                    FeatureKind::Circular => {
                        std::f64::consts::TAU * ((z - found) / std::f64::consts::TAU).round()
                    }
                    FeatureKind::Real => 0.0,
                };
                assert!(
                    (z - found - turns).abs() < 1e-8 * (1.0 + z.abs()),
                    "{z} {found}"
                );
            }
            let log_q = model.log_density_gradient(positions).unwrap().log_q;
            for i in 0..n {
                assert!((back.log_det[i] + again.log_det[i]).abs() < 1e-7);
                let x0: Vec<f32> = back.features[i * d..(i + 1) * d]
                    .iter()
                    .map(|&x| x as f32)
                    .collect();
                let expected = model.prior.log_density(&x0)[0] + back.log_det[i] - volume[i];
                assert!(
                    (log_q[i] - expected).abs() < 1e-9 * expected.abs(),
                    "{} {expected}",
                    log_q[i]
                );
            }
        }
        let (model, positions) = model("nsf", config, CoordinateKind::Gauge);
        let error = model.forward(&positions[..61]).err().unwrap();
        assert!(
            error
                .to_string()
                .contains("61 numbers are not a whole number of rows of 60"),
            "{error}"
        );
    }

    /// In all three kinds of coordinates and both standard architectures, along random directions. Steps are short, for a spline's
    /// log-determinant has a kink at every knot: 1e-8 nm, over which double precision leaves 1e-7 of the difference. The prior's
    /// part of `log q` is summed from f32 values, hence the density is taken apart here.
    #[test]
    fn gradients_agree_with_finite_differences() {
        for (architecture, config) in [
            (
                "realnvp",
                serde_json::json!({"couplings": 4, "hidden": 16, "blocks": 1}),
            ),
            (
                "nsf",
                serde_json::json!({"couplings": 4, "hidden": 16, "blocks": 1}),
            ),
        ] {
            for kind in [
                CoordinateKind::Internal,
                CoordinateKind::Gauge,
                CoordinateKind::Cartesian,
            ] {
                let (model, positions) = model(architecture, config.clone(), kind);
                let n = 4;
                let x = &positions[..n * 66];
                let scores = model.log_density_gradient(x).unwrap();
                let log_q = |x: &[f64]| -> Vec<f64> {
                    let d = model.coordinates().n_features();
                    let (mut z, mut volume) = (vec![0.0; n * d], vec![0.0; n]);
                    model
                        .coordinates()
                        .to_features(x, &mut z, &mut volume)
                        .unwrap();
                    let mapped = model.inverse(&z).unwrap();
                    (0..n)
                        .map(|i| {
                            let row = mapped.features[i * d..(i + 1) * d]
                                .iter()
                                .zip(model.prior.kinds());
                            let squares: f64 = row
                                .filter(|(_, kind)| **kind == FeatureKind::Real)
                                .map(|(x, _)| x * x)
                                .sum();
                            mapped.log_det[i] - volume[i] - 0.5 * squares
                        })
                        .collect()
                };
                for direction in 0..6 {
                    let step: Vec<f64> = (0..x.len())
                        .map(|k| {
                            (((k * 7919 + direction * 104_729) % 1009) as f64 / 504.0 - 1.0) * 1e-8
                        })
                        .collect();
                    let moved = |factor: f64| -> Vec<f64> {
                        log_q(
                            &x.iter()
                                .zip(&step)
                                .map(|(x, step)| x + factor * step)
                                .collect::<Vec<_>>(),
                        )
                    };
                    let [far, near, back, farther] = [2.0, 1.0, -1.0, -2.0].map(moved);
                    for i in 0..n {
                        let range = i * 66..(i + 1) * 66;
                        let expected = (8.0 * (near[i] - back[i]) - (far[i] - farther[i])) / 12.0;
                        let found: f64 = scores.gradient[range.clone()]
                            .iter()
                            .zip(&step[range.clone()])
                            .map(|(g, s)| g * s)
                            .sum();
                        let scale: f64 = scores.gradient[range.clone()]
                            .iter()
                            .zip(&step[range])
                            .map(|(g, s)| (g * s).abs())
                            .sum();
                        assert!(
                            (found - expected).abs() < 1e-5 * scale,
                            "{architecture} {kind}: {found} {expected} of {scale}"
                        );
                    }
                }
            }
        }
    }
}
