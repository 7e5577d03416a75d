//! Configurations that a map is fitted to, read in pieces: memory does not grow with their number.

use std::collections::TryReserveError;
use std::ops::Range;

use rayon::prelude::*;

use super::CoordinatesError;
use super::batch::Fault;

/// Most numbers in a piece, half a MB as allocators hand it out without waste, and the most configurations in one. Fixed, so that sums
/// over pieces do not depend on the number of threads.
const PIECE_NUMBERS: usize = 1 << 17;
const PIECE: usize = 2048;

/// Configurations that can be read in any order and as often as needed.
pub trait ConfigurationSource: Sync {
    /// Number of configurations.
    fn n(&self) -> usize;

    /// Writes the positions of configuration `index` (`[3N]`, nm).
    fn copy(&self, index: usize, positions: &mut [f64]);
}

/// All configurations of a source in their order, some at a time.
pub(crate) struct Chunks<'a> {
    source: &'a dyn ConfigurationSource,
    width: usize,
    next: usize,
    positions: Vec<f64>,
}

impl<'a> Chunks<'a> {
    /// Configurations of `n_atoms` atoms.
    pub fn new(source: &'a dyn ConfigurationSource, n_atoms: usize) -> Self {
        let width = 3 * n_atoms.max(1);
        Self {
            source,
            width,
            next: 0,
            positions: vec![0.0; PIECE.min(source.n()) * width],
        }
    }

    /// The next ones, `[k, N, 3]`; none when all were handed out.
    pub fn next_chunk(&mut self) -> Option<&[f64]> {
        let first = self.next;
        let count = PIECE.min(self.source.n().saturating_sub(first));
        self.next += count;
        let (source, positions) = (self.source, &mut self.positions[..count * self.width]);
        positions
            .par_chunks_exact_mut(self.width)
            .enumerate()
            .for_each(|(frame, x)| source.copy(first + frame, x));
        (count > 0).then_some(positions)
    }
}

/// Configurations in an array.
#[derive(Clone, Copy, Debug)]
pub struct Configurations<'a> {
    /// `[n, N, 3]`, nm.
    pub positions: &'a [f64],
    /// N.
    pub n_atoms: usize,
}

impl ConfigurationSource for Configurations<'_> {
    fn n(&self) -> usize {
        self.positions.len() / (3 * self.n_atoms)
    }

    fn copy(&self, index: usize, positions: &mut [f64]) {
        positions.copy_from_slice(&self.positions[index * 3 * self.n_atoms..][..3 * self.n_atoms]);
    }
}

/// Part of the configurations of a source: one run, say.
#[derive(Clone)]
pub struct Part<'a> {
    /// All configurations.
    pub source: &'a dyn ConfigurationSource,
    /// Those of the part.
    pub range: Range<usize>,
}

impl ConfigurationSource for Part<'_> {
    fn n(&self) -> usize {
        self.range.len()
    }

    fn copy(&self, index: usize, positions: &mut [f64]) {
        self.source.copy(self.range.start + index, positions);
    }
}

/// Many configurations of one molecule, kept once and in single precision, each about its own geometric centre: what
/// trajectory files resolve, in half the memory. Nothing that is fitted or compared depends on where a molecule is.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameStore {
    n_atoms: usize,
    /// Whole configurations, in pieces that are never moved: growing needs no second copy.
    pieces: Vec<Vec<f32>>,
    /// Configurations of each piece but the last.
    per_piece: usize,
    n: usize,
}

impl FrameStore {
    /// No configurations yet, of `n_atoms` atoms each.
    ///
    /// # Panics
    /// If there are no atoms.
    pub fn new(n_atoms: usize) -> Self {
        assert!(n_atoms > 0, "a configuration has atoms");
        Self {
            n_atoms,
            pieces: Vec::new(),
            per_piece: (PIECE_NUMBERS / (3 * n_atoms)).clamp(1, PIECE),
            n: 0,
        }
    }

    /// Adds configurations, `[n, N, 3]` in nm; a last one that is not whole is left out.
    ///
    /// # Errors
    /// There is no memory for more. Those before are kept.
    pub fn extend(&mut self, positions: &[f64]) -> Result<(), TryReserveError> {
        let width = 3 * self.n_atoms;
        for x in positions.chunks_exact(width) {
            if self.n.is_multiple_of(self.per_piece) {
                let mut piece = Vec::new();
                piece.try_reserve_exact(self.per_piece * width)?;
                self.pieces.try_reserve(1)?;
                self.pieces.push(piece);
            }
            let mut centre = [0.0; 3];
            for atom in x.chunks_exact(3) {
                (0..3).for_each(|axis| centre[axis] += atom[axis]);
            }
            let centre = centre.map(|sum| sum / self.n_atoms as f64);
            let centred = x
                .iter()
                .enumerate()
                .map(|(k, x)| (x - centre[k % 3]) as f32);
            if let Some(piece) = self.pieces.last_mut() {
                piece.extend(centred);
            }
            self.n += 1;
        }
        Ok(())
    }

    /// Atoms of each configuration.
    pub fn n_atoms(&self) -> usize {
        self.n_atoms
    }

    /// Whether there is no configuration.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Positions of configuration `index` about its centre, `[3N]`, nm.
    ///
    /// # Panics
    /// If there is no such configuration.
    pub fn configuration(&self, index: usize) -> &[f32] {
        let width = 3 * self.n_atoms;
        &self.pieces[index / self.per_piece][index % self.per_piece * width..][..width]
    }
}

impl ConfigurationSource for FrameStore {
    fn n(&self) -> usize {
        self.n
    }

    fn copy(&self, index: usize, positions: &mut [f64]) {
        let stored = self.configuration(index).iter();
        positions
            .iter_mut()
            .zip(stored)
            .for_each(|(x, &stored)| *x = f64::from(stored));
    }
}

/// What a map makes of each configuration of a source, computed anew in every pass: rows of `width` numbers.
pub(super) struct Rows<'a, F> {
    pub source: &'a dyn ConfigurationSource,
    pub n_atoms: usize,
    pub width: usize,
    pub map: F,
}

impl<F> Rows<'_, F>
where
    F: Fn(&[f64], &mut [f64]) -> Result<(), Fault> + Sync,
{
    /// Number of rows.
    pub fn n(&self) -> usize {
        self.source.n()
    }

    /// Hands all rows to `take`, in their order, some at a time: the index of the first, and `[k, width]`.
    pub fn pass(&self, mut take: impl FnMut(usize, &[f64])) -> Result<(), CoordinatesError> {
        let input = 3 * self.n_atoms;
        let piece = (PIECE_NUMBERS / input).clamp(1, PIECE);
        let mut rows = vec![0.0; piece.min(self.n()) * self.width];
        for first in (0..self.n()).step_by(piece) {
            let count = piece.min(self.n() - first);
            let rows = &mut rows[..count * self.width];
            let fault = rows
                .par_chunks_mut(self.width)
                .enumerate()
                .map_init(
                    || vec![0.0; input],
                    |x, (row, out)| {
                        self.source.copy(first + row, x);
                        let finite = x.iter().all(|x| x.is_finite());
                        let mapped = if finite {
                            (self.map)(x, out)
                        } else {
                            Err(Fault::NotFinite)
                        };
                        mapped.err().map(|fault| fault.at(first + row))
                    },
                )
                .find_map_first(|fault| fault);
            if let Some(fault) = fault {
                return Err(fault);
            }
            take(first, rows);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece of 2048 of these would be 1.6 TB.
    #[test]
    fn large_configurations_take_no_more_than_they_need() {
        assert_eq!(FrameStore::new(1 << 26).per_piece, 1);
        let mut store = FrameStore::new(2);
        store.per_piece = usize::MAX / 12;
        assert!(store.extend(&[0.0; 6]).is_err());
        assert!(store.is_empty());
    }

    #[test]
    fn stored_configurations_are_the_same_shapes() {
        let n = PIECE + 3;
        let positions: Vec<f64> = (0..6 * n).map(|k| 40.0 + (k as f64 * 0.37).sin()).collect();
        let mut store = FrameStore::new(2);
        assert!(store.is_empty());
        store.extend(&positions[..6 * 5]).unwrap();
        store.extend(&positions[6 * 5..]).unwrap();
        assert_eq!((store.n(), store.n_atoms()), (n, 2));
        let mut x = [0.0; 6];
        for index in [0, 4, 5, PIECE - 1, PIECE, n - 1] {
            store.copy(index, &mut x);
            let original = &positions[6 * index..][..6];
            for axis in 0..3 {
                // About the centre, and rounded to 2^-24 of at most 1 nm.
                assert!((x[axis] + x[axis + 3]).abs() < 1e-7);
                let (found, expected) =
                    (x[axis + 3] - x[axis], original[axis + 3] - original[axis]);
                assert!((found - expected).abs() < 2.0 * 6e-8, "{found} {expected}");
            }
        }
    }

    #[test]
    fn chunks_hand_out_every_configuration_once() {
        let positions: Vec<f64> = (0..3 * (2 * PIECE + 5)).map(|k| k as f64).collect();
        for n in [0, 1, PIECE, 2 * PIECE, 2 * PIECE + 5] {
            let source = Configurations {
                positions: &positions[..3 * n],
                n_atoms: 1,
            };
            let mut chunks = Chunks::new(&source, 1);
            let mut seen = Vec::new();
            while let Some(chunk) = chunks.next_chunk() {
                seen.extend_from_slice(chunk);
            }
            assert_eq!(seen, positions[..3 * n]);
            assert!(chunks.next_chunk().is_none());
        }
    }

    #[test]
    fn passes_hand_out_every_row_once_and_name_the_first_fault() {
        let positions: Vec<f64> = (0..3 * 5000).map(f64::from).collect();
        let source = Configurations {
            positions: &positions,
            n_atoms: 1,
        };
        let rows = |broken: usize| Rows {
            source: &source,
            n_atoms: 1,
            width: 1,
            map: move |x: &[f64], out: &mut [f64]| {
                out[0] = x[0];
                if x[0] as usize >= 3 * broken {
                    Err(Fault::Collapsed([0, 0]))
                } else {
                    Ok(())
                }
            },
        };
        let mut seen = Vec::new();
        rows(5000)
            .pass(|first, rows| {
                assert_eq!(first, seen.len());
                seen.extend_from_slice(rows);
            })
            .unwrap();
        assert!(seen.iter().zip(0..).all(|(&x, k)| x == 3.0 * f64::from(k)));
        assert_eq!(seen.len(), 5000);
        let error = rows(3000).pass(|_, _| {}).unwrap_err();
        assert_eq!(
            error,
            CoordinatesError::Collapsed {
                configuration: 3000,
                atoms: [0, 0]
            }
        );
    }
}
