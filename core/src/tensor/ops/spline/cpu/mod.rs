//! Monotonic rational-quadratic spline (arXiv 1906.04032; circular: arXiv 2002.02428), both directions with backward.
//!
//! [`knots`] maps raw parameters to knots and gradients back, [`bin`] is the map within one bin; both work on [`LANES`]
//! arguments at once. Parameters of their own for each argument: lanes are adjacent arguments. Parameters shared by the
//! batch: lanes are rows of the batch, the knots of each feature are computed once, and their gradients are summed before
//! they are mapped back to raw parameters.

mod bin;
mod knots;
mod passes;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use crate::tensor::cpu::{Element, entries, storage_of, tensor, with_entries, with_real};

/// Arguments that are handled together.
const LANES: usize = 16;

/// One number for each lane.
type Lanes<T> = [T; LANES];

/// Which spline, and in which direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spline {
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) bins: usize,
    pub(super) circular: bool,
    pub(super) inverse: bool,
    /// Smallest bin, as a fraction of the interval.
    pub(super) min_bin: f64,
    pub(super) min_slope: f64,
}

impl Spline {
    /// Number of slope parameters.
    fn slopes(&self) -> usize {
        if self.circular {
            self.bins
        } else {
            self.bins - 1
        }
    }

    /// Number of parameters of one spline.
    pub(super) fn parameters(&self) -> usize {
        2 * self.bins + self.slopes()
    }
}

/// `y` and the log-derivative, both of the shape of x `[B, D]`, on the CPU; parameters `[B or 1, D, P]`.
pub(super) fn apply(x: &Tensor, parameters: &Tensor, spline: Spline) -> Result<(Tensor, Tensor)> {
    let both = x
        .contiguous()?
        .apply_op2(&parameters.contiguous()?, spline)?;
    Ok((both.get(0)?, both.get(1)?))
}

impl Spline {
    fn is_shared(&self, rows: usize, features: usize, parameters: usize) -> bool {
        rows > 1 && parameters == features * self.parameters()
    }

    fn gradients<T: Element>(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Tensor; 2]> {
        let (rows, features) = x.dims2()?;
        let shared = self.is_shared(rows, features, parameters.elem_count());
        let [dx, dp] = with_entries::<T, _>(x, |x| {
            with_entries::<T, _>(parameters, |p| {
                with_entries::<T, _>(gradient, |g| {
                    if shared {
                        passes::backward_shared(self, features, x, p, g)
                    } else {
                        passes::backward(self, x, p, g)
                    }
                })
            })
        })???;
        Ok([tensor(dx, x.shape())?, tensor(dp, parameters.shape())?])
    }
}

impl CustomOp2 for Spline {
    fn name(&self) -> &'static str {
        "rational-quadratic spline"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        parameters: &CpuStorage,
        parameters_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, features) = x_layout.shape().dims2()?;
        let both = with_real!(x, T => {
            let (x, p) = (entries::<T>(x, x_layout)?, entries(parameters, parameters_layout)?);
            let both = if self.is_shared(rows, features, p.len()) {
                passes::forward_shared(self, features, x, p)
            } else {
                passes::forward(self, x, p)
            };
            Ok(storage_of(both))
        })?;
        Ok((both, Shape::from((2, rows, features))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dp] = with_real!(x, T => self.gradients::<T>(x, parameters, gradient))?;
        Ok((
            x.track_op().then_some(dx),
            parameters.track_op().then_some(dp),
        ))
    }
}
