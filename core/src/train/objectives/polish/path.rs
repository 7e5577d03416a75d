//! The path gradient, and how much of it to follow.
//!
//! The gradient of `KL(p || q)` along the path of each point `x1` alone is that of `x0(theta) . G`, with `x0(theta) = f^-1(x1)` and
//! `G = d/dx0 [log p(f(x0)) + log |det J_f(x0)| - log p0(x0)]` held fixed. Over points of `p` it has the expectation of the
//! likelihood's gradient, but uses the target's slope at each point and vanishes, with its variance, where `q = p`
//! (Vaitl, Winkler, Richter, Kessel, ICLR 2024, arXiv 2403.15881). Over points of `q` the same expression is the whole gradient of
//! `KL(q || p)`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Part of a new mean square in the running one.
const FOLLOW: f64 = 0.02;

/// Follows the mean square of `G`, over the rows that stand for the target.
///
/// Path and likelihood gradient are two estimates of one expectation. Where the flow is near the target `G` is small; where it
/// is rough, or far off, in the tails, the squares of `G` are huge, and a step along the path alone makes the flow rougher still until
/// it diverges. The mixture of two independent estimates that has the least variance takes of each in inverse proportion to its
/// own: of the path `D / (D + mean |G|^2)`, as the likelihood's slope by `x0` is `x0` itself, whose mean square is `D`. The mean is that
/// of the steps before, so that a row does not decide on its own share.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// Running mean of `|G|^2`.
    square: Option<f64>,
    /// Of the chunks of the step at hand, by their first rows: rows that stand for the target, and their sum of `|G|^2`.
    step: Mutex<BTreeMap<usize, [f64; 2]>>,
}

impl Path {
    /// With the running mean that a checkpoint has.
    pub fn resumed(square: Option<f64>) -> Self {
        Path {
            square,
            ..Path::default()
        }
    }

    /// Notes the chunk of a step that begins with the row `first`.
    pub fn note(&self, first: usize, rows: f64, squares: f64) {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        step.insert(first, [rows, squares]);
    }

    /// Ends a step: its mean square joins the running one.
    pub fn advance(&mut self) {
        self.square = self.square();
        *self.step.get_mut().unwrap_or_else(PoisonError::into_inner) = BTreeMap::new();
    }

    /// The running mean, with the step at hand.
    pub fn square(&self) -> Option<f64> {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        // In the order of the rows, whatever thread had them.
        let chunks = step.values();
        let [rows, squares] = chunks.fold([0.0, 0.0], |a, b| [a[0] + b[0], a[1] + b[1]]);
        let mean = squares / rows;
        if !mean.is_finite() {
            return self.square;
        }
        let before = self.square.unwrap_or(mean);
        Some(before + FOLLOW * (mean - before))
    }

    /// Part of the gradient of a row that stands for the target that goes along the path, 0 to 1.
    pub fn share(&self, dimension: usize) -> f64 {
        let dimension = dimension as f64;
        self.square.map_or(0.5, |square| dimension / (dimension + square))
    }
}
