//! Neural spline coupling flow (Durkan et al., arXiv 1906.04032) with circular features (Rezende et al., arXiv 2002.02428).
//!
//! In each coupling a perceptron sees one half of the features (circular ones as cosine and sine) and gives the
//! parameters of the map of the other half:
//! - real features, `real = "light"`: a bounded affine map `y = x exp(l) + t` with parameters from the network, then a
//!   rational-quadratic spline with linear tails whose parameters are shared by all inputs. Fewer outputs, less overfitting.
//!   `real = "spline"`: a spline with parameters from the network.
//! - circular features: a shift (from the network, or shared), then a circular spline with parameters from the network.
//!
//! A new flow is the identity. The prior is normal for real and uniform for circular features.

mod coupling;

use coupling::Coupling;
use regflow_plugin::nn::{LogDet, MaskConfig, Masks, MlpConfig, Network, Partition};
use regflow_plugin::{Activation, Error, Feature, FeatureKind, Flow, ParameterBuilder, Tensor};
use serde::{Deserialize, Serialize};

/// Most bins of a spline: the operation's limit, which the message of `validate` names.
const MAX_BINS: usize = regflow_plugin::abi::op::MAX_SPLINE_BINS as usize;
const _: () = assert!(MAX_BINS == 1024);

/// The map of real features.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RealMap {
    /// Conditional affine map, then an unconditional spline.
    Light,
    /// Conditional spline.
    Spline,
}

/// The shift of circular features.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CircularShift {
    /// From the network.
    Conditional,
    /// One trainable number per feature.
    Unconditional,
}

/// Configuration of NSF.
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
    /// Number of bins of every spline.
    pub bins: usize,
    /// The map of real features: "light" or "spline".
    pub real: RealMap,
    /// Splines of real features act in [-tail_bound, tail_bound]; outside they are the identity.
    pub tail_bound: f64,
    /// Bound of the log-scale of "light" couplings.
    pub scale_limit: f64,
    /// The shift of circular features.
    pub circular_shift: CircularShift,
    /// Smallest bin width and height, as a fraction of the interval.
    pub min_bin: f64,
    /// Smallest slope at a knot.
    pub min_slope: f64,
    /// How features are divided: every other one, or a random half for every pair of couplings.
    pub masks: Masks,
    /// Seed of random masks.
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
            bins: 8,
            real: RealMap::Light,
            tail_bound: 5.0,
            scale_limit: 3.0,
            circular_shift: CircularShift::Conditional,
            min_bin: 1e-3,
            min_slope: 1e-3,
            masks: Masks::Alternating,
            mask_seed: 0,
        }
    }
}

impl Config {
    fn validate(&self) -> Result<(), Error> {
        let check = |valid: bool, field, expected, found: f64| {
            if valid {
                return Ok(());
            }
            Err(Error::ConfigValue {
                field,
                expected,
                found: found.to_string(),
            })
        };
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let bins = self.bins as f64;
        check(
            (2..=MAX_BINS).contains(&self.bins),
            "bins",
            "2 to 1024",
            bins,
        )?;
        check(
            positive(self.tail_bound),
            "tail_bound",
            "positive",
            self.tail_bound,
        )?;
        check(
            positive(self.scale_limit),
            "scale_limit",
            "positive",
            self.scale_limit,
        )?;
        check(
            self.min_bin > 0.0 && self.min_bin * bins < 1.0,
            "min_bin",
            "above 0 and below 1 / bins",
            self.min_bin,
        )?;
        check(
            self.min_slope > 0.0 && self.min_slope < 1.0,
            "min_slope",
            "between 0 and 1",
            self.min_slope,
        )
    }
}

/// The flow.
pub struct Nsf {
    partition: Partition,
    couplings: Vec<Coupling>,
}

impl Flow for Nsf {
    type Config = Config;
    const NAME: &'static str = "nsf";
    const DESCRIPTION: &'static str =
        "Neural spline couplings, circular on torsions (arXiv 1906.04032, arXiv 2002.02428)";
    const CIRCULAR: bool = true;

    fn build(
        config: Config,
        features: &[Feature],
        parameters: &ParameterBuilder<'_>,
    ) -> Result<Self, Error> {
        config.validate()?;
        let columns = |kind| -> Vec<u32> {
            let numbered = (0u32..).zip(features);
            numbered
                .filter(|(_, feature)| feature.kind == kind)
                .map(|(column, _)| column)
                .collect()
        };
        let groups = [columns(FeatureKind::Real), columns(FeatureKind::Circular)];
        let masks = MaskConfig {
            couplings: config.couplings,
            masks: config.masks,
            permutations: false,
            seed: config.mask_seed,
        };
        let partition = Partition::new(parameters, &groups, &masks)?;
        let network = MlpConfig {
            network: config.network,
            hidden: config.hidden,
            blocks: config.blocks,
            activation: config.activation,
        };
        let couplings = (0..config.couplings)
            .map(|coupling| {
                let scope = parameters.pp("coupling").pp(coupling);
                let sizes = [partition.sizes(0, coupling), partition.sizes(1, coupling)];
                Coupling::new(&scope, sizes, &network, &config)
            })
            .collect::<Result<_, Error>>()?;
        Ok(Nsf {
            partition,
            couplings,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
        self.apply(x, false)
    }

    fn inverse(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
        self.apply(x, true)
    }
}

impl Nsf {
    fn apply(&self, x: &Tensor, inverse: bool) -> Result<(Tensor, Tensor), Error> {
        let mut log_det = LogDet::default();
        let y = self
            .partition
            .sweep(x, inverse, |coupling, halves| match halves {
                [real, circular] => {
                    self.couplings[coupling].apply(real, circular, inverse, &mut log_det)
                }
                _ => Err(Error::Features(
                    "expected real and circular features".into(),
                )),
            })?;
        Ok((y, log_det.total()?))
    }
}

regflow_plugin::plugin! { name: "nsf", flows: [Nsf] }

#[cfg(feature = "export")]
regflow_plugin::export! {}
