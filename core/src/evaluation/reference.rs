use std::ops::Range;

use super::EvaluationError;
use crate::coordinates::{ConfigurationSource, FrameStore};
use crate::metric::Blocks;

/// Blocks of time from which the errors of the reference come, about.
const BLOCKS: usize = 20;
/// A step in time that is longer than so many usual ones is a gap, over which nothing is continuous.
const GAP: f64 = 10.0;

/// Equilibrium frames to compare with, run after run.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    frames: FrameStore,
    /// Which stored frame each one is; as they are stored without it.
    order: Option<Vec<u32>>,
    segments: Vec<Range<usize>>,
    blocks: Blocks,
}

impl Reference {
    /// Frames in the order of time, of runs of these `lengths`, one after the other: the files of a trajectory, say. Errors come
    /// from blocks that do not go over the end of a run, and nothing is taken to be continuous over it.
    ///
    /// # Errors
    /// There are too few frames for an error, or not as many as in the runs.
    pub fn from_runs(frames: FrameStore, lengths: &[usize]) -> Result<Self, EvaluationError> {
        let n = check_frames(&frames)?;
        let found = lengths.iter().sum();
        if found != n {
            return Err(EvaluationError::Series {
                what: "frames of the runs",
                frames: n,
                found,
            });
        }
        let mut start = 0;
        let segments = lengths.iter().map(|length| {
            let segment = start..start + length;
            start = segment.end;
            segment
        });
        Ok(Self {
            segments: segments.filter(|segment| !segment.is_empty()).collect(),
            blocks: Blocks::of_runs(lengths, BLOCKS),
            frames,
            order: None,
        })
    }

    /// Frames of several independent runs: `series[i]` tells which run frame i belongs to, and `time[i]`, where known, its time in the
    /// run. Runs may take turns in any way; within each, frames are in the order of time.
    ///
    /// A run is continuous from frame to frame, save where the time steps by more than ten usual (median) steps or
    /// backwards. Every run is at least one block for the errors.
    ///
    /// # Errors
    /// There are too few frames for an error, or there is not one entry for each.
    pub fn from_series(
        frames: FrameStore,
        series: &[u64],
        time: Option<&[f64]>,
    ) -> Result<Self, EvaluationError> {
        let n = check_frames(&frames)?;
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
        let runs = order.chunk_by(|&a, &b| series[a] == series[b]);
        let lengths: Vec<usize> = runs.map(<[usize]>::len).collect();
        Ok(Self {
            frames,
            order: Some(order.into_iter().map(|frame| frame as u32).collect()),
            segments,
            blocks: Blocks::of_runs(&lengths, BLOCKS),
        })
    }

    /// Atoms per frame.
    pub fn n_atoms(&self) -> usize {
        self.frames.n_atoms()
    }

    /// Ranges of frames that are continuous in time.
    pub fn segments(&self) -> &[Range<usize>] {
        &self.segments
    }

    /// Blocks for the errors.
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The two halves, in an array with `width` numbers per frame, with their blocks.
    pub(super) fn halves<'a>(&self, values: &'a [f64], width: usize) -> [(&'a [f64], Blocks); 2] {
        // There are frames enough for two blocks.
        let halves = self.blocks.halves().unwrap_or_else(|| {
            let n = self.n();
            let blocks = |range: Range<usize>| Blocks::equal(range.len(), BLOCKS / 2);
            [0..n / 2, n / 2..n].map(|range| (range.clone(), blocks(range)))
        });
        halves.map(|(frames, blocks)| (&values[frames.start * width..frames.end * width], blocks))
    }

    /// Frames of the shorter of the two halves.
    pub(super) fn half(&self) -> usize {
        let all = vec![0.0; self.n()];
        let [(a, _), (b, _)] = self.halves(&all, 1);
        a.len().min(b.len())
    }
}

impl ConfigurationSource for Reference {
    fn n(&self) -> usize {
        self.frames.n()
    }

    fn copy(&self, index: usize, positions: &mut [f64]) {
        let stored = self.order.as_ref().map_or(index, |o| o[index] as usize);
        self.frames.copy(stored, positions);
    }
}

fn check_frames(frames: &FrameStore) -> Result<usize, EvaluationError> {
    let (found, needed) = (frames.n(), 2 * BLOCKS);
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

    /// Two atoms apart by the number of the frame.
    fn frames(n: usize) -> FrameStore {
        let mut store = FrameStore::new(2);
        for frame in 0..n {
            store
                .extend(&[0.0, 0.0, 0.0, frame as f64, 0.0, 0.0])
                .unwrap();
        }
        store
    }

    fn number(reference: &Reference, frame: usize) -> f64 {
        let mut x = [0.0; 6];
        reference.copy(frame, &mut x);
        x[3] - x[0]
    }

    #[test]
    fn runs_that_take_turns_are_parted() {
        let n = 60;
        let series: Vec<u64> = (0..n).map(|i| [7, 2, 9][i % 3]).collect();
        // Steps of 1, but for a gap in the middle of run 7.
        let time: Vec<f64> = (0..n)
            .map(|i| (i / 3) as f64 + if i % 3 == 0 && i >= 30 { 100.0 } else { 0.0 })
            .collect();
        let found = Reference::from_series(frames(n), &series, Some(&time)).unwrap();
        assert_eq!([0, 1, 2].map(|i| number(&found, i)), [1.0, 4.0, 7.0]);
        assert_eq!([20, 21, 22].map(|i| number(&found, i)), [0.0, 3.0, 6.0]);
        assert_eq!(found.segments(), [0..20, 20..30, 30..40, 40..60]);
        // Seven of each run.
        assert_eq!(found.blocks().len(), 21);
        // The end of a run that is nearest to the middle.
        assert_eq!(found.half(), 20);
        let without = Reference::from_series(frames(n), &series, None).unwrap();
        assert_eq!(without.segments(), [0..20, 20..40, 40..60]);
    }

    #[test]
    fn halves_are_contiguous_and_follow_runs() {
        let one = Reference::from_runs(frames(40), &[40]).unwrap();
        assert_eq!(one.segments(), std::slice::from_ref(&(0..40)));
        let values: Vec<f64> = (0..40).map(f64::from).collect();
        let [(first, of_first), (second, _)] = one.halves(&values, 1);
        assert_eq!((first, second), values.split_at(20));
        assert_eq!(of_first.len(), 10);
        let two = Reference::from_runs(frames(40), &[15, 0, 25]).unwrap();
        assert_eq!(two.segments(), [0..15, 15..40]);
        assert_eq!((two.half(), number(&two, 39)), (15, 39.0));
    }

    #[test]
    fn refusals() {
        assert!(matches!(
            Reference::from_runs(frames(39), &[39]),
            Err(EvaluationError::ShortReference {
                found: 39,
                needed: 40
            })
        ));
        assert!(matches!(
            Reference::from_runs(frames(40), &[39]),
            Err(EvaluationError::Series { found: 39, .. })
        ));
        assert!(matches!(
            Reference::from_series(frames(40), &[0; 39], None),
            Err(EvaluationError::Series { found: 39, .. })
        ));
        assert!(matches!(
            Reference::from_series(frames(40), &[0; 40], Some(&[0.0])),
            Err(EvaluationError::Series { found: 1, .. })
        ));
    }
}
