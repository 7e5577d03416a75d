//! Flows: calling them, and their check.

use super::check::{
    Tolerances, difference, example_features, example_molecule, example_points,
    in_double_or_single, largest_difference, stirred, untrained, values, without_gradient,
};
use super::error::{CheckError, PluginError};
use super::features::{Built, Space};
use super::host::Lent;
use super::kind::{Checked, Kind, Plugin};
use super::parameters::Parameters;
use super::{Feature, FeatureKind, Molecule, PluginInfo};
use crate::tensor::{DType, Device, Tensor};
use regflow_plugin::abi::{InstanceHandle, TensorHandle};
use regflow_plugin::flow::{FLOW_CIRCULAR, FlowTable, table};

/// A flow built from a plugin: an invertible map of features. Usable from several threads at once.
pub struct Flow {
    built: Built<Flow>,
}

impl Kind for Flow {
    type Table = FlowTable;
    const CIRCULAR: u64 = FLOW_CIRCULAR;

    fn try_out(plugin: &Plugin<Flow>) -> Result<Checked, PluginError> {
        let features = example_features(plugin.info().circular);
        let report = plugin.check("", &features, &example_molecule())?;
        Ok(Checked {
            summary: format!(
                "round trip within {:.1e}, log-determinant within {:.1e} of the numerical one ({})",
                report.round_trip,
                report.log_det,
                report.dtype.as_str()
            ),
            warnings: report.warnings(),
        })
    }
}

impl Plugin<Flow> {
    /// The architecture `F` of this very program, which needs no library and no registration.
    pub fn of<F: regflow_plugin::Flow>() -> Self {
        Plugin::of_table(table::<F>())
    }

    /// Builds a flow of `features`. `config` is a JSON object (empty: the defaults). Parameters that `parameters` does not
    /// have yet are added with random first values.
    ///
    /// # Errors
    /// A configuration or features that the plugin refuses; a parameter that `parameters` has in another shape; a panic.
    pub fn build(
        &self,
        config: &str,
        features: &[Feature],
        molecule: &Molecule,
        parameters: &mut Parameters,
    ) -> Result<Flow, PluginError> {
        let built = Built::new(self, config, features, molecule, parameters)?;
        Ok(Flow { built })
    }

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
        in_double_or_single(|dtype| {
            let mut parameters = stirred(dtype, |parameters| {
                self.build(config, features, molecule, parameters)
            })?;
            let flow = self.build(config, features, molecule, &mut parameters.detached())?;
            let x = example_points(flow.space())?;
            let mut report = check_flow(&flow, &x)?;
            let flow = self.build(config, features, molecule, &mut parameters)?;
            let ((y, log_det), (back, log_det_back)) = (flow.forward(&x)?, flow.inverse(&x)?);
            report.without_gradient =
                without_gradient(&parameters, &[y, log_det, back, log_det_back])?;
            Ok(report)
        })
    }
}

impl std::fmt::Debug for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.built.instance.fmt(f)
    }
}

impl Flow {
    /// The plugin.
    pub fn info(&self) -> &PluginInfo {
        self.built.instance.info()
    }

    fn space(&self) -> &Space {
        &self.built.space
    }

    /// Number of features D.
    pub fn n_features(&self) -> usize {
        self.space().dimension()
    }

    /// Kind of each feature.
    pub fn kinds(&self) -> &[FeatureKind] {
        &self.space().kinds
    }

    /// Element type of x, that of the parameters.
    pub fn dtype(&self) -> DType {
        self.space().dtype
    }

    /// Prior to data: x0 `[B, D]` to x1 `[B, D]` and `log |det d x1 / d x0|` `[B]`, which is always f64.
    ///
    /// # Errors
    /// x of another shape or dtype; an error or panic of the plugin; a result of a wrong shape or dtype. Values are not
    /// looked at: they may be infinite or NaN.
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor), PluginError> {
        self.map("forward", self.built.instance.table().forward, x)
    }

    /// Data to prior: x1 `[B, D]` to x0 `[B, D]` and `log |det d x0 / d x1|` `[B]`, which is always f64.
    ///
    /// # Errors
    /// As for [`Flow::forward`].
    pub fn inverse(&self, x: &Tensor) -> Result<(Tensor, Tensor), PluginError> {
        self.map("inverse", self.built.instance.table().inverse, x)
    }

    fn map(
        &self,
        action: &'static str,
        function: unsafe extern "C" fn(
            *const InstanceHandle,
            *const TensorHandle,
            *mut *mut TensorHandle,
            *mut *mut TensorHandle,
        ) -> i32,
        x: &Tensor,
    ) -> Result<(Tensor, Tensor), PluginError> {
        let call = self.built.called(action);
        let batch = x.dims().first().copied().unwrap_or(0);
        let shape = [batch, self.n_features()];
        call.expect("x", x, &shape)?;
        let x = Lent::new(x);
        // SAFETY: the instance is alive, the input is lent for the call, both outputs are writable, and carry a reference for
        // us on success.
        let [y, log_det] = unsafe {
            self.built.outputs(call, |flow, [y, log_det]| {
                function(flow, x.handle(), y, log_det)
            })
        }?;
        call.expect("its output", &y, &shape)?;
        let log_det = call.numbers("its log-determinant", &log_det, batch)?;
        Ok((y, log_det))
    }
}

/// The largest deviations that a check of a flow found.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckReport {
    /// `|inverse(forward(x)) - x|`.
    pub round_trip: f64,
    /// Log-determinant against the numerical one.
    pub log_det: f64,
    /// Element type of the check.
    pub dtype: DType,
    /// Parameters on which nothing depends, as far as gradients tell: training leaves them as they are.
    pub without_gradient: Vec<String>,
}

impl CheckReport {
    /// What its author, and who trains it, should know.
    pub fn warnings(&self) -> Vec<String> {
        untrained(&self.without_gradient)
    }
}

/// Checks a flow at the points `x` `[n, D]` of its dtype, best f64: finite results, `inverse(forward(x)) = x`, both
/// log-determinants against those of a numerical Jacobian (central differences of all D columns), and that each row's
/// result does not depend on the others. Cost: `2 n D` evaluations.
///
/// # Errors
/// [`PluginError::Check`], [`PluginError::NonFinite`], or what the plugin says.
pub fn check_flow(flow: &Flow, x: &Tensor) -> Result<CheckReport, PluginError> {
    let n_features = flow.n_features();
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
    for (action, output, log_dets) in [
        ("forward", &image, &log_dets),
        ("inverse", &back, &log_dets_back),
    ] {
        let call = flow.built.called(action);
        call.finite("its output", output, log_dets.len())?;
        call.finite("its log-determinant", log_dets, log_dets.len())?;
    }

    let tolerances = Tolerances::new(flow.dtype(), &points);
    let (feature, round_trip) = largest_difference(flow.space(), &back, &points);
    if round_trip > tolerances.close {
        return fails(CheckError::RoundTrip {
            feature,
            found: round_trip,
            tolerance: tolerances.close,
        });
    }

    let tolerance = tolerances.derivatives(n_features);
    let mut worst: f64 = 0.0;
    for (row, (&found, &found_back)) in log_dets.iter().zip(&log_dets_back).enumerate() {
        let alone = x.narrow(0, row, 1)?;
        let single = values(&flow.forward(&alone)?.0)?;
        let row = row * n_features..(row + 1) * n_features;
        let (_, difference) = largest_difference(flow.space(), &single, &image[row.clone()]);
        if difference > tolerances.close {
            return fails(CheckError::Batch { found: difference });
        }
        let expected = numerical_log_det(flow, &points[row], tolerances.step)?;
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
        without_gradient: Vec::new(),
    })
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
