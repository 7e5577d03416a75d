use serde::{Deserialize, Serialize};

use super::batch::{ConfigurationMap, Fault};
use super::frame::SMALLEST;
use super::source::{ConfigurationSource, Rows};
use super::standardise::{self, Standardise};
use super::storage::Arrays;
use super::{CoordinateOptions, CoordinatesError, Feature, FeatureKind};
use crate::math::vector::{Vector, add_point, cross, dot, norm, point, scale, set_point, sub};
use crate::system::Topology;

/// Frames that the choice of gauge atoms looks at, and the smallest sine of their angle that it likes.
const SURVEYED_FRAMES: usize = 200;
const GOOD_SINE: f64 = 0.3;

/// Atom a at the origin, b on +x, c in the plane z = 0 with y > 0. The coordinates are `x_b, x_c, y_c`, then `x, y, z` of the
/// other atoms in their order, standardised; volume element `x_b^2 y_c`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Gauge {
    atoms: [usize; 3],
    standardise: Standardise,
}

/// What is stored beside the arrays.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    atoms: [usize; 3],
    standardise: standardise::Settings,
}

impl Settings {
    pub(super) fn restore(self, n_atoms: usize, arrays: &mut Arrays) -> Result<Gauge, String> {
        if !valid_atoms(self.atoms, n_atoms) {
            return Err("the gauge atoms are not three different atoms".to_owned());
        }
        Ok(Gauge {
            atoms: self.atoms,
            standardise: Standardise::restore(&self.standardise, 3 * n_atoms - 6, arrays)?,
        })
    }
}

impl Gauge {
    pub(super) fn fit(
        topology: &Topology,
        source: &dyn ConfigurationSource,
        options: &CoordinateOptions,
    ) -> Result<Self, CoordinatesError> {
        let n_atoms = topology.atoms.len();
        let atoms = match options.gauge_atoms {
            Some(atoms) if valid_atoms(atoms, n_atoms) => atoms,
            Some(atoms) => return Err(CoordinatesError::GaugeAtoms { atoms, n_atoms }),
            None => choose_atoms(topology, source)?,
        };
        let rows = Rows {
            source,
            n_atoms,
            width: 3 * n_atoms - 6,
            map: |x: &[f64], q: &mut [f64]| reduce(atoms, x, q).map(|_| ()),
        };
        let labels = features(atoms, n_atoms);
        let columns: Vec<usize> = (0..rows.width).collect();
        let name = |k: usize| {
            (
                ["x", "y", "z"][labels[k].axis as usize],
                labels[k].atom as usize,
            )
        };
        let standardise = Standardise::fit(&rows, &columns, options.whiten, name)?;
        Ok(Self { atoms, standardise })
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            atoms: self.atoms,
            standardise: self.standardise.settings(),
        }
    }

    pub(super) fn standardise(&self) -> &Standardise {
        &self.standardise
    }

    pub(super) fn atoms(&self) -> [usize; 3] {
        self.atoms
    }

    pub(super) fn features(&self, n_atoms: usize) -> Vec<Feature> {
        features(self.atoms, n_atoms)
    }
}

impl ConfigurationMap for Gauge {
    fn scratch_len(&self) -> usize {
        self.standardise.len()
    }

    fn to_features(&self, x: &[f64], z: &mut [f64], scratch: &mut [f64]) -> Result<f64, Fault> {
        let log_volume = reduce(self.atoms, x, scratch)?;
        self.standardise.forward(scratch, z);
        Ok(log_volume + self.standardise.log_det())
    }

    fn to_positions(&self, z: &[f64], x: &mut [f64], scratch: &mut [f64]) -> f64 {
        self.standardise.inverse(z, scratch);
        let [a, b, c] = self.atoms;
        set_point(x, a, [0.0; 3]);
        set_point(x, b, [scratch[0], 0.0, 0.0]);
        set_point(x, c, [scratch[1], scratch[2], 0.0]);
        let others = (0..x.len() / 3).filter(|atom| !self.atoms.contains(atom));
        for (atom, q) in others.zip(scratch[3..].chunks_exact(3)) {
            set_point(x, atom, [q[0], q[1], q[2]]);
        }
        if scratch[0] > SMALLEST && scratch[2] > SMALLEST {
            2.0 * scratch[0].ln() + scratch[2].ln() + self.standardise.log_det()
        } else {
            f64::NEG_INFINITY
        }
    }

    fn pull_back(
        &self,
        _: &[f64],
        x: &[f64],
        d_x: &mut [f64],
        d_z: &mut [f64],
        scratch: &mut [f64],
    ) {
        let [_, b, c] = self.atoms;
        scratch[0] = d_x[3 * b] + 2.0 / x[3 * b];
        scratch[1] = d_x[3 * c];
        scratch[2] = d_x[3 * c + 1] + x[3 * c + 1].recip();
        let others = (0..x.len() / 3).filter(|atom| !self.atoms.contains(atom));
        for (atom, d_q) in others.zip(scratch[3..].chunks_exact_mut(3)) {
            d_q.copy_from_slice(&point(d_x, atom));
        }
        self.standardise.pull_back(scratch, d_z);
    }

    /// With `g` the gradient of an atom by its place in the frame, turned back to where the molecule is: besides `g`, atoms b and c
    /// have what they do by turning the frame, which is worked out from the torque of all `g`.
    fn pull_to_positions(
        &self,
        x: &[f64],
        _: &[f64],
        d_z: &mut [f64],
        d_x: &mut [f64],
        scratch: &mut [f64],
    ) {
        let d_q = scratch;
        self.standardise.pull_forward(d_z, d_q);
        let [a, b, c] = self.atoms;
        let origin = point(x, a);
        let (to_b, to_c) = (sub(point(x, b), origin), sub(point(x, c), origin));
        let x_b = norm(to_b);
        let e_x = scale(to_b, x_b.recip());
        let normal = cross(e_x, to_c);
        let (x_c, y_c) = (dot(e_x, to_c), norm(normal));
        let e_z = scale(normal, y_c.recip());
        let e_y = cross(e_z, e_x);
        // Less d log(x_b^2 y_c) / dq.
        d_q[0] -= 2.0 / x_b;
        d_q[2] -= y_c.recip();
        let turned = |q: [f64; 3]| -> Vector {
            std::array::from_fn(|k| q[0] * e_x[k] + q[1] * e_y[k] + q[2] * e_z[k])
        };
        set_point(d_x, b, turned([d_q[0], 0.0, 0.0]));
        set_point(d_x, c, turned([d_q[1], d_q[2], 0.0]));
        let others = (0..x.len() / 3).filter(|atom| !self.atoms.contains(atom));
        for (atom, d_q) in others.zip(d_q[3..].chunks_exact(3)) {
            set_point(d_x, atom, turned([d_q[0], d_q[1], d_q[2]]));
        }
        set_point(d_x, a, [0.0; 3]);
        let (mut force, mut torque) = ([0.0; 3], [0.0; 3]);
        for atom in 0..x.len() / 3 {
            let g = point(d_x, atom);
            let about = cross(g, sub(point(x, atom), origin));
            (0..3).for_each(|k| torque[k] += about[k]);
            (0..3).for_each(|k| force[k] += g[k]);
        }
        // b turns the frame about y and z; c about x, and keeps in its half-plane where b turns it about y.
        let [about_x, about_y, about_z] = [e_x, e_y, e_z].map(|axis| dot(torque, axis));
        let on_c = scale(e_z, about_x / y_c);
        let tilt = about_y + about_x * x_c / y_c;
        let on_b: Vector = std::array::from_fn(|k| (about_z * e_y[k] - tilt * e_z[k]) / x_b);
        add_point(d_x, b, on_b);
        add_point(d_x, c, on_c);
        set_point(
            d_x,
            a,
            std::array::from_fn(|k| -force[k] - on_b[k] - on_c[k]),
        );
    }
}

fn valid_atoms([a, b, c]: [usize; 3], n_atoms: usize) -> bool {
    a != b && b != c && c != a && a.max(b).max(c) < n_atoms
}

fn features(atoms: [usize; 3], n_atoms: usize) -> Vec<Feature> {
    let feature = |atom: usize, axis| Feature {
        kind: FeatureKind::Real,
        atom: atom as u32,
        axis,
    };
    let [_, b, c] = atoms;
    let others = (0..n_atoms).filter(|atom| !atoms.contains(atom));
    let first = [feature(b, 0), feature(c, 0), feature(c, 1)].into_iter();
    first
        .chain(others.flat_map(|atom| (0..3).map(move |axis| feature(atom, axis))))
        .collect()
}

/// The `3N - 6` numbers of one configuration, and `log(x_b^2 y_c)`.
fn reduce(atoms: [usize; 3], x: &[f64], q: &mut [f64]) -> Result<f64, Fault> {
    let [a, b, c] = atoms;
    let origin = point(x, a);
    let (to_b, to_c) = (sub(point(x, b), origin), sub(point(x, c), origin));
    let x_b = norm(to_b);
    if x_b <= SMALLEST {
        return Err(Fault::Collapsed([a, b]));
    }
    let e_x = scale(to_b, x_b.recip());
    let normal = cross(e_x, to_c);
    let y_c = norm(normal);
    if y_c <= SMALLEST {
        return Err(Fault::Collinear([b, a, c]));
    }
    let e_z = scale(normal, y_c.recip());
    let axes: [Vector; 3] = [e_x, cross(e_z, e_x), e_z];
    q[..3].copy_from_slice(&[x_b, dot(e_x, to_c), y_c]);
    let others = (0..x.len() / 3).filter(|atom| !atoms.contains(atom));
    for (atom, q) in others.zip(q[3..].chunks_exact_mut(3)) {
        let r = sub(point(x, atom), origin);
        q.iter_mut()
            .zip(axes)
            .for_each(|(q, axis)| *q = dot(axis, r));
    }
    Ok(2.0 * x_b.ln() + y_c.ln())
}

/// A heavy atom a and two heavy atoms b, c bonded to it (any bonded atoms where there are no such heavy ones), with an angle
/// that stays clear of 0 and pi, in whose frame the molecule has the smallest total variance over the data.
fn choose_atoms(
    topology: &Topology,
    source: &dyn ConfigurationSource,
) -> Result<[usize; 3], CoordinatesError> {
    let n_atoms = topology.atoms.len();
    let stride = source.n().div_ceil(SURVEYED_FRAMES).max(1);
    let frame = |index| {
        let mut x = vec![0.0; 3 * n_atoms];
        source.copy(index, &mut x);
        x
    };
    let frames: Vec<Vec<f64>> = (0..source.n()).step_by(stride).map(frame).collect();
    let neighbours = topology.neighbours();
    for heavy_only in [true, false] {
        let allowed = |atom: &usize| !heavy_only || topology.atoms[*atom].atomic_number > 1;
        let mut best: Option<(bool, f64, [usize; 3])> = None;
        for a in (0..n_atoms).filter(allowed) {
            let bonded: Vec<usize> = neighbours[a].iter().copied().filter(allowed).collect();
            for (k, &b) in bonded.iter().enumerate() {
                for &c in &bonded[k + 1..] {
                    let Some((sine, variance)) = survey([a, b, c], &frames) else {
                        continue;
                    };
                    let candidate = (
                        sine < GOOD_SINE,
                        if sine < GOOD_SINE { -sine } else { variance },
                        [a, b, c],
                    );
                    if best.is_none_or(|best| {
                        candidate
                            .partial_cmp(&best)
                            .is_some_and(|order| order.is_lt())
                    }) {
                        best = Some(candidate);
                    }
                }
            }
        }
        if let Some((_, _, atoms)) = best {
            return Ok(atoms);
        }
    }
    Err(CoordinatesError::NoGaugeAtoms)
}

/// Smallest sine of the angle b-a-c, and the variance of the gauge coordinates summed over them; none where degenerate.
fn survey(atoms: [usize; 3], frames: &[Vec<f64>]) -> Option<(f64, f64)> {
    let width = frames.first()?.len() - 6;
    let (mut q, mut sum, mut squares) = (vec![0.0; width], vec![0.0; width], 0.0);
    let mut smallest = f64::INFINITY;
    for x in frames {
        reduce(atoms, x, &mut q).ok()?;
        smallest = smallest.min(q[2] / q[1].hypot(q[2]));
        for (sum, q) in sum.iter_mut().zip(&q) {
            *sum += q;
            squares += q * q;
        }
    }
    let n = frames.len() as f64;
    Some((
        smallest,
        squares / n - sum.iter().map(|sum| (sum / n).powi(2)).sum::<f64>(),
    ))
}
