//! Building blocks that several architectures share.

mod mlp;
mod partition;

pub use mlp::{Mlp, MlpConfig, Network};
pub use partition::{Halves, MaskConfig, Masks, Partition};

use crate::error::{Error, Result};
use crate::tensor::{DType, Tensor};

/// Sum of the log-determinants of a chain of maps, in f64.
#[derive(Default)]
pub struct LogDet {
    terms: Vec<Tensor>,
}

impl LogDet {
    /// Adds a term: `[B]`, or `[B, n]` of which the rows are summed.
    ///
    /// # Errors
    /// Another rank.
    pub fn push(&mut self, term: Tensor) -> Result<()> {
        let shape = term.shape();
        self.terms.push(match shape.len() {
            1 => term.reshape(&[shape[0], 1])?,
            2 => term,
            _ => {
                return Err(Error::Rank {
                    expected: 2,
                    found: shape,
                });
            }
        });
        Ok(())
    }

    /// The sum `[B]`. The terms are joined first, because a few large operations are faster than many small ones.
    ///
    /// # Errors
    /// There is no term, or their batches differ.
    pub fn total(self) -> Result<Tensor> {
        let terms: Vec<&Tensor> = self.terms.iter().collect();
        Tensor::cat(&terms, 1)?.cast(DType::F64)?.sum(&[1])
    }
}
