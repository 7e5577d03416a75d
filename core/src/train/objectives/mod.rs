//! What a stage minimises (MATH "Training objectives"): one file for each objective, and one line of registration here.
//!
//! An objective has two sides. Its [`Settings`] are what a stage's file says under its name: they are checked, and say what the
//! objective needs, before anything is computed. [`Running`] is the objective at work in a stage: it makes batches, has their
//! loss, judges the model on what was held out, and keeps a state of its own in the checkpoint. The loop knows both traits and no
//! objective.

mod batch;
mod likelihood;
mod polish;
mod regression;
mod terms;

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub(super) use batch::{Batch, Rows};
pub use likelihood::Likelihood;
pub use polish::PolishOptions;
pub use regression::{Regression, Regularisation};

use super::gradient::unflatten;
use super::options::Stage;
use super::state::Judgement;
use super::{TrainError, optimiser::Weights};
use crate::dataset::Dataset;
use crate::energy::Energy;
use crate::model::Model;
use crate::pairs::Pairs;
use crate::plugin::Flow;
use crate::tensor::Tensor;

/// What an objective must be given beside the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Pairs of prior and data points.
    pub pairs: bool,
    /// The target's energy.
    pub energy: bool,
    /// Its forces.
    pub forces: bool,
}

impl Needs {
    /// What either needs.
    pub fn and(self, other: Needs) -> Needs {
        Needs {
            pairs: self.pairs || other.pairs,
            energy: self.energy || other.energy,
            forces: self.forces || other.forces,
        }
    }
}

/// Settings of an objective: what a stage's file says under its name.
pub(super) trait Settings:
    Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned
{
    /// The name in files and on the command line.
    const NAME: &'static str;
    /// What loss and validation measure, in words.
    const LOSS: &'static str;

    /// Checks that the settings are in their range, alone and with what else the stage says.
    fn validate(&self, stage: &Stage) -> Result<(), TrainError>;

    /// What it must be given.
    fn needs(&self) -> Needs;

    /// Sets to work.
    fn begin<'a>(&'a self, context: Context<'a>) -> Result<Box<dyn Running + 'a>, TrainError>;
}

/// An objective at work in a stage. Losses are evaluated by several threads at once, all else by the one that trains.
pub(super) trait Running: Sync {
    /// The rows of a step.
    fn batch(&mut self, at: &At) -> Result<Batch, TrainError>;

    /// Sum of the losses of all rows, `[]` in f64: sums of parts of a batch add up to that of the whole.
    fn loss(&self, network: Network, rows: &Rows) -> Result<Tensor, TrainError>;

    /// What a step differentiates by the parameters, and the sums to be told: the loss itself for most.
    fn differentiable(&self, model: &Model, rows: &Rows) -> Result<(Tensor, Sums), TrainError> {
        let sum = self.loss(Network::training(model), rows)?;
        let loss = sum.to_scalar::<f64>()?;
        Ok((sum, Sums { loss, slope: 0.0 }))
    }

    /// Hears after a step what its mean slope was.
    fn stepped(&mut self, _slope: f64) {}

    /// What the model as it is, with averaged parameters, is worth.
    fn judge(&mut self) -> Result<Judgement, TrainError>;

    /// All that its next batch depends on beside the weights and the [`At`]: kept in the checkpoint.
    fn state(&self) -> Arrays {
        Arrays::new()
    }

    /// The reverse of [`Running::state`], or why the arrays cannot be its own.
    fn restore(&mut self, state: Arrays) -> Result<(), String> {
        match state.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("there is no use for its array {name}")),
        }
    }

    /// Mean part of the weight of its samples that clipping took away, for one that clips weights.
    fn clipped(&self) -> Option<f64> {
        None
    }
}

/// What is told of rows, summed over them, or their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// The loss.
    pub loss: f64,
    /// Square of the slope along the path, per feature, of an objective that follows it.
    pub slope: f64,
}

/// State of an objective, by names of its own choice.
pub(super) type Arrays = BTreeMap<String, Array>;

/// One array of a state.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Array {
    F32(Vec<f32>),
    F64(Vec<f64>),
    U64(Vec<u64>),
}

/// What an objective works with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub model: &'a Model,
    pub dataset: &'a Dataset,
    pub pairs: Option<&'a Pairs>,
    pub energy: Option<&'a dyn Energy>,
    pub stage: &'a Stage,
    pub seed: u64,
}

impl<'a> Context<'a> {
    /// The pairs, of an objective that needs them.
    pub fn pairs(&self) -> Result<&'a Pairs, TrainError> {
        self.pairs.ok_or(self.missing("pairs of a target source"))
    }

    /// The energy, of an objective that needs it.
    pub fn energy(&self) -> Result<&'a dyn Energy, TrainError> {
        self.energy.ok_or(self.missing("the target's energy"))
    }

    /// Checks that there is all that the stage's objective needs.
    pub fn check(&self) -> Result<(), TrainError> {
        let needs = self.stage.objective.needs();
        if needs.pairs {
            self.pairs()?;
        }
        if needs.energy || needs.forces {
            let energy = self.energy()?;
            if needs.forces && !energy.has_forces() {
                return Err(self.missing(
                    "forces, which this energy does not have; with `forces` set to false in its settings it does without",
                ));
            }
        }
        Ok(())
    }

    fn missing(&self, what: &'static str) -> TrainError {
        TrainError::Missing {
            objective: self.stage.objective.name(),
            what,
        }
    }
}

/// Where a stage stands when it asks for a batch.
pub(super) struct At<'a> {
    /// First row of the endless sequence of frames or pairs.
    pub first: usize,
    /// Rows asked for.
    pub size: usize,
    /// Steps before this one, over all stages.
    pub step: usize,
    model: &'a Model,
    weights: &'a Weights,
}

impl<'a> At<'a> {
    pub fn new(model: &'a Model, weights: &'a Weights, [first, size, step]: [usize; 3]) -> At<'a> {
        At {
            first,
            size,
            step,
            model,
            weights,
        }
    }

    /// Runs `f` while the model has its averaged parameters.
    pub fn averaged<T>(&self, f: impl FnOnce() -> Result<T, TrainError>) -> Result<T, TrainError> {
        unflatten(self.model, &self.weights.average)?;
        let result = f();
        unflatten(self.model, &self.weights.parameters)?;
        result
    }
}

/// The networks of a model, with or without a graph of gradients.
#[derive(Clone, Copy)]
pub(super) struct Network<'a> {
    model: &'a Model,
    training: bool,
}

impl<'a> Network<'a> {
    /// With a graph.
    pub fn training(model: &'a Model) -> Self {
        Network {
            model,
            training: true,
        }
    }

    /// Without one.
    pub fn plain(model: &'a Model) -> Self {
        Network {
            model,
            training: false,
        }
    }

    /// The flow.
    pub fn flow(&self) -> &'a Flow {
        if self.training {
            self.model.training_flow()
        } else {
            self.model.flow()
        }
    }
}

macro_rules! objectives {
    ($($(#[$doc:meta])* $name:ident($settings:ty),)*) => {
        /// What a stage of a training run minimises, with its settings.
        ///
        /// In files it is two entries of its stage: `objective`, the name, and under that name the settings, which may be left out.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Objective {
            $($(#[$doc])* $name($settings),)*
        }

        impl Objective {
            /// The names of all.
            pub const NAMES: &'static [&'static str] = &[$(<$settings as Settings>::NAME),*];

            /// The name in files and on the command line.
            pub fn name(&self) -> &'static str {
                match self { $(Objective::$name(_) => <$settings as Settings>::NAME,)* }
            }

            /// What its loss and its validation measure, in words.
            pub fn loss(&self) -> &'static str {
                match self { $(Objective::$name(_) => <$settings as Settings>::LOSS,)* }
            }

            /// The objective of this name with its settings; those that are left out have their defaults.
            ///
            /// # Errors
            /// There is no such name, or a setting is unknown or of the wrong type.
            pub fn new(name: &str, settings: Value) -> Result<Objective, String> {
                $(if name == <$settings as Settings>::NAME {
                    return serde_json::from_value(settings)
                        .map(Objective::$name)
                        .map_err(|e| format!("settings of {name}: {e}"));
                })*
                Err(format!("there is no objective {name:?}; there are {}", Objective::NAMES.join(", ")))
            }

            /// What it must be given.
            pub fn needs(&self) -> Needs {
                match self { $(Objective::$name(settings) => settings.needs(),)* }
            }

            pub(super) fn validate(&self, stage: &Stage) -> Result<(), TrainError> {
                match self { $(Objective::$name(settings) => settings.validate(stage),)* }
            }

            pub(super) fn begin<'a>(&'a self, context: Context<'a>) -> Result<Box<dyn Running + 'a>, TrainError> {
                match self { $(Objective::$name(settings) => settings.begin(context),)* }
            }

            fn settings(&self) -> serde_json::Result<Value> {
                match self { $(Objective::$name(settings) => serde_json::to_value(settings),)* }
            }
        }
    };
}

objectives! {
    /// Maximum likelihood of the frames.
    Likelihood(Likelihood),
    /// l2 regression on pairs of a target source.
    Regression(Regression),
    /// Divergence between flow and target, by the energy.
    Polish(PolishOptions),
}

impl Default for Objective {
    fn default() -> Self {
        Objective::Likelihood(Likelihood::default())
    }
}

const KEY: &str = "objective";

impl Serialize for Objective {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = self.settings().map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(KEY, self.name())?;
        if settings.as_object().is_none_or(|object| !object.is_empty()) {
            map.serialize_entry(self.name(), &settings)?;
        }
        map.end()
    }
}

/// Reads what is left of a stage's entries once its own are taken.
impl<'de> Deserialize<'de> for Objective {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = Map::deserialize(deserializer)?;
        let name = rest.remove(KEY);
        let mut unknown = rest
            .keys()
            .filter(|key| !Objective::NAMES.contains(&key.as_str()));
        if let Some(key) = unknown.next() {
            let known = Stage::entries().join("`, `");
            return Err(D::Error::custom(format!(
                "unknown field `{key}` in a stage, expected `{KEY}`, `{known}`, or the name of its objective"
            )));
        }
        let name = match name {
            Some(Value::String(name)) => name,
            Some(other) => {
                return Err(D::Error::custom(format!("{KEY} is {other}, not a name")));
            }
            None => {
                let names = Objective::NAMES.join(", ");
                return Err(D::Error::custom(format!(
                    "a stage needs its {KEY}: one of {names}"
                )));
            }
        };
        let settings = rest.remove(&name).unwrap_or(Value::Object(Map::new()));
        let objective = Objective::new(&name, settings).map_err(D::Error::custom)?;
        match rest.keys().next() {
            None => Ok(objective),
            Some(other) => Err(D::Error::custom(format!(
                "settings of {other} in a stage whose {KEY} is {name}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(json: &str) -> Result<Stage, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn an_objective_is_a_name_and_settings_under_it() {
        let found =
            stage(r#"{"steps": 7, "objective": "regression", "regression": {"weight": 0.5}}"#);
        let found = found.unwrap();
        let settings = Regression {
            weight: 0.5,
            ..Regression::default()
        };
        assert_eq!(found.objective, Objective::Regression(settings));
        assert_eq!(found.steps, 7);
        for name in Objective::NAMES {
            let found = stage(&format!(r#"{{"objective": "{name}"}}"#)).unwrap();
            assert_eq!(found.objective.name(), *name);
            let text = serde_json::to_string(&found).unwrap();
            assert_eq!(stage(&text).unwrap(), found, "{text}");
        }
    }

    #[test]
    fn what_does_not_belong_to_a_stage_is_refused() {
        let refused = |json: &str, what: &[&str]| {
            let error = stage(json).unwrap_err();
            for what in what {
                assert!(error.contains(what), "{error}");
            }
        };
        refused(r#"{"step": 3}"#, &["unknown field `step`", "learning_rate"]);
        refused(
            r#"{"steps": 3}"#,
            &["needs its objective", "likelihood, regression, polish"],
        );
        refused(
            r#"{"objective": "elbo"}"#,
            &["no objective \"elbo\"", "polish"],
        );
        refused(r#"{"objective": 3}"#, &["objective is 3"]);
        refused(
            r#"{"objective": "polish", "regression": {}}"#,
            &["settings of regression", "is polish"],
        );
        refused(
            r#"{"objective": "polish", "polish": {"buffr": 3}}"#,
            &["settings of polish", "unknown field `buffr`", "buffer"],
        );
        refused(
            r#"{"objective": "likelihood", "likelihood": {"weight": 3}}"#,
            &["settings of likelihood", "weight"],
        );
    }
}
