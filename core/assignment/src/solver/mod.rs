//! Exact solution of the linear assignment problem with a dense cost matrix.
//!
//! `min_sigma sum_i c[i, sigma(i)]` over permutations, with its dual `max sum u + sum v` subject to
//! `u_i + v_j <= c_ij`. In three steps, all of which look at short lists of candidates per row and at the whole row only
//! where a list cannot decide (see `candidates`):
//! 1. an auction with decreasing increments: approximate duals of the columns, no claim to exactness;
//! 2. augmenting row reduction: tight pairs for most rows;
//! 3. shortest augmenting paths for the rest: exact for any duals to start from.
//!
//! The result always carries its certificate: a dual solution, feasible for the whole matrix, whose value meets the cost.

mod auction;
mod candidates;
mod paths;
mod scan;

use candidates::Candidates;
use paths::Search;
use rayon::prelude::*;

const NONE: u32 = u32::MAX;
/// Increments of the auction, in units of the mean excess of a cost over the least of its row.
const INCREMENTS: [f64; 5] = [0.1, 0.02, 4e-3, 8e-4, 1.6e-4];
/// Bids per row and phase after which the auction gives up (many ties or duplicates).
const MAX_BIDS: usize = 20;

/// An optimal assignment with its certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// Column of each row; a permutation.
    pub column_of: Vec<u32>,
    /// `sum_i c[i, column_of(i)]`, summed in double precision.
    pub cost: f64,
    /// Value of the dual solution `sum u + sum v`: no assignment costs less.
    pub bound: f64,
    /// Dual variable (Kantorovich potential) of each row: `u_i + v_j <= c_ij` for the whole matrix, with equality (up to rounding)
    /// on the pairs of the assignment. Unique up to a constant that moves from `u` to `v`, at best.
    pub u: Vec<f64>,
    /// Dual variable of each column.
    pub v: Vec<f64>,
}

impl Assignment {
    /// How far above the optimum the cost can be at most, relative to the cost (0 if both vanish), beyond what the rounding of the
    /// dual variables makes: where the least cost is 0, that is all that the gap is.
    pub fn relative_gap(&self) -> f64 {
        let duals: f64 = self.u.iter().chain(&self.v).map(|dual| dual.abs()).sum();
        let gap = (self.cost - self.bound - 4.0 * f64::EPSILON * duals).max(0.0);
        if gap == 0.0 {
            0.0
        } else {
            gap / self.cost.abs().max(self.bound.abs())
        }
    }
}

/// Why there is no assignment.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AssignmentError {
    /// The matrix does not have `n * n` entries.
    #[error("cost matrix: expected {n} x {n} entries, found {found}")]
    Shape {
        /// Rows and columns.
        n: usize,
        /// Entries found.
        found: usize,
    },
    /// A cost is infinite or not a number.
    #[error(
        "the cost of row {row} and column {column} is not finite: NaN, infinite or huge values in one of the points?"
    )]
    NonFinite {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
    },
    /// The certificate does not close; a defect of the algorithm, never of the input.
    #[error(
        "assignment: cost {cost} and lower bound {bound} differ by more than {TOLERANCE:e}; please report this"
    )]
    Gap {
        /// Cost of the assignment found.
        cost: f64,
        /// Lower bound found.
        bound: f64,
    },
    /// `progress` returned false.
    #[error("stopped on request")]
    Stopped,
}

/// Largest relative distance between the cost and its lower bound that is accepted.
pub const TOLERANCE: f64 = 1e-6;

/// What is told how much of the work is done; returns whether to go on.
pub type Progress<'a> = &'a mut (dyn FnMut(f64) -> bool + Send);

/// Solves the assignment problem for `cost: [n, n]` (row-major, finite) in the current rayon pool. `progress` is called
/// with a fraction between 0 and 1 now and then, and stops the work by returning false. The result does not depend on the number of threads.
pub fn assign(
    cost: &[f32],
    n: usize,
    progress: Progress<'_>,
) -> Result<Assignment, AssignmentError> {
    if cost.len() != n * n {
        return Err(AssignmentError::Shape {
            n,
            found: cost.len(),
        });
    }
    if n == 0 {
        return Ok(Assignment {
            column_of: Vec::new(),
            cost: 0.0,
            bound: 0.0,
            u: Vec::new(),
            v: Vec::new(),
        });
    }
    // Sums of finite single-precision costs are finite in double precision.
    let excesses: Vec<f64> = cost.par_chunks(n).map(excess).collect();
    if let Some(row) = excesses.iter().position(|x| !x.is_finite()) {
        let column = cost[row * n..][..n]
            .iter()
            .position(|c| !c.is_finite())
            .unwrap_or(0);
        return Err(AssignmentError::NonFinite { row, column });
    }
    let scale = excesses.iter().sum::<f64>() / n as f64;
    let mut state = State::new(n);
    solve(cost, &mut state, scale, progress)?;
    let assignment = certify(cost, state);
    if assignment.relative_gap() > TOLERANCE {
        return Err(AssignmentError::Gap {
            cost: assignment.cost,
            bound: assignment.bound,
        });
    }
    Ok(assignment)
}

fn certify(cost: &[f32], state: State) -> Assignment {
    let n = state.v.len();
    let total = state
        .column_of
        .iter()
        .enumerate()
        .map(|(i, &j)| f64::from(cost[i * n + j as usize]))
        .sum();
    // The best u for given v: feasible by construction.
    let u: Vec<f64> = (0..n)
        .into_par_iter()
        .map(|i| scan::min_reduced(&cost[i * n..][..n], &state.v))
        .collect();
    // Added pair by pair, so that large duals of opposite sign cancel before they are summed.
    let bound = u
        .iter()
        .zip(&state.column_of)
        .map(|(&u, &j)| u + state.v[j as usize])
        .sum();
    Assignment {
        column_of: state.column_of,
        cost: total,
        bound,
        u,
        v: state.v,
    }
}

/// Dual variables and the partial assignment. Every assigned pair is tight, `c = u + v` (not during the auction).
struct State {
    u: Vec<f64>,
    v: Vec<f64>,
    column_of: Vec<u32>,
    row_of: Vec<u32>,
}

impl State {
    fn new(n: usize) -> Self {
        State {
            u: vec![0.0; n],
            v: vec![0.0; n],
            column_of: vec![NONE; n],
            row_of: vec![NONE; n],
        }
    }

    fn free_rows(&self) -> Vec<u32> {
        (0..self.column_of.len() as u32)
            .rev()
            .filter(|&i| self.column_of[i as usize] == NONE)
            .collect()
    }

    /// Hands `column` to `row`; returns the row that loses it, or [`NONE`].
    fn assign(&mut self, row: u32, column: u32) -> u32 {
        let displaced = std::mem::replace(&mut self.row_of[column as usize], row);
        self.column_of[row as usize] = column;
        if displaced != NONE {
            self.column_of[displaced as usize] = NONE;
        }
        displaced
    }

    fn release_all(&mut self) {
        self.column_of.fill(NONE);
        self.row_of.fill(NONE);
    }
}

fn solve(
    cost: &[f32],
    state: &mut State,
    scale: f64,
    progress: Progress<'_>,
) -> Result<(), AssignmentError> {
    let mut report = |fraction| {
        if progress(fraction) {
            Ok(())
        } else {
            Err(AssignmentError::Stopped)
        }
    };
    let n = state.v.len();
    let mut candidates = Candidates::new(cost, n);
    candidates.refresh_all(&state.v);
    for (phase, increment) in INCREMENTS.into_iter().enumerate() {
        if scale > 0.0 {
            state.release_all();
            auction::bid(state, &mut candidates, increment * scale, MAX_BIDS * n);
        }
        report(0.12 * (phase + 1) as f64)?;
    }
    state.release_all();
    auction::bid(state, &mut candidates, 0.0, MAX_BIDS * n);
    let free = state.free_rows();
    let mut search = Search::new(candidates::first_equal_row(cost, n));
    for (done, &row) in free.iter().enumerate() {
        search.augment(state, &mut candidates, row);
        if done % 64 == 0 {
            report(0.6 + 0.4 * done as f64 / free.len() as f64)?;
        }
    }
    Ok(())
}

/// Mean minus least entry of a row.
fn excess(row: &[f32]) -> f64 {
    let sum: f64 = row.iter().map(|&c| f64::from(c)).sum();
    sum / row.len() as f64 - scan::min_reduced(row, &vec![0.0; row.len()])
}

#[cfg(test)]
mod tests;
