//! Losses and gradients of a batch, summed over chunks of rows.
//!
//! On the CPU the chunks run on different threads, each with its own graph; a lane takes every eighth of them. Neither their
//! sizes nor their order within a lane depend on the number of threads, so that the sums do not either.

use rayon::prelude::*;

use super::TrainError;
use super::objectives::{Batch, Network, Rows, Running, Sums};
use crate::model::Model;
use crate::tensor::{Gradients, Tensor};

/// Most sums of gradients that are kept at a time, and so chunks that run at once.
const LANES: usize = 8;
/// Parameters whose gradients one task adds up.
const PARAMETERS: usize = 1 << 14;

/// What is told of the batch, means over its rows, and the gradient of what it minimises by the flat parameters, in the order of
/// [`flatten`].
pub(super) fn loss_and_gradient(
    model: &Model,
    objective: &dyn Running,
    batch: &Batch,
) -> Result<(Sums, Vec<f32>), TrainError> {
    let chunks = Chunks::new(model, batch);
    let parameters = model.parameters().iter().map(|(_, var)| var.as_tensor());
    let zeros = Gradients::new(parameters);
    let lanes = (0..chunks.count().min(LANES))
        .into_par_iter()
        .map(|lane| {
            let (mut total, mut gradients) = (Sums::default(), zeros.zeros());
            for chunk in (lane..chunks.count()).step_by(LANES) {
                let (sum, told) = objective.differentiable(model, &chunks.get(chunk))?;
                gradients = gradients.add(&sum)?;
                total = total.plus(told);
            }
            Ok((total, gradients.into_sums()))
        })
        .collect::<Result<Vec<_>, TrainError>>()?;
    let scale = 1.0 / batch.len() as f64;
    let mut lanes = lanes.into_iter();
    let (mut total, mut gradient) = lanes.next().unwrap_or_default();
    let rest: Vec<Vec<f32>> = lanes
        .map(|(part, sums)| {
            total = total.plus(part);
            sums
        })
        .collect();
    gradient
        .par_chunks_mut(PARAMETERS)
        .enumerate()
        .for_each(|(i, gradient)| {
            for sums in &rest {
                for (g, sum) in gradient.iter_mut().zip(&sums[i * PARAMETERS..]) {
                    *g += sum;
                }
            }
            for g in gradient {
                *g *= scale as f32;
            }
        });
    let Sums { loss, slope } = total;
    let means = Sums {
        loss: loss * scale,
        slope: slope * scale,
    };
    Ok((means, gradient))
}

impl Sums {
    fn plus(self, other: Sums) -> Sums {
        Sums {
            loss: self.loss + other.loss,
            slope: self.slope + other.slope,
        }
    }
}

/// Mean loss of a set of points.
pub(super) fn mean_loss(
    model: &Model,
    objective: &dyn Running,
    batch: &Batch,
) -> Result<f64, TrainError> {
    let parts = by_chunk(model, batch, |rows| {
        let sum = objective.loss(Network::plain(model), &rows)?;
        Ok(sum.to_scalar::<f64>()?)
    })?;
    Ok(parts.iter().sum::<f64>() / batch.len() as f64)
}

/// What `f` says of every chunk, in their order.
pub(super) fn by_chunk<T: Send>(
    model: &Model,
    batch: &Batch,
    f: impl Fn(Rows) -> Result<T, TrainError> + Sync,
) -> Result<Vec<T>, TrainError> {
    let chunks = Chunks::new(model, batch);
    (0..chunks.count())
        .into_par_iter()
        .map(|chunk| f(chunks.get(chunk)))
        .collect()
}

/// A batch in pieces of whole rows.
struct Chunks<'a> {
    batch: &'a Batch,
    /// Rows per chunk.
    size: usize,
}

impl<'a> Chunks<'a> {
    fn new(model: &Model, batch: &'a Batch) -> Self {
        Chunks {
            batch,
            size: model.rows_per_call(batch.len()),
        }
    }

    fn count(&self) -> usize {
        self.batch.len().div_ceil(self.size)
    }

    fn get(&self, chunk: usize) -> Rows<'a> {
        let start = chunk * self.size;
        self.batch
            .rows(start..self.batch.len().min(start + self.size))
    }
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
