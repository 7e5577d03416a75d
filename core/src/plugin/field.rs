//! Velocity fields: calling them, and their check.

use super::check::{
    Tolerances, example_features, example_molecule, example_points, in_double_or_single, largest,
    stirred, untrained, values, without_gradient,
};
use super::error::{CheckError, PluginError};
use super::features::{Built, Call, Space};
use super::host::Lent;
use super::kind::{Checked, Kind, Plugin};
use super::parameters::Parameters;
use super::{Feature, FeatureKind, Molecule, PluginInfo};
use crate::tensor::{DType, Device, Tensor};
use regflow_plugin::field::{FIELD_CIRCULAR, FieldTable};
use std::f64::consts::TAU;

/// A velocity field built from a plugin: `dx/dt = v(x, t)` carries prior points (t = 0) to data points (t = 1). Usable from
/// several threads at once.
pub struct Field {
    built: Built<Field>,
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
        let built = Built::new(self, config, features, molecule, parameters)?;
        Ok(Field { built })
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
            let x = example_points(field.space())?;
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
        self.built.instance.fmt(f)
    }
}

impl Field {
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

    /// Element type of x, t and v, that of the parameters.
    pub fn dtype(&self) -> DType {
        self.space().dtype
    }

    /// Whether [`Field::velocity_and_divergence`] is there.
    pub fn has_divergence(&self) -> bool {
        self.built
            .instance
            .table()
            .velocity_and_divergence
            .is_some()
    }

    /// v(x, t) `[B, D]` at x `[B, D]` and t, `[B]` or one number `[]` for all rows.
    ///
    /// # Errors
    /// x or t of another shape or dtype; an error or panic of the plugin; a result of a wrong shape or dtype. Values are not
    /// looked at: they may be infinite or NaN.
    pub fn velocity(&self, x: &Tensor, t: &Tensor) -> Result<Tensor, PluginError> {
        let call = self.built.called("velocity");
        let shape = self.inputs(call, x, t)?;
        let (x, t) = (Lent::new(x), Lent::new(t));
        let function = self.built.instance.table().velocity;
        // SAFETY: the instance is alive, the inputs are lent for the call, the output is writable, and carries a reference for
        // us on success.
        let [v] = unsafe {
            self.built.outputs(call, |field, [v]| {
                function(field, x.handle(), t.handle(), v)
            })
        }?;
        call.expect("its output", &v, &shape)?;
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
        let call = self.built.called("velocity_and_divergence");
        let Some(function) = self.built.instance.table().velocity_and_divergence else {
            return Err(self
                .info()
                .failed(call.action, "the field has no divergence"));
        };
        let shape = self.inputs(call, x, t)?;
        let (x, t) = (Lent::new(x), Lent::new(t));
        // SAFETY: as for `velocity`, with two outputs.
        let [v, divergence] = unsafe {
            self.built.outputs(call, |field, [v, divergence]| {
                function(field, x.handle(), t.handle(), v, divergence)
            })
        }?;
        call.expect("its output", &v, &shape)?;
        let divergence = call.numbers("its divergence", &divergence, shape[0])?;
        Ok((v, divergence))
    }

    fn inputs(&self, call: Call<'_>, x: &Tensor, t: &Tensor) -> Result<[usize; 2], PluginError> {
        let batch = x.dims().first().copied().unwrap_or(0);
        let shape = [batch, self.n_features()];
        call.expect("x", x, &shape)?;
        let of_t: &[usize] = if t.rank() == 0 { &[] } else { &shape[..1] };
        call.expect("t", t, of_t)?;
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
        self.built
            .called("velocity")
            .finite("its output", &v, rows)?;
        let tolerances = Tolerances::new(self.dtype(), &v);
        let change =
            |v: &[f64], from: &[f64]| largest(self.space(), v.iter().zip(from).map(|(a, b)| a - b));
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
                let turned = self.points(turned, rows)?;
                let turned = values(&self.velocity(&turned, &t)?)?;
                let change = change(&turned, &v);
                period = period.max(same("after a turn of a circular feature", change)?);
            }
        }

        let mut worst: Option<f64> = None;
        if self.has_divergence() {
            let (again, divergence) = self.velocity_and_divergence(x, &t)?;
            let (again, divergence) = (values(&again)?, values(&divergence)?);
            let call = self.built.called("velocity_and_divergence");
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

    fn points(&self, values: Vec<f64>, rows: usize) -> Result<Tensor, PluginError> {
        let shape = (rows, self.n_features());
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(self.dtype())?)
    }

    /// Sum of the central differences of v_i by x_i, for each row.
    fn numerical_divergence(
        &self,
        x: &Tensor,
        t: &Tensor,
        step: f64,
    ) -> Result<Vec<f64>, PluginError> {
        let (rows, n_features) = (x.dims()[0], self.n_features());
        let points = values(x)?;
        let mut sums = vec![0.0; rows];
        for column in 0..n_features {
            let at = |sign: f64| -> Result<[Vec<f64>; 2], PluginError> {
                let mut moved = points.clone();
                let entries = moved.iter_mut().skip(column).step_by(n_features);
                entries.for_each(|x| *x += sign * step);
                let moved = self.points(moved, rows)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use regflow_plugin::{Error, ParameterBuilder, Tensor as Handle};

    /// Nothing moves.
    struct Still;

    impl regflow_plugin::Field for Still {
        type Config = std::collections::BTreeMap<String, f64>;
        const NAME: &'static str = "still";
        const DESCRIPTION: &'static str = "Nothing moves";
        const CIRCULAR: bool = true;
        const DIVERGENCE: bool = true;

        fn build(_: Self::Config, _: &[Feature], _: &ParameterBuilder<'_>) -> Result<Self, Error> {
            Ok(Still)
        }

        fn velocity(&self, x: &Handle, _: &Handle) -> Result<Handle, Error> {
            x.affine(0.0, 0.0)
        }

        fn velocity_and_divergence(
            &self,
            x: &Handle,
            t: &Handle,
        ) -> Result<(Handle, Handle), Error> {
            Ok((x.affine(0.0, 0.0)?, t.affine(0.0, 0.0)?))
        }
    }

    #[test]
    fn a_field_without_features_is_checked() {
        let plugin = Plugin::<Field>::of_table(regflow_plugin::field::table::<Still>());
        for features in [Vec::new(), example_features(true)] {
            let report = plugin.check("", &features, &example_molecule()).unwrap();
            assert_eq!(report.divergence, Some(0.0));
        }
    }
}
