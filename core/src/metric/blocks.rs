//! Contiguous blocks of a time series, from which its statistical errors come.

use std::ops::Range;

use super::Estimate;

/// Contiguous blocks of the frames of one or several runs.
///
/// Errors from blocks are right once a block is several correlation times long; too many blocks make them too small. With B blocks
/// they are known to `1 / sqrt(2 (B - 1))`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Where each block ends, ascending; the first begins at 0.
    ends: Vec<usize>,
    /// Number of blocks in the first of the two halves, where those count as well.
    first_half: Option<usize>,
}

impl Blocks {
    /// `blocks` blocks of `n` frames, whose lengths differ by at most one.
    pub fn equal(n: usize, blocks: usize) -> Self {
        let blocks = blocks.max(1);
        let end = |block: usize| ((block as u128 + 1) * n as u128 / blocks as u128) as usize;
        Self {
            ends: (0..blocks).map(end).collect(),
            first_half: None,
        }
    }

    /// About `blocks` blocks of frames that come run after run, `lengths` of each. No block holds frames of two runs, and every run
    /// is at least one block.
    ///
    /// The error is the larger one of that from these blocks and that from two halves: the frames before and after the end of a run
    /// near the middle, or of a block where there is none. Runs that are stuck, or one that drifts, show in the halves, however many
    /// blocks there are.
    pub fn of_runs(lengths: &[usize], blocks: usize) -> Self {
        let n: usize = lengths.iter().sum();
        let mut ends = Vec::new();
        let mut run_ends = Vec::new();
        let mut start = 0;
        for &length in lengths.iter().filter(|&&length| length > 0) {
            let share = (blocks as f64 * length as f64 / n as f64).round() as usize;
            let within = Self::equal(length, share.clamp(1, length));
            ends.extend(within.ends.iter().map(|end| start + end));
            start += length;
            run_ends.push(start);
        }
        // A single block would leave a half without frames.
        if ends.len() == 1 && n > 1 {
            ends.insert(0, n / 2);
        }
        let nearest = |among: &[usize]| {
            let inside = among.iter().copied().filter(|&end| end < n);
            inside.min_by_key(|end| end.abs_diff(n / 2))
        };
        let of_run = nearest(&run_ends).filter(|end| (n / 4..=3 * n / 4).contains(end));
        let middle = of_run.or_else(|| nearest(&ends));
        let first_half = middle.map(|middle| ends.partition_point(|&end| end <= middle));
        Self { ends, first_half }
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Number of frames.
    pub fn n(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The frames of each block.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| start..end)
    }

    /// The block that holds a frame.
    pub(super) fn block_of(&self, frame: usize) -> usize {
        self.ends.partition_point(|&end| end <= frame)
    }

    /// The blocks of some of the frames, which are given in ascending order.
    pub(crate) fn chosen(&self, frames: impl Iterator<Item = usize>) -> Self {
        let mut counts = vec![0; self.ends.len()];
        for frame in frames {
            if let Some(count) = counts.get_mut(self.block_of(frame)) {
                *count += 1;
            }
        }
        // A block of which no frame is chosen is none.
        let first = &counts[..self.first_half.unwrap_or(0)];
        let first_half = first.iter().filter(|&&count| count > 0).count();
        let mut end = 0;
        let kept = counts.iter().filter(|&&count| count > 0);
        Self {
            ends: kept
                .map(|count| {
                    end += count;
                    end
                })
                .collect(),
            first_half: (first_half > 0).then_some(first_half),
        }
    }

    /// The two halves: which frames, and the blocks of each. None for [`Blocks::equal`].
    pub fn halves(&self) -> Option<[(Range<usize>, Blocks); 2]> {
        let (first, second) = self.ends.split_at(self.first_half?);
        let middle = *first.last()?;
        let blocks = |ends: &[usize], start: usize| Blocks {
            ends: ends.iter().map(|end| end - start).collect(),
            first_half: None,
        };
        Some([
            (0..middle, blocks(first, 0)),
            (middle..self.n(), blocks(second, middle)),
        ])
    }

    /// Mean of a time series of [`Blocks::n`] values, with its standard error. NaN for fewer than two blocks, or for an empty one.
    ///
    /// # Panics
    /// If there are fewer values.
    pub fn average(&self, values: &[f64]) -> Estimate {
        let value = mean(&values[..self.n()]);
        let error = error(&self.ends, values, value);
        let Some(first_half) = self.first_half else {
            return Estimate { value, error };
        };
        let halves = [self.ends[first_half - 1], self.n()];
        Estimate {
            value,
            error: error.max(self::error(&halves, values, value)),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard error of a mean from those of blocks; one that is shorter than the others counts less.
fn error(ends: &[usize], values: &[f64], value: f64) -> f64 {
    let blocks = ends.len();
    let n = ends.last().copied().unwrap_or(0);
    let mut start = 0;
    let mut squares = 0.0;
    for &end in ends {
        if end == start {
            return f64::NAN;
        }
        let block = &values[start..end];
        let share = block.len() as f64 * blocks as f64 / n as f64;
        squares += (share * (mean(block) - value)).powi(2);
        start = end;
    }
    match blocks {
        0 | 1 => f64::NAN,
        _ => (squares / (blocks as f64 * (blocks as f64 - 1.0))).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_runs() {
        // 20 blocks of 1000 frames: 10, 5, 5; a run of 3 frames is one more.
        let blocks = Blocks::of_runs(&[500, 250, 3, 250], 20);
        assert_eq!(blocks.len(), 21);
        for end in [500, 750, 753, 1003] {
            assert!(blocks.ends.contains(&end), "{end}");
        }
        let [(first, of_first), (second, of_second)] = blocks.halves().unwrap();
        assert_eq!((first, second), (0..500, 500..1003));
        assert_eq!((of_first.len(), of_second.len()), (10, 11));
        assert_eq!(of_second.n(), 503);
        assert_eq!(
            (
                blocks.block_of(0),
                blocks.block_of(499),
                blocks.block_of(500)
            ),
            (0, 9, 10)
        );
        // No run ends near the middle: a block does.
        let halves = Blocks::of_runs(&[900, 100], 20).halves().unwrap();
        assert_eq!(halves[0].0, 0..500);
        // Many short runs are blocks of their own.
        assert_eq!(Blocks::of_runs(&[5; 40], 20).len(), 40);
        assert_eq!(Blocks::of_runs(&[7], 1).len(), 2);
    }

    #[test]
    fn two_stuck_runs_are_uncertain_however_many_blocks_there_are() {
        // One run stays at 0, the other at 1: the mean is 1/2, known to 1/2.
        let values = [vec![0.0; 500], vec![1.0; 500]].concat();
        let found = Blocks::of_runs(&[500, 500], 20).average(&values);
        assert!((found.value - 0.5).abs() < 1e-15 && (found.error - 0.5).abs() < 1e-15);
        assert!(Blocks::equal(1000, 20).average(&values).error < 0.12);
    }

    #[test]
    fn edges() {
        assert!(Blocks::equal(1, 2).average(&[1.0]).error.is_nan());
        assert!(Blocks::equal(2, 1).average(&[1.0, 2.0]).error.is_nan());
        assert!(Blocks::of_runs(&[], 20).is_empty());
        assert!(Blocks::of_runs(&[1], 20).halves().is_none());
    }
}
