//! Optimal-transport pairs: each prior point gets a data point of its own, such that the sum of squared distances is the
//! least possible. Distances are Euclidean in feature space, along the shorter way round for circular features.
//!
//! Exact for up to `block` points; more are divided into blocks of random points, each of which is solved exactly.

mod blocks;

use rayon::ThreadPoolBuilder;
use regflow_assignment::{AssignmentError, TransportError};

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
}

impl Default for Config {
    fn default() -> Self {
        Config {
            block: 10_000,
            memory_gb: 1.0,
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
    /// The cost matrix of a block is allowed, but there is no memory for it.
    #[error(
        "there is no memory for the cost matrix of blocks of {points} points: set `block` to less"
    )]
    NoMemory {
        /// Points of the largest block.
        points: usize,
    },
    /// The points do not fit each other, or their assignment failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
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
        match pool
            .install(|| blocks::pair(&self.config, budget.seed, x0, x1, &circular, &mut listener))
        {
            Ok(columns) => Ok(Pairing::Rows(columns)),
            Err(PairError::Transport(TransportError::Assignment(AssignmentError::Stopped))) => {
                Err(Error::Stopped)
            }
            Err(error) => Err(Error::new(error)),
        }
    }
}

regflow_plugin::plugin! { name: "ot", targets: [OptimalTransport] }

#[cfg(feature = "export")]
regflow_plugin::export! {}
