//! How far weighted configurations can be trusted, in figures and in words.

use rayon::prelude::*;
use regflow::metric::{self, Basin, Blocks, Estimate};
use regflow::sample::Diagnostics;
use regflow::system::{Topology, torsion};
use serde_json::{Map, Value, json};

use crate::Outcome;
use crate::figures::Figures;

/// Where the configurations come from.
#[derive(Clone, Copy, PartialEq)]
pub enum Source {
    /// Drawn from the model: the weights are importance weights.
    Proposal,
    /// Frames of a trajectory: the weights tell how well the model covers them.
    Frames,
}

/// Adds the diagnostics.
pub fn add(figures: &mut Figures, d: &Diagnostics, source: Source) {
    figures.add("n", d.n, d.n.to_string());
    figures.add(
        "ess_per_n",
        d.ess,
        format!("{:.4} (Kish, untrimmed)", d.ess),
    );
    figures.add(
        "ess_per_n_trimmed",
        d.ess_trimmed,
        format!("{:.4} (top 0.2 % of weights removed)", d.ess_trimmed),
    );
    match d.k_hat {
        Some(k) => figures.add("k_hat", k, format!("{k:.3} (Pareto tail of the weights)")),
        None => figures.add("k_hat", None::<f64>, "too few different weights to tell"),
    }
    figures.add(
        "log_z",
        d.log_z,
        match source {
            Source::Proposal => estimate(&Estimate {
                value: d.log_z,
                error: d.log_z_error,
            }),
            // The mean weight over the target's own samples is above Z.
            Source::Frames => format!(
                "{:.4} (of the frames as if the model had drawn them)",
                d.log_z
            ),
        },
    );
    figures.add(
        "log_z_error",
        d.log_z_error,
        match d.log_z_error.is_finite() {
            true => format!("{:.4} (bootstrap)", d.log_z_error),
            false => "cannot be told".to_owned(),
        },
    );
    figures.add("mean_log_q", d.mean_log_q, format!("{:.4}", d.mean_log_q));
    figures.add(
        "mean_reduced_energy",
        d.mean_reduced_energy,
        format!("{:.4} (unweighted, finite ones)", d.mean_reduced_energy),
    );
    figures.add(
        "median_reduced_energy",
        d.median_reduced_energy,
        format!("{:.4} (unweighted)", d.median_reduced_energy),
    );
    if source == Source::Proposal {
        figures.add(
            "weighted_reduced_energy",
            d.weighted_reduced_energy,
            format!(
                "{} (weighted)",
                estimate(&Estimate {
                    value: d.weighted_reduced_energy,
                    error: d.weighted_reduced_energy_error,
                })
            ),
        );
        figures.add(
            "weighted_reduced_energy_error",
            d.weighted_reduced_energy_error,
            match d.weighted_reduced_energy_error.is_finite() {
                true => format!("{:.4}", d.weighted_reduced_energy_error),
                false => "cannot be told".to_owned(),
            },
        );
    }
    figures.add(
        "non_finite_fraction",
        d.non_finite_fraction,
        format!("{:.5} (weight 0)", d.non_finite_fraction),
    );
}

/// A figure and its standard error, with as many digits as the error needs.
pub fn estimate(Estimate { value, error }: &Estimate) -> String {
    if value.is_nan() {
        return "n/a".to_owned();
    }
    if value.is_infinite() {
        return value.to_string();
    }
    if !error.is_finite() {
        return format!("{value:.4} (no error can be told)");
    }
    // Two digits of an error that is too small for four decimals.
    let decimals = match *error > 0.0 {
        true => (1.0 - error.log10().floor()).clamp(4.0, 12.0) as usize,
        false => 4,
    };
    format!("{value:.decimals$} +- {error:.decimals$}")
}

/// Blocks of time from which the error of a trajectory's populations comes.
const BLOCKS: usize = 20;

/// Backbone torsions of many configurations, and how often they are in which basin.
pub struct Populations {
    atoms: Vec<[usize; 4]>,
    basins: Vec<Basin>,
    width: usize,
    torsions: Vec<f64>,
}

impl Populations {
    /// The default basins of a molecule; none if it has no backbone.
    pub fn new(topology: &Topology) -> Self {
        let (atoms, basins) = metric::default_basins(topology);
        Populations {
            atoms,
            basins,
            width: 3 * topology.n_atoms(),
            torsions: Vec::new(),
        }
    }

    /// Takes in configurations, `[n, N, 3]`.
    pub fn extend(&mut self, positions: &[f64]) {
        let rows: Vec<Vec<f64>> = positions
            .par_chunks(self.width)
            .map(|x| self.atoms.iter().map(|&atoms| torsion(x, atoms)).collect())
            .collect();
        self.torsions.extend(rows.into_iter().flatten());
    }

    /// Adds the weighted populations of importance samples.
    pub fn add_weighted(&self, figures: &mut Figures, log_weights: &[f64]) -> Outcome {
        if let Some((object, text)) = self.weighted(log_weights)? {
            figures.add("populations", object, format!("{text} (weighted)"));
        }
        Ok(())
    }

    /// Adds the populations of the frames of a trajectory, of which there are `lengths` in each run.
    pub fn add_counted(&self, figures: &mut Figures, lengths: &[usize]) -> Outcome {
        if self.basins.is_empty() {
            return Ok(());
        }
        let blocks = Blocks::of_runs(lengths, BLOCKS);
        let populations =
            metric::block_populations(&self.basins, &self.torsions, self.atoms.len(), &blocks)?;
        let (object, text) = self.describe(&populations);
        let text = format!("{text} (frames, error from blocks of time)");
        figures.add("populations", object, text);
        Ok(())
    }

    /// Weighted populations as JSON and in words; nothing without basins or weights.
    pub fn weighted(&self, log_weights: &[f64]) -> Outcome<Option<(Map<String, Value>, String)>> {
        if self.basins.is_empty() || !log_weights.iter().any(|w| w.is_finite()) {
            return Ok(None);
        }
        let populations = metric::weighted_populations(
            &self.basins,
            &self.torsions,
            self.atoms.len(),
            log_weights,
        )?;
        Ok(Some(self.describe(&populations)))
    }

    fn describe(&self, populations: &[Estimate]) -> (Map<String, Value>, String) {
        let mut object = Map::new();
        let mut text = Vec::new();
        for (basin, population) in self.basins.iter().zip(populations) {
            object.insert(basin.name.clone(), json!(population));
            text.push(format!("{} {}", basin.name, estimate(population)));
        }
        (object, text.join(", "))
    }
}
