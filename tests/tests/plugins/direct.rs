//! RealNVP written directly on the host's tensors, as the independent truth for the plugin: same parameters, other code.

use regflow::plugin::Parameters;
use regflow::tensor::{DType, Tensor};

pub struct Direct<'a> {
    pub parameters: &'a Parameters,
    pub couplings: usize,
    pub blocks: usize,
    pub limit: f64,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

impl Direct<'_> {
    fn dense(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let get = |part: &str| {
            self.parameters
                .get(&format!("{name}.{part}"))
                .ok_or(format!("no {name}.{part}"))
        };
        Ok(x.matmul(get("weight")?)?.broadcast_add(get("bias")?)?)
    }

    /// `x / (1 + exp(-x))` from its definition.
    fn silu(x: &Tensor) -> Result<Tensor> {
        Ok((x / (x.neg()?.exp()? + 1.0)?)?)
    }

    /// Bounded log-scale and shift of a coupling.
    fn conditioner(&self, x: &Tensor, coupling: usize, n: usize) -> Result<(Tensor, Tensor)> {
        let scope = format!("coupling.{coupling}");
        let mut h = Self::silu(&self.dense(x, &format!("{scope}.input"))?)?;
        for block in 0..self.blocks {
            let inner = Self::silu(&self.dense(&h, &format!("{scope}.block.{block}.0"))?)?;
            h = (&h + Self::silu(&self.dense(&inner, &format!("{scope}.block.{block}.1"))?)?)?;
        }
        let output = self.dense(&h, &format!("{scope}.output"))?;
        let log_scale = ((output.narrow(1, 0, n)? / self.limit)?.tanh()? * self.limit)?;
        Ok((log_scale, output.narrow(1, n, n)?))
    }

    /// Even columns condition first, then odd ones, and so on. Works column by column, unlike the plugin.
    pub fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let n_features = x.dims2()?.1;
        let mut columns: Vec<Tensor> = (0..n_features)
            .map(|d| x.narrow(1, d, 1))
            .collect::<std::result::Result<_, _>>()?;
        let mut log_det = x.sum(1)?.zeros_like()?.to_dtype(DType::F64)?;
        for coupling in 0..self.couplings {
            let (conditions, transformed): (Vec<_>, Vec<_>) =
                (0..n_features).partition(|d| d % 2 == coupling % 2);
            let seen: Vec<&Tensor> = conditions.iter().map(|&d| &columns[d]).collect();
            let (log_scale, shift) =
                self.conditioner(&Tensor::cat(&seen, 1)?, coupling, transformed.len())?;
            for (place, &d) in transformed.iter().enumerate() {
                let scale = log_scale.narrow(1, place, 1)?.exp()?;
                columns[d] = ((&columns[d] * scale)? + shift.narrow(1, place, 1)?)?;
            }
            log_det = (log_det + log_scale.to_dtype(DType::F64)?.sum(1)?)?;
        }
        Ok((Tensor::cat(&columns, 1)?, log_det))
    }
}
