//! Shortest augmenting paths (Dijkstra on reduced costs) over candidate lists that are widened on demand.

use super::candidates::Candidates;
use super::{NONE, State};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// What the heap holds: a column reached, or the unlisted columns of a row in the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Column(u32),
    Unlisted(u32),
}

/// Heap entry; the smallest distance comes first.
struct Reached {
    distance: f64,
    place: Place,
}

impl PartialEq for Reached {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Reached {}
impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Reached {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .distance
            .total_cmp(&self.distance)
            .then(other.place.cmp(&self.place))
    }
}

/// Work space of the searches.
pub struct Search {
    /// Of each column from the start, infinite where not reached.
    distance: Vec<f64>,
    parent: Vec<u32>,
    touched: Vec<u32>,
    /// Columns in the tree.
    scanned: Vec<u32>,
    /// Of each row in the tree: its distance minus its dual; and whether its list was renewed in this search.
    offset: Vec<f64>,
    renewed: Vec<bool>,
    /// For each row the first of those equal to it, and for that one the last search that one of them entered.
    class: Vec<u32>,
    entered: Vec<u32>,
    searches: u32,
    heap: BinaryHeap<Reached>,
    /// Nearest free column reached, and its distance.
    sink: u32,
    bound: f64,
}

impl Search {
    /// `class[i]` is the first row with the same costs as row `i`.
    pub fn new(class: Vec<u32>) -> Self {
        let n = class.len();
        Search {
            distance: vec![f64::INFINITY; n],
            parent: vec![NONE; n],
            touched: Vec::new(),
            scanned: Vec::new(),
            offset: vec![0.0; n],
            renewed: vec![false; n],
            class,
            entered: vec![0; n],
            searches: 0,
            heap: BinaryHeap::new(),
            sink: NONE,
            bound: f64::INFINITY,
        }
    }

    /// Assigns the free row `start` along a shortest augmenting path and keeps the duals feasible on the whole matrix.
    pub fn augment(&mut self, state: &mut State, candidates: &mut Candidates, start: u32) {
        self.reset();
        candidates.refresh(start, &state.v);
        state.u[start as usize] = candidates
            .edges(start)
            .iter()
            .map(|&(j, c)| f64::from(c) - state.v[j as usize])
            .fold(f64::INFINITY, f64::min);
        let mut base = 0.0;
        self.enter(state, candidates, start, base);
        while base < self.bound {
            // The matrix is complete, so that while no free column is known the heap has entries.
            let Some(next) = self.heap.pop() else { break };
            if next.distance >= self.bound {
                break;
            }
            match next.place {
                Place::Column(j) => {
                    // An entry above the column's distance was overtaken by a shorter one.
                    if next.distance == self.distance[j as usize] {
                        base = next.distance;
                        self.scanned.push(j);
                        self.enter(state, candidates, state.row_of[j as usize], base);
                    }
                }
                Place::Unlisted(row) => {
                    base = next.distance;
                    self.widen(state, candidates, row, base);
                }
            }
        }
        let length = self.bound;
        for &j in &self.scanned {
            let change = length - self.distance[j as usize];
            state.v[j as usize] -= change;
            state.u[state.row_of[j as usize] as usize] += change;
        }
        state.u[start as usize] += length;
        self.flip(state, start);
    }

    fn reset(&mut self) {
        for &j in &self.touched {
            self.distance[j as usize] = f64::INFINITY;
        }
        self.touched.clear();
        self.scanned.clear();
        self.heap.clear();
        self.searches += 1;
        (self.sink, self.bound) = (NONE, f64::INFINITY);
    }

    /// Adds a row to the tree at distance `base`.
    fn enter(&mut self, state: &State, candidates: &Candidates, row: u32, base: f64) {
        // Equal rows have equal duals: the first to enter reaches every column at least as early as the others would.
        let class = self.class[row as usize] as usize;
        if std::mem::replace(&mut self.entered[class], self.searches) == self.searches {
            return;
        }
        self.offset[row as usize] = base - state.u[row as usize];
        self.renewed[row as usize] = false;
        self.relax_list(state, candidates, row, base);
    }

    fn relax_list(&mut self, state: &State, candidates: &Candidates, row: u32, base: f64) {
        for &(j, c) in candidates.edges(row) {
            self.relax(state, row, j, c, base);
        }
        let distance = (self.offset[row as usize] + candidates.floor(row)).max(base);
        if distance < self.bound {
            self.heap.push(Reached {
                distance,
                place: Place::Unlisted(row),
            });
        }
    }

    /// The search has come to where unlisted columns of `row` may matter: lists it anew, the second time all of it.
    fn widen(&mut self, state: &State, candidates: &mut Candidates, row: u32, base: f64) {
        if !std::mem::replace(&mut self.renewed[row as usize], true) {
            candidates.refresh(row, &state.v);
            self.relax_list(state, candidates, row, base);
        } else {
            for (j, &c) in candidates.row(row).iter().enumerate() {
                self.relax(state, row, j as u32, c, base);
            }
        }
    }

    fn relax(&mut self, state: &State, row: u32, j: u32, c: f32, base: f64) {
        let column = j as usize;
        // Rounding must not let the search run backwards.
        let through = (self.offset[row as usize] + (f64::from(c) - state.v[column])).max(base);
        if through >= self.distance[column] || through >= self.bound {
            return;
        }
        if self.distance[column].is_infinite() {
            self.touched.push(j);
        }
        self.distance[column] = through;
        self.parent[column] = row;
        if state.row_of[column] == NONE {
            (self.sink, self.bound) = (j, through);
        } else {
            self.heap.push(Reached {
                distance: through,
                place: Place::Column(j),
            });
        }
    }

    /// Exchanges assigned and free edges on the path to the sink.
    fn flip(&self, state: &mut State, start: u32) {
        let mut column = self.sink;
        loop {
            let row = self.parent[column as usize];
            state.row_of[column as usize] = row;
            column = std::mem::replace(&mut state.column_of[row as usize], column);
            if row == start {
                return;
            }
        }
    }
}
