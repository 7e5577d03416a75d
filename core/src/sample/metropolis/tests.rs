//! Moves of a chain of four atoms whose torsion has a density that is known by quadrature: bonds and angles are independent
//! of it, and flexible.

use std::f64::consts::PI;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::chain::{Chain, T, basin, build, exact, model, quadrature};
use super::*;
use crate::energy::EnergyError;
use crate::system::distance;

/// Populations over independent walkers with their standard errors.
fn populations(counts: &[[f64; 3]]) -> [(f64, f64); 3] {
    let n = counts.len() as f64;
    std::array::from_fn(|basin| {
        let mean = counts.iter().map(|c| c[basin]).sum::<f64>() / n;
        let square: f64 = counts.iter().map(|c| (c[basin] - mean).powi(2)).sum();
        (mean, (square / (n - 1.0) / n).sqrt())
    })
}

fn assert_populations(found: [(f64, f64); 3], expected: [f64; 3]) {
    for ((value, error), expected) in found.into_iter().zip(expected) {
        assert!(
            error < 0.03 && (value - expected).abs() < 4.0 * error,
            "{found:?} {expected:?}"
        );
    }
}

const WALKERS: usize = 64;

/// All walkers in the shallowest basin, each turned and moved somewhere.
fn start(extra: &[f64]) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let chain = build([0.15; 3], [1.9; 2], PI / 3.0);
    let here = Frame::of(&chain, [0, 1, 2]).unwrap();
    (0..WALKERS)
        .flat_map(|_| {
            let mut system = [&chain[..], extra].concat();
            if extra.is_empty() {
                here.carry_all(&here.turned(&mut rng), &mut system);
                let shift: f64 = rng.random();
                system.iter_mut().for_each(|x| *x += shift);
            }
            system
        })
        .collect()
}

fn options(seed: u64) -> MoveOptions {
    MoveOptions {
        n_walkers: WALKERS,
        seed,
        batch: 2048,
        ..MoveOptions::default()
    }
}

#[test]
fn run_reaches_the_exact_populations_whatever_the_model() {
    let energy = Chain { particle: false };
    for (disturbance, seed) in [(0.0, 1), (0.15, 2)] {
        for placement in [Placement::Keep, Placement::Random] {
            let options = MoveOptions {
                placement,
                ..options(seed)
            };
            let mut moves = Metropolis::new(model(disturbance), &options).unwrap();
            let mut positions = start(&[]);
            let mut energies = vec![0.0; WALKERS];
            moves
                .run(&energy, 100, &mut positions, &mut energies)
                .unwrap();
            let mut counts = vec![[0.0; 3]; WALKERS];
            let rounds = 150;
            for _ in 0..rounds {
                moves
                    .run(&energy, 4, &mut positions, &mut energies)
                    .unwrap();
                for (x, count) in positions.chunks_exact(12).zip(&mut counts) {
                    count[basin(x)] += 1.0 / f64::from(rounds);
                }
            }
            assert_populations(populations(&counts), quadrature());
            let mut anew = vec![0.0; WALKERS];
            energy.energies(&positions, &mut anew).unwrap();
            assert_eq!(anew, energies);
            let statistics = moves.statistics();
            assert_eq!(statistics.attempts, 700 * WALKERS as u64);
            let rate = statistics.accepted as f64 / statistics.attempts as f64;
            let mean = statistics.probability / statistics.attempts as f64;
            // Bernoulli draws of probabilities whose mean is `mean`.
            let error = (mean * (1.0 - mean) / statistics.attempts as f64).sqrt();
            assert!((rate - mean).abs() < 4.0 * error, "{rate} {mean}");
            assert!(rate > 0.02, "{rate}");
        }
    }
}

/// Moves among other moves of the same target: random displacements of single atoms, which alone do not cross.
#[test]
fn split_form_among_displacements_is_exact() {
    let energy = Chain { particle: false };
    let mut moves = Metropolis::new(model(0.1), &options(5)).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let mut positions = start(&[]);
    let mut energies = vec![0.0; WALKERS];
    energy.energies(&positions, &mut energies).unwrap();
    let mut counts = vec![[0.0; 3]; WALKERS];
    let (equilibration, rounds) = (100, 400);
    for round in 0..equilibration + rounds {
        for _ in 0..5 {
            let trial: Vec<f64> = positions
                .iter()
                .map(|x| x + 2e-3 * rng.sample::<f64, _>(StandardNormal))
                .collect();
            let mut after = vec![0.0; WALKERS];
            energy.energies(&trial, &mut after).unwrap();
            for walker in 0..WALKERS {
                if rng.random::<f64>() < ((energies[walker] - after[walker]) / kt(T)).exp() {
                    positions[12 * walker..][..12].copy_from_slice(&trial[12 * walker..][..12]);
                    energies[walker] = after[walker];
                }
            }
        }
        let mut proposals = vec![0.0; positions.len()];
        let mut log_ratios = vec![0.0; WALKERS];
        moves
            .propose(&positions, &mut proposals, &mut log_ratios)
            .unwrap();
        let mut after = vec![0.0; WALKERS];
        energy.energies(&proposals, &mut after).unwrap();
        let mut accepted = vec![false; WALKERS];
        moves.decide(&energies, &after, &mut accepted).unwrap();
        for walker in (0..WALKERS).filter(|&walker| accepted[walker]) {
            positions[12 * walker..][..12].copy_from_slice(&proposals[12 * walker..][..12]);
            energies[walker] = after[walker];
        }
        if round >= equilibration {
            for (x, count) in positions.chunks_exact(12).zip(&mut counts) {
                count[basin(x)] += 1.0 / f64::from(rounds);
            }
        }
    }
    assert_populations(populations(&counts), quadrature());
}

/// The chain in its frame beside a particle: against exact draws of the chain, put into the same frame and reweighted by the
/// particle's energy.
#[test]
fn partial_moves_keep_the_frame_and_see_the_rest() {
    let chain = build([0.15; 3], [1.9; 2], PI / 3.0);
    let particle = build([0.15; 3], [1.9; 2], -PI / 3.0)[9..].to_vec();
    for frame in [[1, 2, 0], [0, 1, 2]] {
        let here = Frame::of(&chain, frame).unwrap();
        let draws = exact(40_000, 21);
        let (mut sums, mut total) = ([0.0; 3], 0.0);
        for x in draws.chunks_exact(12) {
            let mut x = x.to_vec();
            Frame::of(&x, frame).unwrap().carry_all(&here, &mut x);
            let system = [x, particle.clone()].concat();
            let weight = (-Chain::particle_energy(&system) / kt(T)).exp();
            sums[basin(&system)] += weight;
            total += weight;
        }
        let expected = sums.map(|sum| sum / total);
        assert!(
            (expected[0] - quadrature()[0]).abs() > 0.1,
            "the particle matters: {expected:?}"
        );
        let options = MoveOptions {
            n_system_atoms: Some(5),
            atoms: Some(vec![0, 1, 2, 3]),
            frame: Some(frame),
            ..options(8)
        };
        let mut moves = Metropolis::new(model(0.2), &options).unwrap();
        let energy = Chain { particle: true };
        let mut positions = start(&particle);
        let mut energies = vec![0.0; WALKERS];
        moves
            .run(&energy, 200, &mut positions, &mut energies)
            .unwrap();
        let mut counts = vec![[0.0; 3]; WALKERS];
        let rounds = 200;
        for _ in 0..rounds {
            moves
                .run(&energy, 5, &mut positions, &mut energies)
                .unwrap();
            for (x, count) in positions.chunks_exact(15).zip(&mut counts) {
                count[basin(x)] += 1.0 / f64::from(rounds);
            }
        }
        // The reference has a standard error of its own, below 0.005.
        let found = populations(&counts).map(|(value, error)| (value, error.hypot(0.005)));
        assert_populations(found, expected);
        for system in positions.chunks_exact(15) {
            assert_eq!(system[12..], particle);
            let [before, after] = [&chain[..], system].map(|x| Frame::of(x, frame).unwrap());
            for corner in [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] {
                let moved = before.carry(&after, corner);
                (0..3).for_each(|k| assert!((moved[k] - corner[k]).abs() < 1e-9));
            }
        }
    }
}

/// Random placement: the frame's origin stays, its axes do not, and walkers have orientations of their own.
#[test]
fn random_placement_turns_about_the_origin() {
    let options = MoveOptions {
        placement: Placement::Random,
        ..options(3)
    };
    let mut moves = Metropolis::new(model(0.0), &options).unwrap();
    let positions = start(&[]);
    let mut proposals = vec![0.0; positions.len()];
    moves
        .propose(&positions, &mut proposals, &mut [0.0; WALKERS])
        .unwrap();
    // The mean of the cosines of angles between random axes has the variance 1/3 over their number.
    let mut cosines = [0.0; 3];
    for (before, after) in positions.chunks_exact(12).zip(proposals.chunks_exact(12)) {
        let frame = |x: &[f64]| Frame::of(x, moves.layout.frame).unwrap();
        let unit = [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let first = 3 * moves.layout.frame[0];
        let origin = [before[first], before[first + 1], before[first + 2]];
        let moved = frame(before).carry(&frame(after), origin);
        let [zero, axes @ ..] = unit.map(|corner| frame(before).carry(&frame(after), corner));
        for k in 0..3 {
            assert!((moved[k] - origin[k]).abs() < 1e-9);
            cosines[k] += (axes[k][k] - zero[k]) / WALKERS as f64;
        }
    }
    let error = (3.0 * WALKERS as f64).sqrt().recip();
    assert!(cosines.iter().all(|c| c.abs() < 4.0 * error), "{cosines:?}");
}

/// Walkers that start from samples of the same seed do not get them proposed, and neighbouring seeds share no numbers.
#[test]
fn streams_of_one_seed_are_apart() {
    let model = model(0.0);
    let mut found = Vec::new();
    for seed in [0, 1] {
        let samples = model.sample(WALKERS, seed, 0).unwrap();
        let mut moves = Metropolis::new(Arc::clone(&model), &options(seed)).unwrap();
        let mut proposals = vec![0.0; samples.positions.len()];
        moves
            .propose(&samples.positions, &mut proposals, &mut [0.0; WALKERS])
            .unwrap();
        let shape = |x: &[f64]| distance(x, [0, 3]).to_bits();
        for x in samples.positions.chunks_exact(12) {
            found.push(shape(x));
        }
        found.extend(proposals.chunks_exact(12).map(shape));
        for purpose in [Purpose::Acceptance, Purpose::Orientation] {
            let number: u64 = moves.stream(purpose, 0, 0).random();
            found.push(number);
        }
    }
    let n = found.len();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), n);
}

#[test]
fn a_run_that_fails_does_not_count() {
    struct Failing(std::sync::atomic::AtomicUsize);
    impl Energy for Failing {
        fn n_atoms(&self) -> usize {
            4
        }
        fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
            match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                3 => Err(EnergyError::External("no more".into())),
                _ => Chain { particle: false }.energies(positions, energies),
            }
        }
        fn energies_and_forces(
            &self,
            _: &[f64],
            _: &mut [f64],
            _: &mut [f64],
        ) -> Result<(), EnergyError> {
            unreachable!("moves take no forces")
        }
    }
    let mut moves = Metropolis::new(model(0.0), &options(3)).unwrap();
    let (mut positions, mut energies) = (start(&[]), vec![7.0; WALKERS]);
    // The first call is for the walkers, the others for 1024 / 64 = 16 rounds each.
    let result = moves.run(
        &Failing(Default::default()),
        60,
        &mut positions,
        &mut energies,
    );
    assert!(matches!(result, Err(MoveError::Potential(_))));
    assert_eq!((positions, energies), (start(&[]), vec![7.0; WALKERS]));
    let statistics = moves.statistics();
    assert_eq!((statistics.attempts, statistics.accepted), (0, 0));
    let mut other = Metropolis::new(model(0.0), &options(3)).unwrap();
    let energy = Chain { particle: false };
    let run = |moves: &mut Metropolis| {
        let (mut positions, mut energies) = (start(&[]), vec![0.0; WALKERS]);
        let accepted = moves.run(&energy, 20, &mut positions, &mut energies);
        (accepted.unwrap(), positions, energies)
    };
    assert_eq!(run(&mut moves), run(&mut other));
}

#[test]
fn log_ratios_are_those_of_the_densities() {
    let model = model(0.2);
    let mut moves = Metropolis::new(Arc::clone(&model), &options(9)).unwrap();
    let positions = start(&[]);
    let mut proposals = vec![0.0; positions.len()];
    let mut log_ratios = vec![0.0; WALKERS];
    moves
        .propose(&positions, &mut proposals, &mut log_ratios)
        .unwrap();
    let before = model.log_density(&positions).unwrap();
    let after = model.log_density(&proposals).unwrap();
    let inside = (0..WALKERS).filter(|&walker| log_ratios[walker] > f64::NEG_INFINITY);
    // A flow that is no identity leaves the domain of the coordinates now and then.
    assert!(inside.clone().count() > 9 * WALKERS / 10);
    let mut differences: Vec<f64> = inside
        .map(|walker| (log_ratios[walker] - (before[walker] - after[walker])).abs())
        .collect();
    differences.sort_by(f64::total_cmp);
    // The network works in f32, forwards for the one and backwards for the other; where a spline is flat, the error grows.
    assert!(differences[differences.len() / 2] < 1e-5, "{differences:?}");
    assert!(differences.iter().all(|d| *d < 0.1), "{differences:?}");
}

#[test]
fn a_restored_move_goes_on_with_the_same_bits() {
    let energy = Chain { particle: false };
    let model = model(0.2);
    let options = MoveOptions {
        batch: 256,
        ..options(4)
    };
    let make = || Metropolis::new(Arc::clone(&model), &options).unwrap();
    let run = |moves: &mut Metropolis, positions: &mut Vec<f64>| {
        moves
            .run(&energy, 7, positions, &mut [0.0; WALKERS])
            .unwrap()
    };
    let (mut moves, mut positions) = (make(), start(&[]));
    run(&mut moves, &mut positions);
    let (state, middle) = (moves.save().unwrap(), positions.clone());
    let accepted = run(&mut moves, &mut positions);
    let (mut again, mut from_there) = (make(), middle);
    again.restore(&state).unwrap();
    assert_eq!(run(&mut again, &mut from_there), accepted);
    assert_eq!(from_there, positions);
    assert_eq!(again.statistics().accepted, moves.statistics().accepted);

    let refused =
        |moves: &mut Metropolis, state: &[u8]| moves.restore(state).unwrap_err().to_string();
    let other = MoveOptions {
        seed: 5,
        ..options.clone()
    };
    let mut other = Metropolis::new(Arc::clone(&model), &other).unwrap();
    assert!(refused(&mut other, &state).contains("other options"));
    let mut other = Metropolis::new(self::model(0.1), &options).unwrap();
    assert!(refused(&mut other, &state).contains("another model"));
    assert!(refused(&mut again, &state[..40]).contains("damaged"));
    assert!(refused(&mut again, b"").contains("does not begin"));
}

#[test]
fn what_cannot_be_moved_is_refused() {
    let model = model(0.0);
    let refused = |change: fn(&mut MoveOptions)| {
        let mut options = MoveOptions::default();
        change(&mut options);
        let result = Metropolis::new(Arc::clone(&model), &options);
        result.map(|_| ()).unwrap_err().to_string()
    };
    assert!(refused(|o| o.n_walkers = 0).contains("walkers"));
    assert!(refused(|o| o.n_walkers = usize::MAX).contains("memory"));
    let many = |o: &mut MoveOptions| (o.n_walkers, o.n_system_atoms) = (2, Some(1 << 63));
    assert!(refused(many).contains("memory"));
    assert!(refused(|o| o.batch = usize::MAX).contains("batch"));
    let whole = |o: &mut MoveOptions| (o.n_walkers, o.batch) = (3, usize::MAX - 1);
    assert!(refused(whole).contains("batch"));
    assert!(refused(|o| o.temperature = Some(f64::NAN)).contains("temperature"));
    assert!(refused(|o| o.atoms = Some(vec![0, 1, 2, 2])).contains("3 are different"));
    assert!(refused(|o| o.atoms = Some(vec![0, 1, 2, 9])).contains("the largest 9"));
    assert!(refused(|o| o.n_system_atoms = Some(3)).contains("below 3"));
    assert!(refused(|o| o.frame = Some([0, 1, 1])).contains("[0, 1, 1]"));

    let mut moves = Metropolis::new(Arc::clone(&model), &MoveOptions::default()).unwrap();
    let mut ratio = [0.0];
    let mut proposal = vec![0.0; 12];
    let chain = build([0.15; 3], [1.9; 2], 1.0);
    assert!(matches!(
        moves.decide(&[0.0], &[0.0], &mut [false]),
        Err(MoveError::NothingProposed)
    ));
    assert!(matches!(
        moves.propose(&chain[..9], &mut proposal, &mut ratio),
        Err(MoveError::Length {
            array: "positions",
            expected: 12,
            found: 9
        })
    ));
    let mut broken = chain.clone();
    broken[7] = f64::INFINITY;
    assert!(matches!(
        moves.propose(&broken, &mut proposal, &mut ratio),
        Err(MoveError::Position { walker: 0, atom: 2 })
    ));
    moves.propose(&chain, &mut proposal, &mut ratio).unwrap();
    assert!(matches!(
        moves.decide(&[f64::NAN], &[0.0], &mut [false]),
        Err(MoveError::Energy { walker: 0, .. })
    ));
    // What is no energy is no place to go; from an infinite one anything is better.
    let mut accepted = [true];
    moves.decide(&[0.0], &[f64::NAN], &mut accepted).unwrap();
    assert_eq!(accepted, [false]);
    moves.propose(&chain, &mut proposal, &mut ratio).unwrap();
    assert!(ratio[0].is_finite());
    moves
        .decide(&[f64::INFINITY], &[0.0], &mut accepted)
        .unwrap();
    assert_eq!(accepted, [true]);
    // A line has no density: it must not be left, since no move leads back.
    let line: Vec<f64> = (0..12)
        .map(|i| if i % 3 == 0 { 0.05 * f64::from(i) } else { 0.0 })
        .collect();
    moves.propose(&line, &mut proposal, &mut ratio).unwrap();
    assert_eq!(ratio, [f64::NEG_INFINITY]);
    let energy = Chain { particle: true };
    assert!(matches!(
        moves.run(&energy, 1, &mut chain.clone(), &mut [0.0]),
        Err(MoveError::EnergyAtoms {
            expected: 4,
            found: 5
        })
    ));
    assert_eq!(moves.statistics().attempts, 2);
}

#[test]
fn energies_of_other_atoms_are_refused() {
    /// The chain and a particle, with masses.
    struct Weighted([f64; 5]);
    impl Energy for Weighted {
        fn n_atoms(&self) -> usize {
            5
        }
        fn masses(&self) -> Option<&[f64]> {
            Some(&self.0)
        }
        fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
            Chain { particle: true }.energies(positions, energies)
        }
        fn energies_and_forces(
            &self,
            _: &[f64],
            _: &mut [f64],
            _: &mut [f64],
        ) -> Result<(), EnergyError> {
            unreachable!("moves take no forces")
        }
    }
    let options = MoveOptions {
        n_system_atoms: Some(5),
        ..options(4)
    };
    let mut moves = Metropolis::new(model(0.0), &options).unwrap();
    let positions = start(&[0.3, 0.3, 0.3]);
    let mut run = |masses: [f64; 5]| {
        let (mut positions, mut energies) = (positions.clone(), vec![0.0; WALKERS]);
        moves.run(&Weighted(masses), 1, &mut positions, &mut energies)
    };
    let argon = 39.95;
    assert!(run([15.0, 15.0, 15.0, 15.0, argon]).is_ok());
    // Unknown, or the same for all: no word on the order.
    assert!(run([f64::NAN; 5]).is_ok());
    assert!(run([1.0; 5]).is_ok());
    let error = run([argon, 15.0, 15.0, 15.0, 15.0]).unwrap_err();
    assert!(matches!(error, MoveError::EnergyParticles(_)), "{error}");
    assert!(error.to_string().contains("39.950"), "{error}");
}
