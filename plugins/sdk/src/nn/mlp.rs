//! Residual multilayer perceptron, the conditioner of coupling flows.

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

/// Size of a [`ResidualMlp`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MlpConfig {
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Number of residual blocks of two layers.
    pub blocks: usize,
    /// Activation of every layer but the last.
    pub activation: Activation,
}

impl MlpConfig {
    /// # Errors
    /// A width of 0.
    pub fn validate(&self) -> Result<()> {
        if self.hidden == 0 {
            return Err(Error::ConfigValue {
                field: "hidden",
                expected: "at least 1",
                found: self.hidden.to_string(),
            });
        }
        Ok(())
    }
}

/// With activation `s`: `h = s(x W0 + b0)`; per block `h <- h + s(s(h W1 + b1) W2 + b2)`; output `h W + b`, whose parameters
/// start at 0, so that a flow starts at the identity.
pub struct ResidualMlp {
    input: Dense,
    blocks: Vec<[Dense; 2]>,
    output: Dense,
    activation: Activation,
}

impl ResidualMlp {
    /// Parameters `input`, `block.I.0`, `block.I.1` and `output`, each with `weight` and `bias`.
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
        Ok(ResidualMlp {
            input: Dense::new(&parameters.pp("input"), n_in, hidden, false)?,
            blocks: (0..config.blocks)
                .map(|block| {
                    let scope = parameters.pp("block").pp(block);
                    Ok([
                        Dense::new(&scope.pp(0), hidden, hidden, false)?,
                        Dense::new(&scope.pp(1), hidden, hidden, false)?,
                    ])
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
        for [first, second] in &self.blocks {
            let inner = first.apply(&h, self.activation)?;
            h = (&h + &second.apply(&inner, self.activation)?)?;
        }
        self.output.apply(&h, Activation::None)
    }
}
