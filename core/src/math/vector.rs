//! Vectors in three dimensions, and the geometry of atoms: distances, angles, torsions.

use super::Real;

/// A point or vector.
pub(crate) type Vector<T = f64> = [T; 3];

/// The position of an atom in a flat array, 3 numbers per atom.
#[inline(always)]
pub(crate) fn point(positions: &[f64], atom: usize) -> Vector {
    [
        positions[3 * atom],
        positions[3 * atom + 1],
        positions[3 * atom + 2],
    ]
}

pub(crate) fn set_point(positions: &mut [f64], atom: usize, value: Vector) {
    positions[3 * atom..3 * atom + 3].copy_from_slice(&value);
}

pub(crate) fn add_point(positions: &mut [f64], atom: usize, value: Vector) {
    positions[3 * atom..3 * atom + 3]
        .iter_mut()
        .zip(value)
        .for_each(|(x, value)| *x += value);
}

#[inline(always)]
pub(crate) fn sub<T: Real>(a: Vector<T>, b: Vector<T>) -> Vector<T> {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

#[inline(always)]
pub(crate) fn scale<T: Real>(a: Vector<T>, factor: T) -> Vector<T> {
    [a[0] * factor, a[1] * factor, a[2] * factor]
}

#[inline(always)]
pub(crate) fn dot<T: Real>(a: Vector<T>, b: Vector<T>) -> T {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// [`dot`] for loops over lanes, with fused multiply-add where `FMA`.
#[inline(always)]
pub(crate) fn dot_fused<T: Real, const FMA: bool>(a: Vector<T>, b: Vector<T>) -> T {
    a[0].fma::<FMA>(b[0], a[1].fma::<FMA>(b[1], a[2] * b[2]))
}

#[inline(always)]
pub(crate) fn cross<T: Real>(a: Vector<T>, b: Vector<T>) -> Vector<T> {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

#[inline(always)]
pub(crate) fn norm<T: Real>(a: Vector<T>) -> T {
    dot(a, a).sqrt()
}

/// Geometric centre of `[N, 3]` positions.
pub(crate) fn centre(positions: &[f64]) -> Vector {
    let mut sum = [0.0; 3];
    for atom in positions.chunks_exact(3) {
        (0..3).for_each(|axis| sum[axis] += atom[axis]);
    }
    scale(sum, 3.0 / positions.len() as f64)
}
