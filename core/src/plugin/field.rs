//! Velocity fields: calling them, and their check.

use super::check::{
    Tolerances, example_features, example_molecule, example_points, in_double_or_single, largest,
    stirred, untrained, values, without_gradient,
};
use super::error::{CheckError, PluginError};
use super::features::{Call, Space};
use super::host::Lent;
use super::kind::{Checked, Instance, Kind, Plugin, Setup};
use super::parameters::Parameters;
use super::{Feature, FeatureKind, Molecule, PluginInfo};
use crate::tensor::{DType, Device, Tensor};
use regflow_plugin::field::{FIELD_CIRCULAR, FieldTable};
use std::f64::consts::TAU;

/// A velocity field built from a plugin: `dx/dt = v(x, t)` carries prior points (t = 0) to data points (t = 1). Usable from
/// several threads at once.
pub struct Field {
    instance: Instance<Field>,
    space: Space,
}

impl Kind for Field {
    type Table = FieldTable;
    const CIRCULAR: u64 = FIELD_CIRCULAR;

    fn try_out(plugin: &Plugin<Field>) -> Result<Checked, PluginError> {
        let features = example_features(plugin.info().circular);
        let report = plugin.check("", &features, &example_molecule())?;
        let divergence = match report.divergence {
            Some(error) => format!("divergence within {error:.1e} of the numerical one"),
            None => "no divergence of its own".into(),
        };
        Ok(Checked {
            summary: format!(
                "periodic within {:.1e}, {divergence} ({})",
                report.period,
                report.dtype.as_str()
            ),
            warnings: report.warnings(),
        })
    }
}

/// The largest deviations that a check of a field found.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldReport {
    /// Change of the velocity when a circular feature goes round once.
    pub period: f64,
    /// Divergence against a numerical one, where the field has one.
    pub divergence: Option<f64>,
    /// Element type of the check.
    pub dtype: DType,
    /// Parameters on which nothing depends, as far as gradients tell: training leaves them as they are.
    pub without_gradient: Vec<String>,
}

impl FieldReport {
    /// What its author, and who trains it, should know.
    pub fn warnings(&self) -> Vec<String> {
        untrained(&self.without_gradient)
    }
}

impl Plugin<Field> {
    /// Builds a field on `features`. `config` is a JSON object (empty: the defaults). Parameters that `parameters` does not
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
    ) -> Result<Field, PluginError> {
        let space = Space::new(features, parameters);
        let setup = Setup {
            features,
            molecule: Some(molecule),
            parameters: Some(parameters),
        };
        let instance = self.create(config, setup)?;
        Ok(Field { instance, space })
    }

    /// Builds the field with parameters of its own, changes them at random, and checks it in f64; a plugin that refuses f64 is
    /// checked in f32, with the tolerances of that type. Checked are finite values, that it does not matter whether t comes as
    /// one number, that rows do not depend on each other, the period 2 pi in circular features, the divergence against central
    /// differences, and gradients of all parameters.
    ///
    /// # Errors
    /// What the field does wrong, or a field that cannot be built.
    pub fn check(
        &self,
        config: &str,
        features: &[Feature],
        molecule: &Molecule,
    ) -> Result<FieldReport, PluginError> {
        in_double_or_single(|dtype| {
            let mut parameters = stirred(dtype, |parameters| {
                self.build(config, features, molecule, parameters)
            })?;
            let field = self.build(config, features, molecule, &mut parameters.detached())?;
            let x = example_points(&field.space)?;
            let mut report = field.check(&x)?;
            let field = self.build(config, features, molecule, &mut parameters)?;
            let t = times(x.dims()[0], dtype)?;
            let outputs = match field.has_divergence() {
                true => {
                    let (v, divergence) = field.velocity_and_divergence(&x, &t)?;
                    vec![field.velocity(&x, &t)?, v, divergence]
                }
                false => vec![field.velocity(&x, &t)?],
            };
            report.without_gradient = without_gradient(&parameters, &outputs)?;
            Ok(report)
        })
    }
}

/// `n` times in (0, 1), `[n]`.
fn times(n: usize, dtype: DType) -> Result<Tensor, PluginError> {
    let times: Vec<f64> = (0..n).map(|i| (i as f64 + 0.4) / n as f64).collect();
    Ok(Tensor::from_vec(times, n, &Device::Cpu)?.to_dtype(dtype)?)
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.instance.fmt(f)
    }
}

impl Field {
    /// The plugin.
    pub fn info(&self) -> &PluginInfo {
        self.instance.info()
    }

    /// Number of features D.
    pub fn n_features(&self) -> usize {
        self.space.dimension()
    }

    /// Kind of each feature.
    pub fn kinds(&self) -> &[FeatureKind] {
        &self.space.kinds
    }

    /// Element type of x, t and v, that of the parameters.
    pub fn dtype(&self) -> DType {
        self.space.dtype
    }

    /// Whether [`Field::velocity_and_divergence`] is there.
    pub fn has_divergence(&self) -> bool {
        self.instance.table().velocity_and_divergence.is_some()
    }

    /// v(x, t) `[B, D]` at x `[B, D]` and t, `[B]` or one number `[]` for all rows.
    ///
    /// # Errors
    /// x or t of another shape or dtype; an error or panic of the plugin; a result of a wrong shape or dtype. Values are not
    /// looked at: they may be infinite or NaN.
    pub fn velocity(&self, x: &Tensor, t: &Tensor) -> Result<Tensor, PluginError> {
        let call = self.called("velocity");
        let shape = self.inputs(call, x, t)?;
        let (x, t) = (Lent::new(x), Lent::new(t));
        let mut v = std::ptr::null_mut();
        self.instance.call(call.action, |field| {
            // SAFETY: the instance is alive, the inputs are lent for the call, the output is writable.
            unsafe { (self.instance.table().velocity)(field, x.handle(), t.handle(), &mut v) }
        })?;
        // SAFETY: on success it carries a reference for us.
        let [v] = unsafe { call.take([v]) }?;
        call.expect("its output", &v, &shape, self.dtype())?;
        Ok(v)
    }

    /// The velocity with its exact divergence `[B]`, which is always f64.
    ///
    /// # Errors
    /// As for [`Field::velocity`]; a field without a divergence.
    pub fn velocity_and_divergence(
        &self,
        x: &Tensor,
        t: &Tensor,
    ) -> Result<(Tensor, Tensor), PluginError> {
        let call = self.called("velocity_and_divergence");
        let Some(function) = self.instance.table().velocity_and_divergence else {
            return Err(self
                .info()
                .failed(call.action, "the field has no divergence"));
        };
        let shape = self.inputs(call, x, t)?;
        let (x, t) = (Lent::new(x), Lent::new(t));
        let (mut v, mut divergence) = (std::ptr::null_mut(), std::ptr::null_mut());
        self.instance.call(call.action, |field| {
            // SAFETY: the instance is alive, the inputs are lent for the call, both outputs are writable.
            unsafe { function(field, x.handle(), t.handle(), &mut v, &mut divergence) }
        })?;
        // SAFETY: on success both carry a reference for us.
        let [v, divergence] = unsafe { call.take([v, divergence]) }?;
        call.expect("its output", &v, &shape, self.dtype())?;
        let divergence = call.numbers("its divergence", &divergence, shape[0], self.dtype())?;
        Ok((v, divergence))
    }

    fn called(&self, action: &'static str) -> Call<'_> {
        Call {
            info: self.info(),
            action,
        }
    }

    fn inputs(&self, call: Call<'_>, x: &Tensor, t: &Tensor) -> Result<[usize; 2], PluginError> {
        let batch = x.dims().first().copied().unwrap_or(0);
        let shape = [batch, self.n_features()];
        call.expect("x", x, &shape, self.dtype())?;
        let of_t: &[usize] = if t.rank() == 0 { &[] } else { &shape[..1] };
        call.expect("t", t, of_t, self.dtype())?;
        Ok(shape)
    }

    fn check(&self, x: &Tensor) -> Result<FieldReport, PluginError> {
        let fails = |reason| {
            Err(PluginError::Check {
                plugin: self.info().name.clone(),
                reason,
            })
        };
        let (rows, n_features) = (x.dims()[0], self.n_features());
        let t = times(rows, self.dtype())?;
        let v = values(&self.velocity(x, &t)?)?;
        self.called("velocity").finite("its output", &v, rows)?;
        let tolerances = Tolerances::new(self.dtype(), &v);
        let change =
            |v: &[f64], from: &[f64]| largest(&self.space, v.iter().zip(from).map(|(a, b)| a - b));
        let same = |how, (feature, found): (usize, f64)| {
            if found <= tolerances.close {
                return Ok(found);
            }
            Err(PluginError::Check {
                plugin: self.info().name.clone(),
                reason: CheckError::Velocity {
                    how,
                    feature,
                    found,
                    tolerance: tolerances.close,
                },
            })
        };

        for row in 0..rows {
            let (x, t) = (x.narrow(0, row, 1)?, t.narrow(0, row, 1)?);
            let of_row = &v[row * n_features..(row + 1) * n_features];
            let alone = values(&self.velocity(&x, &t)?)?;
            same(
                "of a point alone instead of among others",
                change(&alone, of_row),
            )?;
            let number = values(&self.velocity(&x, &t.squeeze(0)?)?)?;
            same(
                "with t as one number instead of one per row",
                change(&number, of_row),
            )?;
        }
        let mut period: f64 = 0.0;
        for (column, kind) in self.kinds().iter().enumerate() {
            if *kind == FeatureKind::Circular {
                let mut turned = values(x)?;
                let column = turned.iter_mut().skip(column).step_by(n_features);
                column.for_each(|x| *x += if *x > 0.0 { -TAU } else { TAU });
                let turned = self.points(turned)?;
                let turned = values(&self.velocity(&turned, &t)?)?;
                let change = change(&turned, &v);
                period = period.max(same("after a turn of a circular feature", change)?);
            }
        }

        let mut worst: Option<f64> = None;
        if self.has_divergence() {
            let (again, divergence) = self.velocity_and_divergence(x, &t)?;
            let (again, divergence) = (values(&again)?, values(&divergence)?);
            let call = self.called("velocity_and_divergence");
            call.finite("its divergence", &divergence, rows)?;
            same("with a divergence instead of without", change(&again, &v))?;
            let tolerance = tolerances.derivatives(n_features);
            let numerical = self.numerical_divergence(x, &t, tolerances.step)?;
            for (&found, &expected) in divergence.iter().zip(&numerical) {
                let difference = (found - expected).abs();
                worst = Some(worst.unwrap_or(0.0).max(difference));
                if difference.is_nan() || difference > tolerance {
                    return fails(CheckError::Divergence {
                        expected,
                        found,
                        tolerance,
                    });
                }
            }
        }
        Ok(FieldReport {
            period,
            divergence: worst,
            dtype: self.dtype(),
            without_gradient: Vec::new(),
        })
    }

    fn points(&self, values: Vec<f64>) -> Result<Tensor, PluginError> {
        let shape = (values.len() / self.n_features(), self.n_features());
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(self.dtype())?)
    }

    /// Sum of the central differences of v_i by x_i, for each row.
    fn numerical_divergence(
        &self,
        x: &Tensor,
        t: &Tensor,
        step: f64,
    ) -> Result<Vec<f64>, PluginError> {
        let n_features = self.n_features();
        let points = values(x)?;
        let mut sums = vec![0.0; points.len() / n_features];
        for column in 0..n_features {
            let at = |sign: f64| -> Result<[Vec<f64>; 2], PluginError> {
                let mut moved = points.clone();
                let entries = moved.iter_mut().skip(column).step_by(n_features);
                entries.for_each(|x| *x += sign * step);
                let moved = self.points(moved)?;
                // In f32 the step that was really made differs from the one asked for.
                Ok([values(&moved)?, values(&self.velocity(&moved, t)?)?])
            };
            let ([x_up, v_up], [x_down, v_down]) = (at(1.0)?, at(-1.0)?);
            for (row, sum) in sums.iter_mut().enumerate() {
                let place = row * n_features + column;
                *sum += (v_up[place] - v_down[place]) / (x_up[place] - x_down[place]);
            }
        }
        Ok(sums)
    }
}
