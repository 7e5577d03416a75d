//! The checkpoint of a run: one `.safetensors` with its [`State`], and the settings that it belongs to as JSON.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::optimiser::Weights;
use super::polish::Buffer;
use super::state::{Position, State};
use crate::system::write_atomically;

/// Version of the checkpoint that this program reads and writes.
const FORMAT_VERSION: u32 = 1;
/// Key of the JSON header in the file's metadata.
const HEADER_KEY: &str = "regflow_checkpoint";

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

/// What a run depends on, by name: a checkpoint continues only a run for which all of it is the same.
pub(super) type Fingerprint = BTreeMap<String, serde_json::Value>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format_version: u32,
    run: Fingerprint,
    position: Position,
    buffer_next: usize,
    buffer_drawn: u64,
    steps: [u32; 2],
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
        buffer_next: state.buffer.next,
        buffer_drawn: state.buffer.drawn,
        steps: [state.weights.step, state.good.step],
    };
    let header = serde_json::to_string(&header).map_err(|e| broken(e.to_string()))?;
    let mut views = Vec::new();
    let mut add = |name: String, dtype, size: usize, bytes| {
        TensorView::new(dtype, vec![size], bytes).map(|view| views.push((name, view)))
    };
    let weights = [("", &state.weights), ("good.", &state.good)];
    let mut arrays = vec![
        ("best".to_owned(), &state.best),
        ("buffer.features".to_owned(), &state.buffer.features),
        ("buffer.scores".to_owned(), &state.buffer.scores),
    ];
    for (prefix, weights) in weights {
        for (name, values) in named(weights) {
            arrays.push((format!("{prefix}{name}"), values));
        }
    }
    for (name, values) in arrays {
        add(name, Dtype::F32, values.len(), bytemuck::cast_slice(values))
            .map_err(|e| broken(e.to_string()))?;
    }
    let log_weight = &state.buffer.log_weight;
    add(
        "buffer.log_weight".into(),
        Dtype::F64,
        log_weight.len(),
        bytemuck::cast_slice(log_weight),
    )
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
    let array = |name: &str, dtype: Dtype, expected: Option<usize>| {
        let view = tensors
            .tensor(name)
            .map_err(|e| broken(format!("array {name}: {e}")))?;
        let len = view.shape().iter().product::<usize>();
        if view.dtype() != dtype || expected.is_some_and(|expected| expected != len) {
            return Err(broken(format!(
                "array {name} is {:?} {:?}, which does not fit the model",
                view.dtype(),
                view.shape()
            )));
        }
        Ok(view)
    };
    // The file's bytes need not be aligned; the format is little-endian.
    let floats = |name: &str, expected| -> Result<Vec<f32>, TrainError> {
        let view = array(name, Dtype::F32, expected)?;
        let (values, _) = view.data().as_chunks();
        Ok(values.iter().map(|&b| f32::from_le_bytes(b)).collect())
    };
    let weights = |prefix: &str, step| -> Result<Weights, TrainError> {
        let part = |name| floats(&format!("{prefix}{name}"), Some(n_parameters));
        Ok(Weights {
            parameters: part("parameters")?,
            first: part("first")?,
            second: part("second")?,
            average: part("average")?,
            step,
        })
    };
    let log_weight = array("buffer.log_weight", Dtype::F64, None)?;
    let (log_weight, _) = log_weight.data().as_chunks();
    let buffer = Buffer {
        features: floats("buffer.features", None)?,
        scores: floats("buffer.scores", None)?,
        log_weight: log_weight.iter().map(|&b| f64::from_le_bytes(b)).collect(),
        next: header.buffer_next,
        drawn: header.buffer_drawn,
    };
    Ok(State {
        weights: weights("", header.steps[0])?,
        good: weights("good.", header.steps[1])?,
        best: floats("best", Some(n_parameters))?,
        buffer,
        position: header.position,
    })
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
    use crate::train::Objective;
    use crate::train::state::{Best, StageSummary};

    fn state() -> State {
        let mut state = State::new(vec![0.1, -2.5e-30, 3.0]);
        state.weights.first = vec![1.0, 2.0, f32::MIN_POSITIVE];
        state.weights.step = 17;
        state.position.best = Some(Best {
            validation: 0.1 + 0.2,
            ess: Some(1.0 / 3.0),
            step: 4,
            age: 2,
        });
        state.position.done.push(StageSummary {
            objective: Objective::Likelihood,
            steps: 3,
            seconds: 0.1,
            loss: 1e-300,
            validation: -7.0,
            ess: None,
            best_step: 2,
            stopped_early: true,
            retreats: 0,
            clipped: None,
        });
        state.buffer = Buffer {
            features: vec![1.0, 2.0],
            scores: vec![],
            log_weight: vec![f64::NEG_INFINITY, 0.1],
            next: 1,
            drawn: u64::MAX - 3,
        };
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
