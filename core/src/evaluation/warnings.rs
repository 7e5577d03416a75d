//! What must be known before the figures are trusted, in words.

use super::BasinRow;
use crate::metric::{Estimate, Tica};
use crate::model::Consistency;
use crate::sample::Diagnostics;

/// Standard errors from which on a deviation is not put down to chance.
const SIGNIFICANT: f64 = 3.0;
/// Share of faulty configurations that is worth a warning.
const NOTICED: f64 = 1e-3;
/// Expected number of visits from which on their absence is no chance.
const EXPECTED_VISITS: f64 = 10.0;
/// Standard errors of an uncorrelated series from which on a correlation over the lag is seen.
const RESOLVED: f64 = 5.0;

/// Shares of configurations drawn that are not what the molecule is.
pub(super) struct Faults {
    /// Positions or energies that are not finite.
    pub non_finite: f64,
    /// Another handedness than the reference.
    pub inverted: f64,
    /// Which way their residues are turned: "D instead of L".
    pub turned: &'static str,
    /// A bond or angle far from what the reference shows.
    pub broken: f64,
}

/// The figures that warnings look at.
pub(super) struct Findings<'a> {
    pub diagnostics: &'a Diagnostics,
    pub faults: Faults,
    pub consistency: &'a Consistency,
    pub basins: &'a [BasinRow],
    /// Populations of the basins in the two halves of the reference.
    pub halves: &'a [Vec<Estimate>; 2],
    /// Mean reduced energy of the reference.
    pub reference_energy: Estimate,
    /// Slow components of the reference, if it has any.
    pub tica: Option<&'a Tica>,
    pub lag: usize,
}

/// Most important first.
pub(super) fn warnings(findings: &Findings) -> Vec<String> {
    let mut warnings = findings.diagnostics.warnings();
    let n = findings.diagnostics.n as f64;
    warnings.extend(findings.consistency.warning());
    warnings.extend(findings.basins.iter().filter_map(|row| coverage(row, n)));
    warnings.extend(findings.faults.describe());
    warnings.extend(findings.basins.iter().filter_map(deviation));
    warnings.extend(energy(findings));
    let halves = findings.halves[0].iter().zip(&findings.halves[1]);
    let rows = findings.basins.iter().zip(halves);
    warnings.extend(rows.filter_map(|(row, (first, second))| drift(row, first, second)));
    warnings.extend(findings.tica.and_then(|tica| memory(tica, findings.lag)));
    warnings
}

impl Faults {
    fn describe(&self) -> Vec<String> {
        [
            (
                self.inverted,
                format!("have a residue of the wrong handedness ({})", self.turned),
            ),
            (
                self.broken,
                "have a bond or angle far from what the reference ever shows".to_owned(),
            ),
            (
                self.non_finite,
                "have no finite energy or density, and weight 0".to_owned(),
            ),
        ]
        .into_iter()
        .filter(|(share, _)| *share > NOTICED)
        .map(|(share, what)| format!("{:.2} % of the configurations drawn {what}", 100.0 * share))
        .collect()
    }
}

/// A basin that the proposal leaves out; weights cannot bring it back.
fn coverage(row: &BasinRow, n: f64) -> Option<String> {
    (row.proposal.value == 0.0 && n * row.reference.value > EXPECTED_VISITS).then(|| {
        format!(
            "the proposal never visits {} (reference {}): weights cannot make up for that",
            row.name, row.reference
        )
    })
}

/// A population that the weights do not bring to that of the reference.
fn deviation(row: &BasinRow) -> Option<String> {
    let reweighted = row.reweighted?;
    let difference = reweighted.value - row.reference.value;
    let error = reweighted.error.hypot(row.reference.error);
    (row.proposal.value > 0.0 && difference.abs() > SIGNIFICANT * error).then(|| {
        format!(
            "the reweighted population of {} is {reweighted}, {:.1} standard errors from that of the reference, {}",
            row.name,
            difference.abs() / error,
            row.reference
        )
    })
}

/// A population that the reference itself does not agree on.
fn drift(row: &BasinRow, first: &Estimate, second: &Estimate) -> Option<String> {
    let difference = (first.value - second.value).abs();
    (difference > SIGNIFICANT * first.error.hypot(second.error)).then(|| {
        format!(
            "the reference is not settled: {} has {first} of its first half and {second} of its second; its error, {:.4}, takes that into \
             account",
            row.name, row.reference.error
        )
    })
}

/// A mean energy that the weights do not bring to that of the reference.
fn energy(findings: &Findings) -> Option<String> {
    let Diagnostics {
        weighted_reduced_energy: weighted,
        weighted_reduced_energy_error: error,
        ..
    } = findings.diagnostics;
    let reference = findings.reference_energy;
    let difference = (weighted - reference.value).abs();
    (difference > SIGNIFICANT * error.hypot(reference.error)).then(|| {
        format!(
            "the reweighted mean energy is {weighted:.2} +- {error:.2} kT, that of the reference {:.2} +- {:.2} kT: either the weights \
             are not to be trusted, or the reference is of another potential or temperature than the model",
            reference.value, reference.error
        )
    })
}

/// Components that are none, because the reference forgets everything within the lag.
fn memory(tica: &Tica, lag: usize) -> Option<String> {
    let noise = RESOLVED / (tica.n_pairs() as f64).sqrt();
    let correlations = tica.correlations();
    correlations.iter().any(|c| *c < noise).then(|| {
        let correlations: Vec<String> = correlations.iter().map(|c| format!("{c:.3}")).collect();
        format!(
            "the slow components of the reference have correlations of {} over a lag of {lag} frames, which may be noise (below \
             {noise:.3}): choose a shorter lag, and if the frames come from several runs that take turns, say which frame is of which run",
            correlations.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::WeightedSamples;

    const GOOD: Estimate = Estimate {
        value: 2.0,
        error: 0.1,
    };

    fn diagnostics() -> Diagnostics {
        // Pareto weights with a light tail.
        let quantile = |i: u32| (f64::from(i) + 0.5) / 1000.0;
        let log_q: Vec<f64> = (0..1000).map(|i| 0.2 * (1.0 - quantile(i)).ln()).collect();
        let mut samples = WeightedSamples::new(300.0);
        samples.extend(&log_q, &vec![2.0 * crate::system::kt(300.0); 1000]);
        samples.diagnostics(1)
    }

    fn row(reference: f64, proposal: f64, reweighted: f64) -> BasinRow {
        let estimate = |value| Estimate { value, error: 0.01 };
        BasinRow {
            name: "left".to_owned(),
            reference: estimate(reference),
            proposal: estimate(proposal),
            reweighted: Some(estimate(reweighted)),
        }
    }

    fn warn(faults: Faults, row: BasinRow, reference_energy: Estimate) -> Vec<String> {
        warnings(&Findings {
            diagnostics: &diagnostics(),
            consistency: &CONSISTENT,
            faults,
            halves: &[vec![row.reference], vec![row.reference]],
            basins: &[row],
            reference_energy,
            tica: None,
            lag: 10,
        })
    }

    const CONSISTENT: Consistency = Consistency {
        n: 1000,
        error: 1e-5,
        median: 1e-6,
        largest: 1e-3,
        round_trip: 1e-5,
    };

    const SOUND: Faults = Faults {
        non_finite: 0.0,
        inverted: 5e-4,
        turned: "D instead of L",
        broken: 0.0,
    };

    #[test]
    fn a_good_model_gets_none() {
        assert_eq!(warn(SOUND, row(0.2, 0.3, 0.22), GOOD), Vec::<String>::new());
        // Too rare to be expected among a thousand.
        assert!(warn(SOUND, row(0.005, 0.0, 0.0), GOOD).is_empty());
    }

    #[test]
    fn inverses_that_are_not_resolved_and_references_that_drift_are_told() {
        let row = row(0.2, 0.3, 0.22);
        let part = |value| Estimate { value, error: 0.03 };
        let tell = |consistency, halves: &[Vec<Estimate>; 2]| {
            warnings(&Findings {
                diagnostics: &diagnostics(),
                consistency: &consistency,
                faults: SOUND,
                basins: std::slice::from_ref(&row),
                halves,
                reference_energy: GOOD,
                tica: None,
                lag: 10,
            })
        };
        let settled = [vec![part(0.15)], vec![part(0.25)]];
        assert!(tell(CONSISTENT, &settled).is_empty());
        let wrong = Consistency {
            error: 3.5,
            largest: 383.0,
            ..CONSISTENT
        };
        let found = tell(wrong, &settled);
        assert!(
            found[0].contains("3.50 nats") && found[0].contains("383.0"),
            "{found:?}"
        );
        let found = tell(CONSISTENT, &[vec![part(0.1)], vec![part(0.3)]]);
        assert!(
            found.len() == 1 && found[0].contains("not settled"),
            "{found:?}"
        );
    }

    #[test]
    fn weights_that_tell_no_error_are_no_deviation() {
        let mut row = row(0.2, 0.3, 1.0);
        if let Some(reweighted) = &mut row.reweighted {
            reweighted.error = f64::INFINITY;
        }
        assert!(warn(SOUND, row, GOOD).is_empty());
    }

    #[test]
    fn forgotten_components_are_told() {
        // A slow wave, and a point that jumps: memory over one frame, none over the other.
        let features: Vec<f64> = (0..4000u32)
            .flat_map(|i| {
                [
                    (0.05 * f64::from(i)).sin(),
                    f64::from(i * i % 4001 * 37 % 1000),
                ]
            })
            .collect();
        let tica = |lag| Tica::fit(&features, 2, std::slice::from_ref(&(0..4000)), lag, 2).unwrap();
        let told = memory(&tica(1), 1).unwrap();
        assert!(told.contains("lag of 1 frames"), "{told}");
        let slow: Vec<f64> = (0..4000u32)
            .flat_map(|i| [0.05, 0.013].map(|rate| (rate * f64::from(i)).sin()))
            .collect();
        let tica = Tica::fit(&slow, 2, std::slice::from_ref(&(0..4000)), 1, 2).unwrap();
        assert_eq!(memory(&tica, 1), None);
    }

    #[test]
    fn each_fault_is_named() {
        let one = |warnings: Vec<String>, words: &[&str]| {
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(
                words.iter().all(|word| warnings[0].contains(word)),
                "{warnings:?}"
            );
        };
        let missing = warn(SOUND, row(0.2, 0.0, 0.0), GOOD);
        one(missing, &["never visits left", "0.2000 +- 0.0100"]);
        let off = warn(SOUND, row(0.2, 0.3, 0.3), GOOD);
        one(off, &["0.3000", "7.1 standard errors"]);
        let hot = Estimate { value: 3.0, ..GOOD };
        one(warn(SOUND, row(0.2, 0.2, 0.2), hot), &["3.00 +- 0.10 kT"]);
        let faults = Faults {
            non_finite: 0.01,
            inverted: 0.125,
            turned: "L instead of D",
            broken: 0.5,
        };
        let found = warn(faults, row(0.2, 0.2, 0.2), GOOD);
        assert_eq!(found.len(), 3);
        for (warning, share) in found.iter().zip(["12.50 %", "50.00 %", "1.00 %"]) {
            assert!(warning.starts_with(share), "{warning}");
        }
        assert!(found[0].ends_with("(L instead of D)"), "{found:?}");
    }
}
