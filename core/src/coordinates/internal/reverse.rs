//! The reverse pass of [`ZMatrix::measure`].

use super::ZMatrix;
use crate::math::vector::{Vector, add_point, cross, dot, norm, point, scale, sub};

impl ZMatrix {
    /// Adds `(dq/dx)^T d_q - d log(prod r^2 prod sin(theta)) / dx` to `d_x`, at positions that [`ZMatrix::measure`] accepts.
    ///
    /// `q` does not change when the molecule is moved rigidly, hence the sum over atoms of what is added vanishes, and so does
    /// its torque.
    pub(super) fn pull_to_positions(&self, x: &[f64], d_q: &[f64], d_x: &mut [f64]) {
        let [first, second, third] = self.seeds();
        let u = sub(point(x, second), point(x, first));
        let r = norm(u);
        let d_u = scale(u, (d_q[0] - 2.0 / r) / r);
        add_point(d_x, second, d_u);
        add_point(d_x, first, scale(d_u, -1.0));
        let [bond, angle] = self.third();
        pull_bend(x, [third, bond, angle], [d_q[1], d_q[2]], d_x);
        for (&[atom, bond, angle, torsion], d_q) in self.rows().iter().zip(d_q[3..].chunks_exact(3))
        {
            pull_bend(x, [atom, bond, angle], [d_q[0], d_q[1]], d_x);
            pull_torsion(x, [atom, bond, angle, torsion], d_q[2], d_x);
        }
    }
}

/// Of one bond and its angle, less those of `log(r^2 sin(theta))`.
fn pull_bend(
    x: &[f64],
    [atom, bond, angle]: [usize; 3],
    [d_r, d_theta]: [f64; 2],
    d_x: &mut [f64],
) {
    let origin = point(x, bond);
    let (u, v) = (sub(point(x, atom), origin), sub(point(x, angle), origin));
    let (r, length) = (norm(u), norm(v));
    let (u, v) = (scale(u, r.recip()), scale(v, length.recip()));
    let (sine, cosine) = (norm(cross(u, v)), dot(u, v));
    let d_r = d_r - 2.0 / r;
    let d_theta = (d_theta - cosine / sine) / sine;
    let d_u: Vector = std::array::from_fn(|k| d_r * u[k] + d_theta * (cosine * u[k] - v[k]) / r);
    let d_v: Vector = std::array::from_fn(|k| d_theta * (cosine * v[k] - u[k]) / length);
    add_point(d_x, atom, d_u);
    add_point(d_x, angle, d_v);
    add_point(d_x, bond, std::array::from_fn(|k| -d_u[k] - d_v[k]));
}

/// Of a torsion (Blondel, Karplus, J. Comput. Chem. 17, 1132, 1996): with `A = u x v`, `B = w x v`,
/// `dphi/du = |v| A / A^2`, `dphi/dw = -|v| B / B^2`, and that by `v` follows from the invariance under rotations.
fn pull_torsion(x: &[f64], [atom, bond, angle, torsion]: [usize; 4], d_phi: f64, d_x: &mut [f64]) {
    let (b, a) = (point(x, bond), point(x, angle));
    let (u, v, w) = (sub(point(x, atom), b), sub(a, b), sub(point(x, torsion), a));
    let (above, below) = (cross(u, v), cross(w, v));
    let length = norm(v);
    let above = scale(above, d_phi / dot(above, above));
    let below = scale(below, d_phi / dot(below, below));
    let (d_u, d_w) = (scale(above, length), scale(below, -length));
    let (along_u, along_w) = (dot(u, v) / length, dot(w, v) / length);
    let d_v: Vector = std::array::from_fn(|k| along_w * below[k] - along_u * above[k]);
    add_point(d_x, atom, d_u);
    add_point(d_x, bond, std::array::from_fn(|k| -d_u[k] - d_v[k]));
    add_point(d_x, angle, std::array::from_fn(|k| d_v[k] - d_w[k]));
    add_point(d_x, torsion, d_w);
}
