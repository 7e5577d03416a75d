//! Multilayer perceptrons, the conditioners of coupling flows.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ops::Activation;
use crate::parameters::{Init, ParameterBuilder};
use crate::tensor::Tensor;

struct Dense {
    weight: Tensor,
    bias: Tensor,
}

impl Dense {
    /// Weights and biases uniform in `+-1/sqrt(n_in)`, or all 0.
    fn new(
        parameters: &ParameterBuilder<'_>,
        n_in: usize,
        n_out: usize,
        zero: bool,
    ) -> Result<Self> {
        let init = if zero {
            Init::Zeros
        } else {
            Init::Uniform {
                bound: 1.0 / (n_in as f64).sqrt(),
            }
        };
        Ok(Dense {
            weight: parameters.get("weight", &[n_in, n_out], init)?,
            bias: parameters.get("bias", &[n_out], init)?,
        })
    }

    fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        x.dense(&self.weight, &self.bias, activation)
    }
}

/// What lies between the first and the last layer of an [`Mlp`].
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Blocks of two layers, each of which adds to its input.
    #[default]
    Residual,
    /// Blocks of one layer, with nothing added.
    Plain,
}

/// Form and size of an [`Mlp`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MlpConfig {
    /// What the blocks are.
    pub network: Network,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Activation of every layer but the last.
    pub activation: Activation,
}

impl MlpConfig {
    /// Most blocks: beyond, a configuration would ask for layers without end, each of them small.
    pub const MOST_BLOCKS: usize = 4096;

    /// # Errors
    /// A width of 0, more than [`MlpConfig::MOST_BLOCKS`] blocks.
    pub fn validate(&self) -> Result<()> {
        if self.hidden == 0 {
            return Err(Error::ConfigValue {
                field: "hidden",
                expected: "at least 1",
                found: self.hidden.to_string(),
            });
        }
        if self.blocks > Self::MOST_BLOCKS {
            return Err(Error::ConfigValue {
                field: "blocks",
                expected: "at most 4096",
                found: self.blocks.to_string(),
            });
        }
        Ok(())
    }
}

/// With activation `s`: `h = s(x W0 + b0)`; per block `h <- h + s(s(h W1 + b1) W2 + b2)` ([`Network::Residual`]) or
/// `h <- s(h W1 + b1)` ([`Network::Plain`]); output `h W + b`, whose parameters start at 0, so that a flow starts at the
/// identity.
pub struct Mlp {
    input: Dense,
    blocks: Vec<Block>,
    output: Dense,
    activation: Activation,
}

enum Block {
    Residual([Dense; 2]),
    Plain(Dense),
}

impl Mlp {
    /// Parameters `input`, `block.I.0`, `block.I.1` (of residual blocks) and `output`, each with `weight` and `bias`.
    ///
    /// # Errors
    /// Those of [`ParameterBuilder::get`].
    pub fn new(
        parameters: &ParameterBuilder<'_>,
        n_in: usize,
        n_out: usize,
        config: &MlpConfig,
    ) -> Result<Self> {
        config.validate()?;
        let hidden = config.hidden;
        Ok(Mlp {
            input: Dense::new(&parameters.pp("input"), n_in, hidden, false)?,
            blocks: (0..config.blocks)
                .map(|block| {
                    let scope = parameters.pp("block").pp(block);
                    let layer =
                        |number: usize| Dense::new(&scope.pp(number), hidden, hidden, false);
                    Ok(match config.network {
                        Network::Residual => Block::Residual([layer(0)?, layer(1)?]),
                        Network::Plain => Block::Plain(layer(0)?),
                    })
                })
                .collect::<Result<_>>()?,
            output: Dense::new(&parameters.pp("output"), hidden, n_out, true)?,
            activation: config.activation,
        })
    }

    /// `[B, n_in]` to `[B, n_out]`.
    ///
    /// # Errors
    /// A wrong number of columns.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut h = self.input.apply(x, self.activation)?;
        for block in &self.blocks {
            h = match block {
                Block::Residual([first, second]) => {
                    let inner = first.apply(&h, self.activation)?;
                    (&h + &second.apply(&inner, self.activation)?)?
                }
                Block::Plain(layer) => layer.apply(&h, self.activation)?,
            };
        }
        self.output.apply(&h, Activation::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_without_sense_are_refused() {
        let refused = |hidden, blocks| {
            let config = MlpConfig {
                network: Network::Plain,
                hidden,
                blocks,
                activation: Activation::Silu,
            };
            config.validate().is_err()
        };
        assert!(!refused(1, 0) && !refused(1, MlpConfig::MOST_BLOCKS));
        assert!(refused(0, 1) && refused(1, MlpConfig::MOST_BLOCKS + 1) && refused(1, usize::MAX));
    }
}
