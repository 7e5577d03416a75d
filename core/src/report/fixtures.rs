//! A made-up evaluation that has everything a report shows.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::evaluation::{
    BasinRow, Curve, Evaluation, FreeEnergyRow, Marginal, Metric, RamaPair, Sample, Torsions,
};
use crate::metric::{Estimate, ess_per_n, ess_per_n_trimmed, k_hat};
use crate::model::Consistency;
use crate::sample::Diagnostics;

/// Basins of phi and psi in degrees, with their shares and widths.
const BASINS: [(f64, f64, f64, f64); 4] = [
    (-75.0, 145.0, 0.55, 22.0),
    (-150.0, 155.0, 0.2, 20.0),
    (-78.0, -25.0, 0.23, 18.0),
    (55.0, 40.0, 0.02, 12.0),
];

pub(super) fn estimate(value: f64, error: f64) -> Estimate {
    Estimate { value, error }
}

/// `residues` residues, `frames` of reference and `n` configurations of a proposal that is a little too wide.
pub(super) fn evaluation(residues: usize, frames: usize, n: usize) -> Evaluation {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let reference = sample(&mut rng, residues, frames, 1.0);
    let mut proposal = sample(&mut rng, residues, n, 1.25);
    let log_weight: Vec<f64> = (0..n)
        .map(|_| {
            let x: f64 = rng.sample(rand_distr::StandardNormal);
            0.8 * x - 195.0
        })
        .collect();
    for (i, energy) in proposal.reduced_energy.iter_mut().enumerate() {
        *energy += if i % 50 == 0 { 400.0 } else { 3.0 };
    }
    let three = |value: f64, error: f64| {
        let row = |shift: f64| estimate(value * (1.0 + shift), error);
        (row(0.0), row(0.2), Some(row(0.03)))
    };
    let basin = |name: &str, value: f64, error: f64| {
        let (reference, proposal, reweighted) = three(value, error);
        BasinRow {
            name: name.to_owned(),
            reference,
            proposal,
            reweighted,
        }
    };
    let metric = |key, label, unit, value: f64| Metric {
        key,
        label,
        unit,
        explanation: format!("Exact distance {label} between the sets, a sentence long."),
        proposal: estimate(2.4 * value, 0.03 * value),
        reweighted: Some(estimate(1.2 * value, 0.05 * value)),
        floor: Some(estimate(value, 0.02 * value)),
    };
    let (from_to, difference) = (("ALA2 beta", "ALA2 alpha"), three(1.84, 0.11));
    Evaluation {
        title: "alanine dipeptide, nsf on internal coordinates".to_owned(),
        settings: [
            ("model", "model.safetensors"),
            ("architecture", "nsf, 4 layers of 64"),
            ("coordinates", "internal"),
            ("seed", "1"),
            ("regflow", "0.1.0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        warnings: vec![],
        temperature: 300.0,
        kt: 2.494339,
        diagnostics: Diagnostics {
            n,
            ess: ess_per_n(&log_weight),
            ess_trimmed: ess_per_n_trimmed(&log_weight),
            k_hat: k_hat(&log_weight),
            log_z: -195.32134,
            log_z_error: 0.00762,
            mean_log_q: 218.8,
            mean_reduced_energy: -13.5,
            median_reduced_energy: -23.4,
            weighted_reduced_energy: -23.7,
            weighted_reduced_energy_error: 0.06,
            non_finite_fraction: 0.0,
        },
        metrics: vec![
            metric("energy_w1", "E-W1", "kT", 0.11),
            metric("energy_w2", "E-W2", "kT", 0.17),
            metric("torus_w2", "T-W2", "rad", 0.27),
            metric("tica_w2", "TICA-W2", "", 0.08),
        ],
        torsions: Torsions {
            names: (0..2 * residues).map(|i| format!("torsion {i}")).collect(),
            atoms: vec![[0; 4]; 2 * residues],
            pairs: (0..residues)
                .map(|i| RamaPair {
                    residue: format!("ALA{}", i + 2),
                    phi: 2 * i,
                    psi: 2 * i + 1,
                })
                .collect(),
        },
        consistency: Consistency {
            n: 1000,
            error: 2e-5,
            median: 4e-6,
            largest: 3e-3,
            round_trip: 1e-5,
        },
        basins: vec![
            basin("ALA2 alpha", 0.42, 0.005),
            basin("ALA2 beta", 0.561, 0.005),
            basin("ALA2 phi>0", 0.0195, 0.0015),
        ],
        free_energy_differences: vec![FreeEnergyRow {
            from: from_to.0.to_owned(),
            to: from_to.1.to_owned(),
            reference: difference.0,
            proposal: difference.1,
            reweighted: difference.2,
        }],
        ess_against_n: (0..9)
            .map(|i| n >> (8 - i))
            .filter(|first| *first > 0)
            .map(|first| (first, ess_per_n(&log_weight[..first])))
            .collect(),
        reference,
        proposal,
        log_weight,
        geometry: [
            "C–H bonds",
            "C–C bonds",
            "C–N bonds",
            "C–C–O angles",
            "H–C–H angles",
        ]
        .map(marginal)
        .to_vec(),
        curve: Some(curve(&mut rng)),
    }
}

fn sample(rng: &mut ChaCha8Rng, residues: usize, n: usize, width: f64) -> Sample {
    let mut sample = Sample {
        n,
        reduced_energy: Vec::new(),
        torsions: Vec::new(),
        tica: Vec::new(),
    };
    for _ in 0..n {
        let mut normal = || rng.sample::<f64, _>(rand_distr::StandardNormal);
        sample.reduced_energy.push(-24.0 + 5.5 * width * normal());
        let tica = if normal() > 2.0 { 6.0 } else { -0.1 };
        sample
            .tica
            .extend([tica + 0.4 * width * normal(), width * normal()]);
        for _ in 0..residues {
            let mut share: f64 = rng.random();
            let inside = |basin: &&(f64, f64, f64, f64)| {
                share -= basin.2;
                share < 0.0
            };
            let &(phi, psi, _, spread) = BASINS.iter().find(inside).unwrap_or(&BASINS[0]);
            for centre in [phi, psi] {
                let angle =
                    centre + spread * width * rng.sample::<f64, _>(rand_distr::StandardNormal);
                sample
                    .torsions
                    .push(((angle + 180.0).rem_euclid(360.0) - 180.0).to_radians());
            }
        }
    }
    sample
}

fn marginal(label: &str) -> Marginal {
    let (centre, width, unit) = if label.ends_with("bonds") {
        (0.11, 0.003, "nm")
    } else {
        (110.0, 3.0, "degrees")
    };
    let edges: Vec<f64> = (0..=60)
        .map(|i| centre + width * (f64::from(i) / 6.0 - 5.0))
        .collect();
    let density = |spread: f64| -> Vec<f64> {
        let middles = edges.windows(2).map(|edge| (edge[0] + edge[1]) / 2.0);
        let normal = |x: f64| {
            let square = ((x - centre) / (width * spread)).powi(2);
            (-0.5 * square).exp() / (width * spread * std::f64::consts::TAU.sqrt())
        };
        middles.map(normal).collect()
    };
    Marginal {
        label: label.to_owned(),
        unit,
        reference: density(1.0),
        proposal: density(1.4),
        reweighted: Some(density(1.02)),
        broken: if label.starts_with("C–N") {
            0.012
        } else {
            0.0
        },
        edges,
    }
}

fn curve(rng: &mut ChaCha8Rng) -> Curve {
    let mut curve = Curve::default();
    for i in 0..3000 {
        let (stage, level, decay) = if i < 1200 {
            ("1-regression", 0.4, 150.0)
        } else if i < 2400 {
            ("2-likelihood", -210.0, 250.0)
        } else {
            ("3-polish", -214.0, 200.0)
        };
        let begin = [0, 1200, 2400]
            .into_iter()
            .filter(|b| *b <= i)
            .max()
            .unwrap_or(0);
        let size = if stage == "1-regression" { 3.0 } else { 60.0 };
        let noise: f64 = rng.sample(rand_distr::StandardNormal);
        let course = level + size * (-f64::from(i - begin) / decay).exp();
        curve.stage.push(stage.to_owned());
        curve.step.push(f64::from(i + 1));
        curve.seconds.push(0.1 * f64::from(i));
        curve.loss.push(course + 0.03 * size * noise);
        curve
            .validation
            .push((i % 100 == 99).then_some(course + 0.02 * size));
        curve
            .ess
            .push((i % 300 == 299).then_some(0.5 * f64::from(i) / 3000.0));
        curve
            .forward_ess
            .push((i >= 2400 && i % 300 == 299).then_some(0.4 * f64::from(i) / 3000.0));
    }
    curve
}
