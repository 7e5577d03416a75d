//! The chain of four atoms that the tests move: its energy, exact draws, populations by quadrature, and models of it.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde_json::json;

use crate::coordinates::{CoordinateKind, CoordinateOptions, Coordinates};
use crate::energy::{Energy, EnergyError};
use crate::model::Model;
use crate::system::{Atom, Residue, Topology, angle, distance, kt, torsion};
use crate::tensor::{Device, Tensor};

pub(super) const T: f64 = 300.0;
pub(super) const BOND: [f64; 2] = [0.15, 1e5];
pub(super) const ANGLE: [f64; 2] = [1.9, 300.0];

/// Three minima of different depth, barriers of some 5 kT.
pub(super) fn torsion_energy(phi: f64) -> f64 {
    6.0 * (1.0 + (3.0 * phi).cos()) + 1.5 * (1.0 + phi.cos()) + 0.8 * phi.sin()
}

/// The chain, in a system with a particle that attracts its last atom; without one, the chain alone.
pub(super) struct Chain {
    pub(super) particle: bool,
}

impl Chain {
    fn internal_energy(x: &[f64]) -> f64 {
        let harmonic =
            |value: f64, [rest, constant]: [f64; 2]| 0.5 * constant * (value - rest).powi(2);
        let bonds: f64 = (0..3)
            .map(|i| harmonic(distance(x, [i, i + 1]), BOND))
            .sum();
        let angles: f64 = (0..2)
            .map(|i| harmonic(angle(x, [i, i + 1, i + 2]), ANGLE))
            .sum();
        bonds + angles + torsion_energy(torsion(x, [0, 1, 2, 3]))
    }

    pub(super) fn particle_energy(x: &[f64]) -> f64 {
        -8.0 * (-(distance(x, [3, 4]) / 0.12).powi(2)).exp()
    }
}

impl Energy for Chain {
    fn n_atoms(&self) -> usize {
        4 + usize::from(self.particle)
    }

    fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
        for (x, energy) in positions.chunks_exact(3 * self.n_atoms()).zip(energies) {
            *energy = Self::internal_energy(x);
            if self.particle {
                *energy += Self::particle_energy(x);
            }
        }
        Ok(())
    }

    fn energies_and_forces(
        &self,
        _: &[f64],
        _: &mut [f64],
        _: &mut [f64],
    ) -> Result<(), EnergyError> {
        Err(EnergyError::External("moves need no forces".into()))
    }
}

/// A chain of given bonds, angles and torsion, atom 1 at the origin, atom 2 on +x, atom 0 in the plane z = 0.
pub(super) fn build([r0, r1, r2]: [f64; 3], [a0, a1]: [f64; 2], phi: f64) -> Vec<f64> {
    let (sin, cos) = a1.sin_cos();
    vec![
        r0 * a0.cos(),
        r0 * a0.sin(),
        0.0,
        0.0,
        0.0,
        0.0,
        r1,
        0.0,
        0.0,
        r1 - r2 * cos,
        r2 * sin * phi.cos(),
        r2 * sin * phi.sin(),
    ]
}

/// Exact draws of the chain alone: bonds and angles by rejection from their normal part, the torsion by inversion on a grid.
pub(super) fn exact(n: usize, seed: u64) -> Vec<f64> {
    let kt = kt(T);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = |[rest, constant]: [f64; 2], volume: fn(f64) -> f64, most: f64| loop {
        let value = rest + (kt / constant).sqrt() * rng.sample::<f64, _>(StandardNormal);
        if rng.random::<f64>() * most < volume(value) {
            return value;
        }
    };
    let shapes: Vec<([f64; 3], [f64; 2])> = (0..n)
        .map(|_| {
            let bonds = [(); 3].map(|()| normal(BOND, |r| r * r, 0.04));
            (
                bonds,
                [(); 2].map(|()| normal(ANGLE, |a| a.sin().max(0.0), 1.0)),
            )
        })
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed + 1);
    let torsions = std::iter::repeat_with(|| {
        let phi = PI - TAU * rng.random::<f64>();
        (rng.random::<f64>() < (-torsion_energy(phi) / kt).exp()).then_some(phi)
    });
    let torsions = torsions.flatten();
    shapes
        .into_iter()
        .zip(torsions)
        .flat_map(|((bonds, angles), phi)| build(bonds, angles, phi))
        .collect()
}

pub(super) fn topology() -> Topology {
    let atom = |name: &str| Atom {
        name: name.into(),
        element: "C".into(),
        atomic_number: 6,
        mass: 15.0,
        residue: 0,
    };
    Topology {
        atoms: ["C1", "C2", "C3", "C4"].map(atom).to_vec(),
        residues: vec![Residue {
            name: "BUT".into(),
            id: 1,
            chain: "A".into(),
        }],
        bonds: vec![[0, 1], [1, 2], [2, 3]],
    }
}

/// A flow near the identity: its torsion is uniform, give or take the disturbance.
pub(super) fn model(disturbance: f64) -> Arc<Model> {
    let options = CoordinateOptions {
        circular: true,
        ..CoordinateOptions::default()
    };
    let frames = exact(500, 7);
    let coordinates =
        Coordinates::fit(CoordinateKind::Internal, &topology(), &frames, &options).unwrap();
    let config = json!({ "couplings": 4, "hidden": 16, "blocks": 1 });
    let model = Model::new("nsf", config, coordinates, topology(), T, 1, &Device::Cpu).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let disturbed: Vec<(String, Tensor)> = model
        .parameters()
        .iter()
        .map(|(name, value)| {
            let noise: Vec<f32> = (0..value.elem_count())
                .map(|_| (disturbance * rng.sample::<f64, _>(StandardNormal)) as f32)
                .collect();
            let noise = Tensor::from_vec(noise, value.dims(), &Device::Cpu).unwrap();
            (name.to_owned(), (value.as_tensor() + noise).unwrap())
        })
        .collect();
    for (name, value) in disturbed {
        model.parameters().set(&name, &value).unwrap();
    }
    Arc::new(model)
}

/// Which of the three minima.
pub(super) fn basin(x: &[f64]) -> usize {
    let phi = torsion(x, [0, 1, 2, 3]);
    (((phi + TAU) / TAU * 3.0) as usize) % 3
}

/// Populations of the basins by quadrature.
pub(super) fn quadrature() -> [f64; 3] {
    let n = 30_000;
    let mut sums = [0.0; 3];
    for i in 0..n {
        let phi = TAU * (i as f64 + 0.5) / f64::from(n) - PI;
        let basin = (((phi + TAU) / TAU * 3.0) as usize) % 3;
        sums[basin] += (-torsion_energy(phi) / kt(T)).exp();
    }
    let total: f64 = sums.iter().sum();
    sums.map(|sum| sum / total)
}
