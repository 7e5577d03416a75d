//! RegFlow: Boltzmann generators for molecular dynamics.

pub mod coordinates;
pub mod energy;
pub mod evaluation;
pub mod flow;
pub mod metric;
pub mod plugin;
pub mod report;
pub mod sample;
pub mod system;
pub mod target;
pub mod tensor;
pub mod train;
