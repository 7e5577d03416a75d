//! The four-site chain of `tests/data/engines/chain4`, whose equilibrium is known exactly, and models of it.

use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use regflow::coordinates::{CoordinateKind, CoordinateOptions};
use regflow::dataset::Dataset;
use regflow::metric::{Basin, TorsionRange};
use regflow::model::Model;
use regflow::system::{Topology, kt};
use regflow::tensor::Device;
use regflow::train::{Resources, Stage, TrainOptions, train};
use serde_json::{Value, json};

/// Temperature of the frames, the models and the reference, K.
pub const TEMPERATURE: f64 = 300.0;

/// A file of the chain.
pub fn file(name: &str) -> PathBuf {
    crate::root().join("tests/data/engines/chain4").join(name)
}

/// The basins of its torsion (of the atoms 0, 1, 2, 3), each with its population at 300 K by quadrature.
pub fn basins() -> Vec<(Basin, f64)> {
    let reference = reference();
    let bounds = reference["basins"].as_object().expect("basins");
    bounds
        .iter()
        .map(|(name, bounds)| {
            let range = TorsionRange::degrees(0, number(&bounds[0]), number(&bounds[1]));
            let basin = Basin {
                name: name.clone(),
                ranges: vec![range],
            };
            (basin, number(&reference["populations"][name]))
        })
        .collect()
}

/// Independent configurations from the Boltzmann distribution at 300 K, `[n, 4, 3]`, nm.
pub fn frames(n: usize, seed: u64) -> Vec<f64> {
    const BINS: usize = 3600;
    let reference = reference();
    let kt = kt(TEMPERATURE);
    let term = |name: &str| [number(&reference[name][0]), number(&reference[name][1])];
    let terms = reference["terms"].as_array().expect("terms");
    let torsion_energy = |phi: f64| -> f64 {
        let one = |t: &Value| number(&t[2]) * (1.0 + (number(&t[0]) * phi - number(&t[1])).cos());
        terms.iter().map(one).sum()
    };
    let angle_of = |bin: f64| (bin / BINS as f64 - 0.5) * std::f64::consts::TAU;
    let mut cumulative = vec![0.0];
    for bin in 0..BINS {
        let weight = (-torsion_energy(angle_of(bin as f64 + 0.5)) / kt).exp();
        cumulative.push(cumulative[bin] + weight);
    }

    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut positions = Vec::with_capacity(12 * n);
    for _ in 0..n {
        // The volume elements r^2 and sin(theta) by rejection.
        let bond =
            |random: &mut ChaCha8Rng| accepted(random, term("bond"), kt, |r| (r / 0.2).powi(2));
        let angle = |random: &mut ChaCha8Rng| accepted(random, term("angle"), kt, f64::sin);
        let [b0, b1, b2] = [0; 3].map(|_| bond(&mut random));
        let [t0, t1] = [0; 2].map(|_| angle(&mut random));
        let target = random.random::<f64>() * cumulative[BINS];
        let bin = cumulative.partition_point(|&c| c <= target) - 1;
        let phi = angle_of(bin as f64 + random.random::<f64>());
        // Site 1 at the origin, site 2 on +x, site 0 in the plane z = 0.
        positions.extend([b0 * t0.cos(), b0 * t0.sin(), 0.0]);
        positions.extend([0.0, 0.0, 0.0]);
        positions.extend([b1, 0.0, 0.0]);
        let across = b2 * t1.sin();
        positions.extend([b1 - b2 * t1.cos(), across * phi.cos(), across * phi.sin()]);
    }
    positions
}

/// Writes a model, after `steps` of training; 0 leaves it at random parameters, with bonds and angles right and all torsions alike.
pub fn model(path: &Path, steps: usize) {
    let topology = Topology::read(&file("topology.pdb")).expect("the chain can be read");
    let options = TrainOptions::single(Stage {
        steps,
        ..Stage::default()
    });
    let dataset =
        Dataset::new(frames(10_000, 1), &topology, &options.dataset()).expect("enough frames");
    let coordinates = CoordinateOptions {
        circular: true,
        ..CoordinateOptions::default()
    };
    let coordinates = dataset
        .fit_coordinates(CoordinateKind::Internal, &topology, &coordinates)
        .expect("the frames fit");
    let config = json!({"couplings": 2, "hidden": 32});
    let mut model = Model::new(
        "nsf",
        config,
        coordinates,
        topology,
        TEMPERATURE,
        1,
        &Device::Cpu,
    )
    .expect("a model can be made");
    if steps > 0 {
        let mut report = |_: &_| std::ops::ControlFlow::Continue(());
        train(
            &mut model,
            &dataset,
            Resources::default(),
            &options,
            &mut report,
        )
        .expect("the training succeeds");
    }
    model.save(path).expect("the model can be saved");
}

/// A number with the density `exp(-k (x - x0)^2 / 2 kT) volume(x)`, `volume` at most 1.
fn accepted(
    random: &mut ChaCha8Rng,
    [x0, k]: [f64; 2],
    kt: f64,
    volume: impl Fn(f64) -> f64,
) -> f64 {
    loop {
        let normal: f64 = StandardNormal.sample(random);
        let x = x0 + (kt / k).sqrt() * normal;
        if random.random::<f64>() < volume(x) {
            return x;
        }
    }
}

fn reference() -> Value {
    let text = std::fs::read_to_string(file("reference.json")).expect("the reference can be read");
    serde_json::from_str(&text).expect("the reference is JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use regflow::metric::{Blocks, block_populations};
    use regflow::system::torsion;

    #[test]
    fn frames_have_the_populations_of_the_quadrature() {
        let torsions: Vec<f64> = frames(40_000, 7)
            .chunks_exact(12)
            .map(|frame| torsion(frame, [0, 1, 2, 3]))
            .collect();
        let (basins, expected): (Vec<_>, Vec<_>) = basins().into_iter().unzip();
        let found = block_populations(&basins, &torsions, 1, &Blocks::equal(torsions.len(), 40))
            .expect("populations");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found.value - expected).abs() < 3.0 * found.error,
                "{found:?} {expected}"
            );
        }
    }
}
