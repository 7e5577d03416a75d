//! How good a model is: its proposal and its reweighted samples against a reference trajectory.
//!
//! Everything is told of the configurations as the flow draws them (the proposal) and of the same ones with their weights, separately:
//! good weights hide a bad proposal, and a good-looking proposal may have bad weights.

mod compare;
mod curve;
mod data;
mod error;
mod geometry;
mod hands;
mod reference;
mod torsion;
mod warnings;

pub use data::{
    BasinRow, Curve, Evaluation, FreeEnergyRow, Marginal, Metric, RamaPair, Sample, Torsions,
};
pub use error::EvaluationError;
pub use reference::Reference;
pub use torsion::{BasinBox, BoxRange};

use rayon::prelude::*;

use crate::coordinates::{ChiralCentres, Chunks, ConfigurationSource, FrameStore};
use crate::energy::Energy;
use crate::math::{Purpose, Streams};
use crate::metric::{self, Tica, cosines_and_sines};
use crate::model::Model;
use crate::sample::WeightedSamples;
use crate::system::{kt, torsion};
use compare::Sets;
use torsion::Selection;
use warnings::{Faults, Findings};

/// Configurations per call of model and potential.
const CHUNK: usize = 2048;
/// Configurations whose figures, and numbers of their positions that (in 4 bytes each) still fit a workstation.
const MOST_CONFIGURATIONS: usize = 100_000_000;
const MOST_NUMBERS: usize = 4_000_000_000;
/// Points of an optimal transport whose cost matrix (2.5 GB) still fits a workstation.
const MOST_POINTS: usize = 25_000;
/// Most configurations by which the two directions of the flow are compared.
const MOST_COMPARED: usize = 1000;
/// Shortest prefix of [`Evaluation::ess_against_n`], and how many prefixes come per factor of ten.
const FIRST_PREFIX: usize = 10;
const PREFIXES_PER_DECADE: f64 = 10.0;

/// Settings of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Configurations to draw.
    pub n: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Most points on either side of an exact optimal transport; its cost matrix takes `4 points^2` bytes.
    pub points: usize,
    /// Lag of the time-lagged components, in frames of the reference.
    pub lag: usize,
    /// Torsions to compare beside all phi and psi: "ACE1:CH3-ACE1:C-ALA2:N-ALA2:CA", or four indices "0-4-6-8".
    pub torsions: Vec<String>,
    /// Basins; none stands for the default ones of the backbone.
    pub basins: Vec<BasinBox>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            n: 10_000,
            seed: 0,
            points: 10_000,
            lag: 10,
            torsions: Vec::new(),
            basins: Vec::new(),
        }
    }
}

impl Options {
    /// Checks these for a molecule of `n_atoms` atoms.
    fn validate(&self, n_atoms: usize) -> Result<(), EvaluationError> {
        let most = MOST_CONFIGURATIONS.min(MOST_NUMBERS / (3 * n_atoms.max(1)));
        let counts = [
            ("configurations to draw of so many atoms", self.n, most),
            ("points of an optimal transport", self.points, MOST_POINTS),
        ];
        for (what, found, most) in counts {
            let least = 2;
            if found < least || found > most {
                return Err(EvaluationError::Count {
                    what,
                    found,
                    least,
                    most,
                });
            }
        }
        Ok(())
    }
}

/// Evaluates a model. `progress` is told what is being done, and how much of it is done (0 to 1).
///
/// # Errors
/// The reference is of another molecule, a torsion or basin is not understood, the lag is longer than the reference, or model or
/// potential fail.
pub fn evaluate(
    model: &Model,
    energy: &dyn Energy,
    reference: &Reference,
    options: &Options,
    progress: &mut dyn FnMut(&str, f64),
) -> Result<Evaluation, EvaluationError> {
    options.validate(model.n_atoms())?;
    if reference.n_atoms() != model.n_atoms() {
        return Err(EvaluationError::Atoms {
            expected: model.n_atoms(),
            found: reference.n_atoms(),
        });
    }
    let topology = model.topology();
    let selection = Selection::new(topology, &options.torsions, &options.basins)?;
    let kt = kt(model.temperature());

    let look = Look {
        energy,
        kt,
        selection: &selection,
        centres: &ChiralCentres::find(topology),
    };
    let (positions, drawn, of_proposal) = look.draw(model, options, progress)?;
    progress("energies of the reference", 0.0);
    let of_reference = look.look_at(reference)?;
    let hands = hands::compare(&of_reference.inverted, &of_proposal.inverted);
    let (mut of_reference, mut of_proposal) = (of_reference.sample, of_proposal.sample);

    progress("slow components", 0.0);
    let tica = slow_components(reference, &of_reference, &selection, options.lag)?;
    if let Some(tica) = &tica {
        for sample in [&mut of_reference, &mut of_proposal] {
            sample.tica = tica.project(&features(&sample.torsions, &selection));
        }
    }
    let sets = Sets {
        reference,
        selection: &selection,
        of_reference: &of_reference,
        of_proposal: &of_proposal,
        log_weight: &drawn.log_weight,
        options,
    };
    let metrics = sets.metrics(progress)?;
    progress("basins and geometry", 0.0);
    let basins = sets.basins()?;
    let free_energy_differences = sets.free_energy_differences(kt)?;
    let weights = metric::relative_weights(&drawn.log_weight);
    let weights = weights.map_or_else(Vec::new, |(weights, _)| weights);
    let geometry = geometry::compare(topology, reference, &positions, &weights);
    progress("both directions of the flow", 0.0);
    let consistency = model.consistency(options.n.min(MOST_COMPARED), options.seed)?;

    let diagnostics = drawn.diagnostics(options.seed);
    let reference_energy = reference.blocks().average(&of_reference.reduced_energy);
    let mut warnings = warnings::warnings(&Findings {
        diagnostics: &diagnostics,
        consistency: &consistency,
        faults: Faults {
            non_finite: diagnostics.non_finite_fraction,
            inverted: hands.inverted,
            turned: hands.turned,
            broken: geometry.broken,
        },
        basins: &basins,
        halves: &sets.halves()?,
        reference_energy,
        tica: tica.as_ref(),
        lag: options.lag,
    });
    warnings.extend(hands.describe());
    Ok(Evaluation {
        title: String::new(),
        settings: settings(model, reference, options, tica.as_ref()),
        warnings,
        temperature: model.temperature(),
        kt,
        diagnostics,
        consistency,
        metrics,
        basins,
        free_energy_differences,
        ess_against_n: ess_against_n(&drawn.log_weight),
        log_weight: drawn.log_weight,
        geometry: geometry.marginals,
        curve: None,
        torsions: selection.torsions,
        reference: of_reference,
        proposal: of_proposal,
    })
}

/// What configurations show one by one.
#[derive(Default)]
struct Looked {
    sample: Sample,
    /// Residues of the D form.
    inverted: Vec<u16>,
}

/// How configurations are looked at.
struct Look<'a> {
    energy: &'a dyn Energy,
    kt: f64,
    selection: &'a Selection,
    centres: &'a ChiralCentres,
}

impl Look<'_> {
    /// Adds what configurations of these energies show.
    fn add(&self, looked: &mut Looked, positions: &[f64], energies: &[f64]) {
        let width = positions.len() / energies.len().max(1);
        looked.sample.n += energies.len();
        let reduced = energies.iter().map(|energy| energy / self.kt);
        looked.sample.reduced_energy.extend(reduced);
        let angles = torsions(positions, width, &self.selection.torsions.atoms);
        looked.sample.torsions.extend(angles);
        let frames = positions.par_chunks_exact(width.max(1));
        let inverted: Vec<u16> = frames.map(|x| self.centres.inverted(x) as u16).collect();
        looked.inverted.extend(inverted);
    }

    /// What the frames of the reference show, read once, some at a time.
    fn look_at(&self, reference: &Reference) -> Result<Looked, EvaluationError> {
        let mut looked = Looked::default();
        let mut chunks = Chunks::new(reference, reference.n_atoms());
        while let Some(positions) = chunks.next_chunk() {
            let mut energies = vec![0.0; positions.len() / (3 * reference.n_atoms())];
            self.energy.energies(positions, &mut energies)?;
            if let Some(at) = energies.iter().position(|e| !e.is_finite()) {
                return Err(EvaluationError::ReferenceEnergy {
                    frame: looked.sample.n + at,
                    energy: energies[at],
                });
            }
            self.add(&mut looked, positions, &energies);
        }
        Ok(looked)
    }

    /// Configurations drawn, their weights, and what they show.
    fn draw(
        &self,
        model: &Model,
        options: &Options,
        progress: &mut dyn FnMut(&str, f64),
    ) -> Result<(FrameStore, WeightedSamples, Looked), EvaluationError> {
        let streams = Streams::new(Purpose::Evaluation, options.seed);
        let mut positions = FrameStore::new(model.n_atoms());
        let mut drawn = WeightedSamples::new(model.temperature());
        let mut looked = Looked::default();
        while drawn.n() < options.n {
            progress("samples", drawn.n() as f64 / options.n as f64);
            let count = CHUNK.min(options.n - drawn.n());
            let samples = model.sample(count, streams, drawn.n() as u64)?;
            let mut energies = vec![0.0; count];
            self.energy.energies(&samples.positions, &mut energies)?;
            drawn.extend(&samples.log_q, &energies);
            self.add(&mut looked, &samples.positions, &energies);
            positions.extend(&samples.positions)?;
        }
        Ok((positions, drawn, looked))
    }
}

/// `[n, T]`, rad; NaN where a position is not finite.
fn torsions(positions: &[f64], width: usize, atoms: &[[usize; 4]]) -> Vec<f64> {
    positions
        .par_chunks_exact(width)
        .flat_map_iter(|x| {
            let angle = |&atoms: &[usize; 4]| {
                let is_finite =
                    |atom: usize| x[3 * atom..3 * atom + 3].iter().all(|x| x.is_finite());
                if atoms.into_iter().all(is_finite) {
                    torsion(x, atoms)
                } else {
                    f64::NAN
                }
            };
            atoms.iter().map(angle)
        })
        .collect()
}

/// Cosines and sines of the torsions compared.
fn features(torsions: &[f64], selection: &Selection) -> Vec<f64> {
    cosines_and_sines(torsions, selection.torsions.names.len(), selection.compared)
}

/// The first two components; none if there are no torsions to tell them by.
fn slow_components(
    reference: &Reference,
    sample: &Sample,
    selection: &Selection,
    lag: usize,
) -> Result<Option<Tica>, EvaluationError> {
    if selection.compared == 0 {
        return Ok(None);
    }
    let features = features(&sample.torsions, selection);
    let width = 2 * selection.compared;
    let tica = Tica::fit(&features, width, reference.segments(), lag, 2)?;
    Ok(Some(tica))
}

/// ESS/N of the first n configurations, n in equal steps of its logarithm.
fn ess_against_n(log_weights: &[f64]) -> Vec<(usize, f64)> {
    let all = log_weights.len();
    let mut lengths: Vec<usize> = (0..)
        .map(|step| {
            let factor = 10f64.powf(f64::from(step) / PREFIXES_PER_DECADE);
            (FIRST_PREFIX as f64 * factor).round() as usize
        })
        .take_while(|&n| n < all)
        .collect();
    lengths.push(all);
    let ess = |n: usize| (n, metric::ess_per_n(&log_weights[..n]));
    lengths.into_iter().map(ess).collect()
}

/// What was run, as far as this library knows.
fn settings(
    model: &Model,
    reference: &Reference,
    options: &Options,
    tica: Option<&Tica>,
) -> Vec<(String, String)> {
    let header = model.header();
    let architecture = &header.architecture;
    let coordinates = &header.coordinates;
    let settings = [
        ("configurations drawn", options.n.to_string()),
        ("frames of the reference", reference.n().to_string()),
        (
            "blocks of time for its errors",
            reference.blocks().len().to_string(),
        ),
        ("seed", options.seed.to_string()),
        ("temperature", format!("{} K", header.temperature)),
        ("atoms", model.n_atoms().to_string()),
        (
            "coordinates",
            format!(
                "{}, {} features",
                coordinates.kind(),
                coordinates.n_features()
            ),
        ),
        (
            "architecture",
            format!("{} {}", architecture.name, architecture.version),
        ),
        ("its settings", architecture.config.to_string()),
        ("parameters", model.parameters().n_values().to_string()),
        (
            "lag of the slow components",
            format!("{} frames", options.lag),
        ),
    ];
    let own = |(name, value): (&str, String)| (name.to_owned(), value);
    let mut settings: Vec<_> = settings.into_iter().map(own).collect();
    if let Some([first, second]) = tica.map(Tica::correlations) {
        let correlations = format!("{first:.3}, {second:.3}");
        settings.push(own(("their correlations over it", correlations)));
    }
    settings.push(own(("regflow", env!("CARGO_PKG_VERSION").to_owned())));
    let record = header.training.as_ref().and_then(|r| r.as_object());
    for (name, value) in record.into_iter().flatten() {
        let name = format!("training: {}", name.replace('_', " "));
        settings.push((name, value.to_string()));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_fit_the_memory() {
        let options = |n| Options {
            n,
            ..Options::default()
        };
        options(1_000_000).validate(22).unwrap();
        options(100_000_000).validate(10).unwrap();
        for (n, n_atoms, most) in [(100_000_001, 10, "100000000"), (2_000_000, 1000, "1333333")] {
            let error = options(n).validate(n_atoms).unwrap_err().to_string();
            assert!(error.contains(most), "{error}");
        }
    }

    #[test]
    fn prefixes_grow_to_the_whole() {
        let weights: Vec<f64> = (0..1000).map(|i| f64::from(i % 2) * 1e4).collect();
        let found = ess_against_n(&weights);
        assert_eq!(found.len(), 21);
        assert_eq!((found[0].0, found[1].0), (10, 13));
        assert_eq!(found[20].0, 1000);
        // Of every two one counts.
        assert!((found[0].1 - 0.5).abs() < 1e-12 && (found[20].1 - 0.5).abs() < 1e-12);
        assert_eq!(ess_against_n(&[0.0, 0.0]), [(2, 1.0)]);
    }
}
