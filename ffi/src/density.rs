//! Densities: samples of a model, the densities of configurations, and their gradients.

use std::borrow::Cow;

use regflow_core::model::{Model, ModelError};

use crate::arguments::{blocks, check_length, results, values, zeros};
use crate::failure::{Failure, Status};
use crate::handle::shared;
use crate::model::{Content, ModelHandle};
use crate::status::compute;

/// Draws `n` configurations from the model, with the logarithm of the density that each was drawn from.
///
/// The samples are those of the given `seed` with the indices `first_index` to `first_index + n - 1`: a sample depends on
/// its seed and index, not on the size of a call or the number of threads (but for the rounding of single-precision
/// arithmetic), so the work of a long series can be split at will. `positions` receives the coordinates, `[n][n_atoms][3]`, in
/// the frame of the model, and `log_q` the log densities, `[n]`, all in the caller's units and atom order.
/// `positions_length` must be `n * n_atoms * 3` and `log_q_length` must be `n`.
///
/// With the energy U of a configuration, `-U / kT - log_q` is the logarithm of its importance weight. A proposal that is no
/// molecule (a bond of negative length, say) has a `log_q` of plus infinity, hence weight zero.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
/// to call from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; `positions` and `log_q` do not overlap and may be written to for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_sample(
    model: *const ModelHandle,
    n: usize,
    seed: u64,
    first_index: u64,
    positions: *mut f64,
    positions_length: usize,
    log_q: *mut f64,
    log_q_length: usize,
) -> Status {
    compute("regflow_model_sample", || {
        // SAFETY: the caller vouches for the model.
        let content = unsafe { shared("model", model) }?;
        let model = &content.model;
        check_length("positions_length", positions_length, n, 3 * model.n_atoms())?;
        check_length("log_q_length", log_q_length, n, 1)?;
        // SAFETY: the caller vouches for both arrays.
        let (positions, log_q) = unsafe {
            (
                results("positions", positions, positions_length)?,
                results("log_q", log_q, log_q_length)?,
            )
        };
        if n == 0 {
            return Ok(());
        }
        if first_index.checked_add(n as u64 - 1).is_none() {
            return Err(Failure::IndexOverflow { first_index, n });
        }
        let (width, shift) = (3 * model.n_atoms(), content.log_density_shift());
        for block in blocks(n) {
            let first = first_index + block.start as u64;
            let samples = model
                .sample(block.len(), seed, first)
                .map_err(Failure::compute)?;
            let positions = &mut positions[block.start * width..block.end * width];
            content.to_caller_order(&samples.positions, positions);
            for (to, from) in log_q[block].iter_mut().zip(&samples.log_q) {
                *to = from + shift;
            }
        }
        Ok(())
    })
}

/// Computes the logarithm of the model's density at `n` given configurations.
///
/// `positions` holds coordinates, `[n][n_atoms][3]`, molecules whole and in any place and orientation; `log_q` receives `[n]`
/// numbers, all in the caller's units and atom order. `positions_length` must be `n * n_atoms * 3` and `log_q_length` must be
/// `n`.
///
/// A configuration with a coordinate that is infinite or not a number is no error: it has no density, its `log_q` is minus
/// infinity, and those beside it are computed as ever. `log_q` is never not-a-number.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`,
/// among others if atoms of a configuration coincide or lie on a line where the model's coordinates need an angle. Safe to call
/// from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; `positions` may be read and `log_q` written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_log_density(
    model: *const ModelHandle,
    n: usize,
    positions: *const f64,
    positions_length: usize,
    log_q: *mut f64,
    log_q_length: usize,
) -> Status {
    compute("regflow_model_log_density", || {
        // SAFETY: the caller vouches for the model.
        let content = unsafe { shared("model", model) }?;
        let width = 3 * content.model.n_atoms();
        check_length("positions_length", positions_length, n, width)?;
        check_length("log_q_length", log_q_length, n, 1)?;
        // SAFETY: the caller vouches for both arrays.
        let (positions, log_q) = unsafe {
            (
                values("positions", positions, positions_length)?,
                results("log_q", log_q, log_q_length)?,
            )
        };
        let shift = content.log_density_shift();
        for block in blocks(n) {
            let positions = &positions[block.start * width..block.end * width];
            let computed = log_density(&content.model, &content.to_model_order(positions)?)
                .map_err(Failure::compute)?;
            for (to, from) in log_q[block].iter_mut().zip(computed) {
                *to = from + shift;
            }
        }
        Ok(())
    })
}

/// Computes the logarithm of the model's density at `n` given configurations, and its gradient by their positions.
///
/// `positions`, `[n][n_atoms][3]`, and `log_q`, `[n]`, as in `regflow_model_log_density`; `gradient` becomes
/// `[n][n_atoms][3]`, the derivatives of `log_q` by each coordinate, in 1 / length, all in the caller's units and atom order. A
/// sampler moves along a path of log densities such as (1 - t) log_q - t U / kT, whose gradient is
/// (1 - t) gradient + t forces / kT. In `internal` and `gauge` coordinates a gradient has no net force and no net torque.
///
/// A configuration with a coordinate that is infinite or not a number has a `log_q` of minus infinity and a gradient of zeros.
/// Networks compute in single precision: a gradient is good to some 1e-5 of its largest component.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`,
/// among others if atoms of a configuration coincide or lie on a line where the model's coordinates need an angle. Safe to call
/// from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_log_density_gradient(
    model: *const ModelHandle,
    n: usize,
    positions: *const f64,
    positions_length: usize,
    log_q: *mut f64,
    log_q_length: usize,
    gradient: *mut f64,
    gradient_length: usize,
) -> Status {
    compute("regflow_model_log_density_gradient", || {
        // SAFETY: the caller vouches for the model.
        let content = unsafe { shared("model", model) }?;
        let width = 3 * content.model.n_atoms();
        check_length("positions_length", positions_length, n, width)?;
        check_length("log_q_length", log_q_length, n, 1)?;
        check_length("gradient_length", gradient_length, n, width)?;
        // SAFETY: the caller vouches for the arrays.
        let (positions, log_q, gradient) = unsafe {
            (
                values("positions", positions, positions_length)?,
                results("log_q", log_q, log_q_length)?,
                results("gradient", gradient, gradient_length)?,
            )
        };
        for block in blocks(n) {
            let rows = block.start * width..block.end * width;
            score(
                content,
                &positions[rows.clone()],
                &mut log_q[block],
                &mut gradient[rows],
            )?;
        }
        Ok(())
    })
}

/// Log densities, minus infinity where there is none.
fn log_density(model: &Model, positions: &[f64]) -> Result<Vec<f64>, ModelError> {
    let width = 3 * model.n_atoms();
    let (rows, usable) = finite_rows(positions, width);
    let mut log_q = vec![f64::NEG_INFINITY; positions.len() / width];
    for (row, value) in rows.zip(model.log_density(&usable)?) {
        if !value.is_nan() {
            log_q[row] = value;
        }
    }
    Ok(log_q)
}

/// Log densities and their gradients, as the caller has them.
fn score(
    content: &Content,
    positions: &[f64],
    log_q: &mut [f64],
    gradient: &mut [f64],
) -> Result<(), Failure> {
    let positions = content.to_model_order(positions)?;
    let width = 3 * content.model.n_atoms();
    let (rows, usable) = finite_rows(&positions, width);
    let scores = content
        .model
        .log_density_gradient(&usable)
        .map_err(Failure::compute)?;
    let shift = content.log_density_shift();
    log_q.fill(f64::NEG_INFINITY);
    let mut all = zeros(gradient.len())?;
    let found = scores.log_q.iter().zip(scores.gradient.chunks_exact(width));
    for (row, (value, found)) in rows.zip(found) {
        if !value.is_nan() {
            log_q[row] = value + shift;
            all[row * width..(row + 1) * width].copy_from_slice(found);
        }
    }
    content.scatter(&all, gradient, content.units.length);
    Ok(())
}

/// Indices of the rows that are finite, and these rows.
fn finite_rows(positions: &[f64], width: usize) -> (impl Iterator<Item = usize>, Cow<'_, [f64]>) {
    let all: Vec<&[f64]> = positions.chunks_exact(width).collect();
    let is_finite = |x: &&[f64]| x.iter().all(|x| x.is_finite());
    let finite: Vec<usize> = (0..all.len()).filter(|&i| is_finite(&all[i])).collect();
    let usable = match finite.len() == all.len() {
        true => Cow::Borrowed(positions),
        false => Cow::Owned(finite.iter().flat_map(|&i| all[i]).copied().collect()),
    };
    (finite.into_iter(), usable)
}
