//! Checks of plugins: everything in a library, and what the checks of single kinds have in common.

use super::error::PluginError;
use super::features::Space;
use super::kind::Checked;
use super::parameters::Parameters;
use super::{Feature, FeatureKind, Molecule, PluginInfo, registry};
use crate::math::angle::wrap;
use crate::math::{Purpose, Random, Streams};
use crate::tensor::{DType, Device, Tensor};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::PI;
use std::path::Path;

pub(super) const N_POINTS: usize = 3;
/// Size of the random change of the parameters before a check: a new flow is often the identity, which hides errors.
const PERTURBATION: f64 = 0.3;

/// A plugin of a library, and what its check found.
#[derive(Debug)]
pub struct Report {
    /// The plugin.
    pub info: PluginInfo,
    /// What came out, or what it does wrong.
    pub result: Result<Checked, PluginError>,
}

/// Loads a library and checks everything in it, with default configurations.
///
/// # Errors
/// A file that cannot be used. What its plugins do wrong is in the reports.
pub fn check_library(path: &Path) -> Result<Vec<Report>, PluginError> {
    let plugins = registry::open(path)?.into_iter();
    let reports = plugins.map(|plugin| Report {
        info: (*plugin.info).clone(),
        result: plugin.try_out(),
    });
    Ok(reports.collect())
}

/// Random numbers of the checks; each use has an index of its own.
pub(super) fn random(index: u64) -> Random {
    Streams::new(Purpose::Check, 0).at(index)
}

pub(super) fn example_features(circular: bool) -> Vec<Feature> {
    use FeatureKind::{Circular, Real};
    let kinds = [Real, Real, Circular, Real, Circular, Real, Circular];
    (0u32..)
        .zip(kinds)
        .map(|(place, kind)| Feature {
            kind: if circular { kind } else { Real },
            atom: 1 + place / 3,
            axis: place % 3,
        })
        .collect()
}

pub(super) fn example_molecule() -> Molecule {
    Molecule {
        atomic_numbers: vec![6, 7, 8, 6],
        bonds: vec![[0, 1], [1, 2], [2, 3]],
    }
}

/// Runs a check in f64; a plugin that refuses f64 is checked in f32.
pub(super) fn in_double_or_single<T>(
    check: impl Fn(DType) -> Result<T, PluginError>,
) -> Result<T, PluginError> {
    match check(DType::F64) {
        Err(PluginError::Failed { .. } | PluginError::DType { .. }) => check(DType::F32),
        result => result,
    }
}

/// Parameters as `build` asks for them, changed at random.
pub(super) fn stirred<T>(
    dtype: DType,
    build: impl FnOnce(&mut Parameters) -> Result<T, PluginError>,
) -> Result<Parameters, PluginError> {
    let mut parameters = Parameters::new(&Device::Cpu, dtype, 1);
    build(&mut parameters)?;
    parameters.perturb(PERTURBATION, 2)?;
    Ok(parameters)
}

/// Normal real and uniform circular features, `[N_POINTS, D]`.
pub(super) fn example_points(space: &Space) -> Result<Tensor, PluginError> {
    let mut random = random(1);
    let mut draw = |kind: &FeatureKind| match kind {
        FeatureKind::Real => StandardNormal.sample(&mut random),
        FeatureKind::Circular => PI * (1.0 - 2.0 * random.random::<f64>()),
    };
    let values: Vec<f64> = (0..N_POINTS)
        .flat_map(|_| &space.kinds)
        .map(&mut draw)
        .collect();
    let shape = (N_POINTS, space.dimension());
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(space.dtype)?)
}

/// What numbers may differ by.
///
/// A difference quotient with step h errs by about `eps / h + h^2`, that is 1e-10 in f64 (h = 1e-5) and 1e-4 in f32 (h = 1e-2),
/// times what the derivatives of a deep chain add; 1e-6 or 1e-2 per feature are allowed.
pub(super) struct Tolerances {
    /// Step of difference quotients.
    pub step: f64,
    /// Of values that should be equal.
    pub close: f64,
    per_feature: f64,
}

impl Tolerances {
    /// For numbers of the size of `points`, at least 1.
    pub fn new(dtype: DType, points: &[f64]) -> Tolerances {
        let (step, close, per_feature): (f64, f64, f64) = match dtype {
            DType::F64 => (1e-5, 1e-6, 1e-6),
            _ => (1e-2, 2e-3, 1e-2),
        };
        let largest = |scale: f64, value: &f64| scale.max(value.abs());
        Tolerances {
            step,
            close: close * points.iter().fold(1.0, largest),
            per_feature,
        }
    }

    /// Of sums over the derivatives of all features.
    pub fn derivatives(&self, n_features: usize) -> f64 {
        self.per_feature * (10 + n_features) as f64
    }
}

pub(super) fn values(tensor: &Tensor) -> Result<Vec<f64>, PluginError> {
    Ok(tensor
        .detach()
        .to_dtype(DType::F64)?
        .flatten_all()?
        .to_vec1()?)
}

/// Difference of two values of a feature, wrapped where it is an angle.
pub(super) fn difference(kind: FeatureKind, a: f64, b: f64) -> f64 {
    match kind {
        FeatureKind::Real => a - b,
        FeatureKind::Circular => wrap(a - b),
    }
}

/// Column and size of the largest difference of two sets of points.
pub(super) fn largest_difference(space: &Space, a: &[f64], b: &[f64]) -> (usize, f64) {
    let kinds = space.kinds.iter().cycle();
    let pairs = a.iter().zip(b).zip(kinds);
    largest(space, pairs.map(|((a, b), &kind)| difference(kind, *a, *b)))
}

/// Column and size of the largest of `values`, row by row.
pub(super) fn largest(space: &Space, values: impl Iterator<Item = f64>) -> (usize, f64) {
    let first = (0, 0.0);
    let larger = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    let (place, largest) = values.map(f64::abs).enumerate().fold(first, larger);
    (place % space.dimension().max(1), largest)
}

/// Names of the parameters on which none of the outputs depends: the gradient of a random combination of all their values is
/// missing, or 0 in every place.
pub(super) fn without_gradient(
    parameters: &Parameters,
    outputs: &[Tensor],
) -> Result<Vec<String>, PluginError> {
    let mut random = random(2);
    let mut sum = Tensor::zeros((), DType::F64, &Device::Cpu)?;
    for output in outputs {
        let weights: Vec<f64> = (0..output.elem_count())
            .map(|_| StandardNormal.sample(&mut random))
            .collect();
        let weights = Tensor::from_vec(weights, output.dims(), &Device::Cpu)?;
        sum = (sum + output.to_dtype(DType::F64)?.mul(&weights)?.sum_all()?)?;
    }
    let gradients = sum.backward()?;
    let mut names = Vec::new();
    for (name, var) in parameters.iter() {
        let trained = match gradients.get(var) {
            Some(gradient) => values(gradient)?.iter().any(|value| *value != 0.0),
            None => false,
        };
        if !trained {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// A warning for each parameter of [`without_gradient`].
pub(super) fn untrained(names: &[String]) -> Vec<String> {
    let warning = |name| format!("parameter `{name}` has no gradient: training leaves it as it is");
    names.iter().map(warning).collect()
}
