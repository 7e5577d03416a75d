//! Lennard-Jones and Coulomb interactions, as OpenMM's NonbondedForce without periodicity.

use super::tables::PairTerm;
use super::{Lanes, Tables, Tile, Workspace};
use crate::math::Real;

#[inline(always)]
pub(super) fn nonbonded<R: Real, const L: usize, const FORCES: bool, const F: bool>(
    tables: &Tables<R>,
    tile: &Tile<R>,
    work: &mut Workspace<R, L>,
) {
    pair_terms::<R, L, FORCES, false, false, F>(tables, &tile.plain, work);
    if tables.truncation.switch.is_some() {
        pair_terms::<R, L, FORCES, true, true, F>(tables, &tile.truncated, work);
    } else {
        pair_terms::<R, L, FORCES, true, false, F>(tables, &tile.truncated, work);
    }
}

/// Terms are summed in short runs before they are widened, which keeps the rounding of f32 sums small.
const RUN: usize = 16;

#[inline(always)]
fn pair_terms<
    R: Real,
    const L: usize,
    const FORCES: bool,
    const CUTOFF: bool,
    const SWITCH: bool,
    const F: bool,
>(
    tables: &Tables<R>,
    terms: &[PairTerm<R>],
    work: &mut Workspace<R, L>,
) {
    let zero = R::of(0.0);
    let cutoff2 = tables.truncation.cutoff2;
    let (start, inverse_width) = tables
        .truncation
        .switch
        .map_or((zero, zero), |s| (s.start, s.inverse_width));
    for run in terms.chunks(RUN) {
        let mut sum = Lanes::<R, L>::splat(zero);
        for term in run {
            let (r2, inverse_r) = (work.r2[term.pair], work.inverse_r[term.pair]);
            let mut slope = if FORCES {
                work.slope[term.pair]
            } else {
                Lanes::splat(zero)
            };
            for l in 0..L {
                let inverse = inverse_r.0[l];
                let s2 = inverse * inverse;
                let s6 = s2 * s2 * s2;
                let a = term.c12 * s6 * s6;
                let b = term.c6 * s6;
                let coulomb = term.q * inverse;
                let mut vdw = a - b;
                // r dU/dr
                let mut r_slope = R::of(6.0).fma::<F>(b, R::of(-12.0) * a);
                if SWITCH {
                    let r = r2.0[l] * inverse;
                    let t = (r - start) * inverse_width;
                    let t = if t < zero { zero } else { t };
                    let value = R::of(1.0)
                        + t * t * t * (R::of(-10.0) + t * (R::of(15.0) - t * R::of(6.0)));
                    let slope = t
                        * t
                        * (R::of(-30.0) + t * (R::of(60.0) - t * R::of(30.0)))
                        * inverse_width;
                    r_slope = r_slope * value + vdw * slope * r;
                    vdw *= value;
                }
                let mut energy = vdw + coulomb;
                r_slope -= coulomb;
                if CUTOFF {
                    let field = term.q_rf * r2.0[l];
                    energy += field - term.q_shift;
                    r_slope += R::of(2.0) * field;
                    let outside = r2.0[l] > cutoff2;
                    energy = if outside { zero } else { energy };
                    r_slope = if outside { zero } else { r_slope };
                }
                sum.0[l] += energy;
                if FORCES {
                    slope.0[l] += r_slope * s2;
                }
            }
            if FORCES {
                work.slope[term.pair] = slope;
            }
        }
        for l in 0..L {
            work.energy.0[l] += sum.0[l].widen();
        }
    }
}
