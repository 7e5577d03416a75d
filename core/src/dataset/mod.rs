//! Frames for training: split by time, augmented by exact symmetries, turned into features batch by batch.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::coordinates::{
    ConfigurationSource, CoordinateKind, CoordinateOptions, Coordinates, CoordinatesError,
    FrameStore,
};
use crate::math::{Fnv, Purpose, Random, Streams};
use crate::metric::Blocks;
use crate::system::{Rotor, Topology};

/// Blocks of time, about, from which whole ones are held out: neighbouring frames are correlated, so that single held-out
/// frames would be known from their neighbours.
const BLOCKS: usize = 20;
/// Fewest frames from which a flow can be trained.
const FEWEST_FRAMES: usize = 2 * BLOCKS;
/// Most held-out frames that one validation evaluates.
const MOST_VALIDATION: usize = 4096;

/// How frames are divided and augmented.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DatasetOptions {
    /// Part of the frames, in whole blocks of time, held out for validation; above 0, at most 0.5.
    pub validation_fraction: f64,
    /// Whether frames are augmented with permutations of equivalent hydrogens.
    pub symmetry: bool,
    /// Seed of the order and of the augmentation.
    pub seed: u64,
}

impl Default for DatasetOptions {
    fn default() -> Self {
        DatasetOptions {
            validation_fraction: 0.1,
            symmetry: true,
            seed: 0,
        }
    }
}

/// What can go wrong with frames for training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The trajectory is too short.
    #[error(
        "{found} frames are too few to train on: at least {needed} are needed; give a longer trajectory or a smaller stride"
    )]
    TooFewFrames {
        /// Frames given.
        found: usize,
        /// Frames needed.
        needed: usize,
    },
    /// The part that is held out is none, or leaves less to train on.
    #[error("`validation_fraction` is {found}, expected above 0 and at most 0.5")]
    ValidationFraction {
        /// The part asked for.
        found: f64,
    },
    /// The runs are not those of the frames.
    #[error("the runs have {found} frames in all, but there are {frames}")]
    Runs {
        /// Frames given.
        frames: usize,
        /// Frames of all runs.
        found: usize,
    },
    /// The coordinates cannot be fitted to the frames, or do not map them.
    #[error(transparent)]
    Coordinates(#[from] CoordinatesError),
    /// The frames do not fit into memory.
    #[error("the frames do not fit into memory: {0}; take fewer, with a stride")]
    Memory(#[from] std::collections::TryReserveError),
}

/// Frames of one molecule, divided into training and validation frames.
pub struct Dataset {
    frames: FrameStore,
    width: usize,
    rotors: Vec<Rotor>,
    training: Vec<u32>,
    validation: Vec<u32>,
    seed: u64,
    /// The epoch in use, and its order.
    order: Mutex<Option<(usize, Arc<Vec<u32>>)>>,
}

/// Configurations and their features.
pub(crate) struct Points {
    /// `[n, N, 3]`, nm.
    pub positions: Vec<f64>,
    /// `[n, D]`.
    pub features: Vec<f64>,
}

impl Dataset {
    /// [`Dataset::from_store`] of `positions` (`[n, N, 3]`, nm, in the order of time), which are one run.
    ///
    /// # Errors
    /// As there, or more frames than there is memory for.
    pub fn new(
        positions: Vec<f64>,
        topology: &Topology,
        options: &DatasetOptions,
    ) -> Result<Dataset, DatasetError> {
        let mut frames = FrameStore::new(topology.n_atoms());
        frames.extend(&positions)?;
        drop(positions);
        let runs = [frames.n()];
        Dataset::from_store(frames, &runs, topology, options)
    }

    /// Divides frames into blocks and holds some of them out. Frames come run after run, `runs` tells how many of each, and within
    /// a run in the order of time; no block has frames of two runs.
    ///
    /// # Errors
    /// Fewer than 40 frames, or not as many as `runs` says; a fraction that is not above 0 and at most 0.5.
    pub fn from_store(
        frames: FrameStore,
        runs: &[usize],
        topology: &Topology,
        options: &DatasetOptions,
    ) -> Result<Dataset, DatasetError> {
        let width = 3 * topology.n_atoms();
        let n = frames.n();
        if n < FEWEST_FRAMES {
            return Err(DatasetError::TooFewFrames {
                found: n,
                needed: FEWEST_FRAMES,
            });
        }
        let fraction = options.validation_fraction;
        if !(fraction > 0.0 && fraction <= 0.5) {
            return Err(DatasetError::ValidationFraction { found: fraction });
        }
        let found = runs
            .iter()
            .fold(0, |sum: usize, &run| sum.saturating_add(run));
        if found != n {
            return Err(DatasetError::Runs { frames: n, found });
        }
        let (training, validation) = divide(&Blocks::of_runs(runs, BLOCKS), fraction);
        Ok(Dataset {
            frames,
            width,
            rotors: if options.symmetry {
                topology.rotors()
            } else {
                Vec::new()
            },
            training,
            validation,
            seed: options.seed,
            order: Mutex::new(None),
        })
    }

    /// Number of training frames.
    pub fn n_training(&self) -> usize {
        self.training.len()
    }

    /// Number of held-out frames.
    pub fn n_validation(&self) -> usize {
        self.validation.len()
    }

    /// Coordinates fitted to the (symmetry-augmented) training frames.
    ///
    /// # Errors
    /// The map cannot be fitted to these frames.
    pub fn fit_coordinates(
        &self,
        kind: CoordinateKind,
        topology: &Topology,
        options: &CoordinateOptions,
    ) -> Result<Coordinates, DatasetError> {
        Ok(Coordinates::fit_to(
            kind,
            topology,
            &TrainingFrames(self),
            options,
        )?)
    }

    /// Features of `count` training frames, `[count, D]`: those from `first` on of an endless sequence in which every epoch
    /// is a new permutation and every frame is augmented anew, with normal noise of standard deviation `noise` on its
    /// features.
    pub(crate) fn training_features(
        &self,
        coordinates: &Coordinates,
        first: usize,
        count: usize,
        noise: f64,
    ) -> Result<Vec<f32>, DatasetError> {
        let points = self.training_points(coordinates, first, count)?;
        let mut features: Vec<f32> = points.features.iter().map(|&z| z as f32).collect();
        if noise > 0.0 {
            features
                .par_chunks_mut(coordinates.n_features())
                .enumerate()
                .for_each(|(i, row)| {
                    let mut random = self.random(Purpose::FrameNoise, (first + i) as u64);
                    for z in row {
                        let normal: f32 = StandardNormal.sample(&mut random);
                        *z += noise as f32 * normal;
                    }
                });
        }
        Ok(features)
    }

    /// The same frames without noise, as features and as configurations.
    pub(crate) fn training_points(
        &self,
        coordinates: &Coordinates,
        first: usize,
        count: usize,
    ) -> Result<Points, DatasetError> {
        let n = self.training.len();
        let mut frames = Vec::with_capacity(count);
        for epoch in first / n..=(first + count).saturating_sub(1) / n {
            let order = self.epoch_order(epoch);
            let begin = first.max(epoch * n) - epoch * n;
            let end = (first + count).min((epoch + 1) * n) - epoch * n;
            frames.extend_from_slice(&order[begin..end]);
        }
        self.points(coordinates, &frames, Purpose::Augmentation, first)
    }

    /// Up to 4,096 held-out frames, spread evenly, augmented the same way every time.
    pub(crate) fn validation_points(
        &self,
        coordinates: &Coordinates,
    ) -> Result<Points, DatasetError> {
        let n = self.validation.len();
        let count = n.min(MOST_VALIDATION);
        let frames: Vec<u32> = (0..count).map(|i| self.validation[i * n / count]).collect();
        self.points(coordinates, &frames, Purpose::HeldOutAugmentation, 0)
    }

    /// Features of the frames of [`Dataset::validation_points`], `[n, D]`.
    pub(crate) fn validation_features(
        &self,
        coordinates: &Coordinates,
    ) -> Result<Vec<f32>, DatasetError> {
        let points = self.validation_points(coordinates)?;
        Ok(points.features.iter().map(|&z| z as f32).collect())
    }

    /// A number that changes with the frames and with how they are divided and augmented.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hash = Fnv::default();
        for frame in 0..self.frames.n() {
            hash.add(bytemuck::cast_slice(self.frames.configuration(frame)));
        }
        for frame in self.validation.iter().chain([&(self.rotors.len() as u32)]) {
            hash.add(&frame.to_le_bytes());
        }
        hash.finish()
    }

    fn points(
        &self,
        coordinates: &Coordinates,
        frames: &[u32],
        purpose: Purpose,
        first_draw: usize,
    ) -> Result<Points, DatasetError> {
        let mut positions = vec![0.0; frames.len() * self.width];
        positions
            .par_chunks_mut(self.width)
            .zip(frames)
            .enumerate()
            .try_for_each(|(i, (row, &frame))| {
                let mut random = self.random(purpose, (first_draw + i) as u64);
                self.frames.copy(frame as usize, row);
                self.permute(row, &mut random);
                coordinates.augment(row, &mut random)
            })?;
        let mut features = vec![0.0; frames.len() * coordinates.n_features()];
        let mut log_volume = vec![0.0; frames.len()];
        coordinates.to_features(&positions, &mut features, &mut log_volume)?;
        Ok(Points {
            positions,
            features,
        })
    }

    fn permute(&self, positions: &mut [f64], random: &mut Random) {
        for rotor in &self.rotors {
            let turns = random.random_range(0..rotor.hydrogens.len());
            crate::system::rotate(positions, rotor, turns);
        }
    }

    /// Frames in the order of an epoch. That of the last one asked for is kept: a step takes few of its frames.
    fn epoch_order(&self, epoch: usize) -> Arc<Vec<u32>> {
        let mut kept = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, order)) = kept.as_ref()
            && *of == epoch
        {
            return Arc::clone(order);
        }
        let mut order = self.training.clone();
        let mut random = self.random(Purpose::FrameOrder, epoch as u64);
        for i in (1..order.len()).rev() {
            order.swap(i, random.random_range(0..=i));
        }
        let order = Arc::new(order);
        *kept = Some((epoch, Arc::clone(&order)));
        order
    }

    fn random(&self, purpose: Purpose, stream: u64) -> Random {
        Streams::new(purpose, self.seed).at(stream)
    }
}

/// Training and held-out frames: whole blocks are held out, evenly spread, so that about a `fraction` of all frames is; one block
/// at least.
fn divide(blocks: &Blocks, fraction: f64) -> (Vec<u32>, Vec<u32>) {
    // Frames that the blocks so far still owe to the held-out ones.
    let mut owed = 0.0;
    let mut is_due = |block: &Range<usize>| {
        let length = block.len() as f64;
        let is_due = owed + 0.5 * fraction * length > 0.5 * length;
        owed += fraction * length - if is_due { length } else { 0.0 };
        is_due
    };
    let mut due: Vec<bool> = blocks.ranges().map(|block| is_due(&block)).collect();
    if !due.contains(&true)
        && let Some(due) = due.get_mut(blocks.len() / 2)
    {
        *due = true;
    }
    let (mut training, mut held_out) = (Vec::new(), Vec::new());
    for (block, due) in blocks.ranges().zip(due) {
        let part = if due { &mut held_out } else { &mut training };
        part.extend(block.map(|frame| frame as u32));
    }
    (training, held_out)
}

/// The training frames in the order of time, each with one exact symmetry applied, the same in every pass.
struct TrainingFrames<'a>(&'a Dataset);

impl ConfigurationSource for TrainingFrames<'_> {
    fn n(&self) -> usize {
        self.0.training.len()
    }

    fn copy(&self, index: usize, positions: &mut [f64]) {
        let Self(dataset) = self;
        dataset
            .frames
            .copy(dataset.training[index] as usize, positions);
        dataset.permute(positions, &mut dataset.random(Purpose::Fit, index as u64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::tests::case;

    #[test]
    fn no_held_out_block_has_frames_of_two_runs() {
        // Of one run: blocks 5 and 15 of 20, the middle one of so little, every other one of a half.
        let held_out = |runs: &[usize], fraction| {
            let (training, held_out) = divide(&Blocks::of_runs(runs, BLOCKS), fraction);
            let n: usize = runs.iter().sum();
            let mut all = [&training[..], &held_out].concat();
            all.sort_unstable();
            assert_eq!(all, (0..n as u32).collect::<Vec<_>>());
            held_out
        };
        let frames = |ranges: &[Range<u32>]| ranges.iter().cloned().flatten().collect::<Vec<_>>();
        assert_eq!(held_out(&[200], 0.1), frames(&[50..60, 150..160]));
        assert_eq!(held_out(&[200], 1e-9), (100..110).collect::<Vec<_>>());
        let half: Vec<Range<u32>> = (0..10).map(|k| 20 * k + 10..20 * k + 20).collect();
        assert_eq!(held_out(&[200], 0.5), frames(&half));
        // Runs of 95 and 105 frames: the end of the first is the end of a block. Blocks of all frames together would straddle it.
        let runs = Blocks::of_runs(&[95, 105], BLOCKS);
        assert!(runs.ranges().any(|block| block.end == 95));
        for fraction in [0.05, 0.1, 0.25, 0.5] {
            let held_out = held_out(&[95, 105], fraction);
            let whole = |block: &Range<usize>| {
                let inside = |frame: &&u32| block.contains(&(**frame as usize));
                let found = held_out.iter().filter(inside).count();
                found == 0 || found == block.len()
            };
            assert!(runs.ranges().all(|block| whole(&block)), "{fraction}");
            let share = held_out.len() as f64 / 200.0;
            assert!((share - fraction).abs() < 0.03, "{share} for {fraction}");
        }
        // As much of many short runs beside a long one.
        let many: Vec<usize> = std::iter::once(500).chain([10; 50]).collect();
        assert_eq!(held_out(&many, 0.1).len(), 100);
    }

    #[test]
    fn runs_and_fraction_are_checked() {
        let model = case(3).model;
        let topology = model.topology();
        let mut store = FrameStore::new(topology.n_atoms());
        store
            .extend(&vec![0.0; FEWEST_FRAMES * 3 * topology.n_atoms()])
            .unwrap();
        let n = store.n();
        let told = |runs: &[usize], validation_fraction| {
            let options = DatasetOptions {
                validation_fraction,
                ..DatasetOptions::default()
            };
            let made = Dataset::from_store(store.clone(), runs, topology, &options);
            made.map(|_| ()).map_err(|e| e.to_string())
        };
        told(&[n - 1, 1], 0.5).unwrap();
        let error = told(&[n - 1], 0.1).unwrap_err();
        assert!(error.contains("39") && error.contains("40"), "{error}");
        assert!(told(&[usize::MAX, 41], 0.1).is_err());
        for fraction in [0.0, -0.1, 0.51, f64::NAN] {
            let error = told(&[n], fraction).unwrap_err();
            assert!(error.contains("`validation_fraction`"), "{error}");
        }
    }

    #[test]
    fn an_epoch_is_shuffled_once() {
        let Dataset { training, .. } = &case(3).dataset;
        let n = training.len();
        let dataset = case(3).dataset;
        let first = dataset.epoch_order(0);
        assert!(Arc::ptr_eq(&first, &dataset.epoch_order(0)));
        let second = dataset.epoch_order(1);
        assert!(first != second);
        assert_eq!(dataset.epoch_order(0), first);
        for order in [first, second] {
            let mut sorted = order.to_vec();
            sorted.sort_unstable();
            assert_eq!(&sorted, training);
        }
        // The sequence is the same for any division into steps, across the end of an epoch and out of order.
        let model = case(3).model;
        let features = |first, count| {
            dataset
                .training_features(model.coordinates(), first, count, 0.1)
                .unwrap()
        };
        let whole = features(n - 20, 40);
        let parts = [(n + 10, 10), (n - 20, 15), (n - 5, 15)].map(|(a, b)| features(a, b));
        assert_eq!(whole, [&parts[1][..], &parts[2], &parts[0]].concat());
    }
}
