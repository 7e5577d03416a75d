//! Charts of one variable: energies, bonds and angles, weights, training.

use super::ReportError;
use super::axis::Axis;
use super::bins::{Bins, Tail, density, quantile, share_outside, sorted};
use super::chart::{Band, Chart, Curve, Mark};
use super::palette::{BAND, Colour, FIT, PROPOSAL, REFERENCE, REFERENCE_AREA, REWEIGHTED};
use super::{Panel, Weights, draw};
use crate::evaluation::{self, Evaluation, Marginal};

/// Size of a chart on the page.
const SIZE: (u32, u32) = (380, 270);
/// Size of one of many.
const SMALL: (u32, u32) = (260, 190);

/// Points along a training curve, at most.
const CURVE_POINTS: usize = 300;

/// The outline of a histogram.
fn outline(edges: &[f64], density: &[f64]) -> Vec<(f64, f64)> {
    let (Some(&first), Some(&last)) = (edges.first(), edges.last()) else {
        return Vec::new();
    };
    let steps = edges
        .windows(2)
        .zip(density)
        .flat_map(|(edge, &height)| [(edge[0], height), (edge[1], height)]);
    std::iter::once((first, 0.0))
        .chain(steps)
        .chain([(last, 0.0)])
        .collect()
}

fn line(points: Vec<(f64, f64)>, colour: Colour) -> Curve {
    Curve {
        points,
        colour,
        mark: Mark::Line,
    }
}

fn area(points: Vec<(f64, f64)>) -> Curve {
    Curve {
        points,
        colour: REFERENCE_AREA,
        mark: Mark::Area(REFERENCE),
    }
}

fn highest(curves: &[Curve]) -> f64 {
    let heights = curves.iter().flat_map(|curve| &curve.points);
    heights.map(|(_, height)| *height).fold(0.0, f64::max)
}

/// Histograms of the reduced energy, and the share of the proposal that they do not show.
pub(super) struct Energies {
    pub(super) panels: Vec<Panel>,
    pub(super) proposal_outside: f64,
}

/// Histograms of the reduced energy on a linear and on a logarithmic scale; `None` if no energy is finite.
pub(super) fn energies(
    evaluation: &Evaluation,
    weights: &Weights,
) -> Result<Option<Energies>, ReportError> {
    let [reference, proposal] =
        [&evaluation.reference, &evaluation.proposal].map(|sample| &sample.reduced_energy);
    let Some(bins) = energy_bins(reference, proposal) else {
        return Ok(None);
    };
    let edges = bins.edges();
    let mut curves = vec![
        area(outline(&edges, &density(reference, None, bins))),
        line(outline(&edges, &density(proposal, None, bins)), PROPOSAL),
    ];
    if let Some(weights) = weights.relative() {
        let density = density(proposal, Some(weights), bins);
        curves.push(line(outline(&edges, &density), REWEIGHTED));
    }
    let description =
        "Histograms of the reduced energy of reference, proposal and reweighted proposal.";
    let top = highest(&curves);
    let x = Axis::linear(bins.lower, bins.upper, "reduced energy u = U / kT");
    let y = Axis::linear(0.0, 1.05 * top, "density");
    let mut linear = Chart::new("Energies", description, SIZE, x.clone(), y);
    // Down to a tenth of what a single configuration of the larger set contributes.
    let n = evaluation.reference.n.max(evaluation.proposal.n).max(1) as f64;
    let floor = (0.1 / (n * bins.width())).log10();
    let y = Axis::logarithmic(floor, top.log10() + 0.2, "density");
    let mut logarithmic = Chart::new("Energies, logarithmic", description, SIZE, x, y);
    logarithmic.curves = curves
        .iter()
        .map(|curve| {
            let log = |&(x, y): &(f64, f64)| (x, y.log10().max(floor));
            Curve {
                points: curve.points.iter().map(log).collect(),
                ..curve.clone()
            }
        })
        .collect();
    linear.curves = curves;
    Ok(Some(Energies {
        panels: vec![
            Panel::new("Density", draw(&linear)?),
            Panel::new("The same, logarithmic", draw(&logarithmic)?),
        ],
        proposal_outside: share_outside(proposal, bins),
    }))
}

/// Bins over the reference, and over most of the proposal where that is not too far away.
fn energy_bins(reference: &[f64], proposal: &[f64]) -> Option<Bins> {
    let (reference, proposal) = (sorted(reference), sorted(proposal));
    let proposed = quantile(&proposal, 0.005).zip(quantile(&proposal, 0.95));
    let range = quantile(&reference, 0.0005).zip(quantile(&reference, 0.9995));
    let (lower, upper) = match (range, proposed) {
        (Some((lower, upper)), Some((least, most))) => {
            let reach = 1.5 * (upper - lower);
            (
                least.clamp(lower - reach, lower),
                most.clamp(upper, upper + reach),
            )
        }
        (range, proposed) => range.or(proposed)?,
    };
    // The axis knows how to make an interval of any two numbers.
    let axis = Axis::linear(lower, upper, "");
    Some(Bins {
        lower: axis.lower,
        upper: axis.upper,
        count: 80,
    })
}

/// The distribution of one kind of bond or angle. Heights are square roots of densities (Tukey's rootogram): one value in a
/// hundred that is broken is a tenth as high as the peak, not lost in the axis.
pub(super) fn marginal(marginal: &Marginal) -> Result<Panel, ReportError> {
    let edges = &marginal.edges;
    let mut curves = vec![
        area(outline(edges, &marginal.reference)),
        line(outline(edges, &marginal.proposal), PROPOSAL),
    ];
    if let Some(density) = &marginal.reweighted {
        curves.push(line(outline(edges, density), REWEIGHTED));
    }
    let heights = curves.iter_mut().flat_map(|curve| &mut curve.points);
    heights.for_each(|point| point.1 = point.1.sqrt());
    let end = |edge: Option<&f64>| edge.copied().unwrap_or(f64::NAN);
    let x = Axis::sparse(end(edges.first()), end(edges.last()), marginal.unit);
    let y = Axis::bare(0.0, 1.05 * highest(&curves));
    let description = format!(
        "Histograms of {} in reference, proposal and reweighted proposal.",
        marginal.label
    );
    let mut chart = Chart::new(&marginal.label, &description, SMALL, x, y);
    chart.curves = curves;
    Ok(Panel::new(&marginal.label, draw(&chart)?))
}

/// The distribution of the log weights, by samples and by weight, and the share of the samples that it does not show.
pub(super) fn log_weights(
    evaluation: &Evaluation,
    weights: &Weights,
) -> Result<Option<(Panel, f64)>, ReportError> {
    let Some(relative) = weights.relative() else {
        return Ok(None);
    };
    let mean = relative.iter().sum::<f64>() / relative.len() as f64;
    let values: Vec<f64> = relative.iter().map(|w| (w / mean).ln()).collect();
    let ordered = sorted(&values);
    let (Some(least), Some(most)) = (quantile(&ordered, 0.02), quantile(&ordered, 1.0)) else {
        return Ok(None);
    };
    let least = least.max(most - 40.0);
    let pad = 0.03 * (most - least).max(0.1);
    let x = Axis::linear(least - pad, most + pad, "ln (w / mean w)");
    let bins = Bins {
        lower: x.lower,
        upper: x.upper,
        count: 60,
    };
    let edges = bins.edges();
    let sample_curve = Curve {
        mark: Mark::Area(PROPOSAL),
        ..area(outline(&edges, &density(&values, None, bins)))
    };
    let weight_curve = line(
        outline(&edges, &density(&values, Some(relative), bins)),
        REWEIGHTED,
    );
    let curves = vec![sample_curve, weight_curve];
    let y = Axis::linear(0.0, 1.05 * highest(&curves), "density");
    let description = format!(
        "Histogram of the logarithm of {} weights over their mean, and the share of the total weight in each bin.",
        evaluation.proposal.n
    );
    let mut chart = Chart::new("Distribution of the weights", &description, SIZE, x, y);
    chart.curves = curves;
    let outside = share_outside(&values, bins);
    Ok(Some((Panel::new("Distribution", draw(&chart)?), outside)))
}

/// The tail of the weights with the distribution that k-hat stands for; `None` if there is no k-hat.
pub(super) fn tail(evaluation: &Evaluation) -> Result<Option<Panel>, ReportError> {
    let Some(tail) = Tail::new(&evaluation.log_weight) else {
        return Ok(None);
    };
    let both = || tail.survival.iter().chain(&tail.fit).map(|&(x, _)| x);
    let right = both().fold(f64::NEG_INFINITY, f64::max);
    // As far to the left as one decade below the tail.
    let left = tail.threshold - 1.0;
    let lowest = -(evaluation.log_weight.len() as f64).log10() - 0.3;
    let mut chart = Chart::new(
        "Tail of the weights",
        "Share of samples with at least a given weight, on logarithmic scales, with the fitted Pareto tail.",
        SIZE,
        Axis::logarithmic(left, right + 0.1, "w / mean w"),
        Axis::logarithmic(lowest, 0.0, "share with at least this w"),
    );
    chart.rules = vec![(tail.threshold, FIT)];
    chart.curves = vec![
        Curve {
            points: tail.survival,
            colour: PROPOSAL,
            mark: Mark::Dots,
        },
        line(tail.fit, FIT),
    ];
    Ok(Some(Panel::new(
        "Tail, on logarithmic scales",
        draw(&chart)?,
    )))
}

/// ESS/N of the first n samples.
pub(super) fn effective_size(evaluation: &Evaluation) -> Result<Option<Panel>, ReportError> {
    let points: Vec<(f64, f64)> = evaluation
        .ess_against_n
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|&(n, ess)| ((n as f64).log10(), ess))
        .collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Ok(None);
    };
    let top = points.iter().map(|point| point.1).fold(0.0, f64::max);
    let mut chart = Chart::new(
        "ESS/N against N",
        "Effective sample size over the number of samples, for the first n of them.",
        SIZE,
        Axis::logarithmic(first.0, last.0, "samples n"),
        Axis::linear(0.0, (1.15 * top).clamp(1e-3, 1.0), "ESS/n"),
    );
    chart.curves = vec![line(points, REWEIGHTED)];
    Ok(Some(Panel::new("ESS/n of the first n", draw(&chart)?)))
}

/// One stage of a training: its name and its entries.
struct Stage {
    name: String,
    entries: std::ops::Range<usize>,
}

/// Loss, validation and ESS against the step, over all stages and in each of several.
pub(super) fn training(curve: &evaluation::Curve) -> Result<Vec<Panel>, ReportError> {
    let steps = cumulative(&curve.step);
    let stages = stages(curve, steps.len());
    let (Some(&start), Some(&end)) = (steps.first(), steps.last()) else {
        return Ok(Vec::new());
    };
    let bands: Vec<Band> = stages
        .iter()
        .enumerate()
        .map(|(i, stage)| Band {
            from: steps[stage.entries.start],
            to: steps.get(stage.entries.end).copied().unwrap_or(end),
            name: stage.name.clone(),
            colour: (i % 2 == 0 && stages.len() > 1).then_some(BAND),
        })
        .collect();
    let losses: Vec<[Curve; 2]> = stages
        .iter()
        .map(|stage| losses(curve, &steps, &stage.entries))
        .collect();
    let chart = |name: &str,
                 ends: (f64, f64),
                 bands: &[Band],
                 losses: &[[Curve; 2]]|
     -> Result<Panel, ReportError> {
        let curves: Vec<Curve> = losses.iter().flatten().cloned().collect();
        let (lower, upper) = loss_range(&curves);
        let mut chart = Chart::new(
            name,
            "Training loss and loss on held-out data against the step.",
            SIZE,
            Axis::linear(ends.0, ends.1, "step"),
            Axis::linear(lower, upper, "loss"),
        );
        chart.bands = bands.to_vec();
        chart.curves = curves;
        Ok(Panel::new(name, draw(&chart)?))
    };
    let mut panels = vec![chart("Loss", (start, end), &bands, &losses)?];
    if stages.len() > 1 {
        for (band, losses) in bands.iter().zip(&losses) {
            // The name of a stage has its number.
            let name = format!("Loss, stage {}", band.name);
            panels.push(chart(
                &name,
                (band.from, band.to),
                &[],
                std::slice::from_ref(losses),
            )?);
        }
    }
    let [ess, forward] = [&curve.ess, &curve.forward_ess].map(|ess| known(&steps, ess));
    if let Some(top) = ess
        .iter()
        .chain(&forward)
        .map(|point| point.1)
        .reduce(f64::max)
    {
        let mut chart = Chart::new(
            "ESS/N during training",
            "Effective sample size over their number, of samples (their largest 0.2 % of weights cut) and of held-out frames, against the step.",
            SIZE,
            Axis::linear(start, end, "step"),
            Axis::linear(0.0, (1.15 * top).clamp(1e-3, 1.0), "ESS/N"),
        );
        chart.bands = bands;
        chart.curves = vec![line(ess, PROPOSAL), line(forward, REWEIGHTED)];
        panels.push(Panel::new("ESS/N", draw(&chart)?));
    }
    Ok(panels)
}

/// Loss and validation of some entries.
fn losses(
    curve: &evaluation::Curve,
    steps: &[f64],
    entries: &std::ops::Range<usize>,
) -> [Curve; 2] {
    fn part<'a, T>(values: &'a [T], entries: &std::ops::Range<usize>) -> &'a [T] {
        &values[entries.start.min(values.len())..entries.end.min(values.len())]
    }
    let steps = part(steps, entries);
    let loss = part(&curve.loss, entries);
    let loss: Vec<(f64, f64)> = steps.iter().copied().zip(loss.iter().copied()).collect();
    [
        line(medians(&loss), REFERENCE),
        line(known(steps, part(&curve.validation, entries)), REWEIGHTED),
    ]
}

/// The points at which there is a value.
fn known(steps: &[f64], values: &[Option<f64>]) -> Vec<(f64, f64)> {
    let both = steps.iter().zip(values);
    both.filter_map(|(&step, value)| Some((step, (*value)?)))
        .collect()
}

/// Steps that go on where a stage starts to count anew.
fn cumulative(steps: &[f64]) -> Vec<f64> {
    let (mut offset, mut last) = (0.0, f64::NEG_INFINITY);
    steps
        .iter()
        .map(|&step| {
            if step + offset < last {
                offset = last;
            }
            last = step + offset;
            last
        })
        .collect()
}

fn stages(curve: &evaluation::Curve, n: usize) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for index in 0..n {
        let name = curve.stage.get(index).map_or("", String::as_str);
        match stages.last_mut() {
            Some(stage) if stage.name == name => stage.entries.end = index + 1,
            _ => stages.push(Stage {
                name: name.to_owned(),
                entries: index..index + 1,
            }),
        }
    }
    stages
}

/// Medians of as many consecutive points as leave [`CURVE_POINTS`]: the course of a noisy loss.
fn medians(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points
        .chunks(points.len().div_ceil(CURVE_POINTS).max(1))
        .filter_map(|chunk| {
            let losses: Vec<f64> = chunk.iter().map(|point| point.1).collect();
            Some((chunk[chunk.len() / 2].0, quantile(&sorted(&losses), 0.5)?))
        })
        .collect()
}

/// From the lowest loss to one that leaves out the first steep fall, which would flatten all that follows.
fn loss_range(curves: &[Curve]) -> (f64, f64) {
    let points = curves.iter().flat_map(|curve| &curve.points);
    let values = sorted(&points.map(|point| point.1).collect::<Vec<_>>());
    let (Some(lowest), Some(most)) = (quantile(&values, 0.0), quantile(&values, 0.92)) else {
        return (f64::NAN, f64::NAN);
    };
    let margin = 0.08 * (most - lowest);
    (lowest - margin, most + 3.0 * margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outlines_have_the_area_of_their_histogram() {
        let points = outline(&[0.0, 1.0, 3.0], &[0.5, 0.25]);
        let expected = [
            (0.0, 0.0),
            (0.0, 0.5),
            (1.0, 0.5),
            (1.0, 0.25),
            (3.0, 0.25),
            (3.0, 0.0),
        ];
        assert_eq!(points, expected);
        let area: f64 = points
            .windows(2)
            .map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0)
            .sum();
        assert_eq!(area, 1.0);
        assert_eq!(outline(&[], &[1.0]), []);
    }

    #[test]
    fn energies_far_from_the_reference_do_not_stretch_the_axis() {
        let reference: Vec<f64> = (0..1000).map(f64::from).collect();
        let bins = energy_bins(&reference, &[1e300, f64::NAN, 5.0, 1e9]).unwrap();
        assert!(
            bins.lower >= 0.0 && (2000.0..3000.0).contains(&bins.upper),
            "{bins:?}"
        );
        let bins = energy_bins(&reference, &[]).unwrap();
        assert!(bins.upper < 1000.0);
        assert!(energy_bins(&[f64::NAN], &[f64::INFINITY]).is_none());
        let bins = energy_bins(&[], &[1e300]).unwrap();
        assert!(bins.width() > 0.0 && bins.width().is_finite());
    }

    #[test]
    fn stages_follow_each_other() {
        let curve = evaluation::Curve {
            stage: ["a", "a", "b", "b"].map(str::to_owned).to_vec(),
            step: vec![1.0, 2.0, 1.0, 5.0],
            ..Default::default()
        };
        let found = stages(&curve, 4);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[1].name.as_str(), found[1].entries.clone()),
            ("b", 2..4)
        );
        assert_eq!(cumulative(&curve.step), [1.0, 2.0, 3.0, 7.0]);
        assert_eq!(stages(&evaluation::Curve::default(), 3).len(), 1);
    }

    #[test]
    fn a_training_shows_its_stages_and_both_sample_sizes() {
        let curve = |forward_ess: [Option<f64>; 4]| evaluation::Curve {
            stage: ["1-likelihood", "1-likelihood", "2-polish", "2-polish"]
                .map(str::to_owned)
                .to_vec(),
            step: vec![1.0, 2.0, 3.0, 4.0],
            loss: vec![4.0, 3.0, 2.0, 1.0],
            ess: vec![None, None, Some(0.25), Some(0.5)],
            forward_ess: forward_ess.to_vec(),
            ..Default::default()
        };
        let with = training(&curve([None, None, Some(0.25), Some(0.125)])).unwrap();
        let headings: Vec<&str> = with.iter().map(|panel| panel.heading.as_str()).collect();
        let expected = [
            "Loss",
            "Loss, stage 1-likelihood",
            "Loss, stage 2-polish",
            "ESS/N",
        ];
        assert_eq!(headings, expected);
        let without = training(&curve([None; 4])).unwrap();
        let lines = |panels: &[Panel]| panels[3].svg.matches(&REWEIGHTED.hex()).count();
        assert!(lines(&with) > lines(&without));
    }

    #[test]
    fn long_curves_are_thinned_to_their_medians() {
        let points: Vec<(f64, f64)> = (0..3000)
            .map(|i| {
                (
                    f64::from(i),
                    if i % 10 == 0 { f64::NAN } else { f64::from(i) },
                )
            })
            .collect();
        let thin = medians(&points);
        assert_eq!(thin.len(), CURVE_POINTS);
        assert_eq!(thin[0], (5.0, 5.0));
    }
}
