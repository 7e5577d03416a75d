//! Importance sampling (weights of drawn configurations, what they are worth, and resampling by weight) and Metropolis moves.

mod importance;
mod metropolis;
mod plausible;
mod resample;
mod trust;

pub use crate::system::{R, kt};
pub use importance::{Diagnostics, WeightedSamples, mean_reduced_energy};
pub use metropolis::{Metropolis, MoveError, MoveOptions, MoveStatistics, Placement};
pub use plausible::{PlausibilityError, check_plausible, most_looked_at};
pub(crate) use resample::draw;
pub use resample::{Resampling, resample};

/// What can go wrong with weighted samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// There is nothing to draw from.
    #[error(
        "all {n} weights are zero, so there is nothing to resample: no configuration has a finite energy and density; \
         check that the potential and the model describe the same molecule"
    )]
    NoWeight {
        /// Number of samples.
        n: usize,
    },
    /// The name of a resampling method is unknown.
    #[error("unknown resampling method {found:?}, expected systematic or multinomial")]
    UnknownResampling {
        /// The name given.
        found: String,
    },
}
