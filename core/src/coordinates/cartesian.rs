use std::f64::consts::TAU;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::batch::{ConfigurationMap, Fault};
use super::frame::random_rotation;
use super::source::{ConfigurationSource, Rows};
use super::{CoordinatesError, Feature, FeatureKind};
use crate::math::vector::{Vector, centre, dot, point, scale, set_point, sub};

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
    pub(super) fn fit(
        n_atoms: usize,
        source: &dyn ConfigurationSource,
    ) -> Result<Self, CoordinatesError> {
        let rows = Rows {
            source,
            n_atoms,
            width: 1,
            map: |x: &[f64], sum: &mut [f64]| {
                let c = centre(x);
                let squares = (0..n_atoms).map(|atom| sub(point(x, atom), c));
                sum[0] = squares.map(|r| dot(r, r)).sum();
                Ok(())
            },
        };
        let mut sum = 0.0;
        rows.pass(|_, squares| sum += squares.iter().sum::<f64>())?;
        let sigma = (sum / (3 * n_atoms * source.n()) as f64).sqrt();
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
        let to: Vector = std::array::from_fn(|_| self.s * normal(rng));
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

    fn pull_to_positions(
        &self,
        x: &[f64],
        _: &[f64],
        d_z: &mut [f64],
        d_x: &mut [f64],
        _: &mut [f64],
    ) {
        // Less d log N(c; 0, s^2 I_3) / dx.
        let n_atoms = (x.len() / 3) as f64;
        let d_centre = scale(centre(x), (n_atoms * self.s * self.s).recip());
        for (d_x, d_z) in d_x.chunks_exact_mut(3).zip(d_z.chunks_exact(3)) {
            (0..3).for_each(|axis| d_x[axis] = d_z[axis] / self.sigma + d_centre[axis]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

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
