//! Vectors in three dimensions.

use std::f64::consts::{PI, TAU};

pub(super) type Vec3 = [f64; 3];

/// Shortest length (nm) and smallest sine of an angle at which a frame of reference is defined; see the module `coordinates`.
pub(super) const SMALLEST: f64 = 1e-6;

pub(super) fn point(x: &[f64], atom: usize) -> Vec3 {
    [x[3 * atom], x[3 * atom + 1], x[3 * atom + 2]]
}

pub(super) fn set_point(x: &mut [f64], atom: usize, value: Vec3) {
    x[3 * atom..3 * atom + 3].copy_from_slice(&value);
}

pub(super) fn add_point(x: &mut [f64], atom: usize, value: Vec3) {
    x[3 * atom..3 * atom + 3]
        .iter_mut()
        .zip(value)
        .for_each(|(x, value)| *x += value);
}

pub(super) fn sub(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

pub(super) fn scale(a: Vec3, factor: f64) -> Vec3 {
    a.map(|a| a * factor)
}

pub(super) fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

pub(super) fn norm(a: Vec3) -> f64 {
    dot(a, a).sqrt()
}

/// Geometric centre of `[N, 3]` positions.
pub(super) fn centre(x: &[f64]) -> Vec3 {
    let mut sum = [0.0; 3];
    for atom in x.chunks_exact(3) {
        (0..3).for_each(|axis| sum[axis] += atom[axis]);
    }
    scale(sum, 3.0 / x.len() as f64)
}

/// The angle in `(-pi, pi]` that differs from `angle` by a multiple of 2 pi.
pub(super) fn wrap(angle: f64) -> f64 {
    if angle > -PI && angle <= PI {
        return angle;
    }
    let wrapped = angle - TAU * (angle / TAU).round();
    if wrapped > PI {
        wrapped - TAU
    } else if wrapped <= -PI {
        wrapped + TAU
    } else {
        wrapped
    }
}
