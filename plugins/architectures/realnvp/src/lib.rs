//! RealNVP (Dinh, Sohl-Dickstein and Bengio, arXiv 1605.08803): affine couplings with bounded scales, conditioned by
//! perceptrons.
//!
//! Each coupling leaves one half `a` of the features as it is and maps the other to `b exp(l) + t`, with
//! `l = c tanh(s / c)`; `s` and `t` are the outputs of a network of `a`, `c` is `scale_limit`. A new flow is the identity
//! (up to `permutations`). All features are treated as real numbers.

use regflow_plugin::nn::{LogDet, MaskConfig, Masks, Mlp, MlpConfig, Network, Partition};
use regflow_plugin::{Activation, Error, Feature, Flow, ParameterBuilder, Tensor};
use serde::{Deserialize, Serialize};

/// Configuration of RealNVP.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Number of coupling layers.
    pub couplings: usize,
    /// Width of the conditioners' hidden layers.
    pub hidden: usize,
    /// The conditioners' blocks: "residual" (two layers that add to their input) or "plain" (one layer).
    pub network: Network,
    /// Blocks between the first and the last layer of each conditioner.
    pub blocks: usize,
    /// Activation of the conditioners.
    pub activation: Activation,
    /// Bound of a coupling's log-scale.
    pub scale_limit: f64,
    /// How features are divided: every other one, or a random half for every pair of couplings.
    pub masks: Masks,
    /// Whether a fixed random permutation of the features follows every pair of couplings.
    pub permutations: bool,
    /// Seed of random masks and permutations.
    pub mask_seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            couplings: 8,
            hidden: 128,
            network: Network::Residual,
            blocks: 2,
            activation: Activation::Silu,
            scale_limit: 3.0,
            masks: Masks::Alternating,
            permutations: false,
            mask_seed: 0,
        }
    }
}

impl Config {
    fn validate(&self) -> Result<(), Error> {
        if !(self.scale_limit > 0.0 && self.scale_limit.is_finite()) {
            return Err(Error::ConfigValue {
                field: "scale_limit",
                expected: "positive",
                found: self.scale_limit.to_string(),
            });
        }
        Ok(())
    }
}

/// The flow.
pub struct RealNvp {
    partition: Partition,
    conditioners: Vec<Conditioner>,
    scale_limit: f64,
}

struct Conditioner {
    network: Mlp,
    n_transformed: usize,
}

impl Flow for RealNvp {
    type Config = Config;
    const NAME: &'static str = "realnvp";
    const DESCRIPTION: &'static str =
        "RealNVP: affine couplings with bounded scales (arXiv 1605.08803)";
    const CIRCULAR: bool = false;

    fn build(
        config: Config,
        features: &[Feature],
        parameters: &ParameterBuilder<'_>,
    ) -> Result<Self, Error> {
        config.validate()?;
        let columns: Vec<u32> = (0..features.len() as u32).collect();
        let masks = MaskConfig {
            couplings: config.couplings,
            masks: config.masks,
            permutations: config.permutations,
            seed: config.mask_seed,
        };
        let partition = Partition::new(parameters, &[columns], &masks)?;
        let network = MlpConfig {
            network: config.network,
            hidden: config.hidden,
            blocks: config.blocks,
            activation: config.activation,
        };
        let conditioners = (0..config.couplings)
            .map(|coupling| {
                let (n_in, n_transformed) = partition.sizes(0, coupling);
                let scope = parameters.pp("coupling").pp(coupling);
                Ok(Conditioner {
                    network: Mlp::new(&scope, n_in, 2 * n_transformed, &network)?,
                    n_transformed,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(RealNvp {
            partition,
            conditioners,
            scale_limit: config.scale_limit,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
        self.apply(x, false)
    }

    fn inverse(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
        self.apply(x, true)
    }
}

impl RealNvp {
    fn apply(&self, x: &Tensor, inverse: bool) -> Result<(Tensor, Tensor), Error> {
        let mut log_det = LogDet::default();
        let y = self.partition.sweep(x, inverse, |coupling, halves| {
            let Conditioner {
                network,
                n_transformed,
            } = &self.conditioners[coupling];
            // With at least two features both parts have columns.
            if let [half] = halves
                && let (Some(conditioner), Some(transformed)) =
                    (&half.conditioner, &half.transformed)
            {
                let output = network.forward(conditioner)?;
                let scale = output.narrow(1, 0, *n_transformed)?;
                let shift = output.narrow(1, *n_transformed, *n_transformed)?;
                let (y, term) =
                    transformed.affine_coupling(&scale, &shift, self.scale_limit, inverse)?;
                log_det.push(term)?;
                half.transformed = Some(y);
            }
            Ok(())
        })?;
        Ok((y, log_det.total()?))
    }
}

regflow_plugin::plugin! { name: "realnvp", flows: [RealNvp] }

#[cfg(feature = "export")]
regflow_plugin::export! {}
