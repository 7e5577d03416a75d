//! Random numbers: one stream for every seed, purpose and index.
//!
//! All are counter-based (ChaCha8), so that a run gives the same numbers for any division into batches, threads or ranks. The
//! key of the cipher is the seed with the [`Purpose`], its nonce the index: no two uses of one seed ever share numbers.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A generator of one stream.
pub type Random = ChaCha8Rng;

macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What random numbers are for. Codes are part of what a seed means: they are never reused or renumbered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Purpose {
            $($(#[$doc])* $name = $code,)*
        }

        impl Purpose {
            /// All of them.
            pub const ALL: &'static [Purpose] = &[$(Purpose::$name),*];
        }
    };
}

purposes! {
    /// Prior points of samples that are the user's.
    Samples = 1,
    /// Prior points of an evaluation's samples.
    Evaluation = 2,
    /// Prior side of training pairs.
    Pairs = 3,
    /// Prior side of held-out pairs.
    HeldOutPairs = 4,
    /// Prior points of a polish's buffer.
    PolishBuffer = 5,
    /// Choice of a polish's weighted samples.
    PolishChoice = 6,
    /// Prior points by which a stage of training is judged.
    Validation = 7,
    /// Prior points of the samples drawn after a stage, or after training.
    StageSamples = 8,
    /// First values of parameters.
    Parameters = 9,
    /// Augmentation of the frames to which coordinates are fitted.
    Fit = 10,
    /// Order of the frames in an epoch.
    FrameOrder = 11,
    /// Augmentation of training frames.
    Augmentation = 12,
    /// Augmentation of held-out frames.
    HeldOutAugmentation = 13,
    /// Noise on the features of frames.
    FrameNoise = 14,
    /// Order of the shards of pairs in an epoch.
    ShardOrder = 15,
    /// Order of the pairs in a shard.
    PairOrder = 16,
    /// Noise on the data side of pairs.
    PairNoise = 17,
    /// Augmentation of frames that are scored.
    ScoreAugmentation = 18,
    /// Replicates of a bootstrap.
    Bootstrap = 19,
    /// Resampling by weight.
    Resampling = 20,
    /// Prior points of Metropolis proposals.
    Proposals = 21,
    /// Thresholds of Metropolis decisions.
    Acceptance = 22,
    /// Orientations of Metropolis proposals.
    Orientation = 23,
    /// Points and parameters of numerical checks.
    Check = 24,
    /// Seeds handed to target sources, one for each of their calls.
    TargetSource = 25,
    /// Prior points by which the two directions of a map are compared.
    Consistency = 26,
}

/// The streams of one seed and purpose. A seed alone is that of the user's own samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Seed.
    pub seed: u64,
    /// What the numbers are for.
    pub purpose: Purpose,
}

impl Streams {
    /// The streams of `seed` for `purpose`.
    pub const fn new(purpose: Purpose, seed: u64) -> Self {
        Streams { seed, purpose }
    }

    /// The generator of stream `index`.
    pub fn at(self, index: u64) -> Random {
        self.keyed_with(0, index)
    }

    /// The generator of stream `index` among those of `name`, for what has a name of its own.
    pub(crate) fn named(self, name: &str, index: u64) -> Random {
        let mut hash = super::Fnv::default();
        hash.add(name.as_bytes());
        self.keyed_with(hash.finish(), index)
    }

    fn keyed_with(self, word: u64, index: u64) -> Random {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&(self.purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&word.to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(key);
        random.set_stream(index);
        random
    }
}

impl From<u64> for Streams {
    fn from(seed: u64) -> Self {
        Streams::new(Purpose::Samples, seed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::RngExt;

    use super::*;

    #[test]
    fn no_two_purposes_coincide() {
        let mut codes = HashSet::new();
        let mut first = HashSet::new();
        for &purpose in Purpose::ALL {
            assert!(codes.insert(purpose as u64), "{purpose:?}");
            // Nor do they for neighbouring seeds and indices.
            for seed in [0, 1, 2, u64::MAX] {
                for index in [0, 1, 1 << 56, 1 << 63] {
                    let number: u64 = Streams::new(purpose, seed).at(index).random();
                    assert!(first.insert(number), "{purpose:?} {seed} {index}");
                }
            }
        }
        let named = |name: &str| Streams::new(Purpose::Parameters, 0).named(name, 0);
        for mut random in [named("a"), named("b"), named("ab")] {
            assert!(first.insert(random.random()));
        }
    }

    /// What a seed means must not change between versions.
    #[test]
    fn the_stream_of_a_seed_is_fixed() {
        let number: u64 = Streams::new(Purpose::Samples, 1).at(3).random();
        assert_eq!(number, 6_776_575_423_392_085_196);
    }
}
