//! How far weighted configurations can be trusted, in figures and in words.

use regflow::metric::{Blocks, Estimate, Populations};
use regflow::sample::Diagnostics;
use serde_json::{Map, json};

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
            Source::Proposal => {
                let (value, error) = (d.log_z, d.log_z_error);
                Estimate { value, error }.to_string()
            }
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
                Estimate {
                    value: d.weighted_reduced_energy,
                    error: d.weighted_reduced_energy_error,
                }
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

/// Blocks of time from which the error of a trajectory's populations comes.
const BLOCKS: usize = 20;

/// Adds the weighted populations of importance samples.
pub fn add_weighted(figures: &mut Figures, all: &Populations, log_weights: &[f64]) -> Outcome {
    add_populations(figures, all.weighted(log_weights)?, "weighted");
    Ok(())
}

/// Adds the populations of `n` samples as the model draws them.
pub fn add_drawn(figures: &mut Figures, all: &Populations, n: usize) -> Outcome {
    add_populations(figures, all.weighted(&vec![0.0; n])?, "unweighted");
    Ok(())
}

/// Adds the populations of the frames of a trajectory, of which there are `lengths` in each run.
pub fn add_counted(figures: &mut Figures, all: &Populations, lengths: &[usize]) -> Outcome {
    let found = all.counted(&Blocks::of_runs(lengths, BLOCKS))?;
    add_populations(figures, found, "frames, error from blocks of time");
    Ok(())
}

fn add_populations(figures: &mut Figures, populations: Vec<(&str, Estimate)>, what: &str) {
    if populations.is_empty() {
        return;
    }
    let mut object = Map::new();
    let mut text = Vec::new();
    for (name, population) in populations {
        object.insert(name.into(), json!(population));
        text.push(format!("{name} {population}"));
    }
    let text = format!("{} ({what})", text.join(", "));
    figures.add("populations", object, text);
}
