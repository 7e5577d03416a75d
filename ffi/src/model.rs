//! Models: loading, sampling, densities.

use std::borrow::Cow;
use std::ffi::c_char;
use std::fs::File;
use std::path::Path;

use regflow_core::flow::Model;

use crate::arguments::{check_length, device, output, reference, results, text, values};
use crate::status::{Failure, Status, guard};

/// A trained model, made by `regflow_model_load` and ended by `regflow_model_free`.
///
/// It never changes, so any number of threads may use one at the same time, except while it is being freed.
pub struct Handle {
    model: Model,
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync>() {}
    shared_between_threads::<Handle>();
};

/// Loads a model.
///
/// `path` is a file that `bg-sample train` wrote, as UTF-8. `device` says where the model computes: "cpu", or
/// "cuda:0" for the first GPU. On success `*model` is a new model that the caller ends with `regflow_model_free`; on failure
/// it is NULL.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_IO` if the file cannot be opened; `REGFLOW_ERROR_MODEL` if it is
/// damaged, no model or too new; `REGFLOW_ERROR_DEVICE`. Safe to call from any thread. Since 1.
///
/// # Safety
/// `path` and `device` are NUL-terminated strings, and `model` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_load(
    path: *const c_char,
    device: *const c_char,
    model: *mut *mut Handle,
) -> Status {
    guard("regflow_model_load", || {
        // SAFETY: the caller vouches for the three pointers.
        let (model, path, device) = unsafe {
            (
                output("model", model)?,
                text("path", path),
                text("device", device),
            )
        };
        *model = std::ptr::null_mut();
        let loaded = load(Path::new(path?), device?)?;
        *model = Box::into_raw(Box::new(loaded));
        Ok(())
    })
}

fn load(path: &Path, device_name: &str) -> Result<Handle, Failure> {
    let device = device(device_name)?;
    let open = File::open(path)
        .and_then(|file| file.metadata())
        .and_then(|data| match data.is_dir() {
            true => Err(std::io::ErrorKind::IsADirectory.into()),
            false => Ok(()),
        });
    open.map_err(|source| Failure::Open {
        path: path.to_owned(),
        source,
    })?;
    let model = Model::load(path, &device).map_err(|source| Failure::Model {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    Ok(Handle { model })
}

/// Ends a model and gives its memory back. NULL is fine and does nothing.
///
/// No thread may use the model during or after this call. Since 1.
///
/// # Safety
/// `model` is NULL or came from `regflow_model_load`, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_free(model: *mut Handle) -> Status {
    guard("regflow_model_free", || {
        if !model.is_null() {
            // SAFETY: the pointer came from `Box::into_raw` and the caller gives it up.
            drop(unsafe { Box::from_raw(model) });
        }
        Ok(())
    })
}

/// Writes the number of atoms of the model's molecule to `*n_atoms`.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `n_atoms` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_n_atoms(
    model: *const Handle,
    n_atoms: *mut usize,
) -> Status {
    guard("regflow_model_n_atoms", || {
        // SAFETY: the caller vouches for both pointers.
        let (model, n_atoms) = unsafe { (reference("model", model)?, output("n_atoms", n_atoms)?) };
        *n_atoms = model.model.n_atoms();
        Ok(())
    })
}

/// Writes the temperature in K for which the model was trained to `*temperature`.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `temperature` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_temperature(
    model: *const Handle,
    temperature: *mut f64,
) -> Status {
    guard("regflow_model_temperature", || {
        // SAFETY: the caller vouches for both pointers.
        let (model, temperature) = unsafe {
            (
                reference("model", model)?,
                output("temperature", temperature)?,
            )
        };
        *temperature = model.model.temperature();
        Ok(())
    })
}

/// Draws `n` configurations from the model, with the logarithm of the density that each was drawn from.
///
/// The samples are those of the given `seed` with the indices `first_index` to `first_index + n - 1`: a sample depends on
/// its seed and index, not on the size of a call or the number of threads (but for the rounding of single-precision
/// arithmetic), so the work of a long series can be split at will. `positions` receives the coordinates in nm, `[n][n_atoms][3]`, and `log_q` the log densities, `[n]`.
/// `positions_length` must be `n * n_atoms * 3` and `log_q_length` must be `n`.
///
/// With the energy U of a configuration, `-U / kT - log_q` is the logarithm of its importance weight. A proposal that is no
/// molecule (a bond of negative length, say) has a `log_q` of plus infinity, hence weight zero.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`, `REGFLOW_ERROR_LENGTH`, `REGFLOW_ERROR_COMPUTE`. Safe to call from several threads
/// with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; `positions` and `log_q` do not overlap and may be written to for their lengths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_sample(
    model: *const Handle,
    n: usize,
    seed: u64,
    first_index: u64,
    positions: *mut f64,
    positions_length: usize,
    log_q: *mut f64,
    log_q_length: usize,
) -> Status {
    guard("regflow_model_sample", || {
        // SAFETY: the caller vouches for the model.
        let model = &unsafe { reference("model", model)? }.model;
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
        let samples = model
            .sample(n, seed, first_index)
            .map_err(|error| Failure::Compute(Box::new(error)))?;
        positions.copy_from_slice(&samples.positions);
        log_q.copy_from_slice(&samples.log_q);
        Ok(())
    })
}

/// Computes the logarithm of the model's density at `n` given configurations.
///
/// `positions` holds coordinates in nm, `[n][n_atoms][3]`, molecules whole and in any place and orientation; `log_q`
/// receives `[n]` numbers. `positions_length` must be `n * n_atoms * 3` and `log_q_length` must be `n`.
///
/// A configuration with a coordinate that is infinite or not a number is no error: it has no density, its `log_q` is minus
/// infinity, and those beside it are computed as ever. `log_q` is never not-a-number.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_COMPUTE`, among others if atoms of a
/// configuration coincide or lie on a line where the model's coordinates need an angle. Safe to call from several threads
/// with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; `positions` may be read and `log_q` written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_log_density(
    model: *const Handle,
    n: usize,
    positions: *const f64,
    positions_length: usize,
    log_q: *mut f64,
    log_q_length: usize,
) -> Status {
    guard("regflow_model_log_density", || {
        // SAFETY: the caller vouches for the model.
        let model = &unsafe { reference("model", model)? }.model;
        let width = 3 * model.n_atoms();
        check_length("positions_length", positions_length, n, width)?;
        check_length("log_q_length", log_q_length, n, 1)?;
        // SAFETY: the caller vouches for both arrays.
        let (positions, log_q) = unsafe {
            (
                values("positions", positions, positions_length)?,
                results("log_q", log_q, log_q_length)?,
            )
        };
        let all: Vec<&[f64]> = positions.chunks_exact(width).collect();
        let finite: Vec<usize> = (0..n)
            .filter(|&i| all[i].iter().all(|x| x.is_finite()))
            .collect();
        let usable = match finite.len() == n {
            true => Cow::Borrowed(positions),
            false => Cow::Owned(finite.iter().flat_map(|&i| all[i]).copied().collect()),
        };
        let computed = match finite.is_empty() {
            true => Vec::new(),
            false => model
                .log_density(&usable)
                .map_err(|error| Failure::Compute(Box::new(error)))?,
        };
        log_q.fill(f64::NEG_INFINITY);
        for (i, value) in finite.into_iter().zip(computed) {
            if !value.is_nan() {
                log_q[i] = value;
            }
        }
        Ok(())
    })
}
