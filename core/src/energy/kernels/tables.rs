//! The terms of a potential in the layout that the kernels read.

use std::ops::Range;

use super::super::parameters::{Angle, Bond, GeneralizedBorn, Nonbonded, Parameters, Torsion};
use crate::math::Real;

/// Lennard-Jones and Coulomb coefficients of a pair: `c12/r^12 - c6/r^6 + q (1/r) + q_rf r^2 - q_shift`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairTerm<R> {
    /// Position in `Tile::pairs`.
    pub pair: usize,
    pub c12: R,
    pub c6: R,
    pub q: R,
    pub q_rf: R,
    pub q_shift: R,
}

/// The switching function of the Lennard-Jones part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Switch<R> {
    pub start: R,
    /// 1/(cutoff - start)
    pub inverse_width: R,
}

/// Pairs of some rows (a row: an atom with all later ones), and their terms.
#[derive(Debug, Clone)]
pub(crate) struct Tile<R> {
    /// First atoms of the pairs.
    pub rows: Range<usize>,
    /// Pairs whose distances are needed, sorted.
    pub pairs: Vec<[usize; 2]>,
    /// Nonbonded terms without cutoff, and all exceptions.
    pub plain: Vec<PairTerm<R>>,
    /// With cutoff and reaction field.
    pub truncated: Vec<PairTerm<R>>,
}

impl<R> Default for Tile<R> {
    fn default() -> Self {
        Tile {
            rows: 0..0,
            pairs: Vec::new(),
            plain: Vec::new(),
            truncated: Vec::new(),
        }
    }
}

/// How nonbonded terms are truncated.
#[derive(Debug, Clone)]
pub(crate) struct Truncation<R> {
    pub cutoff2: R,
    pub switch: Option<Switch<R>>,
}

/// Generalized Born parameters.
#[derive(Debug, Clone)]
pub(crate) struct SolventTables<R> {
    pub charges: Vec<R>,
    pub offset_radii: Vec<R>,
    pub inverse_offset_radii: Vec<R>,
    pub inverse_radii: Vec<R>,
    pub scaled_radii: Vec<R>,
    pub surface: Vec<R>,
    pub alpha: R,
    pub beta: R,
    pub gamma: R,
    pub pair_prefactor: R,
    pub self_prefactor: R,
    pub cutoff2: Option<R>,
    pub shift: R,
    pub engulfed_term: bool,
}

/// Everything a block evaluation reads. Bonded terms stay in f64, where they need it: bonds are stiff.
#[derive(Debug, Clone)]
pub(crate) struct Tables<R> {
    pub n_atoms: usize,
    pub bonds: Vec<Bond>,
    pub angles: Vec<Angle>,
    pub torsions: Vec<Torsion>,
    /// All pairs, if they are few enough to be kept with all that is computed for them.
    pub whole: Option<Tile<R>>,
    /// The rows of the tiles that are worked on one after the other otherwise.
    pub tiles: Vec<Range<usize>>,
    /// Most pairs of one tile.
    pub most_pairs: usize,
    pub truncation: Truncation<R>,
    pub generalized_born: Option<SolventTables<R>>,
    /// From which tiles are made.
    nonbonded: Option<Nonbonded>,
}

/// Pairs of a tile. What is computed for them takes up to 640 bytes each with 16 lanes of f64: 8 MB for each thread. Molecules of
/// up to 160 atoms are one tile.
pub(crate) const PAIRS_PER_TILE: usize = 12_800;

impl<R: Real> Tables<R> {
    /// `pairs_per_tile` bounds the memory of a workspace, unless one row has more.
    pub fn new(parameters: &Parameters, pairs_per_tile: usize) -> Self {
        let n = parameters.masses.len();
        let cutoff = parameters.nonbonded.as_ref().and_then(|nb| nb.cutoff);
        let switch = cutoff
            .and_then(|c| c.switch.map(|start| (start, c.distance)))
            .map(|(start, end)| Switch {
                start: R::of(start),
                inverse_width: R::of(1.0 / (end - start)),
            });
        let mut tables = Tables {
            n_atoms: n,
            bonds: parameters.bonds.clone(),
            angles: parameters.angles.clone(),
            torsions: parameters.torsions.clone(),
            whole: None,
            tiles: Vec::new(),
            most_pairs: 0,
            truncation: Truncation {
                cutoff2: R::of(cutoff.map_or(f64::INFINITY, |c| c.distance * c.distance)),
                switch,
            },
            generalized_born: parameters.generalized_born.as_ref().map(SolventTables::new),
            nonbonded: parameters.nonbonded.clone(),
        };
        let (mut start, mut pairs) = (0, 0);
        for i in 0..n {
            let row = n - 1 - i;
            if pairs + row > pairs_per_tile && pairs > 0 {
                tables.tiles.push(start..i);
                (start, pairs) = (i, 0);
            }
            pairs += row;
            tables.most_pairs = tables.most_pairs.max(pairs);
        }
        tables.tiles.push(start..n);
        if tables.tiles.len() == 1 {
            let mut whole = Tile::default();
            tables.fill(0..n, &mut whole);
            tables.most_pairs = whole.pairs.len();
            tables.whole = Some(whole);
        }
        tables
    }

    /// Makes the tile of some rows.
    pub fn fill(&self, rows: Range<usize>, tile: &mut Tile<R>) {
        tile.pairs.clear();
        tile.plain.clear();
        tile.truncated.clear();
        tile.rows = rows.clone();
        let all = self.generalized_born.is_some();
        for i in rows {
            let first = tile.pairs.len();
            if all {
                tile.pairs.extend((i + 1..self.n_atoms).map(|j| [i, j]));
            }
            let Some(nonbonded) = &self.nonbonded else {
                continue;
            };
            let cutoff = nonbonded.cutoff;
            let (k_rf, c_rf) = cutoff.map_or((0.0, 0.0), |c| (c.k_rf, c.c_rf));
            nonbonded.row(i, |j, term| {
                let pair = match all {
                    true => first + j - i - 1,
                    false => {
                        tile.pairs.push([i, j]);
                        tile.pairs.len() - 1
                    }
                };
                let sigma6 = term.sigma.powi(6);
                let target = match cutoff.is_some() && !term.exception {
                    true => &mut tile.truncated,
                    false => &mut tile.plain,
                };
                target.push(PairTerm {
                    pair,
                    c12: R::of(4.0 * term.epsilon * sigma6 * sigma6),
                    c6: R::of(4.0 * term.epsilon * sigma6),
                    q: R::of(term.charges),
                    q_rf: R::of(term.charges * k_rf),
                    q_shift: R::of(term.charges * c_rf),
                });
            });
        }
    }
}

impl<R: Real> SolventTables<R> {
    fn new(gb: &GeneralizedBorn) -> Self {
        let convert = |values: &[f64]| values.iter().map(|&v| R::of(v)).collect::<Vec<R>>();
        let inverse = |values: &[f64]| values.iter().map(|&v| R::of(1.0 / v)).collect::<Vec<R>>();
        let [alpha, beta, gamma] = gb.alpha_beta_gamma.map(R::of);
        SolventTables {
            charges: convert(&gb.charges),
            offset_radii: convert(&gb.offset_radii),
            inverse_offset_radii: inverse(&gb.offset_radii),
            inverse_radii: inverse(&gb.radii),
            scaled_radii: convert(&gb.scaled_radii),
            surface: convert(&gb.surface),
            alpha,
            beta,
            gamma,
            pair_prefactor: R::of(gb.pair_prefactor),
            self_prefactor: R::of(gb.self_prefactor),
            cutoff2: gb.cutoff.map(|c| R::of(c * c)),
            shift: R::of(gb.shift),
            engulfed_term: gb.engulfed_term,
        }
    }
}
