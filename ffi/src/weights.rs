//! Importance weights.

use regflow_core::sample::{Resampling, resample};
use regflow_core::{metric, system};
use std::mem::offset_of;

use crate::arguments::{Struct, check_length, converted, output_struct, results, values};
use crate::failure::{Failure, Status};
use crate::handle::shared;
use crate::model::ModelHandle;
use crate::status::compute;

/// Resampling with one random offset: an index of expected count c comes out floor(c) or ceil(c) times.
pub const REGFLOW_RESAMPLE_SYSTEMATIC: i32 = 0;
/// Resampling by independent draws.
pub const REGFLOW_RESAMPLE_MULTINOMIAL: i32 = 1;

/// What importance weights are worth.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Diagnostics {
    /// `sizeof(regflow_diagnostics_t)`.
    pub struct_size: usize,
    /// Number of weights.
    pub n: usize,
    /// Those that are zero: log weights that are not finite.
    pub n_zero: usize,
    /// Kish's effective sample size, over n.
    pub ess: f64,
    /// The same once the largest 0.2 % of the weights are removed.
    pub ess_trimmed: f64,
    /// Pareto k-hat of the tail: below 0.5 good, above 0.7 not to be trusted; not-a-number if it cannot be told.
    pub k_hat: f64,
    /// Logarithm of the mean weight, log Z; minus infinity if all are zero. In `internal` and `gauge` coordinates it is that of
    /// shapes: the integral over all orientations as well has a further ln 8 pi^2.
    pub log_z: f64,
    /// Its bootstrap standard error.
    pub log_z_error: f64,
}

// SAFETY: plain numbers, the first of them `struct_size`.
unsafe impl Struct for Diagnostics {
    const NAME: &'static str = "regflow_diagnostics_t";
    const FIRST_SIZE: usize = offset_of!(Diagnostics, log_z_error) + size_of::<f64>();
}

/// Computes log weights `-U / kT - log q` at the temperature of the model, all in the caller's units.
///
/// `energies`, `log_q` and `log_weights` are `[n]`. A weight whose energy or density is not finite is zero: its logarithm is
/// minus infinity.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process. Safe to call from several
/// threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_weights_log(
    model: *const ModelHandle,
    n: usize,
    energies: *const f64,
    energies_length: usize,
    log_q: *const f64,
    log_q_length: usize,
    log_weights: *mut f64,
    log_weights_length: usize,
) -> Status {
    compute("regflow_weights_log", || {
        // SAFETY: the caller vouches for the model.
        let content = unsafe { shared("model", model) }?;
        check_length("energies_length", energies_length, n, 1)?;
        check_length("log_q_length", log_q_length, n, 1)?;
        check_length("log_weights_length", log_weights_length, n, 1)?;
        // SAFETY: the caller vouches for the arrays.
        let (energies, log_q, log_weights) = unsafe {
            (
                values("energies", energies, energies_length)?,
                values("log_q", log_q, log_q_length)?,
                results("log_weights", log_weights, log_weights_length)?,
            )
        };
        let kt = system::kt(content.model.temperature()) / content.units.energy;
        for ((weight, energy), log_q) in log_weights.iter_mut().zip(energies).zip(log_q) {
            let log_weight = -energy / kt - log_q;
            *weight = match log_weight.is_finite() {
                true => log_weight,
                false => f64::NEG_INFINITY,
            };
        }
        Ok(())
    })
}

/// Judges log weights, `[n]`, and writes the figures to `*diagnostics`. `seed` is that of the bootstrap.
///
/// `diagnostics->struct_size` must be set. Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a
/// forked process. Safe to call from any thread. Since 1.
///
/// # Safety
/// `log_weights` may be read for its length, and `diagnostics` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_weights_diagnose(
    n: usize,
    log_weights: *const f64,
    log_weights_length: usize,
    seed: u64,
    diagnostics: *mut Diagnostics,
) -> Status {
    compute("regflow_weights_diagnose", || {
        check_length("log_weights_length", log_weights_length, n, 1)?;
        // SAFETY: the caller vouches for the array.
        let weights = unsafe { values("log_weights", log_weights, log_weights_length) }?;
        let weights = converted(
            weights,
            |w| if w.is_finite() { w } else { f64::NEG_INFINITY },
        )?;
        let log_z = metric::log_z(&weights, seed);
        let found = Diagnostics {
            struct_size: size_of::<Diagnostics>(),
            n,
            n_zero: weights.iter().filter(|w| !w.is_finite()).count(),
            ess: metric::ess_per_n(&weights),
            ess_trimmed: metric::ess_per_n_trimmed(&weights),
            k_hat: metric::k_hat(&weights).unwrap_or(f64::NAN),
            log_z: log_z.value,
            log_z_error: log_z.error,
        };
        // SAFETY: the caller vouches for the struct.
        unsafe { output_struct("diagnostics", diagnostics, found) }
    })
}

/// Draws indices by weight: `indices_length` of them, ascending, each below `n`; the same ones for the same seed.
///
/// `method` is `REGFLOW_RESAMPLE_SYSTEMATIC` or `REGFLOW_RESAMPLE_MULTINOMIAL`; `log_weights` is `[n]`, and those that are not
/// finite are never drawn.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE` if
/// all weights are zero. Safe to call from any thread. Since 1.
///
/// # Safety
/// `log_weights` may be read and `indices` written to for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_weights_resample(
    method: i32,
    n: usize,
    log_weights: *const f64,
    log_weights_length: usize,
    seed: u64,
    indices: *mut usize,
    indices_length: usize,
) -> Status {
    compute("regflow_weights_resample", || {
        let method = match method {
            REGFLOW_RESAMPLE_SYSTEMATIC => Resampling::Systematic,
            REGFLOW_RESAMPLE_MULTINOMIAL => Resampling::Multinomial,
            other => {
                return Err(Failure::Range {
                    argument: "method",
                    what: format!("it is {other}"),
                    expected: "REGFLOW_RESAMPLE_SYSTEMATIC (0) or REGFLOW_RESAMPLE_MULTINOMIAL (1)",
                });
            }
        };
        check_length("log_weights_length", log_weights_length, n, 1)?;
        // SAFETY: the caller vouches for both arrays.
        let (weights, indices) = unsafe {
            (
                values("log_weights", log_weights, log_weights_length)?,
                results("indices", indices, indices_length)?,
            )
        };
        indices.copy_from_slice(&resample(method, weights, indices.len(), seed)?);
        Ok(())
    })
}
