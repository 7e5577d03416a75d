//! Maps of two variables: Ramachandran plots, time-lagged components, the free-energy surface.

use super::ReportError;
use super::axis::Axis;
use super::bins::{Bins, Plane, quantile, sorted};
use super::chart::{Cells, Chart};
use super::number::plain;
use super::palette::{LEVELS, Scale};
use super::{Panel, Weights, draw};
use crate::evaluation::{Evaluation, RamaPair, Sample};

/// Size of a map on the page.
const SIZE: (u32, u32) = (320, 300);

/// Panels side by side; under some of them a bar that tells what their colours mean.
pub(super) struct Maps {
    pub(super) panels: Vec<Panel>,
    /// Width of the bins in x and in y, in the axes' units.
    pub(super) bin: [f64; 2],
}

/// Two axes and the bins along them.
struct Frame {
    x: Axis,
    y: Axis,
    count: usize,
}

impl Frame {
    fn bins(&self) -> [Bins; 2] {
        [&self.x, &self.y].map(|axis| Bins {
            lower: axis.lower,
            upper: axis.upper,
            count: self.count,
        })
    }

    fn plane(&self, points: &[[f64; 2]], weights: Option<&[f64]>) -> Plane {
        let [x, y] = self.bins();
        Plane::new(points, weights, x, y)
    }

    fn map(&self, title: &str, scale: Scale, levels: Vec<Option<usize>>) -> Chart {
        let description = format!(
            "Map of {} against {}; see the caption.",
            self.y.title(),
            self.x.title()
        );
        let mut chart = Chart::new(title, &description, SIZE, self.x.clone(), self.y.clone());
        chart.cells = Some(Cells {
            columns: self.count,
            scale,
            levels,
        });
        chart
    }
}

/// Reference, proposal and, where there are weights, the reweighted proposal on the plane of phi and psi of a residue.
pub(super) fn ramachandran(
    evaluation: &Evaluation,
    weights: &Weights,
    pair: &RamaPair,
) -> Result<Maps, ReportError> {
    let frame = Frame {
        x: Axis::torsion(&format!("φ {} (degrees)", pair.residue)),
        y: Axis::torsion("ψ (degrees)"),
        count: resolution(evaluation),
    };
    let points = |sample: &Sample| dihedrals(evaluation, sample, pair);
    let sets = [points(&evaluation.reference), points(&evaluation.proposal)];
    side_by_side(
        &format!("Ramachandran plot of {}", pair.residue),
        &frame,
        &sets,
        weights,
    )
}

/// The same on the plane of the first two time-lagged components; `None` if there are none.
pub(super) fn tica(
    evaluation: &Evaluation,
    weights: &Weights,
) -> Result<Option<Maps>, ReportError> {
    let Some(frame) = tica_frame(evaluation, resolution(evaluation)) else {
        return Ok(None);
    };
    let sets = [
        components(&evaluation.reference),
        components(&evaluation.proposal),
    ];
    side_by_side("Time-lagged components", &frame, &sets, weights).map(Some)
}

/// Free energy (kJ/mol) of the reference and of the reweighted proposal with its standard error, on the plane of the first
/// residue's phi and psi, or else of the time-lagged components; `None` if there is neither, or no weight.
pub(super) fn surface(
    evaluation: &Evaluation,
    weights: &Weights,
) -> Result<Option<Maps>, ReportError> {
    let Some(weights) = weights.relative() else {
        return Ok(None);
    };
    // Wider bins than in the other maps: an error takes more samples than a picture.
    let count = resolution(evaluation) / 2;
    let (frame, sets) = if let Some(pair) = evaluation.torsions.pairs.first() {
        let frame = Frame {
            x: Axis::torsion(&format!("φ {} (degrees)", pair.residue)),
            y: Axis::torsion("ψ (degrees)"),
            count,
        };
        let points = |sample: &Sample| dihedrals(evaluation, sample, pair);
        (
            frame,
            [points(&evaluation.reference), points(&evaluation.proposal)],
        )
    } else if let Some(frame) = tica_frame(evaluation, count) {
        let sets = [&evaluation.reference, &evaluation.proposal].map(components);
        (frame, sets)
    } else {
        return Ok(None);
    };
    let kt = evaluation.kt;
    let planes = [
        ("Reference", frame.plane(&sets[0], None)),
        ("Reweighted", frame.plane(&sets[1], Some(weights))),
    ];
    let step = step(&planes[0].1.free_energy(), kt);
    let mut panels = Vec::new();
    for (name, plane) in &planes {
        let levels = levels(&plane.free_energy(), kt, step);
        let title = format!("Free-energy surface, {}", name.to_lowercase());
        let chart = frame.map(&title, Scale::Density, levels);
        panels.push(Panel::new(name, draw(&chart)?));
    }
    let error_step = kt / LEVELS as f64;
    // Where the free energy is shown; the largest level stands for larger errors too.
    let shown = levels(&planes[1].1.free_energy(), kt, step);
    let errors = planes[1].1.error.iter().zip(shown).map(|(&error, shown)| {
        let level = (error * kt / error_step) as usize;
        shown.map(|_| level.min(LEVELS - 1))
    });
    let chart = frame.map(
        "Standard error of the free energy",
        Scale::Error,
        errors.collect(),
    );
    panels.push(Panel::new("Standard error, reweighted", draw(&chart)?));
    panels[0].svg += &bar(Scale::Density, step, "free energy (kJ/mol)")?;
    panels[2].svg += &bar(Scale::Error, error_step, "standard error (kJ/mol)")?;
    Ok(Some(Maps {
        panels,
        bin: frame.bins().map(|bins| bins.width()),
    }))
}

fn side_by_side(
    title: &str,
    frame: &Frame,
    sets: &[Vec<[f64; 2]>; 2],
    weights: &Weights,
) -> Result<Maps, ReportError> {
    let mut planes = vec![
        ("Reference", frame.plane(&sets[0], None)),
        ("Proposal", frame.plane(&sets[1], None)),
    ];
    if let Some(weights) = weights.relative() {
        planes.push(("Reweighted", frame.plane(&sets[1], Some(weights))));
    }
    let step = step(&planes[0].1.free_energy(), 1.0);
    let mut panels = Vec::new();
    for (name, plane) in &planes {
        let levels = levels(&plane.free_energy(), 1.0, step);
        let title = format!("{title}, {}", name.to_lowercase());
        panels.push(Panel::new(
            name,
            draw(&frame.map(&title, Scale::Density, levels))?,
        ));
    }
    panels[0].svg += &bar(Scale::Density, step, "−ln p above its minimum (kT)")?;
    Ok(Maps {
        panels,
        bin: frame.bins().map(|bins| bins.width()),
    })
}

/// Bins along an axis: more where there are more samples to fill them.
fn resolution(evaluation: &Evaluation) -> usize {
    match evaluation.reference.n.min(evaluation.proposal.n) {
        ..3_000 => 36,
        3_000..30_000 => 48,
        30_000..100_000 => 60,
        _ => 72,
    }
}

/// `[n]` phi and psi in degrees.
fn dihedrals(evaluation: &Evaluation, sample: &Sample, pair: &RamaPair) -> Vec<[f64; 2]> {
    let width = evaluation.torsions.names.len();
    let angle = |frame: &[f64], index: usize| frame.get(index).map_or(f64::NAN, |a| a.to_degrees());
    sample
        .torsions
        .chunks_exact(width.max(1))
        .map(|frame| [angle(frame, pair.phi), angle(frame, pair.psi)])
        .collect()
}

fn components(sample: &Sample) -> Vec<[f64; 2]> {
    let (points, _) = sample.tica.as_chunks();
    points.to_vec()
}

/// Around what the reference shows, with a margin for what the proposal adds.
fn tica_frame(evaluation: &Evaluation, count: usize) -> Option<Frame> {
    let points = components(&evaluation.reference);
    let axis = |component: usize, title: &str| {
        let values: Vec<f64> = points.iter().map(|point| point[component]).collect();
        let values = sorted(&values);
        let (lower, upper) = (quantile(&values, 0.0005)?, quantile(&values, 0.9995)?);
        let margin = 0.1 * (upper - lower);
        Some(Axis::linear(lower - margin, upper + margin, title))
    };
    Some(Frame {
        x: axis(0, "first component (standard deviations)")?,
        y: axis(1, "second component (standard deviations)")?,
        count,
    })
}

/// Width of a level, such that the levels reach the highest finite value: a multiple of a quarter of `unit`.
fn step(values: &[f64], unit: f64) -> f64 {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    let highest = finite.fold(0.0, f64::max);
    unit_step(highest, LEVELS) * unit
}

fn unit_step(highest: f64, levels: usize) -> f64 {
    (4.0 * highest / levels as f64).ceil().max(1.0) / 4.0
}

/// Levels of values times `unit`; none where the value lies beyond the last one.
fn levels(values: &[f64], unit: f64, step: f64) -> Vec<Option<usize>> {
    let end = step * LEVELS as f64;
    let level = |&value: &f64| {
        let value = value * unit;
        (value <= end).then(|| ((value / step) as usize).min(LEVELS - 1))
    };
    values.iter().map(level).collect()
}

/// The colours with the values where they begin.
fn bar(scale: Scale, step: f64, title: &str) -> Result<String, ReportError> {
    let end = step * LEVELS as f64;
    let description = format!("Colours from 0 to {}.", plain(end));
    let x = Axis::linear(0.0, end, title);
    let mut chart = Chart::new(title, &description, (320, 66), x, Axis::bare(0.0, 1.0));
    chart.cells = Some(Cells {
        columns: LEVELS,
        scale,
        levels: (0..LEVELS).map(Some).collect(),
    });
    draw(&chart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_reach_the_highest_value() {
        let values = [0.0, 0.74, 9.0, f64::INFINITY, f64::NAN];
        assert_eq!(step(&values, 1.0), 0.75);
        assert_eq!(
            levels(&values, 1.0, 0.75),
            [Some(0), Some(0), Some(11), None, None]
        );
        assert_eq!(levels(&[9.1], 1.0, 0.75), [None]);
        // In kJ/mol the same levels.
        assert_eq!(
            levels(&values, 2.5, step(&values, 2.5))[..3],
            [Some(0), Some(0), Some(11)]
        );
        assert_eq!(step(&[f64::INFINITY], 1.0), 0.25);
    }
}
