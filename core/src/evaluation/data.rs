//! What an evaluation finds: plain data, to be printed, drawn or stored.

use serde::Serialize;

use crate::metric::Estimate;
use crate::model::Consistency;
use crate::sample::Diagnostics;

/// Everything that is known of how good a model is.
///
/// Arrays are flat and row-major, angles in rad. Numbers that do not exist (an error that the data do not allow) are infinite or NaN,
/// which JSON writes as `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// What was evaluated, in a few words.
    pub title: String,
    /// What was run: name and value, in the order of reading.
    pub settings: Vec<(String, String)>,
    /// What a reader must know before trusting the figures, most important first; empty if there is nothing.
    pub warnings: Vec<String>,
    /// Temperature of the target, K.
    pub temperature: f64,
    /// Thermal energy at that temperature, kJ/mol.
    pub kt: f64,
    /// Figures of the proposal and of its weights.
    pub diagnostics: Diagnostics,
    /// How far the density differs between the two directions of the flow.
    pub consistency: Consistency,
    /// Distances from the reference.
    pub metrics: Vec<Metric>,
    /// Torsions of `reference` and `proposal`.
    pub torsions: Torsions,
    /// Populations of the basins.
    pub basins: Vec<BasinRow>,
    /// Differences of free energy between basins.
    pub free_energy_differences: Vec<FreeEnergyRow>,
    /// The frames of the reference, all that were read, run after run.
    pub reference: Sample,
    /// Configurations drawn from the model.
    pub proposal: Sample,
    /// `[proposal.n]`, log weights of the configurations drawn; `-inf` for weight 0.
    pub log_weight: Vec<f64>,
    /// ESS/N of the first n configurations, ascending in n, the last with all of them.
    pub ess_against_n: Vec<(usize, f64)>,
    /// Bond lengths and angles, by the elements of their atoms.
    pub geometry: Vec<Marginal>,
    /// How the training went, where that is known.
    pub curve: Option<Curve>,
}

/// A distance from the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Name for programs, e.g. "torus_w2".
    pub key: &'static str,
    /// Name for people, e.g. "T-W2".
    pub label: &'static str,
    /// Unit, e.g. "kT", "rad"; empty for a pure number.
    pub unit: &'static str,
    /// What it is, in a sentence.
    pub explanation: String,
    /// Of the configurations as drawn.
    pub proposal: Estimate,
    /// Of the configurations with their weights; none if no weight is above zero.
    pub reweighted: Option<Estimate>,
    /// The same distance between two contiguous halves of the reference: how far the reference is from itself, which a perfect model is
    /// from it as well.
    pub floor: Option<Estimate>,
}

/// The torsions that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Torsions {
    /// `[T]`, e.g. "phi-ALA2".
    pub names: Vec<String>,
    /// `[T]`, atoms of each.
    pub atoms: Vec<[usize; 4]>,
    /// Residues that have both phi and psi.
    pub pairs: Vec<RamaPair>,
}

/// The two torsions of a Ramachandran plot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RamaPair {
    /// The residue, e.g. "ALA2".
    pub residue: String,
    /// Index of phi in [`Torsions::names`].
    pub phi: usize,
    /// Index of psi in [`Torsions::names`].
    pub psi: usize,
}

/// The population of a basin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BasinRow {
    /// Name, e.g. "ALA2 phi>0".
    pub name: String,
    /// In the reference, with its error from blocks of time.
    pub reference: Estimate,
    /// Among the configurations as drawn.
    pub proposal: Estimate,
    /// With the weights; none if no weight is above zero.
    pub reweighted: Option<Estimate>,
}

/// A difference of free energy between basins, `-kT ln(p_to / p_from)`, kJ/mol; infinite where a basin is empty.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FreeEnergyRow {
    /// Basin that the difference starts from.
    pub from: String,
    /// Basin that it leads to.
    pub to: String,
    /// In the reference, with its error from blocks of time.
    pub reference: Estimate,
    /// Among the configurations as drawn.
    pub proposal: Estimate,
    /// With the weights; none if no weight is above zero.
    pub reweighted: Option<Estimate>,
}

/// Figures of each configuration of a set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Number of configurations.
    pub n: usize,
    /// `[n]`, potential energy over kT; may be infinite or NaN in a proposal.
    pub reduced_energy: Vec<f64>,
    /// `[n, T]`, rad, in [-pi, pi]; NaN where a position is not finite.
    pub torsions: Vec<f64>,
    /// `[n, 2]`, projections onto the first two time-lagged components of the reference (variance 1 there); empty if there are none.
    pub tica: Vec<f64>,
}

/// The distribution of one kind of bond or angle, in bins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Marginal {
    /// What it is, e.g. "C-H bonds", "C-C-O angles".
    pub label: String,
    /// "nm" or "degrees".
    pub unit: &'static str,
    /// `[bins + 1]`, ascending.
    pub edges: Vec<f64>,
    /// `[bins]`, density in the reference, whose integral is 1.
    pub reference: Vec<f64>,
    /// `[bins]`, density among the configurations as drawn; its integral falls short of 1 by what lies outside the bins.
    pub proposal: Vec<f64>,
    /// `[bins]`, density with the weights; none if no weight is above zero.
    pub reweighted: Option<Vec<f64>>,
    /// Share of the values of the configurations as drawn that are far outside what the reference ever shows.
    pub broken: f64,
}

/// The training curve, one entry per recorded step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curve {
    /// Stage of the training, e.g. "1-likelihood"; empty where the record has no stages.
    pub stage: Vec<String>,
    /// Optimiser step.
    pub step: Vec<f64>,
    /// Seconds since the start.
    pub seconds: Vec<f64>,
    /// Training loss.
    pub loss: Vec<f64>,
    /// Loss on held-out data, where it was measured.
    pub validation: Vec<Option<f64>>,
    /// ESS/N of the model's samples with their largest weights cut, where it was measured.
    pub ess: Vec<Option<f64>>,
    /// ESS/N on held-out frames, where it was measured: it falls where samples miss what the frames show.
    pub forward_ess: Vec<Option<f64>>,
}
