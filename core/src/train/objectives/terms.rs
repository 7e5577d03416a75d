//! Terms of which the losses are made, bound to the feature kinds of a model.

use regflow_plugin::abi::op;

use crate::coordinates::FeatureKind;
use crate::model::Prior;
use crate::tensor::{self, DType, Device, Tensor};
use crate::train::TrainError;

/// The terms of one model.
pub(in crate::train) struct Terms {
    /// `[1, D]`: 1 where the feature is real, 0 where it is circular.
    real: Tensor,
    any_circular: bool,
    /// `log p0` of the origin: every constant of the prior.
    log_prior_constant: f64,
    dimension: usize,
    device: Device,
}

impl Terms {
    pub fn new(prior: &Prior, device: &Device) -> Result<Self, TrainError> {
        let kinds = prior.kinds();
        let real: Vec<f32> = kinds
            .iter()
            .map(|kind| f32::from(*kind == FeatureKind::Real))
            .collect();
        Ok(Terms {
            any_circular: kinds.contains(&FeatureKind::Circular),
            real: Tensor::from_vec(real, (1, kinds.len()), device)?,
            log_prior_constant: prior.log_density(&vec![0.0; kinds.len()])[0],
            dimension: kinds.len(),
            device: device.clone(),
        })
    }

    /// `- log q` of each row, `[B]` in f64, from its prior point and the log-determinant of the inverse map.
    pub fn negative_log_density(
        &self,
        x0: &Tensor,
        log_det: &Tensor,
    ) -> Result<Tensor, TrainError> {
        let squares = x0.broadcast_mul(&self.real)?.sqr()?;
        let squares = squares.to_dtype(DType::F64)?.sum(1)?;
        let log_prior = squares.affine(-0.5, self.log_prior_constant)?;
        Ok((log_prior + log_det.to_dtype(DType::F64)?)?.neg()?)
    }

    /// Gradient of `- log p0` by the prior point.
    pub fn prior_slope(&self, x0: &Tensor) -> Result<Tensor, TrainError> {
        Ok(x0.broadcast_mul(&self.real)?)
    }

    /// Sum over rows and features of squared differences, wrapped to `[-pi, pi)` on circular features.
    pub fn squared_distance(&self, a: &Tensor, b: &Tensor) -> Result<Tensor, TrainError> {
        let difference = (a - b)?;
        if !self.any_circular {
            return sum_f64(&difference.sqr()?);
        }
        let wrapped = tensor::apply(op::WRAP, &[&difference], &[])
            .map_err(crate::tensor::Error::wrap)?
            .swap_remove(0);
        let mask = self.real.broadcast_as(difference.shape())?;
        sum_f64(&mask.gt(0.5)?.where_cond(&difference, &wrapped)?.sqr()?)
    }

    /// Features, `[B, D]`.
    pub fn features(&self, rows: &[f32]) -> Result<Tensor, TrainError> {
        let shape = (rows.len() / self.dimension, self.dimension);
        Ok(Tensor::from_slice(rows, shape, &self.device)?)
    }

    /// One number for each row, `[B]` in f64.
    pub fn numbers(&self, rows: &[f32]) -> Result<Tensor, TrainError> {
        Ok(Tensor::from_slice(rows, rows.len(), &self.device)?.to_dtype(DType::F64)?)
    }
}

pub(in crate::train) fn sum_f64(tensor: &Tensor) -> Result<Tensor, TrainError> {
    Ok(tensor.to_dtype(DType::F64)?.sum_all()?)
}
