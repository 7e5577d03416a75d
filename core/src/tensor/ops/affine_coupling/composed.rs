//! Affine coupling as a composition.

use candle_core::{Result, Tensor};

/// Affine coupling: `y` and the log-determinant.
pub(super) fn affine_coupling(
    x: &Tensor,
    s: &Tensor,
    t: &Tensor,
    limit: f64,
    inverse: bool,
) -> Result<(Tensor, Tensor)> {
    let log_scale = s.affine(1.0 / limit, 0.0)?.tanh()?.affine(limit, 0.0)?;
    if inverse {
        let log_scale = log_scale.neg()?;
        Ok((((x - t)? * log_scale.exp()?)?, log_scale.sum(1)?))
    } else {
        Ok((((x * log_scale.exp()?)? + t)?, log_scale.sum(1)?))
    }
}
