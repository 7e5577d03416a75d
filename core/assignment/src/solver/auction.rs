//! Forward auction: approximate duals, and with increment 0 the "augmenting row reduction".

use super::candidates::Candidates;
use super::{NONE, State};
use std::collections::VecDeque;

/// Lets every free row in turn take the column with the smallest `c - v` and lower that column's `v` to where the second
/// best would be as good, minus `epsilon` (Bertsekas, Annals of Operations Research 14 (1988) 105). Ends when no row is
/// free or after `max_bids` bids.
///
/// With `epsilon = 0` this is the augmenting row reduction of Jonker and Volgenant (Computing 38 (1987) 325): every pair it
/// leaves is tight, `c = u + v`, and stays so. It may stall on ties, hence `max_bids`.
pub fn bid(state: &mut State, candidates: &mut Candidates, epsilon: f64, max_bids: usize) {
    let mut queue: VecDeque<u32> = state.free_rows().into();
    let mut batch = Vec::with_capacity(BATCH);
    let mut bids = 0;
    while bids < max_bids {
        if batch.is_empty() {
            // Lists that cannot tell are renewed in parallel, ahead of need.
            batch.extend(queue.drain(queue.len().saturating_sub(BATCH)..));
            let stale: Vec<u32> = batch
                .iter()
                .copied()
                .filter(|&row| best_two(candidates, &state.v, row).is_none())
                .collect();
            candidates.refresh_rows(&stale, &state.v);
        }
        let Some(row) = batch.pop() else { return };
        bids += 1;
        let two = match best_two(candidates, &state.v, row) {
            Some(two) => two,
            None => {
                candidates.refresh(row, &state.v);
                match best_two(candidates, &state.v, row) {
                    Some(two) => two,
                    None => continue, // a single column: nothing to bid against
                }
            }
        };
        let raise = two.second - two.best + epsilon;
        let mut column = two.column;
        if raise > 0.0 {
            state.v[column as usize] -= raise;
        } else if state.row_of[column as usize] != NONE {
            column = two.next; // a tie: the other column may be free
        }
        state.u[row as usize] = two.second;
        let displaced = state.assign(row, column);
        if displaced != NONE {
            // The loser of a tie waits, so that rows that can make progress do so first.
            if raise > 0.0 {
                queue.push_back(displaced)
            } else {
                queue.push_front(displaced)
            }
        }
    }
}

/// Rows taken from the queue at once. Fixed, so that the result does not depend on the number of threads.
const BATCH: usize = 64;

struct BestTwo {
    best: f64,
    second: f64,
    column: u32,
    next: u32,
}

/// The two smallest `c - v` of a row, or `None` if the list cannot tell.
fn best_two(candidates: &Candidates, v: &[f64], row: u32) -> Option<BestTwo> {
    let mut two = BestTwo {
        best: f64::INFINITY,
        second: f64::INFINITY,
        column: NONE,
        next: NONE,
    };
    for &(j, c) in candidates.edges(row) {
        let value = f64::from(c) - v[j as usize];
        if value < two.best {
            two = BestTwo {
                best: value,
                second: two.best,
                column: j,
                next: two.column,
            };
        } else if value < two.second {
            (two.second, two.next) = (value, j);
        }
    }
    (two.next != NONE && two.second <= candidates.floor(row)).then_some(two)
}
