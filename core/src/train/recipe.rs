//! Ready-made sequences of stages.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Likelihood, Objective, PolishOptions, Stage};

/// A training run by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipe {
    /// Likelihood only: a first model soon.
    Fast,
    /// Likelihood until the data are used up, then a polish with the energy.
    Default,
    /// The same with a wider margin for both, for models that are kept.
    Best,
}

impl Recipe {
    /// All of them.
    pub const ALL: [Recipe; 3] = [Recipe::Fast, Recipe::Default, Recipe::Best];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Recipe::Fast => "fast",
            Recipe::Default => "default",
            Recipe::Best => "best",
        }
    }

    /// Its stages.
    pub fn stages(self) -> Vec<Stage> {
        // A little noise and a stop in time keep small data sets from being memorised.
        let likelihood = |steps| Stage {
            objective: Objective::Likelihood(Likelihood::default()),
            steps,
            noise: 0.05,
            ..Stage::default()
        };
        // Path gradients have a heavy tail: larger steps roughen the flow until they diverge.
        let polish = |steps| Stage {
            objective: Objective::Polish(PolishOptions::default()),
            steps,
            batch: 1024,
            learning_rate: 2e-4,
            clip: 4.0,
            ema: 0.998,
            ..Stage::default()
        };
        match self {
            Recipe::Fast => vec![likelihood(1000)],
            Recipe::Default => vec![likelihood(2000), polish(2500)],
            Recipe::Best => vec![likelihood(3000), polish(15_000)],
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Recipe {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Recipe::ALL
            .into_iter()
            .find(|recipe| recipe.name() == name)
            .ok_or_else(|| {
                let names = Recipe::ALL.map(Recipe::name).join(", ");
                format!("there is no recipe {name:?}; there are {names}")
            })
    }
}
