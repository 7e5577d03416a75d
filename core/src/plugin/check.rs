//! Checks of flows: the inverse, the log-determinant against a numerical one, independence of the rows of a batch.

use super::PluginInfo;
use super::error::{CheckError, PluginError};
use super::flow::{Flow, FlowPlugin};
use super::parameters::Parameters;
use super::registry;
use super::target::TargetPlugin;
use crate::math::angle::wrap;
use crate::math::{Purpose, Streams};
use crate::tensor::{DType, Device, Tensor};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use regflow_plugin::{Feature, FeatureKind, Molecule};
use std::f64::consts::PI;
use std::path::Path;

const N_POINTS: usize = 3;
/// Size of the random change of the parameters before a check: a new flow is often the identity, which hides errors.
const PERTURBATION: f64 = 0.3;

/// The largest deviations that a check found.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CheckReport {
    /// `|inverse(forward(x)) - x|`.
    pub round_trip: f64,
    /// Log-determinant against the numerical one.
    pub log_det: f64,
    /// Element type of the check.
    pub dtype: DType,
}

/// Result of [`check_library`].
#[derive(Debug)]
pub struct LibraryReport {
    /// Each flow, with its check on a small set of features.
    pub flows: Vec<(PluginInfo, Result<CheckReport, PluginError>)>,
    /// Each target source, with a small pairing.
    pub targets: Vec<(PluginInfo, Result<(), PluginError>)>,
    /// Each energy source. They are not built: most have nothing to compute without a configuration.
    pub energies: Vec<PluginInfo>,
}

/// Loads a library and checks everything in it, with default configurations.
///
/// # Errors
/// A file that cannot be used. What its flows and target sources do wrong is in the report.
pub fn check_library(path: &Path) -> Result<LibraryReport, PluginError> {
    let contents = registry::open(path)?;
    let check = |flow: FlowPlugin| {
        let features = example_features(flow.info().circular);
        let molecule = Molecule {
            atomic_numbers: vec![6, 7, 8, 6],
            bonds: vec![[0, 1], [1, 2], [2, 3]],
        };
        (flow.info().clone(), flow.check("", &features, &molecule))
    };
    Ok(LibraryReport {
        flows: contents.flows.into_iter().map(check).collect(),
        targets: contents
            .targets
            .iter()
            .map(|target| (target.info().clone(), check_target(target)))
            .collect(),
        energies: contents
            .energies
            .iter()
            .map(|energy| energy.info().clone())
            .collect(),
    })
}

fn example_features(circular: bool) -> Vec<Feature> {
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

fn check_target(target: &TargetPlugin) -> Result<(), PluginError> {
    let kinds = [FeatureKind::Real, FeatureKind::Circular];
    let mut random = Streams::new(Purpose::Check, 0).at(0);
    let mut points = || (0..32).map(|_| random.random::<f32>()).collect::<Vec<_>>();
    target
        .build("")?
        .pair(&points(), &points(), &kinds)
        .map(|_| ())
}

impl FlowPlugin {
    /// Builds the flow with parameters of its own, changes them at random, and checks it in f64; a plugin that refuses f64
    /// is checked in f32, with the tolerances of that type.
    ///
    /// # Errors
    /// What [`check_flow`] finds, or a flow that cannot be built.
    pub fn check(
        &self,
        config: &str,
        features: &[Feature],
        molecule: &Molecule,
    ) -> Result<CheckReport, PluginError> {
        let run = |dtype| {
            let mut parameters = Parameters::new(&Device::Cpu, dtype, 1);
            self.build(config, features, molecule, &mut parameters)?;
            parameters.perturb(PERTURBATION, 2)?;
            let flow = self.build(config, features, molecule, &mut parameters.detached())?;
            check_flow(&flow, &example_points(&flow)?)
        };
        match run(DType::F64) {
            Err(PluginError::Failed { .. } | PluginError::DType { .. }) => run(DType::F32),
            result => result,
        }
    }
}

/// Normal real and uniform circular features, `[N_POINTS, D]`.
fn example_points(flow: &Flow) -> Result<Tensor, PluginError> {
    let mut random = Streams::new(Purpose::Check, 0).at(1);
    let mut draw = |kind: &FeatureKind| match kind {
        FeatureKind::Real => StandardNormal.sample(&mut random),
        FeatureKind::Circular => PI * (1.0 - 2.0 * random.random::<f64>()),
    };
    let values: Vec<f64> = (0..N_POINTS)
        .flat_map(|_| flow.kinds())
        .map(&mut draw)
        .collect();
    Ok(
        Tensor::from_vec(values, (N_POINTS, flow.n_features()), &Device::Cpu)?
            .to_dtype(flow.dtype())?,
    )
}

/// Checks a flow at the points `x` `[n, D]` of its dtype, best f64: finite results, `inverse(forward(x)) = x`, both
/// log-determinants against those of a numerical Jacobian (central differences of all D columns), and that each row's
/// result does not depend on the others. Cost: `2 n D` evaluations.
///
/// Tolerances: a difference quotient with step h errs by about `eps / h + h^2`, that is 1e-10 in f64 (h = 1e-5) and 1e-4 in
/// f32 (h = 1e-2), times what the derivatives of a deep chain add; 1e-6 or 1e-2 per feature are allowed.
///
/// # Errors
/// [`PluginError::Check`], [`PluginError::NonFinite`], or what the plugin says.
pub fn check_flow(flow: &Flow, x: &Tensor) -> Result<CheckReport, PluginError> {
    let n_features = flow.n_features();
    let (step, close, per_feature): (f64, f64, f64) = match flow.dtype() {
        DType::F64 => (1e-5, 1e-6, 1e-6),
        _ => (1e-2, 2e-3, 1e-2),
    };
    let fails = |reason| {
        Err(PluginError::Check {
            plugin: flow.info().name.clone(),
            reason,
        })
    };
    let (y, log_det) = flow.forward(x)?;
    let (points, image, log_dets) = (values(x)?, values(&y)?, values(&log_det)?);
    let (back, log_det_back) = flow.inverse(&y)?;
    let (back, log_dets_back) = (values(&back)?, values(&log_det_back)?);
    finite(flow, "forward", "its output", &image, log_dets.len())?;
    finite(
        flow,
        "forward",
        "its log-determinant",
        &log_dets,
        log_dets.len(),
    )?;
    finite(flow, "inverse", "its output", &back, log_dets.len())?;
    finite(
        flow,
        "inverse",
        "its log-determinant",
        &log_dets_back,
        log_dets.len(),
    )?;

    let (feature, round_trip) = largest_difference(flow, &back, &points);
    let scale = points
        .iter()
        .fold(1.0, |scale: f64, value| scale.max(value.abs()));
    if round_trip > close * scale {
        return fails(CheckError::RoundTrip {
            feature,
            found: round_trip,
            tolerance: close * scale,
        });
    }

    let tolerance = per_feature * (10 + n_features) as f64;
    let mut worst: f64 = 0.0;
    for (row, (&found, &found_back)) in log_dets.iter().zip(&log_dets_back).enumerate() {
        let alone = x.narrow(0, row, 1)?;
        let single = values(&flow.forward(&alone)?.0)?;
        let (_, difference) = largest_difference(
            flow,
            &single,
            &image[row * n_features..(row + 1) * n_features],
        );
        if difference > close * scale {
            return fails(CheckError::Batch { found: difference });
        }
        let expected = numerical_log_det(
            flow,
            &points[row * n_features..(row + 1) * n_features],
            step,
        )?;
        for (direction, found, expected) in [
            ("forward", found, expected),
            ("inverse", found_back, -expected),
        ] {
            let difference = (found - expected).abs();
            worst = worst.max(difference);
            // A singular numerical Jacobian gives an infinite or undefined difference.
            if difference.is_nan() || difference > tolerance {
                return fails(CheckError::LogDet {
                    direction,
                    expected,
                    found,
                    tolerance,
                });
            }
        }
    }
    Ok(CheckReport {
        round_trip,
        log_det: worst,
        dtype: flow.dtype(),
    })
}

fn values(tensor: &Tensor) -> Result<Vec<f64>, PluginError> {
    Ok(tensor
        .detach()
        .to_dtype(DType::F64)?
        .flatten_all()?
        .to_vec1()?)
}

fn finite(
    flow: &Flow,
    action: &'static str,
    what: &'static str,
    values: &[f64],
    rows: usize,
) -> Result<(), PluginError> {
    let per_row = (values.len() / rows.max(1)).max(1);
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(first) => Err(PluginError::NonFinite {
            plugin: flow.info().name.clone(),
            action,
            what,
            count: values.iter().filter(|value| !value.is_finite()).count(),
            row: first / per_row,
        }),
    }
}

/// Difference of two values of a feature, wrapped where it is an angle.
fn difference(kind: FeatureKind, a: f64, b: f64) -> f64 {
    match kind {
        FeatureKind::Real => a - b,
        FeatureKind::Circular => wrap(a - b),
    }
}

fn largest_difference(flow: &Flow, a: &[f64], b: &[f64]) -> (usize, f64) {
    let kinds = flow.kinds().iter().cycle();
    let differences = a
        .iter()
        .zip(b)
        .zip(kinds)
        .map(|((a, b), &kind)| difference(kind, *a, *b).abs());
    let (place, largest) =
        differences.enumerate().fold(
            (0, 0.0),
            |best, next| if next.1 > best.1 { next } else { best },
        );
    (place % flow.n_features().max(1), largest)
}

/// Logarithm of |det d forward / d x| at `point` by central differences.
fn numerical_log_det(flow: &Flow, point: &[f64], step: f64) -> Result<f64, PluginError> {
    let n = point.len();
    let mut rows = Vec::with_capacity(2 * n * n);
    for column in 0..n {
        for sign in [1.0, -1.0] {
            let start = rows.len();
            rows.extend_from_slice(point);
            rows[start + column] += sign * step;
        }
    }
    let rows = Tensor::from_vec(rows, (2 * n, n), &Device::Cpu)?.to_dtype(flow.dtype())?;
    // In f32 the step that was really made differs from the one asked for.
    let inputs = values(&rows)?;
    let outputs = values(&flow.forward(&rows)?.0)?;
    let mut jacobian = vec![0.0; n * n];
    for column in 0..n {
        let (up, down) = (2 * column * n, (2 * column + 1) * n);
        let made = inputs[up + column] - inputs[down + column];
        for (row, &kind) in flow.kinds().iter().enumerate() {
            jacobian[row * n + column] =
                difference(kind, outputs[up + row], outputs[down + row]) / made;
        }
    }
    Ok(log_abs_det(&mut jacobian, n))
}

/// Logarithm of |det a| by elimination with row exchange; `a` `[n, n]` is overwritten.
fn log_abs_det(a: &mut [f64], n: usize) -> f64 {
    let mut log_det = 0.0;
    for column in 0..n {
        let pivot = (column..n)
            .max_by(|&i, &j| a[i * n + column].abs().total_cmp(&a[j * n + column].abs()))
            .unwrap_or(column);
        if pivot != column {
            for k in 0..n {
                a.swap(pivot * n + k, column * n + k);
            }
        }
        let diagonal = a[column * n + column];
        log_det += diagonal.abs().ln();
        for row in column + 1..n {
            let factor = a[row * n + column] / diagonal;
            for k in column..n {
                a[row * n + k] -= factor * a[column * n + k];
            }
        }
    }
    log_det
}
