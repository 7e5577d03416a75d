//! The pairs of a training run: made once, then streamed in a new order every epoch.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::Serialize;

use super::rows::squared_distance;
use super::shard::hash;
use super::{FORMAT_VERSION, PairRows, PairsError, Shard, ShardHeader, given};
use crate::dataset::Dataset;
use crate::math::{Purpose, Random, Streams};
use crate::model::{Model, Prior};
use crate::plugin::{self, Target, Task};

/// Most pairs in a shard. Pairs are made shard by shard, and one shard at a time is read back.
const SHARD: usize = 65_536;
/// Of the user's pairs, one of so many blocks is held out.
const USER_HELD_OUT: u64 = 20;
/// How the user's own pairs are asked for.
const FILE_PREFIX: &str = "file:";

/// What pairs to make.
#[derive(Clone, Debug)]
pub struct PairOptions {
    /// Name or path of a target plugin, or `file:PATH` for pairs of the user's own: an `.npz` or `.safetensors`
    /// file with arrays `x0` and `x1`, and if known `log_q` and `log_det` (see [`PairRows`]).
    pub source: String,
    /// Configuration of the plugin.
    pub config: serde_json::Value,
    /// Number of pairs to make; a file gives all that it has.
    pub count: usize,
    /// Folder for the shards; they stay in memory without one. Shards that are there are used again if everything that
    /// they depend on is the same, and replaced otherwise.
    pub directory: Option<PathBuf>,
    /// Seed of the prior side.
    pub seed: u64,
}

/// What a training record tells about pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairSummary {
    /// As in [`PairOptions`].
    pub source: String,
    /// As in [`PairOptions`].
    pub config: serde_json::Value,
    /// Number of pairs.
    pub count: usize,
    /// As in [`PairOptions`].
    pub seed: u64,
    /// Mean squared distance of a pair, differences of circular features wrapped.
    pub mean_cost: f64,
}

/// Pairs of prior and data points, for training and for validation.
pub struct Pairs {
    prior: Prior,
    summary: PairSummary,
    /// First pair of each shard, and the number of all pairs at the end.
    bounds: Vec<usize>,
    storage: Storage,
    validation: PairRows,
    /// The shard in use.
    current: Mutex<Option<Arc<Loaded>>>,
}

enum Storage {
    /// Shards whose prior side comes from its seed, unless they have one.
    Memory(Vec<Shard>),
    /// As `Memory`, in the shards of a folder.
    Folder(PathBuf),
    /// Both sides as given.
    Given(PairRows),
}

/// A shard in the order of an epoch.
struct Loaded {
    /// Shard, epoch and seed.
    key: (usize, usize, u64),
    order: Vec<u32>,
    rows: Arc<PairRows>,
}

impl Pairs {
    /// Makes (or reads) pairs for training and, of the held-out frames, for validation.
    ///
    /// # Errors
    /// The target source is not found or fails, a file cannot be read or written.
    pub fn make(
        model: &Model,
        dataset: &Dataset,
        options: &PairOptions,
    ) -> Result<Pairs, PairsError> {
        let prior = model.prior().clone();
        if let Some(path) = options.source.strip_prefix(FILE_PREFIX) {
            let given = given::read(Path::new(path), prior.dimension())?;
            return Pairs::given(prior, &given, options);
        }
        let target = plugin::find::<Target>(&options.source)?.build(&options.config.to_string())?;
        let data = |first, count| {
            dataset
                .training_features(model.coordinates(), first, count, 0.0)
                .map_err(|e| PairsError::Data(Box::new(e)))
        };
        let held_out = dataset
            .validation_features(model.coordinates())
            .map_err(|e| PairsError::Data(Box::new(e)))?;
        Pairs::from_source(prior, &target, data, held_out, options, SHARD)
    }

    /// `data` gives a range of the endless sequence of data points; a shard has `most` pairs at most.
    fn from_source(
        prior: Prior,
        target: &Target,
        data: impl Fn(usize, usize) -> Result<Vec<f32>, PairsError>,
        held_out: Vec<f32>,
        options: &PairOptions,
        most: usize,
    ) -> Result<Pairs, PairsError> {
        if options.count == 0 {
            return Err(PairsError::NoPairs);
        }
        if let Some(directory) = &options.directory {
            std::fs::create_dir_all(directory).map_err(|source| PairsError::Read {
                path: directory.clone(),
                source,
            })?;
        }
        let shards = options.count.div_ceil(most);
        let bounds: Vec<usize> = (0..=shards).map(|k| k * options.count / shards).collect();
        let mut kept = Vec::new();
        let mut total_cost = 0.0;
        for (index, range) in bounds.windows(2).enumerate() {
            let unpaired = data(range[0], range[1] - range[0])?;
            let path = options.directory.as_deref().map(|d| Shard::path(d, index));
            let header = ShardHeader {
                format_version: FORMAT_VERSION,
                prior_seed: options.seed,
                first_index: range[0] as u64,
                kinds: prior.kinds().to_vec(),
                source: target.info().name.clone(),
                source_version: target.info().version.clone(),
                config: options.config.clone(),
                data_hash: hash(&unpaired),
                total_cost: 0.0,
            };
            let existing = path
                .as_deref()
                .filter(|path| path.exists())
                .map(Shard::read);
            let shard = match existing.transpose()? {
                Some(shard) if made_alike(&shard, &header, unpaired.len()) => shard,
                _ => {
                    let shard = pair(&prior, target, header, unpaired)?;
                    if let Some(path) = &path {
                        shard.write(path)?;
                    }
                    shard
                }
            };
            total_cost += shard.header.total_cost;
            if path.is_none() {
                kept.push(shard);
            }
        }
        let n = held_out.len() / prior.dimension().max(1);
        let x0 = prior.sample(Streams::new(Purpose::HeldOutPairs, options.seed), 0, n);
        let seed = target_seed(options.seed, u64::MAX);
        let validation = rows_of(target, x0, &held_out, &prior, seed)?;
        let storage = match &options.directory {
            Some(directory) => Storage::Folder(directory.clone()),
            None => Storage::Memory(kept),
        };
        Ok(Pairs {
            summary: summary(options, options.count, total_cost),
            bounds,
            storage,
            validation,
            current: Mutex::new(None),
            prior,
        })
    }

    fn given(prior: Prior, given: &PairRows, options: &PairOptions) -> Result<Pairs, PairsError> {
        let dimension = prior.dimension();
        let (training, held_out) = given::split(given, dimension, USER_HELD_OUT);
        let count = training.x0.len() / dimension;
        if held_out.x0.is_empty() {
            return Err(PairsError::TooFewGiven {
                found: count,
                needed: USER_HELD_OUT as usize / 2 + 1,
            });
        }
        let total_cost = training.squared_distance(prior.kinds());
        Ok(Pairs {
            summary: summary(options, count, total_cost),
            bounds: vec![0, count],
            storage: Storage::Given(training),
            validation: held_out,
            current: Mutex::new(None),
            prior,
        })
    }

    /// Number of training pairs.
    pub fn len(&self) -> usize {
        self.summary.count
    }

    /// Whether there are none; never, as pairs are made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Mean squared distance of a training pair, differences of circular features wrapped.
    pub fn mean_cost(&self) -> f64 {
        self.summary.mean_cost
    }

    /// Facts for the training record.
    pub fn describe(&self) -> &PairSummary {
        &self.summary
    }

    /// Pairs of held-out points: `(x0, x1)`, both `[n, D]`.
    pub fn validation(&self) -> (Vec<f32>, Vec<f32>) {
        (self.validation.x0.clone(), self.validation.x1.clone())
    }

    /// Pairs of held-out points, with what is known of their density.
    pub fn validation_rows(&self) -> &PairRows {
        &self.validation
    }

    /// As [`Pairs::batch_rows`], without densities: `(x0, x1)`, both `[count, D]`.
    ///
    /// # Errors
    /// As [`Pairs::batch_rows`].
    pub fn batch(
        &self,
        first: usize,
        count: usize,
        noise: f64,
        seed: u64,
    ) -> Result<(Vec<f32>, Vec<f32>), PairsError> {
        let rows = self.batch_rows(first, count, noise, seed)?;
        Ok((rows.x0, rows.x1))
    }

    /// Pairs `first..first + count` of an endless sequence. In every epoch the shards come in
    /// a new order, and so do the pairs of each. Normal noise of standard deviation `noise` is added to `x1`; angles may
    /// then lie outside (-pi, pi], and densities are those of the points without noise. The same for any division into calls; `seed` sets order and noise.
    ///
    /// # Errors
    /// A shard that cannot be read any more.
    pub fn batch_rows(
        &self,
        first: usize,
        count: usize,
        noise: f64,
        seed: u64,
    ) -> Result<PairRows, PairsError> {
        let dimension = self.prior.dimension();
        let mut batch = PairRows::default();
        let mut position = first;
        while position < first + count {
            let (epoch, offset) = (position / self.len(), position % self.len());
            let (shard, start) = self.locate(epoch, offset, seed);
            let loaded = self.load(shard, epoch, seed)?;
            let rows = &loaded.order[start..];
            let rows = &rows[..rows.len().min(first + count - position)];
            batch.append(loaded.rows.select(rows, dimension));
            position += rows.len();
        }
        if noise > 0.0 && dimension > 0 {
            let streams = Streams::new(Purpose::PairNoise, seed);
            batch
                .x1
                .par_chunks_mut(dimension)
                .enumerate()
                .for_each(|(i, row)| {
                    let mut random = streams.at((first + i) as u64);
                    for value in row {
                        *value += (noise * random.sample::<f64, _>(StandardNormal)) as f32;
                    }
                });
        }
        Ok(batch)
    }

    /// The shard that holds place `offset` of an epoch, and the place within the shard.
    fn locate(&self, epoch: usize, mut offset: usize, seed: u64) -> (usize, usize) {
        let order = shuffled(
            self.bounds.len() - 1,
            Streams::new(Purpose::ShardOrder, seed).at(epoch as u64),
        );
        for &shard in &order {
            let size = self.range(shard as usize).len();
            if offset < size {
                return (shard as usize, offset);
            }
            offset -= size;
        }
        unreachable!("the shards have as many pairs as an epoch")
    }

    fn range(&self, shard: usize) -> Range<usize> {
        self.bounds[shard]..self.bounds[shard + 1]
    }

    fn load(&self, shard: usize, epoch: usize, seed: u64) -> Result<Arc<Loaded>, PairsError> {
        let key = (shard, epoch, seed);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = match current.as_ref() {
            Some(loaded) if loaded.key == key => return Ok(Arc::clone(loaded)),
            Some(loaded) if loaded.key.0 == shard => Arc::clone(&loaded.rows),
            _ => Arc::new(self.read(shard)?),
        };
        let range = self.range(shard);
        // No two shards of an epoch, and no two epochs, use the same numbers.
        let stream = (epoch * self.len() + range.start) as u64;
        let loaded = Arc::new(Loaded {
            key,
            order: shuffled(
                range.len(),
                Streams::new(Purpose::PairOrder, seed).at(stream),
            ),
            rows,
        });
        *current = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    fn read(&self, shard: usize) -> Result<PairRows, PairsError> {
        let range = self.range(shard);
        let shard = match &self.storage {
            Storage::Given(given) => return Ok(given.clone()),
            Storage::Memory(shards) => shards[shard].clone(),
            Storage::Folder(directory) => {
                let path = Shard::path(directory, shard);
                let read = Shard::read(&path)?;
                let first = read.header.first_index;
                if first != range.start as u64 || read.len() != range.len() {
                    let found = first..first.saturating_add(read.len() as u64);
                    return Err(PairsError::Shard {
                        path,
                        reason: format!("expected pairs {range:?}, found {found:?}"),
                    });
                }
                read
            }
        };
        let x0 = shard.x0.unwrap_or_else(|| {
            let streams = Streams::new(Purpose::Pairs, self.summary.seed);
            self.prior.sample(streams, range.start as u64, range.len())
        });
        Ok(PairRows {
            x0,
            x1: shard.x1,
            log_q: shard.log_q,
            log_det: shard.log_det,
        })
    }
}

/// Pairs the data points of one shard.
fn pair(
    prior: &Prior,
    target: &Target,
    mut header: ShardHeader,
    unpaired: Vec<f32>,
) -> Result<Shard, PairsError> {
    let n = unpaired.len() / prior.dimension().max(1);
    let x0 = prior.sample(
        Streams::new(Purpose::Pairs, header.prior_seed),
        header.first_index,
        n,
    );
    let seed = target_seed(header.prior_seed, header.first_index);
    let pairing = target.pair(&Task::new(&x0, &unpaired, prior.kinds(), seed))?;
    let x1 = pairing.points(&unpaired, prior.dimension());
    let prior_side = pairing.x0.as_deref().unwrap_or(&x0);
    header.total_cost = squared_distance(prior_side, &x1, prior.kinds());
    Ok(Shard {
        header,
        x1,
        x0: pairing.x0,
        log_q: pairing.log_q,
        log_det: pairing.log_det,
    })
}

/// Pairs of the given prior and data points.
fn rows_of(
    target: &Target,
    x0: Vec<f32>,
    x1: &[f32],
    prior: &Prior,
    seed: u64,
) -> Result<PairRows, PairsError> {
    let pairing = target.pair(&Task::new(&x0, x1, prior.kinds(), seed))?;
    Ok(PairRows {
        x1: pairing.points(x1, prior.dimension()),
        x0: pairing.x0.unwrap_or(x0),
        log_q: pairing.log_q,
        log_det: pairing.log_det,
    })
}

/// What a target source draws random numbers from, for the call that begins with prior point `first`.
fn target_seed(seed: u64, first: u64) -> u64 {
    Streams::new(Purpose::TargetSource, seed).at(first).random()
}

/// Whether a shard on disk is what would be made now.
fn made_alike(shard: &Shard, header: &ShardHeader, numbers: usize) -> bool {
    let expected = ShardHeader {
        total_cost: shard.header.total_cost,
        ..header.clone()
    };
    shard.header == expected && shard.x1.len() == numbers
}

fn summary(options: &PairOptions, count: usize, total_cost: f64) -> PairSummary {
    PairSummary {
        source: options.source.clone(),
        config: options.config.clone(),
        count,
        seed: options.seed,
        mean_cost: total_cost / count as f64,
    }
}

/// A permutation of `0..n`.
fn shuffled(n: usize, mut random: Random) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for i in (1..n).rev() {
        order.swap(i, random.random_range(0..=i));
    }
    order
}

#[cfg(test)]
mod tests;
