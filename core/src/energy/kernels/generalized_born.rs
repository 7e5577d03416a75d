//! Generalized Born solvation with the Onufriev-Bashford-Case radii (Proteins 55, 383, 2004) and pairwise descreening
//! (Hawkins, Cramer, Truhlar, J. Phys. Chem. 100, 19824, 1996), as OpenMM's GBSAOBCForce and obc1/obc2 CustomGBForce.

use super::tables::SolventTables;
use super::{Lanes, Tables, Tile, Workspace};
use crate::math::Real;

/// Geometry of atom i seen by the sphere of atom j.
#[inline(always)]
fn integral<R: Real, const FORCES: bool, const F: bool>(
    r: R,
    inverse_r: R,
    offset_radius: R,
    inverse_offset_radius: R,
    scaled_radius: R,
    engulfed_term: bool,
) -> (R, R) {
    let (zero, half, one) = (R::of(0.0), R::of(0.5), R::of(1.0));
    let distance = (r - scaled_radius).abs();
    let lower = if distance > offset_radius {
        distance
    } else {
        offset_radius
    };
    let upper = r + scaled_radius;
    let common = one / (lower * upper);
    let (inverse_lower, inverse_upper) = (upper * common, lower * common);
    let log = (upper * inverse_lower).log_normal::<F>();
    let ratio = scaled_radius * inverse_r;
    let (difference, sum) = (inverse_lower - inverse_upper, inverse_lower + inverse_upper);
    // I = 1/2 [1/L - 1/U + (r - s^2/r)(1/U^2 - 1/L^2)/4 + ln(L/U)/(2r)]
    let quarter = R::of(0.25) * (r - scaled_radius * ratio);
    let mut value = half * (difference * (one - quarter * sum) - half * inverse_r * log);
    // (dI/dr)/r; the dependence of L and U on r cancels, except inside the neighbour.
    let inverse_r2 = inverse_r * inverse_r;
    let mut slope = if FORCES {
        let explicit = R::of(-0.25) * ratio.fma::<F>(ratio, one) * (difference * sum);
        half * inverse_r * (half * log).fma::<F>(inverse_r2, explicit)
    } else {
        zero
    };
    let engulfed = offset_radius < scaled_radius - r;
    if engulfed_term {
        value += if engulfed {
            inverse_offset_radius - inverse_lower
        } else {
            zero
        };
    } else if FORCES {
        slope += if engulfed {
            inverse_lower * inverse_lower * inverse_r
        } else {
            zero
        };
    }
    let apart = upper < offset_radius;
    (
        if apart { zero } else { value },
        if apart { zero } else { slope },
    )
}

/// Descreening integrals `I_i`, and their derivatives with respect to each distance.
#[inline(always)]
pub(super) fn descreening<
    R: Real,
    const L: usize,
    const FORCES: bool,
    const CUTOFF: bool,
    const F: bool,
>(
    tables: &Tables<R>,
    tile: &Tile<R>,
    solvent: &SolventTables<R>,
    work: &mut Workspace<R, L>,
) {
    let zero = R::of(0.0);
    let cutoff2 = solvent.cutoff2.unwrap_or(zero);
    let engulfed_term = solvent.engulfed_term;
    let mut start = 0;
    for i in tile.rows.clone() {
        let (offset_i, inverse_i, scaled_i) = (
            solvent.offset_radii[i],
            solvent.inverse_offset_radii[i],
            solvent.scaled_radii[i],
        );
        let mut integral_i = work.integral[i];
        for j in i + 1..tables.n_atoms {
            let pair = start + j - i - 1;
            let (r2, inverse_r) = (work.r2[pair], work.inverse_r[pair]);
            let (offset_j, inverse_j, scaled_j) = (
                solvent.offset_radii[j],
                solvent.inverse_offset_radii[j],
                solvent.scaled_radii[j],
            );
            let mut integral_j = work.integral[j];
            let mut slopes = [Lanes::<R, L>::splat(zero); 2];
            for l in 0..L {
                let inverse = inverse_r.0[l];
                let r = r2.0[l] * inverse;
                let (mut vi, mut si) = integral::<R, FORCES, F>(
                    r,
                    inverse,
                    offset_i,
                    inverse_i,
                    scaled_j,
                    engulfed_term,
                );
                let (mut vj, mut sj) = integral::<R, FORCES, F>(
                    r,
                    inverse,
                    offset_j,
                    inverse_j,
                    scaled_i,
                    engulfed_term,
                );
                if CUTOFF {
                    let outside = r2.0[l] > cutoff2;
                    vi = if outside { zero } else { vi };
                    vj = if outside { zero } else { vj };
                    si = if outside { zero } else { si };
                    sj = if outside { zero } else { sj };
                }
                integral_i.0[l] += vi;
                integral_j.0[l] += vj;
                slopes[0].0[l] = si;
                slopes[1].0[l] = sj;
            }
            work.integral[j] = integral_j;
            if FORCES {
                work.integral_slope[pair] = slopes;
            }
        }
        work.integral[i] = integral_i;
        start += tables.n_atoms - i - 1;
    }
}

/// Born radii, their derivatives with respect to the integrals, self energies and the surface term.
#[inline(always)]
pub(super) fn radii<R: Real, const L: usize, const FORCES: bool, const F: bool>(
    solvent: &SolventTables<R>,
    work: &mut Workspace<R, L>,
) {
    let (one, half) = (R::of(1.0), R::of(0.5));
    let (alpha, beta, gamma) = (solvent.alpha, solvent.beta, solvent.gamma);
    for i in 0..work.integral.len() {
        let (offset, inverse_offset) = (solvent.offset_radii[i], solvent.inverse_offset_radii[i]);
        let inverse_radius = solvent.inverse_radii[i];
        let self_energy = half * solvent.self_prefactor * solvent.charges[i] * solvent.charges[i];
        let surface = solvent.surface[i];
        let integral = work.integral[i];
        let mut born = Lanes::<R, L>::splat(one);
        let mut inverse_born = born;
        let mut born_slope = born;
        let mut gradient = born;
        let mut energy = work.energy;
        for l in 0..L {
            let psi = integral.0[l] * offset;
            let argument = psi * (alpha + psi * (gamma * psi - beta));
            let tanh = argument.tanh_absolute::<F>();
            let inverse = inverse_offset - tanh * inverse_radius;
            let b = one / inverse;
            let cube = inverse * inverse * inverse;
            let surface_energy = surface * cube * cube;
            energy.0[l] += (self_energy * inverse + surface_energy).widen();
            born.0[l] = b;
            inverse_born.0[l] = inverse;
            if FORCES {
                let argument_slope = alpha + psi * (R::of(3.0) * gamma * psi - R::of(2.0) * beta);
                born_slope.0[l] =
                    b * b * inverse_radius * (one - tanh * tanh) * argument_slope * offset;
                gradient.0[l] = -(self_energy * inverse + R::of(6.0) * surface_energy) * inverse;
            }
        }
        work.energy = energy;
        work.born[i] = born;
        work.inverse_born[i] = inverse_born;
        if FORCES {
            work.born_slope[i] = born_slope;
            work.born_gradient[i] = gradient;
        }
    }
}

/// Pair energies `prefactor q_i q_j (1/f - shift)`, `f^2 = r^2 + B_i B_j exp(-r^2/(4 B_i B_j))`.
#[inline(always)]
pub(super) fn polarisation<
    R: Real,
    const L: usize,
    const FORCES: bool,
    const CUTOFF: bool,
    const F: bool,
>(
    tables: &Tables<R>,
    tile: &Tile<R>,
    solvent: &SolventTables<R>,
    work: &mut Workspace<R, L>,
) {
    let (zero, one) = (R::of(0.0), R::of(1.0));
    let cutoff2 = solvent.cutoff2.unwrap_or(zero);
    let mut start = 0;
    for i in tile.rows.clone() {
        let charge = solvent.pair_prefactor * solvent.charges[i];
        let (born_i, inverse_i) = (work.born[i], work.inverse_born[i]);
        let mut gradient_i = work.born_gradient[i];
        let mut sum = Lanes::<R, L>::splat(zero);
        for j in i + 1..tables.n_atoms {
            let pair = start + j - i - 1;
            let r2 = work.r2[pair];
            let (born_j, inverse_j) = (work.born[j], work.inverse_born[j]);
            let q = charge * solvent.charges[j];
            let mut gradient_j = work.born_gradient[j];
            let mut slope = if FORCES {
                work.slope[pair]
            } else {
                Lanes::splat(zero)
            };
            for l in 0..L {
                let square = r2.0[l];
                let d = R::of(0.25) * square * (inverse_i.0[l] * inverse_j.0[l]);
                let e = (-d).exp_negative::<F>();
                let f2 = (born_i.0[l] * born_j.0[l]).fma::<F>(e, square);
                let inverse_f = one / f2.sqrt();
                let mut energy = q * (inverse_f - solvent.shift);
                let mut steep = q * inverse_f * inverse_f * inverse_f;
                if CUTOFF {
                    let outside = square > cutoff2;
                    energy = if outside { zero } else { energy };
                    steep = if outside { zero } else { steep };
                }
                sum.0[l] += energy;
                if FORCES {
                    slope.0[l] += steep * e.fma::<F>(R::of(0.25), -one);
                    // dU/d(B_i B_j)
                    let product = R::of(-0.5) * steep * e * (one + d);
                    gradient_i.0[l] += product * born_j.0[l];
                    gradient_j.0[l] += product * born_i.0[l];
                }
            }
            if FORCES {
                work.slope[pair] = slope;
                work.born_gradient[j] = gradient_j;
            }
        }
        work.born_gradient[i] = gradient_i;
        for l in 0..L {
            work.energy.0[l] += sum.0[l].widen();
        }
        start += tables.n_atoms - i - 1;
    }
}

/// dU/dB becomes dU/dI.
#[inline(always)]
pub(super) fn integral_gradients<R: Real, const L: usize>(work: &mut Workspace<R, L>) {
    for (gradient, slope) in work.born_gradient.iter_mut().zip(&work.born_slope) {
        let (mut product, slope) = (*gradient, *slope);
        for l in 0..L {
            product.0[l] *= slope.0[l];
        }
        *gradient = product;
    }
}

/// Carries dU/dI to the distances of a tile.
#[inline(always)]
pub(super) fn chain<R: Real, const L: usize, const F: bool>(
    tile: &Tile<R>,
    work: &mut Workspace<R, L>,
) {
    let slopes = work.slope.iter_mut().zip(&work.integral_slope);
    for (&[i, j], (place, &[slope_i, slope_j])) in tile.pairs.iter().zip(slopes) {
        let (gi, gj) = (work.born_gradient[i], work.born_gradient[j]);
        let mut slope = *place;
        for l in 0..L {
            let from_i = gi.0[l].fma::<F>(slope_i.0[l], slope.0[l]);
            slope.0[l] = gj.0[l].fma::<F>(slope_j.0[l], from_i);
        }
        *place = slope;
    }
}
