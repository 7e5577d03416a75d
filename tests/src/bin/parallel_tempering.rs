//! Parallel tempering with RegFlow's own force field: populations of torsion basins with errors, as a reference that owes nothing
//! to a flow or an engine.
//!
//! Many independent ladders of temperatures run as one batch. Each walker follows BAOAB Langevin dynamics (Leimkuhler and
//! Matthews, doi:10.1093/amrx/abs010), neighbouring temperatures are exchanged by the Metropolis criterion. Random numbers
//! belong to walkers and ladders, so that a run does not depend on the number of threads.
//!
//!     cargo run --release --package regflow-tests --bin parallel_tempering -- --help

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use regflow::energy::{Energy, ForceField};
use regflow::metric::{Basin, Blocks, Estimate, TorsionRange, block_average, block_populations};
use regflow::system::{
    ReadOptions, Topology, Trajectory, TrajectoryWriter, kt, torsion, write_atomically,
};
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "Basin populations of a molecule at equilibrium, by parallel tempering.")]
struct Arguments {
    /// Potential: an OpenMM System XML.
    #[arg(long)]
    system: PathBuf,
    /// The molecule.
    #[arg(long)]
    topology: PathBuf,
    /// Configurations to start from, spread over the walkers.
    #[arg(long)]
    start: PathBuf,
    /// K, ascending; results are those of the first.
    #[arg(long, value_delimiter = ',', default_values_t = [300.0, 355.0, 421.0, 498.0, 590.0, 700.0])]
    temperatures: Vec<f64>,
    /// Independent ladders.
    #[arg(long, default_value_t = 21)]
    ladders: usize,
    /// Integration steps of each walker after the equilibration.
    #[arg(long, default_value_t = 1_000_000)]
    steps: usize,
    /// Steps before anything is recorded.
    #[arg(long, default_value_t = 50_000)]
    equilibration: usize,
    /// Steps between two exchanges; a frame is recorded before each.
    #[arg(long, default_value_t = 250)]
    interval: usize,
    /// Time step, ps.
    #[arg(long, default_value_t = 0.001)]
    time_step: f64,
    /// Friction, 1/ps.
    #[arg(long, default_value_t = 2.0)]
    friction: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Four atoms, counted from 0; may be given several times.
    #[arg(long, required = true)]
    torsion: Vec<Torsion>,
    /// NAME=TORSION:LOWER:UPPER, degrees; TORSION counts the torsions above from 0. May be given several times.
    #[arg(long, required = true)]
    basin: Vec<NamedRange>,
    /// Trajectory of the first temperature: ladders in turn, one frame in `frames-every` intervals.
    #[arg(long)]
    frames: Option<PathBuf>,
    /// Intervals between two written frames.
    #[arg(long, default_value_t = 4)]
    frames_every: usize,
    /// Result: JSON.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy)]
struct Torsion([usize; 4]);

impl FromStr for Torsion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let atoms: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        atoms
            .ok()
            .and_then(|atoms| atoms.try_into().ok())
            .map(Torsion)
            .ok_or_else(|| "expected four atoms: 4,6,8,10".to_owned())
    }
}

#[derive(Clone)]
struct NamedRange(Basin);

impl FromStr for NamedRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (name, range) = text.split_once('=')?;
            let mut parts = range.split(':');
            let torsion = parts.next()?.parse().ok()?;
            let lower = parts.next()?.parse().ok()?;
            let upper = parts.next()?.parse().ok()?;
            Some(NamedRange(Basin {
                name: name.to_owned(),
                ranges: vec![TorsionRange::degrees(torsion, lower, upper)],
            }))
        };
        parse().ok_or_else(|| "expected NAME=TORSION:LOWER:UPPER".to_owned())
    }
}

/// One configuration with its velocities and its random numbers.
struct Walker {
    temperature: usize,
    velocities: Vec<f64>,
    random: ChaCha8Rng,
}

/// All walkers, ladder by ladder; the temperatures wander, the walkers stay where they are.
struct Ensemble<'a> {
    arguments: &'a Arguments,
    force_field: ForceField,
    /// u.
    masses: Vec<f64>,
    walkers: Vec<Walker>,
    /// `[walkers, atoms, 3]`, nm, kJ/(mol nm); `[walkers]`, kJ/mol.
    positions: Vec<f64>,
    forces: Vec<f64>,
    energies: Vec<f64>,
    ladder_random: Vec<ChaCha8Rng>,
    /// Attempts and successes between neighbouring temperatures.
    exchanges: Vec<[u64; 2]>,
}

impl<'a> Ensemble<'a> {
    fn new(
        arguments: &'a Arguments,
        force_field: ForceField,
        start: &[f64],
    ) -> Result<Self, Box<dyn Error>> {
        let width = 3 * force_field.n_atoms();
        let n_temperatures = arguments.temperatures.len();
        let n = arguments.ladders * n_temperatures;
        let n_start = start.len() / width;
        if n == 0 || n_start == 0 || arguments.interval == 0 {
            return Err("no walkers, no configuration to start from, or an interval of 0".into());
        }
        let positions: Vec<f64> = (0..n)
            .flat_map(|i| start[i * n_start / n * width..][..width].iter().copied())
            .collect();
        let masses = force_field
            .masses()
            .ok_or("the potential has no masses")?
            .to_vec();
        let walkers = (0..n)
            .map(|i| {
                let mut random = ChaCha8Rng::seed_from_u64(arguments.seed);
                random.set_stream(i as u64);
                let temperature = i % n_temperatures;
                let kt = kt(arguments.temperatures[temperature]);
                let velocities = masses
                    .iter()
                    .flat_map(|mass| [(kt / mass).sqrt(); 3])
                    .map(|scale| scale * normal(&mut random))
                    .collect();
                Walker {
                    temperature,
                    velocities,
                    random,
                }
            })
            .collect();
        let ladder_random = (0..arguments.ladders)
            .map(|ladder| {
                let mut random = ChaCha8Rng::seed_from_u64(arguments.seed);
                random.set_stream(u64::MAX - ladder as u64);
                random
            })
            .collect();
        let mut ensemble = Ensemble {
            arguments,
            force_field,
            masses,
            walkers,
            forces: vec![0.0; positions.len()],
            positions,
            energies: vec![0.0; n],
            ladder_random,
            exchanges: vec![[0; 2]; n_temperatures - 1],
        };
        ensemble.evaluate()?;
        Ok(ensemble)
    }

    fn evaluate(&mut self) -> Result<(), Box<dyn Error>> {
        self.force_field.energies_and_forces(
            &self.positions,
            &mut self.energies,
            &mut self.forces,
        )?;
        Ok(())
    }

    /// One BAOAB step of all walkers. Time in ps, so that kJ/(mol nm u) is nm/ps^2.
    fn step(&mut self) -> Result<(), Box<dyn Error>> {
        let width = 3 * self.force_field.n_atoms();
        let half = 0.5 * self.arguments.time_step;
        let keep = (-self.arguments.friction * self.arguments.time_step).exp();
        let masses = &self.masses;
        let temperatures = &self.arguments.temperatures;
        self.walkers
            .par_iter_mut()
            .zip(self.positions.par_chunks_mut(width))
            .zip(self.forces.par_chunks(width))
            .for_each(|((walker, positions), forces)| {
                let kt = kt(temperatures[walker.temperature]);
                let atoms = positions.chunks_exact_mut(3).zip(forces.chunks_exact(3));
                let atoms = atoms.zip(walker.velocities.chunks_exact_mut(3));
                for (((x, f), v), mass) in atoms.zip(masses) {
                    let noise = ((1.0 - keep * keep) * kt / mass).sqrt();
                    for axis in 0..3 {
                        v[axis] += half * f[axis] / mass;
                        x[axis] += half * v[axis];
                        v[axis] = keep * v[axis] + noise * normal(&mut walker.random);
                        x[axis] += half * v[axis];
                    }
                }
            });
        self.evaluate()?;
        let masses = &self.masses;
        self.walkers
            .par_iter_mut()
            .zip(self.forces.par_chunks(width))
            .for_each(|(walker, forces)| {
                let atoms = walker.velocities.chunks_exact_mut(3);
                for ((v, f), mass) in atoms.zip(forces.chunks_exact(3)).zip(masses) {
                    for axis in 0..3 {
                        v[axis] += half * f[axis] / mass;
                    }
                }
            });
        Ok(())
    }

    /// Exchanges temperatures 0-1, 2-3, ... (or 1-2, 3-4, ... if `odd`) in every ladder; velocities follow by scaling.
    fn exchange(&mut self, odd: bool) {
        let n_temperatures = self.arguments.temperatures.len();
        let beta = |t: usize| 1.0 / kt(self.arguments.temperatures[t]);
        for (ladder, random) in self.ladder_random.iter_mut().enumerate() {
            let first = ladder * n_temperatures;
            let ladder = &mut self.walkers[first..first + n_temperatures];
            for cold in (usize::from(odd)..n_temperatures - 1).step_by(2) {
                let at = |t| ladder.iter().position(|walker| walker.temperature == t);
                let (Some(i), Some(j)) = (at(cold), at(cold + 1)) else {
                    continue;
                };
                let gain = (beta(cold) - beta(cold + 1))
                    * (self.energies[first + i] - self.energies[first + j]);
                let accepted = random.random::<f64>() < gain.exp();
                self.exchanges[cold][0] += 1;
                self.exchanges[cold][1] += u64::from(accepted);
                if accepted {
                    let scale = (beta(cold) / beta(cold + 1)).sqrt();
                    ladder[i].temperature = cold + 1;
                    ladder[j].temperature = cold;
                    ladder[i].velocities.iter_mut().for_each(|v| *v *= scale);
                    ladder[j].velocities.iter_mut().for_each(|v| *v /= scale);
                }
            }
        }
    }

    /// Index of each ladder's walker at the first temperature.
    fn coldest(&self) -> Vec<usize> {
        let cold = |(i, walker): (usize, &Walker)| (walker.temperature == 0).then_some(i);
        self.walkers.iter().enumerate().filter_map(cold).collect()
    }
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let topology = Topology::read(&arguments.topology)?;
    let force_field = ForceField::from_system_xml(&arguments.system)?;
    let start = Trajectory::open(&[&arguments.start], &topology, &ReadOptions::default())?
        .read_all()?
        .positions;
    let width = 3 * force_field.n_atoms();
    let mut ensemble = Ensemble::new(&arguments, force_field, &start)?;
    let mut writer = match &arguments.frames {
        Some(path) => Some(TrajectoryWriter::create(path, &topology)?),
        None => None,
    };

    // Per ladder, in the order of time.
    let mut torsions = vec![Vec::new(); arguments.ladders];
    let mut energies = vec![Vec::new(); arguments.ladders];
    let (before, after) = (
        arguments.equilibration / arguments.interval,
        arguments.steps / arguments.interval,
    );
    for interval in 0..before + after {
        for _ in 0..arguments.interval {
            ensemble.step()?;
        }
        if interval >= before {
            for (ladder, walker) in ensemble.coldest().into_iter().enumerate() {
                let frame = &ensemble.positions[walker * width..][..width];
                let angles = arguments.torsion.iter();
                torsions[ladder].extend(angles.map(|&Torsion(atoms)| torsion(frame, atoms)));
                energies[ladder].push(ensemble.energies[walker]);
                if let Some(writer) = &mut writer
                    && (interval - before).is_multiple_of(arguments.frames_every.max(1))
                {
                    writer.write(frame)?;
                }
            }
        }
        ensemble.exchange(interval % 2 == 1);
        if interval % 1000 == 999 {
            eprintln!("{} of {} intervals", interval + 1, before + after);
        }
    }
    if let Some(writer) = writer {
        writer.finish()?;
    }
    let result = summary(
        &arguments,
        &ensemble,
        &torsions.concat(),
        &energies.concat(),
    )?;
    let text = serde_json::to_string_pretty(&result)? + "\n";
    write_atomically(&arguments.out, |file| {
        std::io::Write::write_all(file, text.as_bytes())
    })?;
    print!("{text}");
    Ok(())
}

/// Populations, energy and exchange rates. Errors are those of four blocks of time in each ladder.
fn summary(
    arguments: &Arguments,
    ensemble: &Ensemble,
    torsions: &[f64],
    energies: &[f64],
) -> Result<Value, Box<dyn Error>> {
    let blocks = 4 * arguments.ladders;
    let basins: Vec<Basin> = arguments.basin.iter().map(|b| b.0.clone()).collect();
    let n_torsions = arguments.torsion.len();
    let populations = block_populations(
        &basins,
        torsions,
        n_torsions,
        &Blocks::equal(torsions.len() / n_torsions.max(1), blocks),
    )?;
    let estimate = |estimate: &Estimate| json!({"value": estimate.value, "error": estimate.error});
    let named = basins.iter().zip(&populations);
    let rates = ensemble.exchanges.iter();
    Ok(json!({
        "temperature": arguments.temperatures[0],
        "torsions": arguments.torsion.iter().map(|t| t.0).collect::<Vec<_>>(),
        "populations": named
            .map(|(basin, population)| (basin.name.clone(), estimate(population)))
            .collect::<serde_json::Map<_, _>>(),
        "energy": estimate(&block_average(energies, blocks)),
        "frames": energies.len(),
        "nanoseconds": arguments.ladders as f64 * arguments.steps as f64 * arguments.time_step * 1e-3,
        "exchange_rates": rates.map(|[n, k]| *k as f64 / *n as f64).collect::<Vec<_>>(),
    }))
}
