//! RegFlow: Boltzmann generators for molecular dynamics.
//!
//! How it is built is told in [`architecture`], its definitions and formulas in [`definitions`].

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

#[doc = include_str!("../../ARCHITECTURE.md")]
pub mod architecture {}

#[doc = include_str!("../../MATH.md")]
pub mod definitions {}
