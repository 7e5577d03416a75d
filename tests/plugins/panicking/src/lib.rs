//! A plugin that panics where its configuration says, written as a stranger writes a plugin.

use regflow_plugin::{Batch, Budget, EnergySource, FeatureKind, Pairing, Points};
use regflow_plugin::{Error, Feature, Flow, ParameterBuilder, TargetSource, Tensor};
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
        budget: &Budget<'_>,
    ) -> Result<Pairing, Error> {
        budget.progress.report(0.5)?;
        Ok(Pairing::Rows(vec![x1.n as u32; x0.n]))
    }
}

struct Unstable;

impl EnergySource for Unstable {
    type Config = Config;
    type Context = ();
    const NAME: &'static str = "unstable";
    const DESCRIPTION: &'static str =
        "Panics left of the origin, has no energy in it, and fails far away";

    fn build(_config: Config) -> Result<Self, Error> {
        Ok(Unstable)
    }

    fn n_atoms(&self) -> usize {
        1
    }

    fn context(&self) -> Result<(), Error> {
        Ok(())
    }

    fn compute(&self, _context: &mut (), batch: &mut Batch<'_>) -> Result<(), Error> {
        for index in 0..batch.n() {
            let configuration = batch.configuration(index);
            match configuration.positions[0] {
                x if x < 0.0 => panic!("lost at {x}"),
                x if x > 100.0 => return Err(Error::new("too far")),
                0.0 => batch.refuse(index, "the origin has no energy"),
                x => {
                    *configuration.energy = x.ln();
                    if let Some(forces) = configuration.forces {
                        forces.copy_from_slice(&[-1.0 / x, 0.0, 0.0]);
                    }
                }
            }
        }
        Ok(())
    }
}

regflow_plugin::plugin! {
    name: "panicking",
    flows: [Panicking],
    targets: [OutOfRange],
    energies: [Unstable],
}
regflow_plugin::export! {}
