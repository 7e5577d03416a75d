//! A flow in Rust to start from: stretches and shifts every feature, by amounts that are trained.
//!
//! ```text
//! cargo build --release
//! bg-sample plugins target/release/libstretch.so        # checks inverse, log-determinants, gradients
//! REGFLOW_PLUGIN_PATH=target/release bg-sample train --architecture stretch ...
//! ```
//!
//! The prior of real features is standard normal, and in the data they have mean 0 and variance 1, whitened by default: the
//! identity is a good start, and parameters of order 1 are far away from it. A flow that sets `CIRCULAR` is also given angles,
//! in `(-pi, pi]`, with a uniform prior.

use regflow_plugin::{Error, Feature, Flow, Init, ParameterBuilder, Tensor};

/// y = x exp(s) + b with |s| < `limit`.
struct Stretch {
    raw: Tensor,
    shift: Tensor,
    limit: f64,
}

/// What `--architecture-config` sets. The doc comments are shown by `bg-sample plugins`.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// Largest logarithm of a stretch.
    limit: f64,
}

impl Default for Config {
    fn default() -> Self {
        Config { limit: 2.0 }
    }
}

impl Stretch {
    /// s `[1, D]`.
    fn log_scale(&self) -> Result<Tensor, Error> {
        self.raw.tanh()?.affine(self.limit, 0.0)
    }

    /// The sum of s for each row of x.
    fn log_det(&self, x: &Tensor) -> Result<Tensor, Error> {
        self.log_scale()?.broadcast_to(&x.shape())?.sum(&[1])
    }
}

impl Flow for Stretch {
    type Config = Config;
    const NAME: &'static str = "stretch";
    const DESCRIPTION: &'static str = "Stretches and shifts every feature";
    const CIRCULAR: bool = false;

    fn build(
        config: Config,
        features: &[Feature],
        parameters: &ParameterBuilder<'_>,
    ) -> Result<Self, Error> {
        if !(config.limit > 0.0 && config.limit.is_finite()) {
            return Err(Error::ConfigValue {
                field: "limit",
                expected: "positive",
                found: config.limit.to_string(),
            });
        }
        let shape = [1, features.len()];
        Ok(Stretch {
            raw: parameters.get("raw", &shape, Init::Zeros)?,
            shift: parameters.get("shift", &shape, Init::Zeros)?,
            limit: config.limit,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
        let y = (&(x * &self.log_scale()?.exp()?)? + &self.shift)?;
        Ok((y, self.log_det(x)?))
    }

    fn inverse(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
        let y = (&(x - &self.shift)? * &self.log_scale()?.neg()?.exp()?)?;
        Ok((y, self.log_det(x)?.neg()?))
    }
}

regflow_plugin::plugin! { name: "stretch", flows: [Stretch] }
regflow_plugin::export! {}
