//! A plugin that panics where its configuration says, written as a stranger writes a plugin.

use regflow_plugin::{Error, Feature, Flow, ParameterBuilder, TargetSource, Tensor};
use regflow_plugin::{FeatureKind, Points, Progress};
use serde::{Deserialize, Serialize};

/// Where to panic.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
enum Place {
    Create,
    #[default]
    Forward,
}

#[derive(Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Config {
    /// Where to panic.
    place: Place,
}

struct Panicking;

impl Flow for Panicking {
    type Config = Config;
    const NAME: &'static str = "panicking";
    const DESCRIPTION: &'static str = "Panics";
    const CIRCULAR: bool = true;

    fn build(
        config: Config,
        features: &[Feature],
        _parameters: &ParameterBuilder<'_>,
    ) -> Result<Self, Error> {
        assert!(
            config.place != Place::Create,
            "no way to build {} features",
            features.len()
        );
        Ok(Panicking)
    }

    fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor), Error> {
        panic!("lost at {:?}", x.shape());
    }

    fn inverse(&self, _x: &Tensor) -> Result<(Tensor, Tensor), Error> {
        Err(Error::new("no inverse today"))
    }
}

struct OutOfRange;

impl TargetSource for OutOfRange {
    type Config = Config;
    const NAME: &'static str = "out-of-range";
    const DESCRIPTION: &'static str = "Pairs with points that do not exist";

    fn build(_config: Config) -> Result<Self, Error> {
        Ok(OutOfRange)
    }

    fn pair(
        &self,
        x0: Points<'_>,
        x1: Points<'_>,
        _kinds: &[FeatureKind],
        _threads: usize,
        progress: &Progress,
    ) -> Result<Vec<u32>, Error> {
        progress.report(0.5)?;
        Ok(vec![x1.n as u32; x0.n])
    }
}

regflow_plugin::plugin! { name: "panicking", flows: [Panicking], targets: [OutOfRange] }
regflow_plugin::export! {}
