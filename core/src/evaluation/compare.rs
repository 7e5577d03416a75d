//! Figures of the proposal and of the weighted samples beside those of the reference.

use super::torsion::Selection;
use super::{BasinRow, EvaluationError, FreeEnergyRow, Metric, Options, Reference, Sample};
use crate::metric::{
    self, Blocks, Distribution, Estimate, MetricError, PointSet, Wasserstein, wasserstein_2,
    wasserstein_with_errors,
};
use crate::sample::{Resampling, resample};

const UNKNOWN: Estimate = Estimate {
    value: f64::NAN,
    error: f64::NAN,
};

/// What is compared.
pub(super) struct Sets<'a> {
    pub reference: &'a Reference,
    pub selection: &'a Selection,
    pub of_reference: &'a Sample,
    pub of_proposal: &'a Sample,
    pub log_weight: &'a [f64],
    pub options: &'a Options,
}

/// Points of a space with a distance by exact optimal transport.
struct Space {
    /// Which dimensions are angles.
    circular: Vec<bool>,
    /// `[n, D]`
    reference: Vec<f64>,
    /// `[n, D]`
    proposal: Vec<f64>,
}

impl Sets<'_> {
    fn has_weight(&self) -> bool {
        self.log_weight.iter().any(|w| w.is_finite())
    }

    /// Points on either side of an optimal transport. Half of the reference has as many, so that the distance of its two halves, before
    /// and after the middle of its time, can be compared with the others: that of finite samples depends on their number.
    fn points(&self) -> usize {
        self.options
            .points
            .min(self.of_proposal.n)
            .min(self.reference.half())
    }

    /// All distances.
    pub fn metrics(
        &self,
        progress: &mut dyn FnMut(&str, f64),
    ) -> Result<Vec<Metric>, EvaluationError> {
        progress("energy distances", 0.0);
        let mut metrics = self.energy_distances()?;
        let n = self.points();
        if self.selection.compared == 0 {
            return Ok(metrics);
        }
        let torus = Space {
            circular: vec![true; self.selection.compared],
            reference: self.compared_torsions(self.of_reference),
            proposal: self.compared_torsions(self.of_proposal),
        };
        let named = "square root of the least mean squared difference of the";
        metrics.push(self.transport_distance(
            Metric {
                key: "torus_w2",
                label: "T-W2",
                unit: "rad",
                explanation: format!(
                    "{named} torsions {} between {n} configurations and {n} frames, paired by exact optimal transport",
                    self.selection.torsions.names[..self.selection.compared].join(", ")
                ),
                proposal: UNKNOWN,
                reweighted: None,
                floor: None,
            },
            &torus,
            progress,
        )?);
        let slow = Space {
            circular: vec![false; 2],
            reference: self.of_reference.tica.clone(),
            proposal: self.of_proposal.tica.clone(),
        };
        metrics.push(self.transport_distance(
            Metric {
                key: "tica_w2",
                label: "TICA-W2",
                unit: "",
                explanation: format!(
                    "{named} first two time-lagged components of the reference (of variance 1, lag {} frames) between {n} \
                     configurations and {n} frames, paired by exact optimal transport",
                    self.options.lag
                ),
                proposal: UNKNOWN,
                reweighted: None,
                floor: None,
            },
            &slow,
            progress,
        )?);
        Ok(metrics)
    }

    /// `[n, compared]`
    fn compared_torsions(&self, sample: &Sample) -> Vec<f64> {
        let rows = sample
            .torsions
            .chunks_exact(self.selection.torsions.names.len());
        rows.flat_map(|row| &row[..self.selection.compared])
            .copied()
            .collect()
    }

    fn energy_distances(&self) -> Result<Vec<Metric>, EvaluationError> {
        let (blocks, seed) = (self.reference.blocks(), self.options.seed);
        let all = &self.of_reference.reduced_energy;
        let reference = Distribution::series(all, blocks)?;
        let energies = &self.of_proposal.reduced_energy;
        let finite: Vec<f64> = energies.iter().copied().filter(|u| u.is_finite()).collect();
        let proposal = match Distribution::uniform(&finite) {
            Ok(proposal) => wasserstein_with_errors(&proposal, &reference, seed),
            Err(MetricError::NoWeight { .. }) => Wasserstein {
                w1: UNKNOWN,
                w2: UNKNOWN,
            },
            Err(error) => return Err(error.into()),
        };
        let reweighted = if self.has_weight() {
            let weighted = Distribution::weighted(energies, self.log_weight)?;
            Some(wasserstein_with_errors(&weighted, &reference, seed))
        } else {
            None
        };
        // As many frames of one half as there are configurations, against the other half.
        let [(a, of_a), (b, of_b)] = self.reference.halves(all, 1);
        let n = a.len().min(self.of_proposal.n);
        let chosen = |i: usize| i * a.len() / n;
        let thinned: Vec<f64> = (0..n).map(|i| a[chosen(i)]).collect();
        let a = Distribution::series(&thinned, &of_a.chosen((0..n).map(chosen)))?;
        let floor = wasserstein_with_errors(&a, &Distribution::series(b, &of_b)?, seed);
        let metric = |key, label, what: &str, of: fn(&Wasserstein<Estimate>) -> Estimate| Metric {
            key,
            label,
            unit: "kT",
            explanation: format!(
                "{what} between the reduced energies of configurations and frames; infinite energies are left out"
            ),
            proposal: of(&proposal),
            reweighted: reweighted.as_ref().map(of),
            floor: Some(of(&floor)),
        };
        Ok(vec![
            metric(
                "energy_w1",
                "E-W1",
                "mean absolute difference of the quantiles",
                |w| w.w1,
            ),
            metric(
                "energy_w2",
                "E-W2",
                "root mean squared difference of the quantiles",
                |w| w.w2,
            ),
        ])
    }

    /// Completes a distance by exact optimal transport.
    fn transport_distance(
        &self,
        mut metric: Metric,
        space: &Space,
        progress: &mut dyn FnMut(&str, f64),
    ) -> Result<Metric, EvaluationError> {
        let (n, blocks) = (self.points(), self.reference.blocks());
        let dimension = space.circular.len();
        let distance = |a: &PointSet, b: &PointSet| wasserstein_2(a, b, &space.circular);
        progress(metric.label, 0.0);
        let finite: Vec<f64> = space
            .proposal
            .chunks_exact(dimension)
            .filter(|point| point.iter().all(|x| x.is_finite()))
            .flatten()
            .copied()
            .collect();
        let used = n.min(finite.len() / dimension);
        if used > 0 {
            let proposal = PointSet::independent(&finite, dimension, used)?;
            let reference = PointSet::series(&space.reference, dimension, used, blocks)?;
            metric.proposal = distance(&proposal, &reference)?;
        }
        progress(metric.label, 1.0 / 3.0);
        let method = Resampling::Systematic;
        if let Ok(chosen) = resample(method, self.log_weight, n, self.options.seed) {
            let reference = PointSet::series(&space.reference, dimension, n, blocks)?;
            let resampled = PointSet::resampled(&space.proposal, dimension, &chosen)?;
            let mut found = distance(&resampled, &reference)?;
            if !metric::tells_errors(self.log_weight) {
                found.error = f64::INFINITY;
            }
            metric.reweighted = Some(found);
        }
        progress(metric.label, 2.0 / 3.0);
        let [a, b] = self.reference.halves(&space.reference, dimension);
        let half =
            |(points, blocks): &(&[f64], Blocks)| PointSet::series(points, dimension, n, blocks);
        metric.floor = Some(distance(&half(&a)?, &half(&b)?)?);
        Ok(metric)
    }

    /// Populations of the basins.
    pub fn basins(&self) -> Result<Vec<BasinRow>, EvaluationError> {
        let basins = &self.selection.basins;
        let n_torsions = self.selection.torsions.names.len();
        let weighted = |log_weight: &[f64]| {
            metric::weighted_populations(basins, &self.of_proposal.torsions, n_torsions, log_weight)
        };
        let reference = metric::block_populations(
            basins,
            &self.of_reference.torsions,
            n_torsions,
            self.reference.blocks(),
        )?;
        let proposal = weighted(&vec![0.0; self.of_proposal.n])?;
        let reweighted = self.has_weight().then(|| weighted(self.log_weight));
        let reweighted = reweighted.transpose()?;
        let row = |index: usize| BasinRow {
            name: basins[index].name.clone(),
            reference: reference[index],
            proposal: proposal[index],
            reweighted: reweighted.as_ref().map(|rows| rows[index]),
        };
        Ok((0..basins.len()).map(row).collect())
    }

    /// Populations of the basins in the two halves of the reference.
    pub fn halves(&self) -> Result<[Vec<Estimate>; 2], EvaluationError> {
        let n_torsions = self.selection.torsions.names.len();
        let halves = self
            .reference
            .halves(&self.of_reference.torsions, n_torsions);
        let population = |(torsions, blocks): &(&[f64], Blocks)| {
            metric::block_populations(&self.selection.basins, torsions, n_torsions, blocks)
        };
        let [first, second] = halves.each_ref().map(population);
        Ok([first?, second?])
    }

    /// Differences of free energy between basins, kJ/mol.
    pub fn free_energy_differences(&self, kt: f64) -> Result<Vec<FreeEnergyRow>, EvaluationError> {
        let Selection { basins, pairs, .. } = self.selection;
        let n_torsions = self.selection.torsions.names.len();
        let weighted = |log_weight: &[f64]| {
            metric::weighted_free_energy_differences(
                basins,
                pairs,
                &self.of_proposal.torsions,
                n_torsions,
                log_weight,
            )
        };
        let reference = metric::block_free_energy_differences(
            basins,
            pairs,
            &self.of_reference.torsions,
            n_torsions,
            self.reference.blocks(),
        )?;
        let proposal = weighted(&vec![0.0; self.of_proposal.n])?;
        let reweighted = self.has_weight().then(|| weighted(self.log_weight));
        let reweighted = reweighted.transpose()?;
        let in_kj = |estimate: Estimate| Estimate {
            value: kt * estimate.value,
            error: kt * estimate.error,
        };
        let row = |(index, &[from, to]): (usize, &[usize; 2])| FreeEnergyRow {
            from: basins[from].name.clone(),
            to: basins[to].name.clone(),
            reference: in_kj(reference[index]),
            proposal: in_kj(proposal[index]),
            reweighted: reweighted.as_ref().map(|rows| in_kj(rows[index])),
        };
        Ok(pairs.iter().enumerate().map(row).collect())
    }
}
