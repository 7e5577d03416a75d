//! Independence Metropolis-Hastings with the model as proposal.
//!
//! A [`Metropolis`] keeps no configuration: the engine hands in where its walkers are, as molecular dynamics or earlier moves
//! left them, and gets a proposal for each with `log q(x) - log q(x')`. The density of the current configuration is computed
//! by the inverse map every time, so that the chain is exact whatever happened in between.
//!
//! The model's density is one of shapes; the rigid motion stays out of it. A proposal is put into the frame of three atoms of
//! the current configuration ([`Frame`]), so that nothing but the shape changes and the acceptance probability is
//! `min(1, w(x') / w(x))`, `w = exp(-u) / q`, also where the molecule is only a part of the system: there `u` is the energy
//! of everything.

#[cfg(test)]
mod chain;
mod error;
mod options;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::coordinates::Frame;
use crate::energy::Energy;
use crate::math::{Purpose, Random, Streams};
use crate::model::{Consistency, Model, Samples};
use crate::system::kt;

pub use error::MoveError;
use options::Layout;
pub use options::{MoveOptions, Placement};

/// Configurations per energy call of [`Metropolis::run`],
const ENERGY_BATCH: usize = 1024;
/// unless they have more coordinates than this (128 MB).
const ENERGY_BATCH_COORDINATES: usize = 1 << 24;

/// Fresh samples by which the two directions of a model are compared before it makes moves.
const CHECKED: usize = 256;

/// How often moves were accepted, over all walkers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MoveStatistics {
    /// Proposals that were decided on.
    pub attempts: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// Sum over attempts of the acceptance probability; over `attempts`, an estimate of the rate with less noise.
    pub probability: f64,
    /// Calls of the network, in both directions.
    pub network_calls: u64,
}

/// Moves of one walker or of several.
pub struct Metropolis {
    model: Arc<Model>,
    layout: Layout,
    temperature: f64,
    seed: u64,
    /// Proposals per network call, a multiple of the number of walkers.
    batch: usize,
    /// Rounds so far; in each, every walker has one proposal.
    round: u64,
    statistics: MoveStatistics,
    /// The batch that holds the proposals of the current round, and its number.
    drawn: Option<(u64, Samples)>,
    /// `log q(x) - log q(x')` of each walker, between `propose` and `decide`.
    pending: Option<Vec<f64>>,
}

impl Metropolis {
    /// Moves with `model`.
    ///
    /// # Errors
    /// A model in `cartesian` coordinates, whose density is not one of shapes; options that do not fit the model; a model whose
    /// density by the inverse map, which moves need, differs from that by the map: see [`Consistency`].
    pub fn new(model: Arc<Model>, options: &MoveOptions) -> Result<Self, MoveError> {
        let layout = Layout::new(&model, options)?;
        let temperature = options.temperature.unwrap_or(model.temperature());
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(MoveError::Temperature { found: temperature });
        }
        let fits = |batch: &usize| {
            let bytes = batch.checked_mul(3 * model.n_atoms() * size_of::<f64>());
            bytes.is_some_and(|bytes| bytes <= isize::MAX as usize)
        };
        let batch = options.batch.max(1);
        let batch = batch.checked_next_multiple_of(layout.n_walkers);
        let batch = batch.filter(fits).ok_or(MoveError::Batch {
            found: options.batch,
        })?;
        let consistency = model.consistency(CHECKED, options.seed)?;
        if !consistency.is_sound() {
            return Err(MoveError::Inconsistent {
                error: consistency.error,
                largest: consistency.largest,
                most: Consistency::TOLERANCE,
            });
        }
        Ok(Metropolis {
            batch,
            layout,
            temperature,
            seed: options.seed,
            model,
            round: 0,
            statistics: MoveStatistics::default(),
            drawn: None,
            pending: None,
        })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Number of walkers W.
    pub fn n_walkers(&self) -> usize {
        self.layout.n_walkers
    }

    /// Atoms of the system of one walker, S.
    pub fn n_system_atoms(&self) -> usize {
        self.layout.n_system_atoms
    }

    /// What happened so far.
    pub fn statistics(&self) -> MoveStatistics {
        self.statistics
    }

    /// Proposes a new configuration for each walker.
    ///
    /// `positions` (`[W, S, 3]`, nm, molecules whole) are the current ones; `proposals` becomes the same with the model's
    /// atoms moved; `log_ratios` (`[W]`) becomes `log q(x) - log q(x')`. It is `-inf` where the proposal is outside the
    /// domain of the coordinates, or the model cannot propose the current configuration: such a move will be rejected, and
    /// its energy need not be computed. [`Metropolis::decide`] comes next; a proposal that is not decided on does not count.
    ///
    /// # Errors
    /// Arrays of the wrong length, a current position that is not finite, a failure of the plugin or the device.
    pub fn propose(
        &mut self,
        positions: &[f64],
        proposals: &mut [f64],
        log_ratios: &mut [f64],
    ) -> Result<(), MoveError> {
        self.pending = None;
        let walkers = self.layout.n_walkers;
        self.layout.check("proposals", proposals.len(), walkers)?;
        check_walkers("log_ratios", log_ratios.len(), walkers)?;
        let current = self.current(positions)?;
        let round = self.round;
        self.place_round(round, &current.frames, positions, proposals, log_ratios)?;
        for (log_ratio, log_q) in log_ratios.iter_mut().zip(current.log_q) {
            *log_ratio = ratio(log_q, *log_ratio);
        }
        self.pending = Some(log_ratios.to_vec());
        Ok(())
    }

    /// Accepts or rejects what [`Metropolis::propose`] gave, with probability `min(1, exp(-(u' - u) + log_ratio))`.
    ///
    /// `energies` and `proposal_energies` (`[W]`, kJ/mol) are those of the current and of the proposed configurations;
    /// `accepted` is `[W]`. A proposal whose energy is not finite is rejected; a current configuration of energy `+inf` is
    /// left for any other.
    ///
    /// # Errors
    /// Nothing was proposed; arrays of the wrong length; a current energy that is NaN or `-inf`.
    pub fn decide(
        &mut self,
        energies: &[f64],
        proposal_energies: &[f64],
        accepted: &mut [bool],
    ) -> Result<(), MoveError> {
        let walkers = self.layout.n_walkers;
        check_walkers("energies", energies.len(), walkers)?;
        check_walkers("proposal_energies", proposal_energies.len(), walkers)?;
        check_walkers("accepted", accepted.len(), walkers)?;
        check_current(energies)?;
        let log_ratios = self.pending.take().ok_or(MoveError::NothingProposed)?;
        let thresholds = self.thresholds(self.round);
        for walker in 0..walkers {
            accepted[walker] = self.attempt(
                thresholds[walker],
                energies[walker],
                proposal_energies[walker],
                log_ratios[walker],
            );
        }
        self.round += 1;
        Ok(())
    }

    /// `rounds` attempts for each walker, with energies computed in batches. `positions` (`[W, S, 3]`) go in and come out;
    /// `energies` (`[W]`, kJ/mol) become those of the last configurations. Returns how many attempts of each walker were
    /// accepted.
    ///
    /// # Errors
    /// As [`Metropolis::propose`] and [`Metropolis::decide`]; an energy of another number of atoms, or of other atoms where the model's should be; a failure of the energy.
    /// Then positions and energies are as before, and the attempts do not count.
    pub fn run(
        &mut self,
        energy: &dyn Energy,
        rounds: usize,
        positions: &mut [f64],
        energies: &mut [f64],
    ) -> Result<Vec<usize>, MoveError> {
        let before = (self.round, self.statistics);
        let (mut x, mut u) = (positions.to_vec(), energies.to_vec());
        match self.attempts(energy, rounds, &mut x, &mut u) {
            Ok(accepted) => {
                positions.copy_from_slice(&x);
                energies.copy_from_slice(&u);
                Ok(accepted)
            }
            Err(error) => {
                (self.round, self.statistics) = before;
                Err(error)
            }
        }
    }

    /// As `run`; after an error everything is as after the last batch that succeeded.
    fn attempts(
        &mut self,
        energy: &dyn Energy,
        rounds: usize,
        positions: &mut [f64],
        energies: &mut [f64],
    ) -> Result<Vec<usize>, MoveError> {
        self.pending = None;
        let (walkers, width) = (self.layout.n_walkers, 3 * self.layout.n_system_atoms);
        if energy.n_atoms() != self.layout.n_system_atoms {
            return Err(MoveError::EnergyAtoms {
                expected: self.layout.n_system_atoms,
                found: energy.n_atoms(),
            });
        }
        self.layout.check_particles(&self.model, energy)?;
        check_walkers("energies", energies.len(), walkers)?;
        let mut current = self.current(positions)?;
        energy.energies(positions, energies)?;
        check_current(energies)?;
        let mut accepted = vec![0; walkers];
        let block = ENERGY_BATCH.min(ENERGY_BATCH_COORDINATES / width) / walkers;
        let block = block.max(1);
        for start in (0..rounds).step_by(block) {
            let n = block.min(rounds - start);
            let mut proposals = vec![0.0; n * walkers * width];
            let mut log_q = vec![0.0; n * walkers];
            // The frames stay where they are whatever is accepted, so that all proposals can be placed beforehand.
            for (i, (proposals, log_q)) in proposals
                .chunks_exact_mut(walkers * width)
                .zip(log_q.chunks_exact_mut(walkers))
                .enumerate()
            {
                let round = self.round + i as u64;
                self.place_round(round, &current.frames, positions, proposals, log_q)?;
            }
            let mut proposal_energies = vec![0.0; n * walkers];
            energy.energies(&proposals, &mut proposal_energies)?;
            for i in 0..n {
                for (walker, threshold) in self.thresholds(self.round).into_iter().enumerate() {
                    let at = i * walkers + walker;
                    let log_ratio = ratio(current.log_q[walker], log_q[at]);
                    let proposal = proposal_energies[at];
                    if self.attempt(threshold, energies[walker], proposal, log_ratio) {
                        positions[walker * width..][..width]
                            .copy_from_slice(&proposals[at * width..][..width]);
                        energies[walker] = proposal;
                        current.log_q[walker] = log_q[at];
                        accepted[walker] += 1;
                    }
                }
                self.round += 1;
            }
        }
        Ok(accepted)
    }

    /// Frames and log densities of the current configurations.
    fn current(&mut self, positions: &[f64]) -> Result<Current, MoveError> {
        let walkers = self.layout.n_walkers;
        self.layout.check("positions", positions.len(), walkers)?;
        let width = 3 * self.layout.n_system_atoms;
        if let Some(at) = positions.iter().position(|x| !x.is_finite()) {
            return Err(MoveError::Position {
                walker: at / width,
                atom: at % width / 3,
            });
        }
        let molecules = self.layout.gather(positions);
        let molecule = 3 * self.model.n_atoms();
        let frames: Vec<Option<Frame>> = molecules
            .chunks_exact(molecule)
            .map(|x| Frame::of(x, self.layout.frame))
            .collect();
        self.statistics.network_calls += 1;
        // No density for a configuration without features (atoms in one place or on a line).
        let mut log_q = self.model.score(&molecules)?;
        let undefined = log_q.iter_mut().filter(|log_q| log_q.is_nan());
        undefined.for_each(|log_q| *log_q = f64::NEG_INFINITY);
        Ok(Current { frames, log_q })
    }

    /// The proposals of one round, placed, and their log densities.
    fn place_round(
        &mut self,
        round: u64,
        frames: &[Option<Frame>],
        positions: &[f64],
        proposals: &mut [f64],
        log_q: &mut [f64],
    ) -> Result<(), MoveError> {
        let walkers = self.layout.n_walkers;
        let (number, first) = {
            let index = round * walkers as u64;
            let batch = self.batch as u64;
            (index / batch, (index % batch) as usize)
        };
        // Whole batches at fixed places of the stream: a restored move draws the very same one again.
        let samples = match self.drawn.take() {
            Some((drawn, samples)) if drawn == number => samples,
            _ => {
                self.statistics.network_calls += 1;
                let streams = Streams::new(Purpose::Proposals, self.seed);
                self.model
                    .sample(self.batch, streams, number * self.batch as u64)?
            }
        };
        let molecule = 3 * self.model.n_atoms();
        let width = 3 * self.layout.n_system_atoms;
        proposals.copy_from_slice(positions);
        for walker in 0..walkers {
            let shape = &samples.positions[(first + walker) * molecule..][..molecule];
            // Neither frame is missing but by rounding: inside the domain of the coordinates the three atoms span a plane.
            let to = frames[walker].map(|frame| match self.layout.placement {
                Placement::Keep => frame,
                Placement::Random => {
                    frame.turned(&mut self.stream(Purpose::Orientation, round, walker))
                }
            });
            log_q[walker] = match (Frame::of(shape, self.layout.frame), to) {
                (Some(from), Some(to)) => {
                    let proposal = &mut proposals[walker * width..][..width];
                    self.layout.scatter(shape, proposal, |x| from.carry(&to, x));
                    samples.log_q[first + walker]
                }
                _ => f64::INFINITY,
            };
        }
        self.drawn = Some((number, samples));
        Ok(())
    }

    /// The random numbers of one walker in one round for one purpose.
    fn stream(&self, purpose: Purpose, round: u64, walker: usize) -> Random {
        let index = round.wrapping_mul(self.layout.n_walkers as u64) + walker as u64;
        Streams::new(purpose, self.seed).at(index)
    }

    /// Uniform numbers of `[0, 1)` that the walkers of one round are decided by.
    fn thresholds(&self, round: u64) -> Vec<f64> {
        (0..self.layout.n_walkers)
            .map(|walker| self.stream(Purpose::Acceptance, round, walker).random())
            .collect()
    }

    fn attempt(&mut self, threshold: f64, energy: f64, proposal: f64, log_ratio: f64) -> bool {
        let kt = kt(self.temperature);
        let probability = match proposal.is_finite() && log_ratio > f64::NEG_INFINITY {
            true => ((energy - proposal) / kt + log_ratio).exp().min(1.0),
            false => 0.0,
        };
        let accepted = threshold < probability;
        self.statistics.attempts += 1;
        self.statistics.accepted += u64::from(accepted);
        self.statistics.probability += probability;
        accepted
    }
}

/// Where the walkers are.
struct Current {
    /// `None` where the three atoms are on a line.
    frames: Vec<Option<Frame>>,
    /// `-inf` where the model has no density.
    log_q: Vec<f64>,
}

/// `log q(x) - log q(x')`; `-inf` where the proposal is outside the domain (`log q(x') = +inf`) or the current
/// configuration, which the model cannot propose (`log q(x) = -inf`), must not be left. A NaN counts as no density.
fn ratio(current: f64, proposal: f64) -> f64 {
    let ratio = current - proposal;
    if ratio.is_nan() || proposal == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else {
        ratio
    }
}

fn check_walkers(array: &'static str, found: usize, walkers: usize) -> Result<(), MoveError> {
    if found == walkers {
        Ok(())
    } else {
        Err(MoveError::Length {
            array,
            expected: walkers,
            found,
        })
    }
}

fn check_current(energies: &[f64]) -> Result<(), MoveError> {
    let faulty = |energy: &f64| energy.is_nan() || *energy == f64::NEG_INFINITY;
    match energies.iter().position(faulty) {
        None => Ok(()),
        Some(walker) => Err(MoveError::Energy {
            walker,
            found: energies[walker],
        }),
    }
}
