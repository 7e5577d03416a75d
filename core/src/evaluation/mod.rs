//! How good a model is: its proposal and its reweighted samples against a reference trajectory.

mod data;

pub use data::{
    BasinRow, Curve, Evaluation, FreeEnergyRow, Marginal, Metric, RamaPair, Sample, Torsions,
};
