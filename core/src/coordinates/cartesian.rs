use std::f64::consts::TAU;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::batch::{ConfigurationMap, Fault};
use super::geometry::{Vec3, centre, dot, point, scale, set_point, sub};
use super::{CoordinatesError, Feature, FeatureKind};

/// `z = x / sigma`, all `3N` positions. `sigma` is the standard deviation of the centred data, over atoms and axes; the
/// geometric centre `c` is independent, with density `N(c; 0, s^2 I_3)`.
///
/// `s = sigma / sqrt(N)`: the centre is the mean of N atoms, so this is what it would have if atoms were independent; the
/// features, rotated and with such a centre, then have about unit variance along every direction.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cartesian {
    /// nm.
    sigma: f64,
    /// nm.
    s: f64,
}

impl Cartesian {
    pub(super) fn fit(n_atoms: usize, positions: &[f64]) -> Result<Self, CoordinatesError> {
        let mut sum = 0.0;
        for x in positions.chunks_exact(3 * n_atoms) {
            let c = centre(x);
            sum += x
                .chunks_exact(3)
                .map(|atom| sub([atom[0], atom[1], atom[2]], c))
                .map(|r| dot(r, r))
                .sum::<f64>();
        }
        let sigma = (sum / positions.len() as f64).sqrt();
        if sigma > 0.0 {
            Ok(Self {
                sigma,
                s: sigma / (n_atoms as f64).sqrt(),
            })
        } else {
            Err(CoordinatesError::NoScale)
        }
    }

    pub(super) fn validate(&self, n_atoms: usize) -> Result<(), &'static str> {
        if n_atoms == 0 {
            return Err("no atoms");
        }
        if [self.sigma, self.s]
            .iter()
            .all(|scale| scale.is_finite() && *scale > 0.0)
        {
            Ok(())
        } else {
            Err("a scale is not positive")
        }
    }

    fn log_volume(&self, x: &[f64]) -> f64 {
        let c = centre(x);
        let log_normal = -1.5 * (TAU * self.s * self.s).ln() - 0.5 * dot(c, c) / (self.s * self.s);
        x.len() as f64 * self.sigma.ln() + log_normal
    }

    /// A uniform rotation about the centre, and a centre from `N(0, s^2 I_3)`.
    pub(super) fn augment<R: Rng + ?Sized>(&self, x: &mut [f64], rng: &mut R) {
        let rotation = random_rotation(rng);
        let to: Vec3 = std::array::from_fn(|_| self.s * normal(rng));
        let from = centre(x);
        for atom in 0..x.len() / 3 {
            let r = sub(point(x, atom), from);
            set_point(
                x,
                atom,
                std::array::from_fn(|axis| dot(rotation[axis], r) + to[axis]),
            );
        }
    }
}

impl ConfigurationMap for Cartesian {
    fn scratch_len(&self) -> usize {
        0
    }

    fn to_features(&self, x: &[f64], z: &mut [f64], _: &mut [f64]) -> Result<f64, Fault> {
        z.iter_mut().zip(x).for_each(|(z, x)| *z = x / self.sigma);
        Ok(self.log_volume(x))
    }

    fn to_positions(&self, z: &[f64], x: &mut [f64], _: &mut [f64]) -> f64 {
        x.iter_mut().zip(z).for_each(|(x, z)| *x = z * self.sigma);
        self.log_volume(x)
    }

    fn pull_back(&self, _: &[f64], x: &[f64], d_x: &mut [f64], d_z: &mut [f64], _: &mut [f64]) {
        // d log N(c; 0, s^2 I_3) / dx: each atom moves the centre by 1 / N.
        let n_atoms = (x.len() / 3) as f64;
        let d_centre = scale(centre(x), -(n_atoms * self.s * self.s).recip());
        for (d_z, d_x) in d_z.chunks_exact_mut(3).zip(d_x.chunks_exact(3)) {
            (0..3).for_each(|axis| d_z[axis] = self.sigma * (d_x[axis] + d_centre[axis]));
        }
    }
}

pub(super) fn features(n_atoms: usize) -> Vec<Feature> {
    let feature = |k| Feature {
        kind: FeatureKind::Real,
        atom: k / 3,
        axis: k % 3,
    };
    (0..3 * n_atoms as u32).map(feature).collect()
}

fn normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    StandardNormal.sample(rng)
}

/// Rows of a rotation matrix, uniform on SO(3): from a unit quaternion that is uniform on the 3-sphere.
fn random_rotation<R: Rng + ?Sized>(rng: &mut R) -> [Vec3; 3] {
    let [w, x, y, z] = loop {
        let q: [f64; 4] = std::array::from_fn(|_| normal(rng));
        let norm = q.iter().map(|q| q * q).sum::<f64>().sqrt();
        if norm > 1e-3 {
            break q.map(|q| q / norm);
        }
    };
    [
        [
            1.0 - 2.0 * (y * y + z * z),
            2.0 * (x * y - w * z),
            2.0 * (x * z + w * y),
        ],
        [
            2.0 * (x * y + w * z),
            1.0 - 2.0 * (x * x + z * z),
            2.0 * (y * z - w * x),
        ],
        [
            2.0 * (x * z - w * y),
            2.0 * (y * z + w * x),
            1.0 - 2.0 * (x * x + y * y),
        ],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// Uniform on SO(3) means E R = 0 and E R_ij R_kl = delta_ik delta_jl / 3; both within 5 standard errors.
    #[test]
    fn rotations_are_uniform() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n = 20_000;
        let (mut first, mut second) = ([0.0; 9], [[0.0; 9]; 9]);
        for _ in 0..n {
            let rotation = random_rotation(&mut rng);
            let flat: [f64; 9] = std::array::from_fn(|k| rotation[k / 3][k % 3]);
            for i in 0..9 {
                first[i] += flat[i] / f64::from(n);
                (0..9).for_each(|j| second[i][j] += flat[i] * flat[j] / f64::from(n));
            }
            let determinant = dot(
                rotation[0],
                super::super::geometry::cross(rotation[1], rotation[2]),
            );
            assert!((determinant - 1.0).abs() < 1e-12);
        }
        // Var R_ij = 1/3; Var(R_ij R_kl) <= E R_ij^4 = 1/5.
        let error = 1.0 / f64::from(n).sqrt();
        for i in 0..9 {
            assert!(
                first[i].abs() < 5.0 * error / 3f64.sqrt(),
                "mean {}",
                first[i]
            );
            for (j, value) in second[i].iter().enumerate() {
                let expected = if i == j { 1.0 / 3.0 } else { 0.0 };
                assert!(
                    (value - expected).abs() < 5.0 * error * 0.2f64.sqrt(),
                    "moment {i} {j}: {value}"
                );
            }
        }
    }

    #[test]
    fn augmented_centres_have_the_stated_variance_and_shape_is_kept() {
        let map = Cartesian {
            sigma: 0.2,
            s: 0.05,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let molecule = [7.0, 8.0, 9.0, 7.1, 8.0, 9.0, 7.0, 8.2, 9.0];
        let (n, mut sum) = (5_000, [0.0; 3]);
        for _ in 0..n {
            let mut x = molecule;
            map.augment(&mut x, &mut rng);
            let c = centre(&x);
            (0..3).for_each(|axis| sum[axis] += c[axis] * c[axis]);
            let (u, v) = (
                sub(point(&x, 1), point(&x, 0)),
                sub(point(&x, 2), point(&x, 0)),
            );
            assert!(
                (dot(u, u) - 0.01).abs() < 1e-12
                    && (dot(v, v) - 0.04).abs() < 1e-12
                    && dot(u, v).abs() < 1e-12
            );
        }
        // The variance of a mean of n squares is 2 s^4 / n.
        for variance in sum.map(|sum| sum / f64::from(n)) {
            assert!(
                (variance / 0.0025 - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(),
                "{variance}"
            );
        }
    }
}
