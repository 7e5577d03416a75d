//! How far weighted configurations can be trusted, in figures and in words.

use regflow::sample::Diagnostics;

use crate::figures::Figures;

/// k-hat above which importance sampling is unreliable (arXiv 1507.02646).
const HIGHEST_K: f64 = 0.7;
/// ESS/N below which the weights rest on few configurations.
const LOWEST_ESS: f64 = 0.01;

/// Where the configurations come from.
#[derive(Clone, Copy, PartialEq)]
pub enum Source {
    /// Drawn from the model: the weights are importance weights.
    Proposal,
    /// Frames of a trajectory: the weights tell how well the model covers them.
    Frames,
}

/// Adds the diagnostics, and warnings where the weights cannot be trusted.
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
        None => figures.add("k_hat", None::<f64>, "too few finite weights to tell"),
    }
    figures.add(
        "log_z",
        d.log_z,
        format!("{:.4} +- {:.4}", d.log_z, d.log_z_error),
    );
    figures.add(
        "log_z_error",
        d.log_z_error,
        format!("{:.4} (bootstrap)", d.log_z_error),
    );
    figures.add(
        "mean_log_q",
        d.mean_log_q,
        format!("{:.4}", d.mean_log_q),
    );
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
                "{:.4} +- {:.4} (weighted)",
                d.weighted_reduced_energy, d.weighted_reduced_energy_error
            ),
        );
        figures.add(
            "weighted_reduced_energy_error",
            d.weighted_reduced_energy_error,
            format!("{:.4}", d.weighted_reduced_energy_error),
        );
    }
    figures.add(
        "non_finite_fraction",
        d.non_finite_fraction,
        format!("{:.5} (weight 0)", d.non_finite_fraction),
    );
    if source == Source::Frames {
        return;
    }
    match d.k_hat {
        Some(k) if k > HIGHEST_K => figures.warn(format!(
            "k-hat {k:.2} is above {HIGHEST_K}: the weights have too heavy a tail, do not trust weighted averages"
        )),
        None => figures.warn("the weights are too few or too unequal for a tail estimate: do not trust them"),
        _ => {}
    }
    if d.ess < LOWEST_ESS {
        figures.warn(format!(
            "ESS/N {:.1e} is below {LOWEST_ESS}: a handful of configurations carries all the weight, do not trust weighted averages",
            d.ess
        ));
    }
}
