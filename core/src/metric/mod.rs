//! Statistics of weighted samples and of reference trajectories, each with its standard error.
//!
//! Weights come as logarithms in f64. A log weight that is not finite (`-inf`, but also NaN or `+inf`, which no sound
//! proposal gives) counts as weight 0. Where weights are worth too few samples, every standard error that comes from them is infinite:
//! see [`tells_errors`].

mod average;
mod basin;
mod blocks;
mod bootstrap;
mod ess;
mod free_energy;
mod log_z;
mod pareto;
mod populations;
mod reliability;
mod tica;
mod transport;
mod wasserstein;

#[cfg(test)]
mod fixtures;

pub use average::{Estimate, block_average, weighted_average};
pub use basin::{Basin, TorsionRange, block_populations, default_basins, weighted_populations};
pub use blocks::Blocks;
pub use ess::{TRIMMED_FRACTION, ess_per_n, ess_per_n_trimmed};
pub use free_energy::{block_free_energy_differences, weighted_free_energy_differences};
pub use log_z::log_z;
pub use pareto::k_hat;
pub use populations::Populations;
pub use reliability::tells_errors;
pub use tica::{Tica, cosines_and_sines};
pub use transport::{PointSet, wasserstein_2};
pub use wasserstein::{Distribution, Wasserstein, wasserstein, wasserstein_with_errors};

/// What can go wrong with the input of a statistic.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// Two arrays that describe the same samples differ in length.
    #[error("{found} {what} for {expected} samples: give one for each")]
    Length {
        /// What the array holds.
        what: &'static str,
        /// Number of samples.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// A value of non-zero weight is not finite.
    #[error(
        "the value of sample {index} is {value}: leave such samples out, or give them log weight -inf"
    )]
    NotFinite {
        /// Index of the sample.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// No sample has a weight above zero.
    #[error("none of {n} samples has a weight above zero")]
    NoWeight {
        /// Number of samples.
        n: usize,
    },
    /// A basin asks for a torsion that is not there.
    #[error("basin {basin:?} uses torsion {torsion}, but there are {n_torsions} (counted from 0)")]
    NoTorsion {
        /// Name of the basin.
        basin: String,
        /// Index that it uses.
        torsion: usize,
        /// Torsions per frame.
        n_torsions: usize,
    },
    /// A difference asks for a basin that is not there.
    #[error("a difference uses basin {index}, but there are {n_basins} (counted from 0)")]
    NoBasin {
        /// Index that it uses.
        index: usize,
        /// Basins.
        n_basins: usize,
    },
    /// No two frames are a lag apart.
    #[error(
        "no two frames are a lag of {lag} frames apart: the longest continuous series has {longest} frames; \
         choose a lag between 1 and a fraction of that"
    )]
    NoLaggedPairs {
        /// The lag.
        lag: usize,
        /// Frames of the longest continuous series.
        longest: usize,
    },
    /// Features vary in too few directions.
    #[error("{needed} components are asked for, but the features vary in {found} directions only")]
    NoVariance {
        /// Components asked for.
        needed: usize,
        /// Directions with a variance.
        found: usize,
    },
    /// The sets of points cannot be transported into each other.
    #[error(transparent)]
    Transport(#[from] regflow_assignment::TransportError),
}

/// Checks that an array has one number for each sample.
fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), MetricError> {
    if expected == found {
        Ok(())
    } else {
        Err(MetricError::Length {
            what,
            expected,
            found,
        })
    }
}

/// The largest finite log weight.
fn largest(log_weights: &[f64]) -> Option<f64> {
    let finite = log_weights.iter().copied().filter(|w| w.is_finite());
    finite.reduce(f64::max)
}

/// Weights relative to the largest one, in `[0, 1]`, and the logarithm of the largest; `None` if all are zero.
pub(crate) fn relative_weights(log_weights: &[f64]) -> Option<(Vec<f64>, f64)> {
    let largest = largest(log_weights)?;
    let relative = |&w: &f64| {
        if w.is_finite() {
            (w - largest).exp()
        } else {
            0.0
        }
    };
    Some((log_weights.iter().map(relative).collect(), largest))
}
