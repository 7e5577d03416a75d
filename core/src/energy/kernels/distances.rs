//! Pair distances, and gradients from the derivatives with respect to distances.

use super::{Lanes, Tables, Tile, Workspace};
use crate::math::Real;

/// Squared and inverse distances of the pairs of a tile.
#[inline(always)]
pub(super) fn distances<R: Real, const L: usize, const F: bool>(
    tables: &Tables<R>,
    tile: &Tile<R>,
    work: &mut Workspace<R, L>,
) {
    let x = &work.x_pair[..3 * tables.n_atoms];
    let r2 = work.r2.iter_mut().zip(&mut work.inverse_r);
    for (&[i, j], (r2, inverse_r)) in tile.pairs.iter().zip(r2) {
        let (a, b) = (
            [x[3 * i], x[3 * i + 1], x[3 * i + 2]],
            [x[3 * j], x[3 * j + 1], x[3 * j + 2]],
        );
        let (mut squares, mut inverses) = (
            Lanes::<R, L>::splat(R::of(0.0)),
            Lanes::<R, L>::splat(R::of(0.0)),
        );
        for l in 0..L {
            let dx = b[0].0[l] - a[0].0[l];
            let dy = b[1].0[l] - a[1].0[l];
            let dz = b[2].0[l] - a[2].0[l];
            let square = dx.fma::<F>(dx, dy.fma::<F>(dy, dz * dz));
            squares.0[l] = square;
            inverses.0[l] = R::of(1.0) / square.sqrt();
        }
        (*r2, *inverse_r) = (squares, inverses);
    }
}

/// Adds `slope (x_j - x_i)` to the gradient of atom j and takes it from that of atom i.
#[inline(always)]
pub(super) fn pair_gradients<R: Real, const L: usize, const F: bool>(
    tables: &Tables<R>,
    tile: &Tile<R>,
    work: &mut Workspace<R, L>,
) {
    let x = &work.x_pair[..3 * tables.n_atoms];
    let gradient = &mut work.gradient_pair[..3 * tables.n_atoms];
    let (mut start, pairs) = (0, &tile.pairs);
    while start < pairs.len() {
        let i = pairs[start][0];
        let end = start + pairs[start..].iter().take_while(|p| p[0] == i).count();
        let a = [x[3 * i], x[3 * i + 1], x[3 * i + 2]];
        let mut row = [Lanes::<R, L>::splat(R::of(0.0)); 3];
        for (&[_, j], &slope) in pairs[start..end].iter().zip(&work.slope[start..end]) {
            for d in 0..3 {
                let b = x[3 * j + d];
                let mut sum = gradient[3 * j + d];
                for l in 0..L {
                    let term = slope.0[l] * (b.0[l] - a[d].0[l]);
                    sum.0[l] += term;
                    row[d].0[l] -= term;
                }
                gradient[3 * j + d] = sum;
            }
        }
        for d in 0..3 {
            gradient[3 * i + d] = gradient[3 * i + d].plus(&row[d]);
        }
        start = end;
    }
}
