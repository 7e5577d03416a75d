use std::ops::Range;

use super::EvaluationError;

/// Blocks of time from which the errors of the reference come, at least.
const BLOCKS: usize = 20;
/// A step in time that is longer than so many usual ones is a gap, over which nothing is continuous.
const GAP: f64 = 10.0;

/// Equilibrium frames to compare with.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    positions: Vec<f64>,
    n_atoms: usize,
    segments: Vec<Range<usize>>,
    blocks: usize,
}

impl Reference {
    /// Frames (`positions`: `[n, n_atoms, 3]`, nm) that are one continuous run, in the order of time.
    ///
    /// # Errors
    /// There are too few frames for an error.
    pub fn continuous(positions: Vec<f64>, n_atoms: usize) -> Result<Self, EvaluationError> {
        let n = check_frames(&positions, n_atoms)?;
        Ok(Self {
            positions,
            n_atoms,
            segments: std::iter::once(0..n).collect(),
            blocks: BLOCKS,
        })
    }

    /// Frames of several independent runs: `series[i]` tells which run frame i belongs to, and `time[i]`, where known, its time in the
    /// run. Runs may take turns in any way; within each, frames are in the order of time. They are rearranged run after run.
    ///
    /// A run is continuous from frame to frame, save where the time steps by more than ten usual (median) steps or
    /// backwards. Every run is at least one block for the errors.
    ///
    /// # Errors
    /// There are too few frames for an error, or there is not one entry for each.
    pub fn from_series(
        positions: Vec<f64>,
        n_atoms: usize,
        series: &[u64],
        time: Option<&[f64]>,
    ) -> Result<Self, EvaluationError> {
        let n = check_frames(&positions, n_atoms)?;
        let lengths = [
            ("series", series.len()),
            ("times", time.map_or(n, <[f64]>::len)),
        ];
        for (what, found) in lengths {
            if found != n {
                return Err(EvaluationError::Series {
                    what,
                    frames: n,
                    found,
                });
            }
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by_key(|&frame| series[frame]);
        let width = 3 * n_atoms;
        let sorted = order
            .iter()
            .flat_map(|&frame| &positions[frame * width..][..width]);
        let positions = sorted.copied().collect();

        let longest = time.and_then(|time| longest_step(&order, series, time));
        let continues = |pair: &[usize]| {
            let same = series[pair[0]] == series[pair[1]];
            let step = time.map_or(0.0, |time| time[pair[1]] - time[pair[0]]);
            same && longest.is_none_or(|longest| (0.0..=longest).contains(&step))
        };
        let mut segments = Vec::new();
        let mut start = 0;
        for (end, pair) in (1..).zip(order.windows(2)) {
            if !continues(pair) {
                segments.push(start..end);
                start = end;
            }
        }
        segments.push(start..n);
        let runs = order.chunk_by(|&a, &b| series[a] == series[b]).count();
        Ok(Self {
            positions,
            n_atoms,
            segments,
            blocks: blocks(runs, n),
        })
    }

    /// Number of frames.
    pub fn n(&self) -> usize {
        self.positions.len() / (3 * self.n_atoms)
    }

    /// Atoms per frame.
    pub fn n_atoms(&self) -> usize {
        self.n_atoms
    }

    /// `[n, n_atoms, 3]`, nm, run after run.
    pub fn positions(&self) -> &[f64] {
        &self.positions
    }

    /// Ranges of frames that are continuous in time.
    pub fn segments(&self) -> &[Range<usize>] {
        &self.segments
    }

    /// Number of blocks for the errors.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Frames of the shorter of the two [`Reference::halves`].
    pub(super) fn half(&self) -> usize {
        let [a, b] = self.halves(&vec![0.0; self.n()], 1);
        a.len().min(b.len())
    }

    /// The two halves of an array with `width` numbers per frame: even and odd blocks.
    pub(super) fn halves(&self, values: &[f64], width: usize) -> [Vec<f64>; 2] {
        let n = self.n();
        let start = |block: usize| block * n / self.blocks * width;
        [0, 1].map(|parity| {
            (parity..self.blocks)
                .step_by(2)
                .flat_map(|block| &values[start(block)..start(block + 1)])
                .copied()
                .collect()
        })
    }
}

/// An even number of blocks, the same for each run, or as many as the frames allow.
fn blocks(runs: usize, n: usize) -> usize {
    let per_run = BLOCKS.div_ceil(runs);
    let blocks = runs * (per_run + runs * per_run % 2);
    blocks.min(n / 4 * 2)
}

fn check_frames(positions: &[f64], n_atoms: usize) -> Result<usize, EvaluationError> {
    let found = positions.len() / (3 * n_atoms).max(1);
    let needed = 2 * BLOCKS;
    if found < needed {
        return Err(EvaluationError::ShortReference { found, needed });
    }
    Ok(found)
}

/// The longest step in time that is none over a gap; `None` if there are no steps.
fn longest_step(order: &[usize], series: &[u64], time: &[f64]) -> Option<f64> {
    let mut steps: Vec<f64> = order
        .windows(2)
        .filter(|pair| series[pair[0]] == series[pair[1]])
        .map(|pair| time[pair[1]] - time[pair[0]])
        .collect();
    if steps.is_empty() {
        return None;
    }
    let middle = steps.len() / 2;
    let (_, median, _) = steps.select_nth_unstable_by(middle, f64::total_cmp);
    Some(GAP * *median)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One atom whose x is the number of the frame.
    fn positions(n: usize) -> Vec<f64> {
        (0..n).flat_map(|i| [i as f64, 0.0, 0.0]).collect()
    }

    #[test]
    fn runs_that_take_turns_are_parted() {
        let n = 60;
        let series: Vec<u64> = (0..n).map(|i| [7, 2, 9][i % 3]).collect();
        // Steps of 1, but for a gap in the middle of run 7.
        let time: Vec<f64> = (0..n)
            .map(|i| (i / 3) as f64 + if i % 3 == 0 && i >= 30 { 100.0 } else { 0.0 })
            .collect();
        let found = Reference::from_series(positions(n), 1, &series, Some(&time)).unwrap();
        let numbers: Vec<usize> = found.positions().chunks(3).map(|x| x[0] as usize).collect();
        assert_eq!(numbers[..3], [1, 4, 7]);
        assert_eq!(numbers[20..23], [0, 3, 6]);
        assert_eq!(found.segments(), [0..20, 20..30, 30..40, 40..60]);
        assert_eq!(found.blocks(), 24);
        // 60 frames in 24 blocks are 2 and 3 frames in turn.
        assert_eq!(found.half(), 24);
        let without = Reference::from_series(positions(n), 1, &series, None).unwrap();
        assert_eq!(without.segments(), [0..20, 20..40, 40..60]);
    }

    #[test]
    fn halves_are_blocks_in_turn() {
        let found = Reference::continuous(positions(40), 1).unwrap();
        assert_eq!(found.segments(), std::slice::from_ref(&(0..40)));
        let values: Vec<f64> = (0..40).map(f64::from).collect();
        let [even, odd] = found.halves(&values, 1);
        assert_eq!((even.len(), odd.len()), (20, 20));
        assert_eq!(even[..4], [0.0, 1.0, 4.0, 5.0]);
        assert_eq!(odd[..4], [2.0, 3.0, 6.0, 7.0]);
    }

    #[test]
    fn refusals() {
        assert!(matches!(
            Reference::continuous(positions(39), 1),
            Err(EvaluationError::ShortReference {
                found: 39,
                needed: 40
            })
        ));
        assert!(matches!(
            Reference::from_series(positions(40), 1, &[0; 39], None),
            Err(EvaluationError::Series { found: 39, .. })
        ));
        assert!(matches!(
            Reference::from_series(positions(40), 1, &[0; 40], Some(&[0.0])),
            Err(EvaluationError::Series { found: 1, .. })
        ));
    }
}
