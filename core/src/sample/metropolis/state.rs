//! Saving and restoring a move, for restart files of engines.

use serde::{Deserialize, Serialize};

use super::error::MoveError;
use super::{Metropolis, MoveStatistics};
use crate::math::Fnv;
use crate::tensor::DType;

/// First bytes of a saved state; the digit is the version of its format.
const MAGIC: &str = "regflow-move-1 ";
/// Digits of the checksum of the text that follows it.
const CHECKSUM: usize = 16;

/// Everything that changes in the life of a [`Metropolis`]. Proposals come again from seed and round.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    model: String,
    options: String,
    round: u64,
    statistics: MoveStatistics,
}

impl Metropolis {
    /// The state, in some 300 bytes: a move that is made with the same model and options and restored from it goes on as this
    /// one would, to the same bits. A proposal that was not decided on is drawn again.
    ///
    /// # Errors
    /// The model's parameters cannot be read from the device.
    pub fn save(&self) -> Result<Vec<u8>, MoveError> {
        let state = State {
            model: self.model_fingerprint()?,
            options: self.options_fingerprint(),
            round: self.round,
            statistics: self.statistics,
        };
        // The text is no worse than a binary format of its own, and says what it is; floats keep every bit.
        let text = serde_json::to_string(&state).map_err(|error| MoveError::State {
            reason: error.to_string(),
        })?;
        Ok(format!("{MAGIC}{} {text}", checksum(text.as_bytes())).into_bytes())
    }

    /// Goes on from what [`Metropolis::save`] gave.
    ///
    /// # Errors
    /// The state is damaged, or of another model or other options. Then nothing has changed.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), MoveError> {
        let refuse = |reason: &str| MoveError::State {
            reason: reason.into(),
        };
        let rest = state
            .strip_prefix(MAGIC.as_bytes())
            .ok_or_else(|| refuse("it does not begin as one that this version of RegFlow saved"))?;
        let state: State = rest
            .split_at_checked(CHECKSUM + 1)
            .filter(|(sum, text)| *sum == format!("{} ", checksum(text)).as_bytes())
            .and_then(|(_, text)| serde_json::from_slice(text).ok())
            .ok_or_else(|| refuse("it is damaged"))?;
        if state.model != self.model_fingerprint()? {
            return Err(refuse("it is of another model"));
        }
        if state.options != self.options_fingerprint() {
            return Err(refuse(
                "it was saved with other options (temperature, seed, batch, walkers, atoms, frame or placement)",
            ));
        }
        self.round = state.round;
        self.statistics = state.statistics;
        self.drawn = None;
        self.pending = None;
        Ok(())
    }

    fn model_fingerprint(&self) -> Result<String, MoveError> {
        let mut hash = Fnv::default();
        let header = self.model.header();
        for part in [
            serde_json::to_string(&header.architecture),
            serde_json::to_string(&header.topology),
        ] {
            hash.add(part.unwrap_or_default().as_bytes());
        }
        hash.add(&header.coordinates.fingerprint().to_le_bytes());
        for (name, value) in self.model.parameters().iter() {
            hash.add(name.as_bytes());
            let values = value
                .as_tensor()
                .to_dtype(DType::F32)
                .and_then(|tensor| tensor.flatten_all()?.to_vec1::<f32>())
                .map_err(crate::model::ModelError::from)?;
            hash.add(bytemuck::cast_slice(&values));
        }
        Ok(format!("{:016x}", hash.finish()))
    }

    fn options_fingerprint(&self) -> String {
        let mut hash = Fnv::default();
        let layout = serde_json::to_string(&self.layout).unwrap_or_default();
        hash.add(layout.as_bytes());
        hash.add(&self.temperature.to_bits().to_le_bytes());
        hash.add(&self.seed.to_le_bytes());
        hash.add(&(self.batch as u64).to_le_bytes());
        format!("{:016x}", hash.finish())
    }
}

fn checksum(text: &[u8]) -> String {
    let mut hash = Fnv::default();
    hash.add(text);
    format!("{:0CHECKSUM$x}", hash.finish())
}
