use serde::Serialize;

use crate::coordinates::{Chunks, ConfigurationSource};
use crate::energy::{Energy, EnergyError};
use crate::metric::{self, Estimate};
use crate::system::kt;

/// Densities, energies and importance weights of configurations drawn from a proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedSamples {
    /// Temperature of the target, K.
    pub temperature: f64,
    /// `[n]`, log density of the proposal, in the space in which the target is `exp(-u)`.
    pub log_q: Vec<f64>,
    /// `[n]`, potential energy, kJ/mol.
    pub energy: Vec<f64>,
    /// `[n]`, `-u - log_q`; `-inf` (weight 0) where the energy or the density is not finite.
    pub log_weight: Vec<f64>,
}

/// How good a proposal is, and how far its weights can be trusted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostics {
    /// Number of samples N.
    pub n: usize,
    /// Kish's effective sample size over N, untrimmed.
    pub ess: f64,
    /// The same once the largest 0.2 % of the weights are removed, the convention of earlier papers.
    pub ess_trimmed: f64,
    /// Pareto k-hat of the weights' tail: below 0.5 good, above 0.7 not to be trusted; `None` if it cannot be told.
    pub k_hat: Option<f64>,
    /// Logarithm of the mean weight.
    pub log_z: f64,
    /// Bootstrap standard error of `log_z`.
    pub log_z_error: f64,
    /// Mean log density of the proposal, over samples of finite density.
    pub mean_log_q: f64,
    /// Mean reduced energy `u = U / kT` of the proposal, over samples of finite energy.
    pub mean_reduced_energy: f64,
    /// Median reduced energy of the proposal, over samples of finite energy.
    pub median_reduced_energy: f64,
    /// Mean reduced energy of the target, by weighted average; NaN if all weights are 0.
    pub weighted_reduced_energy: f64,
    /// Delta-method standard error of `weighted_reduced_energy`.
    pub weighted_reduced_energy_error: f64,
    /// Fraction of samples of weight 0 because their energy or density is not finite.
    pub non_finite_fraction: f64,
}

impl WeightedSamples {
    /// No samples yet, of a target at `temperature` (K).
    pub fn new(temperature: f64) -> Self {
        Self {
            temperature,
            log_q: Vec::new(),
            energy: Vec::new(),
            log_weight: Vec::new(),
        }
    }

    /// Adds samples: `log_q` `[n]` and `energy` `[n]` in kJ/mol.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn extend(&mut self, log_q: &[f64], energy: &[f64]) {
        assert_eq!(log_q.len(), energy.len(), "one energy for each log density");
        let kt = kt(self.temperature);
        let weights = log_q.iter().zip(energy).map(|(log_q, energy)| {
            let log_weight = -energy / kt - log_q;
            // An energy of -inf is a fault of the potential, not a weight above all others.
            if log_weight.is_finite() {
                log_weight
            } else {
                f64::NEG_INFINITY
            }
        });
        self.log_weight.extend(weights);
        self.log_q.extend_from_slice(log_q);
        self.energy.extend_from_slice(energy);
    }

    /// Number of samples.
    pub fn n(&self) -> usize {
        self.log_weight.len()
    }

    /// All figures; `seed` is that of the bootstrap.
    pub fn diagnostics(&self, seed: u64) -> Diagnostics {
        let weights = &self.log_weight;
        let kt = kt(self.temperature);
        let mut reduced: Vec<f64> = self.energy.iter().map(|energy| energy / kt).collect();
        let log_z = metric::log_z(weights, seed);
        // All weights may be 0; energies of non-zero weight are finite.
        let weighted = metric::weighted_average(weights, &reduced).unwrap_or(Estimate {
            value: f64::NAN,
            error: f64::NAN,
        });
        let zero = weights.iter().filter(|w| !w.is_finite()).count();
        Diagnostics {
            n: self.n(),
            ess: metric::ess_per_n(weights),
            ess_trimmed: metric::ess_per_n_trimmed(weights),
            k_hat: metric::k_hat(weights),
            log_z: log_z.value,
            log_z_error: log_z.error,
            mean_log_q: finite_mean(&self.log_q),
            mean_reduced_energy: finite_mean(&reduced),
            median_reduced_energy: finite_median(&mut reduced),
            weighted_reduced_energy: weighted.value,
            weighted_reduced_energy_error: weighted.error,
            non_finite_fraction: zero as f64 / self.n() as f64,
        }
    }
}

/// Mean reduced energy `U / kT` over the configurations of finite energy, which are evaluated some at a time; NaN if there is none.
///
/// # Errors
/// The potential fails.
pub fn mean_reduced_energy(
    energy: &dyn Energy,
    source: &dyn ConfigurationSource,
    temperature: f64,
) -> Result<f64, EnergyError> {
    let mut energies = vec![0.0; source.n()];
    let mut chunks = Chunks::new(source, energy.n_atoms());
    let mut rest = energies.as_mut_slice();
    while let Some(positions) = chunks.next_chunk() {
        let (batch, others) = rest.split_at_mut(positions.len() / (3 * energy.n_atoms()));
        energy.energies(positions, batch)?;
        rest = others;
    }
    Ok(finite_mean(&energies) / kt(temperature))
}

/// Mean of the finite values; NaN if there is none.
fn finite_mean(values: &[f64]) -> f64 {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let count = finite().count() as f64;
    // Divided one by one: proposals have clashes whose energies come near the largest f64.
    finite().map(|value| value / count).sum::<f64>() + if count == 0.0 { f64::NAN } else { 0.0 }
}

/// Median of the finite values, NaN if there is none; reorders them.
fn finite_median(values: &mut Vec<f64>) -> f64 {
    values.retain(|value| value.is_finite());
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, &mut middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return middle;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    lower + (middle - lower) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinates::Configurations;
    use rand::{RngExt, SeedableRng};

    const TEMPERATURE: f64 = 300.0;

    /// `n` samples of a normal proposal of width `s` in `d` dimensions for the target `exp(-x^2 / 2)`, whose
    /// `log Z` is `d / 2 log 2 pi`.
    fn gaussian(n: usize, d: i32, s: f64, seed: u64) -> WeightedSamples {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let (mut log_q, mut energy) = (Vec::new(), Vec::new());
        for _ in 0..n {
            let noise = (0..d).map(|_| rng.sample::<f64, _>(rand_distr::StandardNormal).powi(2));
            let square: f64 = noise.sum();
            let scale = f64::from(d) * (s * std::f64::consts::TAU.sqrt()).ln();
            log_q.push(-0.5 * square - scale);
            energy.push(0.5 * s * s * square * kt(TEMPERATURE));
        }
        let mut samples = WeightedSamples::new(TEMPERATURE);
        samples.extend(&log_q, &energy);
        samples
    }

    /// Of weights `w` with `E w = 1` under the proposal `N(0, s^2)` for a standard normal target, in one dimension:
    /// `E w^2 = s^2 / sqrt(2 s^2 - 1)`, and generally `E w^m = s^m / sqrt(m s^2 - m + 1)`.
    fn weight_moment(m: i32, s: f64) -> f64 {
        s.powi(m) / (f64::from(m) * (s * s - 1.0) + 1.0).sqrt()
    }

    #[test]
    fn gaussian_target_and_wider_proposal() {
        let (n, d, s) = (100_000, 4, 1.3);
        let samples = gaussian(n, d, s, 1);
        let found = samples.diagnostics(5);
        let moment = |m| weight_moment(m, s).powi(d);
        // ESS/N = 1 / E w^2 up to its delta-method standard error, with g = 2 w - w^2 / E w^2.
        let second = moment(2);
        let variance =
            4.0 * second - 4.0 * moment(3) / second + moment(4) / (second * second) - 1.0;
        let error = (variance / n as f64).sqrt() / second;
        assert!(
            (found.ess - 1.0 / second).abs() < 4.0 * error,
            "{} {}",
            found.ess,
            1.0 / second
        );
        // log Z, and its error from the variance of the weights.
        let exact = 0.5 * f64::from(d) * std::f64::consts::TAU.ln();
        let error = ((second - 1.0) / n as f64).sqrt();
        assert!(
            (found.log_z - exact).abs() < 4.0 * error,
            "{} {exact}",
            found.log_z
        );
        assert!((found.log_z_error / error - 1.0).abs() < 4.0 / 400f64.sqrt() + 0.02);
        // The weights are bounded, so that their tail is light.
        assert!(found.k_hat.unwrap() < 0.2, "{:?}", found.k_hat);
        assert!(found.ess_trimmed > found.ess);
        // Mean reduced energy d / 2 of the target, d s^2 / 2 of the proposal.
        let limit = 4.0 * found.weighted_reduced_energy_error;
        assert!((found.weighted_reduced_energy - 2.0).abs() < limit);
        // Delta method: n error^2 = E w (u - 2)^2 over the target = s^4 (1 + a)^-2 E (u - 2)^2, where a = 1 - s^-2 and u is of the Gamma
        // distribution of shape 2 and scale 1 / (1 + a). Its own relative error is some 1 %.
        let scale = (2.0 - s.powi(-2)).recip();
        let squares = 2.0 * scale * scale + (2.0 * scale - 2.0).powi(2);
        let exact = (s.powi(4) * scale * scale * squares / n as f64).sqrt();
        assert!((exact - 4.400e-3).abs() < 1e-6, "{exact}");
        let error = found.weighted_reduced_energy_error;
        assert!((error / exact - 1.0).abs() < 0.05, "{error} {exact}");
        let limit = 4.0 * s * s * (2.0 / n as f64).sqrt();
        assert!((found.mean_reduced_energy - 2.0 * s * s).abs() < limit);
        // Median of chi-squared with four degrees of freedom: 3.35669.
        assert!((found.median_reduced_energy - 0.5 * s * s * 3.35669).abs() < 2.0 * limit);
        // Negative entropy.
        let entropy = 0.5 * f64::from(d) * (1.0 + (std::f64::consts::TAU * s * s).ln());
        assert!((found.mean_log_q + entropy).abs() < 4.0 * (2.0 / n as f64).sqrt());
        assert_eq!((found.n, found.non_finite_fraction), (n, 0.0));
    }

    #[test]
    fn too_narrow_a_proposal_is_told_by_k_hat() {
        // w = exp((1 / s^2 - 1) x^2 / 2) up to a constant, x^2 / s^2 chi-squared: the tail index of w is
        // 1 / (1 - s^2), so that k = 1 - s^2, approached slowly (logarithmically) from below.
        let narrow = gaussian(100_000, 1, 0.3, 2).diagnostics(1);
        assert!(narrow.k_hat.unwrap() > 0.7, "{:?}", narrow.k_hat);
        let exact = gaussian(10_000, 1, 1.0, 2).diagnostics(1);
        assert!((exact.ess - 1.0).abs() < 1e-12 && exact.log_z_error < 1e-12);
    }

    #[test]
    fn non_finite_samples_have_weight_zero_and_are_counted() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let mut samples = WeightedSamples::new(TEMPERATURE);
        samples.extend(&[-1.0, -3.0, inf], &[0.0, 2.0 * kt(TEMPERATURE), 1.0]);
        samples.extend(&[nan, -inf, 0.0, 0.0, 0.0], &[0.0, 0.0, inf, -inf, nan]);
        assert_eq!(samples.n(), 8);
        assert_eq!(samples.log_weight[2..], [-inf; 6]);
        assert!((samples.log_weight[0] - 1.0).abs() < 1e-15);
        assert!((samples.log_weight[1] - 1.0).abs() < 1e-15);
        let found = samples.diagnostics(0);
        assert_eq!(found.non_finite_fraction, 0.75);
        assert!((found.ess - 0.25).abs() < 1e-15);
        assert!((found.log_z - (std::f64::consts::E / 4.0).ln()).abs() < 1e-15);
        // Of -1, -3, 0, 0, 0, and of the energies 0, 2, 1 / kT, 0, 0.
        assert!((found.mean_log_q + 0.8).abs() < 1e-15);
        assert!((found.mean_reduced_energy - (2.0 + 1.0 / kt(TEMPERATURE)) / 5.0).abs() < 1e-15);
        assert_eq!(found.median_reduced_energy, 0.0);
        assert!((found.weighted_reduced_energy - 1.0).abs() < 1e-15);
        assert_eq!(found.k_hat, None);
    }

    #[test]
    fn no_weight_gives_figures_all_the_same() {
        let mut samples = WeightedSamples::new(TEMPERATURE);
        let found = samples.diagnostics(0);
        assert_eq!((found.n, found.ess), (0, 0.0));
        samples.extend(&[0.0; 3], &[f64::NAN; 3]);
        let found = samples.diagnostics(0);
        assert_eq!(
            (found.ess, found.ess_trimmed, found.k_hat),
            (0.0, 0.0, None)
        );
        assert_eq!(
            (found.log_z, found.non_finite_fraction),
            (f64::NEG_INFINITY, 1.0)
        );
        assert!(found.mean_reduced_energy.is_nan() && found.weighted_reduced_energy.is_nan());
        // Numbers that JSON does not have become null.
        assert!(
            serde_json::to_string(&found)
                .unwrap()
                .contains("\"log_z\":null")
        );
    }

    #[test]
    fn medians_and_means() {
        assert_eq!(finite_median(&mut vec![3.0, f64::NAN, 1.0, 2.0]), 2.0);
        assert_eq!(
            finite_median(&mut vec![4.0, 1.0, f64::INFINITY, 2.0, 3.0]),
            2.5
        );
        assert_eq!(finite_mean(&[1e308, 1e308, f64::NAN]), 1e308);
        assert!(finite_mean(&[f64::NAN]).is_nan());
    }

    /// `U = sum of all coordinates`.
    struct Sum;

    impl Energy for Sum {
        fn n_atoms(&self) -> usize {
            2
        }
        fn energies(&self, positions: &[f64], energies: &mut [f64]) -> Result<(), EnergyError> {
            for (configuration, energy) in positions.chunks(6).zip(energies) {
                *energy = configuration.iter().sum();
            }
            Ok(())
        }
        fn energies_and_forces(
            &self,
            positions: &[f64],
            energies: &mut [f64],
            forces: &mut [f64],
        ) -> Result<(), EnergyError> {
            forces.fill(-1.0);
            self.energies(positions, energies)
        }
    }

    #[test]
    fn mean_reduced_energy_over_several_batches() {
        let n = 4106;
        let mut positions: Vec<f64> = (0..6 * n).map(|i| (i / 6) as f64).collect();
        positions[6 * 5] = f64::NAN;
        let source = Configurations {
            positions: &positions,
            n_atoms: 2,
        };
        let found = mean_reduced_energy(&Sum, &source, TEMPERATURE).unwrap();
        // 6 i for i below n, without i = 5.
        let sum = 6.0 * ((n * (n - 1) / 2) as f64 - 5.0);
        let exact = sum / (n - 1) as f64 / kt(TEMPERATURE);
        assert!((found / exact - 1.0).abs() < 1e-12, "{found} {exact}");
    }
}
