//! Losses and gradients of a batch, summed over chunks of rows.
//!
//! On the CPU the chunks run on different threads, each with its own graph. Their size and order do not depend on the
//! number of threads, so neither do the sums.

use rayon::prelude::*;

use super::TrainError;
use super::objective::{Batch, Loss};
use crate::flow::Model;
use crate::tensor::Tensor;

/// Rows per chunk on the CPU.
const ROWS: usize = 256;

/// Mean loss of the batch, and its gradient by the flat parameters, in the order of [`flatten`].
pub(super) fn loss_and_gradient(
    model: &Model,
    loss: &Loss,
    batch: &Batch,
) -> Result<(f64, Vec<f32>), TrainError> {
    let parts = map_chunks(model, batch, |x0, x1| {
        let sum = loss.sum(model.training_flow(), x0, x1)?;
        let store = sum.backward()?;
        let mut gradient = Vec::with_capacity(model.parameters().n_values());
        for (_, var) in model.parameters().iter() {
            match store.get(var.as_tensor()) {
                Some(g) => append(&mut gradient, g)?,
                None => gradient.resize(gradient.len() + var.elem_count(), 0.0),
            }
        }
        Ok((scalar(&sum)?, gradient))
    })?;
    let rows = batch.x1.len() / model.prior().dimension();
    let scale = 1.0 / rows as f64;
    let mut parts = parts.into_iter();
    let (mut total, mut gradient) = parts.next().unwrap_or_default();
    for (part, part_gradient) in parts {
        total += part;
        for (sum, g) in gradient.iter_mut().zip(&part_gradient) {
            *sum += g;
        }
    }
    for g in &mut gradient {
        *g *= scale as f32;
    }
    Ok((total * scale, gradient))
}

/// Mean loss of a set of points.
pub(super) fn mean_loss(model: &Model, loss: &Loss, batch: &Batch) -> Result<f64, TrainError> {
    let parts = map_chunks(model, batch, |x0, x1| {
        scalar(&loss.sum(model.flow(), x0, x1)?)
    })?;
    let rows = batch.x1.len() / model.prior().dimension();
    Ok(parts.iter().sum::<f64>() / rows as f64)
}

fn map_chunks<T: Send>(
    model: &Model,
    batch: &Batch,
    work: impl Fn(Option<&[f32]>, &[f32]) -> Result<T, TrainError> + Sync,
) -> Result<Vec<T>, TrainError> {
    let dimension = model.prior().dimension();
    let rows = if model.device().is_cpu() {
        ROWS
    } else {
        model.rows_per_call(batch.x1.len() / dimension)
    };
    let size = rows * dimension;
    batch
        .x1
        .par_chunks(size)
        .enumerate()
        .map(|(i, x1)| {
            let x0 = batch.x0.as_ref().map(|x0| &x0[i * size..][..x1.len()]);
            work(x0, x1)
        })
        .collect()
}

/// All parameters in one vector, in the order of their names.
pub(super) fn flatten(model: &Model) -> Result<Vec<f32>, TrainError> {
    let mut flat = Vec::with_capacity(model.parameters().n_values());
    for (_, var) in model.parameters().iter() {
        append(&mut flat, var.as_tensor())?;
    }
    Ok(flat)
}

/// The reverse of [`flatten`].
pub(super) fn unflatten(model: &Model, flat: &[f32]) -> Result<(), TrainError> {
    let mut rest = flat;
    for (_, var) in model.parameters().iter() {
        let (values, tail) = rest.split_at(var.elem_count());
        var.set(&Tensor::from_slice(values, var.dims(), model.device())?)?;
        rest = tail;
    }
    Ok(())
}

fn append(flat: &mut Vec<f32>, tensor: &Tensor) -> Result<(), TrainError> {
    flat.extend(tensor.flatten_all()?.to_vec1::<f32>()?);
    Ok(())
}

fn scalar(tensor: &Tensor) -> Result<f64, TrainError> {
    Ok(tensor.to_scalar::<f64>()?)
}
