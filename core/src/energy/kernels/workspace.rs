//! Memory of one block evaluation, reused from block to block.

use super::{Lanes, Real, Tables, Tile};

/// Positions, energies, gradients and intermediate values of `L` configurations.
#[derive(Debug)]
pub(crate) struct Workspace<R, const L: usize> {
    /// Positions `[3N]` relative to the first atom, in f64 for bonded terms, in `R` for pairs.
    pub x: Vec<Lanes<f64, L>>,
    pub x_pair: Vec<Lanes<R, L>>,
    pub energy: Lanes<f64, L>,
    /// dU/dx `[3N]` of bonded terms, and of pairs.
    pub gradient: Vec<Lanes<f64, L>>,
    pub gradient_pair: Vec<Lanes<R, L>>,
    /// The pairs at hand, where they are not all kept.
    pub tile: Tile<R>,
    /// Of each pair of the tile: squared distance, inverse distance, and (dU/dr)/r.
    pub r2: Vec<Lanes<R, L>>,
    pub inverse_r: Vec<Lanes<R, L>>,
    pub slope: Vec<Lanes<R, L>>,
    /// Of each pair (i, j) of the tile: (dI_i/dr)/r and (dI_j/dr)/r of the descreening integrals.
    pub integral_slope: Vec<[Lanes<R, L>; 2]>,
    /// Of each atom: descreening integral I, Born radius B and its inverse, dB/dI, dU/dB (later dU/dI).
    pub integral: Vec<Lanes<R, L>>,
    pub born: Vec<Lanes<R, L>>,
    pub inverse_born: Vec<Lanes<R, L>>,
    pub born_slope: Vec<Lanes<R, L>>,
    pub born_gradient: Vec<Lanes<R, L>>,
}

impl<R: Real, const L: usize> Workspace<R, L> {
    pub fn new(tables: &Tables<R>, forces: bool) -> Self {
        let zero = Lanes::splat(R::of(0.0));
        let zero64 = Lanes::splat(0.0);
        let n = 3 * tables.n_atoms;
        let solvated = if tables.generalized_born.is_some() {
            tables.n_atoms
        } else {
            0
        };
        let pairs = tables.most_pairs;
        let slopes = if forces { pairs } else { 0 };
        Workspace {
            x: vec![zero64; n],
            x_pair: vec![zero; n],
            energy: zero64,
            gradient: vec![zero64; if forces { n } else { 0 }],
            gradient_pair: vec![zero; if forces { n } else { 0 }],
            tile: Tile::default(),
            r2: vec![zero; pairs],
            inverse_r: vec![zero; pairs],
            slope: vec![zero; slopes],
            integral_slope: vec![[zero; 2]; if solvated > 0 { slopes } else { 0 }],
            integral: vec![zero; solvated],
            born: vec![zero; solvated],
            inverse_born: vec![zero; solvated],
            born_slope: vec![zero; solvated],
            born_gradient: vec![zero; solvated],
        }
    }

    /// Loads 1 to `L` configurations (`[n, N, 3]`); the last one fills the lanes left over.
    pub fn load(&mut self, positions: &[f64]) {
        let width = self.x.len();
        let n = positions.len() / width;
        // 0 for finite coordinates, NaN otherwise: a coordinate that no term reads must count as well.
        self.energy = Lanes::splat(0.0);
        for lane in 0..L {
            let start = lane.min(n - 1) * width;
            let configuration = &positions[start..start + width];
            let origin = [configuration[0], configuration[1], configuration[2]];
            for (d, &value) in configuration.iter().enumerate() {
                let relative = value - origin[d % 3];
                self.energy.0[lane] += 0.0 * value;
                self.x[d].0[lane] = relative;
                self.x_pair[d].0[lane] = R::of(relative);
            }
        }
        let zero = Lanes::splat(R::of(0.0));
        self.gradient.fill(Lanes::splat(0.0));
        self.gradient_pair.fill(zero);
        self.slope.fill(zero);
        self.integral.fill(zero);
        self.born_gradient.fill(zero);
    }

    /// Energy of the configuration in a lane, kJ/mol.
    pub fn energy(&self, lane: usize) -> f64 {
        self.energy.0[lane]
    }

    /// Forces of the configuration in a lane, kJ/(mol nm).
    pub fn forces(&self, lane: usize, forces: &mut [f64]) {
        for ((force, bonded), pair) in forces
            .iter_mut()
            .zip(&self.gradient)
            .zip(&self.gradient_pair)
        {
            *force = -(bonded.0[lane] + pair.0[lane].widen());
        }
    }
}
