//! RegFlow: Boltzmann generators for molecular dynamics.

pub mod coordinates;
pub mod dataset;
pub mod energy;
pub mod evaluation;
pub mod math;
pub mod metric;
pub mod model;
pub mod pairs;
pub mod parallel;
pub mod plugin;
pub mod potential;
#[cfg(feature = "cli")]
pub mod report;
pub mod sample;
pub mod system;
pub mod tensor;
pub mod train;
