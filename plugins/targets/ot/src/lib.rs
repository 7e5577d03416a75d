//! Optimal-transport pairs: each prior point gets a data point of its own, such that the sum of squared distances is the
//! least possible. Distances are Euclidean in feature space, along the shorter way round for circular features.
//!
//! Exact for up to `block` points; more are divided into blocks of random points, each of which is solved exactly.

pub mod assignment;
mod blocks;
pub mod cost;

use assignment::{Assignment, AssignmentError};
use rayon::ThreadPoolBuilder;

use regflow_plugin::{Budget, Error, FeatureKind, Pairing, Points, Result, TargetSource};
use serde::{Deserialize, Serialize};

/// Configuration of the pairing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Points that are paired at once; more points are divided into blocks of at most this size.
    pub block: usize,
    /// Limit for the cost matrix of a block (4 bytes per entry), in 10^9 bytes.
    pub memory_gb: f64,
    /// Seed of the division into blocks.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            block: 10_000,
            memory_gb: 1.0,
            seed: 0,
        }
    }
}

impl Config {
    fn validate(&self) -> Result<()> {
        let limit = u32::MAX as usize;
        if self.block == 0 || self.block >= limit {
            return Err(Error::ConfigValue {
                field: "block",
                expected: "at least 1 and less than 4294967295",
                found: self.block.to_string(),
            });
        }
        if self.memory_gb.is_nan() || self.memory_gb <= 0.0 {
            return Err(Error::ConfigValue {
                field: "memory_gb",
                expected: "positive",
                found: self.memory_gb.to_string(),
            });
        }
        Ok(())
    }
}

/// Why points cannot be paired.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// There must be as many prior points as data points, of the same dimension.
    #[error(
        "expected {n0} data points of {dim0} features as in the prior points, found {n1} of {dim1}"
    )]
    Shape {
        /// Prior points.
        n0: usize,
        /// Their features.
        dim0: usize,
        /// Data points.
        n1: usize,
        /// Their features.
        dim1: usize,
    },
    /// The number of feature kinds is not the number of features.
    #[error("expected {expected} feature kinds, found {found}")]
    Kinds {
        /// Features.
        expected: usize,
        /// Kinds.
        found: usize,
    },
    /// The cost matrix of a block would not fit.
    #[error(
        "blocks of {points} points need a cost matrix of {needed_gb:.2} GB, more than memory_gb = {limit_gb}; \
         set `block` to {fitting} or raise `memory_gb`"
    )]
    Memory {
        /// Points of the largest block.
        points: usize,
        /// What it needs.
        needed_gb: f64,
        /// What is allowed.
        limit_gb: f64,
        /// Largest block within the limit.
        fitting: usize,
    },
    /// A coordinate is infinite or not a number.
    #[error("{side} point {point}, feature {feature}: the value is not finite")]
    NonFinite {
        /// "prior" or "data".
        side: &'static str,
        /// Row.
        point: usize,
        /// Column.
        feature: usize,
    },
    /// The assignment failed.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// What the system says.
        reason: String,
    },
}

/// Pairs by exact optimal transport.
pub struct OptimalTransport {
    config: Config,
}

impl TargetSource for OptimalTransport {
    type Config = Config;
    const NAME: &'static str = "ot";
    const DESCRIPTION: &'static str = "Optimal transport: exact assignment of prior to data points by squared (wrapped) distance, in blocks";

    fn build(config: Config) -> Result<Self> {
        config.validate()?;
        Ok(OptimalTransport { config })
    }

    fn pair(
        &self,
        x0: Points<'_>,
        x1: Points<'_>,
        kinds: &[FeatureKind],
        budget: &Budget<'_>,
    ) -> Result<Pairing> {
        let threads = budget.threads;
        let circular: Vec<bool> = kinds
            .iter()
            .map(|&kind| kind == FeatureKind::Circular)
            .collect();
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|error| {
                Error::new(PairError::Threads {
                    threads,
                    reason: error.to_string(),
                })
            })?;
        let mut listener = |fraction| budget.progress.report(fraction).is_ok();
        match pool.install(|| blocks::pair(&self.config, x0, x1, &circular, &mut listener)) {
            Ok(columns) => Ok(Pairing::Rows(columns)),
            Err(PairError::Assignment(AssignmentError::Stopped)) => Err(Error::Stopped),
            Err(error) => Err(Error::new(error)),
        }
    }
}

/// Exact optimal transport between two sets of `n` points with uniform weights, in the current rayon pool: the assignment
/// whose cost is the sum of squared distances. `x0, x1: [n, D]`, `D = circular.len()`. Its matrix takes `4 n^2` bytes.
///
/// # Errors
/// Different numbers of points, values that are not finite.
pub fn transport(
    x0: &[f32],
    x1: &[f32],
    circular: &[bool],
) -> std::result::Result<Assignment, PairError> {
    let dim = circular.len();
    let count = |x: &[f32]| x.len().checked_div(dim).unwrap_or(0);
    let (x0, x1) = (
        Points {
            values: x0,
            n: count(x0),
            dim,
        },
        Points {
            values: x1,
            n: count(x1),
            dim,
        },
    );
    blocks::check(x0, x1, circular)?;
    let mut cost = vec![0f32; x0.n * x0.n];
    cost::squared_distances(x0.values, x1.values, circular, &mut cost);
    Ok(assignment::assign(&cost, x0.n, &mut |_| true)?)
}

regflow_plugin::plugin! { name: "ot", targets: [OptimalTransport] }

#[cfg(feature = "export")]
regflow_plugin::export! {}
