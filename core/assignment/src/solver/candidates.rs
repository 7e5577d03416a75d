//! Short lists of the cheapest columns of each row, which stay valid while the duals of the columns fall.

use super::scan;
use rayon::prelude::*;

/// Columns listed per row.
const LENGTH: usize = 64;
const GROUP: usize = scan::GROUP;

/// A column and its cost.
pub type Edge = (u32, f32);

/// For each row the columns with the smallest `c - v` at the time of listing.
///
/// All unlisted columns had `c - v >= floor` then. Column duals `v` only ever fall, so that `floor` stays a lower bound
/// for them, and a decision among listed columns with `c - v <= floor` is the decision over the whole row.
pub struct Candidates<'a> {
    cost: &'a [f32],
    edges: Vec<Vec<Edge>>,
    floor: Vec<f64>,
}

impl<'a> Candidates<'a> {
    /// Empty lists over the matrix `cost: [n, n]`.
    pub fn new(cost: &'a [f32], n: usize) -> Self {
        Candidates {
            cost,
            edges: vec![Vec::new(); n],
            floor: vec![f64::NEG_INFINITY; n],
        }
    }

    /// The whole row of the matrix.
    pub fn row(&self, row: u32) -> &'a [f32] {
        let n = self.floor.len();
        &self.cost[row as usize * n..][..n]
    }

    pub fn edges(&self, row: u32) -> &[Edge] {
        &self.edges[row as usize]
    }

    /// Lower bound of `c - v` over the unlisted columns; infinite if all are listed.
    pub fn floor(&self, row: u32) -> f64 {
        self.floor[row as usize]
    }

    /// Lists one row anew.
    pub fn refresh(&mut self, row: u32, v: &[f64]) {
        let costs = self.row(row);
        self.floor[row as usize] = list(costs, v, row as usize, &mut self.edges[row as usize]);
    }

    /// Lists some rows anew, in parallel.
    pub fn refresh_rows(&mut self, rows: &[u32], v: &[f64]) {
        let mut taken: Vec<(u32, Vec<Edge>, f64)> = rows
            .iter()
            .map(|&row| (row, std::mem::take(&mut self.edges[row as usize]), 0.0))
            .collect();
        let (cost, n) = (self.cost, v.len());
        taken.par_iter_mut().for_each(|(row, edges, floor)| {
            let row = *row as usize;
            *floor = list(&cost[row * n..][..n], v, row, edges);
        });
        for (row, edges, floor) in taken {
            self.edges[row as usize] = edges;
            self.floor[row as usize] = floor;
        }
    }

    /// Lists all rows anew, in parallel.
    pub fn refresh_all(&mut self, v: &[f64]) {
        let (cost, n) = (self.cost, v.len());
        self.edges
            .par_iter_mut()
            .zip(&mut self.floor)
            .enumerate()
            .for_each(|(i, (edges, floor))| *floor = list(&cost[i * n..][..n], v, i, edges));
    }
}

/// For each row the number of the first row with equal costs throughout (itself, mostly).
pub fn first_equal_row(cost: &[f32], n: usize) -> Vec<u32> {
    let row = |i: u32| &cost[i as usize * n..][..n];
    let compare = |&i: &u32, &j: &u32| {
        let differing = row(i)
            .iter()
            .zip(row(j))
            .map(|(a, b)| a.total_cmp(b))
            .find(|o| o.is_ne());
        differing.unwrap_or(i.cmp(&j))
    };
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.par_sort_unstable_by(compare);
    let mut first: Vec<u32> = (0..n as u32).collect();
    for pair in order.windows(2) {
        if row(pair[0]) == row(pair[1]) {
            first[pair[1] as usize] = first[pair[0] as usize];
        }
    }
    first
}

/// Fills `edges` with the [`LENGTH`] smallest `c - v` of a row; returns the floor of the others.
fn list(cost: &[f32], v: &[f64], row: usize, edges: &mut Vec<Edge>) -> f64 {
    let n = cost.len();
    edges.clear();
    if n <= LENGTH {
        edges.extend(cost.iter().enumerate().map(|(j, &c)| (j as u32, c)));
        return f64::INFINITY;
    }
    let mut least = vec![0.0; n.div_ceil(GROUP)];
    scan::group_minima(cost, v, &mut least);
    // The k-th smallest of the groups' minima bounds the k-th smallest value from above.
    let threshold = if least.len() > LENGTH {
        *least
            .clone()
            .select_nth_unstable_by(LENGTH, f64::total_cmp)
            .1
    } else {
        f64::INFINITY
    };
    // Of equal columns each row lists others, else many rows would compete for the same few.
    let turn = |j: usize| if j >= row { j - row } else { j + n - row };
    let mut kept: Vec<(f64, usize)> = Vec::with_capacity(4 * LENGTH);
    for (group, &least) in least.iter().enumerate() {
        if least <= threshold {
            let first = group * GROUP;
            for j in first..(first + GROUP).min(n) {
                let value = f64::from(cost[j]) - v[j];
                if value <= threshold {
                    kept.push((value, turn(j)));
                }
            }
        }
    }
    let (_, &mut (floor, _), _) =
        kept.select_nth_unstable_by(LENGTH, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    edges.extend(kept[..LENGTH].iter().map(|&(_, turned)| {
        let j = if turned + row >= n {
            turned + row - n
        } else {
            turned + row
        };
        (j as u32, cost[j])
    }));
    floor
}
