//! Bond lengths and angles: where a flow breaks the chemistry, it shows here first.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::Marginal;
use crate::coordinates::{Chunks, ConfigurationSource};
use crate::system::{Topology, angle, distance};

/// Bins of a marginal.
const BINS: usize = 120;
/// How far the bins reach beyond what the reference shows, as a part of its range, on either side. What lies beyond is broken.
const MARGIN: f64 = 0.5;

/// A bond or an angle.
#[derive(Clone, Copy)]
enum Term {
    Bond([usize; 2]),
    Angle([usize; 3]),
}

impl Term {
    /// nm or degrees.
    fn value(self, positions: &[f64]) -> f64 {
        match self {
            Term::Bond(atoms) => distance(positions, atoms),
            Term::Angle(atoms) => angle(positions, atoms).to_degrees(),
        }
    }
}

/// Bonds and angles of the same elements.
struct Group {
    label: String,
    unit: &'static str,
    terms: Vec<Term>,
}

/// What the bonds and angles show.
pub(super) struct Geometry {
    pub marginals: Vec<Marginal>,
    /// Share of the configurations as drawn that have a broken bond or angle.
    pub broken: f64,
}

/// Compares configurations drawn (`proposal`, with relative weights `[n]`, empty if there are none) with frames of the reference,
/// which are read twice: for the range of each kind of bond or angle, and for its distribution.
pub(super) fn compare(
    topology: &Topology,
    reference: &dyn ConfigurationSource,
    proposal: &dyn ConfigurationSource,
    weights: &[f64],
) -> Geometry {
    let n_atoms = topology.n_atoms();
    let width = 3 * n_atoms;
    let groups = groups(topology);
    let mut ranges = vec![[f64::INFINITY, f64::NEG_INFINITY]; groups.len()];
    let mut chunks = Chunks::new(reference, n_atoms);
    while let Some(positions) = chunks.next_chunk() {
        for (group, [lower, upper]) in groups.iter().zip(&mut ranges) {
            for value in values(group, positions, width) {
                *lower = lower.min(value);
                *upper = upper.max(value);
            }
        }
    }
    let edges: Vec<Vec<f64>> = groups
        .iter()
        .zip(ranges)
        .map(|(group, range)| edges(group, range))
        .collect();
    let mut histograms: Vec<Histograms> = edges.iter().map(|e| Histograms::new(e)).collect();
    let mut chunks = Chunks::new(reference, n_atoms);
    while let Some(positions) = chunks.next_chunk() {
        for (group, histograms) in groups.iter().zip(&mut histograms) {
            let values = values(group, positions, width);
            histograms
                .reference
                .add(&values, group.terms.len(), |_| 1.0);
        }
    }
    let mut is_broken = vec![false; proposal.n()];
    let mut chunks = Chunks::new(proposal, n_atoms);
    let mut first = 0;
    while let Some(positions) = chunks.next_chunk() {
        let is_broken = &mut is_broken[first..first + positions.len() / width];
        for (group, histograms) in groups.iter().zip(&mut histograms) {
            let weight = |frame: usize| weights.get(first + frame).copied().unwrap_or(0.0);
            let values = values(group, positions, width);
            histograms.add_drawn(&values, group.terms.len(), weight, is_broken);
        }
        first += is_broken.len();
    }
    let marginals = groups
        .iter()
        .zip(&histograms)
        .map(|(group, found)| Marginal {
            reference: found.reference.density(),
            proposal: found.drawn.density(),
            reweighted: (!weights.is_empty()).then(|| found.weighted.density()),
            broken: found.beyond as f64 / (proposal.n() * group.terms.len()) as f64,
            label: group.label.clone(),
            unit: group.unit,
            edges: found.drawn.edges.to_vec(),
        })
        .collect();
    let broken = is_broken.iter().filter(|broken| **broken).count();
    Geometry {
        marginals,
        broken: broken as f64 / is_broken.len() as f64,
    }
}

/// All bonds and angles, by their elements: light ones last, as in "C-H".
fn groups(topology: &Topology) -> Vec<Group> {
    let element = |atom: usize| topology.atoms[atom].element.as_str();
    // Carbon first, hydrogen last, the others by the alphabet between them.
    let rank = |atom: usize| match element(atom) {
        "C" => (0, "C"),
        "H" => (2, "H"),
        other => (1, other),
    };
    let mut bonds: BTreeMap<_, Vec<Term>> = BTreeMap::new();
    for &[a, b] in &topology.bonds {
        let (a, b) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
        bonds
            .entry([rank(a), rank(b)])
            .or_default()
            .push(Term::Bond([a, b]));
    }
    let mut angles: BTreeMap<_, Vec<Term>> = BTreeMap::new();
    for (centre, bonded) in topology.neighbours().iter().enumerate() {
        for (k, &a) in bonded.iter().enumerate() {
            for &b in &bonded[k + 1..] {
                let (a, b) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
                angles
                    .entry([rank(a), rank(centre), rank(b)])
                    .or_default()
                    .push(Term::Angle([a, centre, b]));
            }
        }
    }
    let name = |ranks: &[(u8, &str)]| -> String {
        let names: Vec<&str> = ranks.iter().map(|rank| rank.1).collect();
        names.join("-")
    };
    let bonds = bonds.into_iter().map(|(ranks, terms)| Group {
        label: format!("{} bonds", name(&ranks)),
        unit: "nm",
        terms,
    });
    let angles = angles.into_iter().map(|(ranks, terms)| Group {
        label: format!("{} angles", name(&ranks)),
        unit: "degrees",
        terms,
    });
    bonds.chain(angles).collect()
}

/// `[n, terms]`
fn values(group: &Group, positions: &[f64], width: usize) -> Vec<f64> {
    positions
        .par_chunks_exact(width)
        .flat_map_iter(|x| group.terms.iter().map(move |term| term.value(x)))
        .collect()
}

/// Bins over the range of the reference and a margin.
fn edges(group: &Group, [lower, upper]: [f64; 2]) -> Vec<f64> {
    // Constrained bonds do not vary, but a range needs a width: that of their rounding in files.
    let margin = (MARGIN * (upper - lower)).max(1e-3 * upper);
    let most = match group.terms[0] {
        Term::Bond(_) => f64::INFINITY,
        Term::Angle(_) => 180.0,
    };
    let lower = (lower - margin).max(0.0);
    // Bins are half open, and an angle of 180 degrees is none that is broken.
    let upper = (upper + margin).min(most).next_up();
    (0..=BINS)
        .map(|i| lower + (upper - lower) * i as f64 / BINS as f64)
        .collect()
}

/// How a group is distributed.
struct Histograms<'a> {
    reference: Histogram<'a>,
    drawn: Histogram<'a>,
    weighted: Histogram<'a>,
    /// Values of the configurations drawn that are beyond the bins.
    beyond: usize,
}

impl<'a> Histograms<'a> {
    fn new(edges: &'a [f64]) -> Self {
        Self {
            reference: Histogram::new(edges),
            drawn: Histogram::new(edges),
            weighted: Histogram::new(edges),
            beyond: 0,
        }
    }

    /// Takes in values `[n, per_frame]` of configurations drawn, and tells which of these have one beyond the bins.
    fn add_drawn(
        &mut self,
        values: &[f64],
        per_frame: usize,
        weight: impl Fn(usize) -> f64,
        is_broken: &mut [bool],
    ) {
        for (is_broken, values) in is_broken.iter_mut().zip(values.chunks(per_frame)) {
            let beyond = values
                .iter()
                .filter(|value| self.drawn.index(**value).is_none());
            let beyond = beyond.count();
            self.beyond += beyond;
            *is_broken |= beyond > 0;
        }
        self.drawn.add(values, per_frame, |_| 1.0);
        self.weighted.add(values, per_frame, weight);
    }
}

/// Weights of the values in bins.
struct Histogram<'a> {
    edges: &'a [f64],
    sums: Vec<f64>,
    /// Of all values, those beyond the bins too.
    total: f64,
}

impl<'a> Histogram<'a> {
    fn new(edges: &'a [f64]) -> Self {
        Self {
            edges,
            sums: vec![0.0; BINS],
            total: 0.0,
        }
    }

    fn index(&self, value: f64) -> Option<usize> {
        let (lower, upper) = (self.edges[0], self.edges[BINS]);
        let inside = lower <= value && value < upper;
        inside.then(|| (((value - lower) / (upper - lower) * BINS as f64) as usize).min(BINS - 1))
    }

    /// Takes in values `[n, per_frame]`.
    fn add(&mut self, values: &[f64], per_frame: usize, weight: impl Fn(usize) -> f64) {
        for (frame, values) in values.chunks(per_frame).enumerate() {
            let weight = weight(frame);
            self.total += weight * values.len() as f64;
            for &value in values {
                if let Some(index) = self.index(value) {
                    self.sums[index] += weight;
                }
            }
        }
    }

    /// Normalised over all values.
    fn density(&self) -> Vec<f64> {
        let bin = (self.edges[BINS] - self.edges[0]) / BINS as f64;
        self.sums
            .iter()
            .map(|sum| sum / (self.total * bin))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{Atom, Residue};

    /// H-O-C, bent at the oxygen.
    fn topology() -> Topology {
        let atom = |&(element, atomic_number): &(&str, u32)| Atom {
            name: element.to_owned(),
            element: element.to_owned(),
            atomic_number,
            mass: 1.0,
            residue: 0,
        };
        Topology {
            atoms: [("H", 1), ("O", 8), ("C", 6)].iter().map(atom).collect(),
            residues: vec![Residue {
                name: "X".to_owned(),
                id: 1,
                chain: String::new(),
            }],
            bonds: vec![[0, 1], [1, 2]],
        }
    }

    struct Frames(Vec<f64>);

    impl ConfigurationSource for Frames {
        fn n(&self) -> usize {
            self.0.len() / 9
        }
        fn copy(&self, index: usize, positions: &mut [f64]) {
            positions.copy_from_slice(&self.0[9 * index..][..9]);
        }
    }

    fn molecule(oh: f64, co: f64, degrees: f64) -> Vec<f64> {
        let (sin, cos) = degrees.to_radians().sin_cos();
        vec![oh, 0.0, 0.0, 0.0, 0.0, 0.0, co * cos, co * sin, 0.0]
    }

    #[test]
    fn groups_are_named_by_elements() {
        let labels: Vec<String> = groups(&topology()).into_iter().map(|g| g.label).collect();
        assert_eq!(labels, ["C-O bonds", "O-H bonds", "C-O-H angles"]);
    }

    #[test]
    fn densities_integrate_to_what_is_inside() {
        let reference: Vec<f64> = (0..=100)
            .flat_map(|i| {
                let x = f64::from(i) / 100.0;
                molecule(0.09 + 0.02 * x, 0.14 + 0.02 * x, 100.0 + 20.0 * x)
            })
            .collect();
        // The second has a broken O-H bond, the third is beyond the reference but not far.
        let proposal = [
            molecule(0.10, 0.15, 110.0),
            molecule(0.20, 0.15, 110.0),
            molecule(0.10, 0.15, 125.0),
            molecule(f64::NAN, 0.15, 110.0),
        ]
        .concat();
        let weights = [1.0, 0.5, 0.5, 0.0];
        // In double precision, as no store keeps them, so that the ends of the bins are exact.
        let (reference, proposal) = (Frames(reference), Frames(proposal));
        let found = compare(&topology(), &reference, &proposal, &weights);
        assert_eq!(found.broken, 0.5);
        let bonds = &found.marginals[1];
        assert_eq!((bonds.label.as_str(), bonds.unit), ("O-H bonds", "nm"));
        assert_eq!(bonds.broken, 0.5);
        let integral = |densities: &[f64]| {
            densities.iter().sum::<f64>() * (bonds.edges[BINS] - bonds.edges[0]) / BINS as f64
        };
        assert!((bonds.edges[0] - 0.08).abs() < 1e-12);
        assert!((bonds.edges[BINS] - 0.12).abs() < 1e-12);
        assert!((integral(&bonds.reference) - 1.0).abs() < 1e-12);
        assert!((integral(&bonds.proposal) - 0.5).abs() < 1e-12);
        assert!((integral(bonds.reweighted.as_ref().unwrap()) - 0.75).abs() < 1e-12);
        // Uniform over the middle half of the bins: 1 / 0.02 nm there.
        let middle = bonds.reference[45..75].iter().sum::<f64>() / 30.0;
        assert!((middle / 50.0 - 1.0).abs() < 0.05, "{middle}");
        assert_eq!(bonds.reference[10], 0.0);
        let unweighted = compare(&topology(), &reference, &proposal, &[]);
        assert_eq!(unweighted.marginals[1].reweighted, None);
    }
}
