//! A velocity field and a target source, written as a stranger writes them. Their configuration can ask for a fault.

use regflow_plugin::{
    Budget, Error, Feature, FeatureKind, Field, Init, PairedPoints, Pairing, ParameterBuilder,
    Points, TargetSource, Tensor,
};
use serde::{Deserialize, Serialize};

/// What to do wrong.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
enum Fault {
    #[default]
    None,
    /// No period.
    Aperiodic,
    /// A wrong divergence.
    Divergence,
    /// A wrong shape.
    Shape,
    /// Not finite.
    Infinite,
    /// Rows that depend on each other.
    Rows,
    /// A parameter that nothing depends on.
    Unused,
    /// An error whose words cannot be had.
    Words,
    /// Another prior side.
    OwnPrior,
    /// Fewer densities than pairs.
    Few,
}

#[derive(Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// What to do wrong.
    fault: Fault,
}

/// v = (1 + t) (sin(x) W + b), whose divergence is (1 + t) sum over i of cos(x_i) W_ii.
struct Waves {
    weight: Tensor,
    bias: Tensor,
    identity: Tensor,
    fault: Fault,
}

/// 1 + t, with one column where t has rows.
fn growth(t: &Tensor) -> Result<Tensor, Error> {
    let t = match t.rank() {
        0 => t.clone(),
        _ => t.reshape(&[t.elem_count(), 1])?,
    };
    t.affine(1.0, 1.0)
}

impl Field for Waves {
    type Config = Config;
    const NAME: &'static str = "waves";
    const DESCRIPTION: &'static str = "Sines of all features";
    const CIRCULAR: bool = true;
    const DIVERGENCE: bool = true;

    fn build(
        config: Config,
        features: &[Feature],
        parameters: &ParameterBuilder<'_>,
    ) -> Result<Self, Error> {
        let n = features.len();
        let normal = Init::Normal { std: 0.5 };
        if config.fault == Fault::Unused {
            parameters.pp("spare").get("weight", &[3], normal)?;
        }
        let identity: Vec<f32> = (0..n * n)
            .map(|place| if place % (n + 1) == 0 { 1.0 } else { 0.0 })
            .collect();
        Ok(Waves {
            weight: parameters.get("weight", &[n, n], normal)?,
            bias: parameters.get("bias", &[1, n], Init::Zeros)?,
            identity: parameters.constant_f32(&identity, &[n, n])?,
            fault: config.fault,
        })
    }

    fn velocity(&self, x: &Tensor, t: &Tensor) -> Result<Tensor, Error> {
        let waves = (&x.sin()?.matmul(&self.weight)? + &self.bias)?;
        let v = (&waves * &growth(t)?)?;
        match self.fault {
            Fault::Aperiodic => &v + x,
            Fault::Shape => v.narrow(1, 0, 1),
            Fault::Infinite => v.affine(0.0, 0.0)?.recip(),
            Fault::Rows => &v - &v.mean_keepdim(&[0])?,
            Fault::Words => Err(Error::new(Unspeakable)),
            _ => Ok(v),
        }
    }

    fn velocity_and_divergence(&self, x: &Tensor, t: &Tensor) -> Result<(Tensor, Tensor), Error> {
        let diagonal = (&self.weight * &self.identity)?.sum_keepdim(&[0])?;
        let terms = (&x.cos()? * &diagonal)?;
        let divergence = (&terms * &growth(t)?)?.sum(&[1])?;
        let divergence = match self.fault {
            Fault::Divergence => divergence.affine(1.0, 0.1)?,
            _ => divergence,
        };
        Ok((self.velocity(x, t)?, divergence))
    }
}

/// Panics where it should say what happened.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("no words")
    }
}

impl std::error::Error for Unspeakable {}

/// Halves every real feature, and tells the density of what comes out.
struct Half {
    fault: Fault,
}

impl TargetSource for Half {
    type Config = Config;
    const NAME: &'static str = "half";
    const DESCRIPTION: &'static str = "The prior at half its size";

    fn build(config: Config) -> Result<Self, Error> {
        Ok(Half {
            fault: config.fault,
        })
    }

    fn pair(
        &self,
        x0: Points<'_>,
        _x1: Points<'_>,
        kinds: &[FeatureKind],
        budget: &Budget<'_>,
    ) -> Result<Pairing, Error> {
        // The host's operations are there as well.
        let prior = budget.host.tensor(x0.values, &[x0.n, x0.dim])?;
        let scales: Vec<f32> = kinds
            .iter()
            .map(|kind| match kind {
                FeatureKind::Real => 0.5,
                FeatureKind::Circular => 1.0,
            })
            .collect();
        let scales = budget.host.tensor(&scales, &[1, x0.dim])?;
        let x1 = (&prior * &scales)?.to_vec_f32()?;
        let n_real = kinds.iter().filter(|kind| **kind == FeatureKind::Real);
        let log_det = n_real.count() as f64 * 0.5f64.ln();
        let log_prior = |x: &[f32]| -> f64 {
            let term = |(x, kind): (&f32, &FeatureKind)| match kind {
                FeatureKind::Real => {
                    -0.5 * f64::from(*x).powi(2) - 0.5 * std::f64::consts::TAU.ln()
                }
                FeatureKind::Circular => -std::f64::consts::TAU.ln(),
            };
            x.iter().zip(kinds).map(term).sum()
        };
        let mut log_q: Vec<f64> = (0..budget.count)
            .map(|row| log_prior(x0.row(row)) - log_det)
            .collect();
        let mut own = None;
        match self.fault {
            Fault::Few => log_q.truncate(1),
            // Numbers that depend on the seed alone.
            Fault::OwnPrior => own = Some(vec![(budget.seed % 1000) as f32; x0.values.len()]),
            Fault::Words => return Err(Error::new(Unspeakable)),
            _ => {}
        }
        Ok(Pairing::Points(PairedPoints {
            x0: own,
            x1,
            log_q: Some(log_q),
            log_det: Some(vec![log_det; budget.count]),
        }))
    }
}

regflow_plugin::plugin! { name: "stranger", fields: [Waves], targets: [Half] }
regflow_plugin::export! {}
