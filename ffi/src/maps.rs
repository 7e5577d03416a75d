//! For samplers of the caller's own: the maps between positions, features and prior.

use std::ops::Range;

use regflow_core::coordinates::FeatureKind;
use regflow_core::model::{Mapped, Model, ModelError};

use crate::arguments::{BLOCK, blocks, check_length, output, results, values, zeros};
use crate::failure::{Failure, Status};
use crate::handle::shared;
use crate::model::ModelHandle;
use crate::status::{compute, guard};

/// Kind of a feature: any real number. Its prior is the standard normal distribution.
pub const REGFLOW_FEATURE_REAL: i32 = 0;
/// Kind of a feature: an angle, modulo 2 pi. Its prior is uniform on the circle.
pub const REGFLOW_FEATURE_CIRCULAR: i32 = 1;

/// Writes the number of features of the model, D, to `*n_features`: 3 n_atoms - 6 where the coordinates leave out the rigid motion
/// (`internal`, `gauge`), 3 n_atoms otherwise.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `n_features` may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_n_features(
    model: *const ModelHandle,
    n_features: *mut usize,
) -> Status {
    guard("regflow_model_n_features", || {
        // SAFETY: the caller vouches for both pointers.
        let (model, n_features) =
            unsafe { (shared("model", model)?, output("n_features", n_features)?) };
        *n_features = model.model.coordinates().n_features();
        Ok(())
    })
}

/// Writes the kind of each feature, `REGFLOW_FEATURE_REAL` or `REGFLOW_FEATURE_CIRCULAR`, to `kinds`, `[n_features]`.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`, `REGFLOW_ERROR_LENGTH`. Safe to call from several threads. Since 1.
///
/// # Safety
/// `model` is a model that was not freed, and `kinds` may be written to for its length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_feature_kinds(
    model: *const ModelHandle,
    kinds: *mut i32,
    kinds_length: usize,
) -> Status {
    guard("regflow_model_feature_kinds", || {
        // SAFETY: the caller vouches for the model.
        let model = &unsafe { shared("model", model) }?.model;
        let features = model.coordinates().features();
        check_length("kinds_length", kinds_length, features.len(), 1)?;
        // SAFETY: the caller vouches for the array.
        let kinds = unsafe { results("kinds", kinds, kinds_length) }?;
        for (kind, feature) in kinds.iter_mut().zip(features) {
            *kind = match feature.kind {
                FeatureKind::Real => REGFLOW_FEATURE_REAL,
                FeatureKind::Circular => REGFLOW_FEATURE_CIRCULAR,
            };
        }
        Ok(())
    })
}

/// Computes the features of `n` configurations, and the logarithm of the volume element of the map from features to positions.
///
/// `positions` is `[n][n_atoms][3]` in the caller's units and atom order, molecules whole and in any place and orientation;
/// `features` becomes `[n][n_features]`, without a unit: real ones have zero mean and, in general, unit variance over the
/// training data, circular ones are angles. `log_volume`, `[n]`, is what relates densities:
///
///     log_q(positions) = log density of the features - log_volume
///
/// and the target over features is exp(-U / kT + log_volume), per volume in the caller's unit of length to the power of
/// 3 n_atoms - 3. In `internal` and `gauge` coordinates it is that of shapes: an integral over all orientations of the molecule is
/// larger by a factor 8 pi^2. In `cartesian` ones it contains the density that the model gives to the geometric centre.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE` for
/// the first configuration that is not finite, or whose atoms coincide or lie on a line where the coordinates need an angle. Safe to
/// call from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_to_features(
    model: *const ModelHandle,
    n: usize,
    positions: *const f64,
    positions_length: usize,
    features: *mut f64,
    features_length: usize,
    log_volume: *mut f64,
    log_volume_length: usize,
) -> Status {
    compute("regflow_model_to_features", || {
        // SAFETY: the caller vouches for the model.
        let content = unsafe { shared("model", model) }?;
        let [width, d] = widths(&content.model);
        check_length("positions_length", positions_length, n, width)?;
        check_length("features_length", features_length, n, d)?;
        check_length("log_volume_length", log_volume_length, n, 1)?;
        // SAFETY: the caller vouches for the arrays.
        let (positions, features, log_volume) = unsafe {
            (
                values("positions", positions, positions_length)?,
                results("features", features, features_length)?,
                results("log_volume", log_volume, log_volume_length)?,
            )
        };
        let shift = content.log_density_shift();
        for block in blocks(n) {
            let positions = &positions[times(&block, width)];
            let features = &mut features[times(&block, d)];
            let log_volume = &mut log_volume[block];
            content
                .model
                .coordinates()
                .to_features(&content.to_model_order(positions)?, features, log_volume)
                .map_err(Failure::compute)?;
            log_volume.iter_mut().for_each(|volume| *volume -= shift);
        }
        Ok(())
    })
}

/// Computes the positions of `n` rows of features: the inverse of `regflow_model_to_features`, in the same shapes.
///
/// `positions` are in the frame of the model, where it is one of shapes. `log_volume` is minus infinity where there is no molecule
/// (a bond of negative length, say): the target density is zero there, and the positions stand for nothing.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
/// to call from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_to_positions(
    model: *const ModelHandle,
    n: usize,
    features: *const f64,
    features_length: usize,
    positions: *mut f64,
    positions_length: usize,
    log_volume: *mut f64,
    log_volume_length: usize,
) -> Status {
    compute("regflow_model_to_positions", || {
        // SAFETY: the caller vouches for the model.
        let content = unsafe { shared("model", model) }?;
        let [width, d] = widths(&content.model);
        check_length("features_length", features_length, n, d)?;
        check_length("positions_length", positions_length, n, width)?;
        check_length("log_volume_length", log_volume_length, n, 1)?;
        // SAFETY: the caller vouches for the arrays.
        let (features, positions, log_volume) = unsafe {
            (
                values("features", features, features_length)?,
                results("positions", positions, positions_length)?,
                results("log_volume", log_volume, log_volume_length)?,
            )
        };
        let shift = content.log_density_shift();
        for block in blocks(n) {
            let features = &features[times(&block, d)];
            let positions = &mut positions[times(&block, width)];
            let log_volume = &mut log_volume[block];
            let mut found = zeros(positions.len())?;
            content
                .model
                .coordinates()
                .to_positions(features, &mut found, log_volume)
                .map_err(Failure::compute)?;
            content.to_caller_order(&found, positions);
            log_volume.iter_mut().for_each(|volume| *volume -= shift);
        }
        Ok(())
    })
}

/// Takes gradients from positions to features: with the forces of an energy, the gradient of the log target density over features.
///
/// `features` is `[n][n_features]`, and `position_gradients`, `[n][n_atoms][3]`, the gradient of some scalar s at their positions
/// (those of `regflow_model_to_positions`), in 1 / length, in the caller's units and atom order. `feature_gradients`,
/// `[n][n_features]`, becomes the gradient of s + log_volume by features. With forces / kT for the former this is that of
/// -U / kT + log_volume.
///
/// A row has a gradient of zeros where there is no molecule, or where `position_gradients` is not finite.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
/// to call from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_pull_back(
    model: *const ModelHandle,
    n: usize,
    features: *const f64,
    features_length: usize,
    position_gradients: *const f64,
    position_gradients_length: usize,
    feature_gradients: *mut f64,
    feature_gradients_length: usize,
) -> Status {
    compute("regflow_model_pull_back", || {
        // SAFETY: the caller vouches for the model.
        let content = unsafe { shared("model", model) }?;
        let [width, d] = widths(&content.model);
        check_length("features_length", features_length, n, d)?;
        check_length(
            "position_gradients_length",
            position_gradients_length,
            n,
            width,
        )?;
        check_length("feature_gradients_length", feature_gradients_length, n, d)?;
        // SAFETY: the caller vouches for the arrays.
        let (features, from, to) = unsafe {
            (
                values("features", features, features_length)?,
                values(
                    "position_gradients",
                    position_gradients,
                    position_gradients_length,
                )?,
                results(
                    "feature_gradients",
                    feature_gradients,
                    feature_gradients_length,
                )?,
            )
        };
        for block in blocks(n) {
            let rows = times(&block, d);
            let from = content.gather(&from[times(&block, width)], 1.0 / content.units.length)?;
            content
                .model
                .coordinates()
                .pull_back(&features[rows.clone()], &from, &mut to[rows])
                .map_err(Failure::compute)?;
        }
        Ok(())
    })
}

/// Applies the flow in its generating direction: from `n` points of the prior to features.
///
/// `prior` and `features` are `[n][n_features]`; the prior has independent components, standard normal ones for real features,
/// uniform ones on the circle for circular features. `log_det`, `[n]`, becomes log |det d features / d prior|: the density of
/// the features is log p(prior) - log_det. Values that are not finite give results that are not, in their own row only.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
/// to call from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_forward(
    model: *const ModelHandle,
    n: usize,
    prior: *const f64,
    prior_length: usize,
    features: *mut f64,
    features_length: usize,
    log_det: *mut f64,
    log_det_length: usize,
) -> Status {
    compute("regflow_model_forward", || {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            flow(
                model,
                n,
                ("prior", ["prior_length", "features_length"]),
                (prior, prior_length),
                ("features", features, features_length),
                (log_det, log_det_length),
                Model::forward,
            )
        }
    })
}

/// Applies the flow in its scoring direction: from `n` rows of features to points of the prior.
///
/// As `regflow_model_forward` the other way round: `log_det`, `[n]`, becomes log |det d prior / d features|, and the density of the
/// features is log p(prior) + log_det. Networks compute in single precision: the two directions differ by rounding.
///
/// Errors: `REGFLOW_ERROR_ARGUMENT`; `REGFLOW_ERROR_LENGTH`; `REGFLOW_ERROR_STATE` in a forked process; `REGFLOW_ERROR_COMPUTE`. Safe
/// to call from several threads with the same model. Since 1.
///
/// # Safety
/// `model` is a model that was not freed; the arrays may be read and written to for their lengths, without overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn regflow_model_inverse(
    model: *const ModelHandle,
    n: usize,
    features: *const f64,
    features_length: usize,
    prior: *mut f64,
    prior_length: usize,
    log_det: *mut f64,
    log_det_length: usize,
) -> Status {
    compute("regflow_model_inverse", || {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            flow(
                model,
                n,
                ("features", ["features_length", "prior_length"]),
                (features, features_length),
                ("prior", prior, prior_length),
                (log_det, log_det_length),
                Model::inverse,
            )
        }
    })
}

/// # Safety
/// As `regflow_model_forward`.
unsafe fn flow(
    model: *const ModelHandle,
    n: usize,
    (input, lengths): (&'static str, [&'static str; 2]),
    (from, from_length): (*const f64, usize),
    (result, to, to_length): (&'static str, *mut f64, usize),
    (log_det, log_det_length): (*mut f64, usize),
    map: fn(&Model, &[f64]) -> Result<Mapped, ModelError>,
) -> Result<(), Failure> {
    // SAFETY: the caller vouches for the model.
    let model = &unsafe { shared("model", model) }?.model;
    let d = model.coordinates().n_features();
    check_length(lengths[0], from_length, n, d)?;
    check_length(lengths[1], to_length, n, d)?;
    check_length("log_det_length", log_det_length, n, 1)?;
    // SAFETY: the caller vouches for the arrays.
    let (from, to, log_det) = unsafe {
        (
            values(input, from, from_length)?,
            results(result, to, to_length)?,
            results("log_det", log_det, log_det_length)?,
        )
    };
    for block in blocks(n) {
        let rows = times(&block, d);
        let mapped = map(model, &from[rows.clone()]).map_err(Failure::compute)?;
        to[rows].copy_from_slice(&mapped.features);
        log_det[block].copy_from_slice(&mapped.log_det);
    }
    Ok(())
}

/// Numbers of a configuration and of its features.
fn widths(model: &Model) -> [usize; 2] {
    [3 * model.n_atoms(), model.coordinates().n_features()]
}

fn times(block: &Range<usize>, width: usize) -> Range<usize> {
    block.start * width..block.end * width
}

const _: () = assert!(BLOCK.is_multiple_of(256), "whole network calls");
