//! Harmonic bonds and angles, and torsion series; always in f64.

use crate::math::Real;
use crate::math::angle::of_sine_and_cosine;
use crate::math::vector::{Vector, cross, dot_fused};

use super::{Lanes, Tables, Workspace};

/// Coordinates of one atom in all lanes.
#[inline(always)]
fn atom<const L: usize>(x: &[Lanes<f64, L>], i: usize) -> [Lanes<f64, L>; 3] {
    [x[3 * i], x[3 * i + 1], x[3 * i + 2]]
}

/// Adds to the gradient of one atom.
#[inline(always)]
fn add<const L: usize>(gradient: &mut [Lanes<f64, L>], i: usize, term: &[Lanes<f64, L>; 3]) {
    for (place, term) in gradient[3 * i..3 * i + 3].iter_mut().zip(term) {
        *place = place.plus(term);
    }
}

#[inline(always)]
fn difference<const L: usize>(a: &[Lanes<f64, L>; 3], b: &[Lanes<f64, L>; 3], l: usize) -> Vector {
    [
        a[0].0[l] - b[0].0[l],
        a[1].0[l] - b[1].0[l],
        a[2].0[l] - b[2].0[l],
    ]
}

/// `k/2 (r - length)^2`
#[inline(always)]
pub(super) fn bonds<R: Real, const L: usize, const FORCES: bool, const F: bool>(
    tables: &Tables<R>,
    work: &mut Workspace<R, L>,
) {
    let mut energy = work.energy;
    for bond in &tables.bonds {
        let [i, j] = bond.atoms;
        let (a, b) = (atom(&work.x, i), atom(&work.x, j));
        let mut gradients = [[Lanes::<f64, L>::splat(0.0); 3]; 2];
        for l in 0..L {
            let d = difference(&b, &a, l);
            let r = dot_fused::<f64, F>(d, d).sqrt();
            let stretch = r - bond.length;
            energy.0[l] += 0.5 * bond.k * stretch * stretch;
            if FORCES {
                let slope = bond.k * stretch / r;
                for c in 0..3 {
                    gradients[0][c].0[l] = -slope * d[c];
                    gradients[1][c].0[l] = slope * d[c];
                }
            }
        }
        if FORCES {
            add(&mut work.gradient, i, &gradients[0]);
            add(&mut work.gradient, j, &gradients[1]);
        }
    }
    work.energy = energy;
}

/// `k/2 (theta - angle)^2`
#[inline(always)]
pub(super) fn angles<R: Real, const L: usize, const FORCES: bool, const F: bool>(
    tables: &Tables<R>,
    work: &mut Workspace<R, L>,
) {
    let mut energy = work.energy;
    for term in &tables.angles {
        let [i, j, k] = term.atoms;
        let (pi, pj, pk) = (atom(&work.x, i), atom(&work.x, j), atom(&work.x, k));
        let mut slope = Lanes::<f64, L>::splat(0.0);
        for l in 0..L {
            let (a, b) = (difference(&pi, &pj, l), difference(&pk, &pj, l));
            let normal = cross(a, b);
            let sine = dot_fused::<f64, F>(normal, normal).sqrt();
            let bend = of_sine_and_cosine::<F>(sine, dot_fused::<f64, F>(a, b)) - term.angle;
            energy.0[l] += 0.5 * term.k * bend * bend;
            // A straight angle has no direction in which it bends: no force.
            let steep = term.k * bend / sine;
            slope.0[l] = if sine > 0.0 { steep } else { 0.0 };
        }
        if FORCES {
            let mut gradients = [[Lanes::<f64, L>::splat(0.0); 3]; 3];
            for l in 0..L {
                // dtheta/da = (a x (a x b)) / (|a|^2 |a x b|)
                let (a, b) = (difference(&pi, &pj, l), difference(&pk, &pj, l));
                let normal = cross(a, b);
                let (sa, sb) = (
                    slope.0[l] / dot_fused::<f64, F>(a, a),
                    -slope.0[l] / dot_fused::<f64, F>(b, b),
                );
                let (ga, gb) = (cross(a, normal), cross(b, normal));
                for c in 0..3 {
                    let (first, last) = (sa * ga[c], sb * gb[c]);
                    gradients[0][c].0[l] = first;
                    gradients[1][c].0[l] = -first - last;
                    gradients[2][c].0[l] = last;
                }
            }
            for (atom, gradient) in term.atoms.iter().zip(&gradients) {
                add(&mut work.gradient, *atom, gradient);
            }
        }
    }
    work.energy = energy;
}

/// `sum_n cos[n] cos(n phi) + sin[n] sin(n phi)`, without computing phi.
///
/// Derivatives after Blondel and Karplus, J. Comput. Chem. 17, 1132 (1996).
#[inline(always)]
pub(super) fn torsions<R: Real, const L: usize, const FORCES: bool, const F: bool>(
    tables: &Tables<R>,
    work: &mut Workspace<R, L>,
) {
    let mut energy = work.energy;
    for term in &tables.torsions {
        let [i, j, k, m] = term.atoms;
        let (pi, pj, pk, pm) = (
            atom(&work.x, i),
            atom(&work.x, j),
            atom(&work.x, k),
            atom(&work.x, m),
        );
        let mut cos1 = Lanes::<f64, L>::splat(0.0);
        let mut sin1 = cos1;
        for l in 0..L {
            let (b1, b2, b3) = (
                difference(&pj, &pi, l),
                difference(&pk, &pj, l),
                difference(&pm, &pk, l),
            );
            let (m, n) = (cross(b1, b2), cross(b2, b3));
            let scale = 1.0 / (dot_fused::<f64, F>(m, m) * dot_fused::<f64, F>(n, n)).sqrt();
            cos1.0[l] = dot_fused::<f64, F>(m, n) * scale;
            sin1.0[l] = dot_fused::<f64, F>(b1, n) * dot_fused::<f64, F>(b2, b2).sqrt() * scale;
        }
        // cos(n phi), sin(n phi) by repeated rotation.
        let constant = term.cos.first().copied().unwrap_or(0.0);
        let mut value = Lanes::<f64, L>::splat(constant);
        let mut slope = Lanes::<f64, L>::splat(0.0);
        let mut cos_n = Lanes::<f64, L>::splat(1.0);
        let mut sin_n = Lanes::<f64, L>::splat(0.0);
        for (n, (&a, &b)) in term.cos.iter().zip(&term.sin).enumerate().skip(1) {
            let n = n as f64;
            for l in 0..L {
                let c = cos_n.0[l] * cos1.0[l] - sin_n.0[l] * sin1.0[l];
                let s = sin_n.0[l] * cos1.0[l] + cos_n.0[l] * sin1.0[l];
                value.0[l] += a * c + b * s;
                slope.0[l] += n * (b * c - a * s);
                cos_n.0[l] = c;
                sin_n.0[l] = s;
            }
        }
        for l in 0..L {
            energy.0[l] += value.0[l];
        }
        if FORCES {
            let mut gradients = [[Lanes::<f64, L>::splat(0.0); 3]; 4];
            for l in 0..L {
                let (b1, b2, b3) = (
                    difference(&pj, &pi, l),
                    difference(&pk, &pj, l),
                    difference(&pm, &pk, l),
                );
                let (m, n) = (cross(b1, b2), cross(b2, b3));
                let square = dot_fused::<f64, F>(b2, b2);
                let length = square.sqrt() * slope.0[l];
                let inverse = 1.0 / square;
                let (p, q) = (
                    dot_fused::<f64, F>(b1, b2) * inverse,
                    dot_fused::<f64, F>(b3, b2) * inverse,
                );
                let (sm, sn) = (
                    -length / dot_fused::<f64, F>(m, m),
                    length / dot_fused::<f64, F>(n, n),
                );
                for c in 0..3 {
                    let (first, last) = (sm * m[c], sn * n[c]);
                    let shift = p * first - q * last;
                    gradients[0][c].0[l] = first;
                    gradients[1][c].0[l] = -first - shift;
                    gradients[2][c].0[l] = shift - last;
                    gradients[3][c].0[l] = last;
                }
            }
            for (atom, gradient) in term.atoms.iter().zip(&gradients) {
                add(&mut work.gradient, *atom, gradient);
            }
        }
    }
    work.energy = energy;
}
