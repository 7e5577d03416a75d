//! The checkpoint of a run: one `.safetensors` with its [`State`], and the settings that it belongs to as JSON.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::fingerprint::Fingerprint;
use super::objectives::{Array, Arrays};
use super::optimiser::Weights;
use super::state::{Position, State};
use crate::system::write_atomically;

/// Version of the checkpoint that this program reads and writes.
const FORMAT_VERSION: u32 = 3;
/// Key of the JSON header in the file's metadata.
const HEADER_KEY: &str = "regflow_checkpoint";
/// Before the names of the best weights' arrays.
const BEST: &str = "best.";
/// Before the names of an objective's arrays.
const OBJECTIVE: &str = "objective.";

/// Where a run is saved, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The file. It is replaced as a whole, through a temporary file beside it.
    pub path: PathBuf,
    /// Seconds between two checkpoints; 0: one after every step.
    pub every: f64,
    /// Continue from the file instead of starting anew.
    pub resume: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format_version: u32,
    run: Fingerprint,
    position: Position,
    steps: [u32; 2],
}

/// Numbers of an array.
enum Values<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    U64(&'a [u64]),
}

impl<'a> Values<'a> {
    fn view(&self) -> Result<TensorView<'a>, SafeTensorError> {
        let (dtype, size, bytes) = match *self {
            Values::F32(values) => (Dtype::F32, values.len(), bytemuck::cast_slice(values)),
            Values::F64(values) => (Dtype::F64, values.len(), bytemuck::cast_slice(values)),
            Values::U64(values) => (Dtype::U64, values.len(), bytemuck::cast_slice(values)),
        };
        TensorView::new(dtype, vec![size], bytes)
    }
}

/// Writes the state.
pub(super) fn save(path: &Path, run: &Fingerprint, state: &State) -> Result<(), TrainError> {
    let broken = |reason: String| TrainError::Checkpoint {
        path: path.to_owned(),
        reason,
    };
    let header = Header {
        format_version: FORMAT_VERSION,
        run: run.clone(),
        position: state.position.clone(),
        steps: [state.weights.step, state.best.step],
    };
    let header = serde_json::to_string(&header).map_err(|e| broken(e.to_string()))?;
    let mut arrays = Vec::new();
    for (prefix, weights) in [("", &state.weights), (BEST, &state.best)] {
        for (name, values) in named(weights) {
            arrays.push((format!("{prefix}{name}"), Values::F32(values)));
        }
    }
    for (name, array) in &state.objective {
        let values = match array {
            Array::F32(values) => Values::F32(values),
            Array::F64(values) => Values::F64(values),
            Array::U64(values) => Values::U64(values),
        };
        arrays.push((format!("{OBJECTIVE}{name}"), values));
    }
    let views = arrays
        .into_iter()
        .map(|(name, values)| Ok((name, values.view()?)))
        .collect::<Result<Vec<_>, SafeTensorError>>()
        .map_err(|e| broken(e.to_string()))?;
    let metadata = HashMap::from([(HEADER_KEY.to_owned(), header)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| broken(e.to_string()))?;
    write_atomically(path, |file| file.write_all(&bytes))?;
    Ok(())
}

/// Reads the state of a run that is the same as `run`, of a model of `n_parameters`.
pub(super) fn load(
    path: &Path,
    run: &Fingerprint,
    n_parameters: usize,
) -> Result<State, TrainError> {
    let broken = |reason: String| TrainError::Checkpoint {
        path: path.to_owned(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|source| TrainError::ReadCheckpoint {
        path: path.to_owned(),
        source,
    })?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
    let text = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(HEADER_KEY))
        .ok_or_else(|| broken("it is not a checkpoint of a training run".into()))?;
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|e| broken(format!("its header: {e}")))?;
    // The version first: another version's header need not fit this version's type.
    let version = json.get("format_version").and_then(|v| v.as_u64());
    if version != Some(u64::from(FORMAT_VERSION)) {
        let found = version.map_or("none".into(), |v| v.to_string());
        return Err(broken(format!(
            "its format version is {found}, this program reads {FORMAT_VERSION}"
        )));
    }
    let header: Header =
        serde_json::from_value(json).map_err(|e| broken(format!("its header: {e}")))?;
    let names = run.keys().chain(header.run.keys());
    if let Some(name) = names.into_iter().find(|&n| run.get(n) != header.run.get(n)) {
        let text = |run: &Fingerprint| run.get(name).map_or("none".into(), |v| v.to_string());
        return Err(TrainError::OtherRun {
            path: path.to_owned(),
            name: name.clone(),
            expected: text(&header.run),
            found: text(run),
        });
    }

    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
    // The file's bytes need not be aligned; the format is little-endian.
    let floats = |name: &str| -> Result<Vec<f32>, TrainError> {
        let view = tensors
            .tensor(name)
            .map_err(|e| broken(format!("array {name}: {e}")))?;
        if view.dtype() != Dtype::F32 || view.shape() != [n_parameters] {
            return Err(broken(format!(
                "array {name} is {:?} {:?}, which does not fit the model",
                view.dtype(),
                view.shape()
            )));
        }
        Ok(numbers(view.data(), f32::from_le_bytes))
    };
    let weights = |prefix: &str, step| -> Result<Weights, TrainError> {
        let part = |name| floats(&format!("{prefix}{name}"));
        Ok(Weights {
            parameters: part("parameters")?,
            first: part("first")?,
            second: part("second")?,
            average: part("average")?,
            step,
        })
    };
    let mut objective = Arrays::new();
    for (name, view) in tensors.tensors() {
        let Some(own) = name.strip_prefix(OBJECTIVE) else {
            continue;
        };
        let data = view.data();
        let array = match view.dtype() {
            Dtype::F32 => Array::F32(numbers(data, f32::from_le_bytes)),
            Dtype::F64 => Array::F64(numbers(data, f64::from_le_bytes)),
            Dtype::U64 => Array::U64(numbers(data, u64::from_le_bytes)),
            other => return Err(broken(format!("array {name} is {other:?}"))),
        };
        objective.insert(own.to_owned(), array);
    }
    Ok(State {
        weights: weights("", header.steps[0])?,
        best: weights(BEST, header.steps[1])?,
        objective,
        position: header.position,
    })
}

/// Numbers from their little-endian bytes.
fn numbers<T, const N: usize>(data: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
    let (values, _) = data.as_chunks();
    values.iter().map(|&bytes| from(bytes)).collect()
}

fn named(weights: &Weights) -> [(&'static str, &Vec<f32>); 4] {
    [
        ("parameters", &weights.parameters),
        ("first", &weights.first),
        ("second", &weights.second),
        ("average", &weights.average),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::state::{Best, Judgement, StageSummary};

    fn state() -> State {
        let mut state = State::new(vec![0.1, -2.5e-30, 3.0]);
        state.weights.first = vec![1.0, 2.0, f32::MIN_POSITIVE];
        state.weights.step = 17;
        state.position.best = Some(Best {
            judgement: Judgement {
                ess: Some(1.0 / 3.0),
                ..Judgement::by_loss(0.1 + 0.2)
            },
            step: 4,
            age: 2,
            level: Some(0.7),
        });
        state.position.done.push(StageSummary {
            objective: "likelihood".into(),
            steps: 3,
            seconds: 0.1,
            loss: 1e-300,
            before: Judgement::by_loss(-6.0),
            after: Judgement::by_loss(-7.0),
            best_step: 2,
            stopped_early: true,
            overfitted: true,
            returns: 1,
            retreats: 0,
            diverged: None,
            clipped: None,
            noted: Some(serde_json::json!({ "ess_per_n": 0.1 })),
        });
        state.objective = Arrays::from([
            ("features".into(), Array::F32(vec![1.0, 2.0])),
            ("nothing".into(), Array::F32(vec![])),
            (
                "log_weight".into(),
                Array::F64(vec![f64::NEG_INFINITY, 0.1]),
            ),
            ("drawn".into(), Array::U64(vec![u64::MAX - 3])),
        ]);
        state
    }

    fn run(steps: u32) -> Fingerprint {
        Fingerprint::from([("steps".to_owned(), steps.into())])
    }

    #[test]
    fn keeps_every_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.checkpoint");
        save(&path, &run(1), &state()).unwrap();
        assert_eq!(load(&path, &run(1), 3).unwrap(), state());
    }

    #[test]
    fn continues_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.checkpoint");
        save(&path, &run(1), &state()).unwrap();
        let message = |found: Result<State, TrainError>| found.unwrap_err().to_string();
        let error = message(load(&path, &run(2), 3));
        assert!(
            error.contains("steps") && error.contains("with 1"),
            "{error}"
        );
        assert!(message(load(&path, &run(1), 4)).contains("does not fit the model"));
        assert!(message(load(&folder.path().join("none"), &run(1), 3)).contains("none"));
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 4, 100, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(
                message(load(&path, &run(1), 3)).contains("run.checkpoint"),
                "{length}"
            );
        }
    }
}
