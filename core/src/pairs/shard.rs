//! One file of pairs: a `.safetensors` with the data side `x1: [n, D]` (f32), where the source has them its own prior side
//! `x0: [n, D]` (f32) and densities `log_q`, `log_det: [n]` (f64), and a JSON header in its metadata.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::PairsError;
use crate::coordinates::FeatureKind;
use crate::math::Fnv;
use crate::system::tensor_file::{self, HeaderFault, f32s, f64s};
use crate::system::write_atomically;

/// Version of the shard format that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;
const HEADER_KEY: &str = "regflow_pairs";
const DATA_KEY: &str = "x1";
const PRIOR_KEY: &str = "x0";
const DENSITY_KEY: &str = "log_q";
const LOG_DET_KEY: &str = "log_det";

/// What a shard says about its pairs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardHeader {
    /// Version of the file format.
    pub format_version: u32,
    /// Seed of the prior side.
    pub prior_seed: u64,
    /// Index of the first prior point; row `i` belongs to prior point `first_index + i`.
    pub first_index: u64,
    /// Kind of each feature, `[D]`.
    pub kinds: Vec<FeatureKind>,
    /// Name of the target source.
    pub source: String,
    /// Its version.
    pub source_version: String,
    /// Its configuration, as given.
    pub config: serde_json::Value,
    /// FNV-1a hash of the data points before they were paired (order included), to tell whether they are still the same.
    pub data_hash: String,
    /// Sum over pairs of the squared distance, differences of circular features wrapped.
    pub total_cost: f64,
}

/// Pairs with consecutive prior points.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// Origin of the pairs.
    pub header: ShardHeader,
    /// Data side, `[n, D]`, in the order of the prior points.
    pub x1: Vec<f32>,
    /// Prior side, `[n, D]`, of a source that made its own.
    pub x0: Option<Vec<f32>>,
    /// As in [`PairRows`](super::PairRows), `[n]`.
    pub log_q: Option<Vec<f64>>,
    /// As in [`PairRows`](super::PairRows), `[n]`.
    pub log_det: Option<Vec<f64>>,
}

impl Shard {
    /// Name of shard number `index` in `directory`.
    pub fn path(directory: &Path, index: usize) -> PathBuf {
        directory.join(format!("pairs-{index:05}.safetensors"))
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.x1.len() / self.header.kinds.len().max(1)
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.x1.is_empty()
    }

    /// Writes the shard through a temporary file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PairsError> {
        let unusable = |reason: String| PairsError::Shard {
            path: path.to_owned(),
            reason,
        };
        let header = serde_json::to_string(&self.header).map_err(|e| unusable(e.to_string()))?;
        let points = |values| {
            (
                Dtype::F32,
                vec![self.len(), self.header.kinds.len()],
                bytemuck::cast_slice::<f32, u8>(values),
            )
        };
        let numbers = |values| {
            (
                Dtype::F64,
                vec![self.len()],
                bytemuck::cast_slice::<f64, u8>(values),
            )
        };
        let arrays = [
            (DATA_KEY, Some(points(&self.x1))),
            (PRIOR_KEY, self.x0.as_deref().map(points)),
            (DENSITY_KEY, self.log_q.as_deref().map(numbers)),
            (LOG_DET_KEY, self.log_det.as_deref().map(numbers)),
        ];
        let views = arrays.into_iter().filter_map(|(name, array)| {
            array.map(|(dtype, shape, bytes)| {
                TensorView::new(dtype, shape, bytes).map(|view| (name, view))
            })
        });
        let bytes = views
            .collect::<Result<Vec<_>, _>>()
            .and_then(|views| {
                let metadata = HashMap::from([(HEADER_KEY.to_owned(), header)]);
                safetensors::serialize(views, Some(metadata))
            })
            .map_err(|e| unusable(e.to_string()))?;
        Ok(write_atomically(path, |file| file.write_all(&bytes))?)
    }

    /// Reads a shard and checks all of it.
    ///
    /// # Errors
    /// A missing, damaged or truncated file, one of another version, values that are not finite.
    pub fn read(path: &Path) -> Result<Shard, PairsError> {
        let unusable = |reason: String| PairsError::Shard {
            path: path.to_owned(),
            reason,
        };
        let bytes = std::fs::read(path).map_err(|source| PairsError::Read {
            path: path.to_owned(),
            source,
        })?;
        // Checks that the file is as long as its header says.
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| unusable(e.to_string()))?;
        let json = tensor_file::header(&bytes, HEADER_KEY, FORMAT_VERSION);
        let json = json.map_err(|fault| match fault {
            HeaderFault::Damaged(reason) => unusable(reason),
            HeaderFault::Version(found) => PairsError::FormatVersion {
                path: path.to_owned(),
                expected: FORMAT_VERSION,
                found,
            },
        })?;
        let header: ShardHeader =
            serde_json::from_value(json).map_err(|e| unusable(format!("its header: {e}")))?;
        let dimension = header.kinds.len();
        let array = |name, dtype, columns: Option<usize>| {
            let Ok(view) = tensors.tensor(name) else {
                return Ok(None);
            };
            let n = view.shape().first().copied().unwrap_or(0);
            let expected: Vec<usize> = [n].into_iter().chain(columns).collect();
            if view.dtype() == dtype && view.shape() == expected {
                return Ok(Some((n, view.data().to_vec())));
            }
            Err(unusable(format!(
                "{name} is {:?} {:?}, expected {dtype:?} {expected:?}",
                view.dtype(),
                view.shape()
            )))
        };
        let Some((n, x1)) = array(DATA_KEY, Dtype::F32, Some(dimension))? else {
            return Err(unusable(format!("it has no {DATA_KEY}")));
        };
        let x1 = f32s(&x1);
        check_finite(DATA_KEY, &x1, dimension).map_err(unusable)?;
        let as_many = |name, found| match found {
            Some((found, _)) if found != n => {
                Err(unusable(format!("{found} values of {name} for {n} pairs")))
            }
            found => Ok(found.map(|(_, bytes)| bytes)),
        };
        let x0 = as_many(PRIOR_KEY, array(PRIOR_KEY, Dtype::F32, Some(dimension))?)?;
        let x0 = x0.as_deref().map(f32s);
        let [log_q, log_det] = [DENSITY_KEY, LOG_DET_KEY].map(|name| {
            let found = as_many(name, array(name, Dtype::F64, None)?)?;
            let values = found.as_deref().map(f64s);
            check_finite(name, values.as_deref().unwrap_or(&[]), 1).map_err(unusable)?;
            Ok::<_, PairsError>(values)
        });
        check_finite(PRIOR_KEY, x0.as_deref().unwrap_or(&[]), dimension).map_err(unusable)?;
        Ok(Shard {
            header,
            x1,
            x0,
            log_q: log_q?,
            log_det: log_det?,
        })
    }
}

/// The first value that is not finite, in words.
fn check_finite<T: Copy + Into<f64>>(name: &str, values: &[T], width: usize) -> Result<(), String> {
    let bad = values.iter().position(|&value| !value.into().is_finite());
    match bad {
        None => Ok(()),
        Some(bad) => Err(format!(
            "pair {}, {name}, column {}: {}",
            bad / width,
            bad % width,
            values[bad].into()
        )),
    }
}

/// Hash of the bits of `values`.
pub(super) fn hash(values: &[f32]) -> String {
    let mut hash = Fnv::default();
    for value in values {
        hash.add(&value.to_le_bytes());
    }
    format!("{:016x}", hash.finish())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn shard() -> Shard {
        Shard {
            header: ShardHeader {
                format_version: FORMAT_VERSION,
                prior_seed: 3,
                first_index: 10,
                kinds: vec![FeatureKind::Real, FeatureKind::Circular],
                source: "ot".into(),
                source_version: "0.1.0".into(),
                config: serde_json::json!({ "block": 7 }),
                data_hash: hash(&[1.0]),
                total_cost: 0.1 + 0.2,
            },
            x1: (0..24).map(|i| i as f32 * 0.1).collect(),
            x0: None,
            log_q: None,
            log_det: None,
        }
    }

    #[test]
    fn comes_back_as_written() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = Shard::path(folder.path(), 2);
        shard().write(&path).expect("written");
        assert_eq!(Shard::read(&path).expect("read"), shard());
        assert_eq!(shard().len(), 12);
        let known = Shard {
            x0: Some((0..24).map(|i| i as f32 * 0.3).collect()),
            log_q: Some((0..12).map(|i| i as f64 / 7.0).collect()),
            log_det: Some((0..12).map(|i| i as f64 / 11.0).collect()),
            ..shard()
        };
        known.write(&path).expect("written");
        assert_eq!(Shard::read(&path).expect("read"), known);
        let fewer = Shard {
            log_q: Some(vec![f64::NAN; 12]),
            ..known
        };
        fewer.write(&path).expect("written");
        let error = Shard::read(&path).expect_err("NaN").to_string();
        assert!(error.contains("pair 0, log_q, column 0: NaN"), "{error}");
    }

    #[test]
    fn damage_is_told() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = Shard::path(folder.path(), 0);
        let error = Shard::read(&path).expect_err("missing").to_string();
        assert!(error.contains("pairs-00000.safetensors"), "{error}");
        shard().write(&path).expect("written");
        let whole = std::fs::read(&path).expect("bytes");
        for keep in [0, 7, 100, whole.len() - 1] {
            std::fs::write(&path, &whole[..keep]).expect("cut");
            let error = Shard::read(&path).expect_err("truncated");
            assert!(matches!(error, PairsError::Shard { .. }), "{error}");
        }
        let mut later = shard();
        later.header.format_version = 2;
        later.write(&path).expect("written");
        let error = Shard::read(&path).expect_err("version").to_string();
        assert!(
            error.contains("version 2") && error.contains("reads 1"),
            "{error}"
        );
        let mut bad = shard();
        bad.x1[5] = f32::NAN;
        bad.write(&path).expect("written");
        let error = Shard::read(&path).expect_err("NaN").to_string();
        assert!(error.contains("pair 2, x1, column 1: NaN"), "{error}");
    }

    #[test]
    fn hash_is_fnv_1a() {
        // Of no bytes, and of the four bytes of 0.0, by the definition.
        assert_eq!(hash(&[]), "cbf29ce484222325");
        assert_eq!(hash(&[0.0]), "4d25767f9dce13f5");
    }
}
